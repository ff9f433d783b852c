"""Decides the text of the rule sets, what follows from several rules, what a host refuses, and whom it locks out: none.

What the rules do to packets is decided in test_firewall_packets. Cases are files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from documents import firewall_rules
from hostctl import firewall_boot, iptables_rules, nftables_rules
from hostctl.admin_access import refuse_lock_out
from hostctl.errors import HostError
from hostctl.firewall_rules import Policy, Rule, alike, rules_of
from hostctl.host import Finished, Host
from hostctl.iptables import Table
from hostctl.nftables import NftTable
from hostctl.rule_table import Count
from hostctl.units.firewall import Firewall
from settings import firewall

CASES = Path(__file__).parents[1] / "cases" / "firewall_rules"


def policy(case: Path) -> Policy:
    given = yaml.safe_load((case / "in.yaml").read_text())
    return Policy(rules_of(given), given.get("containers", False), tuple(given.get("others", ())))


@pytest.mark.parametrize("case", sorted(each for each in CASES.iterdir() if each.is_dir()), ids=lambda path: path.name)
def test_rules(case: Path) -> None:
    for family in (4, 6):
        assert iptables_rules.render(policy(case), family) == (case / f"firewall.v{family}").read_text()
    assert nftables_rules.render(policy(case)) == (case / "firewall.nft").read_text()


def test_the_units() -> None:
    rendered = {path.rpartition("system/")[2].replace("/", "."): text for path, text in firewall_boot.files().items()}
    assert rendered == {each.name: each.read_text() for each in CASES.iterdir() if each.is_file()}


def test_the_preview_shows_the_files_of_both_programs() -> None:
    rules = [firewall.Rule(ports=(5000,), allow=("10.0.0.0/8",))]
    shown = {each.path: each.text for each in firewall_rules.render(rules, containers=True)}
    assert {*shown} == {*iptables_rules.FILES.values(), nftables_rules.FILE, *firewall_boot.files()}
    same = Policy((Rule((5000,), ("10.0.0.0/8",)),), containers=True)
    assert shown[nftables_rules.FILE] == nftables_rules.render(same)


@pytest.mark.parametrize(
    ("allowed", "common"),
    [
        ([["10.0.0.0/8", "192.168.1.0/24"]], ["10.0.0.0/8", "192.168.1.0/24"]),
        ([["10.0.0.0/8"], ["10.1.0.0/16", "192.168.1.0/24"]], ["10.1.0.0/16"]),
        (
            [["10.1.0.0/16", "10.2.0.0/16"], ["0.0.0.0/0"], ["10.2.3.0/24", "10.2.0.0/15"]],
            ["10.2.3.0/24", "10.2.0.0/16"],
        ),
        ([["10.0.0.0/8"], ["192.168.1.0/24"]], []),
        ([["10.0.0.0/8"], ["fd00::/64"]], []),
    ],
)
def test_networks_that_every_rule_allows(allowed: list[list[str]], common: list[str]) -> None:
    rules = tuple(Rule((port,), tuple(each), "eth0") for port, each in enumerate(allowed, 1))
    assert Policy(rules).common(4) == common


def test_ports_are_judged_once_for_a_packet() -> None:
    rules = (Rule((80, 22), ("::/0",)), Rule((80, 81), (), "eth0"), Rule((82,), (), "eth1"), Rule((83, 81), (), "eth0"))
    assert Policy(rules).judged() == [("", [22, 80]), ("eth0", [81, 83]), ("eth1", [82])]


def test_what_programs_print_otherwise_is_alike() -> None:
    assert alike(["-s", "::ffff:10.0.0.0/104", "-j", "X"]) == alike(["-j", "X", "-s", "::ffff:a00:0/104"])
    assert alike(["saddr", "10.1.2.3"]) == alike(["saddr", "10.1.2.3/32"])
    assert alike(["dport", "80"]) != alike(["dport", "81"])


class Answers(Host):
    """A host on which each program prints the same."""

    output, status = "", 0

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
        return Finished(self.status, self.output)


class Nat(Answers):
    """A nat table as Docker fills it."""

    output = (
        "-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE\n"
        "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 5500 -j DNAT --to-destination 172.17.0.2:80\n"
        "-A DOCKER -d 127.0.0.1/32 ! -i br-1 -p tcp -m tcp --dport 5000 -j DNAT --to-destination 1.2.3.4\n"
        "-A DOCKER ! -i docker0 -p udp -m udp --dport 53 -j DNAT --to-destination 172.17.0.2:53\n"
    )


class NoNat(Nat):
    status = 3


class Nft(Answers):
    """What Docker does without iptables, and tables of others."""

    output = (
        "table ip docker-bridges {\n\tchain nat-prerouting-and-output__bridge0 {\n"
        '\t\tip daddr 192.0.2.1 tcp dport 5500 counter packets 0 bytes 0 dnat to 172.17.0.2:80 comment "DNAT"\n'
        "\t\tudp dport 53 dnat to 172.17.0.2:53\n\t\ttcp dport { 5000, 5001 } dnat to 172.17.0.2\n"
        "\t\ttcp dport 22 accept\n\t}\n}\n"
    )


def test_published_tcp_ports_are_read_from_the_tables() -> None:
    assert Table(Nat(), "iptables").published() == {5000, 5500}
    assert Table(NoNat(), "ip6tables").published() == set()
    assert NftTable(Nft()).published() == {5000, 5001, 5500}


class Listed(Answers):
    """Our table as a newer nft prints it."""

    output = (
        "table inet http_registry {\n\tchain forward {\n"
        "\t\ttype filter hook forward priority mangle; policy accept;\n"
        "\t\tip saddr 10.1.2.3 tcp dport { 80, 443 } counter packets 7 bytes 420 return\n"
        "\t\tcounter packets 0 bytes 0 drop\n\t}\n}\n"
    )


def test_a_table_is_compared_with_its_script_and_its_counters_are_read() -> None:
    script = (
        "table inet http_registry {\n\tchain forward {\n"
        "\t\ttype filter hook forward priority -150; policy accept;\n"
        "\t\tip saddr 10.1.2.3/32 tcp dport { 80, 443 } counter return\n\t\tcounter drop\n\t}\n}\n"
    )
    table = NftTable(Listed())
    assert table.complaint(script) == ""
    assert "the chain forward is not as it was wished" in table.complaint(script.replace("443", "444"))
    assert "the chain forward is not as it was wished" in table.complaint(script.replace("-150", "-100"))
    assert "the chain guard is not" in table.complaint(
        script.replace("\t}\n}", "\t}\n\tchain guard {\n\t\tdrop\n\t}\n}")
    )
    assert set(table.counters().values()) == {Count(7, 420), Count(0, 0)}
    assert "counter" not in "".join(table.ours())


def wish(**changed: Any) -> dict[str, Any]:
    rules = [{"ports": changed.pop("ports", [22, 80]), "allow": ["10.0.0.0/8", "fd00::/64"]}]
    return {"rules": rules, "ssh_port": 22, **changed}


@pytest.mark.parametrize("client", ["192.168.1.5", "fd01::1", "fe80::1%eth0", "::ffff:192.168.1.5"])
def test_an_admin_is_not_locked_out(client: str) -> None:
    with pytest.raises(HostError, match="lock you out"):
        refuse_lock_out(wish(), f"{client} 50000 10.0.0.1 22")
    with pytest.raises(HostError, match="port 80"):
        refuse_lock_out(wish(ports=[80]), f"{client} 50000 10.0.0.1 80")
    refuse_lock_out(wish(ports=[80]), f"{client} 50000 10.0.0.1 22")
    assert "as `force` says" in refuse_lock_out(wish(force=True), f"{client} 50000 10.0.0.1 22")


@pytest.mark.parametrize("client", ["10.1.1.1", "fd00::9", "::ffff:10.1.1.1", "127.0.0.1", "::1"])
def test_an_admin_from_the_allowlist_may_guard_sshd(client: str) -> None:
    refuse_lock_out(wish(), f"{client} 50000 10.0.0.1 22")


def test_an_admin_gets_in_at_whichever_interface() -> None:
    inside, outside = (
        {"ports": [22], "allow": ["10.0.0.0/8"], "interface": "eth1"},
        {"ports": [22], "allow": ["192.0.2.0/24"]},
    )
    refuse_lock_out({"rules": [inside], "ssh_port": 22}, "10.1.1.1 50000 10.0.0.1 22")
    with pytest.raises(HostError, match="lock you out"):
        refuse_lock_out({"rules": [inside, outside], "ssh_port": 22}, "10.1.1.1 50000 10.0.0.1 22")
    refuse_lock_out({"rules": [inside, outside], "ssh_port": 22}, "192.0.2.9 50000 10.0.0.1 22")


def test_at_the_console_nobody_is_locked_out() -> None:
    refuse_lock_out(wish(), "")


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        (None, "must be a list that is not empty"),
        ([], "must be a list that is not empty"),
        (["x"], "ports must be numbers"),
        ([{"ports": [], "allow": []}], "ports must be numbers"),
        ([{"ports": [True], "allow": []}], "ports must be numbers"),
        ([{"ports": [65536], "allow": []}], "ports must be numbers"),
        ([{"ports": [1], "allow": ["10.0.0.1/8"]}], "allow must be networks"),
        ([{"ports": [1], "allow": ["0.0.0.0/0 -j ACCEPT"]}], "allow must be networks"),
        ([{"ports": [1], "allow": [], "interface": "eth+"}], "interface must be"),
        ([{"ports": [1], "allow": [], "interface": 'a" accept'}], "interface must be"),
    ],
)
def test_rules_that_are_none_are_refused(rules: Any, why: str) -> None:
    with pytest.raises(HostError, match=why):
        rules_of({"rules": rules})


class Programs(Host):
    """A host with some programs."""

    programs: tuple[str, ...] = ("iptables-restore",)

    def has(self, program: str) -> bool:
        return program in self.programs


class Bare(Programs):
    programs = ()


def test_a_host_without_a_program_or_the_interface_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="iptables, nft: neither is installed"):
        Firewall().preflight(Bare(tmp_path), wish())
    for each in ("eth0", "eth1/brport", "br0"):
        (tmp_path / "sys/class/net" / each).mkdir(parents=True)
    (tmp_path / "sys/class/net/eth1/master").symlink_to("../br0")

    def ask(interface: str) -> None:
        rules = [{"ports": [5000], "allow": ["10.0.0.0/8"], "interface": interface}]
        Firewall().preflight(Programs(tmp_path), {"rules": rules, "ssh_port": 22})

    ask("eth0")
    with pytest.raises(HostError, match="ports 5000: interface eth7: this host has none of that name"):
        ask("eth7")
    with pytest.raises(HostError, match="interface eth1: is a part of br0"):
        ask("eth1")


def test_a_policy_is_on_trial_for_half_a_minute_unless_the_wish_says_otherwise() -> None:
    assert Firewall().confirm_seconds(wish()) == 30
    assert Firewall().confirm_seconds(wish(confirm_seconds=60)) == 60
