"""Decides what of a pull of the canary is a proof, what is told where it is none, and that the image is removed.

Real runtimes, and real mirrors before them, are in tests/lab; the canary that nginx serves is in tests/programs.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from documents import canary as documents
from hostctl import canary, docker_api
from hostctl.canary import Canary
from hostctl.docker_api import Answer
from hostctl.errors import HostError
from hostctl.host import Finished, Host

OURS = Canary("docker.io", "sha256:" + "1" * 64)
PULLED = Answer(200, b'{"status":"Pulling"}\r\n{"status":"Downloaded"}\r\n')
FAILED = b'{"status":"Pulling"}\r\n{"error":"pull access denied"}\r\n'
OLD_LOG = 'time="t" level=info msg="Attempting next endpoint for pull after error: Get \\"http://m/v2/\\": refused"'
NEW_LOG = 'time="t" level=info msg="trying next host" error="Head \\"http://m/\\": refused" host=m'


@dataclass
class Engine:
    """What the engine answers, and what it was asked."""

    create: Answer = PULLED
    digests: tuple[str, ...] = (f"http-registry/canary@{OURS.digest}",)
    asked: list[str] = field(default_factory=list)

    def call(self, host: Host, method: str, path: str, *_: Any, **__: Any) -> Answer:
        self.asked.append(f"{method} {path}")
        if method == "POST":
            return self.create
        return Answer(200, json.dumps({"RepoDigests": self.digests}).encode())


@dataclass(frozen=True)
class Logging(Host):
    """A host with this in dockerd's journal."""

    root: Path = Path("/")
    log: str = ""

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
        return Finished(0, self.log)


def prove(engine: Engine, monkeypatch: pytest.MonkeyPatch, log: str = "") -> None:
    monkeypatch.setattr(docker_api, "call", engine.call)
    canary.prove_docker(Logging(Path("/nowhere"), log), OURS)


def test_the_image_with_our_digest_is_a_proof_and_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    prove(engine, monkeypatch)
    assert engine.asked == [
        "POST /images/create",
        "GET /images/docker.io/http-registry/canary:1/json",
        "DELETE /images/docker.io/http-registry/canary:1",
    ]


@pytest.mark.parametrize(
    ("engine", "log", "told"),
    [
        (Engine(digests=("http-registry/canary@sha256:" + "2" * 64,)), "", "it got another image"),
        (Engine(digests=()), "", "it got another image"),
        (Engine(Answer(200, FAILED)), "", "has): pull access denied; see"),
        (Engine(Answer(404, b'{"message":"manifest unknown"}')), "", "has): manifest unknown; see"),
        (Engine(Answer(200, FAILED)), OLD_LOG, 'has): Get "http://m/v2/": refused; see'),
        (Engine(Answer(200, FAILED)), NEW_LOG, 'has): Head "http://m/": refused; see'),
    ],
)
def test_anything_else_is_none_and_the_mirror_s_own_reason_goes_first(
    engine: Engine, log: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HostError) as failed:
        prove(engine, monkeypatch, log)
    assert told in str(failed.value)
    assert engine.asked[-1].startswith("DELETE ")


def test_a_canary_is_the_same_each_time_and_another_one_for_each_mirror() -> None:
    one, again, other = (documents.render("hub", url) for url in ("http://a:5080", "http://a:5080", "http://b:5080"))
    assert one == again
    assert one.digest != other.digest
    for digest, (_, content) in one.objects.items():
        assert digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
