"""Decides the text of the rule sets, which ports hostctl reads out of rules, and which admin it locks out: none.

What the rules do to packets is decided in test_firewall_packets. Cases are files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from documents import firewall_rules
from hostctl.admin_access import refuse_lock_out
from hostctl.errors import HostError
from hostctl.host import Finished, Host
from hostctl.iptables import Table, for_host, guarded_ports
from hostctl.units.firewall import Firewall

CASES = Path(__file__).parents[1] / "cases" / "firewall_rules"


@pytest.mark.parametrize("case", sorted(each for each in CASES.iterdir() if each.is_dir()), ids=lambda path: path.name)
def test_rules(case: Path) -> None:
    documents = firewall_rules.render(**yaml.safe_load((case / "in.yaml").read_text()))
    for each in documents[:2]:
        assert each.text == (case / Path(each.path).name).read_text()
    assert documents[2].text == (CASES / "http-registry-firewall.service").read_text()


def test_a_host_adds_ports_and_bridges_and_changes_nothing_else() -> None:
    rendered = firewall_rules.render([80, 443], ["10.0.0.0/8"])[0].text
    assert for_host(rendered, [], []) == rendered
    more = list(range(6000, 6020))
    lines = for_host(rendered, more, ["br-ex", "br-lan"]).splitlines()
    assert guarded_ports(lines) == {80, 443, *more}
    assert [line for line in lines if line in rendered.splitlines()] == rendered.splitlines()
    forward = [line.split(" ", 2)[2] for line in lines if line.startswith("-A HTTP-REGISTRY-FORWARD")]
    assert forward[5:12] == [
        "-o br-ex -j RETURN",
        "-o br-lan -j RETURN",
        "-i br-ex -o docker+ -j DROP",
        "-i br-ex -o br-+ -j DROP",
        "-i br-lan -o docker+ -j DROP",
        "-i br-lan -o br-+ -j DROP",
        "-i docker+ -j RETURN",
    ]


class Nat(Host):
    """A host with a nat table as Docker fills it, or with none."""

    status = 0

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
        assert command[3:] == ("-t", "nat", "-S")
        return Finished(
            self.status,
            "-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE\n"
            "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 5500 -j DNAT --to-destination 172.17.0.2:80\n"
            "-A DOCKER -d 127.0.0.1/32 ! -i br-1 -p tcp -m tcp --dport 5000 -j DNAT --to-destination 1.2.3.4\n"
            "-A DOCKER ! -i docker0 -p udp -m udp --dport 53 -j DNAT --to-destination 172.17.0.2:53\n",
        )


class NoNat(Nat):
    status = 3


def test_published_tcp_ports_are_read_from_the_nat_table() -> None:
    assert Table(Nat(), "iptables").published() == {5000, 5500}
    assert Table(NoNat(), "ip6tables").published() == set()


def wish(**changed: Any) -> dict[str, Any]:
    return {"ports": [22, 80], "allow": ["10.0.0.0/8", "fd00::/64"], "ssh_port": 22, **changed}


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


def test_at_the_console_nobody_is_locked_out() -> None:
    refuse_lock_out(wish(), "")


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/http-registry/../passwd", "/etc/http-registry/firewall.v5"])
def test_only_its_own_files_are_written(path: str) -> None:
    with pytest.raises(HostError, match="wish, files"):
        Firewall().own_files(Host(), {"files": [{"path": path, "content": "x"}]})


def test_a_policy_is_on_trial_for_half_a_minute_unless_the_wish_says_otherwise() -> None:
    assert Firewall().confirm_seconds(wish()) == 30
    assert Firewall().confirm_seconds(wish(confirm_seconds=60)) == 60
