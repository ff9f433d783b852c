"""HTTP to a daemon over any connection: a unix socket, TCP, TLS or an `ssh` process.

The docker SDK has an adapter for each; its own for SSH takes no options and can't bound its connections. Here a
scheme is only a function that dials, and one adapter pools what it gives.
"""

# ruff: noqa: ARG002 - the interface has the argument, this implementation no use for it

from __future__ import annotations

import socket
import ssl
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import requests
import urllib3.connection
import urllib3.connectionpool
from docker.transport.basehttpadapter import BaseHTTPAdapter

from toolchain.plugins.docker.settings import Settings
from toolchain.plugins.docker.ssh import SshDial
from toolchain.plugins.shared.resource import ProviderError

Dial: TypeAlias = Callable[[], socket.socket]
CONNECT_SECONDS = 30
SSH_CONNECTIONS = 4
"""At most so many at a time to one host: each is a login, and sshd's MaxStartups is 10."""
CONNECTIONS = 16


def dial_for(settings: Settings) -> Dial:
    """The function that makes a connection to the daemon of `settings`."""
    if settings.host.startswith("ssh://"):
        return SshDial(settings.host, settings.ssh_opts)
    if settings.host.startswith("unix://"):
        path = settings.host.removeprefix("unix://")
        return lambda: _unix(path)
    url = urlsplit(settings.host)
    name = url.hostname or "localhost"
    context = _tls(settings)
    address = (name, url.port or (2376 if context else 2375))
    if context is None:
        return lambda: socket.create_connection(address, CONNECT_SECONDS)
    return lambda: context.wrap_socket(socket.create_connection(address, CONNECT_SECONDS), server_hostname=name)


def _unix(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(CONNECT_SECONDS)
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """None without material. Material without a CA trusts any daemon, as in the official provider."""
    if not settings.cert and not settings.cert_path:
        return None
    try:
        if settings.cert_path:
            folder = Path(settings.cert_path).expanduser()
            context = ssl.create_default_context(cafile=folder / "ca.pem")
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
            return context
        context = ssl.create_default_context(cadata=settings.ca or None)
        if not settings.ca:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        # The ssl module takes a key from a file only; it is gone before the first byte is sent.
        with tempfile.NamedTemporaryFile("w") as pair:
            pair.write(f"{settings.cert}\n{settings.key}\n")
            pair.flush()
            context.load_cert_chain(pair.name)
        return context
    except (OSError, ValueError) as failure:
        raise ProviderError(f"docker: provider: the TLS material can't be used: {failure}") from None


class _Connection(urllib3.connection.HTTPConnection):
    dial: Dial

    def connect(self) -> None:
        self.sock = self.dial()
        self.sock.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)


class _Pool(urllib3.connectionpool.HTTPConnectionPool):
    def __init__(self, dial: Dial, size: int) -> None:
        super().__init__("localhost", maxsize=size, block=True)
        self._dial = dial

    def _new_conn(self) -> _Connection:
        connection = _Connection("localhost", timeout=CONNECT_SECONDS)
        connection.dial = self._dial
        return connection


class DialAdapter(BaseHTTPAdapter):
    """Sends every request over pooled connections of one `dial`."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._pool = _Pool(dial, SSH_CONNECTIONS if isinstance(dial, SshDial) else CONNECTIONS)
        super().__init__()

    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        """The one pool; proxies don't apply."""
        return self._pool

    def request_url(self, request: requests.PreparedRequest, proxies: Mapping[str, str] | None) -> str:
        """The path alone: the connection has its other end already."""
        return request.path_url

    def close(self) -> None:
        """End the connections and what carries them."""
        self._pool.close()
        if isinstance(self._dial, SshDial):
            self._dial.close()
        super().close()

    def explain(self) -> str:
        """Why a connection broke, when its own error doesn't tell."""
        return self._dial.explain() if isinstance(self._dial, SshDial) else ""
