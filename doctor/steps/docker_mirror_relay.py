"""Our relay before dockerd's mirror: what it asks, and with which login, by its configuration."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException
from typing import List, Optional, Tuple
from urllib.parse import urlsplit

from doctor.pull import Endpoint
from doctor.steps.asked import ended
from hostctl import files, nginx_conf
from hostctl.host import Host
from hostctl.systemd import service
from hostctl.units.docker_relay import CONFIG, MARKER, SERVICE

PATIENCE = 2.0


def is_ours(url: str) -> bool:
    """Whether a mirror of daemon.json may be our relay."""
    return (urlsplit(url).hostname or "").startswith("127.")


def through(host: Host, url: str) -> Optional[Endpoint]:
    """The mirror behind our relay at a URL; None where that is none of ours. Raises End where the relay is down."""
    state = files.read(host.path(CONFIG)) if is_ours(url) else None
    if state is None:
        return None
    text = state.content.decode(errors="replace")
    listen = _first(text, "listen")
    if listen != urlsplit(url).netloc:
        return None
    complaint = _silent(host, listen)
    if complaint:
        raise ended("relay-down", f"{SERVICE}.service", complaint, service=SERVICE)
    return target(text)


def target(text: str) -> Endpoint:
    """The mirror that a relay's configuration names."""
    headers = {words[1]: words[2] for words in _directives(text) if words[0] == "proxy_set_header" and len(words) > 2}
    scheme = _first(text, "proxy_pass").partition("://")[0]
    trusted = _first(text, "proxy_ssl_trusted_certificate")
    return Endpoint(
        f"{scheme}://{headers.get('Host', '')}",
        CONFIG,
        authorities=(trusted,) if trusted else (),
        system_trust=not trusted,
        authorization=headers.get("Authorization", ""),
        login_said_by=CONFIG,
    )


def _silent(host: Host, listen: str) -> str:
    """Why the relay does not answer; empty where it does."""
    state = service(host, SERVICE)
    if not state.runs:
        return f"{SERVICE}.service is {state.active}, and dockerd's mirror is {listen}"
    name, _, port = listen.partition(":")
    connection = HTTPConnection(name, int(port), timeout=PATIENCE)
    try:
        connection.request("GET", MARKER)
        status = connection.getresponse().status
    except (OSError, HTTPException) as silent:
        return f"{listen}: {str(silent) or type(silent).__name__}"
    finally:
        connection.close()
    return "" if status == 200 else f"{listen}{MARKER}: status {status}"


def _first(text: str, name: str) -> str:
    return next((words[1] for words in _directives(text) if words[0] == name and len(words) > 1), "")


def _directives(text: str) -> List[Tuple[str, ...]]:
    return [each.words for each in nginx_conf.statements(text) if each.words]
