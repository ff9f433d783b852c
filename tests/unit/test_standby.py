"""Decides what a standby proxy may be, what the tier looks like from there, and what keepalived is told there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from documents import floating_address, garbage_collection, nginx_gate, nginx_site, prometheus, pull_metrics
from documents.floating_address import MODULES
from garbage_collection import program
from garbage_collection.collection import Rules, collect
from garbage_collection.contents import blob_path
from garbage_collection.standby import Open, Standby
from garbage_collection.stores import Folder
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.transaction import Transactions
from hostctl.units import unit_named
from hostctl.units.floating_address import CONFIG, SERVICE, SERVICE_FILE
from hostctl.units.garbage_collection import config_file
from hostctl.units.pull_metrics import CONFIG as PULLS_CONFIG
from ops.doctor import server
from ops.doctor.pulls import pulls
from settings import SettingsError, parse
from settings.registries import HostedRegistry
from settings.standby import standby_view, views
from settings.tier import Tier

TIER = """\
hosts:
  - {name: a, address: 192.0.2.1, ssh: {host_key: ssh-ed25519 AAAA}}
  - {name: b, address: 192.0.2.2, ssh: {host_key: ssh-ed25519 AAAA}}
  - {name: c, address: 192.0.2.3, ssh: {host_key: ssh-ed25519 AAAA}}
image: {reference: "registry:3.1.2"}
registries:
  - {kind: cache, name: hub, host: a, serves: docker.io, upstream: "https://registry-1.docker.io"}
  - kind: hosted
    name: own
    host: a
    http_secret: true
    storage: {s3: {endpoint: "https://s3.test", region: r, bucket: images}}
    garbage_collection: {schedule: daily}
  - {kind: hosted, name: direct, host: c}
proxy:
  host: a
  standby: {host: b, by: keepalived, address: 192.0.2.9}
  users: [{name: u, role: push}]
  endpoints:
    - {registry: own, port: 80, server_name: registry.test}
    - {registry: hub, port: 5080, server_name: 192.0.2.9}
metrics: {}
firewall: {allow: [192.0.2.0/24]}
"""
SYSTEMCTL = """\
#!/bin/sh
echo "systemctl $*" >>{log}
case "$1 $2" in
    "enable --no-reload") mkdir -p {wants} && ln -sf {root}/etc/systemd/system/$3 {wants}/$3 ;;
    "show -p") echo LoadState=loaded; test ! -e {root}/etc/systemd/system/$4 || echo "ActiveState=active
