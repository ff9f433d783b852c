"""A tier's file as its reader takes it: the commands in its head are typed as they stand there."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from tests.checkout import Checkout

STACKS = Path(__file__).parents[1] / "stacks"
COMMAND = re.compile(r"^#   (.*\bmake (?:secret|certificates) .*)$", re.MULTILINE)
"""How a head has commands that make what is not in the file."""
KEY = re.compile(r"\bKEY=(\S+)")


def text_of(tier: str) -> str:
    """The committed file."""
    return (STACKS / f"Pulumi.{tier}.yaml").read_text()


def renamed(text: str, tier: str, name: str) -> str:
    """The file as whoever copies it under another name changes it."""
    return text.replace(f"STACK={tier}", f"STACK={name}").replace(f"certificates/{tier}/", f"certificates/{name}/")


def type_head(checkout: Checkout, text: str, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Type the commands of a file's head; returns the secrets that were typed, random unless `known`.

    The command's output must not show them.
    """
    typed: dict[str, str] = {}
    for command in COMMAND.findall(text):
        key = KEY.search(command)
        value = (known or {}).get(key[1] if key else "", secrets.token_hex(12))
        said = checkout.run("sh", "-c", command, stdin=value)
        assert value not in said
        if key and "|" not in command:
            typed[key[1]] = value
    return typed
