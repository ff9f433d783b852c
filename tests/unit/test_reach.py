"""Decides what `hostctl reach` is asked, what it reads of ip and ss, and what `make reach` makes of its answer."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest

from hostctl import __main__ as hostctl
from hostctl.errors import HostError
from hostctl.host import Finished, Host
from hostctl.listening_sockets import listener, read_sockets
from hostctl.live_rules import live_rules
from hostctl.packets import Route
from hostctl.reach import reach, read_question, read_request
from hostctl.routes import read_route, read_types
from ops.configuration import tier_of
from ops.reach import Asked, lines, read_report, request_of, status
from ops.stack import StackError

ROUTES = {
    "local 10.9.1.1 from 10.9.1.2 dev lo table local \n    cache <local> iif lan0 \n": Route("local"),
    "172.17.0.2 from 10.9.1.2 dev docker0 \n    cache iif lan0 \n": Route("forward", "docker0"),
    "fd00::5 from :: via fe80::1 dev eth0 src fd00::2 metric 1024 pref medium\n": Route("forward", "eth0"),
    "unreachable 10.9.9.9 from 10.9.1.2 dev lo \n": Route(
        "none", why="the kernel drops it: a route of type unreachable"
    ),
    "RTNETLINK answers: Network is unreachable\n": Route("none", why="the kernel drops it: no route"),
    "broadcast 10.9.1.255 dev lan0": Route("unknown", why="ip route get says: broadcast 10.9.1.255 dev lan0"),
    "": Route("unknown", why="ip route get says: nothing"),
}
SOCKETS = """\
LISTEN 0 128    0.0.0.0%lo:7004 0.0.0.0:* users:(("python3",pid=5,fd=6)) ino:1 sk:1 cgroup:/ <->
LISTEN 0 128     127.0.0.1:7003 0.0.0.0:* users:(("nginx",pid=7,fd=5),("nginx",pid=6,fd=5)) ino:2 sk:2 <->
LISTEN 0 128          [::]:7002    [::]:* ino:3 sk:3 cgroup:/ v6only:1 <->
LISTEN 0 128             *:7001       *:* users:(("dockerd",pid=4,fd=3)) ino:4 sk:4 cgroup:/ v6only:0 <->
LISTEN 0 128 [::ffff:10.0.0.1]:7005 *:* users:(("java",pid=9,fd=3)) ino:4 sk:4 cgroup:/ v6only:0 <->
"""


class Told(Host):
    """A host whose programs print what a test says."""

    def __init__(self, answers: dict[str, str]) -> None:
        super().__init__()
        object.__setattr__(self, "answers", answers)

    def has(self, program: str) -> bool:
        return any(each.split()[0] == program for each in self.answers)

    answers: dict[str, str]

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
        asked = " ".join(command)
        found = next((each for start, each in self.answers.items() if asked.startswith(start)), None)
        return Finished(0, found) if found is not None else Finished(1, f"{asked}: not told")


def test_a_question() -> None:
    question = read_question({"from": "fd00::1", "port": 443, "to": None})
    assert (str(question.source), question.port, question.to, question.interface) == ("fd00::1", 443, None, "")


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"from": "10.0.0.1"},
        {"from": "10.0.0.1", "port": "443"},
        {"from": "10.0.0.1", "port": 0},
        {"from": "10.0.0.1", "port": True},
        {"from": "somewhere", "port": 443},
        {"from": "10.0.0.1", "port": 443, "interface": 5},
        {"from": "10.0.0.1", "port": 443, "to": "fd00::1"},
        {"port": 443},
    ],
)
def test_a_question_that_is_none(request_: dict[str, Any]) -> None:
    with pytest.raises(HostError, match=r"^reach: "):
        read_question(request_)


def test_a_request_that_is_no_json() -> None:
    for text in (b"", b"[]", b"{"):
        with pytest.raises(HostError, match=r"must be JSON like"):
            read_request(text)


@pytest.mark.parametrize(("told", "route"), ROUTES.items())
def test_a_routing_decision(told: str, route: Route) -> None:
    assert read_route(told) == route


def test_types_of_addresses() -> None:
    table = "local 127.0.0.0/8 dev lo proto kernel\nbroadcast 10.9.1.255 dev lan0\nmulticast ff00::/8 dev lan0\n"
    assert [(str(net), kind) for net, kind in read_types(table)] == [
        ("127.0.0.0/8", "LOCAL"),
        ("10.9.1.255/32", "BROADCAST"),
        ("ff00::/8", "MULTICAST"),
    ]
    with pytest.raises(HostError, match="can't be read: nonsense"):
        read_types("nonsense")


@pytest.mark.parametrize(
    ("address", "port", "interface", "who"),
    [
        ("127.0.0.1", 7003, "lo", "nginx (pid 7), nginx (pid 6)"),
        ("10.0.0.1", 7003, "eth0", None),
        ("10.0.0.1", 7002, "eth0", None),
        ("fd00::1", 7002, "eth0", "a process that the kernel does not name"),
        ("10.0.0.1", 7001, "eth0", "dockerd (pid 4)"),
        ("fd00::1", 7001, "eth0", "dockerd (pid 4)"),
        ("10.0.0.1", 7004, "eth0", None),
        ("127.0.0.1", 7004, "lo", "python3 (pid 5)"),
        ("10.0.0.1", 7005, "eth0", "java (pid 9)"),
        ("10.0.0.1", 7006, "eth0", None),
    ],
)
def test_who_listens(address: str, port: int, interface: str, who: str | None) -> None:
    assert len(list(read_sockets(SOCKETS))) == 5
    assert listener(Told({"ss ": SOCKETS}), ipaddress.ip_address(address), port, interface) == who


DROP = "*filter\n:INPUT DROP [0:0]\nCOMMIT\n"


@pytest.mark.parametrize(
    ("answers", "by"),
    [
        (
            {"iptables-nft-save": DROP, "iptables-legacy-save": DROP, "iptables-save": DROP},
            ["iptables-nft", "iptables-legacy"],
        ),
        ({"iptables-save": DROP, "iptables --version": "iptables v1.6.1"}, ["iptables-legacy"]),
        ({"iptables-save": DROP, "iptables --version": "iptables v1.8.7 (nf_tables)"}, ["iptables-nft"]),
        ({"ip6tables-save": DROP}, []),
        ({}, []),
    ],
)
def test_both_variants_of_iptables_are_read_once(answers: dict[str, str], by: list[str]) -> None:
    rules = live_rules(Told(answers), 4)
    assert [each.by for each in rules.tables] == by
    assert rules.notes == ["nft is not installed: rules that only nft shows are not seen"]


def test_a_listing_of_nft_that_is_no_json_is_an_error() -> None:
    with pytest.raises(HostError, match="not as expected"):
        live_rules(Told({"nft -j": '{"nftables": 5}', "nft -a": ""}), 4)


def answers(**more: str) -> Told:
    told = {
        "iptables-save": DROP,
        "iptables --version": "iptables v1.8.7 (nf_tables)",
        "ip -4 route get 10.9.1.2": "10.9.1.2 dev lan0 src 10.9.1.1 uid 0",
        "ip -4 route get 10.9.1.1 from 10.9.1.2 iif lan0": "local 10.9.1.1 from 10.9.1.2 dev lo table local",
        "ip -o link show type bridge": "",
        "ss ": SOCKETS,
    }
    return Told({**told, **more})


def test_an_answer() -> None:
    report = reach(answers(), {"from": "10.9.1.2", "port": 7001})
    assert (report["verdict"], status(report)) == ("dropped", 1)
    assert report["rule"] == {
        "by": "iptables-nft",
        "table": "filter",
        "chain": "INPUT",
        "number": 0,
        "text": "policy of INPUT: drop",
        "did": "drop",
    }
    assert lines(report) == [
        "10.9.1.2 -> 10.9.1.1 port 7001, in by lan0: dropped",
        "  iptables-nft: table filter, chain INPUT, the policy: policy of INPUT: drop",
        "  nft is not installed: rules that only nft shows are not seen",
    ]


def test_an_answer_that_is_yes() -> None:
    rules = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m limit --limit 1/s -j ACCEPT\nCOMMIT\n*nat\n"
    rules += ":PREROUTING ACCEPT\n-A PREROUTING -p tcp -j DNAT --to-destination :7001\nCOMMIT\n"
    report = reach(answers(**{"iptables-save": rules}), {"from": "10.9.1.2", "port": 80})
    assert (report["verdict"], status(report), report["listener"]) == ("reaches", 0, "dockerd (pid 4)")
    assert lines(report) == [
        "10.9.1.2 -> 10.9.1.1 port 80, in by lan0: reaches",
        "  translated to 10.9.1.1 port 7001",
        "  iptables-nft: table filter, chain INPUT, rule 1: -A INPUT -p tcp -m limit --limit 1/s -j ACCEPT",
        "  way: nat PREROUTING 1, filter INPUT 1",
        "  listening: dockerd (pid 4)",
        "  if no limit of a rule is used up",
        "  nft is not installed: rules that only nft shows are not seen",
    ]


def test_an_answer_that_can_not_be_told() -> None:
    rules = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m u32 --u32 6=1 -j DROP\nCOMMIT\n"
    report = reach(answers(**{"iptables-save": rules}), {"from": "10.9.1.2", "port": 7001})
    assert (report["verdict"], status(report)) == ("unknown", 2)
    assert report["why"] == (
        "-m u32: not known here "
        "(iptables-nft: table filter, chain INPUT, rule 1: -A INPUT -p tcp -m u32 --u32 6=1 -j DROP)"
    )


def test_where_no_rule_decides() -> None:
    nobody = reach(answers(**{"iptables-save": ""}), {"from": "10.9.1.2", "port": 7006})
    assert (nobody["verdict"], nobody["rule"], status(nobody)) == ("nobody listens", None, 1)
    key = "ip -4 route get 10.9.1.1 from 10.9.1.2 iif lan0"
    refused = reach(answers(**{key: "RTNETLINK answers: Invalid cross-device link"}), {"from": "10.9.1.2", "port": 80})
    assert (refused["verdict"], refused["rule"]) == ("dropped", None)
    assert "rp_filter" in refused["why"]


def test_the_host_itself_asks() -> None:
    rules = "*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -d 10.9.1.2/32 -p tcp -m tcp --dport 5080 -j DROP\nCOMMIT\n"
    told = {"iptables-save": rules, "ip -4 route get 10.9.1.2 from 10.9.1.1": "10.9.1.2 from 10.9.1.1 dev lan0 uid 0"}
    report = reach(answers(**told), {"to": "10.9.1.2", "port": 5080})
    said, why = lines(report)[:2]
    assert said == "10.9.1.1 -> 10.9.1.2 port 5080, out by lan0: dropped"
    assert why.endswith("chain OUTPUT, rule 1: -A OUTPUT -d 10.9.1.2/32 -p tcp -m tcp --dport 5080 -j DROP")
    assert reach(answers(**told), {"to": "10.9.1.2", "port": 5081})["verdict"] == "reaches"
    with pytest.raises(HostError, match=r"10\.9\.7\.7: this host has no route there"):
        reach(answers(**told), {"to": "10.9.7.7", "port": 5081})


def test_neighbours_on_one_bridge_are_not_judged() -> None:
    told = {
        "iptables-save": "",
        "ip -4 route get 10.9.1.3 from": "10.9.1.3 from 10.9.1.2 dev lan0",
        "ip -o link show type bridge": "5: lan0: <UP> mtu 1500",
    }
    report = reach(answers(**told), {"from": "10.9.1.2", "port": 80, "to": "10.9.1.3"})
    assert (report["verdict"], report["rule"]) == ("unknown", None)
    assert "both are on this bridge" in report["why"]


def test_an_interface_that_is_not_there() -> None:
    with pytest.raises(HostError, match="eth7: this host has no such interface"):
        reach(answers(), {"from": "10.9.1.2", "port": 80, "interface": "eth7"})


def test_the_program_says_what_is_wrong_with_a_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stdin:
        class buffer:
            @staticmethod
            def read() -> bytes:
                return b"{}"

    monkeypatch.setattr("sys.stdin", Stdin)
    assert hostctl.main(["reach"]) == 1
    assert json.loads(capsys.readouterr().out)["error"].startswith("reach: the request must be like")


def test_names_of_hosts_become_addresses() -> None:
    tier = tier_of("dev")
    host = tier.hosts[0]
    request = request_of(Asked(host.name, host.name, 443, "192.0.2.9", "eth1"), tier)
    assert request == {"from": host.address, "port": 443, "to": "192.0.2.9", "interface": "eth1"}
    assert request_of(Asked(host.name, "192.0.2.7", 443), tier) == {"from": "192.0.2.7", "port": 443}
    assert request_of(Asked(host.name, "", 443, host.name), tier) == {"to": host.address, "port": 443}
    with pytest.raises(StackError, match="give FROM=, who asks the host, or TO="):
        request_of(Asked(host.name, "", 443), tier)
    with pytest.raises(StackError, match=f"FROM=outsider: must be an address, or a host of the settings .*{host.name}"):
        request_of(Asked(host.name, "outsider", 443), tier)


@pytest.mark.parametrize(
    ("returned", "stdout", "stderr", "said"),
    [
        (2, "", "usage: hostctl apply|remove < request.json\n", "the hostctl there can't tell this yet"),
        (255, "", "ssh: connect to host", "can't be asked: ssh: connect to host"),
        (1, '{"result": "failed", "error": "ip: not installed"}', "", "h: ip: not installed"),
    ],
)
def test_a_host_that_does_not_answer(returned: int, stdout: str, stderr: str, said: str) -> None:
    with pytest.raises(StackError, match=said):
        read_report("h", returned, stdout, stderr)
