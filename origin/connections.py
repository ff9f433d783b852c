"""Connections to servers: kept while idle, TLS verified, through the proxy that HTTPS_PROXY names."""

from __future__ import annotations

import base64
import errno
import http.client
import select
import socket
import ssl
import threading
import time
from typing import Dict, Iterator, List, Mapping, Optional, Set, Tuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from origin.config import Registry
from origin.failures import BrokenOff, NoAnswer
from origin.urls import Server

CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0
UNHEARD_SECONDS = 5.0
"""How long what we send may stay without the other host's acknowledgement: it is cut off."""
RETRY_SECONDS = 1.0
"""Between two tries to reach a server that is cut off, which no client waits for."""
IDLE_SECONDS = 30.0
MOST_IDLE = 64
"""Idle connections of one registry, over all its servers."""
DRAINED = 64 << 10
"""Bytes of a body that nobody wants which are read to keep the connection; of a longer one the connection goes."""

Connection = http.client.HTTPConnection


class Answer:
    """A server's answer, its body still to be read. `end` it in any case."""

    def __init__(self, pool: Pool, server: Server, connection: Connection, got: http.client.HTTPResponse) -> None:
        self.status = got.status
        self.headers = got.headers
        self.chunked = got.chunked
        self.left = got.length
        """Bytes of the body that are still to come; None where only its end will tell."""
        self._pool, self._server, self._got = pool, server, got
        self._connection: Optional[Connection] = connection

    def pieces(self, buffer: memoryview) -> Iterator[memoryview]:
        """The body as it comes in, each piece in `buffer` until the next. Raises BrokenOff."""
        try:
            while self.left is None or self.left > 0:
                if self.left is None:
                    piece = self._got.read1(len(buffer))
                    size = len(piece)
                    buffer[:size] = piece
                else:
                    size = self._got.fp.readinto1(buffer[: self.left])
                    self.left -= size
                if size == 0 and self.left is None and self.chunked:
                    self.left = 0
                elif size == 0:
                    raise BrokenOff("the body ended early")
                else:
                    yield buffer[:size]
        except (OSError, http.client.HTTPException) as broken:
            raise BrokenOff(_why(broken)) from broken

    def body(self, most: int) -> bytes:
        """The whole body. Raises BrokenOff, also where it has more than `most` bytes."""
        found = b""
        for piece in self.pieces(memoryview(bytearray(16 << 10))):
            found += piece
            if len(found) > most:
                raise BrokenOff(f"the body has more than {most} bytes")
        return found

    def end(self) -> None:
        """Keep the connection where all of the body was read or is short, else close it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            if self.left is None or 0 < self.left <= DRAINED:
                self.body(DRAINED)
        except BrokenOff:
            self.left = None
        keeps = self.left == 0 and not self._got.will_close
        self._got.close()
        if keeps:
            self._pool.keep(self._server, connection)
        else:
            connection.close()


class Pool:
    """The connections of one registry, also to the servers that it sends us to.

    A server that is cut off costs those who ask just then their wait, and nobody after them: until it can be reached
    again, which a thread finds out, requests to it fail at once.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._tls = _tls(registry.ca)
        self._tls_elsewhere = self._tls
        if not registry.verify_elsewhere:
            self._tls_elsewhere = _tls("")
            self._tls_elsewhere.check_hostname = False
            self._tls_elsewhere.verify_mode = ssl.CERT_NONE
        self._idle: Dict[Server, List[Tuple[float, Connection]]] = {}
        self._cut_off: Set[Server] = set()
        self._lock = threading.Lock()

    def ask(self, server: Server, method: str, target: str, headers: Mapping[str, str]) -> Answer:
        """Send a request and wait for the head of its answer. Raises NoAnswer."""
        if server in self._cut_off:
            raise NoAnswer(504, f"{server} can't be reached")
        kept = self._take(server)
        if kept is not None:
            try:
                return self._exchange(server, kept, method, target, headers)
            except NoAnswer as dead:
                if dead.reached or server in self._cut_off:
                    raise
        return self._exchange(server, self._open(server), method, target, headers)

    def keep(self, server: Server, connection: Connection) -> None:
        """Have a connection ready for the next request."""
        with self._lock:
            now = time.monotonic()
            for each in list(self._idle):
                fresh = [(since, kept) for since, kept in self._idle[each] if now - since < IDLE_SECONDS]
                for _, old in self._idle[each][: len(self._idle[each]) - len(fresh)]:
                    old.close()
                if fresh:
                    self._idle[each] = fresh
                else:
                    del self._idle[each]
            if sum(map(len, self._idle.values())) < MOST_IDLE:
                self._idle.setdefault(server, []).append((now, connection))
            else:
                connection.close()

    def _take(self, server: Server) -> Optional[Connection]:
        with self._lock:
            kept = self._idle.get(server, [])
            while kept:
                since, connection = kept.pop()
                if time.monotonic() - since < IDLE_SECONDS and not _closed_by_peer(connection):
                    return connection
                connection.close()
        return None

    def _open(self, server: Server) -> Connection:
        try:
            return self._dialled(server)
        except (OSError, http.client.HTTPException, UnicodeError) as failure:
            if late := _is_late(failure):
                self._has_cut_off(server)
            raise NoAnswer(504 if late else 502, f"{server} can't be reached: {_why(failure)}") from failure

    def _dialled(self, server: Server) -> Connection:
        at_home = server in self._registry.bases
        tls = self._tls if at_home else self._tls_elsewhere
        connection = _connection(server, tls, self._registry.certificate_name if at_home else "")
        try:
            connection.connect()
            connection.sock.settimeout(READ_SECONDS)
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNHEARD_SECONDS * 1000))
        except BaseException:
            connection.close()
            raise
        return connection

    def _has_cut_off(self, server: Server) -> None:
        with self._lock:
            if server in self._cut_off:
                return
            self._cut_off.add(server)
        threading.Thread(target=self._await, args=(server,), daemon=True).start()

    def _await(self, server: Server) -> None:
        """Until it can be reached, or says at once that it can't."""
        late = True
        while late:
            time.sleep(RETRY_SECONDS)
            try:
                self._dialled(server).close()
                late = False
            except (OSError, http.client.HTTPException, UnicodeError) as failure:
                late = _is_late(failure)
        with self._lock:
            self._cut_off.discard(server)

    def _exchange(
        self, server: Server, connection: Connection, method: str, target: str, headers: Mapping[str, str]
    ) -> Answer:
        try:
            connection.request(method, target, headers=dict(headers))
            return Answer(self, server, connection, connection.getresponse())
        except socket.timeout as late:
            connection.close()
            if late.errno == errno.ETIMEDOUT:
                raise self._unheard(server) from late
            raise NoAnswer(504, f"{server} does not answer within {READ_SECONDS:g} s", reached=True) from late
        except (OSError, http.client.HTTPException, ValueError) as failure:
            connection.close()
            if isinstance(failure, OSError) and failure.errno == errno.ETIMEDOUT:
                raise self._unheard(server) from failure
            raise NoAnswer(502, f"{server} gives no answer: {_why(failure)}") from failure

    def _unheard(self, server: Server) -> NoAnswer:
        self._has_cut_off(server)
        return NoAnswer(504, f"{server} can't be reached any more")


