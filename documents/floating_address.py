"""keepalived at both proxies: its configuration, its systemd unit, and the program by which it asks nginx.

keepalived.conf(5), RFC 5798 (VRRP), systemd.exec(5).
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import proxy_alive
from documents.document import HEADER_LINE, Document
from documents.sandbox import SANDBOX
from hostctl.units.floating_address import CONFIG, DAEMON, PROGRAM, SERVICE, SERVICE_FILE, interface_of
from settings.standby import Standby
from settings.tier import Tier, endpoint_server

MODULES = sorted(Path(proxy_alive.__file__).parent.glob("*.py"))
SINKS = 50
"""By how much whoever fails its check sinks below the other one."""


@dataclass(frozen=True)
class FloatingAddress:
    """`own`: the host's address. `address`: the floating one. `port`: where nginx answers there."""

    files: tuple[Document, ...]
    own: str
    address: str
    port: int

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit floating-address."""
        return {
            "files": [each.as_wish() for each in self.files],
            "own": self.own,
            "address": self.address,
            "port": self.port,
        }

    def shown(self) -> dict[str, str]:
        """Path to text, for people; of the program only its digest."""
        program = [each for each in self.files if each.path.startswith(PROGRAM)]
        digest = hashlib.sha256("\0".join(each.text for each in program).encode()).hexdigest()[:32]
        others = {each.path: each.text for each in self.files if each not in program}
        return {**others, PROGRAM: f"{len(program)} modules, sha256 {digest}\n"}


def floats(tier: Tier) -> bool:
    """Whether the tier has such an address."""
    return bool(tier.proxy and tier.proxy.standby and tier.proxy.standby.by == "keepalived")


def render(tier: Tier, host: str) -> FloatingAddress:
    """For one of the two hosts of a tier that has it."""
    assert tier.proxy
    standby = tier.proxy.standby
    assert standby
    assert standby.address
    own = tier.host(host).address
    peer = next(tier.host(each).address for each in tier.proxy.hosts if each != host)
    interface = standby.interface or interface_of(own)
    held = f"{standby.address}/{ipaddress.ip_address(standby.address).max_prefixlen} dev {interface}"
    files = (
        *(Document(f"{PROGRAM}/{each.name}", HEADER_LINE + each.read_text()) for each in MODULES),
        Document(CONFIG, HEADER_LINE + _config(standby, own, peer, interface, held, _asked(tier))),
        Document(SERVICE_FILE, HEADER_LINE + _unit(held)),
    )
    return FloatingAddress(files, own, standby.address, tier.proxy.endpoints[0].port)


def _asked(tier: Tier) -> Iterable[str]:
    """The endpoints as proxy_alive takes them."""
    assert tier.proxy
    for each in tier.proxy.endpoints:
        yield f"{each.scheme}:{each.port}:{endpoint_server(each)}"


def _config(standby: Standby, own: str, peer: str, interface: str, held: str, asked: Iterable[str]) -> str:
    return f"""\
global_defs {{
    vrrp_version 3
    enable_script_security
    script_user nobody
    # Who has missed that the address has moved hears of it again.
    vrrp_garp_master_refresh 60
}}

vrrp_script proxy {{
    script "/usr/bin/env python3 -I -S -B {PROGRAM} {" ".join(asked)}"
    interval 1
    timeout 5
    fall 2
    rise 2
    weight -{SINKS}
}}

vrrp_instance http-registry {{
    interface {interface}
    virtual_router_id {standby.router_id}
    # Both start so and are worth the same: the address stays where it is as long as it is well there.
    state BACKUP
    priority 100
    advert_int 0.5
    unicast_src_ip {own}
    unicast_peer {{
        {peer}
    }}
    virtual_ipaddress {{
        {held}
    }}
    track_script {{
        proxy
    }}
}}
"""


def _unit(held: str) -> str:
    return f"""\
[Unit]
Description=Has the proxies' floating address where it is well (http-registry)
After=network-online.target nginx.service
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
# The child says that it is ready, too.
NotifyAccess=all
RuntimeDirectory={SERVICE}
ExecStart={DAEMON} --dont-fork --no-syslog --log-console --vrrp --use-file {CONFIG} \\
    --pid /run/{SERVICE}/parent.pid --vrrp_pid /run/{SERVICE}/vrrp.pid
ExecReload=kill -HUP $MAINPID
# Where it was killed, the other one has the address by now.
ExecStopPost=-ip address delete {held}
Restart=always
RestartSec=1
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BROADCAST CAP_SETUID CAP_SETGID CAP_KILL
ProtectSystem=strict
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET
{SANDBOX}\
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
"""
