"""Decides how a policy gets into the kernel and out again, by each backend: what stays, what is left."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from hostctl import firewall_programs, iptables_rules, nftables_rules
from hostctl.errors import HostError
from hostctl.firewall_boot import BOOT_UNIT
from hostctl.firewall_rules import Policy, rules_of
from hostctl.iptables import Table
from hostctl.rule_table import RuleTable
from hostctl.transaction import Transactions
from hostctl.units.firewall import Firewall
from settings.firewall import Rule
from tests.programs.guarded_host import (
    ALLOW,
    FREE,
    FRIENDS,
    HOST,
    PLAIN,
    PUBLISHED,
    STRANGERS,
    STRANGERS_GATEWAY,
    Managed,
    World,
    everything,
    rule,
)
from tests.programs.namespaces import backends, install

IPTABLES = [each for each in backends() if each != "nft"]


def in_use(host: Managed) -> list[RuleTable]:
    """The tables of the program that is used."""
    return [each for each in firewall_programs.tables(host) if each.path.endswith("nft") != host.has("iptables")]


def rendered(table: RuleTable, *rules: Rule) -> str:
    policy = Policy(rules_of({"rules": [each.model_dump(mode="json") for each in rules]}))
    if table.path == nftables_rules.FILE:
        return nftables_rules.render(policy)
    return iptables_rules.render(policy, 6 if table.path == iptables_rules.FILES[6] else 4)


def guards(host: Managed, port: int) -> bool:
    """Whether the rules in force, as hostctl shows them, name the port."""
    texts = Transactions(host).observe(Firewall())["documents"].values()
    named = {str(port) in text.replace(",", " ").split() for text in texts}
    assert len(named) == 1
    return named.pop()


def counted(host: Managed) -> dict[str, int]:
    """The packets of the friends' rule and of the last one."""
    found = {}
    for table in in_use(host):
        for (chain, *words), count in table.counters().items():
            friends = FRIENDS in words and any(word.startswith(str(PLAIN)) for word in words)
            if chain.lower().endswith("guard") and (friends or words in (["drop"], ["-j", "DROP"])):
                found["friends" if friends else f"dropped by {table.title}"] = count.packets
    return found


def test_counters_of_rules_that_stay_go_on(world: World, host: Managed) -> None:
    host.apply(rule(PLAIN), rule(FREE))
    assert world.friend.reaches(HOST, PLAIN)
    assert not world.stranger.reaches(STRANGERS_GATEWAY, PLAIN)
    before = counted(host)
    assert before["friends"] > 0
    assert sum(before.values()) > before["friends"]
    assert host.apply(rule(PLAIN), rule(FREE, allow=[STRANGERS]))["result"] == "changed"
    after = counted(host)
    assert {name: after[name] >= packets for name, packets in before.items()} == dict.fromkeys(before, True)
    assert after["friends"] == before["friends"]
    host.apply(rule(PLAIN, PUBLISHED), rule(FREE, allow=[STRANGERS]))
    assert counted(host)["friends"] == 0


def test_loading_is_repeatable_and_clearing_leaves_nothing(world: World, host: Managed) -> None:
    foreign(world, "add")
    before = everything(host)
    many = tuple(range(6000, 6040))
    for table in in_use(host):
        for ports in (many, many, (PLAIN,)):
            for allow in (ALLOW, ["0.0.0.0/0", "::/0"], ["10.9.1.7/32", "::ffff:10.0.0.0/104"]):
                wished = rendered(table, rule(*ports, allow=allow), rule(FREE, interface="lan0"))
                table.refuse(wished)
                table.load(wished, {})
                assert table.complaint(wished) == ""
                assert kept(before, everything(host))
        assert "is not as it was wished" in table.complaint(rendered(table, rule(FREE)))
    for table in in_use(host):
        table.clear()
        table.clear()
        assert table.remains() == ""
    assert everything(host) == before
    foreign(world, "delete")


def foreign(world: World, what: str) -> None:
    """Rules of somebody else in the tables that we use."""
    host = world.host
    if world.backend == "nft":
        chain = "chain pre { type filter hook prerouting priority -150; udp dport 9 accept; udp dport 8 accept; }"
        host.must("nft", f"table inet theirs {{ {chain}; }}" if what == "add" else "delete table inet theirs")
        return
    for program in ("iptables", "ip6tables"):
        for port in ("9", "8"):
            host.must(
                program,
                "-t",
                "mangle",
                "-A" if what == "add" else "-D",
                "PREROUTING",
                *f"-p udp --dport {port} -j ACCEPT".split(),
            )


