"""A registry of the hub's images that speaks TLS, with a certificate of a throwaway authority that no host trusts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab import host
from tests.certificates import Signed, authority, server
from tests.lab.hosts import must

PORT = 5443
REGISTRY = f"{host('hub').address}:{PORT}"
CONTAINER = "https-registry"
TLS = "/root/https-registry"
START = f"""
docker rm --force {CONTAINER} >/dev/null 2>&1
docker run --detach --name {CONTAINER} --network host --volume hub:/var/lib/registry:ro --volume {TLS}:/tls:ro \\
    --env REGISTRY_HTTP_ADDR=:{PORT} --env REGISTRY_HTTP_TLS_CERTIFICATE=/tls/server.pem \\
    --env REGISTRY_HTTP_TLS_KEY=/tls/server.key registry:3
curl -fsSk -o /dev/null --retry 30 --retry-connrefused --retry-delay 1 https://127.0.0.1:{PORT}/v2/
"""


@contextmanager
def https_registry() -> Iterator[Signed]:
    """Run it; gives its authority."""
    signer = authority("Lab test authority")
    signed = server(host("hub").address, signer)
    must("hub", f"mkdir -p {TLS} && cat > {TLS}/server.pem", stdin=signed.pem)
    must("hub", f"umask 077 && cat > {TLS}/server.key", stdin=signed.private)
    try:
        must("hub", START)
        yield signer
    finally:
        must("hub", f"docker rm --force {CONTAINER}; rm -r {TLS}")
