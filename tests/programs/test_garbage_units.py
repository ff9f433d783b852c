"""systemd and the program themselves accept what is rendered, and hostctl refuses what they refuse."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.unit import Change
from hostctl.units.garbage_collection import PROGRAM, GarbageCollection, service, timer
from tests.unit.test_garbage_documents import SECRETS, rendered


def checked(wish: dict[str, Any]) -> None:
    """What hostctl does before it changes anything."""
    unit, host = GarbageCollection(), Host()
    unit.preflight(host, wish)
    own = {each.path: each.state for each in unit.own_files(host, wish)}
    unit.check(host, Change({}, own, wish, {}, unit.facts(host, wish, {})), {})


def with_file(name: str, old: str, new: str) -> dict[str, Any]:
    """The wish with a file that somebody has spoilt."""
    whole = rendered(SECRETS)
    files = tuple(
        replace(each, text=each.text.replace(old, new)) if each.path.endswith(name) else each for each in whole.files
    )
    assert files != whole.files
    return replace(whole, files=files).wish()


def test_what_is_rendered_is_accepted() -> None:
    checked(rendered(SECRETS).wish())


@pytest.mark.parametrize(
    ("name", "old", "new", "error"),
    [
        (service("one"), "[Service]", "[Service", "systemd does not accept http-registry-gc-one"),
        (
            service("two"),
            "ExecStart=python3",
            "ExecStart=no-such-program",
            "systemd does not accept http-registry-gc-two",
        ),
        ("one.json", '"spare"', '"share"', "one.json: the program does not accept it: one.json: 'spare'"),
        (timer("two"), "[Timer]", "[Times]", "systemd does not accept http-registry-gc-two"),
    ],
)
def test_what_is_spoilt_is_refused(name: str, old: str, new: str, error: str) -> None:
    with pytest.raises(HostError) as refused:
        checked(with_file(name, old, new))
    assert error in str(refused.value)


def test_a_schedule_that_systemd_does_not_understand_is_refused() -> None:
    whole = rendered()
    with pytest.raises(HostError, match=r"registry one, garbage_collection\.schedule = 'Someday'"):
        checked(replace(whole, schedules={**whole.schedules, "one": "Someday"}).wish())


def test_files_of_somebody_else_are_refused() -> None:
    wish = rendered().wish()
    wish["files"].append({"path": "/etc/passwd", "content": "x"})
    with pytest.raises(HostError, match="wish, files: must be"):
        checked(wish)


def test_the_program_as_it_is_on_the_host_says_what_is_wrong(tmp_path: Path) -> None:
    """By the system's Python and without anything of this project."""
    for each in rendered().files:
        if each.path.startswith(PROGRAM):
            (tmp_path / "garbage_collection").mkdir(exist_ok=True)
            (tmp_path / "garbage_collection" / Path(each.path).name).write_text(each.text)
    config = tmp_path / "config.json"
    config.write_text(
        '{"untagged": false, "spare": 1, "access": "a", "secret": "s", "bucket": '
        '{"endpoint": "http://127.0.0.1:1", "region": "r", "bucket": "b"}}'
    )
    command: list[str | Path] = [sys.executable, "-I", "-B", tmp_path / "garbage_collection", config]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"RUNTIME_DIRECTORY": str(tmp_path)}
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("stopped: http://127.0.0.1:1: does not answer")
    assert len(done.stderr.splitlines()) == 1
