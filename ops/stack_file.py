"""What stands in a stack's file, unchecked: for who needs no more, since the types of all settings take 0.2 s."""

from __future__ import annotations

from typing import Any

import yaml

from ops.checkpoint import PROJECT_NAME
from ops.stack import PROJECT

AS_TEXT = {"true": True, "false": False}
"""How pulumi writes these where it writes the file itself."""


def plain_settings(stack: str) -> dict[str, Any]:
    """What stands there in clear."""
    text = (PROJECT / "stacks" / f"Pulumi.{stack}.yaml").read_text()
    config = yaml.safe_load(text).get("config", {})
    return {
        key.removeprefix(f"{PROJECT_NAME}:"): AS_TEXT.get(value, value) if isinstance(value, str) else value
        for key, value in config.items()
        if key.startswith(f"{PROJECT_NAME}:") and not (isinstance(value, dict) and "secure" in value)
    }


def observes(stack: str) -> bool:
    """Whether a preview asks the hosts first. Raises StackError where the settings that say so are wrong.

    A file that is not there is told by others.
    """
    try:
        if plain_settings(stack).get("observe") in (None, False):
            return False
    except OSError:
        return False
    from ops.configuration import tier_of

    return tier_of(stack).observe
