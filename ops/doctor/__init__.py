"""Why a pull fails: all at once, hosts walk the ways of their pulls, and those that serve look at themselves."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from doctor.causes import STATUS
from doctor.finding import CONTROLLER
from doctor.pull import Image
from doctor.steps import reference
from ops.configuration import resolved_tier, write_known_hosts
from ops.diagnosis import SSH_FAILED, remedy
from ops.doctor import report
from ops.doctor.findings import leave
from ops.doctor.found import Found, found, once, steps
from ops.doctor.pulls import document as pull_document
from ops.doctor.pulls import pulls
from ops.doctor.server import folded, served
from ops.from_memory import FromMemory
from ops.ssh import on_host
from ops.stack import Stack
from settings.tier import Host, Tier

PROGRAM = FromMemory("doctor")
DEADLINE = 8.0
"""Seconds that a host takes at most for its answer."""
LIMIT = 20.0
"""Seconds after which a host is not waited for: a busy one takes some to log in and to start."""
NOTHING, SILENT, USAGE = 0, 1, 2
"""The exit status where nothing was found, a host could not be asked, the question is wrong."""


class Usage(Exception):
    """The question can't be asked; the text says why."""


@dataclass
class Answers:
    """What the hosts have said, and why others have said nothing."""

    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)


def diagnose(stack: Stack, *, image: str = "", host: str = "", as_json: bool = False) -> int:
    """Ask, and print what was found; returns the exit status. Raises Usage."""
    result = examine(stack, image=image, host=host)
    if as_json:
        print(json.dumps(result, indent=2), flush=True)
    else:
        report.show(result)
    return status(result)


def examine(stack: Stack, *, image: str = "", host: str = "") -> dict[str, Any]:
    """Ask, and give the whole result; that of all hosts and registries is left for the status page. Raises Usage."""
    tier = resolved_tier(stack)
    if host and host not in {each.name for each in tier.hosts}:
        raise Usage(f"HOST={host}: the settings of {stack.name} have no such host")
    wanted, wrong = _read_image(image)
    answers = Answers()
    if not wrong:
        requests = requests_of(tier, wanted, host)
        if not requests or (host and host not in requests):
            raise Usage(f"{host or stack.name}: no runtime and no registry there, by the settings; nothing to ask")
        answers = ask(stack, tier, requests)
    result = document(stack.name, answers, wrong or once(folded(tier, found(answers.reports))))
    if not (wanted or wrong or host):
        leave(stack, tier, result)
    return result


def _read_image(text: str) -> tuple[Image | None, list[Found]]:
    if not text:
        return None, []
    seen, image = reference.look(text)
    return image, [Found(CONTROLLER, each) for each in seen.findings]


def requests_of(tier: Tier, image: Image | None, only: str = "") -> dict[str, dict[str, Any]]:
    """What each host is asked, without the time. Those that serve are asked always: the reason may be there. Pure."""
    client = only if any(each.host == only for each in tier.runtimes) else ""
    requests = {
        each.name: {
            "deadline": DEADLINE,
            "pulls": [pull_document(pull) for pull in pulls(tier, each.name, image)],
            "serves": served(tier, each.name, image, client),
        }
        for each in tier.hosts
    }
    return {
        name: {**request, "pulls": request["pulls"] if only in ("", name) else []}
        for name, request in requests.items()
        if request["serves"] or (request["pulls"] and only in ("", name))
    }


def ask(stack: Stack, tier: Tier, requests: Mapping[str, Mapping[str, Any]]) -> Answers:
    """Ask all hosts at once."""
    known_hosts = write_known_hosts(stack.name)
    answers = Answers()

    def answer(host: Host) -> subprocess.CompletedProcess[str]:
        request = json.dumps({"clock": time.time(), **requests[host.name]})
        return on_host(stack, host, known_hosts, PROGRAM.command, PROGRAM.stdin(request), LIMIT)

    hosts = [each for each in tier.hosts if each.name in requests]
    with ThreadPoolExecutor(len(hosts)) as pool:
        asked = {host.name: pool.submit(answer, host) for host in hosts}
    for name, given in asked.items():
        try:
            done = given.result()
        except subprocess.TimeoutExpired:
            answers.silent[name] = f"no answer within {LIMIT:g} s"
            continue
        try:
            answers.reports[name] = json.loads(done.stdout)
        except ValueError:
            answers.silent[name] = _why_silent(stack.name, name, done)
    return answers


def _why_silent(stack: str, host: str, done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode == SSH_FAILED:
        return remedy(stack, host, done.stderr).partition(": ")[2]
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


def document(stack: str, answers: Answers, all_found: Sequence[Found]) -> dict[str, Any]:
    """The whole result, as `make doctor JSON=1` prints it."""
    return {
        "stack": stack,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "hosts": [
            *(
                {"host": name, "seconds": each["seconds"], "error": None, "steps": steps(each)}
                for name, each in answers.reports.items()
            ),
            *({"host": name, "seconds": None, "error": why, "steps": []} for name, why in answers.silent.items()),
        ],
        "findings": [each.document(stack) for each in all_found],
    }


def status(result: Mapping[str, Any]) -> int:
    """The exit status for a result: by the area of its first finding."""
    if result["findings"]:
        return STATUS[result["findings"][0]["area"]]
    return SILENT if any(each["error"] for each in result["hosts"]) else NOTHING


def say_usage(wrong: Usage) -> int:
    """Tell why a question can't be asked; returns the exit status."""
    print(f"ops: {wrong}", file=sys.stderr)
    return USAGE
