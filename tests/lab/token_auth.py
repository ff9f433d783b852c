"""The lab's token server on any host, for as long as a test needs it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lab import token_server
from lab.paths import SOURCES
from tests.lab.hosts import must

FOLDER = "/root/token-server"
UNIT = "lab-token-server"


@contextmanager
def token_auth(
    name: str, port: int, service: str, users: Mapping[str, token_server.User], anonymous: token_server.Access
) -> Iterator[str]:
    """Run it on a port of the host; gives its key set, which a registry reads as auth.token.jwks.

    The issuer is "lab", tokens are at /token. `journalctl -u lab-token-server -o cat` there has a line a request.
    """
    config: dict[str, Any] = {
        "address": "0.0.0.0", "port": port, "issuer": "lab", "service": service,
        "key": f"{FOLDER}/key", "jwks": f"{FOLDER}/jwks.json", "lifetime": 300, "anonymous": anonymous,
        "users": {user: {"password": its.password, "access": its.access} for user, its in users.items()},
    }  # fmt: skip
    program = (SOURCES / "token_server.py").read_text()
    must(name, f"mkdir -m 700 {FOLDER} && cat > {FOLDER}/token_server.py", stdin=program)
    try:
        must(name, f"cat > {FOLDER}/config.json", stdin=json.dumps(config))
        must(name, f"systemd-run -q --unit {UNIT} python3 {FOLDER}/token_server.py {FOLDER}/config.json")
        _wait(name, port)
        yield must(name, f"cat {FOLDER}/jwks.json")
    finally:
        must(name, f"systemctl stop {UNIT}; rm -r {FOLDER}")


def allow(name: str, user: str, access: token_server.Access) -> None:
    """Change what a user may do; tokens that he has stay as they are."""
    config = json.loads(must(name, f"cat {FOLDER}/config.json"))
    config["users"][user]["access"] = access
    must(name, f"cat > {FOLDER}/config.json && systemctl restart {UNIT}", stdin=json.dumps(config))
    _wait(name, config["port"])


def _wait(name: str, port: int) -> None:
    must(name, f"timeout 20 sh -c 'until curl -s -o /dev/null http://127.0.0.1:{port}/; do sleep 0.1; done'")
