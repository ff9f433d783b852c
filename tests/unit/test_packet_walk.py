"""Decides where a packet ends, and by which rule, from rule sets as texts. Cases are files.

That real packets end there is decided in tests/programs/test_reach.py, of the same files.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from hostctl.nft_rules import merged, nft_tables, rule_texts
from hostctl.packet_walk import Walk, walk
from hostctl.packets import Packet, Table
from hostctl.rule_sets import iptables_tables
from tests.reach_cases import INTERFACES, PLACES, Expected, case_folders, expected, text
from tests.unit.paper_host import PaperHost

ENDS = {"reaches": ("local", "forward"), "nobody listens": ("local",)}
HOST = PaperHost({name: [PLACES[each] for each in places] for name, places in INTERFACES.items()})
QUESTIONS = [(case, each) for case in case_folders() for each in expected(case)]


def tables(case: Path) -> list[Table]:
    """What a host with these rules would print, read."""
    by_nft, legacy = [], []
    for version, prefix in ((4, "iptables"), (6, "ip6tables")):
        printed = text(case, f"printed.v{version}") or text(case, f"iptables.v{version}")
        by_nft += iptables_tables(printed, f"{prefix}-nft", version)
        legacy += iptables_tables(text(case, f"legacy.v{version}"), f"{prefix}-legacy", version)
    nft = nft_tables(text(case, "rules.json"), rule_texts(text(case, "rules.txt")))
    return [*merged(by_nft, nft), *legacy]


def walked(rules: list[Table], source: str, to: str, port: int) -> Walk:
    address = ipaddress.ip_address(source)
    packet = Packet(address, ipaddress.ip_address(to), port, in_interface=HOST.way_to(address))
    return walk(rules, packet, HOST)


@pytest.mark.parametrize(("case", "wanted"), QUESTIONS, ids=lambda value: getattr(value, "name", ""))
def test_where_a_packet_ends(case: Path, wanted: Expected) -> None:
    seen = walked(tables(case), wanted.source, wanted.to, wanted.port)
    assert seen.end in ENDS.get(wanted.verdict, (wanted.verdict,)), seen
    rule = f"{seen.place.by} {seen.place.table} {seen.place.chain} {seen.place.number}" if seen.place else ""
    assert rule == wanted.rule, seen
    if wanted.verdict in ENDS:
        assert f"{seen.packet.destination} {seen.packet.port}" == wanted.arrives
