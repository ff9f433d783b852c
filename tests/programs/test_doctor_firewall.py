"""Decides that doctor finds the rule that stops a client or the host itself, and that its command lets real ones by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from doctor.server import firewall
from tests.programs.reach_world import FRIEND, HOST, REACHED, STRANGER, ReachWorld, reach_world

PORT = 5080
NFT = (
    "nft add table inet theirs; nft add chain inet theirs in '{ type filter hook input priority 5; policy accept; }'; "
)
LEGACY = "iptables-legacy"
IN = {
    "a rule about the port": ("iptables-nft -A INPUT -p tcp --dport 5080 -j DROP", "-t filter -D INPUT"),
    "a rule about all": ("iptables-nft -A INPUT -s 10.9.0.0/16 -j DROP", "-t filter -I INPUT"),
    "a policy": ("iptables-nft -P INPUT DROP", "-t filter -I INPUT"),
    "a chain of its own, in another table": (
        "for rule in '-N THEIRS' '-A PREROUTING -j THEIRS' '-A THEIRS -j DROP'; do iptables-nft -t raw $rule; done",
        "-t raw -I THEIRS",
    ),
    "an older iptables": (f"{LEGACY} -A INPUT -p tcp --dport 5080 -j REJECT", f"{LEGACY} -t filter -D INPUT"),
    "nft, about the port": (
        f"{NFT} nft add rule inet theirs in tcp dport 5080 reject",
        "nft delete rule inet theirs in",
    ),
    "nft, about several": (
        f"{NFT} nft add rule inet theirs in 'tcp dport {{ 80, 5080 }} drop'",
        "nft insert rule inet theirs in",
    ),
}
OUT = {
    "a rule about the port": ("iptables-nft -A OUTPUT -p tcp --dport 5080 -j REJECT", "-t filter -D OUTPUT"),
    "a rule about all": ("iptables-nft -A OUTPUT -d 10.9.0.0/16 -j DROP", "-t filter -I OUTPUT"),
    "nft": (
        "nft add table ip theirs; nft add chain ip theirs out '{ type filter hook output priority 0; policy drop; }'",
        "nft insert rule ip theirs out",
    ),
}


@pytest.fixture(scope="module")
def world() -> Iterator[ReachWorld]:
    with reach_world() as built:
        yield built


@pytest.fixture
def empty(world: ReachWorld) -> Iterator[ReachWorld]:
    yield world
    world.clear()


def served(*clients: str, allowed: bool = True) -> dict[str, Any]:
    asks = [{"name": HOST, "port": PORT, "allowed": allowed}]
    return {"clients": [{"name": f"at-{each}", "address": each, "asks": asks} for each in clients]}


@pytest.mark.parametrize(("breaks", "undo"), IN.values(), ids=IN)
def test_the_way_in(empty: ReachWorld, breaks: str, undo: str) -> None:
    assert list(firewall.look(empty.host, served(FRIEND))) == []
    empty.host.must("sh", "-c", breaks)
    (found,) = firewall.look(empty.host, served(FRIEND))
    assert found.cause == "firewall-server"
    assert f"{FRIEND} -> {HOST} port {PORT}: " in found.evidence
    assert (found.values["hosts"], found.values["endpoints"]) == (f"at-{FRIEND}", f"{HOST}:{PORT}")
    assert undo in found.values["undo"]
    assert empty.connect([(FRIEND, HOST, PORT)]) != [REACHED]
    empty.host.must("sh", "-c", found.values["undo"])
    assert list(firewall.look(empty.host, served(FRIEND))) == []
    assert empty.connect([(FRIEND, HOST, PORT)], 2.5) == [REACHED]


@pytest.mark.parametrize(("breaks", "undo"), OUT.values(), ids=OUT)
def test_the_way_out(empty: ReachWorld, breaks: str, undo: str) -> None:
    assert firewall.way_out(empty.host, FRIEND, PORT) is None
    empty.host.must("sh", "-c", breaks)
    stopped = firewall.way_out(empty.host, FRIEND, PORT)
    assert stopped is not None
    assert f"{HOST} -> {FRIEND} port {PORT}: " in stopped.evidence
    assert undo in stopped.undo
    empty.host.must("sh", "-c", stopped.undo)
    assert firewall.way_out(empty.host, FRIEND, PORT) is None


ITSELF = {
    "a policy": ("iptables-nft -P INPUT DROP", "-I INPUT -i lo -j ACCEPT"),
    "the way out": ("iptables-nft -P OUTPUT DROP", "-I OUTPUT -o lo -j ACCEPT"),
    "nft": (f"{NFT} nft add rule inet theirs in drop", "nft insert rule inet theirs in iifname lo accept"),
}


@pytest.mark.parametrize(("breaks", "undo"), ITSELF.values(), ids=ITSELF)
def test_a_host_that_does_not_let_itself_in(empty: ReachWorld, breaks: str, undo: str) -> None:
    asked = [("127.0.0.1", "127.0.0.1", 5083)]
    assert firewall.way_out(empty.host, "127.0.0.1", 5083) is None
    empty.host.must("sh", "-c", breaks)
    stopped = firewall.way_out(empty.host, "127.0.0.1", 5083)
    assert stopped is not None
    assert undo in stopped.undo
    assert empty.connect(asked) != [REACHED]
    empty.host.must("sh", "-c", stopped.undo)
    assert firewall.way_out(empty.host, "127.0.0.1", 5083) is None
    assert empty.connect(asked, 2.5) == [REACHED]


def test_each_rule_is_told_once_with_all_whom_it_stops(empty: ReachWorld) -> None:
    empty.host.must("sh", "-c", "iptables-nft -P INPUT DROP; iptables-nft -A INPUT -s 10.9.2.2 -j DROP")
    found = {each.where: each.values["clients"] for each in firewall.look(empty.host, served(FRIEND, STRANGER))}
    assert found == {
        "iptables-nft: table filter, chain INPUT, the policy": f"at-{FRIEND}",
        "iptables-nft: table filter, chain INPUT, rule 1": f"at-{STRANGER}",
    }


@pytest.mark.parametrize(("allowed", "cause"), [(True, "firewall-changed"), (False, "firewall-allowlist")])
def test_rules_of_the_stack_s_own(empty: ReachWorld, allowed: bool, cause: str) -> None:
    empty.host.must(
        "sh", "-c",
        "iptables-nft -t mangle -N HTTP-REGISTRY-GUARD; iptables-nft -t mangle -A PREROUTING -j HTTP-REGISTRY-GUARD;"
        "iptables-nft -t mangle -A HTTP-REGISTRY-GUARD -j DROP",
    )  # fmt: skip
    assert [each.cause for each in firewall.look(empty.host, served(FRIEND, allowed=allowed))] == [cause]


def test_a_way_back_that_is_missing(empty: ReachWorld) -> None:
    empty.host.must("ip", "route", "add", "blackhole", "192.0.2.0/24")
    try:
        skipped = list(firewall.look(empty.host, served("192.0.2.7", FRIEND)))
    finally:
        empty.host.must("ip", "route", "del", "blackhole", "192.0.2.0/24")
    assert [each.cause for each in skipped] == ["no-way-back"]
