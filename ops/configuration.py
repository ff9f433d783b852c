"""A stack's settings without the engine: read from its file."""

from __future__ import annotations

import yaml

from ops.stack import PROJECT, StackError
from settings import SettingsError, Tier, parse

PROJECT_NAME = "http-registry"


def tier_of(stack: str) -> Tier:
    """The settings of a stack; secrets are left out. Raises StackError that lists what is wrong."""
    text = (PROJECT / "stacks" / f"Pulumi.{stack}.yaml").read_text()
    config = yaml.safe_load(text).get("config", {})
    plain = {
        key.removeprefix(f"{PROJECT_NAME}:"): value
        for key, value in config.items()
        if key.startswith(f"{PROJECT_NAME}:") and not (isinstance(value, dict) and "secure" in value)
    }
    try:
        return parse(plain)
    except SettingsError as wrong:
        raise StackError(str(wrong)) from None
