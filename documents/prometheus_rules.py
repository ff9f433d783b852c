"""What Prometheus works out of the figures, and when it raises an alarm.

Recording rules are named level:metric:operations (https://prometheus.io/docs/practices/rules/).
"""

from __future__ import annotations

from typing import Any

WINDOW = "1h"
LEVELS = {"registry": "registry", "client": "client", "repository": "repository", "runtime": "runtime", "all": ""}
"""What a figure is told by: the first part of its name, and the label."""
PULLS = "http_registry_pulls_total"
PULLS_IN_SUM = "http_registry_pulls_ended_total"
"""All its series begin at one time. Of others increase() adds different parts for what it has not seen."""
CONTAINERD_PULLS = "containerd_cri_sandboxed_image_pulls_total"
"""containerd's own count of its CRI's pulls (internal/cri/server/images/metrics.go): also of those that never reached
the proxy."""
ENOUGH = 0.95
"""A success rate below this is an alarm."""
FULL = 0.9
DAY = 86400
CERTIFICATE_DAYS = {"warning": 14, "critical": 2}


def recording() -> list[dict[str, str]]:
    """The four figures, by what they are told by."""
    rules = []
    for level, label in LEVELS.items():
        by = f" by ({label})" if label else ""
        pulls = PULLS_IN_SUM if level in ("registry", "all") else PULLS
        rules.append(_rule(f"{level}:http_registry_pull_success:ratio_{WINDOW}", success(WINDOW, by, pulls)))
        histogram = "http_registry_repository_pull_seconds" if level == "repository" else "http_registry_pull_seconds"
        rules += [
            _rule(
                f"{level}:http_registry_pull_seconds:mean_{WINDOW}",
                f"sum{by} (rate({histogram}_sum[{WINDOW}])) / (sum{by} (rate({histogram}_count[{WINDOW}])) > 0)",
            ),
            _rule(
                f"{level}:http_registry_pull_seconds:p95_{WINDOW}",
                f"histogram_quantile(0.95, sum by ({', '.join(filter(None, [label, 'le']))}) "
                f"(rate({histogram}_bucket[{WINDOW}]))) > 0",
            ),
        ]
    lookups = "http_registry_cache_lookups_total"
    only_caches = "* on (registry) max by (registry) (http_registry_cache_info)"
    rules += [
        _rule(
            f"registry:http_registry_cache_hit:ratio_{WINDOW}",
            _rest(f'{lookups}{{result="miss"}}', lookups, WINDOW, " by (registry)"),
        ),
        _rule(
            f"registry:http_registry_saved_bytes:increase_{WINDOW}",
            f"clamp_min(sum by (registry) (increase(http_registry_served_bytes_total[{WINDOW}])) - sum by (registry) "
            f"(increase(http_registry_fetched_bytes_total[{WINDOW}])), 0) {only_caches}",
        ),
        _rule(
            "registry:http_registry_stored_bytes:ratio",
            "http_registry_stored_bytes / (http_registry_stored_bytes_limit > 0)",
        ),
        _rule("registry:http_registry_stored_bytes:deriv_6h", "deriv(http_registry_stored_bytes[6h])"),
        _rule(
            f"host:containerd_pull_success:ratio_{WINDOW}",
            _rest(f'{CONTAINERD_PULLS}{{status!="success"}}', CONTAINERD_PULLS, WINDOW, " by (host)"),
        ),
    ]
    return rules


def success(window: str, by: str = "", pulls: str = PULLS_IN_SUM) -> str:
    """Of the pulls that ended, the part that succeeded; none where none ended. Those that their users stopped don't
    count."""
    return _rest(f'{pulls}{{outcome="failed"}}', f'{pulls}{{outcome=~"succeeded|failed"}}', window, by)


def _rest(part: str, whole: str, window: str, by: str) -> str:
    """What of a whole is not that part of it. A sum without any series is 0 here, not nothing."""
    total = f"(sum{by} (increase({whole}[{window}])) > 0)"
    return f"1 - (sum{by} (increase({part}[{window}])) / {total} or 0 * {total})"


def alerts() -> list[dict[str, Any]]:
    """Each with what to look at first."""
    lost = f'sum by (registry) (increase({PULLS_IN_SUM}{{outcome="failed"}}[15m]))'
    return [
        _alert(
            "HttpRegistryPullsFail",
            f"({success('15m', ' by (registry)')}) < {ENOUGH} and {lost} > 2",
            "5m",
            "warning",
            "Only {{ $value | humanizePercentage }} of the pulls from {{ $labels.registry }} succeed",
            "make doctor names the reason; http_registry_pulls_total has clients, repositories and reasons.",
        ),
        _alert(
            "HttpRegistryStorageAlmostFull",
            f'registry:http_registry_stored_bytes:ratio{{kind="volume"}} > {FULL}',
            "10m",
            "warning",
            "The volume of {{ $labels.registry }} fills {{ $value | humanizePercentage }} of its room",
            "Remove what nobody needs (garbage_collection), or give its disk more room.",
        ),
        _alert(
            "HttpRegistryStorageFullSoon",
            'predict_linear(http_registry_stored_bytes{kind="volume"}[6h], 2 * 86400) > '
            'http_registry_stored_bytes_limit{kind="volume"}',
            "1h",
            "warning",
            "At this pace the volume of {{ $labels.registry }} is full within two days",
            "See what is pushed there, and garbage_collection.",
        ),
        _alert(
            "HttpRegistryUpstreamDown",
            'http_registry_up{kind="upstream"} == 0',
            "2m",
            "warning",
            "The upstream of {{ $labels.name }} does not answer",
            "What is cached is still served; make doctor asks it from the proxy's host.",
        ),
        _alert(
            "HttpRegistryPartDown",
            'http_registry_up{kind!="upstream"} == 0',
            "1m",
            "critical",
            "{{ $labels.kind }} {{ $labels.name }} does not answer",
            "make doctor names the reason.",
        ),
        *(
            _alert(
                "HttpRegistryCertificateEnds",
                f"http_registry_certificate_end_seconds - time() < {days * DAY}",
                "1m",
                severity,
                "The certificate of {{ $labels.endpoint }} ends in {{ $value | humanizeDuration }}",
                "Renew it, put the new file in its place, and bring the stack up.",
            )
            for severity, days in CERTIFICATE_DAYS.items()
        ),
        _alert(
            "HttpRegistryMetricsMissing",
            'up{job=~"http-registry.*"} == 0',
            "3m",
            "critical",
            "Prometheus can't read {{ $labels.job }} of {{ $labels.instance }}",
            "journalctl -u http-registry-pulls on the proxy's host; the firewall between.",
        ),
    ]


def groups() -> dict[str, Any]:
    """The file of rules."""
    return {
        "groups": [
            {"name": "http-registry", "rules": recording()},
            {"name": "http-registry-alerts", "rules": alerts()},
        ]
    }


def _rule(name: str, expr: str) -> dict[str, str]:
    return {"record": name, "expr": expr}


def _alert(name: str, expr: str, lasting: str, severity: str, summary: str, description: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expr,
        "for": lasting,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": description},
    }
