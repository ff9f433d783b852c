"""`firewall`: our chains in the mangle tables now, and a unit that loads them at the next boot."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping

from hostctl import wishes
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.host import Host
from hostctl.iptables import BOOT_UNIT, RULES, Table
from hostctl.transaction import wait_until
from hostctl.unit import RELOAD, Change, OwnFile, Unit, Wish

UNIT_FILE = f"/etc/systemd/system/{BOOT_UNIT}"
WANTS = "/etc/systemd/system/multi-user.target.wants"
IPV6 = "/proc/sys/net/ipv6"
DOCKER_NETWORK = re.compile(r"br-[0-9a-f]{12}")


class Firewall(Unit):
    """Wish: `files` (each: path, content, mode; the rule sets and the boot unit), `ports`, `allow`, `ssh_port`."""

    name = "firewall"

    def preflight(self, host: Host, wish: Wish) -> None:
        """iptables is there, and the admin who asks for this stays in."""
        if not host.has("iptables-restore"):
            raise HostError("iptables: not installed on this host; install it (Debian: apt-get install iptables)")
        refuse_lock_out(wish, os.environ.get("SSH_CONNECTION", ""))
        if not _has_ipv6(host):
            self.notes.append("this host has no IPv6: only IPv4 is guarded")
        for name in sorted(each.name for each in host.path("/sys/class/net").glob("br-*")):
            if not DOCKER_NETWORK.fullmatch(name):
                self.notes.append(
                    f"{name}: its name is like a Docker network's, and it is treated as one: networks outside of the "
                    "allowlist can't open connections into it, and it may reach containers by their own addresses"
                )

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """The files as the controller rendered them."""
        own = []
        for each in wish.get("files") or []:
            path = wishes.text(each, "path")
            if path not in (*RULES.values(), UNIT_FILE):
                raise HostError(f"wish, files: {path} is none of {', '.join(RULES.values())}, {UNIT_FILE}")
            content = wishes.text(each, "content").encode()
            own.append(OwnFile(path, FileState(content, wishes.count(each, "mode") or 0o644)))
        if {each.path for each in own} != {*RULES.values(), UNIT_FILE}:
            raise HostError("wish, files: must hold both rule sets and the boot unit")
        return own

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """`iptables-restore --test` on the coming rules."""
        for table in _tables(host):
            path = RULES[table.program]
            if path in candidates:
                table.refuse(candidates[path].read_text())

    def activation(self, host: Host, change: Change) -> str:
        """Rules are exchanged in one step; connections of allowed peers go on."""
        return RELOAD

    def activate(self, host: Host, change: Change, level: str) -> None:
        """Load or clear the chains; enable or forget the boot unit."""
        for table in _tables(host):
            rules = change.text(RULES[table.program])
            if rules is None:
                table.clear()
            else:
                table.load(rules.decode())
        if change.text(UNIT_FILE) is None:
            host.run("systemctl", "stop", BOOT_UNIT)
            _boot_link(host).unlink(missing_ok=True)
            host.must("systemctl", "daemon-reload")
            return
        host.must("systemctl", "daemon-reload")
        host.must("systemctl", "enable", BOOT_UNIT)
        # What the next boot will do, done now: it changes nothing, and fails here rather than then.
        host.must("systemctl", "restart", BOOT_UNIT)

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """`iptables -S` shows the rules, with the jumps first; the boot unit is enabled, or gone."""
        wait_until(lambda: _complaint(host, change) or None, patience)

    def observe(self, host: Host) -> Dict[str, str]:
        """Our chains' rules, by program."""
        if not host.has("iptables"):
            return {}
        return {
            f"{table.program} -t mangle -S": "".join(f"{each}\n" for each in table.ours()) for table in _tables(host)
        }


def _boot_link(host: Host) -> Path:
    """What `systemctl enable` makes, itself: `systemctl disable` can't remove it once the unit's file is gone."""
    return host.path(WANTS) / BOOT_UNIT


def _has_ipv6(host: Host) -> bool:
    return host.path(IPV6).exists()


def _tables(host: Host) -> List[Table]:
    return [Table(host, program) for program in RULES if program == "iptables" or _has_ipv6(host)]


def _complaint(host: Host, change: Change) -> str:
    for table in _tables(host):
        rules = change.text(RULES[table.program])
        found = table.remains() if rules is None else table.complaint(rules.decode())
        if found:
            return found
    if change.text(UNIT_FILE) is not None and not _boot_link(host).exists():
        return f"{BOOT_UNIT} is not enabled, so the next boot would leave the ports open"
    return ""


def refuse_lock_out(wish: Wish, connection: str) -> None:
    """`connection`: $SSH_CONNECTION, the client's address and port and the server's."""
    ports = set(wish.get("ports") or [])
    client, _, _, port = connection.split() if len(connection.split()) == 4 else ("", "", "", "0")
    guarded = sorted(ports & {wish.get("ssh_port"), int(port)})
    if not guarded or not client:
        return
    source: Any = ipaddress.ip_address(client.split("%")[0])
    source = getattr(source, "ipv4_mapped", None) or source
    networks = [ipaddress.ip_network(each) for each in wishes.texts(wish, "allow")]
    if source.is_loopback or any(source.version == each.version and source in each for each in networks):
        return
    raise HostError(
        f"port {guarded[0]}: is sshd's, and the allowlist ({', '.join(map(str, networks))}) does not hold {source}, "
        "where you come from: it would lock you out; add that address to firewall.allow or leave the port out"
    )
