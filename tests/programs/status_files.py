"""What the status page reads, as the metrics' service and doctor write it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

PARTS = (
    "endpoint hosted :443",
    "endpoint hub-cache :5443",
    "registry hosted 1",
    "registry hosted 2",
    "upstream hub-cache",
    "Prometheus",
)


def iso(seconds: float) -> str:
    """A time as both write it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def status(now: float | None = None, states: Mapping[str, str] = {}) -> dict[str, Any]:
    """A day of figures. `states`: parts that are not up, by their names."""
    now = time.time() if now is None else now
    times = [now - 900 * (96 - step) for step in range(97)]

    def history(value: Any) -> list[list[float]]:
        return [[int(at), value(step)] for step, at in enumerate(times)]

    def day(step: int) -> float:
        return math.sin(step / 96 * math.tau)

    success = history(lambda step: 0.93 if 40 <= step < 44 else 0.985 if step % 11 == 0 else 1.0)
    return {
        "at": iso(now),
        "stack": "prod",
        "parts": [
            {"name": name, "state": states.get(name, "up"), "detail": "connection refused" if name in states else ""}
            for name in PARTS
        ],
        "figures": {
            "pull_success_rate": {"now": 0.987, "history": success},
            "pull_seconds": {
                "average": 1.42,
                "p95": 3.9,
                "history": history(lambda step: 1.4 + 0.5 * day(step) + 0.15 * math.sin(step * 2.1)),
            },
            "storage_bytes": {
                "now": 41_800_000_000,
                "limit": 100_000_000_000,
                "history": history(lambda step: 39e9 + 2.8e9 * step / 96 + (0.25e9 if step % 24 > 12 else 0)),
            },
            "cache_hit_rate": {
                "now": 0.914,
                "history": history(lambda step: 0.9 + 0.05 * day(step + 20) + 0.012 * math.sin(step * 1.7)),
            },
        },
    }


FINDING = {
    "cause": "tls-expired",
    "area": "tls",
    "host": "registry",
    "where": "/etc/nginx/http-registry/tls/proxy.pem",
    "evidence": "x509: certificate has expired or is not yet valid: current time 2026-11-27T07:12:44Z is after "
    "2026-11-26T23:59:59Z",
    "title": "x509: certificate has expired",
    "because": "The certificate of 10.20.2.10 ended on 2026-11-26; every client refuses it.",
    "fix": "Sign a new one, and bring it to the proxy.",
    "commands": [
        {"on": "controller", "line": "make certificates STACK=prod RENEW=--renew"},
        {"on": "controller", "line": "make up STACK=prod HOST=registry"},
    ],
    "consequences": [
        {"host": "app", "cause": "tls-expired", "evidence": "docker: 10.20.2.10:5443 does not verify"},
        {"host": "app2", "cause": "tls-expired", "evidence": "containerd: 10.20.2.10 does not verify"},
    ],
}


def doctor(*findings: dict[str, Any], at: float | None = None) -> dict[str, Any]:
    """What `make doctor` leaves."""
    hosts = [{"host": name, "error": None} for name in ("registry", "app", "app2")]
    when = time.time() - 720 if at is None else at
    return {"stack": "prod", "at": iso(when), "hosts": hosts, "findings": [*findings]}
