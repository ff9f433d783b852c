"""Where dockerd, as it runs now, asks for an image.

Without the containerd image store, or before Engine 28: `registry-mirrors`, for docker.io alone, then the registry
itself. With it: hosts.toml; `registry-mirrors` counts only beside a hosts.toml of one endpoint, or none. Sources:
moby's daemon/hosts.go, daemon/pkg/registry, daemon/containerd/resolver.go; docs/docker.md for what was seen running.
"""

from __future__ import annotations

import ipaddress
import json
import socket
from dataclasses import replace
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple
from urllib.parse import urlsplit

from doctor.finding import SKIPPED, Seen
from doctor.pull import DOCKER_HUB, Endpoint, Pull
from doctor.steps import docker_logins, docker_mirror_relay, hosts_toml
from doctor.steps.asked import BUILT_IN, STEP, End, any_wanted, ended, named_in, netloc, real
from doctor.steps.stopped import started_at, stopped
from hostctl import daemon_json, docker_api, docker_engine, files
from hostctl.certs_folders import DOCKER as CERTS
from hostctl.daemon_json import MIRRORS
from hostctl.docker_engine import Engine
from hostctl.docker_flags import CONFIG_FILE, flags
from hostctl.docker_state import refused
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.systemd import Service, journal, service

SERVICE = "docker"
PATIENCE = 4.0


class Docker(NamedTuple):
    """A dockerd that answers. `configured`: what its file says, in force or not; `info`: what is in force."""

    engine: Engine
    info: Mapping[str, Any]
    file: str
    configured: Mapping[str, Any]

    @property
    def mirrors(self) -> List[str]:
        """Those of docker.io that are in force."""
        return [each.rstrip("/") for each in self.info["RegistryConfig"].get("Mirrors") or []]

    def insecure(self, server: str) -> bool:
        """Whether dockerd takes a server for insecure: HTTP is tried too, and no certificate verified."""
        shown = self.info["RegistryConfig"]
        index = (shown.get("IndexConfigs") or {}).get(server)
        if index is not None:
            return not index["Secure"]
        networks = [ipaddress.ip_network(each) for each in shown.get("InsecureRegistryCIDRs") or []]
        return any(address in network for address in _addresses(server) for network in networks)

    @property
    def environment(self) -> Dict[str, str]:
        """The proxies in force."""
        names = {"HttpProxy": "HTTP_PROXY", "HttpsProxy": "HTTPS_PROXY", "NoProxy": "NO_PROXY"}
        return {name: self.info.get(key) or "" for key, name in names.items()}


def running(host: Host) -> Docker:
    """What runs. Raises End where nothing does, or where its file is broken."""
    docker = service(host, SERVICE)
    # Asked first: docker.socket would start a service that somebody has stopped.
    if not docker.runs:
        raise stopped(host, docker, daemon_json.PATH)
    try:
        answer = docker_api.call(host, "GET", "/info", timeout=PATIENCE)
    except HostError as silent:
        raise ended("runtime-down", f"{SERVICE}.service", str(silent), service=SERVICE) from silent
    if answer.status != 200:
        raise ended("runtime-down", docker_api.SOCKET, f"GET /info: {answer.message}", service=SERVICE)
    info = answer.data
    engine = docker_engine.known(info["ServerVersion"], docker_engine.STORE in (info.get("DriverStatus") or []))
    file = flags(docker.arguments()).get(CONFIG_FILE) or daemon_json.PATH
    return Docker(engine, info, file, _configured(host, docker, file))


def _configured(host: Host, docker: Service, file: str) -> Mapping[str, Any]:
    state = files.read(host.path(file))
    broken = ""
    try:
        found = json.loads(state.content) if state and state.content.strip() else {}
        broken = "" if isinstance(found, dict) else "must be an object {…}"
    except (ValueError, RecursionError) as wrong:
        broken = str(wrong)
    if state and not broken:
        since = max(started_at(docker), host.path(file).stat().st_ctime)
        broken = refusal(journal(host, SERVICE, since))
    if broken:
        raise ended(
            "runtime-config-broken", file, f"{file}: {broken}", file=file, reading=f"systemctl reload {SERVICE}"
        )
    return found


def refusal(lines: List[str]) -> str:
    """The reason why dockerd has not taken over its file, by its log; empty where its last reload went well. Pure."""
    for line in reversed(lines):
        if "Reloaded configuration" in line:
            return ""
        if refused(line):
            return refused(line)
    return ""


def endpoints(host: Host, pull: Pull) -> Tuple[List[Endpoint], Dict[str, str]]:
    """The endpoints in order, and the proxies of dockerd's environment. Raises End where the reason is found here."""
    docker = running(host)
    if docker.engine.reads_hosts_toml:
        found = _by_hosts_toml(host, docker, pull)
    else:
        found = _by_daemon_json(host, docker, pull)
    login = docker_logins.sent(host, pull.image.registry)
    if login.unreadable and pull.wanted.user and not pull.mirrored:
        raise ended("login-file-broken", login.said_by, login.unreadable)
    own = {pull.image.registry, netloc(real(pull.image.registry))}
    # Only the registry that a login is for gets it, never a mirror (moby#30880).
    return [
        replace(each, login=login.login, login_said_by=login.said_by) if netloc(each.url) in own else each
        for each in found
    ], docker.environment


