"""What runtimes ask, brought together with what runs: each registry that is asked becomes one of the tier. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ops.adopt.docker import HUB
from ops.adopt.findings import Client, Machine, MirrorUse, Notes, Run, Site, named, place
from ops.adopt.hosts_files import entry
from ops.adopt.registries import INSIDE
from ops.adopt.said import Said, plain

UPSTREAM = "https://registry-1.docker.io"


@dataclass
class Findings:
    """All that was found. `known`: where the registries of the stack's file are reached. `hosts`: those that only
    runtimes name. `called`: what runtimes call a host by."""

    machines: Sequence[Machine]
    base: Mapping[str, Any]
    stack: str
    notes: Notes = field(default_factory=Notes)
    clients: list[Client] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    known: set[tuple[str, int]] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    hosts: list[dict[str, Any]] = field(default_factory=list)
    called: dict[str, str] = field(default_factory=dict)


def meet(tier: Findings) -> None:
    """Bring what runtimes ask together with what runs."""
    later: list[tuple[Client, MirrorUse]] = []
    for client in tier.clients:
        for use in client.mirrors:
            if _meets(tier, use.url, use.registry, use.source):
                _more(client, use)
            elif use.only_containerd and not _machine(tier, place(use.url)[0]):
                later.append((client, use))
            else:
                _new(tier, use.url, use.registry, use.source)
                _more(client, use)
        for server in client.servers:
            if not _meets(tier, server.url, "", server.source):
                if server.url.startswith("http://"):
                    _new(tier, server.url, "", server.source)
                else:
                    tier.notes.left.append(
                        f"{server.source}: {server.url} is no registry of this tier; it stays as it is"
                    )
    for client, use in later:
        if _meets(tier, use.url, use.registry, use.source):
            _more(client, use)
        elif (tier.runs or tier.known) and not _machine(tier, place(use.url)[0]):
            _own_mirrors(client).append(entry(use.registry, [use.url, *use.more], use.source))
        else:
            _new(tier, use.url, use.registry, use.source)
            _more(client, use)
    for run in tier.runs:
        if not run.public and not any(site.registry is run for site in tier.sites):
            tier.notes.left.append(
                f"{run.source}: others do not reach it today, and no nginx leads there; it will be public"
            )


def _meets(tier: Findings, url: str, registry: str, source: str) -> bool:
    """Whether a registry that was found, or that the stack has, answers there."""
    host, port = place(url)
    if (host, port) in tier.known:
        return True
    for site in tier.sites:
        if site.port == port and (host == site.server_name or _is(tier, site.host, host)):
            if host != site.server_name:
                site.server_name = host
            return _serves(tier, site.registry, registry, source)
    for run in tier.runs:
        if run.port == port and run.public and _is(tier, run.host, host):
            tier.called.setdefault(run.host, host)
            if any(site.registry is run for site in tier.sites):
                tier.notes.changes.append(
                    f"{source}: {url} passes the proxy by, and is closed behind it; the proxy's is asked"
                )
            return _serves(tier, run, registry, source)
    return False


def _serves(tier: Findings, run: Run, registry: str, source: str) -> bool:
    if run.guessed and registry and registry != "*":
        run.serves, run.guessed, run.serves_source = registry, False, source
    if registry and run.serves != registry:
        if run.serves:
            tier.notes.left.append(f"{source}: {run.name} serves {run.serves}, and is asked for {registry}")
        elif not registry.startswith("*"):
            run.serves = registry
            run.settings.setdefault("kind", Said("hosted", f"{source}: asked in the place of {registry}"))
    return True


def _is(tier: Findings, name: str, host: str) -> bool:
    return any(each.name == name and host in each.addresses for each in tier.machines) or any(
        plain(each["name"]) == name and plain(each["address"]) == host for each in tier.hosts
    )


def _machine(tier: Findings, host: str) -> str:
    """The name of the host that is reached by this name or address; empty where the tier has none."""
    for machine in tier.machines:
        if host in machine.addresses:
            return machine.name
    others = [*tier.base.get("hosts", ()), *map(plain, tier.hosts)]
    return next((str(each["name"]) for each in others if host in (each.get("name"), each.get("address"))), "")


def _new(tier: Findings, url: str, registry: str, source: str) -> None:
    """A registry that a runtime asks and that no host has shown."""
    host, port = place(url)
    name = _machine(tier, host)
    if not name:
        name = named(host, tier.names)
        tier.hosts.append({"name": Said(name, f"asked by {source}"), "address": Said(host, f"asked by {source}")})
        tier.notes.left.append(f"{name} ({host}): was not read; add it to HOST, and what it runs is proposed too")
    else:
        tier.notes.left.append(f"{source}: {url} is asked, and no registry was found there; this one would be made")
    run = Run(named("hub-cache" if registry == HUB else registry or "hosted", tier.names), name, port, source, registry)
    if registry:
        real = UPSTREAM if registry == HUB else f"https://{registry}"
        run.settings["upstream"] = Said(real, "nobody has said it: the real registry")
    if url.startswith("https://"):
        run.port = INSIDE
        tier.sites.append(Site(name, port, host, run, source, f"of {host}"))
    tier.runs.append(run)


def _more(client: Client, use: MirrorUse) -> None:
    if use.more:
        _own_mirrors(client).append(entry(use.registry, list(use.more), use.source))


def _own_mirrors(client: Client) -> list[Any]:
    client.containerd = {} if client.containerd is None else client.containerd
    mirrors: list[Any] = client.containerd.setdefault("mirrors", [])
    return mirrors
