"""Asking a second proxy whether it holds pushes off too."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass

HELD = 403
"""What it answers while it does; see documents/nginx_gate.py."""
PATIENCE = 10.0
"""Seconds until the gate is seen there: nginx keeps what it knows of a file for some."""


class Open(Exception):
    """The other proxy lets pushes through, or does not say."""


@dataclass(frozen=True)
class Standby:
    """`address`, `port`: where it is asked. `host`: by which name. `tls`: whether over HTTPS; its certificate is not
    checked, since who could forge the answer could as well push."""

    address: str
    port: int
    host: str
    path: str
    tls: bool
    patience: float = PATIENCE

    def must_hold(self, still: bool = False) -> None:
        """Returns once it does; at once, where it must do so `still`. Raises Open."""
        deadline = time.monotonic() + (0 if still else self.patience)
        while True:
            said = self._said()
            if said == str(HELD):
                return
            if time.monotonic() >= deadline:
                raise Open(f"the standby proxy at {self.address}:{self.port} does not hold pushes off ({said})")
            time.sleep(0.2)

    def _said(self) -> str:
        connection = self._connection()
        try:
            connection.request("GET", self.path, headers={"Host": self.host})
            return str(connection.getresponse().status)
        except (OSError, http.client.HTTPException) as silent:
            return str(silent) or type(silent).__name__
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if not self.tls:
            return http.client.HTTPConnection(self.address, self.port, timeout=5)
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(self.address, self.port, timeout=5, context=context)
