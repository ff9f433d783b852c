"""What is ours in the config.json of Docker's command line: logins and credential helpers of accounts of a host.

Source: docs.docker.com/reference/cli/docker/login, credential stores and credential helpers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hostctl.docker_cli_config import AUTHS, HELPERS, STORE, key_of
from hostctl.masking import MASK
from settings.runtimes import CommandLine


@dataclass(frozen=True)
class DockerCli:
    """The accounts' logins, with `passwords` by the name of the secret, and their helpers."""

    lines: tuple[CommandLine, ...]
    passwords: Mapping[str, str]

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit docker-cli; it holds passwords."""
        return {
            "users": [
                {
                    "user": line.user,
                    "auths": {
                        login.registry: {"user": login.user, "password": self.passwords[login.secret]}
                        for login in line.logins
                    },
                    "store": line.store,
                    "helpers": dict(line.helpers),
                }
                for line in self.lines
            ]
        }

    def shown(self) -> dict[str, str]:
        """Path to text, for people: the members that are ours, without secrets."""
        return {f"~{line.user}/.docker/config.json": _shown(line) for line in self.lines}


def render(lines: Sequence[CommandLine], passwords: Mapping[str, str]) -> DockerCli:
    """The accounts of one host."""
    return DockerCli(tuple(lines), passwords)


def _shown(line: CommandLine) -> str:
    logins = {key_of(login.registry): {"user": login.user, "auth": MASK} for login in line.logins}
    helpers = {key_of(server): helper for server, helper in line.helpers.items()}
    helpers |= dict.fromkeys(logins if line.store else [], "")
    members = {AUTHS: logins, STORE: line.store, HELPERS: helpers}
    return json.dumps({key: value for key, value in members.items() if value}, indent=2) + "\n"
