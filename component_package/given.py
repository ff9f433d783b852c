"""What a program gives a component: settings, which must be known and hold no secret, and the secrets beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.output import Unknown
from pulumi.runtime.rpc import UNKNOWN
from pulumi.runtime.sync_await import _sync_await

SECRETS = "secrets"
"""The input that holds them, by their names."""


@dataclass(frozen=True)
class Given:
    """`settings`: in clear, as the program writes them. `secrets`: by their names. `texts`: of those secrets whose
    value is known by now, for checks; what goes to a host is an output. `unknown`: the inputs that a preview does not
    know yet. `errors`: what no input may be.
    """

    settings: Mapping[str, Any]
    secrets: Mapping[str, pulumi.Output[str]]
    texts: Mapping[str, str]
    unknown: list[str]
    errors: list[str]


def given(inputs: Mapping[str, Any]) -> Given:
    """Sort the inputs of a component."""
    settings = {key: _peeked(value) for key, value in inputs.items() if key != SECRETS}
    errors = [
        f"{key}: holds a secret; settings are shown in previews, so give it in `{SECRETS}`, or take the mark off"
        for key, value in inputs.items()
        if key != SECRETS and _holds_secret(value)
    ]
    unknown = [path for key, value in settings.items() for path in _unknown(value, key)]
    held = inputs.get(SECRETS) or {}
    names = _peeked(held)
    if names is UNKNOWN or not isinstance(names, Mapping):
        return Given(settings, {}, {}, [*unknown, SECRETS], errors)
    whole: pulumi.Output[Any] = pulumi.Output.from_input(held)
    secrets = {name: _of(whole, name) for name in names}
    texts = {name: text for name, text in names.items() if isinstance(text, str) and text != UNKNOWN}
    return Given(settings, secrets, texts, unknown, errors)


def _of(whole: pulumi.Output[Any], name: str) -> pulumi.Output[str]:
    one: pulumi.Output[str] = whole.apply(lambda known: str(known[name]))
    secret: pulumi.Output[str] = pulumi.Output.secret(one)
    return secret


def _peeked(value: Any) -> Any:
    """What is known of a value by now; all that the engine hands over is settled when it does."""
    if isinstance(value, pulumi.Output):
        inner = _sync_await(value.future(with_unknowns=True))
        # One that holds others is unknown as soon as one of them is.
        value = UNKNOWN if inner is None and not _sync_await(value.is_known()) else inner
    if isinstance(value, Unknown):
        return UNKNOWN
    if isinstance(value, pulumi.Output):
        return _peeked(value)
    if isinstance(value, list):
        return [_peeked(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _peeked(each) for key, each in value.items() if each is not None}
    return value


def _holds_secret(value: Any) -> bool:
    if isinstance(value, pulumi.Output):
        inner = _sync_await(value.future(with_unknowns=True))
        return bool(_sync_await(value.is_secret())) or _holds_secret(inner)
    entries = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return any(map(_holds_secret, entries))


def _unknown(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str) and value == UNKNOWN:
        yield path
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _unknown(each, f"{path}.{index}")
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _unknown(each, f"{path}.{key}")
