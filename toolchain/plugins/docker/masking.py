"""Keeps secret inputs out of texts that a person or a log will see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from toolchain.plugins.shared.values import Secret, Value, plain

_SHORTEST_PART = 6
"""A part of a secret that is shorter than this is left alone: `yes` and `8080` are in every text."""


def masked(text: str, inputs: Mapping[str, Value]) -> str:
    """`text` with each secret of `inputs` replaced; the value of a secret `KEY=value` and its lines too."""
    for secret in sorted(set(_secrets(dict(inputs))), key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return text


def _secrets(value: Value) -> Iterator[str]:
    if isinstance(value, Secret):
        yield from _strings(plain(value.value))
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _secrets(item)


def _strings(value: Value) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, str) and value:
        yield value
        for part in (value.partition("=")[2], *value.splitlines()):
            if len(part.strip()) >= _SHORTEST_PART:
                yield part.strip()
