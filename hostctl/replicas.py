"""`hostctl drain` and `hostctl admit`: a container of a registry is taken out of use before it is replaced, and let in
again when it answers.

A file below FOLDER says so to nginx, which looks for it at each request, so nothing is reloaded: see
documents/nginx_replicas.py. Where somebody is killed in between, a timer lets the container in again.
"""

from __future__ import annotations

import json
import os
import ssl
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Dict, List, NamedTuple, Optional

from hostctl import docker_api
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.nginx_conf import SITE
from hostctl.waiting import wait_until

FOLDER = "/run/http-registry-replicas"
QUIET = 2.0
"""Seconds without a connection of nginx's: a request that was sent on before the file was there has come by then."""
READY_PATIENCE = 60.0
REPLACED = 600
"""Seconds that the replacement itself may take, before the container has its requests again whatever it is."""


class Asked(NamedTuple):
    """Which container. `place`: it is the registry's nth; `seconds`: how long what is under way may take to end."""

    registry: str
    place: int
    container: str
    scheme: str
    port: int
    seconds: int


def mark(registry: str, place: int) -> str:
    """The file that is there while a container gets no requests."""
    return f"{FOLDER}/{registry}-{place}"


def read_request(text: bytes) -> Asked:
    """Read a request; what else is in it only tells that it is another one. Raises HostError where it is malformed."""
    try:
        known = json.loads(text)
        words = [str(known[name]) for name in ("registry", "container", "scheme")]
        place, port, seconds = (int(known[name]) for name in ("place", "port", "seconds"))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as broken:
        raise HostError(f"the request on stdin must be JSON with {', '.join(Asked._fields)}") from broken
    registry, container, scheme = words
    return Asked(registry, place, container, scheme, port, seconds)


def drain(host: Host, asked: Asked) -> Dict[str, Any]:
    """Send no more requests to the container, and wait for those under way; returns the report.

    Nothing is done where it does not run, or where the proxy does not look for the file yet.
    """
    path = mark(asked.registry, asked.place)
    # Never the same twice: whoever lets the container in again must do so after each time.
    report: Dict[str, Any] = {"container": asked.container, "drain": os.urandom(8).hex(), "notes": []}
    if not _runs(host, asked.container) or not _is_looked_for(host, path):
        return {**report, "result": "absent"}
    _let_in_after(host, asked, path)
    host.path(FOLDER).mkdir(parents=True, exist_ok=True)
    host.path(path).touch()
    began = time.monotonic()
    left = _wait_for_quiet(host, asked.port, asked.seconds)
    waited = round(time.monotonic() - began, 1)
    if left:
        report["notes"] = [
            f"{asked.container}: {left} connections are still under way after {waited:g} s; they get the time that the "
            "container takes to stop"
        ]
    return {**report, "result": "drained", "seconds": waited, "left": left}


def admit(host: Host, asked: Asked) -> Dict[str, Any]:
    """Wait until the container answers, then let requests come to it; returns the report.

    Raises HostError where it does not answer: then the others serve on.
    """
    wait_until(lambda: _complaint(asked), READY_PATIENCE)
    _let_in(host, asked)
    return {"container": asked.container, "result": "admitted", "notes": []}


def _runs(host: Host, container: str) -> bool:
    answer = docker_api.call(host, "GET", f"/containers/{container}/json")
    return answer.status == 200 and bool(answer.data["State"]["Running"])


def _is_looked_for(host: Host, path: str) -> bool:
    site = host.read(SITE)
    return site is not None and any(f"{path}{end}".encode() in site.content for end in (";", ")"))


def _timer(asked: Asked) -> str:
    return f"http-registry-replica-{asked.registry}-{asked.place}"


def _let_in_after(host: Host, asked: Asked, path: str) -> None:
    name = _timer(asked)
    host.run("systemctl", "stop", f"{name}.timer")
    seconds = asked.seconds + REPLACED
    host.must("systemd-run", f"--unit={name}.service", f"--on-active={seconds}", "--collect", "rm", "-f", path)


def _let_in(host: Host, asked: Asked) -> None:
    host.path(mark(asked.registry, asked.place)).unlink(missing_ok=True)
    host.run("systemctl", "stop", f"{_timer(asked)}.timer")


def _wait_for_quiet(host: Host, port: int, seconds: float) -> int:
    """Until nginx has had no connection there for a while; returns how many it has left."""
    began = quiet = time.monotonic()
    while True:
        left, now = len(_connections(host, port)), time.monotonic()
        if left:
            quiet = now
        if now - quiet >= QUIET or now - began >= seconds:
            return left
        time.sleep(0.1)


def _connections(host: Host, port: int) -> List[str]:
    """Those of nginx's; other programs here come again by themselves."""
    listing = host.must("ss", "-Htnp", "state", "established", "dst", f"127.0.0.1:{port}")
    return [line for line in listing.splitlines() if '"nginx"' in line]


def _any_certificate() -> ssl.SSLContext:
    """It bears the name that the proxy asks for, and this is about whether it answers at all."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _complaint(asked: Asked) -> Optional[str]:
    connection = HTTPConnection("127.0.0.1", asked.port, timeout=5)
    if asked.scheme == "https":
        connection = HTTPSConnection("127.0.0.1", asked.port, timeout=5, context=_any_certificate())
    try:
        connection.request("GET", "/v2/")
        status = connection.getresponse().status
        why = f"answers with status {status}" if status >= 500 else ""
    except (OSError, HTTPException) as silent:
        why = f"does not answer at 127.0.0.1:{asked.port} ({silent or type(silent).__name__})"
    finally:
        connection.close()
    return f"{asked.container}: {why}; look at 'docker logs {asked.container}'" if why else None
