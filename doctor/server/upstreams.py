"""The registries behind the caches: whether they answer this host, take its login, and have not had enough of it."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from typing import Any, Dict, Iterator, List, Mapping, Optional
from urllib.parse import urlencode, urlsplit

from doctor.finding import Finding
from doctor.login import basic
from doctor.server import firewall, log_tail
from doctor.server.http_asking import Answer, ask, said, why
from doctor.server.served import Served, endpoints
from hostctl.host import Host
from hostctl.units.origin import CONFIG, SERVICE, SOCKET
from hostctl.unix_http import UnixConnection

SECONDS = 6.0
MINUTES = 10
FAILED = re.compile(r"(?:HEAD|GET) /(?P<path>(?P<registry>[a-z0-9-]+)/v2/\S+): (?:429|50\d): ")
"""A line of the origin service: what an upstream would not give. It is asked for once more, since a HEAD costs no
quota and the line may be of yesterday."""


def look(host: Host, served: Served) -> Iterator[Finding]:
    """Each upstream."""
    config = _config(host)
    for each in served["caches"]:
        values = {"endpoints": endpoints(served, each["registry"])}
        values.update({key: each[key] for key in ("registry", "upstream", "user")})
        finding = _ping(host, each, config.get(each["registry"], {}), values)
        if finding is None and each["origin"]:
            finding = _refused(host, each, values)
        if finding:
            yield finding


def _config(host: Host) -> Dict[str, Any]:
    """What the origin service knows of each: its login and its authorities."""
    try:
        found: Dict[str, Any] = json.loads(host.path(CONFIG).read_text())["registries"]
    except (OSError, ValueError, KeyError):
        return {}
    return found


def _ping(
    host: Host, cache: Mapping[str, Any], known: Mapping[str, Any], values: Mapping[str, str]
) -> Optional[Finding]:
    url = f"{cache['upstream']}/v2/"
    try:
        answer = ask(url, authorities=known.get("ca", ""))
        if answer.status == 401:
            answer = _with_login(url, answer, known)
    except OSError as failure:
        return _unreachable(host, cache["upstream"], f"GET {url}: {why(failure)}", values)
    return _judged(url, answer.status, f"GET {url}: status {answer.status}", values)


def _judged(where: str, status: int, evidence: str, values: Mapping[str, str]) -> Optional[Finding]:
    if status == 429:
        return Finding("upstream-rate-limited", where, evidence, values)
    if status in (401, 403):
        user = values["user"] or "none is set"
        return Finding("upstream-login-refused", where, evidence, {**values, "user": user})
    return Finding("upstream-down", where, evidence, values) if status >= 500 else None


def _with_login(url: str, asked: Answer, known: Mapping[str, Any]) -> Answer:
    """What becomes of our login: at the token server that the registry names, or at the registry. Raises OSError.

    Without a login a registry that gives tokens to anybody has nothing to refuse yet.
    """
    challenge = asked.headers.get("www-authenticate", "")
    authorities = known.get("ca", "")
    login = {"Authorization": basic((known["user"], known["password"]))} if known.get("user") else {}
    realm, service = (re.search(rf'{name}="([^"]*)"', challenge) for name in ("realm", "service"))
    if challenge.lower().startswith("basic"):
        return ask(url, login, authorities=authorities) if login else asked
    if not login or realm is None:
        return asked._replace(status=200)
    if url.startswith("https:") and not realm[1].lower().startswith("https:"):
        raise OSError("names a token server without TLS, which is not told the password")
    query = urlencode({"service": service[1]} if service else {})
    return ask(f"{realm[1]}{'&' if '?' in realm[1] else '?'}{query}", login, authorities=authorities)


def _unreachable(host: Host, upstream: str, evidence: str, values: Mapping[str, str]) -> Finding:
    parts = urlsplit(upstream)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    for address in _addresses(parts.hostname or ""):
        stopped = firewall.way_out(host, address, port)
        if stopped:
            return Finding("upstream-firewall", stopped.where, stopped.evidence, {**values, "undo": stopped.undo})
    return Finding("upstream-down", upstream, evidence, values)


def _addresses(name: str) -> List[str]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(ipaddress.ip_address(str(each[4][0]).partition("%")[0])) for each in found))


def _refused(host: Host, cache: Mapping[str, Any], values: Mapping[str, str]) -> Optional[Finding]:
    """What the upstream has lately refused, or the image that doctor is asked about, asked for as nginx does."""
    lines = log_tail.journal(host, f"{SERVICE}.service", MINUTES)
    found = [each for each in map(FAILED.search, lines) if each and each["registry"] == cache["registry"]]
    path = f"{cache['registry']}/v2/{cache['ask']}" if cache["ask"] else found[-1]["path"] if found else ""
    if not path:
        return None
    try:
        answer = said(UnixConnection(str(host.path(SOCKET)), SECONDS), f"/{path}", {}, "HEAD")
    except OSError:
        return None  # origin's own part tells
    if answer.status == 403:
        return None  # perhaps a repository that is not for everybody: the client is told
    evidence = f"HEAD /{path}: status {answer.status}"
    last = log_tail.newest(log_tail.journal(host, f"{SERVICE}.service", 1), re.escape(f"/{path}: {answer.status}"))
    return _judged(cache["upstream"], answer.status, last or evidence, values)
