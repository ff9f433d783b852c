"""Decides what is read of rules: what is not known says so, and nothing is walked twice."""

from __future__ import annotations

import ipaddress
import json

import pytest

from hostctl.nft_rules import merged, nft_tables, rule_texts
from hostctl.packet_walk import Walk, walk
from hostctl.packets import Packet, Table
from hostctl.rule_sets import iptables_tables
from tests.reach_cases import INTERFACES, PLACES
from tests.unit.paper_host import PaperHost

HOST = PaperHost({name: [PLACES[each] for each in places] for name, places in INTERFACES.items()})
FRIEND, OWN = ipaddress.ip_address(PLACES["friend"]), ipaddress.ip_address(PLACES["host"])


def asked(tables: list[Table], port: int = 5080) -> Walk:
    return walk(tables, Packet(FRIEND, OWN, port, in_interface="lan0"), HOST)


def input_rules(*rules: str) -> list[Table]:
    return iptables_tables("\n".join(["-P INPUT ACCEPT", "-N OWN", *rules]), "iptables-nft", 4, "filter")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("-p tcp -m string --string x --algo bm -j DROP", "-m string: not known here"),
        ("-m set --match-set bad src -j DROP", "-m set: not known here"),
        ("-m conntrack --ctexpire 5 -j DROP", "-m conntrack --ctexpire 5: not known here"),
        ("-p tcp -m tcp --tcp-option 5 -j DROP", "-m tcp --tcp-option 5: not known here"),
        ("-p tcp -m tcp --dport http -j DROP", "-m tcp --dport http: not known here"),
        ("-p tcp -m tcp --sport 40000 -j DROP", "the sender's own port is not known"),
        ("-s somewhere.example -j DROP", "-s somewhere.example: not known here"),
        ("-j NFQUEUE --queue-num 1", "-j NFQUEUE --queue-num 1: not known here"),
        ("-m recent --rcheck --name x -j DROP", "-m recent --rcheck  --name x: not known here"),
        ('-m comment --comment "open', "a rule that can't be read: not known here"),
        ("-j NOWHERE", "-j NOWHERE: not known here"),
    ],
)
def test_what_is_not_known_is_said(rule: str, said: str) -> None:
    seen = asked(input_rules(f"-A INPUT {rule}"))
    assert (seen.end, seen.why) == ("unknown", said)
    assert seen.place
    assert seen.place.text == f"-A INPUT {rule}"


@pytest.mark.parametrize(
    "rule",
    [
        "-p udp -m string --string x -j DROP",
        "-m string --string x",
        "-m string --string x -j LOG",
        "-s 10.9.2.0/24 -j NFQUEUE --queue-num 1",
        "-p tcp -m string --string x -m tcp --dport 22 -j DROP",
    ],
)
def test_what_is_not_known_does_not_matter_where_it_decides_nothing(rule: str) -> None:
    assert asked(input_rules(f"-A INPUT {rule}")).end == "local"


def test_a_mark_that_may_be_set_is_not_known() -> None:
    marks = "-A INPUT -p tcp -m statistic --mode nth --every 2 -j MARK --set-xmark 0x1/0xffffffff"
    assert asked(input_rules(marks)).end == "local"
    assert asked(input_rules(marks, "-A INPUT -m mark --mark 0x1 -j DROP")).end == "unknown"


def test_a_comment_is_no_option() -> None:
    seen = asked(input_rules('-A INPUT -p tcp -m comment --comment "-j" -j OWN', "-A OWN -p tcp -j DROP"))
    assert [each.did for each in seen.way] == ["jump OWN", "drop"]


def test_jumps_that_do_not_end() -> None:
    assert asked(input_rules("-A INPUT -j OWN", "-A OWN -j OWN")).end == "unknown"


