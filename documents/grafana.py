"""The Grafana dashboard of the figures.

Its JSON: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/. The data
source is chosen when it is imported.
"""

from __future__ import annotations

from typing import Any

from documents.prometheus_rules import ENOUGH, FULL, WINDOW

SOURCE = {"type": "prometheus", "uid": "${source}"}
WIDTH, HEIGHT = 24, 8
"""Grafana's grid has 24 columns."""
LABELS = ("client", "repository", "runtime")


def dashboard() -> dict[str, Any]:
    """To be imported, or put where Grafana's provisioning looks."""
    rows = [
        [
            _stat("Pull success", f"all:http_registry_pull_success:ratio_{WINDOW}", "percentunit", ENOUGH, low=True),
            _stat("Average pull time", f"all:http_registry_pull_seconds:mean_{WINDOW}", "s"),
            _stat("Cache hits", f"registry:http_registry_cache_hit:ratio_{WINDOW}", "percentunit", by="registry"),
            _stat("Storage", "registry:http_registry_stored_bytes:ratio", "percentunit", FULL, by="kind}} {{registry"),
        ],
        [
            _lines(
                "Success by registry", f"registry:http_registry_pull_success:ratio_{WINDOW}", "percentunit", "registry"
            ),
            _lines(
                "Failed pulls by reason",
                f'sum by (reason) (increase(http_registry_pulls_total{{outcome="failed"}}[{WINDOW}]))',
                "short",
                "reason",
            ),
        ],
        *(
            [
                _lines(f"Success by {each}", f"{each}:http_registry_pull_success:ratio_{WINDOW}", "percentunit", each),
                _lines(f"p95 of pull time by {each}", f"{each}:http_registry_pull_seconds:p95_{WINDOW}", "s", each),
            ]
            for each in LABELS
        ),
        [
            _lines("Stored", "http_registry_stored_bytes", "bytes", "kind}} {{registry"),
            _lines("Growth", "registry:http_registry_stored_bytes:deriv_6h * 86400", "bytes", "kind}} {{registry"),
            _lines(
                "Bytes that the upstreams were spared in an hour",
                f"registry:http_registry_saved_bytes:increase_{WINDOW}",
                "bytes",
                "registry",
            ),
        ],
        [
            _lines("Parts that answer", "http_registry_up", "short", "kind}} {{name"),
            _lines(
                "Days until certificates end",
                "(http_registry_certificate_end_seconds - time()) / 86400",
                "short",
                "endpoint",
            ),
            _lines("Disk left", 'node_filesystem_avail_bytes{fstype!~"tmpfs|overlay"}', "bytes", "mountpoint"),
        ],
    ]
    return {
        "uid": "http-registry",
        "title": "http-registry: pulls and storage",
        "schemaVersion": 38,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": _placed(rows),
    }


def _placed(rows: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    for number, row in enumerate(rows):
        width = WIDTH // len(row)
        for column, each in enumerate(row):
            place = {"x": column * width, "y": number * HEIGHT, "w": width, "h": HEIGHT}
            panels.append({"id": len(panels) + 1, "gridPos": place, "datasource": SOURCE, **each})
    return panels


def _stat(
    title: str, expr: str, unit: str, limit: float | None = None, *, low: bool = False, by: str = ""
) -> dict[str, Any]:
    """`limit`: beyond it, or with `low` below it, the figure is red."""
    colors = ("red", "green") if low else ("green", "red")
    steps = [{"color": colors[0], "value": None}, {"color": colors[1], "value": limit}]
    if limit is None:
        steps = [{"color": "green", "value": None}]
    defaults = {"unit": unit, "thresholds": {"mode": "absolute", "steps": steps}}
    return {**_panel("stat", title, expr, by), "fieldConfig": {"defaults": defaults, "overrides": []}}


def _lines(title: str, expr: str, unit: str, by: str) -> dict[str, Any]:
    return {
        **_panel("timeseries", title, expr, by),
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
    }


def _panel(kind: str, title: str, expr: str, by: str) -> dict[str, Any]:
    legend = f"{{{{{by}}}}}" if by else title
    target = {"refId": "A", "expr": expr, "legendFormat": legend, "datasource": SOURCE}
    return {"type": kind, "title": title, "targets": [target]}
