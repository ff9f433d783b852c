"""Network namespaces of this machine as hosts, each with the programs of one firewall backend."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hostctl.host import Finished, Host
from lab import packages

PROGRAMS = ("iptables", "ip6tables")
MULTI = {"iptables-nft": "/usr/sbin/xtables-nft-multi", "iptables-legacy": "/usr/sbin/xtables-legacy-multi"}


def backends() -> list[str]:
    """Those that this kernel has."""
    packages.need({"/usr/sbin/nft": "nftables", "/usr/sbin/iptables": "iptables"})
    asked = ("unshare", "--net", MULTI["iptables-legacy"], "iptables", "-t", "mangle", "-S")
    legacy = subprocess.run(asked, capture_output=True, check=False).returncode == 0
    return ["nft", "iptables-nft", *(["iptables-legacy"] if legacy else [])]


def install(backend: str, folder: Path, others: Sequence[str] = ()) -> Path:
    """A folder with the programs of a host with that backend, and by their full names those of others.

    nft is there on all of them, as on many hosts.
    """
    folder.mkdir()
    (folder / "nft").symlink_to("/usr/sbin/nft")
    for variant in {backend, *others} & MULTI.keys():
        for program in PROGRAMS:
            name = program if variant == backend else f"{program}-{variant.split('-')[1]}"
            for suffix in ("", "-restore", "-save"):
                (folder / f"{name}{suffix}").symlink_to(MULTI[variant])
    return folder


CLIENT = """
import json, selectors, socket, sys, time
asked, reached = selectors.DefaultSelector(), []
for address, port in json.loads(sys.argv[1]):
    client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    client.setblocking(False)
    try:
        client.connect((address, port))
    except BlockingIOError:
        asked.register(client, selectors.EVENT_WRITE, (address, port))
    except OSError:
        continue
    else:
        reached.append((address, port))
deadline = time.monotonic() + 0.7
while asked.get_map() and time.monotonic() < deadline:
    for key, _ in asked.select(max(0, deadline - time.monotonic())):
        if not key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            reached.append(key.data)
        asked.unregister(key.fileobj)
print(json.dumps(sorted(reached)))
"""


@dataclass(frozen=True)
class Namespace(Host):
    """A host that is a network namespace of this machine. `programs`: a folder with those that guard it."""

    root: Path = Path("/")
    name: str = ""
    programs: Path = Path("/usr/sbin")

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
        path = f"PATH={self.programs}:/usr/bin:/bin"
        return super().run("ip", "netns", "exec", self.name, "env", path, *command, stdin=stdin, timeout=timeout)

    def has(self, program: str) -> bool:
        return (self.programs / program).exists()

    def reaches(self, address: str, port: int) -> bool:
        return self.reached((address, port)) == [(address, port)]

    def reached(self, *places: tuple[str, int]) -> list[tuple[str, int]]:
        """Those of the places that take a connection within 0.7 s; all are asked at once."""
        return list(map(tuple, json.loads(self.must("python3", "-c", CLIENT, json.dumps(places)))))

    def asks(self, address: str, port: int) -> bool:
        """Over UDP."""
        script = (
            "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.7)\n"
            f"s.sendto(b'x', ({address!r}, {port})); assert s.recv(9) == b'x'"
        )
        return self.run("python3", "-c", script).ok

    @contextmanager
    def connected(self, address: str, port: int) -> Iterator[subprocess.Popen[str]]:
        """A connection: a line in is sent, and what comes back within 0.7 s is a line out."""
        script = (
            f"import socket, sys; s = socket.create_connection(({address!r}, {port}), 0.7)\n"
            "print('connected', flush=True)\n"
            "for line in sys.stdin:\n"
            "    s.sendall(b'x')\n"
            "    try: print('goes on' if s.recv(9) else 'closed', flush=True)\n"
            "    except TimeoutError: print('ended', flush=True)\n"
        )
        command = ("ip", "netns", "exec", self.name, "python3", "-c", script)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert process.stdout.readline() == "connected\n"
            try:
                yield process
            finally:
                process.terminate()


def said(connection: subprocess.Popen[str]) -> str:
    """Whether a connection still carries something: `goes on` or `ended`."""
    assert connection.stdin
    assert connection.stdout
    connection.stdin.write("\n")
    connection.stdin.flush()
    return connection.stdout.readline().strip()
