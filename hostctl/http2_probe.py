"""Whether an HTTP/2 server, such as one that speaks gRPC, answers on a socket: a connection alone is the kernel's word.

RFC 9113, 3.4: both ends begin with a SETTINGS frame, the client's behind a fixed preface; 4.1: nine bytes of head, the
type in the fourth.
"""

from __future__ import annotations

import socket

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = 4
EMPTY_SETTINGS = bytes([0, 0, 0, SETTINGS, 0, 0, 0, 0, 0])


def answers(path: str, patience: float = 2) -> bool:
    """Whether the server of that Unix socket begins to speak HTTP/2 within `patience` seconds."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(patience)
            connection.connect(path)
            connection.sendall(PREFACE + EMPTY_SETTINGS)
            head = connection.recv(len(EMPTY_SETTINGS), socket.MSG_WAITALL)
    except OSError:
        return False
    return len(head) == len(EMPTY_SETTINGS) and head[3] == SETTINGS
