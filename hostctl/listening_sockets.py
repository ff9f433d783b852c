"""Whether a socket takes a connection to an address and port, as ss(8) lists them."""

from __future__ import annotations

import ipaddress
import re
from typing import Iterator, NamedTuple, Optional

from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.packets import Address

EVERYWHERE = ("*", "0.0.0.0", "::")  # noqa: S104 (compared, not bound)


class Socket(NamedTuple):
    """A listening socket: its address as ss prints it, the interface it is bound to or empty, its port, its users."""

    address: str
    interface: str
    port: int
    users: str
    both_families: bool


def listener(host: Host, address: Address, port: int, interface: str) -> Optional[str]:
    """Who listens there: `name (pid 1)`, or None where nobody does."""
    for each in read_sockets(host.must("ss", "-Htlnpe", f"sport = :{port}")):
        if each.port == port and each.interface in ("", interface) and _takes(each, address):
            return each.users
    return None


def _takes(socket: Socket, address: Address) -> bool:
    if socket.address in EVERYWHERE:
        return socket.both_families or (socket.address == "::") is (address.version == 6)
    known = ipaddress.ip_address(socket.address)
    return (getattr(known, "ipv4_mapped", None) or known) == address


def read_sockets(listing: str) -> Iterator[Socket]:
    """The sockets that `ss -Htlnpe` prints. Raises HostError for a line that can't be read."""
    for line in listing.splitlines():
        words = line.split()
        if len(words) < 5 or words[0] != "LISTEN":
            continue
        local, _, port = words[3].rpartition(":")
        if not (port.isascii() and port.isdigit()):
            raise HostError(f"ss: a line that can't be read: {line}")
        address, _, interface = local.replace("[", "").replace("]", "").partition("%")
        users = [f"{name} (pid {pid})" for name, pid in re.findall(r'\("([^"]*)",pid=(\d+)', line)]
        shown = ", ".join(dict.fromkeys(users)) or "a process that the kernel does not name"
        yield Socket(address, interface, int(port), shown, address == "*")
