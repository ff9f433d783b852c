"""Whether an address reaches a port of a host, and which rule decides: asked of the host's rules in force."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hostctl import PYTHON
from ops.configuration import tier_of, write_known_hosts
from ops.drift_marks import places
from ops.ssh import on_host
from ops.stack import Stack, StackError
from settings.tier import Tier

LIMIT = 20.0
"""Seconds that a host has to answer."""
REACHES, DOES_NOT, UNKNOWN = 0, 1, 2
"""The exit status: it does, it does not, it can't be told or asked."""
USAGE = "usage: hostctl"


@dataclass(frozen=True)
class Asked:
    """The question: `source` and `to` are addresses, or names of hosts in the settings; empty: the host decides.

    Without a `source` the host itself asks.
    """

    host: str
    source: str
    port: int
    to: str = ""
    interface: str = ""


def ask_reach(stack: Stack, asked: Asked) -> int:
    """Ask the host, print the answer in a few lines; returns the exit status. Raises StackError where it can't tell."""
    tier = tier_of(stack.name)
    host = next((each for each in tier.hosts if each.name == asked.host), None)
    if host is None:
        raise StackError(f"{asked.host}: the settings of {stack.name} have no such host")
    programs = [each.program for each in places(stack.state()["deployment"]) if each.host == asked.host]
    if not programs:
        raise StackError(f"{asked.host}: hostctl is not there yet; run 'make up' first")
    request = json.dumps(request_of(asked, tier))
    try:
        done = on_host(
            stack, host, write_known_hosts(stack.name), f"{PYTHON} {programs[0]} reach", request, limit=LIMIT
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"{asked.host}: no answer within {LIMIT:g} s") from None
    report = read_report(asked.host, done.returncode, done.stdout, done.stderr)
    for line in lines(report):
        print(line, flush=True)
    return status(report)


def request_of(asked: Asked, tier: Tier) -> dict[str, object]:
    """What hostctl is asked; a host's name becomes its address. Raises StackError where it is neither."""
    if not (asked.source or asked.to):
        raise StackError("give FROM=, who asks the host, or TO=, whom the host itself asks")
    request: dict[str, object] = {"port": asked.port}
    if asked.source:
        request["from"] = _address("FROM", asked.source, tier)
    if asked.to:
        request["to"] = _address("TO", asked.to, tier)
    if asked.interface:
        request["interface"] = asked.interface
    return request


def _address(what: str, given: str, tier: Tier) -> str:
    addresses = {each.name: each.address for each in tier.hosts}
    found = addresses.get(given, given)
    try:
        return str(ipaddress.ip_address(found))
    except ValueError:
        known = ", ".join(addresses)
        raise StackError(f"{what}={given}: must be an address, or a host of the settings with one ({known})") from None


def read_report(host: str, returned: int, stdout: str, stderr: str) -> dict[str, Any]:
    """hostctl's report. Raises StackError where there is none."""
    if stderr.startswith(USAGE):
        raise StackError(f"{host}: the hostctl there can't tell this yet; run 'make up' first")
    try:
        report: dict[str, Any] = json.loads(stdout)
    except ValueError:
        raise StackError(f"{host}: can't be asked: {stderr.strip() or f'exit status {returned}'}") from None
    if returned != 0:
        raise StackError(f"{host}: {report.get('error', stderr.strip())}")
    return report


def status(report: Mapping[str, Any]) -> int:
    """The exit status for a report."""
    return {"reaches": REACHES, "unknown": UNKNOWN}.get(report["verdict"], DOES_NOT)


def lines(report: Mapping[str, Any]) -> list[str]:
    """A report for a person."""
    asked, arrives = report["asked"], report["arrives"]
    way = f"{report.get('direction', 'in')} by {report['interface']}"
    told = [f"{asked['from']} -> {asked['to']} port {asked['port']}, {way}: {report['verdict']}"]
    if (asked["to"], asked["port"]) != (arrives["to"], arrives["port"]):
        told.append(f"  translated to {arrives['to']} port {arrives['port']}")
    told.append(f"  {report['why']}")
    rule = report["rule"]
    if rule and rule["text"] not in report["why"]:
        told.append(f"  let through by {rule['by']}, table {rule['table']}, chain {rule['chain']}: {rule['text']}")
    passed = [f"{each['table']} {each['chain']} {each['number']}" for each in report["way"]]
    told += [f"  way: {', '.join(passed)}"] if passed else []
    told += [f"  listening: {report['listener']}"] if report["listener"] else []
    told += [f"  if {each}" for each in report["assuming"]]
    return told + [f"  {each}" for each in report["notes"]]
