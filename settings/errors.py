"""All errors of a tier's settings at once, each with key path, value, rule and remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from settings.contradictions import contradictions, needed_secrets
from settings.tier import Tier

KINDS = ("hosted", "cache")
"""Pydantic puts the kind of a registry into the path; it is no key of the file."""

SECRET = re.compile(
    r"((upstream-)?password|(backend-)?tls-key|hsm-pin|s3-access-key|s3-secret-key|http-secret)-[^.]+$"
    r"|(ca-key|ssh-key|ssh-key-before)$"
)
"""The keys that hold secrets."""

REMEDIES = {
    "extra_forbidden": "there is no such key here; remove it or correct its spelling",
    "missing": "is required; add it",
    "too_short": "must have at least one entry; add one",
}


class SettingsError(ValueError):
    """The settings can't be used. `errors` has a line for each thing that is wrong."""

    def __init__(self, errors: list[str]) -> None:
        count = f"{len(errors)} error{'s' if len(errors) > 1 else ''}"
        super().__init__(f"settings: {count}, nothing was touched:\n" + "\n".join(f"  {line}" for line in errors))
        self.errors = errors


def parse(data: Mapping[str, Any], secrets: Collection[str] | None = None) -> Tier:
    """Read a tier's settings; `secrets` names the secret keys that are set (None: don't check).

    Raises SettingsError with every error found, never only the first.
    """
    tier, errors = check(data, secrets)
    if tier is None or errors:
        raise SettingsError(errors)
    return tier


def check(data: Mapping[str, Any], secrets: Collection[str] | None = None) -> tuple[Tier | None, list[str]]:
    """Like `parse`, for a caller that has more to check: the tier as far as its values are right, and every error."""
    errors = []
    tier = None
    try:
        tier = Tier.model_validate_json(json.dumps(data))
    except ValidationError as found:
        errors = [_line(error) for error in found.errors() if not _follows(error)]
    errors += contradictions(data)
    errors += [
        f"{key}: is required; set it with 'pulumi config set --secret {key}'"
        for key in needed_secrets(data)
        if secrets is not None and key not in secrets and key not in data
    ]
    return tier, errors


def _follows(error: Any) -> bool:
    """Whether this only follows from others: a list that is empty because none of its entries is right."""
    return error["type"] == "too_short" and bool(error["input"])


def _line(error: Any) -> str:
    path = ".".join(str(part) for part in error["loc"] if part not in KINDS)
    if SECRET.match(path):
        return f"{path}: stands in clear in the stack's file; choose another and 'pulumi config set --secret {path}'"
    rule = REMEDIES.get(error["type"], error["msg"].removeprefix("Value error, ").replace("Input should", "must"))
    value = "" if error["type"] in ("missing", "extra_forbidden") else f" = {_shown(error['input'])}"
    return f"{path}{value}: {rule}"


def _shown(value: object) -> str:
    """The value as far as it may be shown: credentials in a URL are not."""
    if isinstance(value, str):
        scheme, separator, _ = value.partition("://")
        user, at, rest = value.rpartition("@")
        return repr(f"{scheme}{separator}***@{rest}" if separator and at else f"***@{rest}" if user else value)
    if isinstance(value, bool | int | float) or value is None:
        return repr(value)
    return f"a {type(value).__name__}"
