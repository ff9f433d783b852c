"""Where containerd, as it runs now, asks for an image: the folder that its CRI looks into, and hosts.toml there.

`containerd config dump` tells what its files say, never what the process has read. Before 2.0 the CRI tells that
(`crictl info`); from 2.0 on nobody does, so a file that is younger than the process counts as not read. Sources:
containerd's docs/cri/config.md, internal/cri/server/images/image_pull.go; docs/containerd.md.
"""

from __future__ import annotations

import json
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from doctor.pull import Endpoint, Pull
from doctor.steps.asked import End, any_wanted, ended, netloc, real, stands_for
from doctor.steps.docker_runtime import read_rules
from doctor.steps.hosts_toml import Undecodable, rules
from doctor.steps.stopped import said, started_at, stopped
from hostctl import canary, containerd_says, containerd_versions, files, toml_text
from hostctl.containerd_versions import CRI, IMAGES, PATH, Release
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.systemd import Service, journal, service

SERVICE = "containerd"
USUAL = "/etc/containerd/certs.d"
READING = f"systemctl restart {SERVICE}"
PATIENCE = 4.0
STANDS_BESIDE = "cannot be set when `config_path` is provided"


class Containerd(NamedTuple):
    """A containerd that runs. `registry`: the CRI's table, by its files; `dump`: all of them."""

    service: Service
    release: Release
    file: str
    dump: Mapping[str, Any]
    registry: Mapping[str, Any]

    @property
    def config_path(self) -> str:
        """The folders with hosts.toml files."""
        return str(self.registry.get("config_path") or "")


def running(host: Host) -> Containerd:
    """What runs. Raises End where nothing does, where its files are broken, or where its CRI has not loaded."""
    state = service(host, SERVICE)
    if not state.runs:
        raise stopped(host, state, PATH)
    program = state.program() if state.program().startswith("/") else SERVICE
    release = containerd_versions.release(containerd_versions.number(host.must(program, "--version")))
    file = containerd_versions.config_file(state.arguments())
    dumped = host.run(program, "--config", file, "config", "dump", timeout=PATIENCE)
    if not dumped.ok:
        reason = said((dumped.output.strip().splitlines() or ["no reason"])[-1])
        raise ended("runtime-config-broken", file, reason, file=file, reading=READING)
    text = "\n".join(line for line in dumped.output.splitlines() if not line.startswith(containerd_says.LOG_LINE))
    dump = toml_text.parsed(text, "containerd config dump").unwrap()
    return Containerd(state, release, file, dump, toml_text.find(dump, release.own.registry) or {})


def endpoints(host: Host, pull: Pull) -> Tuple[List[Endpoint], Dict[str, str]]:
    """The endpoints in order, and the process's environment. Raises End where the reason is found here."""
    containerd = running(host)
    _loaded(host, containerd)
    _in_force(host, containerd)
    roots = containerd.config_path.split(":") if containerd.config_path else []
    if containerd.release.transfers and len(roots) > 1:
        what = f"config_path = {containerd.config_path!r}: from 2.1 on it must be one folder, and a list is none"
        raise _elsewhere(containerd, what)
    if roots:
        old = containerd.release.own.version < 3
        read = read_rules(host, roots, pull, old=old)
        found, where = list(read.endpoints), read.path
    else:
        found, where = _by_mirrors(containerd, pull.image.registry), ""
    if not any_wanted(pull, found) or not where:
        _unread(host, containerd, pull, found)
    if not any_wanted(pull, found):
        raise _not_there(containerd, pull, where, found)
    return [_with_login(containerd, each) for each in found], _environment(containerd.service)


def _loaded(host: Host, containerd: Containerd) -> None:
    """The plugins of the CRI have loaded."""
    if not host.has("ctr"):
        return
    try:
        listed = host.run("ctr", "plugins", "ls", timeout=PATIENCE)
        silent = "" if listed.ok else listed.tail(1)
    except HostError as late:
        silent = str(late)
    if silent:
        raise ended("runtime-down", f"{SERVICE}.service", f"it runs, and does not answer: {silent}", service=SERVICE)
    states = containerd_says.plugin_states(listed.output)
    broken = [name for name in containerd.release.plugins if states.get(name) != "ok"]
    if not broken:
        return
    lines = journal(host, SERVICE, started_at(containerd.service) - 1)
    failures = [said(line) for line in lines if "failed to load plugin" in line]
    reason = next((line for line in failures if STANDS_BESIDE in line), failures[-1] if failures else "")
    if STANDS_BESIDE in reason:
        correction = _without_mirrors(host, containerd.file)
        raise ended("deprecated-mirrors", containerd.file, reason, correction=correction, reading=READING)
    evidence = reason or f"plugin {broken[0]} is in state {states.get(broken[0], 'missing')!r}"
    raise ended("runtime-config-broken", containerd.file, evidence, file=containerd.file, reading=READING)


def _without_mirrors(host: Host, path: str) -> str:
    """The command that takes registry.mirrors out of config.toml; one to edit it where that can't be told."""
    state = files.read(host.path(path))
    return deletion(state.content.decode(errors="replace") if state else "", path) or f"${{EDITOR:-vi}} {path}"