def kept(before: list[str], now: list[str]) -> bool:
    """Whether foreign lines are all there, in their order."""
    lines = iter("\n".join(now).splitlines())
    return all(any(line == each for each in lines) for line in "\n".join(before).splitlines())


@pytest.mark.parametrize("world", IPTABLES, indirect=True)
def test_what_stands_before_our_jump_is_told_and_passed(world: World, host: Managed) -> None:
    for table in in_use(host):
        assert isinstance(table, Table)
        wished = rendered(table, rule(PLAIN))
        table.load(wished, {})
        world.host.must(table.program, "-t", "mangle", "-I", "PREROUTING", "-j", "ACCEPT")
        world.host.must(table.program, "-t", "mangle", "-A", "PREROUTING", "-j", "HTTP-REGISTRY")
        assert "is not the first rule" in table.complaint(wished)
        table.load(wished, {})
        assert table.complaint(wished) == ""
        world.host.must(table.program, "-t", "mangle", "-D", "PREROUTING", "-j", "ACCEPT")
        table.clear()


def test_rules_that_the_kernel_would_not_take_change_nothing(world: World, host: Managed) -> None:
    host.apply(rule(PLAIN))
    for table in in_use(host):
        wished = rendered(table, rule(PLAIN))
        broken = wished.replace("--ctdir REPLY", "--ctdir SIDEWAYS").replace("direction reply", "direction sideways")
        with pytest.raises(HostError, match="does not accept the rules"):
            table.refuse(broken)
        with pytest.raises(HostError):
            table.load(broken, {})
    assert host.apply(rule(PLAIN))["result"] == "unchanged"


def test_a_port_that_leaves_the_policy_is_guarded_until_it_is_published_no_more(world: World, host: Managed) -> None:
    host.apply(rule(PLAIN), rule(PUBLISHED, FREE, allow=[STRANGERS]))
    left = host.apply(rule(PLAIN))
    assert [note for note in left["notes"] if f"port {PUBLISHED}: no longer in the policy" in note]
    assert guards(host, PUBLISHED)
    assert not guards(host, FREE)
    assert not world.friend.reaches(HOST, PUBLISHED)
    assert world.stranger.reaches(STRANGERS_GATEWAY, PUBLISHED)
    assert host.apply(rule(PLAIN))["result"] == "unchanged"
    world.unpublish()
    try:
        gone = host.apply(rule(PLAIN))
        assert (gone["result"], guards(host, PUBLISHED)) == ("changed", False)
        assert not [note for note in gone["notes"] if "no longer in the policy" in note]
        assert host.apply(rule(PLAIN))["result"] == "unchanged"
    finally:
        world.publish()
    host.apply(rule(PLAIN))
    assert world.friend.reaches(HOST, PUBLISHED)


