"""The unit that loads the rule sets at boot, and drop-ins that have it load them anew when others flush theirs.

A restart, reload or stop of nftables.service flushes the whole rule set of the kernel, iptables-nft's chains included;
netfilter-persistent.service puts tables as they once were in place of those that are there.
"""

from __future__ import annotations

from typing import Dict, Iterator

from hostctl import iptables_rules, nftables_rules
from hostctl.iptables import JUMPS
from hostctl.rule_table import WAIT
from hostctl.unit import HEADER

BOOT_UNIT = "http-registry-firewall.service"
UNIT_FILE = f"/etc/systemd/system/{BOOT_UNIT}"
FLUSHING = {
    "nftables.service": ("ExecStartPost", "ExecReload", "ExecStopPost"),
    "netfilter-persistent.service": ("ExecStartPost", "ExecStopPost"),
}
"""Others' units, and what of theirs has ours loaded anew. A drop-in for a unit that there is not does nothing."""
AFTER = (
    "local-fs.target systemd-modules-load.service nftables.service netfilter-persistent.service ufw.service "
    "firewalld.service iptables.service ip6tables.service"
)


def files() -> Dict[str, str]:
    """The units' files by path; the same ones whichever program the rules are for."""
    return {
        UNIT_FILE: _unit(),
        **{f"/etc/systemd/system/{name}.d/http-registry.conf": _drop_in(name) for name in FLUSHING},
    }


def _unit() -> str:
    """Early, like the host's own firewall, and behind those that flush what they find.

    DefaultDependencies=no: the network waits for this, and on some hosts sysinit.target waits for the network.
    StartLimitIntervalSec=0: however often somebody reloads his rules, ours come back.
    """
    lines = [
        f"# {HEADER}",
        "[Unit]",
        "Description=Who reaches the ports of the registries (http-registry)",
        "DefaultDependencies=no",
        "Wants=network-pre.target",
        f"After={AFTER}",
        "Before=network-pre.target docker.service shutdown.target",
        "Conflicts=shutdown.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=oneshot",
        "RemainAfterExit=yes",
        # A shell finds the programs, which are in /usr/sbin or /sbin.
        *(f"ExecStart=/bin/sh -c '{each}'" for each in _commands()),
        "",
        "[Install]",
        "WantedBy=multi-user.target",
        "",
    ]
    return "\n".join(lines)


def _commands() -> Iterator[str]:
    yield from _iptables("iptables", iptables_rules.FILES[4], "")
    yield from _iptables("ip6tables", iptables_rules.FILES[6], "test ! -e /proc/sys/net/ipv6 || ")
    yield f"test ! -e {nftables_rules.FILE} || nft -f {nftables_rules.FILE}"


def _iptables(program: str, path: str, unless: str) -> Iterator[str]:
    unless = f"test ! -e {path} || {unless}"
    yield f"{unless}{program}-restore --wait {WAIT} --noflush {path}"
    for chain, ours in JUMPS.items():
        rule = f"-t mangle -{{}} {chain} -j {ours}"
        there = f"{program} -w {WAIT} {rule.format('C')} 2>/dev/null"
        yield f"{unless}{there} || {program} -w {WAIT} {rule.format('I')}"


def _drop_in(name: str) -> str:
    again = f"-/bin/sh -c 'systemctl --no-block try-restart {BOOT_UNIT}'"
    return "\n".join([f"# {HEADER}", "[Service]", *(f"{when}={again}" for when in FLUSHING[name]), ""])
