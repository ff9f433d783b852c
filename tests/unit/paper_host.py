"""A host that is only told of: its addresses, and the neighbours behind its interfaces."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from hostctl.packets import Address, Packet, Route, Surroundings


class PaperHost(Surroundings):
    """`addresses`: the host's own, by interface; a neighbour is in the same /24 or /64 as one of them."""

    def __init__(self, addresses: Mapping[str, Sequence[str]]) -> None:
        self.addresses = {name: [ipaddress.ip_address(each) for each in some] for name, some in addresses.items()}
        self.own = {each for some in self.addresses.values() for each in some}

    def way_to(self, address: Address) -> str:
        """The interface that a neighbour is behind."""
        if self.address_type(address) == "LOCAL":
            return "lo"
        for name, some in self.addresses.items():
            for each in some:
                length = 24 if each.version == 4 else 64
                if address in ipaddress.ip_network(f"{each}/{length}", strict=False):
                    return name
        raise AssertionError(f"{address}: nobody's neighbour")

    def route(self, packet: Packet) -> Route:
        if self.address_type(packet.destination) == "LOCAL":
            return Route("local")
        return Route("forward", self.way_to(packet.destination))

    def address_type(self, address: Address) -> str:
        return "LOCAL" if address in self.own or address.is_loopback else "UNICAST"

    def comes_in_by_its_route(self, packet: Packet) -> bool | None:
        return packet.in_interface == self.way_to(packet.source)

    def first_address(self, interface: str, version: int) -> Address | None:
        return next((each for each in self.addresses[interface] if each.version == version), None)
