"""The login that Docker's command line sends to a registry: root's, from its file or its helper."""

from __future__ import annotations

import json
from typing import NamedTuple, Optional, Tuple

from hostctl import docker_cli_config, files
from hostctl.errors import HostError
from hostctl.host import Host

CONFIG = "~root/.docker/config.json"
HELPER_PATIENCE = 3.0


class Sent(NamedTuple):
    """The login, and who has it; `unreadable`: why root's file is none, so that no login in it counts."""

    login: Optional[Tuple[str, str]] = None
    said_by: str = CONFIG
    unreadable: str = ""


def sent(host: Host, registry: str) -> Sent:
    """What `docker pull` as root sends to a registry that asks."""
    # Not host.read: its change of the effective user would be the other threads' as well.
    state = files.read(host.path(CONFIG))
    if state is None:
        return Sent()
    try:
        found = docker_cli_config.answer(CONFIG, state.content, registry)
    except HostError as broken:
        return Sent(unreadable=str(broken))
    if isinstance(found, str):
        helper = f"docker-credential-{found}"
        return Sent(_asked(host, helper, docker_cli_config.key_of(registry)), f"{helper}, by {CONFIG}")
    return Sent((found.user, found.password) if found else None)


def _asked(host: Host, helper: str, server: str) -> Optional[Tuple[str, str]]:
    try:
        done = host.run(helper, "get", stdin=server, timeout=HELPER_PATIENCE)
        answer = json.loads(done.output) if done.ok else {}
        return (answer["Username"], answer["Secret"]) if answer.get("Username") else None
    except (HostError, ValueError, KeyError, AttributeError):
        return None