class _Named(http.client.HTTPConnection):
    """To a server whose certificate has another name than its URL."""

    def __init__(self, server: Server, tls: ssl.SSLContext, name: str) -> None:
        super().__init__(server.host, server.port, timeout=CONNECT_SECONDS)
        self._tls, self._name = tls, name

    def connect(self) -> None:
        super().connect()
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name)


def _tls(ca: str) -> ssl.SSLContext:
    tls = ssl.create_default_context()
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca:
        tls.load_verify_locations(cadata=ca)
    return tls


def _connection(server: Server, tls: ssl.SSLContext, name: str) -> Connection:
    if server.scheme == "http":
        return http.client.HTTPConnection(server.host, server.port, timeout=CONNECT_SECONDS)
    if name:
        return _Named(server, tls, name)
    proxy = urlsplit("" if proxy_bypass(server.host) else getproxies_environment().get("https", ""))
    if proxy.scheme != "http" or not proxy.hostname:
        return http.client.HTTPSConnection(server.host, server.port, timeout=CONNECT_SECONDS, context=tls)
    through = http.client.HTTPSConnection(proxy.hostname, proxy.port or 80, timeout=CONNECT_SECONDS, context=tls)
    login = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}"
    through.set_tunnel(server.host, server.port, {"Proxy-Authorization": basic(login)} if proxy.username else {})
    return through


def basic(login: str) -> str:
    """The Authorization of `user:password`."""
    return "Basic " + base64.b64encode(login.encode()).decode()


def _closed_by_peer(connection: Connection) -> bool:
    """An idle connection has nothing to say but that it ends."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _is_late(failure: BaseException) -> bool:
    """Whether nothing has come of it in time. Python 3.9 has two exceptions for that."""
    return isinstance(failure, socket.timeout) or (isinstance(failure, OSError) and failure.errno == errno.ETIMEDOUT)


def _why(failure: BaseException) -> str:
    """A reason for people; an exception's own text may quote a URL, so it counts only where it is known not to."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"its certificate is refused ({failure.verify_message})"
    if isinstance(failure, ssl.SSLError):
        return f"TLS fails ({failure.reason})"
    if isinstance(failure, socket.timeout):
        return "it takes too long"
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror
    return type(failure).__name__
