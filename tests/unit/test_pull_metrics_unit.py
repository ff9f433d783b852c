"""Decides what hostctl's units pull-metrics and prometheus write, start and refuse, on a host of fake programs.

Applying them to real hosts is decided in tests/lab/spare.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from documents import prometheus, pull_metrics
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.transaction import Transactions
from hostctl.units import unit_named
from hostctl.units.prometheus import CONFIG, RULES
from hostctl.units.prometheus import SERVICE as PROMETHEUS
from hostctl.units.pull_metrics import CONFIG as PULLS_CONFIG
from hostctl.units.pull_metrics import NODE, PROGRAM, SERVICE
from settings import parse
from settings.tier import Tier

TIER = """\
hosts:
  - {name: r, address: 192.0.2.1, ssh: {host_key: ssh-ed25519 AAAA}}
  - {name: p, address: 192.0.2.2, ssh: {host_key: ssh-ed25519 AAAA}}
image: {reference: "registry:3.1.2"}
registries:
  - {kind: cache, name: hub, host: r, serves: docker.io, upstream: "https://registry-1.docker.io"}
  - {kind: hosted, name: own, host: r, port: 5000}
proxy:
  host: r
  users: [{name: u, role: push}]
  cache: {size: 2g}
  endpoints:
    - {registry: hub, port: 5080, server_name: 192.0.2.1}
    - {registry: own, port: 80, server_name: "2001:db8::1"}
firewall: {allow: [192.0.2.0/24]}
"""
SYSTEMCTL = """\
#!/bin/sh
echo "$*" >>{log}
case "$1 $2" in
    "enable --no-reload") mkdir -p {wants} && ln -sf {root}/etc/systemd/system/$3 {wants}/$3 ;;
    "show -p") echo LoadState=loaded; test ! -e {root}/etc/systemd/system/$4 || echo "ActiveState=active
MainPID=1" ;;
esac
"""


def tier(host: str = "r", **more: Any) -> Tier:
    return parse({**yaml.safe_load(TIER), "metrics": {"prometheus": {"host": host}, **more}})


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    root, programs = tmp_path / "r", tmp_path / "bin"
    for folder in ("etc/systemd/system", "run", "usr/local/lib", "var/lib/private"):
        (root / folder).mkdir(parents=True)
    programs.mkdir()
    wants = root / "etc/systemd/system/multi-user.target.wants"
    texts = {"systemctl": SYSTEMCTL.format(log=tmp_path / "log", root=root, wants=wants)}
    for name in ("systemd-analyze", "prometheus-node-exporter", "prometheus", "promtool"):
        texts[name] = f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/log\n'
    for name, text in texts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    return Host(root)


@pytest.fixture
def answering(host: Host) -> Iterator[int]:
    """A service at a port, as both are where they run."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            config = host.path(PULLS_CONFIG)
            told = {
                "/generation": json.loads(config.read_text())["generation"] if config.exists() else "",
                "/-/ready": "Prometheus Server is Ready.\n",
                "/metrics": "a 1\nprometheus_config_last_reload_successful 1\nb 2\n",
            }[self.path]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(told.encode())

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def wish(unit: str, port: int, **more: Any) -> dict[str, Any]:
    of = tier(**more)
    rendered: Any = (
        pull_metrics.render(of, "s") if unit == "pull-metrics" else prometheus.render(of, pull_metrics.relayed(of))
    )
    return {**rendered.wish(), "port": port}


def said(host: Host) -> list[str]:
    """What the fake programs were told since the last time, without questions."""
    log = host.root.parent / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.write_text("")
    return [line for line in lines if line.split()[0] not in ("show", "is-active", "reset-failed", "daemon-reload")]


@pytest.mark.parametrize(("unit", "services"), [("pull-metrics", [SERVICE, NODE]), ("prometheus", [PROMETHEUS])])
def test_written_started_and_taken_back(host: Host, answering: int, unit: str, services: list[str]) -> None:
    before = sorted(host.root.rglob("*"))
    report = Transactions(host).apply(unit_named(unit), wish(unit, answering))
    assert (report["result"], report["activation"]) == ("changed", "restart")
    told = [line for line in said(host) if line.split()[0] in ("enable", "restart")]
    assert told == [
        word for each in services for word in (f"enable --no-reload {each}.service", f"restart {each}.service")
    ]
    assert Transactions(host).apply(unit_named(unit), wish(unit, answering))["result"] == "unchanged"
    (host.root / "var/lib/private" / services[0]).mkdir()
    (host.root / "var/lib" / services[0]).symlink_to(f"private/{services[0]}")
    said(host)
    assert Transactions(host).remove(unit_named(unit))["result"] == "removed"
    assert [line for line in said(host) if line.split()[0] == "stop"] == [f"stop {each}.service" for each in services]
    left = {each for each in host.root.rglob("*") if "http-registry" not in each.parts}
    assert {each.name for each in left - set(before)} <= {"multi-user.target.wants"}


def test_new_rules_are_read_without_a_restart(host: Host, answering: int) -> None:
    Transactions(host).apply(unit_named("prometheus"), wish("prometheus", answering))
    said(host)
    changed = wish("prometheus", answering)
    changed["files"] = [
        {**each, "content": each["content"].replace("0.95", "0.9")} if each["path"] == RULES else each
        for each in changed["files"]
    ]
    report = Transactions(host).apply(unit_named("prometheus"), changed)
    assert (report["files"], report["activation"]) == ([RULES], "reload")
    assert said(host)[-1] == f"reload {PROMETHEUS}.service"


