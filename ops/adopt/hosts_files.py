"""hosts.toml files of somebody's, in the words of the settings. Pure."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from hostctl.hosts_toml_meaning import HUB_SERVER, Asked, meaning, registry_of
from ops.adopt.findings import Client, Machine, MirrorUse, Notes, ServerUse
from ops.adopt.said import Said


def read_hosts_files(
    machine: Machine, root: str, runtime: str, client: Client, said: dict[str, Any], notes: Notes
) -> None:
    """Take every hosts.toml below a certs.d; `said` gets what they say of the runtime itself."""
    back: dict[bool, list[str]] = {}
    for path in sorted(machine.report["files"]):
        if not (path.startswith(f"{root}/") and path.endswith("/hosts.toml")):
            continue
        where = f"{machine.name}:{path}"
        registry, found = registry_of(path), meaning(path, machine.file(path).encode())
        if found is None:
            notes.left.append(f"{where}: can't be read, has no [host] table, or a key that settings don't know")
            continue
        asked = found["pull"]
        if odd := [each for each in asked if _is_odd(each)]:
            notes.left.append(
                f"{where}: {odd[0].url} has a path, a client certificate or headers, which settings can't say"
            )
            continue
        urls = [each.url.removesuffix("/v2") for each in asked]
        if unverified := [each.url for each in asked if not each.verify]:
            notes.left.append(
                f"{where}: skip_verify for {unverified[0]}: settings always verify; name who signed it in `authorities`"
            )
        for each in asked:
            for file in each.authorities:
                _authority(machine, file, urlsplit(each.url).netloc, notes)
        if urls and urlsplit(urls[0]).netloc == registry:
            client.servers.append(ServerUse(urls[0], where))
            continue
        real = f"https://{HUB_SERVER if registry == 'docker.io' else registry}"
        falls_back = bool(urls) and urls[-1] in (real, f"https://{registry}")
        back.setdefault(falls_back, []).append(where)
        mirrors = [url for url in urls if url not in (real, f"https://{registry}")]
        if registry == "*":
            said.setdefault("mirrors", []).append(entry(registry, mirrors, where))
        elif mirrors:
            client.mirrors.append(MirrorUse(registry, mirrors[0], where, tuple(mirrors[1:]), runtime == "containerd"))
    if True in back:
        said["fallback"] = Said(True, f"{back[True][0]}: the real registry is asked after the mirror")
        for where in back.get(False, []):
            notes.left.append(
                f"{where}: does not fall back to the real registry, and others there do: one word for all"
            )


def entry(registry: str, urls: list[str], source: str) -> dict[str, Any]:
    """An entry of a runtime's own `mirrors`."""
    return {"serves": Said(registry, source), "endpoints": Said(urls, source)}


def read_certificates(machine: Machine, root: str, notes: Notes) -> None:
    """Take every *.crt in a registry's folder below a certs.d."""
    for path in sorted(machine.report["files"]):
        if path.startswith(f"{root}/") and path.endswith(".crt"):
            _authority(machine, path, registry_of(path), notes)


def _authority(machine: Machine, path: str, server: str, notes: Notes) -> None:
    """Tell that a certificate goes to the project, and where it is."""
    if text := machine.file(path):
        notes.authorities.setdefault(server, (f"{machine.name}:{path}", text))
    else:
        notes.left.append(f"{machine.name}: {path} was not there; who has signed the certificate of {server}?")


def _is_odd(asked: Asked) -> bool:
    path = urlsplit(asked.url).path
    others = [name for name, _ in asked.headers if name != "authorization"]
    return path != "/v2" or bool(asked.client or others)
