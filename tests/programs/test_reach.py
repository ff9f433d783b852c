"""Decides that `hostctl reach` says what real packets meet: rules of iptables (both variants) and nft, real sockets."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hostctl.live_rules import live_rules
from hostctl.reach import answer, read_question, report
from hostctl.routes import Routes
from lab import packages
from tests.programs.reach_world import REACHED, REFUSED, SILENT, ReachWorld
from tests.reach_cases import case_folders, expected, text, told

MEETS = {
    "reaches": REACHED,
    "dropped": SILENT,
    "rejected": REFUSED,
    "nobody listens": REFUSED,
}
RESTORE = {
    "iptables.v4": "iptables-nft-restore",
    "iptables.v6": "ip6tables-nft-restore",
    "legacy.v4": "iptables-legacy-restore",
    "legacy.v6": "ip6tables-legacy-restore",
}


@pytest.fixture(scope="module")
def world() -> Iterator[ReachWorld]:
    packages.need({"iptables-nft": "iptables", "nft": "nftables", "ss": "iproute2"})
    built = ReachWorld(str(os.getpid()))
    try:
        built.start()
        yield built
    finally:
        built.stop()


@pytest.fixture
def empty(world: ReachWorld) -> Iterator[ReachWorld]:
    yield world
    world.clear()


def load(world: ReachWorld, case: Path) -> None:
    for name, program in RESTORE.items():
        if (case / name).exists():
            world.host.must(program, stdin=text(case, name))
    if (case / "rules.nft").exists():
        world.host.must("nft", "-f", "-", stdin=text(case, "rules.nft"))


def asked(world: ReachWorld, questions: Sequence[tuple[str, str, int]]) -> list[dict[str, Any]]:
    """What hostctl says to each; the rules are read once."""
    rules = {version: live_rules(world.host, version) for version in (4, 6)}
    routes = Routes(world.host)
    reports = []
    for source, to, port in questions:
        question = read_question({"from": source, "to": to, "port": port})
        known = rules[question.source.version]
        reports.append(report(answer(world.host, question, known, routes), known))
    return reports


@pytest.mark.parametrize("case", case_folders(), ids=lambda path: path.name)
def test_an_answer_is_what_packets_meet(empty: ReachWorld, case: Path) -> None:
    load(empty, case)
    wanted = list(expected(case))
    reports = asked(empty, [(each.source, each.to, each.port) for each in wanted])
    told_all = [(each["verdict"], told(each), "{to} {port}".format(**each["arrives"])) for each in reports]
    for each, found in zip(wanted, told_all, strict=True):
        arrives = each.arrives if each.verdict in ("reaches", "nobody listens") else found[2]
        assert found == (each.verdict, each.rule, arrives), each
    real = [each for each in wanted if not each.unasked and each.verdict in MEETS]
    meets = [MEETS[each.verdict] for each in real]
    met = empty.meets([(each.source, each.to, each.port) for each in real], meets)
    assert list(zip(real, met, strict=True)) == list(zip(real, meets, strict=True))


def test_the_program_itself_tells(empty: ReachWorld) -> None:
    command = ["python3", "-m", "hostctl", "reach"]
    empty.host.must("iptables-nft", "-A", "INPUT", "-s", "10.9.2.0/24", "-j", "DROP")
    told = empty.host.must(*command, stdin=json.dumps({"from": "10.9.2.2", "port": 5080}))
    found = json.loads(told)
    assert (found["verdict"], found["interface"], found["asked"]["to"]) == ("dropped", "lan1", "10.9.2.1")
    assert found["rule"]["text"] == "-A INPUT -s 10.9.2.0/24 -j DROP"
