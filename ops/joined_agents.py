"""Several SSH agents behind one socket: a client is offered the first one's keys first, and each signs with its own.

The protocol: draft-miller-ssh-agent. What is not listing and signing is refused, such as adding keys.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

FAILURE, LIST, LISTED, SIGN = 5, 11, 12, 13
LONGEST = 256 << 10
"""Bytes of a message; OpenSSH's agent takes no longer one."""


@contextmanager
def joined(sockets: Sequence[str]) -> Iterator[str]:
    """Serve the agents at `sockets` at a socket of our own, which is yielded. One that does not answer has no keys."""
    with tempfile.TemporaryDirectory(prefix="agents-") as folder:
        path = str(Path(folder, "socket"))

        class Client(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                _serve(self.request, sockets)

        with socketserver.ThreadingUnixStreamServer(path, Client) as server:
            server.daemon_threads = True
            server.block_on_close = False
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            try:
                yield path
            finally:
                server.shutdown()


def _serve(client: socket.socket, sockets: Sequence[str]) -> None:
    owners: dict[bytes, socket.socket] = {}
    with ExitStack() as stack:
        agents = [stack.enter_context(each) for each in map(_connected, sockets) if each is not None]
        while message := _received(client):
            if message[0] == LIST:
                _sent(client, _listed(agents, owners))
                continue
            owner = None
            if message[0] == SIGN:
                if not owners:
                    _listed(agents, owners)
                owner = owners.get(_text(message, 1)[0])
            _sent(client, _answer(owner, message) if owner else bytes([FAILURE]))


def _connected(path: str) -> socket.socket | None:
    agent = socket.socket(socket.AF_UNIX)
    try:
        agent.connect(path)
    except OSError:
        agent.close()
        return None
    return agent


def _listed(agents: Sequence[socket.socket], owners: dict[bytes, socket.socket]) -> bytes:
    """All keys, each once; `owners` learns whose they are."""
    owners.clear()
    entries = []
    for agent in agents:
        answer = _answer(agent, bytes([LIST]))
        if answer[0] != LISTED:
            continue
        place = 5
        for _ in range(struct.unpack(">I", answer[1:5])[0]):
            key, behind = _text(answer, place)
            _, end = _text(answer, behind)
            if key not in owners:
                owners[key] = agent
                entries.append(answer[place:end])
            place = end
    return struct.pack(">BI", LISTED, len(entries)) + b"".join(entries)


def _answer(agent: socket.socket, message: bytes) -> bytes:
    try:
        _sent(agent, message)
        return _received(agent) or bytes([FAILURE])
    except OSError:
        return bytes([FAILURE])


def _text(message: bytes, place: int) -> tuple[bytes, int]:
    """A string of the protocol, and where it ends."""
    begin = place + 4
    end = begin + struct.unpack(">I", message[place:begin])[0]
    return message[begin:end], end


def _sent(to: socket.socket, message: bytes) -> None:
    to.sendall(struct.pack(">I", len(message)) + message)


def _received(connection: socket.socket) -> bytes:
    """The next message, empty where the other end has closed."""
    head = connection.recv(4, socket.MSG_WAITALL)
    length = struct.unpack(">I", head)[0] if len(head) == 4 else 0
    return connection.recv(length, socket.MSG_WAITALL) if 0 < length <= LONGEST else b""
