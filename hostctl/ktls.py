"""Whether the kernel can encrypt what nginx sends, so that sendfile serves HTTPS too."""

from __future__ import annotations

import re
from pathlib import Path

from hostctl.nginx_build import version

PROTOCOLS = Path("/proc/sys/net/ipv4/tcp_available_ulp")
FIRST_NGINX = (1, 21, 4)


def able(build: str) -> bool:
    """Whether the kernel's module tls is loaded, and this nginx (`nginx -V`) has an OpenSSL that uses it.

    An older nginx, or one with an older OpenSSL, does not start with the setting.
    """
    openssl = re.search(r"built with OpenSSL (\d+)\.", build)
    if version(build) < FIRST_NGINX or openssl is None or int(openssl[1]) < 3:
        return False
    try:
        return "tls" in PROTOCOLS.read_text().split()
    except OSError:
        return False
