"""The Docker Engine's API over its Unix socket: no CLI, no library. Paths without a version suit every engine."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Any, BinaryIO, Mapping, NamedTuple, Optional
from urllib.parse import urlencode

from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.masking import masked

SOCKET = "/var/run/docker.sock"


class Answer(NamedTuple):
    """What the engine said."""

    status: int
    body: bytes

    @property
    def data(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The engine's own words about a failure."""
        try:
            return masked(str(self.data["message"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return f"status {self.status}"


def call(
    host: Host,
    method: str,
    path: str,
    query: Optional[Mapping[str, str]] = None,
    body: Optional[BinaryIO] = None,
    timeout: float = 30,
) -> Answer:
    """One request; a failing status is the caller's affair. Raises HostError where no engine answers on the socket."""
    connection = host.connect(SOCKET, timeout)
    headers = {"Content-Type": "application/x-tar"} if body else {}
    try:
        connection.request(method, path + ("?" + urlencode(query) if query else ""), body, headers)
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except (OSError, HTTPException) as silent:
        raise HostError(
            f"{SOCKET}: the Docker engine does not answer ({silent}); look at 'systemctl status docker'"
        ) from silent
    finally:
        connection.close()


def get(host: Host, path: str, query: Optional[Mapping[str, str]] = None) -> Any:
    """The JSON that the engine answers with. Raises HostError for a failing status."""
    answer = call(host, "GET", path, query)
    if answer.status != 200:
        raise HostError(f"Docker engine, GET {path}: {answer.message}")
    return answer.data
