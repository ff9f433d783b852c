"""Decides what `hostctl drain` and `hostctl admit` are asked for; what they do is decided on the lab's hosts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hostctl.errors import HostError
from hostctl.replicas import Asked, read_request

REQUEST: dict[str, Any] = {
    "registry": "r", "place": 2, "container": "http-registry-r-2", "scheme": "http", "port": 5010, "seconds": 300,
}  # fmt: skip


def test_a_request_is_read_and_what_else_is_in_it_does_not_count() -> None:
    asked = read_request(json.dumps({**REQUEST, "for": ["another", "one"]}).encode())
    assert asked == Asked(**REQUEST)


@pytest.mark.parametrize("missing", REQUEST)
def test_a_request_that_lacks_something_is_refused(missing: str) -> None:
    with pytest.raises(HostError, match=missing):
        read_request(json.dumps({key: value for key, value in REQUEST.items() if key != missing}).encode())


@pytest.mark.parametrize("text", [b"", b"[]", b'"x"', json.dumps({**REQUEST, "port": "no"}).encode()])
def test_what_is_no_request_is_refused(text: bytes) -> None:
    with pytest.raises(HostError, match="stdin"):
        read_request(text)
