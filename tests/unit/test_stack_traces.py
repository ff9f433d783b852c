"""Decides: the SDK sends no stack trace with a resource, and this SDK is one in which that can be had."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime import resource

from components.stack_traces import leave_out_stack_traces


def test_none_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    class Resource:
        def __init__(self, inner: int) -> None:
            self.sent: Any = Resource(inner - 1).sent if inner else resource._get_stack_trace()

    monkeypatch.setattr(resource, "_get_stack_trace", resource._get_stack_trace)
    assert Resource(3).sent.frames
    leave_out_stack_traces()
    assert not Resource(3).sent.frames
    assert resource._get_source_position(Resource(3).sent) is None
