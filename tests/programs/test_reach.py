"""Decides that `hostctl reach` says what real packets meet: rules of iptables (both variants) and nft, real sockets."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings

from hostctl.live_rules import live_rules
from hostctl.reach import answer, read_question, report, version
from hostctl.routes import Routes
from tests.programs.reach_world import CONTAINER, REACHED, REFUSED, SILENT, ReachWorld, reach_world
from tests.programs.rule_strategies import QUESTIONS, iptables_rules, nft_rules
from tests.reach_cases import IN_CONTAINER, case_folders, expected, text, told

MEETS = {
    "reaches": REACHED,
    "dropped": SILENT,
    "rejected": REFUSED,
    "nobody listens": REFUSED,
}
EXAMPLES = int(os.environ.get("REACH_EXAMPLES", "8"))
"""Rule sets at random, of each kind: most take half a second, for the packets that nobody answers."""
RESTORE = {
    "iptables.v4": "iptables-nft-restore",
    "iptables.v6": "ip6tables-nft-restore",
    "legacy.v4": "iptables-legacy-restore",
    "legacy.v6": "ip6tables-legacy-restore",
}


@pytest.fixture(scope="module")
def world() -> Iterator[ReachWorld]:
    with reach_world() as built:
        yield built


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
    rules = {each: live_rules(world.host, each) for each in (4, 6)}
    routes = Routes(world.host)
    reports = []
    for source, to, port in questions:
        question = read_question({"from": source, "to": to, "port": port})
        known = rules[version(question)]
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


def agrees(world: ReachWorld, rules: str) -> None:
    """What hostctl says to the questions is what their packets meet. `unknown` is no answer, and never wrong."""
    reports = asked(world, QUESTIONS)
    known = [number for number, each in enumerate(reports) if each["verdict"] in MEETS]
    real = [QUESTIONS[each] for each in known]
    wanted = [_meets(reports[each]) for each in known]
    met = world.meets(real, wanted)
    for question, want, found, number in zip(real, wanted, met, known, strict=True):
        report = reports[number]
        assert found == want, (
            f"{question}: {report['verdict']}: {report['why']}\n{json.dumps(report, indent=1)}\n{rules}"
        )


def _meets(report: dict[str, Any]) -> str:
    """Nobody listens behind a container's other ports."""
    if (
        report["verdict"] == "reaches"
        and report["arrives"]["to"] == CONTAINER
        and report["arrives"]["port"] not in IN_CONTAINER
    ):
        return REFUSED
    return MEETS[report["verdict"]]


AT_RANDOM = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="REACH_EXAMPLES" not in os.environ,
    database=None,
    phases=[Phase.generate],  # no shrinking: it would take minutes, and the report has the way of the packet
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("program", ["iptables-nft-restore", "iptables-legacy-restore"])
@AT_RANDOM
@given(rules=iptables_rules())
def test_iptables_rules_at_random(world: ReachWorld, program: str, rules: str) -> None:
    world.host.must(program, stdin=rules)
    try:
        agrees(world, rules)
    finally:
        world.clear()


@AT_RANDOM
@given(rules=nft_rules())
def test_nft_rules_at_random(world: ReachWorld, rules: str) -> None:
    if world.host.run("nft", "-f", "-", stdin=rules).ok:
        try:
            agrees(world, rules)
        finally:
            world.clear()
    else:
        reject()
