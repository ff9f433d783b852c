"""From what was found on hosts to the settings of a stack that say the same. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import settings
from ops.adopt.agreement import Agreed, agreement
from ops.adopt.containerd import read_containerd
from ops.adopt.docker import read_docker
from ops.adopt.findings import Client, Machine, Notes, Run, Site, place
from ops.adopt.meeting import Findings, meet
from ops.adopt.nginx import read_sites
from ops.adopt.registries import INSIDE, read_registries
from ops.adopt.said import plain
from ops.adopt.tree import tree_of
from ops.preview_effects import unified

NOTHING: Mapping[str, Any] = {}


@dataclass
class Proposal:
    """Settings with their sources, and what goes with them."""

    tree: dict[str, Any]
    notes: Notes
    errors: list[str]
    """What the settings still lack."""


def propose(machines: Sequence[Machine], base: Mapping[str, Any] = NOTHING, stack: str = "ours") -> Proposal:
    """The settings of a stack with these hosts. `base`: what its file says already, which stays."""
    tier = Findings(machines, base, stack)
    tier.names = {str(each.get("name")) for key in ("hosts", "registries") for each in base.get(key, ())}
    tier.known = known_places(base)
    for machine in machines:
        tier.notes.left += [f"{machine.name}: {each}" for each in machine.report["silent"]]
        client = Client(machine.name)
        read_docker(machine, client, tier.notes)
        read_containerd(machine, client, tier.notes)
        tier.clients.append(client)
        runs = read_registries(machine, tier.names, tier.notes)
        sites = read_sites(machine, runs, tier.notes)
        tier.runs += runs
        tier.sites += [*sites, *_guarded(runs, sites)]
    meet(tier)
    tree = tree_of(tier)
    found, errors = settings.check(settings.Given(plain(tree), stack))
    if found is not None:
        for machine in machines:
            for each in agreement(found, machine.name, machine.report):
                tier.notes.changes += _told(machine.name, each) if not each.says_it else []
    return Proposal(tree, tier.notes, errors)


def _told(host: str, each: Agreed) -> list[str]:
    if each.why:
        return [f"{host}: {each.why}"]
    lines = list(unified(each.path, each.there, each.coming))
    return ["\n".join([f"{host}: {each.path} changes at the first up:", *lines])]


def known_places(base: Mapping[str, Any]) -> set[tuple[str, int]]:
    """Where the registries of the stack's file are reached."""
    tier, _ = settings.check(settings.Given(base)) if base.get("registries") else (None, [])
    return {place(url) for each in (tier.registries if tier else ()) for url in tier.urls(each)} if tier else set()


def _guarded(runs: Sequence[Run], sites: Sequence[Site]) -> Iterator[Site]:
    """Registries that ask for passwords or speak HTTPS themselves: the proxy does that, at the same port."""
    for run in runs:
        if any(site.registry is run for site in sites) or not (run.users_file or run.certificate):
            continue
        port, taken = run.port, {each.port for each in runs}
        run.port = next(each for each in range(INSIDE, 65535) if each not in taken)
        run.public = False
        yield Site(run.host, port, "", run, run.source, run.certificate, run.users, run.users_file)
