"""Asking a server of this host over TLS, by the name of its clients; whom it shows is compared, not believed."""

from __future__ import annotations

import hashlib
import http.client
from typing import Tuple


class TlsConnection(http.client.HTTPConnection):
    """A connection to `address` as a client makes it that knows the server by `name`.

    Nobody's signature is checked: this host need not trust its own server's authority.
    """

    def __init__(self, address: str, port: int, name: str, timeout: float, source: str = "") -> None:
        super().__init__(address, port, timeout=timeout, source_address=(source, 0) if source else None)
        self._name = name.strip("[]")
        self.fingerprint = ""
        """SHA-256, in hex, of the certificate that the server has shown."""

    def connect(self) -> None:
        """Raises OSError, which ssl.SSLError is, where the handshake fails."""
        import ssl  # takes a while, and only a change has a use for it

        super().connect()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        wrapped = context.wrap_socket(self.sock, server_hostname=self._name)
        self.sock = wrapped
        self.fingerprint = hashlib.sha256(wrapped.getpeercert(binary_form=True) or b"").hexdigest()


def shown(address: str, port: int, name: str, timeout: float) -> Tuple[str, str]:
    """The fingerprint that a server shows; empty, and the reason, where there is no handshake."""
    connection = TlsConnection(address, port, name, timeout)
    try:
        connection.connect()
        return connection.fingerprint, ""
    except OSError as failure:
        return "", str(failure) or type(failure).__name__
    finally:
        connection.close()