def deletion(text: str, path: str) -> str:
    """The sed that deletes the lines of registry.mirrors, a copy kept; empty where that is not all. Pure."""
    try:
        document = toml_text.parsed(text, path).unwrap()
        tables = [("plugins", plugin, "registry", "mirrors") for plugin in (CRI, IMAGES)]
        there = [each for each in tables if toml_text.find(document, each)]
        shorter = toml_text.without(text, there, path)
    except HostError:
        return ""
    before, after = text.splitlines(), shorter.splitlines()
    changes = [
        each for each in SequenceMatcher(None, before, after, autojunk=False).get_opcodes() if each[0] != "equal"
    ]
    if not changes or any(tag != "delete" for tag, *_ in changes):
        return ""
    lines = ";".join(f"{start + 1},{end}d" for _, start, end, *_ in changes)
    return f"sed -i.before-doctor '{lines}' {path}"


def _in_force(host: Host, containerd: Containerd) -> None:
    """The process has read what its files say of config_path."""
    read = _read_by_process(host)
    if read is not None:
        if read == containerd.config_path:
            return
        evidence = f"config_path is {containerd.config_path!r} in {containerd.file}, and {read!r} by crictl info"
    else:
        started, written = started_at(containerd.service), _written(host, containerd)
        if written <= started:
            return
        evidence = (
            f"{containerd.file} was changed {_minutes(written - started)} after containerd was started, which reads "
            "it at its start only"
        )
    raise ended(
        "mirror-not-in-force",
        containerd.file,
        evidence,
        reading=READING,
    )


def _read_by_process(host: Host) -> Optional[str]:
    """The config_path in force, where this containerd tells it."""
    if not host.has("crictl"):
        return None
    crictl = ("crictl", "--runtime-endpoint", canary.CRI_SOCKET, "--image-endpoint", canary.CRI_SOCKET)
    try:
        shown = host.run(*crictl, "info", timeout=PATIENCE)
        registry = json.loads(shown.output)["config"].get("registry")
        return str(registry["configPath"]) if registry else None
    except (HostError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _unread(host: Host, containerd: Containerd, pull: Pull, found: List[Endpoint]) -> None:
    """Raises End where the wanted hosts.toml stands where this containerd does not look."""
    if USUAL in containerd.config_path.split(":"):
        return
    try:
        unread = rules(host, [USUAL], pull.image.registry)
    except Undecodable:
        return
    if unread.path.endswith("/hosts.toml") and any_wanted(pull, list(unread.endpoints)):
        asked = ", ".join(each.url for each in found)
        evidence = f"config_path is {containerd.config_path!r}, so {unread.path} is not read; {asked} is asked"
        raise _elsewhere(containerd, evidence)


def _elsewhere(containerd: Containerd, evidence: str) -> End:
    return ended("mirror-ignored-config-path", containerd.file, evidence, file=containerd.file, reading=READING)


def _not_there(containerd: Containerd, pull: Pull, where: str, found: List[Endpoint]) -> End:
    """The end where no wanted mirror is asked."""
    asked = ", ".join(each.url for each in found) or "nobody"
    missing = f"{', '.join(pull.wanted.urls)} is not there; {asked} is asked"
    folder = where or f"{containerd.config_path.split(':')[0] or USUAL}/{pull.image.registry}/hosts.toml"
    return ended("mirror-missing", folder, missing)


def _by_mirrors(containerd: Containerd, registry: str) -> List[Endpoint]:
    """The deprecated tables: a registry's endpoints, those of `*` where it has none, and the registry itself last."""
    tables = containerd.registry.get("mirrors") or {}
    table = tables.get(registry) or tables.get("*") or {}
    urls = [*(table.get("endpoint") or []), real(registry)]
    return [
        Endpoint(
            url.rstrip("/"), f"{containerd.file}, registry.mirrors", namespace=stands_for(registry, url.rstrip("/"))
        )
        for url in dict.fromkeys(urls)
    ]


def _with_login(containerd: Containerd, endpoint: Endpoint) -> Endpoint:
    """With the login that config.toml has for the endpoint's server, which is sent when it asks."""
    auth = ((containerd.registry.get("configs") or {}).get(netloc(endpoint.url)) or {}).get("auth") or {}
    if not auth.get("username"):
        return endpoint
    return replace(endpoint, login=(auth["username"], auth.get("password", "")), login_said_by=containerd.file)


def _written(host: Host, containerd: Containerd) -> float:
    """When the file, or one that it imports, was changed last; one that was put back, with its old date, too."""
    paths = [containerd.file, *map(str, containerd.dump.get("imports") or [])]
    found = [file for each in map(host.path, paths) for file in each.parent.glob(each.name)]
    return max((each.stat().st_ctime for each in found), default=0.0)


def _environment(state: Service) -> Dict[str, str]:
    try:
        with open(f"/proc/{state.pid}/environ", "rb") as file:
            words = file.read().decode(errors="replace").split("\0")
    except OSError:
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
