"""`python3 -I -S …/proxy_alive SCHEME:PORT:NAME…`: status 0 where this host's nginx answers for each of its endpoints,
and the registry behind it does; else 1 and the first that does not.

keepalived runs it every second, so it imports next to nothing. It asks at loopback, where nginx also is while the
floating address is elsewhere. Of a certificate it is enough that nginx can show one: clients see to the rest.
"""

import socket
import sys
from typing import List

PATH = "/.http-registry/alive"
LOOPBACK = "127.0.0.1"
SECONDS = 2.0
"""For each endpoint."""


def main(endpoints: List[str]) -> int:
    """Ask them all."""
    for each in endpoints:
        complaint = _complaint(*each.split(":", 2))
        if complaint:
            sys.stderr.write(f"{each}: {complaint}\n")
            return 1
    return 0


def _complaint(scheme: str, port: str, name: str) -> str:
    try:
        # From the same address: that is how nginx knows its own host.
        connection = socket.create_connection((LOOPBACK, int(port)), SECONDS, (LOOPBACK, 0))
        with connection:
            asked = _with_tls(connection, name) if scheme == "https" else connection
            with asked:
                asked.sendall(f"GET {PATH} HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
                line = asked.recv(32).decode(errors="replace")
    except OSError as silent:
        return str(silent) or type(silent).__name__
    status = line.partition(" ")[2][:3]
    return "" if status.startswith("2") else f"status {status or 'unknown'}"


def _with_tls(connection: socket.socket, name: str) -> socket.socket:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=name.strip("[]"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
