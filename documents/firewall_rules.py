"""Who reaches the guarded ports of a host, as rule sets for iptables and ip6tables and a unit that loads them at boot.

The guard stands in the mangle table's PREROUTING: before Docker's DNAT a packet still names the port that its sender
asked for, so one rule covers host processes, host networking and published ports; and neither Docker nor ufw writes
there. Who routes to a container's own address asks no published port: FORWARD decides about that.
Options stand in the order in which `iptables -S` prints them.

What only the host knows is added there, by `hostctl.iptables.for_host`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from documents.document import HEADER_LINE, Document
from hostctl.iptables import (
    BOOT_UNIT,
    FORWARD,
    FORWARD_CHAIN,
    GUARD_CHAIN,
    PREROUTING,
    PREROUTING_CHAIN,
    RULES,
    bridge_rules,
    port_rules,
)

OWN_BRIDGE = "http-registry0"
"""The bridge of the registries' network: reached by the host itself and through published ports only."""
PROGRAMS = {4: "iptables", 6: "ip6tables"}
AFTER = "local-fs.target systemd-modules-load.service nftables.service netfilter-persistent.service ufw.service"


def render(ports: Sequence[int], allow: Sequence[str]) -> tuple[Document, ...]:
    """The rule sets of both families, and the boot unit. `ports`: TCP; `allow`: networks of either family."""
    networks = [ipaddress.ip_network(each) for each in allow]
    by_family = {family: [str(each) for each in networks if each.version == family] for family in PROGRAMS}
    rules = (Document(RULES[PROGRAMS[family]], _rules(family, ports, some)) for family, some in by_family.items())
    return (*rules, Document(f"/etc/systemd/system/{BOOT_UNIT}", _boot_unit()))


def _rules(family: int, ports: Sequence[int], allow: Sequence[str]) -> str:
    lines = [
        "*mangle",
        *(f":{chain} - [0:0]" for chain in (PREROUTING_CHAIN, GUARD_CHAIN, FORWARD_CHAIN)),
        *_prerouting(family, ports),
        *_guard(allow),
        *_forward(allow),
        "COMMIT",
    ]
    return HEADER_LINE + "\n".join(lines) + "\n"


def _prerouting(family: int, ports: Sequence[int]) -> Iterable[str]:
    yield f"-A {PREROUTING_CHAIN} -i lo -j RETURN"
    if family == 4:
        # Docker < 28 sends what a neighbour routes to 127.0.0.1 into the container published there (moby#45610).
        yield f"-A {PREROUTING_CHAIN} -d 127.0.0.0/8 -j DROP"
    yield from port_rules(ports)


def _guard(allow: Sequence[str]) -> Iterable[str]:
    # An answer to a connection of the host's own may come back to a port that is guarded for others.
    yield f"-A {GUARD_CHAIN} -m conntrack --ctdir REPLY -j RETURN"
    yield f"-A {GUARD_CHAIN} -m addrtype --src-type LOCAL -j RETURN"
    yield from (f"-A {GUARD_CHAIN} {_from(each)}-j RETURN" for each in allow)
    yield f"-A {GUARD_CHAIN} -j DROP"


def _forward(allow: Sequence[str]) -> Iterable[str]:
    yield f"-A {FORWARD_CHAIN} -m conntrack --ctdir REPLY -j RETURN"
    yield f"-A {FORWARD_CHAIN} -m conntrack --ctstate DNAT -j RETURN"
    yield f"-A {FORWARD_CHAIN} -i {OWN_BRIDGE} -j RETURN"
    yield f"-A {FORWARD_CHAIN} -o {OWN_BRIDGE} -j DROP"
    yield from (f"-A {FORWARD_CHAIN} {_from(each)}-j RETURN" for each in allow)
    yield from bridge_rules()


def _from(network: str) -> str:
    """`-S` does not print the network that everybody is in."""
    return "" if network.endswith("/0") else f"-s {network} "


def _boot_unit() -> str:
    """Early, like the host's own firewall, and behind those that flush what they find.

    DefaultDependencies=no: the network waits for this, and on some hosts sysinit.target waits for the network.
    """
    return HEADER_LINE + "\n".join(
        [
            "[Unit]",
            "Description=Who reaches the ports of the registries (http-registry)",
            "DefaultDependencies=no",
            "Wants=network-pre.target",
            f"After={AFTER} firewalld.service iptables.service ip6tables.service",
            "Before=network-pre.target docker.service shutdown.target",
            "Conflicts=shutdown.target",
            "",
            "[Service]",
            "Type=oneshot",
            "RemainAfterExit=yes",
            *_loading("iptables"),
            *_loading("ip6tables", "test ! -e /proc/sys/net/ipv6 || "),
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        ]
    )


def _loading(program: str, unless: str = "") -> Iterable[str]:
    yield _shell(f"{unless}{program}-restore --wait 60 --noflush {RULES[program]}")
    for chain, ours in ((PREROUTING, PREROUTING_CHAIN), (FORWARD, FORWARD_CHAIN)):
        rule = f"-t mangle -{{}} {chain} -j {ours}"
        there = f"{program} -w 60 {rule.format('C')} 2>/dev/null"
        yield _shell(f"{unless}{there} || {program} -w 60 {rule.format('I')}")


def _shell(command: str) -> str:
    """A shell finds the programs, which are in /usr/sbin or /sbin."""
    return f"ExecStart=/bin/sh -c '{command}'"
