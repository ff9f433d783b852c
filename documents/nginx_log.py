"""The access log: its fields, and its format in nginx's words."""

from __future__ import annotations

from documents.nginx_text import Directive, directive

ACCESS_LOG = "/var/log/nginx/http-registry.access.log"
FORMAT = "http-registry"

LOG_FIELDS = {
    "time": "$time_iso8601",
    "at": "$msec",
    "client": "$remote_addr",
    "user": "$remote_user",
    "host": "$host",
    "server": "$server_name",
    "port": "$server_port",
    "request": "$request",
    "request_bytes": "$request_length",
    "range": "$http_range",
    "status": "$status",
    "bytes": "$body_bytes_sent",
    "length": "$sent_http_content_length",
    "seconds": "$request_time",
    "cache": "$upstream_cache_status",
    "upstream_status": "$upstream_status",
    "upstream_bytes": "$upstream_bytes_received",
    "upstream_seconds": "$upstream_response_time",
    "agent": "$http_user_agent",
}
"""The access log's fields; no header that holds credentials is among them. pull_metrics/access_log.py reads them.

Of a blob's slices the first is in the line of the whole answer. Each other one has a line of its own where metrics are
on: `request_bytes` is 0 there, `cache` and `upstream_bytes` are the slice's.
"""


def access_log() -> Directive:
    """How a server logs. Lines are written together where there are many: a write for each is a twentieth of what a
    small answer costs. pull_metrics/in_order.py takes them in any order that comes about within a second."""
    return directive("access_log", ACCESS_LOG, FORMAT, "buffer=64k", "flush=100ms")


def log_format() -> Directive:
    """The log's format, each field in JSON."""
    fields = ",".join(f'"{name}":"{variable}"' for name, variable in LOG_FIELDS.items())
    return directive("log_format", FORMAT, "escape=json", f"{{{fields}}}")
