"""What registries of somebody else's need on the hub, and the trust of the lab's clients in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import host
from tests.certificates import DAY, NOW, Signed, authority, server
from tests.lab.doctor.fault import PRELUDE
from tests.lab.hosts import must

HUB = host("hub").address
FOLDER = "/root/foreign-registries"
PORTS = range(6101, 6121)
"""Where a host may meet the authority that it knows."""
GOOD_PORT = 6121
"""One that does all right, and whose authority no runtime is told."""
NGINX = "/etc/nginx/conf.d/foreign-registries.conf"
TLS_PORT = 6200
"""Where the hub's nginx speaks TLS: other servers hang up on a request in clear, nginx and Go's say what is wrong."""
SITE = f"""server {{
    listen {TLS_PORT} ssl;
    ssl_certificate {FOLDER}/good.pem;
    ssl_certificate_key {FOLDER}/good.pem;
}}
"""
CERTS = {
    "docker1": "/etc/docker/certs.d",
    "docker2": "/etc/docker/certs.d",
    "containerd1": "/etc/containerd/certs.d",
    "containerd2": "/etc/containerd/certs.d",
}


@contextmanager
def foreign_registries() -> Iterator[None]:
    """While the block runs they can be started (`misbehave` of prelude.sh)."""
    known = authority("An authority that the hosts know")
    unknown = authority("An authority that nobody knows")
    program = (Path(__file__).parent / "bad_registry.py").read_text()
    must("hub", f"mkdir -m 700 -p {FOLDER} && cat > {FOLDER}/bad_registry.py", program)
    folders = f"for port in {' '.join(map(str, PORTS))}; do folder={{}}/{HUB}:$port"
    try:
        for name, signed in _certificates(known, unknown).items():
            must("hub", f"umask 077; cat > {FOLDER}/{name}.pem", signed.pem + signed.private)
        must("hub", f"cat > {NGINX} && systemctl reload nginx", SITE)
        for name, certs in CERTS.items():
            each = 'mkdir -p $folder && printf %s "$authority" > $folder/ca.crt'
            must(name, f"authority=$(cat); {folders.format(certs)}; {each}; done", known.pem)
        must("hub", f"{PRELUDE}\nmisbehave {GOOD_PORT} fine good")
        yield
    finally:
        must("hub", f"{PRELUDE}\nbehave {GOOD_PORT}; rm -rf {FOLDER} {NGINX}; systemctl reload nginx")
        for name, certs in CERTS.items():
            must(name, f"{folders.format(certs)}; rm -rf $folder; done; rmdir --ignore-fail-on-non-empty {certs}")


def _certificates(known: Signed, unknown: Signed) -> dict[str, Signed]:
    return {
        "good": server(HUB, known),
        "unknown": server(HUB, unknown),
        "expired": server(HUB, known, starts=NOW - 30 * DAY, ends=NOW - 2 * DAY),
        "other-name": server("192.168.1.99", known),
    }
