"""Decides that tests of the lab can run beside each other: no test of a stack on spare hosts names one of them itself,
so each is on those that its process has; none of them works on a host of the lab's own stack, whose tests run beside
them, nor these on a spare one; and nobody takes the hub away, which all of them ask.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest

from lab import Host, host
from tests.lab import conftest
from tests.lab.doctor.fault import waves
from tests.lab.hosts import HOSTS
from tests.lab.spare import site

SPARES = [host(name) for name in chain(*site.PAIRS.values(), site.THIRDS.values())]
STACK = [host(name) for name in (*HOSTS, "outsider")]
FOLDER = Path(site.__file__).parent
LAB = FOLDER.parent
ON_SPARES = sorted({*FOLDER.glob("*.*")} - {Path(site.__file__)})
OTHERS = sorted({*LAB.rglob("*.py"), *LAB.rglob("*.yaml")} - {*FOLDER.rglob("*")})
WORKS_THERE = r"\b(?:must|on|host|restart|reaches|logins|snapshot|without_records)\(\s*['\"]registry['\"]"
"""`registry` is a word of the settings as well."""
AWAY = re.compile(r"systemctl (?:stop|restart|kill)[^'\"\n]* (?:nginx|versitygw|docker)\b")


def named(hosts: Iterable[Host], text: str) -> list[str]:
    """What in a text is a host's name or an address of it."""
    names = [each.name for each in hosts if each.name != "registry"]
    addresses = [re.escape(address) for each in hosts for address in (each.address, each.ssh_address)]
    return re.findall(rf"(?<!an )\b(?:{'|'.join([*names, *addresses])})\b", text)


def test_no_host_is_in_two_pairs() -> None:
    assert len({each.name for each in SPARES}) == len(SPARES)


@pytest.mark.parametrize("file", ON_SPARES, ids=lambda file: file.stem)
def test_only_the_site_names_them(file: Path) -> None:
    text = file.read_text()
    assert named([*SPARES, *STACK], text) == []
    assert re.findall(WORKS_THERE, text) == []


@pytest.mark.parametrize("file", OTHERS, ids=lambda file: str(file.relative_to(LAB)))
def test_the_stack_s_tests_leave_them_alone(file: Path) -> None:
    text = file.read_text()
    assert named(SPARES, text) == []
    assert "spare.site" not in text


@pytest.mark.parametrize("file", [*ON_SPARES, *OTHERS], ids=lambda file: str(file.relative_to(LAB)))
def test_the_hub_stays(file: Path) -> None:
    if file.suffix == ".yaml":
        faults = [each for wave in waves(file) for each in wave if each.broken_on == "hub"]
        scripts = [f"{each.breaks}\n{each.heals}\n{each.undo}" for each in faults]
    else:
        scripts = re.findall(r"['\"]hub['\"], .*", file.read_text())
    assert [each for each in scripts if AWAY.search(each)] == []


def test_the_stack_s_tests_are_in_one_process_and_a_file_of_others_in_one() -> None:
    groups = {conftest.works_on(LAB / name) for name in ("test_drift.py", "faults/test_faults.py", "doctor/test_x.py")}
    assert groups == {"stack"}
    files = [FOLDER / "test_tiers.py", FOLDER / "test_doctor.py", LAB.parent / "unit" / "test_reach.py"]
    assert [conftest.works_on(each) for each in files] == [str(each) for each in files]
    assert conftest.works_on(LAB / "test_docker_plugin_pull.py") == "docker"
