"""Docker as it was configured by hand, in the words of the settings. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from hostctl import docker_engine
from hostctl.certs_folders import DOCKER
from hostctl.daemon_json import DEBUG, DOWNLOADS, INSECURE, MIRRORS
from hostctl.docker_engine import LOOPBACK
from ops.adopt.findings import Client, Machine, MirrorUse, Notes, ServerUse, login
from ops.adopt.hosts_files import read_certificates, read_hosts_files
from ops.adopt.said import Said

HUB = "docker.io"
HUB_LOGINS = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")


def read_docker(machine: Machine, client: Client, notes: Notes) -> None:
    """Take Docker's part of a host into `client`."""
    docker = machine.report["docker"]
    if docker is None:
        return
    path, where = docker["file"], machine.name
    try:
        text = machine.file(path)
        found = json.loads(text) if text.strip() else {}
        if not isinstance(found, dict):
            raise ValueError("must be an object {…}")
    except ValueError as wrong:
        notes.left.append(f"{where}: {path} can't be read, and dockerd would not start with it: {wrong}")
        return
    said: dict[str, Any] = {}
    mirrors = [str(each).rstrip("/") for each in _list(found.get(MIRRORS))]
    for flag in sorted(set(docker["flags"]) & {"registry-mirror", "insecure-registry", "max-concurrent-downloads"}):
        notes.left.append(
            f"{where}: dockerd is started with --{flag}; move its value to {path} first ('systemctl cat docker', "
            "/etc/default/docker), since dockerd does not start with both"
        )
    if mirrors:
        client.mirrors.append(MirrorUse(HUB, mirrors[0], f"{where}:{path} {MIRRORS}"))
        for each in mirrors[1:]:
            notes.left.append(
                f"{where}: {path}: {MIRRORS} has {each} too, and a tier has one mirror of docker.io; it stays"
            )
    mirror_servers = {each.partition("://")[2] for each in mirrors}
    for each in map(str, _list(found.get(INSECURE))):
        server = re.sub(r"^https?://", "", each).rstrip("/")
        if "/" in server:
            if server not in LOOPBACK:
                notes.left.append(f"{where}: {path}: {INSECURE} has the network {each}; it stays, as somebody else's")
        elif server not in mirror_servers:
            client.servers.append(ServerUse(f"http://{server}", f"{where}:{path} {INSECURE}"))
    if isinstance(found.get(DOWNLOADS), int):
        said["max_concurrent_downloads"] = Said(found[DOWNLOADS], f"{where}:{path} {DOWNLOADS}")
    if found.get(DEBUG) is True:
        said["debug"] = Said(True, f"{where}:{path} {DEBUG}")
    engine = docker_engine.known(docker["version"], docker["store"])
    if engine.reads_hosts_toml:
        if mirrors:
            said["fallback"] = Said(True, f"{where}:{path} {MIRRORS}: Docker asks the real registry after it")
        read_hosts_files(machine, DOCKER, "docker", client, said, notes)
    read_certificates(machine, DOCKER, notes)
    _logins(machine, client, notes)
    if said or client.mirrors or client.servers:
        client.docker = said


def _logins(machine: Machine, client: Client, notes: Notes) -> None:
    logins, helpers, store = [], {}, ""
    for each in machine.report["logins"]:
        source = f"{machine.name}:{each['file']}"
        server = HUB if each["server"] in HUB_LOGINS else re.sub(r"^https?://", "", each["server"]).partition("/")[0]
        if each["by"] == "cli" and each["user"]:
            logins.append(login(server, each["user"], source, notes))
        elif each["by"] == "helper":
            helpers[server] = Said(each["helper"], source)
        elif each["by"] == "store":
            store = each["helper"]
    if logins or helpers or store:
        entry: dict[str, Any] = {"user": Said("root", f"{machine.name}:/root/.docker/config.json")}
        entry |= {"logins": logins} if logins else {}
        entry |= {"store": Said(store, f"{machine.name}:/root/.docker/config.json credsStore")} if store else {}
        entry |= {"helpers": helpers} if helpers else {}
        client.cli.append(entry)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