@pytest.mark.parametrize("lost", ["rules", "files"])
def test_a_port_that_leaves_the_policy_is_guarded_until_nobody_listens(host: Managed, lost: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        host.apply(rule(PLAIN, port))
        for table in in_use(host):
            if lost == "rules":
                table.clear()
            else:
                host.path(table.path).unlink()
        me = Path("/proc/self/comm").read_text().strip()
        assert any(f"port {port}: " in note and me in note for note in host.apply(rule(PLAIN))["notes"])
        assert guards(host, port)
        assert host.apply(rule(PLAIN))["result"] == "unchanged"
    assert (host.apply(rule(PLAIN))["result"], guards(host, port)) == ("changed", False)


def test_sshds_port_leaves_the_policy_at_once(host: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        host.apply(rule(PLAIN, port))
        monkeypatch.setenv("SSH_CONNECTION", f"192.0.2.1 50000 192.0.2.2 {port}")
        host.apply(rule(PLAIN))
        assert not guards(host, port)


def test_rules_of_this_host_alone_are_compared_and_repaired(host: Managed) -> None:
    host.apply(rule(PLAIN))
    if host.has("iptables"):
        for program in ("iptables", "ip6tables"):
            host.must(program, "-t", "mangle", "-D", "HTTP-REGISTRY-FORWARD", "-o", "br-lan", "-j", "RETURN")
    else:
        host.must("nft", "flush chain inet http_registry forward")
    assert host.apply(rule(PLAIN))["result"] == "changed"
    for text in Transactions(host).observe(Firewall())["documents"].values():
        assert "-o br-lan -j RETURN" in text or 'oifname "br-lan" return' in text
    assert host.apply(rule(PLAIN))["result"] == "unchanged"


def test_the_boot_unit_loads_what_is_on_the_host(host: Managed) -> None:
    host.apply(rule(PLAIN, PUBLISHED))
    host.apply(rule(PLAIN))
    for table in in_use(host):
        table.clear()
    for _ in range(2):
        host.must("systemctl", "restart", BOOT_UNIT)
        for table in in_use(host):
            assert table.complaint(host.path(table.path).read_text()) == ""
    assert host.apply(rule(PLAIN))["result"] == "unchanged"
    assert guards(host, PUBLISHED)


@pytest.mark.parametrize("world", IPTABLES, indirect=True)
def test_the_table_of_nft_goes_where_the_host_has_iptables_by_now(world: World, host: Managed, tmp_path: Path) -> None:
    earlier = replace(host, programs=install("nft", tmp_path / "earlier"))
    assert earlier.apply(rule(PLAIN))["program"].startswith("nftables 1.")
    report = host.apply(rule(FREE))
    assert world.backend.replace("-", f" {report['program'].split()[1]} (") + ")" == report["program"]
    assert not host.run("nft", "list", "table", *nftables_rules.TABLE.split()).ok
    assert not host.path(nftables_rules.FILE).exists()
    assert world.stranger.reaches(STRANGERS_GATEWAY, PLAIN)
    assert not world.stranger.reaches(STRANGERS_GATEWAY, FREE)
    assert world.friend.reaches(HOST, FREE)


@pytest.mark.parametrize("world", IPTABLES, indirect=True)
def test_the_rules_of_the_other_variant_go(world: World, host: Managed, tmp_path: Path) -> None:
    others = [each for each in IPTABLES if each != world.backend]
    for other in others:
        # As Debian's alternatives have it: both variants are there, and `iptables` is one of them.
        both = install(world.backend, tmp_path / "both", others)
        earlier = replace(host, programs=install(other, tmp_path / other))
        now = replace(host, programs=both)
        before = everything(earlier)
        earlier.apply(rule(PLAIN))
        now.apply(rule(FREE))
        assert everything(earlier) == before
        assert world.stranger.reaches(STRANGERS_GATEWAY, PLAIN)
        assert not world.stranger.reaches(STRANGERS_GATEWAY, FREE)


def test_beside_firewalld_it_is_nft_that_guards(world: World, host: Managed) -> None:
    services = "Id=firewalld.service\nActiveState=active\nUnitFileState=enabled\n\nId=x\nActiveState=inactive\n"
    host.apply(rule(FREE))
    beside = replace(host, services=services)
    report = beside.apply(rule(PLAIN))
    assert (report["program"].split()[0], report["beside"]) == ("nftables", ["firewalld.service"])
    for table in ("mangle", "nat") if host.has("iptables") else ():
        for flag in ("-F", "-X"):
            assert host.run("iptables", "-t", table, flag).ok
    assert beside.apply(rule(PLAIN))["result"] == "unchanged"
    assert world.stranger.reached((STRANGERS_GATEWAY, PLAIN), (STRANGERS_GATEWAY, FREE)) == [(STRANGERS_GATEWAY, FREE)]
    if host.has("iptables"):
        world.publish()
        (world.host.programs / "nft").rename(world.host.programs / "no-nft")
        try:
            assert any("install nftables" in note for note in beside.apply(rule(FREE))["notes"])
        finally:
            (world.host.programs / "no-nft").rename(world.host.programs / "nft")


def test_who_else_guards_the_host_is_told(world: World, host: Managed) -> None:
    host.path("/etc/ufw").mkdir(parents=True)
    host.path("/etc/ufw/ufw.conf").write_text("ENABLED=no\n")
    assert host.apply(rule(PLAIN))["beside"] == []
    host.path("/etc/ufw/ufw.conf").write_text("LOGLEVEL=low\nENABLED=yes\n")
    report = host.apply(rule(PLAIN))
    assert report["beside"] == ["ufw"]
    assert report["notes"][-1] == f"guarded by {report['program']}; beside it: ufw, whose rules are left alone"
    host.path("/etc/ufw/ufw.conf").unlink()
    host.path("/etc/ufw").rmdir()