MainPID=1" ;;
esac
"""


def changed(**standby: Any) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(TIER)
    kept = {**data["proxy"]["standby"], **standby}
    data["proxy"]["standby"] = {key: each for key, each in kept.items() if each is not None}
    return data


def test_the_standby_sees_what_is_behind_the_proxy_as_its_own() -> None:
    tier = parse(changed())
    assert tier.proxy
    assert views(tier) == (tier, standby_view(tier))
    seen = standby_view(tier)
    assert {each.name: each.host for each in seen.registries} == {"hub": "b", "own": "b", "direct": "c"}
    assert seen.proxy
    assert seen.proxy.host == "b"
    assert seen.proxy.hosts == tier.proxy.hosts == ("a", "b")
    assert tier.open_ports("a") == tier.open_ports("b") == [80, 5080]
    assert tier.open_ports("c") == [5000]
    assert views(parse({**changed(), "proxy": {**changed()["proxy"], "standby": None}}))[1:] == ()


def test_pulls_are_counted_at_both_and_prometheus_reads_both() -> None:
    data = {**changed(), "metrics": {"prometheus": {"host": "c"}}}
    tier = parse(data)
    assert [tier.metrics_ports(name) for name in "abc"] == [[9180], [9180], []]
    for name in "ab":
        assert tier.firewall_rules(name)[-1].ports == (9180,)
    config, *_ = prometheus.render(tier, pull_metrics.relayed(tier)).files
    jobs = {each["job_name"]: each["static_configs"] for each in yaml.safe_load(config.text)["scrape_configs"]}
    both = {"192.0.2.1:9180": "a", "192.0.2.2:9180": "b"}
    for name in ("http-registry", "http-registry-node", "http-registry-registry-own-1"):
        assert {each["targets"][0]: each["labels"]["host"] for each in jobs[name]} == both
    folders = [json.loads(each.text)["folders"] for each in at_standby(tier).files if each.path == PULLS_CONFIG]
    assert folders == [
        [
            {"what": "cache", "registry": "own", "path": "/var/cache/nginx/http-registry/own-80", "most": 10 << 30},
            {"what": "cache", "registry": "hub", "path": "/var/cache/nginx/http-registry/hub-5080", "most": 10 << 30},
        ]
    ]


def at_standby(tier: Tier) -> pull_metrics.PullMetrics:
    return pull_metrics.render(standby_view(tier), "s")


@pytest.mark.parametrize(
    ("metrics", "host", "said"),
    [
        ({"port": 80}, "a", "metrics.port = 80: already taken on host 'b' by proxy.endpoints.0; choose another"),
        (
            {"prometheus": {"host": "c"}},
            "c",
            "metrics.prometheus.host = 'c': the firewall of 'a' lets it in by its address, and 'c.test' is a name; "
            "give hosts.*.address as an IP address",
        ),
        (
            {"prometheus": {"host": "c", "port": 15000}},
            "a",
            "registries.1.port = 5000: its own metrics are at 15000 of host 'b' (metrics), which registries.3 has",
        ),
    ],
)
def test_metrics_that_a_standby_can_not_have(metrics: dict[str, Any], host: str, said: str) -> None:
    data = {**changed(), "metrics": metrics}
    if host == "c":
        data["hosts"][2]["address"] = "c.test"
    data["registries"].append({"kind": "hosted", "name": "beside", "host": "b", "port": 15000})
    with pytest.raises(SettingsError) as wrong:
        parse(data)
    assert [each for each in wrong.value.errors if said in each], wrong.value.errors


@pytest.mark.parametrize(
    ("standby", "said"),
    [
        ({"host": "x"}, "proxy.standby.host = 'x': must be a name from hosts (a, b, c)"),
        ({"host": "a"}, "proxy.standby.host = 'a': is the proxy's own host; choose another one"),
        ({"address": None}, "proxy.standby.address: keepalived needs the address that moves"),
        ({"address": "registry.test"}, "proxy.standby.address = 'registry.test': must be an IP address"),
        ({"address": "192.0.2.3"}, "proxy.standby.address = '192.0.2.3': is host 'c''s own"),
        ({"address": "2001:db8::9"}, "proxy.standby.address = '2001:db8::9': the two proxies must know each other"),
        ({"by": "dns"}, "proxy.standby.address = '192.0.2.9': is keepalived's; remove it, or set by: keepalived"),
        ({"router_id": 256}, "proxy.standby.router_id = 256"),
        ({"interface": "eth0 { }"}, "proxy.standby.interface = 'eth0 { }': must be a network interface's name"),
        ({"host": "c"}, "proxy.endpoints.0.port = 80: is sshd's on host 'c'"),
    ],
)
def test_a_standby_that_can_not_be(standby: dict[str, Any], said: str) -> None:
    data = changed(**standby)
    data["hosts"][2]["ssh_port"] = 80
    with pytest.raises(SettingsError) as wrong:
        parse(data)
    assert said in str(wrong.value)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("registries", 1, "storage"), {}, "registries.1.storage: behind two proxies (proxy.standby) each host would"),
        (("registries", 1, "http_secret"), False, "registries.1.http_secret: an upload may go on at the other proxy"),
        (("proxy", "endpoints", 1, "server_name"), "192.0.2.2", "proxy.endpoints.1.server_name = '192.0.2.2': is host"),
    ],
)
def test_what_does_not_go_with_a_standby(path: tuple[Any, ...], value: object, said: str) -> None:
    data: Any = changed()
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(SettingsError) as wrong:
        parse(data)
    assert said in str(wrong.value)


def test_its_secret_is_asked_for_without_replicas() -> None:
    known = {"password-u", "s3-access-key-own", "s3-secret-key-own"}
    with pytest.raises(SettingsError, match="http-secret-own: is required"):
        parse(changed(), known)
    parse(changed(), {*known, "http-secret-own"})


def test_each_asks_the_other_and_its_own_endpoints() -> None:
    tier = parse(changed())
    texts = {name: floating_address.render(tier, name).shown()[CONFIG] for name in ("a", "b")}
    for name, own, peer in (("a", "192.0.2.1", "192.0.2.2"), ("b", "192.0.2.2", "192.0.2.1")):
        assert f"unicast_src_ip {own}\n    unicast_peer {{\n        {peer}\n" in texts[name]
        assert f"192.0.2.9/32 dev (the interface of {own})" in texts[name]
        assert "http:80:registry.test http:5080:192.0.2.9:5080" in texts[name]
    assert "/.http-registry/alive" in nginx_site.render(standby_view(tier)).site.text
    assert "/.http-registry/alive" not in nginx_site.render(parse(changed(by="dns", address=None))).site.text


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    root, programs = tmp_path / "r", tmp_path / "bin"
    for folder in ("etc/systemd/system", "run", "usr/local/lib"):
        (root / folder).mkdir(parents=True)
    programs.mkdir()
    wants = root / "etc/systemd/system/multi-user.target.wants"
    texts = {
        "systemctl": SYSTEMCTL.format(log=tmp_path / "log", root=root, wants=wants),
        "systemd-analyze": "#!/bin/sh\n",
        # 2.2.7: it ends itself where all is right.
        "keepalived": f'#!/bin/sh\ncp "$3" {tmp_path}/read; ! grep -o wrong "$3" || exit 5; kill -TERM $$\n',
        "ip": '#!/bin/sh\ntest "$5" != 192.0.2.1 || echo "2: eth7    inet 192.0.2.1/24 brd"\n',
    }
    for name, text in texts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    return Host(root)


class Nginx(BaseHTTPRequestHandler):
    status = 204

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/.http-registry/alive" else 404)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    """An nginx's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Nginx)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def wish(port: int, own: str = "192.0.2.1") -> dict[str, Any]:
    rendered = floating_address.render(parse(changed()), "a").wish()
    return {**rendered, "own": own, "address": "127.0.0.1", "port": port}


