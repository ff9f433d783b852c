"""Requests from a host of the lab, and what was answered there."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.stack import Stack
from tests.lab.hosts import must

PROGRAM = (Path(__file__).parent / "clients_on_host.py").read_text()


@dataclass(frozen=True)
class Ask:
    """A request."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "GET"


@dataclass(frozen=True)
class Said:
    """What was answered: the body's size, digest and beginning, header names in lower case.

    Status 0: there was no whole answer, and the body says why.
    """

    status: int
    size: int
    digest: str
    headers: Mapping[str, str]
    body: str

    @property
    def data(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)


def ask(host: str, *requests: Ask) -> list[Said]:
    """The answers to requests that a host makes, one after the other."""
    call = f"ask_each({[(each.method, each.url, dict(each.headers)) for each in requests]!r})"
    return [Said(**line) for line in run(host, call)]


def statuses(host: str, requests: Sequence[Ask]) -> list[int]:
    """The answers' statuses alone."""
    return [each.status for each in ask(host, *requests)]


def run(host: str, call: str) -> Iterator[dict[str, Any]]:
    """What a call of clients_on_host prints on a host."""
    return map(json.loads, must(host, "python3 -", f"{PROGRAM}\n{call}").splitlines())


def basic(user: str, password: str) -> dict[str, str]:
    """The header of a login."""
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def login(stack: Stack, user: str) -> dict[str, str]:
    """That of a user of the lab's proxy."""
    return basic(user, stack.pulumi("config", "get", f"password-{user}", quiet=True).strip())
