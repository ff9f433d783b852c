"""The registries' containers: there, at work, and answering; and the stores that hold their images."""

from __future__ import annotations

import json
import re
from typing import Any, Iterator, Mapping, Optional
from urllib.parse import urlsplit

from doctor.finding import Finding
from doctor.server import firewall
from doctor.server.http_asking import ask, why
from doctor.server.served import Served, endpoints
from hostctl import docker_api
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.masking import masked
from hostctl.systemd import service

ALIVE = (200, 401)
"""What `/v2/` of a registry answers: with token auth 401."""


def look(host: Host, served: Served) -> Iterator[Finding]:
    """Docker itself, then each container, then each store."""
    silent = _docker(host) if served["containers"] else None
    if silent:
        broken = " ".join(endpoints(served, each["registry"]) for each in served["containers"])
        yield Finding("registry-docker-down", "docker.service", silent, {"endpoints": broken})
        return
    for each in served["containers"]:
        finding = _container(host, each, {"endpoints": endpoints(served, each["registry"]), **_values(each)})
        if finding:
            yield finding
    for each in served["stores"]:
        try:
            ask(each["url"], verify=False)
        except OSError as failure:
            values = {"endpoints": endpoints(served, each["registry"]), **_values(each)}
            yield Finding("store-down", each["url"], f"{each['url']}: {why(failure)}", values)


def _values(of: Mapping[str, Any]) -> Mapping[str, str]:
    return {key: str(of[key]) for key in ("registry", "url") if key in of}


def _docker(host: Host) -> Optional[str]:
    """Why Docker does not answer. A stopped one is not asked: systemd would start it for whoever asks."""
    docker = service(host, "docker")
    if docker.load == "loaded" and not docker.runs:
        return f"docker.service is {docker.active}"
    try:
        docker_api.call(host, "GET", "/_ping", timeout=4)
    except HostError as silent:
        return str(silent)
    return None


def _container(host: Host, each: Mapping[str, Any], values: Mapping[str, str]) -> Optional[Finding]:
    name = each["name"]
    answer = docker_api.call(host, "GET", f"/containers/{name}/json", timeout=4)
    values = {**values, "container": name}
    if answer.status == 404:
        return Finding("registry-missing", name, answer.message, values)
    state = answer.data["State"]
    status = str(state["Status"])
    if status == "running":
        try:
            said = ask(f"{each['url']}/v2/", verify=False).status
        except OSError as failure:
            stopped = firewall.way_out(host, "127.0.0.1", urlsplit(each["url"]).port or 0)
            if stopped:
                return Finding("firewall-loopback", stopped.where, stopped.evidence, {**values, "undo": stopped.undo})
            status, evidence = "running, but silent", f"GET {each['url']}/v2/: {why(failure)}"
        else:
            if said in ALIVE:
                return None
            status, evidence = f"running, but {said}", f"GET {each['url']}/v2/: status {said}"
    else:
        status = f"{status} ({state.get('ExitCode')})"
        evidence = f"docker inspect: {status}{', ' + str(state['Error']) if state.get('Error') else ''}"
    last = _last_error(host, name)
    return Finding(
        "registry-down", name, f"{evidence}{'; its log: ' + last if last else ''}", {**values, "state": status}
    )


def _last_error(host: Host, name: str) -> str:
    """The last line of a container's log that tells of an error; empty where none does."""
    query = {"stdout": "1", "stderr": "1", "tail": "50"}
    answer = docker_api.call(host, "GET", f"/containers/{name}/logs", query, timeout=4)
    # Each piece has a head of eight bytes, which begins with the number of its stream.
    lines = (
        re.sub(rb"[\x01\x02]\x00\x00\x00.{4}", b"", answer.body, flags=re.DOTALL).decode(errors="replace").splitlines()
    )
    errors = [line for line in lines if re.search(r'"level":"(error|fatal|panic)"|panic:|fatal|^error', line)]
    return masked(_message(errors[-1]))[:300] if errors else ""


def _message(line: str) -> str:
    try:
        found = json.loads(line)
        return " ".join(str(found[key]) for key in ("msg", "err.message", "err.detail", "error") if found.get(key))
    except (ValueError, AttributeError, RecursionError):
        return line.strip()