def test_written_with_the_hosts_interface_started_and_taken_back(host: Host, port: int) -> None:
    unit = unit_named("floating-address")
    report = Transactions(host).apply(unit, wish(port))
    assert (report["result"], report["activation"]) == ("changed", "restart")
    for path in (CONFIG, SERVICE_FILE):
        assert "192.0.2.9/32 dev eth7" in host.path(path).read_text()
    assert "dev eth7" in (host.root.parent / "read").read_text()
    assert Transactions(host).apply(unit, wish(port))["result"] == "unchanged"
    assert Transactions(host).remove(unit)["result"] == "removed"
    assert f"stop {SERVICE}.service" in (host.root.parent / "log").read_text()
    assert not host.path(CONFIG).exists()


@pytest.mark.parametrize(
    ("line", "other", "how"),
    [
        ("virtual_router_id 51", "virtual_router_id 52", "restart"),
        ("unicast_src_ip 192.0.2.1", "unicast_src_ip 192.0.2.3", "restart"),
        ("192.0.2.2\n", "192.0.2.4\n", "reload"),
        ("fall 2", "fall 3", "reload"),
    ],
)
def test_reloaded_only_where_the_address_stays(host: Host, port: int, line: str, other: str, how: str) -> None:
    unit = unit_named("floating-address")
    Transactions(host).apply(unit, wish(port))
    wanted = wish(port)
    wanted["files"] = [{**each, "content": each["content"].replace(line, other)} for each in wanted["files"]]
    report = Transactions(host).apply(unit, wanted)
    assert (report["activation"], len(report["files"])) == (how, 1)
    assert f"{how} {SERVICE}.service" in (host.root.parent / "log").read_text()


