"""Which program guards a host, what an earlier one may have left, and who else guards it."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Sequence

from hostctl import iptables_rules, nftables_rules
from hostctl.errors import HostError
from hostctl.firewall_boot import files
from hostctl.firewall_rules import Policy
from hostctl.host import Host
from hostctl.iptables import Table
from hostctl.nftables import NftTable
from hostctl.rule_table import RuleTable

IPV6 = "/proc/sys/net/ipv6"
UFW = "/etc/ufw/ufw.conf"
FIREWALLD = "firewalld.service"
SERVICES = (FIREWALLD, "nftables.service", "netfilter-persistent.service")


def has_ipv6(host: Host) -> bool:
    """Whether the kernel speaks IPv6."""
    return host.path(IPV6).exists()


def uses_iptables(host: Host) -> bool:
    """Whether the rules go to iptables, whichever variant that is; else to nft. Raises HostError without both.

    firewalld empties all of iptables' tables each time that it starts, reloads or stops, whichever backend of its own
    it uses, and tells systemd nothing of a reload; it leaves other nft tables alone.
    """
    if not host.has("nft"):
        if host.has("iptables-restore"):
            return True
        raise HostError("iptables, nft: neither is installed here; install one (Debian: apt-get install iptables)")
    return host.has("iptables-restore") and FIREWALLD not in _services(host)


def documents(host: Host, policy: Policy) -> Dict[str, str]:
    """The files of a policy by path, for the program that this host has."""
    if uses_iptables(host):
        rules = {path: iptables_rules.render(policy, family) for family, path in iptables_rules.FILES.items()}
    else:
        rules = {nftables_rules.FILE: nftables_rules.render(policy)}
    return {**rules, **files()}


def tables(host: Host) -> List[RuleTable]:
    """The tables in which our rules may stand by their files: those of each program that there is."""
    programs = ["iptables", *(["ip6tables"] if has_ipv6(host) else [])] if host.has("iptables-restore") else []
    nft: Sequence[RuleTable] = [NftTable(host)] if host.has("nft") else []
    return [*(Table(host, program) for program in programs), *nft]


def left_tables(host: Host) -> Iterator[RuleTable]:
    """The tables of iptables' other variant: our rules there are from before the host changed to this one."""
    if not host.has("iptables-restore"):
        return
    other = "nft" if _variant(host) == "legacy" else "legacy"
    for program in ("iptables", *(["ip6tables"] if has_ipv6(host) else [])):
        name = f"{program}-{other}"
        if not host.has(f"{name}-restore"):
            continue
        # Asking the legacy variant would make its tables; the kernel names those that there are.
        names = host.run("cat", f"/proc/net/{program.replace('tables', '_tables')}_names").output.split()
        if "mangle" in names if other == "legacy" else host.run(name, "-t", "mangle", "-S").ok:
            yield Table(host, name)


def described(host: Host) -> str:
    """The program that is used, its version and, of iptables, its variant."""
    if not uses_iptables(host):
        return f"nftables {_version(host, 'nft')}"
    return f"iptables {_version(host, 'iptables')} ({_variant(host)})"


def others(host: Host) -> List[str]:
    """Who else guards the host."""
    ufw = host.read(UFW)
    return [*(["ufw"] if ufw and re.search(rb"^ENABLED=yes", ufw.content, re.MULTILINE) else []), *_services(host)]


def caveat(host: Host) -> str:
    """What somebody else's rules may do to ours; empty where nothing is known."""
    if uses_iptables(host) and FIREWALLD in _services(host):
        return "firewalld empties iptables' tables at each reload, with our rules in them: install nftables, then apply"
    return ""


def _services(host: Host) -> List[str]:
    """The services that guard the host now or will at the next boot."""
    shown = host.run("systemctl", "show", "-p", "Id,ActiveState,UnitFileState", *SERVICES).output
    found = []
    for block in shown.split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        states = (values.get("ActiveState"), values.get("UnitFileState"))
        if "active" in states or "enabled" in states:
            found.append(values.get("Id", ""))
    return found


def _variant(host: Host) -> str:
    """`nft` or `legacy`; iptables before 1.8 has but one and doesn't say."""
    return "nft" if "nf_tables" in host.run("iptables", "--version").output else "legacy"


def _version(host: Host, program: str) -> str:
    found = re.search(r"\d+(\.\d+)+", host.run(program, "--version").output)
    return found[0] if found else "of an unknown version"
