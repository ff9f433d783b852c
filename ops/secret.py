"""`make secret`: `pulumi config set --secret` by the project's own pulumi, in a stack that is made if it isn't there.

Without a key it tells which secrets the stack still needs.
"""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ops.checkpoint import PROJECT_NAME
from ops.stack import Stack, StackError
from ops.stack_file import plain_settings

CERTIFIED = "tls-key-"
"""Keys that `make certificates` can set."""


def set_secret(stack: Stack, key: str) -> None:
    """Set a secret to what is asked for on the terminal, or to all of standard input where that is none.

    Raises StackError where no setting could need a secret of this name, or nothing is given.
    """
    from settings.secret_names import SECRET

    if not SECRET.match(key):
        raise StackError(f"KEY={key}: is no secret's name; this stack needs {', '.join(_needed(stack)) or 'none'}")
    value = getpass.getpass(f"{key}: ") if sys.stdin.isatty() else sys.stdin.read()
    if not value.strip():
        raise StackError(f"{key}: nothing was given, nothing is set; type it, or pipe it in")
    stack.set_secret(key, value)


def missing_secrets(stack: Stack) -> list[str]:
    """The secrets that the stack's settings need and that are not set."""
    listed = json.loads(stack.pulumi("config", "--json", quiet=True))
    return [key for key in _needed(stack) if f"{PROJECT_NAME}:{key}" not in listed]


@contextmanager
def telling_what_is_missing(stack: Stack) -> Iterator[None]:
    """Where the block fails and secrets are missing, tell the commands that set them."""
    try:
        yield
    except StackError:
        if missing := missing_secrets(stack):
            print("\n".join(told(stack.name, missing)), flush=True)
        raise


def told(stack: str, missing: Sequence[str]) -> list[str]:
    """A line for each secret that is missing, with the command that sets it."""
    if not missing:
        return ["every secret that the settings need is set"]
    certificates = f" (or make certificates STACK={stack})"
    return [
        f"still to set: make secret STACK={stack} KEY={key}{certificates if key.startswith(CERTIFIED) else ''}"
        for key in missing
    ]


def _needed(stack: Stack) -> list[str]:
    from settings.contradictions import needed_secrets

    return list(dict.fromkeys(needed_secrets(plain_settings(stack.name))))
