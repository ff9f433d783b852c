"""Runs on a host: takes units through faults, and prints each outcome as a line of JSON.

    python3 driver.pyz < requests.json

The requests are a list of: `owner`, `unit`, `wishes` (by name: `a`, `b` and others that the faults name), `faults`
(what is tried, in this order), `theirs` (files of somebody else, by path: content, mode, account), `stack` (the wish
that is to be in force afterwards, or null), `before` and `after` (shell commands around it all). A line
{"connect": request} asks for hostctl to be started by SSH with it.
"""

from __future__ import annotations

import json
import os
import pkgutil
import pwd
import resource
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import hostctl
from tests.lab.faults.on_host import interruptions, kills, refusals, room
from tests.lab.faults.on_host.state import alike, tree
from tests.lab.faults.on_host.subjects import output
from tests.lab.faults.on_host.trial import NotSurvived, Outcome, Trial, foreign_files


def say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def take_through(request: Mapping[str, Any]) -> None:
    """One unit: bare, through its faults, bare again, and as the stack has it."""

    def told(outcome: Outcome) -> None:
        say(unit=request["unit"], kind=outcome.kind, case=outcome.case, seen=outcome.seen)

    trial = Trial(request, told)
    trial.wishes["stack"] = request["stack"]
    if request["stack"]:
        trial.ask_for("stack")
    found = tree(trial.subject.roots)
    output("sh", "-c", request["before"])
    trial.ask_for("bare")
    theirs = foreign_files(trial.subject.roots) + [_put(path, *each) for path, each in request["theirs"].items()]
    if request["theirs"] and trial.subject.service:
        output("systemctl", "restart", f"{trial.subject.service}.service")
    try:
        trial.reach("bare")
        ways = kills.ends(trial)
        for fault in request["faults"]:
            name, arguments = fault[0], fault[1:]
            FAULTS[name](trial, ways, *arguments)
        with trial.case("no fault", "bare in the end"):
            trial.reach("bare")
    finally:
        trial.ask_for("bare")
        for path in theirs:
            path.unlink(missing_ok=True)
            if str(path.parent) not in found and path.parent.exists():
                path.parent.rmdir()
        output("sh", "-c", request["after"])
        report = trial.ask_for("stack") if request["stack"] else {}
        left = [path for path, entry in tree(trial.subject.roots).items() if not alike(entry, found.get(path))]
        if report.get("result") == "failed" or left:
            told(Outcome("no fault", "as it was found", f"{report}, another one now: {left}"))


def _put(path: str, content: str, mode: int, account: str) -> Path:
    file, owner = Path(path), pwd.getpwnam(account)
    if not file.parent.exists():
        file.parent.mkdir()
        os.chown(file.parent, owner.pw_uid, owner.pw_gid)
    file.write_text(content)
    os.chown(file, owner.pw_uid, owner.pw_gid)
    file.chmod(mode)
    return file


def connect(request: Mapping[str, Any]) -> None:
    say(connect=request)


FAULTS: Mapping[str, Any] = {
    "kill": kills.kill,
    "kill going back": lambda trial, _ways, *first: kills.kill_going_back(trial, *first),
    "no room": lambda trial, _ways: room.no_room(trial),
    "refuses to start": lambda trial, _ways, refusal: refusals.refuses_to_start(trial, refusal),
    "port is taken": lambda trial, _ways, port: refusals.port_is_taken(trial, port),
    "refuses the wish": lambda trial, _ways, wish: refusals.refuses_the_wish(trial, wish),
    "refuses by": lambda trial, _ways, program, file: refusals.refuses_by(trial, program, file),
    "dies": lambda trial, _ways, service: refusals.dies_meanwhile(trial, service),
    "stopped": lambda trial, _ways: interruptions.told_to_stop(trial),
    "connection": lambda trial, _ways, half_way: interruptions.connection_drops(trial, connect, half_way),
    "at once": lambda trial, _ways, rounds: interruptions.two_at_once(trial, rounds),
    "lock": lambda trial, _ways: interruptions.never_gets_the_lock(trial),
}


def load_everything() -> None:
    """Once, and not in each child: a module in a zip is compiled anew each time that it is loaded."""
    for each in pkgutil.walk_packages(hostctl.__path__, "hostctl."):
        import_module(each.name)


def main() -> None:
    load_everything()
    os.umask(0o022)
    os.environ.pop("SSH_CONNECTION", None)
    for request in json.load(sys.stdin):
        try:
            take_through(request)
        except NotSurvived as wrong:
            say(unit=request["unit"], kind="no fault", case="the way to the next case", seen=str(wrong))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    say(cpu=sum(each.ru_utime + each.ru_stime for each in used))
