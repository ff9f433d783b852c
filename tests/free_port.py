"""A port for a server of a test, which is told its number before it listens."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

NUMBERS = (10_000, 32_000)
"""Below those that Linux gives to outgoing connections (ip_local_port_range), of which any may take one meanwhile."""


def free_port() -> int:
    """A TCP port that nobody has at any address of this machine, of either family."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    for _ in range(1000):
        port = random.randrange(*NUMBERS)
        with suppress(OSError), socket.create_server(("", port), family=family, dualstack_ipv6=both):
            return port
    raise AssertionError(f"every port from {NUMBERS[0]} to {NUMBERS[1]} seems to be taken")
