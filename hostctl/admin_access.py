"""The admin's own way in: which connection asks, and whether a policy would cut it off."""

from __future__ import annotations

import ipaddress
import os
from typing import Any, Set, Tuple

from hostctl import wishes
from hostctl.errors import HostError
from hostctl.firewall_rules import rules_of
from hostctl.unit import Wish


def ssh_connection() -> str:
    """$SSH_CONNECTION: the client's address and port and the server's, another one for each connection.

    Empty at the console (and behind a `sudo` that takes the variable away).
    """
    return os.environ.get("SSH_CONNECTION", "")


def client_address(connection: str) -> str:
    """Where the admin comes from; empty at the console."""
    words = connection.split()
    return words[0] if len(words) == 4 else ""


def ssh_ends(wish: Wish, connection: str) -> Tuple[str, Set[int]]:
    """Where the admin comes from, empty at the console; and sshd's ports."""
    client = client_address(connection)
    return client, {int(connection.split()[3]) if client else 0, wish.get("ssh_port") or 0}


def refuse_lock_out(wish: Wish, connection: str) -> str:
    """Raise HostError where the policy would shut out who asks for it; with `force` in the wish, return why as a note.

    `connection`: as `ssh_connection` gives it. Empty where nobody is shut out.
    """
    why = _shut_out(wish, connection)
    if not why:
        return ""
    if wishes.flag(wish, "force"):
        return f"{why}: applied all the same, as `force` says; unless you get in again, it is taken back by itself"
    raise HostError(
        f"{why}: it would lock you out; add that address to firewall.allow or leave the port out (or say "
        "firewall.force: true, and it is taken back by itself where you can't get in again)"
    )


def _shut_out(wish: Wish, connection: str) -> str:
    """Why the policy would shut out who asks for it; empty where it would not."""
    client, ssh_ports = ssh_ends(wish, connection)
    rules = [rule for rule in rules_of(wish) if ssh_ports & {*rule.ports}]
    if not rules or not client:
        return ""
    source: Any = ipaddress.ip_address(client.split("%")[0])
    source = getattr(source, "ipv4_mapped", None) or source
    # At which interface he comes in is not known, so he must get in at each.
    for interface in {rule.interface for rule in rules}:
        judging = [rule for rule in rules if rule.interface in ("", interface)]
        networks = [ipaddress.ip_network(each) for rule in judging for each in rule.allow]
        if source.is_loopback or any(source.version == each.version and source in each for each in networks):
            continue
        port, shown = min(ssh_ports & {*judging[0].ports}), ", ".join(map(str, networks))
        return f"port {port}: is sshd's, and the allowlist ({shown}) does not hold {source}, where you come from"
    return ""
