"""Decides when `preview` and `up` ask the hosts first: where the tier says `observe`, and only there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from ops import __main__ as ops
from ops.drift import Seen


class FakeStack:
    """Notes what is done with it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.environment: dict[str, str] = {}

    def pulumi(self, command: str, *_: str) -> None:
        self.done.append(command)

    def outputs(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    stack = FakeStack()

    @contextmanager
    def selected(name: str, **_: object) -> Iterator[FakeStack]:
        yield stack

    def recover(_: object) -> dict[str, Any]:
        stack.done.append("recover")
        return {}

    def refresh_drift(_: object) -> Seen:
        stack.done.append("drift")
        return Seen({}, {"a": "no answer within 10 s"})

    monkeypatch.setattr(ops, "selected", selected)
    monkeypatch.setattr("ops.ssh_key.usable", lambda _: nullcontext())
    monkeypatch.setattr("ops.ssh_key.told_when_before_is_over", lambda _: "")
    monkeypatch.setattr("ops.renamed.refuse_renamed", lambda *_: None)
    monkeypatch.setattr("ops.recovery.recover", recover)
    monkeypatch.setattr("ops.adopt.observed.new_hosts", lambda _: None)
    monkeypatch.setattr("ops.drift.refresh_drift", refresh_drift)
    monkeypatch.setattr("ops.adopt.observed.new_hosts", lambda _: None)
    monkeypatch.setattr("ops.preview.show_preview", lambda *_: stack.done.append("preview"))
    return stack


@pytest.mark.parametrize("observe", [True, False])
def test_preview_and_up_ask_first_where_the_tier_observes(
    stack: FakeStack, monkeypatch: pytest.MonkeyPatch, observe: bool
) -> None:
    monkeypatch.setattr(
        "ops.configuration.tier_of", lambda _: type("Tier", (), {"observe": observe, "proxy": None, "hosts": ()})
    )
    monkeypatch.setattr("ops.stack_file.plain_settings", lambda _: {"observe": observe})
    asks = ["drift"] if observe else []
    ops.preview("other")
    ops.up("other")
    assert stack.done == [*asks, "preview", "recover", *asks, "up"]
