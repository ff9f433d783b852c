"""Rules in force, routes and sockets: read, and a packet sent through them."""

from __future__ import annotations

import ipaddress

from fuzz.target import Target, cases, promised, texts
from hostctl import listening_sockets, nft_rules, routes, rule_sets
from hostctl.errors import HostError
from hostctl.packet_walk import walk
from hostctl.packets import Address, Packet, Route, Surroundings, Table

SOURCE, HERE = ipaddress.ip_address("10.9.1.2"), ipaddress.ip_address("10.9.1.1")
PACKETS = (
    Packet(SOURCE, HERE, 5080, "lan0"),
    Packet(SOURCE, ipaddress.ip_address("172.29.0.2"), 80, "lan0"),
    Packet(HERE, SOURCE, 443, "lo"),
    Packet(ipaddress.ip_address("fd09:1::2"), ipaddress.ip_address("fd09:1::1"), 5080, "lan0"),
)
MOST_RULES = 200
"""More of them jump about without end: a walk is as long as its rules make it."""


class _Around(Surroundings):
    def route(self, packet: Packet) -> Route:
        return Route("local") if packet.destination == HERE else Route("forward", "docker0")

    def address_type(self, address: Address) -> str:
        return "LOCAL" if address == HERE else "UNICAST"

    def comes_in_by_its_route(self, packet: Packet) -> bool | None:
        return True

    def first_address(self, interface: str, version: int) -> Address | None:
        return HERE if version == 4 else None


def _walked(tables: list[Table]) -> None:
    """Whatever the rules say, the walk ends, and says how."""
    for packet in PACKETS:
        assert walk(tables, packet, _Around()).end


def run_iptables(data: bytes) -> None:
    """iptables-save."""
    with promised(HostError):
        _walked(rule_sets.iptables_tables(data.decode(errors="replace"), "iptables-nft", 4))


def run_nft(data: bytes) -> None:
    """`nft -j list ruleset`; what live_rules makes a HostError of is one here."""
    with promised(HostError, ValueError, KeyError, TypeError, AttributeError):
        tables = nft_rules.nft_tables(data.decode(errors="replace"), {})
    if "tables" in locals():
        _walked(nft_rules.merged([], tables))


def run_nft_text(data: bytes) -> None:
    """`nft -a -s list ruleset`."""
    nft_rules.rule_texts(data.decode(errors="replace"))


def run_routes(data: bytes) -> None:
    """ip(8) and ss(8)."""
    text = data.decode(errors="replace")
    routes.read_route(text)
    with promised(HostError):
        routes.read_types(text)
    with promised(HostError):
        list(listening_sockets.read_sockets(text))


SAVE = (
    ":",
    "-A ",
    "-j ",
    "-g ",
    "-m ",
    "!",
    "--dport ",
    "*nat",
    "COMMIT",
    "DNAT",
    "--to-destination ",
    "--ctstate ",
    "--connlimit-above ",
    "--mark ",
    "--set-xmark ",
    "recent",
    "policy",
    "--pol ",
    "0x1/0x2",
    "[1:2] ",
)
NFT = (
    '{"',
    '"}',
    "[",
    "]",
    "match",
    "left",
    "right",
    "op",
    "payload",
    "meta",
    "vmap",
    "@",
    "set",
    "elem",
    "dnat",
    "addr",
    "prefix",
    "range",
    "concat",
    "jump",
    "target",
    "null",
    "mangle",
    "key",
    "fib",
    "limit",
    "map",
)
SOCKETS = """\
LISTEN 0 128    0.0.0.0%lo:7004 0.0.0.0:* users:(("python3",pid=5,fd=6)) ino:1 sk:1 cgroup:/ <->
LISTEN 0 128          [::]:7002    [::]:* ino:3 sk:3 cgroup:/ v6only:1 <->
"""
LOCAL = "local 127.0.0.0/8 dev lo proto kernel scope host src 127.0.0.1\nbroadcast 10.9.1.255 dev lan0 proto kernel\n"
TARGETS = (
    Target("iptables-save", run_iptables, cases("reach/*/*.v4", "reach/*/*.v6"), SAVE),
    Target("nft-json", run_nft, cases("reach/*/rules.json"), NFT),
    Target(
        "nft-text", run_nft_text, cases("reach/*/rules.txt"), ("table ", " {", "}", "# handle ", ";", "elements = ")
    ),
    Target(
        "routes-and-sockets",
        run_routes,
        texts(SOCKETS, LOCAL, "local 10.9.1.1 from 10.9.1.2 dev lo table local \n    cache <local> iif lan0 \n"),
        ("LISTEN", "local ", "dev ", "[::]:", "%", "unreachable "),
    ),
)
