"""What a rule of a tier asks of one value. Pure: settings and the policy pack's resources are judged by the same."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

METRICS_PORTS = {
    1338: "containerd's metrics",
    2112: "a Go program's metrics",
    3903: "mtail",
    6060: "Go's profiler",
    9090: "Prometheus",
    9100: "node_exporter",
    9113: "nginx-prometheus-exporter",
    9115: "blackbox_exporter",
    9180: "this product's metrics",
    9323: "dockerd's metrics",
}
"""Ports that answer anybody with what a machine does, and who has them by custom or by its own default.

https://github.com/prometheus/prometheus/wiki/Default-port-allocations, and the manuals of Docker and containerd.
"""

PRIVATE = tuple(
    ip_network(each)
    for each in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
"""What no router of the Internet forwards: RFC 1918, 6598, 3927, 4193, 4291."""

WIDEST = {4: 16, 6: 32}
"""The shortest prefix, by IP version, that a site's own public network has: a former class B; all that a provider
gets. A shorter one is many sites' and so the world."""

PINNED = re.compile(r"(.*@)?sha256:[0-9a-f]{64}|.*[^/]:v?[0-9]+\.[0-9]+\.[0-9]+([-+._][A-Za-z0-9._+-]+)?")

PASSWORD_IN_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/@\s]*:[^/@\s]+@")
PRIVATE_KEY = "PRIVATE KEY-----"


def is_pinned(image: str) -> bool:
    """Whether a reference, or an image's id, means the same image tomorrow: by digest, or by a tag that holds a version
    of three numbers and is so by custom never moved."""
    return PINNED.fullmatch(image) is not None


def is_public(network: str) -> bool:
    """Whether a network in CIDR form, or an address, has addresses of the Internet."""
    asked = ip_network(network)
    return not any(_within(asked, each) for each in PRIVATE)


def is_world(network: str) -> bool:
    """Whether a network is so wide that who is in it is nobody's choice."""
    return is_public(network) and ip_network(network).prefixlen < WIDEST[ip_network(network).version]


def is_public_address(address: str) -> bool:
    """Whether a port published on this address is reached from the Internet, as far as the address decides; `0.0.0.0`
    and `::` stand for every address of the machine."""
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return True
    return parsed.is_unspecified or is_public(str(parsed))


def holds_secret(text: str) -> bool:
    """Whether a text has a URL with a password, or a private key, in clear."""
    return PRIVATE_KEY in text or PASSWORD_IN_URL.search(text) is not None


def _within(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    return inner.version == outer.version and inner.network_address in outer and inner.prefixlen >= outer.prefixlen
