"""Stands in for `ssh` during a preview: answers the ping of a Docker behind `docker system dial-stdio`, nothing else.

The official docker plugin pings each host when it is configured (docker/cli's connhelper runs `ssh` for an `ssh://`
host), also where a preview changes nothing there, and does not go on without an answer (`HEAD /_ping`: status 200,
`Api-Version`; Docker Engine API, System). Whatever else is asked gets an error that says why. Standard library only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import BinaryIO

DIAL = "system dial-stdio"
API_VERSION = "1.41"
"""Docker 20.10's, the oldest that is supported."""
REFUSED = (
    "this is a preview, which reaches no host: {what} is not answered; 'make up' and 'make refresh' use the real ssh"
)


def main(arguments: Sequence[str], requests: BinaryIO, answers: BinaryIO) -> int:
    """Serve HTTP on stdin and stdout until the client is done; returns the exit status."""
    # `docker`, an option and the two words may come as one argument, or each as its own.
    if not " ".join(arguments).endswith(DIAL):
        print(REFUSED.format(what="ssh " + " ".join(arguments)), file=sys.stderr)
        return 255
    while (request := _head(requests)) is not None:
        method, _, path = request.partition(" ")
        ping = path.rpartition("/")[2] == "_ping" and method in ("HEAD", "GET")
        answers.write(_pong(method) if ping else _refusal(f"{method} {path}"))
        answers.flush()
        if not ping:
            print(REFUSED.format(what=f"{method} {path}"), file=sys.stderr)
            return 1
    return 0


def _head(requests: BinaryIO) -> str | None:
    """Method and path of the next request, of which nobody reads a body; None at the end."""
    first = requests.readline().decode(errors="replace").split()
    while first and requests.readline().strip():
        pass
    return " ".join(first[:2]) if len(first) == 3 else None


def _pong(method: str) -> bytes:
    body = b"OK" if method == "GET" else b""
    head = f"HTTP/1.1 200 OK\r\nApi-Version: {API_VERSION}\r\nOstype: linux\r\nContent-Type: text/plain\r\n"
    return f"{head}Content-Length: 2\r\n\r\n".encode() + body


def _refusal(what: str) -> bytes:
    body = json.dumps({"message": REFUSED.format(what=what)}).encode()
    head = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdin.buffer, sys.stdout.buffer))