def test_refused_before_anything_is_touched(host: Host, port: int) -> None:
    wrong = wish(port)
    wrong["files"] = [{**each, "content": each["content"].replace("state", "wrong")} for each in wrong["files"]]
    unit = unit_named("floating-address")
    with pytest.raises(HostError, match="keepalived does not accept it: wrong"):
        Transactions(host).apply(unit, wrong)
    marked = wish(port, "192.0.2.7")
    marked["files"] = [
        {**each, "content": each["content"].replace("(the interface of 192.0.2.1)", "(the interface of 192.0.2.7)")}
        for each in marked["files"]
    ]
    with pytest.raises(HostError, match="no interface of this host has it"):
        Transactions(host).apply(unit, marked)
    (host.root.parent / "bin" / "keepalived").unlink()
    with pytest.raises(HostError, match="keepalived: not installed on this host; install it"):
        Transactions(host).apply(unit, wish(port))
    assert not host.path(CONFIG).exists()


@pytest.mark.parametrize(("status", "alive"), [(204, True), (200, True), (502, False), (404, False)])
def test_the_program_asks_nginx(port: int, status: int, alive: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Nginx, "status", status)
    program = MODULES[0].parent
    asked = [sys.executable, "-I", "-S", "-B", str(program), f"http:{port}:registry.test"]
    assert (subprocess.run(asked, check=False, capture_output=True).returncode == 0) == alive
    gone = [*asked[:-1], "http:1:registry.test"]
    assert subprocess.run(gone, check=False, capture_output=True).returncode == 1


def test_garbage_is_collected_only_while_the_standby_holds_pushes_off_too(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tier = parse(changed())
    places = nginx_gate.standbys(tier)
    own = tier.registry("own")
    assert isinstance(own, HostedRegistry)
    texts = garbage_collection.render([own], {}, None, places).shown()
    rules, _ = program.configured(texts[config_file("own")], look=False)
    assert rules.standby == Standby("192.0.2.2", 80, "registry.test", "/.http-registry/gate/own", False)
    asked = Standby("127.0.0.1", port, "registry.test", "/.http-registry/alive", False, patience=0)
    with pytest.raises(Open, match=r"the standby proxy at 127\.0\.0\.1:\d+ does not hold pushes off \(204\)"):
        asked.must_hold()
    with pytest.raises(Open, match="refused"):
        Standby("127.0.0.1", 1, "registry.test", "/", False, patience=0).must_hold()
    store = Folder(tmp_path / "data")
    store.settle = 0
    blob = store.root / blob_path("sha256:" + "ab" * 32)
    blob.parent.mkdir(parents=True)
    blob.write_text("unused")
    os.utime(blob, (0, 0))
    with pytest.raises(Open):
        collect(store, Rules(False, 0, asked), tmp_path, print)
    assert blob.exists()
    monkeypatch.setattr(Nginx, "status", 403)
    collect(store, Rules(False, 0, asked), tmp_path, print)
    assert not blob.exists()


def test_the_first_proxy_says_and_the_standby_asks() -> None:
    tier = parse(changed())
    first, second = (nginx_site.render(view).site.text for view in views(tier))
    assert first.count("/run/http-registry-gc-own/closed") == 2
    assert "upstream http-registry-own-80-first {\n    server 192.0.2.1:80;" in second
    assert second.count("auth_request /.http-registry/held;") == second.count("error_page 403 =503 @held;") >= 3
    assert "/.http-registry/held" not in first
    data = changed()
    del data["registries"][1]["garbage_collection"]
    assert all("/.http-registry/gate" not in nginx_site.render(view).site.text for view in views(parse(data)))


def test_the_doctor_looks_for_the_floating_address_and_at_both_hosts() -> None:
    data = {**changed(), "runtimes": [{"host": "c", "docker": {}}]}
    tier = parse(data)
    (pull,) = [each for each in pulls(tier, "c", None) if each.image.registry == "docker.io"]
    assert [(each.host, each.address) for each in pull.wanted.servers] == [("a", "192.0.2.9")]
    for name in ("a", "b"):
        looked = server.served(tier, name)
        assert looked
        assert [each["registry"] for each in looked["endpoints"]] == ["own", "hub"]
        assert len(looked["containers"]) == 1
