"""One pull: what a client asked for to have one image, and how that ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Mapping, Tuple

from pull_metrics.access_log import Request
from pull_metrics.series import number_of, text_of

SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"
OK, CUT = "", "cut"
REASONS = {401: "login", 403: "forbidden", 404: "missing", 429: "limited", 499: CUT}
"""Why an object was not had, by status; 499 is nginx's own for a client that went away before the first byte."""

MOST_QUESTIONS, MOST_OBJECTS = 16, 4096
"""What is kept of one pull: who asks without end for what is not there would fill our memory."""

Key = Tuple[Tuple[str, int], str, str, str]
"""Endpoint, client, agent, repository."""


@dataclass
class Pull:
    """`objects`: for each manifest and blob why it was not had at last, empty where it was. `cuts`: how often each one
    was cut off. `questions`: the methods, statuses and users by which `reference` was asked about, each once, the last
    one last; `asked` is when that was.
    """

    endpoint: Tuple[str, int]
    client: str
    agent: str
    runtime: str
    repository: str
    reference: str
    began: float
    ended: float
    asked: float = 0.0
    objects: Dict[str, str] = field(default_factory=dict)
    cuts: Dict[str, int] = field(default_factory=dict)
    questions: List[Tuple[str, int, str]] = field(default_factory=list)
    blobs: bool = False
    """Whether it fetched any: what was there already takes no time."""

    @staticmethod
    def of(request: Request) -> Pull:
        """The pull that a request begins."""
        return Pull(
            request.endpoint,
            request.client,
            request.agent,
            request.runtime,
            request.repository,
            request.reference,
            request.began,
            request.ended,
        )

    @staticmethod
    def kept(data: Mapping[str, Any]) -> Pull:
        """One that was written down by `as_data`."""
        name, port = data["endpoint"]
        questions = [
            (text_of(method), int(number_of(status)), text_of(user)) for method, status, user in data["questions"]
        ]
        client, agent, runtime, repository, reference = (
            text_of(data[each]) for each in ("client", "agent", "runtime", "repository", "reference")
        )
        return Pull(
            (text_of(name), int(number_of(port))),
            client,
            agent,
            runtime,
            repository,
            reference,
            number_of(data["began"]),
            number_of(data["ended"]),
            number_of(data["asked"]),
            objects={text_of(each): text_of(reason) for each, reason in data["objects"].items()},
            cuts={text_of(each): int(number_of(count)) for each, count in data["cuts"].items()},
            questions=questions,
            blobs=data["blobs"] is True,
        )

    def as_data(self) -> Dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @property
    def key(self) -> Key:
        """Who pulls from where."""
        return self.endpoint, self.client, self.agent, self.repository

    @property
    def resolved(self) -> bool:
        """Whether the reference has been answered."""
        return any(status < 400 for _, status, _ in self.questions)

    @property
    def only_asked(self) -> bool:
        """Whether nothing was fetched, as it is when a push looks what is there."""
        return all(method == "HEAD" for method, _, _ in self.questions) and len(self.objects) <= 1

    def take(self, request: Request) -> None:
        """Count a request in."""
        self.began = min(self.began, request.began)
        self.ended = max(self.ended, request.ended)
        name = f"{request.kind}/{request.reference}"
        if request.kind == "manifests" and request.reference == self.reference:
            question = (request.method, request.status, request.user)
            self.questions = [*(each for each in self.questions[-MOST_QUESTIONS:] if each != question), question]
            self.asked = request.ended
        if request.slice or (name not in self.objects and len(self.objects) >= MOST_OBJECTS):
            return
        self.blobs = self.blobs or (request.kind == "blobs" and request.status < 400)
        reason = (
            OK if request.status < 400 else REASONS.get(request.status, "server" if request.status >= 500 else "other")
        )
        if reason == OK and not request.complete:
            reason = CUT
        if reason == CUT:
            self.cuts[name] = self.cuts.get(name, 0) + 1
        self.objects[name] = reason

    def outcome(self) -> Tuple[str, str]:
        """How it ended, and why where it failed.

        Every runtime asks again for what was cut off, so one that did not was stopped by its user.
        """
        lost = {name: reason for name, reason in self.objects.items() if reason != OK}
        failed = [reason for reason in lost.values() if reason != CUT]
        failed += [CUT for name, reason in lost.items() if reason == CUT and self.cuts[name] > 1]
        if failed:
            return FAILED, failed[0]
        return (CANCELLED, "") if lost else (SUCCEEDED, "")

    @property
    def seconds(self) -> float:
        """From the first request to the last byte."""
        return self.ended - self.began