def test_counters_before_a_rule_are_read_over() -> None:
    text = "*filter\n:INPUT DROP [1:60]\n[12:720] -A INPUT -p tcp -j ACCEPT\nCOMMIT\n"
    assert asked(iptables_tables(text, "iptables-legacy", 4)).place == (
        "iptables-legacy",
        "filter",
        "INPUT",
        1,
        "-A INPUT -p tcp -j ACCEPT",
        "accept",
    )


def listing(*expressions: object, chain: str = "INPUT", table: str = "filter") -> str:
    base = {
        "family": "ip",
        "table": table,
        "name": chain,
        "type": "filter",
        "hook": "input",
        "prio": 0,
        "policy": "accept",
    }
    rules = [
        {"rule": {"family": "ip", "table": table, "chain": chain, "handle": number, "expr": each}}
        for number, each in enumerate(expressions, 1)
    ]
    return json.dumps({"nftables": [{"table": {"family": "ip", "name": table}}, {"chain": base}, *rules]})


DPORTS = {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [5081]}}}


def test_a_table_of_iptables_nft_is_walked_once() -> None:
    shown = listing([{"xt": {"type": "match", "name": "string"}}, {"drop": None}])
    tables = merged(input_rules("-A INPUT -s 10.9.2.0/24 -j DROP"), nft_tables(shown, {}))
    assert (len(tables), asked(tables).end) == (1, "local")


def test_what_only_nft_can_have_put_into_a_table_of_iptables_is_read_from_nft() -> None:
    shown = listing([DPORTS, {"drop": None}])
    tables = merged(
        input_rules("-A INPUT -p tcp -j DROP"), nft_tables(shown, {("ip", "filter", 1): "tcp dport { 5081 } drop"})
    )
    assert asked(tables).end == "local"
    dropped = asked(tables, 5081)
    assert dropped.place
    assert (dropped.end, dropped.place.text) == ("dropped", "tcp dport { 5081 } drop")


def test_a_chain_that_iptables_shows_otherwise_than_nft_is_read_from_nft() -> None:
    shown = listing([{"xt": {"type": "match", "name": "string"}}, {"drop": None}], [{"accept": None}])
    tables = merged(input_rules("-A INPUT -j ACCEPT"), nft_tables(shown, {}))
    assert asked(tables).why == "xt string: not known here"


@pytest.mark.parametrize(
    "expression",
    [
        {"match": {"op": "==", "left": {"meta": {"key": "cgroup"}}, "right": 1}},
        {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "ttl"}}, "right": 1}},
        {"match": {"op": "==", "left": {"osf": {"key": "name"}}, "right": "Linux"}},
        {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": "@gone"}},
        {"queue": {"num": 1}},
        {"something": "new"},
    ],
)
def test_nft_expressions_that_are_not_known_are_said(expression: object) -> None:
    seen = asked(nft_tables(listing([expression, {"drop": None}], table="own"), {}))
    assert seen.end == "unknown"
    assert "not known here" in seen.why


def test_an_ingress_chain_of_an_interface_that_nft_does_not_tell() -> None:
    shown = json.loads(listing([DPORTS, {"drop": None}], table="own"))
    shown["nftables"][1]["chain"]["hook"] = "ingress"
    assert asked(nft_tables(json.dumps(shown), {})).end == "local"
    assert asked(nft_tables(json.dumps(shown), {}), 5081).end == "unknown"
    shown["nftables"][1]["chain"]["dev"] = "lan1"
    assert asked(nft_tables(json.dumps(shown), {}), 5081).end == "local"


def test_rule_texts_are_found_by_handle() -> None:
    text = (
        "table inet t { # handle 3\n\tset s { # handle 9\n\t\ttype ipv4_addr\n\t}\n\n\tchain c { # handle 1\n"
        "\t\ttype filter hook input priority filter; policy accept;\n"
        "\t\ttcp dport { 80,\n\t\t\t    443 } accept # handle 5\n\t\tdrop # handle 6\n\t}\n}\n"
    )
    assert rule_texts(text) == {("inet", "t", 5): "tcp dport { 80, 443 } accept", ("inet", "t", 6): "drop"}
