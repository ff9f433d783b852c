"""How much a client may ask for: requests a second, connections."""

from __future__ import annotations

from collections.abc import Iterable

from documents.nginx_text import Directive, block, directive
from settings.proxy import Limits


def counted(limits: Limits) -> Iterable[Directive]:
    """What is counted by client; an empty key is not counted."""
    yield block(
        "map",
        "$http_registry_client",
        "$http_registry_counted",
        body=[directive("default", "$binary_remote_addr"), directive("itself", "")],
    )
    if limits.requests_per_second:
        rate = f"rate={limits.requests_per_second}r/s"
        yield directive("limit_req_zone", "$http_registry_counted", "zone=http-registry-requests:10m", rate)
    if limits.connections:
        yield directive("limit_conn_zone", "$http_registry_counted", "zone=http-registry-connections:10m")


def limited(limits: Limits) -> Iterable[Directive]:
    """A server's limits."""
    if limits.requests_per_second:
        burst = f"burst={10 * limits.requests_per_second}"
        yield directive("limit_req", "zone=http-registry-requests", burst, "nodelay")
        yield directive("limit_req_status", 429)
    if limits.connections:
        yield directive("limit_conn", "http-registry-connections", limits.connections)
        yield directive("limit_conn_status", 429)
