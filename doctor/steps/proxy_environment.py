"""HTTP_PROXY and the like in a runtime's environment: whether they send its requests to a registry elsewhere.

Rules of golang.org/x/net/http/httpproxy, which Docker and containerd have: the proxy by the URL's scheme, small letters
after capitals; NO_PROXY names hosts, domains, addresses, networks; loopback never goes through one.
"""

from __future__ import annotations

import ipaddress
from http.client import HTTPConnection, HTTPException
from typing import List, Mapping, Optional, Union
from urllib.parse import urlsplit

from doctor.pull import Endpoint
from hostctl.masking import masked

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
PATIENCE = 2.0
LETS_THROUGH = (200, 401, 403, 404, 407, 429)
"""What a proxy may answer that reaches a registry, or that only wants a login which is not shown to us."""


def proxy_of(environment: Mapping[str, str], endpoint: Endpoint) -> str:
    """The proxy that is asked for this endpoint; empty for none."""
    name = f"{urlsplit(endpoint.url).scheme}_proxy"
    proxy = _value(environment, name)
    return "" if not proxy or passed_by(_value(environment, "no_proxy"), endpoint.url) else proxy


def passed_by(no_proxy: str, url: str) -> bool:
    """Whether NO_PROXY, or being loopback, keeps a URL away from the proxy."""
    parts = urlsplit(url)
    name = (parts.hostname or "").lower()
    port = str(parts.port or (443 if parts.scheme == "https" else 80))
    address = _address(name)
    if name == "localhost" or (address and address.is_loopback):
        return True
    return any(_matches(each.strip().lower(), name, port, address) for each in no_proxy.split(",") if each.strip())


def complaint(proxy: str, endpoint: Endpoint) -> Optional[str]:
    """Why requests to the endpoint do not get there through the proxy; None where they do, or where nobody can say."""
    parts, target = urlsplit(proxy if "://" in proxy else f"http://{proxy}"), urlsplit(endpoint.url)
    if parts.scheme != "http" or not parts.hostname:
        return None
    connection = HTTPConnection(parts.hostname, parts.port or 80, timeout=PATIENCE)
    try:
        if target.scheme == "https":
            connection.request("CONNECT", f"{target.hostname}:{target.port or 443}")
        else:
            connection.request("GET", f"{endpoint.url}{endpoint.prefix}/")
        status = connection.getresponse().status
    except (OSError, HTTPException) as silent:
        return f"{masked(proxy)} does not answer: {silent or type(silent).__name__}"
    finally:
        connection.close()
    return None if status in LETS_THROUGH else f"{masked(proxy)} answers {status} for {endpoint.url}"


def _value(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name.upper()) or environment.get(name) or ""


def _matches(entry: str, name: str, port: str, address: Optional[Address]) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    host, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit() and (host.count(":") == 0 or host.endswith("]")):
        entry = host
        if wanted != port:
            return False
    entry = entry.strip("[]")
    if _address(entry):
        return address == _address(entry)
    entry = entry[1:] if entry.startswith("*.") else entry
    return name.endswith(entry) if entry.startswith(".") else name == entry or name.endswith(f".{entry}")


def _address(name: str) -> Optional[Address]:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def extended(environment: Mapping[str, str], endpoints: List[Endpoint]) -> str:
    """NO_PROXY with the hosts of these endpoints."""
    names = [urlsplit(each.url).hostname or "" for each in endpoints]
    return ",".join(dict.fromkeys(filter(None, [*_value(environment, "no_proxy").split(","), *names])))
