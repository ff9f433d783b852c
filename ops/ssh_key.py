"""The stack's own SSH key: `ops` logs in with it, `make ssh-key` replaces it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from hostctl.authorized_keys import fingerprint
from ops import ssh_agent
from ops.checkpoint import PROJECT_NAME
from ops.deployment import hosts_of, name_of, resources_of
from ops.joined_agents import joined
from ops.stack import PROJECT, Stack, StackError
from settings import SettingsError
from settings.ssh_key import BEFORE, KEY, new_key, openssh, public_half, public_key

CONFIRMED = "ssh-access-confirmed"


@contextmanager
def usable(stack: Stack) -> Iterator[None]:
    """Have the stack's keys in the agent that its environment names: the new one, the one before, then the user's own.

    Without `ssh-key` the user's agent stays what it is. Raises StackError for a key that can't be used.
    """
    if not _is_set(stack.name):
        yield
        return
    try:
        secrets = stack.secrets()
        public_key(secrets.get)
        keys = [openssh(name, secrets[name]) for name in (KEY, BEFORE) if name in secrets]
    except SettingsError as wrong:
        raise StackError(str(wrong)) from None
    users = stack.environment.get("SSH_AUTH_SOCK")
    with ssh_agent.holding(*keys) as own, joined([own, users] if users else [own]) as socket:
        stack.environment["SSH_AUTH_SOCK"] = socket
        yield


def renew(stack: Stack) -> list[str]:
    """Make a new key the stack's; returns lines for a person.

    Raises StackError where a host still waits for the one that there is: the one before it, with which that host is
    reached, would be lost.
    """
    secrets = stack.secrets()
    now = secrets.get(KEY)
    if now is not None:
        late = without_key(stack.state()["deployment"], public_half(KEY, now))
        if BEFORE in secrets and late:
            raise StackError(
                f"{', '.join(late)}: not yet reached by the {KEY} that there is, and {BEFORE} is what opens it; "
                f"'make up STACK={stack.name}' first, or 'make forget' a host that is gone for good"
            )
        stack.set_secret(BEFORE, now)
    made = new_key()
    stack.set_secret(KEY, made)
    return [
        f"{public_half(KEY, made)} http-registry {PROJECT_NAME}/{stack.name}",
        f"'make up STACK={stack.name}' takes it to every host that your agent's keys or {BEFORE} open; "
        "for a new host the line above can stand in its installer's authorized_keys.",
    ]


def told_when_before_is_over(stack: Stack) -> str:
    """A line for a person once no host needs the key before any more; empty otherwise."""
    if not _is_set(stack.name):
        return ""
    secrets = stack.secrets()
    if BEFORE not in secrets or without_key(stack.state()["deployment"], public_half(KEY, secrets[KEY])):
        return ""
    return f"every host has the {KEY}; 'pulumi config rm {BEFORE} --stack {stack.name}' forgets the one before it"


def without_key(deployment: dict[str, Any], public: str) -> list[str]:
    """The hosts of a state that have never confirmed this key."""
    said = {name_of(each["urn"]): (each.get("outputs") or {}).get("stdout") for each in resources_of(deployment)}
    reports = {host: said.get(f"{host}-{CONFIRMED}") for host in hosts_of(deployment)}
    return [
        host
        for host, report in reports.items()
        if not isinstance(report, str) or not report or json.loads(report).get("key") != fingerprint(public)
    ]


def _is_set(stack: str) -> bool:
    """Whether the stack's file has a key; asking pulumi takes a second."""
    whole = yaml.safe_load((PROJECT / "stacks" / f"Pulumi.{stack}.yaml").read_text()) or {}
    return any(f"{PROJECT_NAME}:{name}" in (whole.get("config") or {}) for name in (KEY, BEFORE))
