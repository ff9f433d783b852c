"""`firewall`: our rules in the kernel's tables now, and a unit that loads them at the next boot."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

from hostctl import firewall_programs, wishes
from hostctl.admin_access import refuse_lock_out, ssh_connection, ssh_ends
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.firewall_boot import BOOT_UNIT, UNIT_FILE
from hostctl.firewall_programs import left_tables, tables
from hostctl.firewall_rules import Policy, Rule, rules_of
from hostctl.first_boot import FirstBoot
from hostctl.foresight import Foresight
from hostctl.host import Host
from hostctl.listeners import listeners
from hostctl.store import Store
from hostctl.systemd import boot_link, enable, forget
from hostctl.unit import NONE, RELOAD, Change, OwnFile, Unit, Wish
from hostctl.waiting import wait_until

INTERFACES = "/sys/class/net"
CONFIRM_SECONDS = 30
DOCKER_NETWORK = re.compile(r"br-[0-9a-f]{12}")


class Firewall(Unit):
    """Wish: `rules` (each: ports, allow, interface or null), `containers`, `ssh_port`.

    `confirm_seconds` (default 30): how long a changed policy is in force without a confirmation. `force`: whether one
    that would shut out who asks for it is applied all the same, until then.
    """

    name = "firewall"

    def __init__(self) -> None:
        super().__init__()
        self._in_force: List[Dict[str, Any]] = []

    def confirm_seconds(self, wish: Wish) -> Optional[int]:
        """A policy can shut out whoever would have to repair it."""
        return wishes.count(wish, "confirm_seconds") or CONFIRM_SECONDS

    def unconfirmed(self, host: Host, client: str, since: float, until: float) -> str:
        """The allowlist may lack the admin."""
        return f"{super().unconfirmed(host, client, since, until)} (firewall.allow)"

    def preflight(self, host: Host, wish: Wish) -> None:
        """A program is there that guards, so are the interfaces, and the admin who asks for this stays in."""
        firewall_programs.uses_iptables(host)
        for rule in rules_of(wish):
            _refuse_interface(host, rule)
        risk = refuse_lock_out(wish, ssh_connection())
        self.notes += [risk] if risk else []
        if not firewall_programs.has_ipv6(host):
            self.notes.append("this host has no IPv6: only IPv4 is guarded")

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """The rule sets for the program that this host has, with what only this host knows, and the boot unit."""
        rules = rules_of(wish)
        rules += self._rules_of_ports_in_use(host, wish, {port for rule in rules for port in rule.ports})
        self._in_force = [rule.to_json() for rule in rules]
        policy = Policy(rules, wishes.flag(wish, "containers"), tuple(self._bridges_of_others(host)))
        files = firewall_programs.documents(host, policy)
        return [OwnFile(path, FileState(text.encode(), 0o644)) for path, text in files.items()]

    def facts(self, host: Host, wish: Wish, before: Mapping[str, Any]) -> Dict[str, Any]:
        """The rules in force, for the next change."""
        return {"rules": self._in_force}

    def _rules_of_ports_in_use(self, host: Host, wish: Wish, named: Set[int]) -> Tuple[Rule, ...]:
        """The rules of ports that the wish no longer names and that are guarded, as they were, until nobody listens.

        A stack changes its policy first: without this they would be everybody's until what listens there is stopped.
        sshd goes on, and its port must not be closed to an admin whom the allowlist does not hold.
        """
        record = Store(host).record(self.name)
        known = record.facts.get("rules") if record else None
        before = rules_of({"rules": known}) if known else ()
        _, ssh_ports = ssh_ends(wish, ssh_connection())
        left = {port for rule in before for port in rule.ports} - named - ssh_ports
        published = {port for table in tables(host) for port in table.published()} if left else set()
        users = {port: sorted({each.name for each in listeners(port)}) for port in sorted(left)}
        users = {port: names or ["a published port"] * (port in published) for port, names in users.items()}
        self.notes += [
            f"port {port}: no longer in the policy, but still used ({', '.join(names)}); it stays guarded until "
            "the policy is applied while nobody uses it"
            for port, names in users.items()
            if names
        ]
        kept = (replace(rule, ports=tuple(port for port in rule.ports if users.get(port))) for rule in before)
        return tuple(rule for rule in kept if rule.ports)

    def _bridges_of_others(self, host: Host) -> List[str]:
        """The interfaces that the rules about Docker's bridges would hit by their names."""
        names = sorted(each.name for each in host.path(INTERFACES).glob("br-*"))
        others = [name for name in names if not DOCKER_NETWORK.fullmatch(name)]
        self.notes += [
            f"{name}: not a Docker network's own name; connections into it are left alone, those from it into Docker's "
            "networks are judged by the allowlist (where Docker does own it, its containers' addresses are unguarded)"
            for name in others
        ]
        return others

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """`iptables-restore --test` or `nft --check` on the coming rules."""
        for table in tables(host):
            if table.path in candidates:
                table.refuse(candidates[table.path].read_text())

    def activation(self, host: Host, change: Change) -> str:
        """Rules are exchanged in one step; connections of allowed peers go on."""
        return RELOAD

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """As `activation` does. `known`: `confirm_seconds` too; it and `force` alone change nothing on the host."""
        if not change.changed:
            return Foresight((NONE,), "nothing is loaded: only how a change is confirmed is another")
        if change.text(UNIT_FILE) is None and UNIT_FILE in change.changed:
            return Foresight((RELOAD,), "the firewall's rules are cleared")
        seconds = known.get("confirm_seconds", CONFIRM_SECONDS)
        return Foresight(
            (RELOAD,),
            f"the firewall's rules are exchanged on trial: they go back by themselves after {seconds} s unless a new "
            "SSH connection confirms them; connections of allowed peers go on",
        )

    def activate(self, host: Host, change: Change, level: str) -> None:
        """Load or clear the rules; enable or forget the boot unit. What another program had goes last."""
        there = tables(host)
        counters = {table.path: table.counters() for table in there}
        if change.text(UNIT_FILE) is None:
            forget(host, BOOT_UNIT)
        else:
            enable(host, BOOT_UNIT)
            # What the next boot will do, done now: it fails here rather than then. It knows of no counters.
            host.must("systemctl", "restart", BOOT_UNIT)
        for table in there:
            rules = change.text(table.path)
            if rules is not None:
                table.load(rules.decode(), counters[table.path])
        for table in there:
            if change.text(table.path) is None:
                table.clear()
        for table in left_tables(host):
            table.clear()

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """The program lists the rules, before all others; the boot unit is enabled, or gone."""
        wait_until(lambda: _complaint(host, change) or None, patience)

    def first_boot(self, change: Change) -> FirstBoot:
        """What loads the rules at each boot."""
        return FirstBoot((BOOT_UNIT,))

    def observe(self, host: Host) -> Dict[str, str]:
        """Our rules, by the command that lists them."""
        return {
            table.title: "".join(f"{each}\n" for each in ours)
            for table in tables(host)
            for ours in [table.ours()]
            if ours
        }

    def report(self, host: Host, change: Change) -> Dict[str, Any]:
        """`program`: what carries the rules out; `beside`: who else guards the host."""
        program, beside = firewall_programs.described(host), firewall_programs.others(host)
        also = f"; beside it: {', '.join(beside)}, whose rules are left alone" if beside else ""
        notes = [f"guarded by {program}{also}", firewall_programs.caveat(host)]
        return {"program": program, "beside": beside, "notes": list(filter(None, notes))}


def _refuse_interface(host: Host, rule: Rule) -> None:
    """Raise HostError where a rule would judge nothing, and leave its ports open, since nothing comes in there."""
    place = host.path(INTERFACES) / rule.interface
    if not rule.interface:
        return
    which = f"firewall rule for the ports {', '.join(map(str, rule.ports))}: interface {rule.interface}"
    if not place.exists():
        raise HostError(f"{which}: this host has none of that name; look at 'ip link'")
    if (place / "brport").exists() or (place / "bonding_slave").exists():
        master = (place / "master").resolve().name
        raise HostError(f"{which}: is a part of {master}, where its packets come in; name that instead")


def _complaint(host: Host, change: Change) -> str:
    for table in tables(host):
        rules = change.text(table.path)
        found = table.remains() if rules is None else table.complaint(rules.decode())
        if found:
            return found
    for table in left_tables(host):
        found = table.remains()
        if found:
            return found
    if change.text(UNIT_FILE) is not None and not boot_link(host, BOOT_UNIT).exists():
        return f"{BOOT_UNIT} is not enabled, so the next boot would leave the ports open"
    return ""
