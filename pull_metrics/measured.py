"""What is measured anew at times: how much is stored, and which part answers."""

from __future__ import annotations

import http.client
import os
import ssl
import time
from typing import Dict, Iterable, List, Mapping, Optional
from urllib.parse import urlsplit

from pull_metrics.config import Config, Part
from pull_metrics.series import Family, Labels, gauges

STORED = Family(
    "http_registry_stored_bytes", "Bytes on disk, of a volume or of a cache.", ("kind", "registry"), "gauge"
)
LIMIT = Family("http_registry_stored_bytes_limit", "The most that it may hold.", ("kind", "registry"), "gauge")
UP = Family("http_registry_up", "Whether a part answers.", ("kind", "name"), "gauge")
ENDS = Family("http_registry_certificate_end_seconds", "When a certificate ends, since 1970.", ("endpoint",), "gauge")
INFO = Family("http_registry_cache_info", "Which registries are caches of an upstream.", ("registry",), "gauge")

PATIENCE = 5.0
"""Seconds for a part's answer."""
EVERY = 30.0
"""Seconds between two questions to each part."""
SHARE = 20
"""Walking through what is stored may take one part in so many of the time."""
LEAST = 15.0
"""Seconds between two walks at least."""


class Measured:
    """The last values; `measure` makes new ones where it is time."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stored: Dict[Labels, int] = {}
        self._limits: Dict[Labels, int] = {}
        self._said: Dict[Part, str] = {}
        self._next_walk = self._next_question = 0.0

    @property
    def stored(self) -> int:
        """Bytes of all volumes and caches."""
        return sum(self._stored.values())

    @property
    def limit(self) -> int:
        """The most that they may hold together, as far as the disks have room for it."""
        return sum(self._limits.values())

    def measure(self) -> None:
        """May take seconds."""
        began = time.monotonic()
        if began >= self._next_question:
            self._said = {part: _asked(part) for part in self._config.parts}
            self._next_question = began + EVERY
        began = time.monotonic()
        if began >= self._next_walk:
            for place, (folder, most) in self._config.folders.items():
                self._stored[place] = used = _size(folder)
                self._limits[place] = min(most, used + _free(folder)) if most else used + _free(folder)
            ended = time.monotonic()
            self._next_walk = ended + max(LEAST, SHARE * (ended - began))

    def text(self) -> Iterable[str]:
        """The lines for Prometheus."""
        yield from gauges(STORED, self._stored)
        yield from gauges(LIMIT, self._limits)
        yield from gauges(UP, {(part.kind, part.name): float(not said) for part, said in self._said.items()})
        yield from gauges(ENDS, {(name,): end for name, end in self._config.certificates.items()})
        yield from gauges(INFO, {(name,): 1.0 for name in self._config.caches})

    def parts(self) -> List[Mapping[str, str]]:
        """For the status page: name, state, detail."""
        return [
            {
                "name": f"{part.kind} {part.name}".strip(),
                "state": "unknown" if part not in self._said else "down" if self._said[part] else "up",
                "detail": self._said.get(part, ""),
            }
            for part in self._config.parts
        ]


def _asked(part: Part) -> str:
    """Why a part does not answer; empty where it does."""
    parts = urlsplit(part.url)
    assert parts.hostname
    connection: Optional[http.client.HTTPConnection] = None
    try:
        if parts.scheme == "https":
            connection = _Named(parts.hostname, parts.port or 443, part)
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=PATIENCE)
        connection.request("GET", parts.path or "/", headers={"User-Agent": "http-registry-pulls"})
        status = connection.getresponse().status
        return f"answers {status}" if status >= 500 else ""
    except (OSError, http.client.HTTPException) as wrong:
        return str(wrong) or type(wrong).__name__
    finally:
        if connection:
            connection.close()


class _Named(http.client.HTTPSConnection):
    """HTTPS to an address whose certificate has a name."""

    def __init__(self, host: str, port: int, part: Part) -> None:
        context = ssl.create_default_context()
        if part.ca:
            context.load_verify_locations(cadata=part.ca)
        super().__init__(host, port, timeout=PATIENCE, context=context)
        self._trusted, self._server = context, part.server or host

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._trusted.wrap_socket(self.sock, server_hostname=self._server)


def _size(folder: str) -> int:
    """Bytes that the files below a folder take on the disk; 0 where it is not there."""
    total, folders = 0, [folder]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            pass  # it has gone meanwhile
    return total


def _free(folder: str) -> int:
    """Bytes that its disk has left for it."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return 0
    return disk.f_bavail * disk.f_frsize
