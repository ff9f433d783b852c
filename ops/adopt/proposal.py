"""From what was found on hosts to the settings of a stack that say the same. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import settings
from ops.adopt.agreement import agreement
from ops.adopt.containerd import read_containerd
from ops.adopt.docker import HUB, read_docker
from ops.adopt.findings import Client, Machine, MirrorUse, Notes, Run, Site, named, place
from ops.adopt.firewall import read_firewall
from ops.adopt.hosts_files import entry
from ops.adopt.nginx import read_sites
from ops.adopt.registries import INSIDE, read_registries
from ops.adopt.said import Said, plain
from ops.preview_effects import unified

IMAGE = "registry:3.1.2"
UPSTREAM = "https://registry-1.docker.io"
AS_IT_IS = "as the stack has it"
NOTHING: Mapping[str, Any] = {}


@dataclass
class Proposal:
    """Settings with their sources, and what goes with them."""

    tree: dict[str, Any]
    notes: Notes
    errors: list[str]
    """What the settings still lack."""


@dataclass
class _Tier:
    """What is known of the tier so far."""

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


def propose(machines: Sequence[Machine], base: Mapping[str, Any] = NOTHING, stack: str = "ours") -> Proposal:
    """The settings of a stack with these hosts. `base`: what its file says already, which stays."""
    tier = _Tier(machines, base, stack)
    tier.names = {str(each.get("name")) for key in ("hosts", "registries") for each in base.get(key, ())}
    tier.known = _known(base)
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
    _meet(tier)
    tree = _tree(tier)
    found, errors = settings.check(settings.Given(plain(tree), stack))
    if found is not None:
        for machine in machines:
            for each in agreement(found, machine.name, machine.report):
                tier.notes.changes += _told(machine.name, each) if not each.says_it else []
    return Proposal(tree, tier.notes, errors)


def _told(host: str, each: Any) -> list[str]:
    if each.why:
        return [f"{host}: {each.why}"]
    lines = list(unified(each.path, each.there, each.coming))
    return ["\n".join([f"{host}: {each.path} changes at the first up:", *lines])]


def _known(base: Mapping[str, Any]) -> set[tuple[str, int]]:
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


def _meet(tier: _Tier) -> None:
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


def _meets(tier: _Tier, url: str, registry: str, source: str) -> bool:
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


def _serves(tier: _Tier, run: Run, registry: str, source: str) -> bool:
    if run.guessed and registry and registry != "*":
        run.serves, run.guessed, run.serves_source = registry, False, source
    if registry and run.serves != registry:
        if run.serves:
            tier.notes.left.append(f"{source}: {run.name} serves {run.serves}, and is asked for {registry}")
        elif not registry.startswith("*"):
            run.serves = registry
            run.settings.setdefault("kind", Said("hosted", f"{source}: asked in the place of {registry}"))
    return True


def _is(tier: _Tier, name: str, host: str) -> bool:
    return any(each.name == name and host in each.addresses for each in tier.machines) or any(
        plain(each["name"]) == name and plain(each["address"]) == host for each in tier.hosts
    )


def _machine(tier: _Tier, host: str) -> str:
    """The name of the host that is reached by this name or address; empty where the tier has none."""
    for machine in tier.machines:
        if host in machine.addresses:
            return machine.name
    others = [*tier.base.get("hosts", ()), *map(plain, tier.hosts)]
    return next((str(each["name"]) for each in others if host in (each.get("name"), each.get("address"))), "")


def _new(tier: _Tier, url: str, registry: str, source: str) -> None:
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


def _tree(tier: _Tier) -> dict[str, Any]:
    base = {
        key: Said(each, AS_IT_IS) if not isinstance(each, (list, dict)) else each for key, each in tier.base.items()
    }
    tree: dict[str, Any] = {"tier": base.get("tier", Said("dev", "the tier that asks least: docs/tiers.md"))}
    tree |= {"known_hosts": base["known_hosts"]} if "known_hosts" in base else {}
    tree["hosts"] = [*_hosts(tier), *tier.hosts]
    tree["image"] = (
        _kept(base["image"])
        if "image" in base
        else {"reference": Said(IMAGE, "distribution v3, as the product runs it")}
    )
    tree["registries"] = [*map(_kept, tier.base.get("registries", ())), *(_registry(each) for each in tier.runs)]
    if proxy := _proxy(tier):
        tree["proxy"] = proxy
    tree["runtimes"] = _runtimes(tier)
    if "authorities" not in base and (authorities := _authorities(tier)):
        tree["authorities"] = authorities
    if "firewall" in base:
        tree["firewall"] = _kept(base["firewall"])
    else:
        tree["firewall"] = read_firewall(tier.machines, _open_ports(tier), tier.notes)
    return tree | {key: _kept(each) for key, each in base.items() if key not in tree}


def _kept(value: Any) -> Any:
    """What the stack's file says, as a tree."""
    if isinstance(value, Said):
        return value
    if isinstance(value, Mapping):
        return {key: _kept(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_kept(each) for each in value]
    return Said(value, AS_IT_IS)


def _hosts(tier: _Tier) -> Iterator[Any]:
    known = [each.get("name") for each in tier.base.get("hosts", ())]
    yield from map(_kept, tier.base.get("hosts", ()))
    for machine in tier.machines:
        if machine.name not in known:
            made = _kept_from(machine.entry, "HOST")
            called = tier.called.get(machine.name)
            if called and called != machine.address:
                made["ssh"] = {"host": Said(machine.address, "HOST"), **made.get("ssh", {})}
                made["address"] = Said(called, "what runtimes call it by")
            yield made


def _kept_from(value: Any, source: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _kept_from(each, source) for key, each in value.items()}
    return Said(value, source)


def _registry(run: Run) -> dict[str, Any]:
    rest = dict(run.settings)
    kind = rest.pop("kind", None) or Said("cache" if run.serves else "hosted", run.source)
    found: dict[str, Any] = {
        "kind": kind,
        "name": Said(run.name),
        "host": Said(run.host),
        "port": Said(run.port, run.source if run.public else f"{run.source}; on 127.0.0.1, behind the proxy"),
    }
    if run.serves:
        found["serves"] = Said(run.serves, run.serves_source or run.source)
    if kind.value == "cache" and "upstream" not in rest:
        rest["upstream"] = Said(UPSTREAM, "nobody has said it: the real registry")
    return found | rest


def _proxy(tier: _Tier) -> Any:
    if "proxy" in tier.base:
        if tier.sites:
            tier.notes.left.append(
                "proxy: the stack has one already; add these endpoints to it: " + _listed(tier.sites)
            )
        return _kept(tier.base["proxy"])
    if not tier.sites:
        return None
    host = tier.sites[0].host
    if others := [each for each in tier.sites if each.host != host]:
        tier.notes.left.append("proxy: a tier has one; make another stack of these: " + _listed(others))
    sites = [each for each in tier.sites if each.host == host]
    users: dict[str, str] = {}
    for each in sites:
        users |= {name: f"{each.host}:{each.users_file}" for name in each.users if name not in users}
    for name, source in users.items():
        tier.notes.secrets.setdefault(
            f"password-{name}", f"{source} has its hash alone; ask {name}, or choose a new one"
        )
    proxy: dict[str, Any] = {"host": Said(host), "endpoints": [_endpoint(each, tier) for each in sites]}
    if users:
        listed = [
            {"name": Said(name, source), "role": Said("push", "nothing there tells; pull, if it never pushes")}
            for name, source in users.items()
        ]
        proxy["users"] = listed
    return proxy


def _endpoint(site: Site, tier: _Tier) -> dict[str, Any]:
    machine = next((each for each in tier.machines if each.name == site.host), None)
    address = site.server_name or (machine.address if machine else site.host)
    found: dict[str, Any] = {
        "registry": Said(site.registry.name, site.source),
        "port": Said(site.port, site.source),
        "server_name": Said(address, f"{site.source} server_name" if site.server_name else "the host's address"),
    }
    cache = bool(site.registry.serves) and "kind" not in site.registry.settings
    if cache and site.users_file:
        found["login"] = Said(True, f"{site.host}:{site.users_file}")
    if site.anonymous_pull and not cache:
        found["anonymous_pull"] = Said(True, f"{site.source} limit_except")
    if not cache and not site.users_file:
        found["anonymous_pull"] = Said(True, "no password is asked today; a push will need a user's")
        tier.notes.changes.append(
            f"{site.source}: anybody pushes there today; behind http-registry a push needs a user"
        )
    if site.certificate:
        file = f"stacks/certificates/{tier.stack}/{site.registry.name}.pem"
        found["tls"] = {"certificate": Said(file, f"a copy of {site.host}:{site.certificate}")}
        tier.notes.files[file] = f"{site.host}:{site.certificate}"
        tier.notes.secrets[f"tls-key-{site.registry.name}"] = f"the key of {site.host}:{site.certificate}"
        if site.redirect_from:
            found["tls"]["redirect_from"] = Said(site.redirect_from, f"{site.source}, and the server that redirects")
    return found


def _authorities(tier: _Tier) -> list[dict[str, Any]]:
    """Each certificate once, with all that it has signed."""
    by_text: dict[str, dict[str, str]] = {}
    for server, (source, text) in tier.notes.authorities.items():
        by_text.setdefault(text.strip(), {})[server] = source
    found = []
    for servers in by_text.values():
        name, source = named(f"ca-{next(iter(servers))}", tier.names), next(iter(servers.values()))
        file = f"stacks/certificates/{tier.stack}/{name}.pem"
        tier.notes.files[file] = source
        found.append(
            {
                "name": Said(name),
                "certificate": Said(file, f"a copy of {source}"),
                "registries": Said(list(servers), ", ".join(dict.fromkeys(servers.values()))),
            }
        )
    return found


def _listed(sites: Sequence[Site]) -> str:
    return ", ".join(f"{each.registry.name} at port {each.port} ({each.source})" for each in sites)


def _runtimes(tier: _Tier) -> list[dict[str, Any]]:
    """Those of the stack, and over what it says of a host what was found there."""
    found: dict[str, dict[str, Any]] = {str(each.get("host")): _kept(each) for each in tier.base.get("runtimes", ())}
    for client in tier.clients:
        known = found.get(client.host, {})
        parts = {"docker": client.docker, "containerd": client.containerd}
        new: dict[str, Any] = {
            name: {**known.get(name, {}), **part} for name, part in parts.items() if part is not None
        }
        new |= {"cli": client.cli} if client.cli else {}
        if new:
            found[client.host] = {"host": Said(client.host), **known, **new}
    return list(found.values())


def _open_ports(tier: _Tier) -> dict[str, set[int]]:
    """The ports that the tier opens on each host."""
    found: dict[str, set[int]] = {}
    for run in tier.runs:
        if not any(site.registry is run for site in tier.sites):
            found.setdefault(run.host, set()).add(run.port)
    for site in tier.sites:
        found.setdefault(site.host, set()).add(site.port)
    return found
