"""Asking the running nginx what it serves; and what it complained of."""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

from hostctl.host import Host
from hostctl.nginx_conf import MARKER, error_log
from hostctl.tls_connection import TlsConnection

TRIES = 3
"""Old workers may still take a connection just after a reload."""
SECONDS = 5.0
SERIOUS = re.compile(r"\[(?:emerg|alert)\]|\[crit\].*PKCS#11")
"""A line of the error log that tells why a site is not live; a handshake that fails for its key's sake is "crit"."""
NOBODY = "Basic " + b64encode(b"http-registry-probe:").decode()


@dataclass(frozen=True)
class Probe:
    """A server of ours, by the port and name that its clients use, and the address of this host to ask at.

    `fingerprint`: SHA-256, in hex, of the certificate that it must show; empty where it speaks HTTP.
    """

    port: int
    host: str
    address: str = "127.0.0.1"
    fingerprint: str = ""

    def get(self, path: str, authorization: str = "") -> Tuple[int, str]:
        """Status and body; status 0 and the reason where there is no answer, or another certificate."""
        connection = self._connection()
        headers = {"Host": self.host, **({"Authorization": authorization} if authorization else {})}
        try:
            connection.connect()
            if isinstance(connection, TlsConnection) and connection.fingerprint != self.fingerprint:
                return 0, "another certificate"
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read(4096).decode(errors="replace").strip()
        except (OSError, http.client.HTTPException) as failure:
            return 0, str(failure) or type(failure).__name__
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        """From the same address: that is how the site knows its own host."""
        if self.fingerprint:
            return TlsConnection(self.address, self.port, self.host, SECONDS, self.address)
        source = (self.address, 0)
        return http.client.HTTPConnection(self.address, self.port, timeout=SECONDS, source_address=source)


def probes_for(port: int, host: str, ipv6: bool, fingerprint: str = "") -> List[Probe]:
    """Where to ask for a server: at its name if that is an address of this host, as its clients do; else at loopback.

    Another site of the same nginx may listen on the one and not on the other, and takes its clients there.
    """
    name = host.strip("[]")
    addresses = [name] if _is_own(name) else ["127.0.0.1", *(["::1"] if ipv6 else [])]
    return [Probe(port, host, each, fingerprint) for each in addresses]


def _is_own(name: str) -> bool:
    """Whether it is an address of this host. (That it can be bound is no proof: see net.ipv4.ip_nonlocal_bind.)"""
    ipv4 = re.findall(r"\|-- (\S+)\n +/32 host LOCAL", _text("/proc/net/fib_trie"))
    ipv6 = [int(line.split()[0], 16) for line in _text("/proc/net/if_inet6").splitlines()]
    try:
        return ipaddress.ip_address(name) in {*map(ipaddress.IPv4Address, ipv4), *map(ipaddress.IPv6Address, ipv6)}
    except ValueError:
        return False


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def complaint(probe: Probe, generation: str) -> Optional[str]:
    """What is wrong where the site is expected to be live."""
    for _ in range(TRIES):
        status, body = probe.get(MARKER)
        if (status, body) != (200, generation):
            shown = "an older site" if status == 200 else f"status {status}" if status else body
            return f"nginx does not show the new site on port {probe.port} for {probe.host} ({probe.address}): {shown}"
    return None


def still_there(probe: Probe, generation: str) -> Optional[str]:
    """What is wrong where the site is expected to be gone."""
    if probe.get(MARKER) == (200, generation):
        return f"nginx still serves the site on port {probe.port} for {probe.host} ({probe.address})"
    return None


def password_complaint(probe: Probe) -> Optional[str]:
    """A user that nobody has gets 401 where passwords are asked for, if nginx's workers can read the files."""
    status, _ = probe.get("/v2/", NOBODY)
    if status in (403, 500):
        return (
            f"nginx on port {probe.port} for {probe.host} ({probe.address}) can't read its password files "
            f"(status {status})"
        )
    return None


def has_ipv6() -> bool:
    """Whether a server can listen on IPv6, loopback included."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class ErrorLog:
    """A place in nginx's error log."""

    path: Path
    size: int

    @staticmethod
    def now(host: Host) -> ErrorLog:
        """Its present end."""
        path = host.path(error_log(host))
        return ErrorLog(path, path.stat().st_size if path.exists() else 0)

    def since(self) -> str:
        """The last serious line behind that place, as the end of a sentence; empty where there is none."""
        try:
            with self.path.open(errors="replace") as file:
                file.seek(self.size)
                lines = [line.strip() for line in file if SERIOUS.search(line)]
        except OSError:
            return ""
        if not lines:
            return ""
        remedy = "; let its workers read the token (docs/tls.md)" if "PKCS#11" in lines[-1] else ""
        return f"; nginx says: {lines[-1]}{remedy}"
