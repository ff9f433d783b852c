"""Decides, by Prometheus' own checker, what the rules make of figures, and that all that we give it is its language.

Cases of figures are files in promtool's own format (https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/).
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from documents import grafana, prometheus, prometheus_rules, pull_metrics
from pull_metrics.config import read
from pull_metrics.figures import FAMILIES, Figures
from pull_metrics.measured import ENDS, INFO, LIMIT, STORED, UP
from settings import parse
from settings.tier import Tier
from tests.programs.promtool import accepted

CASES = sorted((Path(__file__).parent.parent / "cases" / "prometheus").glob("*.yml"))
SETTINGS: dict[str, Any] = {
    "hosts": [
        {"name": "a", "address": "10.0.0.1", "ssh": {"host_key": "ssh-ed25519 AAAA"}},
        {"name": "b", "address": "10.0.0.2", "ssh": {"host_key": "ssh-ed25519 AAAA"}},
    ],
    "image": {"reference": "registry:3.1.2"},
    "registries": [
        {"kind": "hosted", "name": "hosted", "host": "a"},
        {
            "kind": "cache",
            "name": "hub",
            "host": "a",
            "serves": "docker.io",
            "upstream": "https://registry-1.docker.io",
        },
    ],
    "proxy": {
        "host": "a",
        "endpoints": [
            {"registry": "hosted", "port": 80, "server_name": "10.0.0.1"},
            {"registry": "hub", "port": 5080, "server_name": "10.0.0.1"},
        ],
        "users": [{"name": "u", "role": "push"}],
    },
    "firewall": {"allow": ["10.0.0.0/8"]},
}
OURS = {each.name for each in (*FAMILIES, STORED, LIMIT, UP, ENDS, INFO)}
HISTOGRAMS = {
    f"{each.name}_{part}" for each in FAMILIES if each.kind == "histogram" for part in ("bucket", "sum", "count")
}


def tier(host: str = "a", **more: Any) -> Tier:
    return parse({**SETTINGS, "metrics": {"prometheus": {"host": host, **more}}})


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_figures_and_alarms(case: Path, tmp_path: Path) -> None:
    shutil.copy(case, tmp_path)
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(prometheus_rules.groups(), sort_keys=False, width=1000))
    accepted("test", "rules", case.name, folder=tmp_path)


def test_each_alarm_has_a_case() -> None:
    tried = {
        each["alertname"]
        for case in CASES
        for test in yaml.safe_load(case.read_text())["tests"]
        for each in test.get("alert_rule_test", [])
        if each["exp_alerts"]
    }
    assert tried == {each["alert"] for each in prometheus_rules.alerts()}


@pytest.mark.parametrize("host", ["a", "b"])
def test_the_configuration(host: str, tmp_path: Path) -> None:
    of = tier(host, alertmanagers=["https://alerts.example:9093"])
    for each in prometheus.render(of, pull_metrics.relayed(of)).files:
        (tmp_path / Path(each.path).name).write_text(each.text)
    said = accepted("check", "config", "prometheus.yml", folder=tmp_path)
    assert f"{len(prometheus_rules.recording()) + len(prometheus_rules.alerts())} rules found" in said
    config = yaml.safe_load((tmp_path / "prometheus.yml").read_text())
    targets = {
        target for job in config["scrape_configs"] for each in job["static_configs"] for target in each["targets"]
    }
    assert targets == {"127.0.0.1:9090", "127.0.0.1:9180" if host == "a" else "10.0.0.1:9180"}
    assert [job["metrics_path"] for job in config["scrape_configs"][:-1]] == ["/metrics", "/node", "/registry/hosted/1"]


def test_the_figures_are_prometheus_text(tmp_path: Path) -> None:
    rendered = pull_metrics.render(tier(), "s")
    config = read(next(each.text for each in rendered.files if each.path.endswith(".json")))
    figures = Figures(config.registries)
    for family in FAMILIES:
        odd = ['a"b\\c\nd'] * len(family.labels)
        counted = figures._counted[family.name]
        counted.watch(odd, 0.3) if family.kind == "histogram" else counted.add(odd)
    text = "\n".join(figures.text()) + "\n"
    accepted("check", "metrics", folder=tmp_path, stdin=text)
    assert len(re.findall("^# TYPE", text, re.MULTILINE)) == len(FAMILIES)


def expressions() -> dict[str, str]:
    rules = [*prometheus_rules.recording(), *prometheus_rules.alerts()]
    panels = grafana.dashboard()["panels"]
    return {
        **{each.get("record") or each["alert"]: each["expr"] for each in rules},
        **{each["title"]: target["expr"] for each in panels for target in each["targets"]},
    }


def test_the_dashboard_asks_what_prometheus_understands(tmp_path: Path) -> None:
    rules = [{"record": f"r{number}", "expr": expr} for number, expr in enumerate(expressions().values())]
    (tmp_path / "r.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    accepted("check", "rules", "r.yml", folder=tmp_path)


def test_nothing_asks_for_a_figure_that_nobody_tells() -> None:
    recorded = {each["record"] for each in prometheus_rules.recording()}
    asked = {
        name for expr in expressions().values() for name in re.findall(r"[a-z_0-9:]*http_registry_[a-z_0-9:]+", expr)
    }
    assert asked <= recorded | OURS | HISTOGRAMS


def test_panels_fill_the_grid_without_overlaps() -> None:
    taken: set[tuple[int, int]] = set()
    for each in grafana.dashboard()["panels"]:
        place = each["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
    assert len(taken) == grafana.WIDTH * (1 + max(y for _, y in taken))
