"""One question over HTTP to a program of this host, on its loopback address."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException
from typing import Tuple


def get(port: int, path: str, seconds: float, most: int = 1 << 20) -> Tuple[int, str]:
    """Status and body, of which `most` bytes are read; status 0, and the reason, where there is no answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(most).decode(errors="replace")
    except (OSError, HTTPException) as silent:
        return 0, str(silent) or type(silent).__name__
    finally:
        connection.close()
