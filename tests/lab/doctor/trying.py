"""Breaks the lab by a wave of faults, asks doctor, does what it says, and asks again."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from doctor.finding import CONTROLLER
from lab.hosts import HOSTS
from ops.doctor import report
from ops.proof import on
from tests.lab.doctor.fault import PRELUDE, Fault, Wave
from tests.lab.doctor.site import Document, Site
from tests.lab.hosts import without_records

EDITOR = "/root/http-registry-doctor-editor"
AT_ONCE = 4
"""Questions; each is one to a client, and one to the registry's host."""
SHARED = ("/etc/docker/daemon.json", "/root/.docker/config.json")
READ = f"for file in {' '.join(SHARED)}; do [ ! -e $file ] || python3 -m json.tool --compact --sort-keys $file; done"
ANEW = re.compile(
    rf"[0-9a-f]{{64}}  (/etc/nginx/(conf\.d/)?http-registry|{'|'.join(SHARED)})|/var/cache/nginx/|^[0-9a-f]{{12}}$"
)
"""What a repair makes anew: the hashes of passwords, the layout of a JSON file, a container; and the cache."""
LAB_HOSTS = {each.name for each in HOSTS}


@dataclass(frozen=True)
class Outcome:
    """A fault that was tried. `named`: what doctor said, a cause and its host each; `left`: the same, once healed."""

    fault: Fault
    expected: frozenset[tuple[str, str]]
    named: frozenset[tuple[str, str]]
    left: frozenset[tuple[str, str]]
    told: str
    """The findings, for a person."""
    healed_by: tuple[str, ...]
    """The commands, and what they printed where one failed."""
    seconds: float
    """Those that doctor's answer took."""


def seen(name: str) -> list[str]:
    """What is on a host; of the files that Docker's users share with the stack what they say."""
    said = on(name, READ).stdout.splitlines()
    return [*(each for each in without_records(name) if not ANEW.search(each)), *said]


def others(before: Mapping[str, list[str]]) -> list[str]:
    """What is not on the hosts as it was `seen`."""
    wrong = []
    for name, lines in before.items():
        now = seen(name)
        wrong += [f"{name}: - {each}" for each in lines if each not in now]
        wrong += [f"{name}: + {each}" for each in now if each not in lines]
    return wrong


def script(site: Site, fault: Fault, what: str) -> str:
    """Run one of a fault's scripts where it is broken; gives what it said. Fails where it does."""
    if fault.broken_on == CONTROLLER:
        done = site.typed(what)
    else:
        done = on(fault.broken_on, f"SAVED=/root/http-registry-doctor-{fault.cause}\n{PRELUDE}\n{what}\n")
    assert done.returncode == 0, f"{fault.broken_on}: {fault.name}: {what}\n{done.stdout}"
    return done.stdout


def try_wave(site: Site, wave: Wave, clients: Iterable[str]) -> list[Outcome]:
    """All of it; afterwards the hosts are as before, healed or not."""
    clients = list(clients)
    broken = [each for each in wave if each.breaks]
    try:
        _on_hosts(broken, lambda each: script(site, each, _noted(each)))
        told = _ask(site, wave, instead=False)
        healed = _heal(site, wave, told)
        print(*healed, sep="\n")
        left = _ask(site, wave, instead=True)
    finally:
        _on_hosts(broken[::-1], lambda each: script(site, each, each.undo))
    return [
        Outcome(
            fault,
            _expected(fault, clients),
            _of(fault, wave, told),
            _of(fault, wave, left),
            "\n".join(report.lines(told[_question(fault)])),
            tuple(healed),
            max((each["seconds"] or 0 for each in told[_question(fault)]["hosts"]), default=0),
        )
        for fault in wave
    ]


def _noted(fault: Fault) -> str:
    """The break, and what the files that it keeps have become."""
    return fault.breaks if fault.broken_on == CONTROLLER else f"{fault.breaks}\nbroken"


def _on_hosts(faults: Wave, do: Callable[[Fault], str]) -> None:
    """Do something for each fault, at once on different hosts."""

    def one_by_one(host: str) -> None:
        for each in faults:
            if each.broken_on == host:
                do(each)

    hosts = list(dict.fromkeys(each.broken_on for each in faults))
    with ThreadPoolExecutor(max(len(hosts), 1)) as pool:
        list(pool.map(one_by_one, hosts))


def _question(fault: Fault) -> tuple[str, str]:
    return (fault.image, fault.host if fault.image and fault.host != CONTROLLER else "")


def _ask(site: Site, wave: Wave, *, instead: bool) -> dict[tuple[str, str], Document]:
    """doctor's answers by the question: of all faults without an image there is one."""
    questions = {_question(each): each for each in wave}

    def ask(question: tuple[str, str]) -> Document:
        fault = questions[question]
        return site.examine((instead and fault.instead) or fault.image, question[1])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(questions, pool.map(ask, questions), strict=True))


def _expected(fault: Fault, clients: list[str]) -> frozenset[tuple[str, str]]:
    return frozenset((host, fault.cause) for host in (clients if fault.found == "clients" else [fault.host]))


def _of(fault: Fault, wave: Wave, told: Mapping[tuple[str, str], Document]) -> frozenset[tuple[str, str]]:
    """What was said, without what must have been said of the others of the wave that were asked in the same breath."""
    question = _question(fault)
    said = {(each["host"], each["cause"]) for each in told[question]["findings"]}
    others = {(other.host, other.cause) for other in wave if other is not fault and _question(other) == question}
    return frozenset(said - others)


def _heal(site: Site, wave: Wave, told: Mapping[tuple[str, str], Document]) -> list[str]:
    """What the findings say, each line once and late, hosts first; and what somebody does of whom they can't know."""
    said: list[str] = []
    for fault in wave:
        if fault.heals:
            script(site, fault, fault.heals)
            said.append(f"by hand on {fault.broken_on}: {fault.heals.strip()}")
    by_hand = {(each.host, each.cause) for each in wave if each.heals}
    commands = [
        (command["on"], command["line"])
        for answer in told.values()
        for finding in answer["findings"]
        if (finding["host"], finding["cause"]) not in by_hand
        for command in finding["commands"]
    ]
    once = [each for number, each in enumerate(commands) if each not in commands[number + 1 :]]
    for place, line in sorted(once, key=lambda each: each[0] == CONTROLLER):
        began = time.monotonic()
        done = _typed(site, place, line, {each.host: each.editor for each in wave if each.editor})
        said.append(f"{place}# {line}  ({time.monotonic() - began:.1f} s)")
        if done.returncode != 0:
            said.append(f"exit status {done.returncode}: {done.stdout[-1500:]}")
    return said


def _typed(site: Site, place: str, line: str, editors: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    if place in LAB_HOSTS:
        program = shlex.quote(f"#!/bin/sh\n{editors.get(place, 'false')}\n")
        prepared = f"EDITOR={EDITOR}; printf %s {program} > $EDITOR; chmod +x $EDITOR"
        return on(place, f"{prepared}\n{line}\nstatus=$?; rm $EDITOR; exit $status")
    assert place == CONTROLLER, f"{place}: no host of the lab: {line}"
    return site.typed(line)
