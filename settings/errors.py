"""All errors of a tier's settings at once, each with key path, value, rule and remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from settings.contradictions import contradictions, needed_secrets
from settings.raw_items import hashable
from settings.secret_names import SECRET
from settings.settings_error import SettingsError
from settings.tier import Tier
from settings.tier_rules import Given, broken

__all__ = ["SettingsError", "check", "parse"]

KINDS = ("hosted", "cache")
"""Pydantic puts the kind of a registry into the path; it is no key of the file."""

CREDENTIALS = re.compile(r"(\w://)\S*@")
"""Those in a URL, wherever somebody has put one."""

REMEDIES = {
    "extra_forbidden": "there is no such key here; remove it or correct its spelling",
    "missing": "is required; add it",
    "too_short": "must have at least one entry; add one",
    "json_invalid": "the settings hold a text with half a character (a lone surrogate, such as \\ud800); write it anew",
}


def parse(data: Mapping[str, Any], secrets: Collection[str] | None = None, stack: str | None = None) -> Tier:
    """Read the settings of a stack of that name; `secrets` names the secret keys that are set (None: don't check).

    Raises SettingsError with every error found, never only the first.
    """
    tier, errors = check(Given(data, stack), secrets)
    if tier is None or errors:
        raise SettingsError(errors)
    return tier


def check(given: Given, secrets: Collection[str] | None = None) -> tuple[Tier | None, list[str]]:
    """Like `parse`, for a caller that has more to check: the tier as far as its values are right, and every error."""
    data = hashable(given.data)
    given = replace(given, data=data)
    errors = []
    refused = set()
    tier = None
    try:
        tier = Tier.model_validate_json(json.dumps(data))
    except ValidationError as found:
        told = by_path(found)
        errors = [line for _, line in told]
        refused = {path for path, _ in told}
    # A value that is refused by itself has its line already.
    errors += [f"{path}{rest}" for path, rest in broken(given) if path not in refused]
    errors += contradictions(data)
    errors += [
        f"{key}: is required; set it with 'pulumi config set --secret {key}'"
        for key in needed_secrets(data)
        if secrets is not None and key not in secrets and key not in data
    ]
    return tier, [CREDENTIALS.sub(r"\1***@", line) for line in errors]


def by_path(found: ValidationError) -> list[tuple[str, str]]:
    """Each error of a model: its key path, and its line."""
    told = [error for error in found.errors() if not _follows(error) and not SECRET.match(_path(error))]
    return [(_path(error), _line(error)) for error in told]


def _follows(error: Any) -> bool:
    """Whether this only follows from others: a list that is empty because none of its entries is right."""
    return error["type"] == "too_short" and bool(error["input"])


def _path(error: Any) -> str:
    return ".".join(str(part) for part in error["loc"] if part not in KINDS)


def _line(error: Any) -> str:
    rule: str = REMEDIES.get(error["type"], error["msg"].removeprefix("Value error, ").replace("Input should", "must"))
    if error["type"] == "json_invalid":  # its value is all that there is, secrets in clear too
        return rule
    value = "" if error["type"] in ("missing", "extra_forbidden") else f" = {_shown(error['input'])}"
    return f"{_path(error)}{value}: {rule}"


def _shown(value: object) -> str:
    """The value as far as it may be shown: credentials in a URL are not."""
    if isinstance(value, str):
        scheme, separator, _ = value.partition("://")
        user, at, rest = value.rpartition("@")
        return repr(f"{scheme}{separator}***@{rest}" if separator and at else f"***@{rest}" if user else value)
    if isinstance(value, bool | int | float) or value is None:
        return repr(value)
    return f"a {type(value).__name__}"
