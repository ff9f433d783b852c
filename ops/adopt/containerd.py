"""containerd as it was configured by hand, in the words of the settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from hostctl import containerd_versions, toml_text
from hostctl.containerd_versions import DEBUG_LEVEL, PATH, Dialect
from hostctl.errors import HostError
from hostctl.units.containerd_mirrors import DEFAULT_CONFIG_PATH
from ops.adopt.docker import HUB
from ops.adopt.findings import Client, Machine, MirrorUse, Notes, login
from ops.adopt.hosts_files import read_certificates, read_hosts_files
from ops.adopt.said import Said


def read_containerd(machine: Machine, client: Client, notes: Notes) -> None:
    """Take containerd's part of a host into `client`."""
    containerd = machine.report["containerd"]
    if containerd is None:
        return
    path, where = containerd["file"], machine.name
    number = tuple(int(each) for each in containerd["version"].split(".")[:2])
    release = containerd_versions.release((number[0], number[1]))
    said: dict[str, Any] = {}
    for name in [path, *containerd["imports"]]:
        document = _document(machine, name, notes)
        version = document.get("version", 1) if document else release.own.version
        dialect = next((each for each in release.dialects if each.version == version), None)
        if dialect is None:
            notes.left.append(f"{where}: {name} is of version {version}; 'containerd config migrate' rewrites it")
            continue
        _keys(document, dialect, f"{where}:{name}", said)
        _deprecated(document, dialect, f"{where}:{name}", client, said, notes)
    if path != PATH:
        notes.left.append(f"{where}: containerd reads {path} in place of {PATH} (--config); drop that flag first")
    roots = containerd["roots"]
    if len(roots) > 1:
        notes.changes.append(f"{where}: config_path is the list {':'.join(roots)}; one folder is written in its place")
    root = next((each for each in roots if any(file.startswith(f"{each}/") for file in machine.report["files"])), "")
    root = root or (roots[0] if roots else "")
    if root and root != DEFAULT_CONFIG_PATH:
        said["config_path"] = Said(root, f"{where}:{path} config_path")
    for each in roots:
        read_hosts_files(machine, each, "containerd", client, said, notes)
        read_certificates(machine, each, notes)
    for each in machine.report["logins"]:
        if each["by"] in ("header", "cri") and not each["file"].startswith("/etc/docker/"):
            _login(each, where, said, notes)
    if said or any(use.only_containerd for use in client.mirrors) or roots:
        client.containerd = said


def _keys(document: Mapping[str, Any], dialect: Dialect, source: str, said: dict[str, Any]) -> None:
    downloads = [dialect.downloads, dialect.cri]
    for table in downloads:
        number = (toml_text.find(document, table) or {}).get("max_concurrent_downloads")
        if isinstance(number, int) and number > 0:
            said.setdefault("max_concurrent_downloads", Said(number, f"{source} max_concurrent_downloads"))
    if (toml_text.find(document, DEBUG_LEVEL[:-1]) or {}).get(DEBUG_LEVEL[-1]) == "debug":
        said["debug"] = Said(True, f"{source} debug.level")


def _deprecated(
    document: Mapping[str, Any], dialect: Dialect, source: str, client: Client, said: dict[str, Any], notes: Notes
) -> None:
    """`registry.mirrors`: what is in it moves to hosts.toml, and falls back as it did."""
    registry = toml_text.find(document, dialect.registry) or {}
    for name, table in (registry.get("mirrors") or {}).items():
        urls = [str(each).rstrip("/") for each in (table or {}).get("endpoint") or []]
        real = [f"https://{'registry-1.docker.io' if name == HUB else name}", f"https://{name}"]
        mirrors = [each for each in urls if each not in real]
        if not mirrors:
            continue
        said["migrate_deprecated"] = Said(True, f"{source} registry.mirrors, which is deprecated")
        said["fallback"] = Said(True, f"{source} registry.mirrors: the real registry is asked after it")
        client.mirrors.append(MirrorUse(name, mirrors[0], f"{source} registry.mirrors", tuple(mirrors[1:]), True))
    if "migrate_deprecated" in said:
        notes.changes.append(
            f"{source}: registry.mirrors becomes hosts.toml files, and containerd is restarted for that"
        )
    for name, table in (registry.get("configs") or {}).items():
        if (table or {}).get("tls"):
            notes.left.append(f"{source}: registry.configs.{name}.tls; name who signed it in `authorities`")


def _login(each: Mapping[str, str], where: str, said: dict[str, Any], notes: Notes) -> None:
    server = urlsplit(each["server"]).netloc or each["server"]
    server = HUB if each["by"] == "cri" and server == "registry-1.docker.io" else server
    source = f"{where}:{each['file']}"
    if not each["user"]:
        notes.left.append(f"{source}: the login for {server} is no user and password")
        return
    entry = login(server, each["user"], source, notes)
    if each["by"] == "cri":
        entry["by"] = Said("cri", source)
    known = said.setdefault("logins", [])
    if entry["registry"].value not in [one["registry"].value for one in known]:
        known.append(entry)


def _document(machine: Machine, path: str, notes: Notes) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = toml_text.parsed(machine.file(path), path).unwrap()
    except HostError as wrong:
        notes.left.append(f"{machine.name}: {wrong}")
        return {}
    return found
