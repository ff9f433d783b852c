"""Runs on a host that asks: tries all places at once, and prints what became of each, as one line of JSON."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

PATIENCE = 2.0
"""Seconds without an answer after which a packet counts as dropped."""
Place = tuple[str, int, str]
"""Address, port, and the interface to leave by, whatever the address says; empty: as the routes say."""


def ask(place: Place, source: str) -> str:
    """`open`, where a server has answered; else what happened."""
    address, port, interface = place
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as client:
        client.settimeout(PATIENCE)
        try:
            if interface:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
                client.bind((source, 0))
            client.connect((address, port))
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return "open" if client.recv(1) else "closed"
        except TimeoutError:
            return "dropped"
        except ConnectionError:
            return "refused"
        except OSError as other:
            return str(other.strerror)


def ask_all(places: Sequence[Place], source: str) -> None:
    """Print the outcomes, in the places' order. `source`: the host's own IPv4 address."""
    with ThreadPoolExecutor(len(places)) as pool:
        print(json.dumps(list(pool.map(lambda place: ask(place, source), places))))