def _by_daemon_json(host: Host, docker: Docker, pull: Pull) -> List[Endpoint]:
    registry = pull.image.registry
    itself = _legacy(host, docker, real(registry), BUILT_IN)
    if registry != DOCKER_HUB:
        if pull.mirrored:
            raise End(Seen(STEP, SKIPPED, f"Docker {docker.engine.name} can't mirror {registry}, only docker.io"))
        return [itself]
    mirrors = [
        docker_mirror_relay.through(host, url) or _legacy(host, docker, url, docker.file) for url in docker.mirrors
    ]
    found = [*mirrors, itself]
    if not any_wanted(pull, found):
        raise not_there(docker, pull, docker.file)
    return found


def not_there(docker: Docker, pull: Pull, where: str) -> End:
    """Why none of docker.io's wanted mirrors is asked: the file does not have it, or the process has not read it."""
    listed = [str(each) for each in docker.configured.get(MIRRORS) or []]
    wanted = ", ".join(pull.wanted.urls)
    unread = [url for url in listed if netloc(url) in map(netloc, pull.wanted.urls) or docker_mirror_relay.is_ours(url)]
    if unread and not set(map(daemon_json.same_item, unread)) & set(docker.mirrors):
        said = f"{MIRRORS} in {docker.file} has {unread[0]}, and dockerd's /info shows {docker.mirrors or 'none'}"
        return ended("mirror-not-in-force", docker.file, said, reading=f"systemctl reload {SERVICE}")
    asked = ", ".join([*docker.mirrors, real(pull.image.registry)])
    return ended("mirror-missing", where, f"{wanted} is not there; {asked} is asked")


def _by_hosts_toml(host: Host, docker: Docker, pull: Pull) -> List[Endpoint]:
    registry = pull.image.registry
    rules = read_rules(host, [CERTS], pull)
    if rules.all > 1:
        listed = [*docker.mirrors, *map(str, docker.configured.get(MIRRORS) or [])]
        mine = named_in(pull, listed) if registry == DOCKER_HUB else None
        if mine and not any_wanted(pull, list(rules.endpoints)):
            asked = ", ".join(each.url for each in rules.endpoints)
            said = f"{rules.path} names {rules.all} endpoints ({asked}), so {mine} in {docker.file} does not count"
            raise ended("mirror-ignored-two-endpoints", rules.path, said)
        return list(rules.endpoints)
    found = list(rules.endpoints)
    if registry == DOCKER_HUB:
        found = [*(_legacy(host, docker, url, docker.file) for url in docker.mirrors), *found]
        if not any_wanted(pull, found):
            raise not_there(docker, pull, f"{CERTS}/{registry}/hosts.toml")
    return [
        replace(each, verify=False, plain_too=True) if docker.insecure(netloc(each.url)) else each for each in found
    ]


def read_rules(host: Host, roots: List[str], pull: Pull, *, old: bool = False) -> hosts_toml.Rules:
    """A registry's hosts.toml. Raises End where it is passed over, or names a wanted endpoint that may not answer."""
    try:
        rules = hosts_toml.rules(host, roots, pull.image.registry, old=old)
    except hosts_toml.Undecodable as wrong:
        path, _, why = str(wrong).partition(": ")
        cause = "mirror-ignored-skip-verify" if wrong.key == "skip_verify" else "hosts-toml-broken"
        raise ended(cause, path, f"{path}: {why}") from wrong
    for url, capabilities in rules.unable:
        if netloc(url) in map(netloc, pull.wanted.urls) and not any_wanted(pull, list(rules.endpoints)):
            asked = ", ".join(each.url for each in rules.endpoints)
            said = f"{url} has capabilities = {capabilities}, so {asked or 'nobody'} is asked for a tag"
            raise ended("silent-fallback", rules.path, said)
    for each in rules.endpoints:
        missing = [file for file in each.authorities if files.read(host.path(file)) is None]
        if missing:
            said = f"unable to read CA cert {missing[0]!r}: there is no such file"
            raise ended("hosts-toml-broken", rules.path, said)
    return rules


def _legacy(host: Host, docker: Docker, url: str, said_by: str) -> Endpoint:
    """An endpoint by daemon.json's rules."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    path = parts.path.rstrip("/")
    insecure = docker.insecure(parts.netloc)
    return Endpoint(
        f"{parts.scheme}://{parts.netloc}",
        said_by,
        path if path.endswith("/v2") else f"{path}/v2",
        () if insecure else hosts_toml.certificates(host, f"{CERTS}/{parts.netloc}"),
        verify=not insecure,
        plain_too=insecure and parts.scheme == "https",
    )


def _addresses(server: str) -> List[ipaddress._BaseAddress]:
    name = urlsplit(f"//{server}").hostname or server
    try:
        return [ipaddress.ip_address(name)]
    except ValueError:
        pass
    try:
        return [ipaddress.ip_address(each[4][0]) for each in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
    except OSError:
        return []
