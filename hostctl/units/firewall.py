"""`firewall`: our chains in the mangle tables now, and a unit that loads them at the next boot."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Set

from hostctl import files, wishes
from hostctl.admin_access import refuse_lock_out, ssh_connection, ssh_ends
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.host import Host
from hostctl.iptables import BOOT_UNIT, RULES, Table, for_host, guarded_ports
from hostctl.listeners import listeners
from hostctl.systemd import boot_link, enable, forget
from hostctl.unit import RELOAD, Change, OwnFile, Unit, Wish
from hostctl.waiting import wait_until

UNIT_FILE = f"/etc/systemd/system/{BOOT_UNIT}"
IPV6 = "/proc/sys/net/ipv6"
CONFIRM_SECONDS = 30
DOCKER_NETWORK = re.compile(r"br-[0-9a-f]{12}")


class Firewall(Unit):
    """Wish: `files` (each: path, content, mode; the rule sets and the boot unit), `ports`, `allow`, `ssh_port`.

    `confirm_seconds` (default 30): how long a changed policy is in force without a confirmation. `force`: whether one
    that would shut out who asks for it is applied all the same, until then.
    """

    name = "firewall"

    def confirm_seconds(self, wish: Wish) -> Optional[int]:
        """A policy can shut out whoever would have to repair it."""
        return wishes.count(wish, "confirm_seconds") or CONFIRM_SECONDS

    def preflight(self, host: Host, wish: Wish) -> None:
        """iptables is there, and the admin who asks for this stays in."""
        if not host.has("iptables-restore"):
            raise HostError("iptables: not installed on this host; install it (Debian: apt-get install iptables)")
        risk = refuse_lock_out(wish, ssh_connection())
        self.notes += [risk] if risk else []
        if not _has_ipv6(host):
            self.notes.append("this host has no IPv6: only IPv4 is guarded")

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """The files as the controller rendered them, the rule sets with what only this host knows."""
        wished = {wishes.text(each, "path"): each for each in wish.get("files") or []}
        if wished.keys() != {*RULES.values(), UNIT_FILE}:
            raise HostError(f"wish, files: must be {', '.join(RULES.values())} and {UNIT_FILE}")
        ports, bridges = self._ports_in_use(host, wish), self._bridges_of_others(host)
        own = []
        for path, each in wished.items():
            content = wishes.text(each, "content")
            if path in RULES.values():
                content = for_host(content, ports, bridges)
            own.append(OwnFile(path, FileState(content.encode(), wishes.count(each, "mode") or 0o644)))
        return own

    def _ports_in_use(self, host: Host, wish: Wish) -> List[int]:
        """The ports that the wish no longer names and that are guarded until nobody listens there.

        A stack changes its policy first: without this they would be everybody's until what listens there is stopped.
        sshd goes on, and its port must not be closed to an admin whom the new allowlist does not hold.
        """
        _, ssh_ports = ssh_ends(wish, ssh_connection())
        left = _ports_in_force(host) - set(wish.get("ports") or []) - ssh_ports
        users = {port: sorted({each.name for each in listeners(port)}) for port in sorted(left)}
        for table in _tables(host) if left else []:
            for port in left & table.published():
                users[port] = users[port] or ["a published port"]
        kept = [port for port in users if users[port]]
        self.notes += [
            f"port {port}: no longer in the policy, but still used ({', '.join(users[port])}); it stays guarded until "
            "the policy is applied while nobody uses it"
            for port in kept
        ]
        return kept

    def _bridges_of_others(self, host: Host) -> List[str]:
        """The interfaces that the rules about Docker's bridges would hit by their names."""
        names = sorted(each.name for each in host.path("/sys/class/net").glob("br-*"))
        others = [name for name in names if not DOCKER_NETWORK.fullmatch(name)]
        self.notes += [
            f"{name}: not a Docker network's own name; connections into it are left alone, those from it into Docker's "
            "networks are judged by the allowlist (where Docker does own it, its containers' addresses are unguarded)"
            for name in others
        ]
        return others

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
            forget(host, BOOT_UNIT)
            return
        enable(host, BOOT_UNIT)
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


def _has_ipv6(host: Host) -> bool:
    return host.path(IPV6).exists()


def _tables(host: Host) -> List[Table]:
    return [Table(host, program) for program in RULES if program == "iptables" or _has_ipv6(host)]


def _ports_in_force(host: Host) -> Set[int]:
    """Those of the files too: the next boot loads them, whoever has flushed the chains meanwhile."""
    known = [files.read(host.path(path)) for path in RULES.values()]
    lines = [line for state in known if state for line in state.content.decode(errors="replace").splitlines()]
    return guarded_ports(lines + [line for table in _tables(host) for line in table.ours()])


def _complaint(host: Host, change: Change) -> str:
    for table in _tables(host):
        rules = change.text(RULES[table.program])
        found = table.remains() if rules is None else table.complaint(rules.decode())
        if found:
            return found
    if change.text(UNIT_FILE) is not None and not boot_link(host, BOOT_UNIT).exists():
        return f"{BOOT_UNIT} is not enabled, so the next boot would leave the ports open"
    return ""
