"""URLs as far as this service follows them: a server, and what it is asked for."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple
from urllib.parse import quote, urljoin, urlsplit

PORTS = {"http": 80, "https": 443}
PLAIN = "%/:=&?~#+!$,;'@()*[]"
"""Not escaped in a URL that a server gave us: its signature covers the text as it is."""


class Server(NamedTuple):
    """Scheme, host and port: what browsers call an origin. As text it is what may be logged."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" if self.port == PORTS[self.scheme] else f"{self.scheme}://{host}:{self.port}"


def parsed(url: str) -> Tuple[Server, str]:
    """The server, and path and query. Raises ValueError, without the URL, for what is no http(s) URL or has a login."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("not a URL") from None
    if parts.scheme not in PORTS or not host or port == 0:
        raise ValueError("not a URL of http or https with a host")
    if "@" in parts.netloc:
        raise ValueError("a URL with a login in it")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Server(parts.scheme, host, port or PORTS[parts.scheme]), quote(target, safe=PLAIN)


def redirected(server: Server, target: str, location: str, in_clear: Optional[Server] = None) -> Tuple[Server, str]:
    """Where an answer of `server` to `target` sends us.

    Raises ValueError as `parsed` does, and where https would turn to http at any server but `in_clear`: what comes that
    way could be anybody's, and nginx would keep it.
    """
    goal, path = parsed(urljoin(f"{server}{target}", location))
    if server.scheme == "https" and goal.scheme == "http" and goal != in_clear:
        raise ValueError("from https to http")
    return goal, path