@pytest.mark.parametrize(
    ("unit", "program", "named"),
    [
        ("pull-metrics", "prometheus-node-exporter", "apt-get install prometheus-node-exporter"),
        ("prometheus", "promtool", "apt-get install prometheus"),
    ],
)
def test_a_host_without_the_package_is_told_so(
    host: Host, answering: int, monkeypatch: pytest.MonkeyPatch, unit: str, program: str, named: str
) -> None:
    (host.root.parent / "bin" / program).unlink()
    monkeypatch.setenv("PATH", f"{host.root.parent}/bin")
    with pytest.raises(HostError, match=named):
        Transactions(host).apply(unit_named(unit), wish(unit, answering))
    assert not host.path(CONFIG).exists()


def test_a_configuration_that_promtool_refuses_stays_away(host: Host, answering: int) -> None:
    (host.root.parent / "bin" / "promtool").write_text("#!/bin/sh\necho bad rule; exit 1\n")
    with pytest.raises(HostError, match="bad rule"):
        Transactions(host).apply(unit_named("prometheus"), wish("prometheus", answering))
    assert not host.path(CONFIG).exists()


def config(of: Tier) -> Any:
    rendered = pull_metrics.render(of, "s")
    return json.loads(next(each.text for each in rendered.files if each.path == PULLS_CONFIG))


def test_who_may_ask_decides_where_it_listens() -> None:
    assert config(tier())["listen"] == ["127.0.0.1"]
    assert config(tier("p"))["listen"] == ["0.0.0.0"]
    assert config(tier(scrapers=["10.0.0.9/32"]))["listen"] == ["0.0.0.0"]
    assert config(tier(scrapers=["fd00::9/128"]))["listen"] == ["0.0.0.0", "::"]
    assert tier().firewall_rules("r") == [tier("p").firewall_rules("r")[0]]
    assert tier("p", scrapers=["10.0.0.9/32"]).firewall_rules("r")[-1].model_dump() == {
        "ports": (9180,), "allow": ("192.0.2.2/32", "10.0.0.9/32"), "interface": None
    }  # fmt: skip
    assert tier("p").firewall_rules("p") == []


def test_containerd_tells_whom_prometheus_and_the_firewall_let_in() -> None:
    data = yaml.safe_load(TIER)
    data["runtimes"] = [{"host": "p", "containerd": {}}]

    def of(prometheus: str, **more: Any) -> Tier:
        return parse({**data, "metrics": {"prometheus": {"host": prometheus}, "containerd_port": 1338, **more}})

    assert of("r").containerd_metrics("p") == ":1338"
    assert [each.model_dump() for each in of("r").firewall_rules("p")] == [
        {"ports": (1338,), "allow": ("192.0.2.1/32",), "interface": None}
    ]
    # Nobody from elsewhere asks.
    assert of("p").containerd_metrics("p") == "127.0.0.1:1338"
    assert of("p").firewall_rules("p") == []
    # No runtime of this tier, whatever its ports are.
    assert of("p", port=1338).containerd_metrics("r") == ""
    for there, target in (("r", "192.0.2.2:1338"), ("p", "127.0.0.1:1338")):
        wanted = of(there)
        [text] = [
            each.text for each in prometheus.render(wanted, pull_metrics.relayed(wanted)).files if each.path == CONFIG
        ]
        [job] = [
            each for each in yaml.safe_load(text)["scrape_configs"] if each["job_name"] == "http-registry-containerd"
        ]
        assert job["static_configs"] == [{"targets": [target], "labels": {"host": "p"}}]


def test_what_is_measured() -> None:
    found = config(tier())
    assert found["endpoints"] == [
        {"server": "192.0.2.1", "port": 5080, "registry": "hub"},
        {"server": "[2001:db8::1]", "port": 80, "registry": "own"},
    ]
    assert {(each["what"], each["registry"], each["most"]) for each in found["folders"]} == {
        ("cache", "hub", 2 << 30),
        ("cache", "own", 2 << 30),
        ("volume", "own", 0),
    }
    assert {(each["kind"], each["name"], each["url"]) for each in found["parts"]} == {
        ("endpoint", "hub :5080", "http://127.0.0.1:5080/v2/"),
        ("endpoint", "own :80", "http://127.0.0.1:80/v2/"),
        ("upstream", "hub", "https://registry-1.docker.io/v2/"),
        ("registry", "own", "http://127.0.0.1:5000/v2/"),
        ("Prometheus", "", "http://127.0.0.1:9090/-/ready"),
    }
    assert found["relayed"] == {
        "/node": "http://127.0.0.1:9100/metrics",
        "/registry/own/1": "http://127.0.0.1:15000/metrics",
    }


def test_the_generation_changes_with_what_is_measured() -> None:
    first, again, other = (pull_metrics.render(tier(**more), "s") for more in ({}, {}, {"pull_ends": "9s"}))
    assert first.generation == again.generation != other.generation
    assert PROGRAM in first.shown()
