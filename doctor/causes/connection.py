"""The causes that the step `connection` can name."""

from __future__ import annotations

from typing import Tuple

from doctor.finding import CONTROLLER, Cause

CAUSES: Tuple[Cause, ...] = (
    Cause(
        "firewall-client",
        "dial tcp {address}:{port}: stopped by this host itself",
        "A rule of this host's own firewall stops it on its way out to {address} port {port}.",
        "Let it through: the command does so until the next boot, then mend what has set the rule.",
        (("{host}", "{undo}"),),
    ),
    Cause(
        "connection-refused",
        "dial tcp {address}:{port}: connect: connection refused",
        "{address} answers, but nobody listens on port {port} there, or a firewall says so.",
        "Start what should listen, or mend the port: in the image's name, or in what leads there ({said_by}).",
        (("{server}", "systemctl restart {service}"),),
        (r"^(?!.*token\?).*connect: connection refused",),
    ),
    Cause(
        "connection-timed-out",
        "dial tcp {address}:{port}: i/o timeout",
        "Nothing comes back from {address} port {port}: something between drops it, or the server hangs. No rule in "
        "force on either end that doctor can read does it.",
        "Look at what lies between: a router's or a cloud's rules (security groups), a VPN, the MTU where only large "
        "packets are lost; and whether the server is overloaded.",
        (("{server}", "systemctl restart {service}"),),
        (r"i/o timeout", r"context deadline exceeded", r"Client\.Timeout exceeded", r"TLS handshake timeout"),
    ),
    Cause(
        "connection-reset",
        "read tcp {address}:{port}: connection reset by peer, or EOF",
        "The connection to {address} port {port} comes about, and then the other end hangs up in the middle.",
        "The server's own log says why; else something between cuts connections: an inspecting firewall, a balancer "
        "with a short timeout, an MTU that is too large.",
        ((CONTROLLER, "{repair}"),),
        (r"connection reset by peer", r": EOF\b", r"broken pipe"),
    ),
    Cause(
        "no-route",
        "dial tcp {address}:{port}: connect: no route to host",
        "No way leads from this host to {address}: the server is off, or a route is missing or leads nowhere.",
        "Start the server; else mend the route. `ip route get {address}` on the host says which one it takes.",
        (("{host}", "ip route del {route}"),),
        (r"no route to host", r"network is unreachable", r"connect: permission denied", r"connect: invalid argument"),
    ),
)
