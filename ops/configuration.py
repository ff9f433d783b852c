"""A stack's settings without the engine: read from its file."""

from __future__ import annotations

import yaml

from ops.stack import PROJECT, StackError
from settings import SettingsError, Tier, parse
from settings.known_hosts import host_keys

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


def keys_of(tier: Tier) -> dict[str, str]:
    """Each host's public key by its name. Raises StackError that lists the hosts without one."""
    try:
        return host_keys(tier, (PROJECT / tier.known_hosts).read_text() if tier.known_hosts else "")
    except (SettingsError, OSError) as wrong:
        raise StackError(str(wrong)) from None
