"""What was found, as the settings of a tier, each value with the place where it was found. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ops.adopt.findings import Run, Site, named
from ops.adopt.firewall import read_firewall
from ops.adopt.meeting import UPSTREAM, Findings
from ops.adopt.said import Said

IMAGE = "registry:3.1.2"
AS_IT_IS = "as the stack has it"


def tree_of(tier: Findings) -> dict[str, Any]:
    """The settings, what the stack's file says already among them."""
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


def _hosts(tier: Findings) -> Iterator[Any]:
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


def _proxy(tier: Findings) -> Any:
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


def _endpoint(site: Site, tier: Findings) -> dict[str, Any]:
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


def _authorities(tier: Findings) -> list[dict[str, Any]]:
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


def _runtimes(tier: Findings) -> list[dict[str, Any]]:
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


def _open_ports(tier: Findings) -> dict[str, set[int]]:
    """The ports that the tier opens on each host."""
    found: dict[str, set[int]] = {}
    for run in tier.runs:
        if not any(site.registry is run for site in tier.sites):
            found.setdefault(run.host, set()).add(run.port)
    for site in tier.sites:
        found.setdefault(site.host, set()).add(site.port)
    return found
