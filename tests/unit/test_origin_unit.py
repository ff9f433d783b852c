"""Decides what hostctl's origin unit writes, starts and refuses, on a host of fake programs, and what travels there.

Applying it to a real host is decided in tests/lab.
"""

from __future__ import annotations

import json
import os
import pwd
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from documents import origin
from hostctl import recovery
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.masking import MASK
from hostctl.transaction import Transactions
from hostctl.units import unit_named
from hostctl.units.origin import CONFIG, PROGRAM, SERVICE, SERVICE_FILE, SOCKET, SOCKET_FILE
from settings import parse
from settings.registry_files import RegistryFiles
from settings.tier import Tier

ME = pwd.getpwuid(os.getuid()).pw_name
PASSWORD = 's3cr3t "quoted"'
SYSTEMCTL = """\
#!/bin/sh
echo "$*" >>{log}
case "$1 $2" in
    "enable --no-reload") mkdir -p {wants} && ln -sf {root}/etc/systemd/system/$3 {wants}/$3 ;;
    "show -p") echo LoadState=loaded; test ! -e {socket} || echo "ActiveState=active
MainPID=1" ;;
    "stop {service}.socket") mv {socket} {socket}.off ;;
    "start {service}.socket") mv {socket}.off {socket} ;;
    "is-active {service}.socket") test -e {socket} ;;
esac
"""
TIER = """\
hosts: [{name: r, address: 192.0.2.1, ssh: {host_key: ssh-ed25519 AAAA}}]
image: {reference: "registry:3.1.2"}
registries:
  - kind: cache
    name: hub
    host: r
    port: 5001
    serves: docker.io
    upstream: https://registry-1.docker.io
    upstream_user: puller
  - {kind: hosted, name: own, host: r, port: 5000}
proxy:
  host: r
  users: [{name: u, role: push}]
  endpoints:
    - {registry: hub, port: 5080, server_name: 192.0.2.1}
    - {registry: own, port: 80, server_name: 192.0.2.1}
firewall: {allow: [192.0.2.0/24]}
"""
S3 = {"s3": {"endpoint": "https://s3.example", "region": "r1", "bucket": "images", "verify": False}}


def tier(**of_own: Any) -> Tier:
    data = yaml.safe_load(TIER)
    data["registries"][1].update(of_own)
    return parse(data)


def wish(password: str = PASSWORD, the_tier: Tier | None = None) -> dict[str, Any]:
    rendered = origin.render(the_tier or tier(), {}, {"upstream-password-hub": password})
    assert rendered is not None
    return rendered.wish()


class Service(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """One with a service that answers with the generation of the configuration on its disk."""
    root = tmp_path / "r"
    for folder in ("etc/nginx", "etc/systemd/system", "run", "usr/local/lib"):
        (root / folder).mkdir(parents=True)
    (root / "etc/nginx/nginx.conf").write_text(f"user {ME};\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    write_systemctl(tmp_path)
    for name, text in {"nginx": "echo configure arguments:", "systemd-analyze": f'echo "$*" >>{tmp_path}/log'}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            self.client_address = ("", 0)
            config = json.loads((root / CONFIG[1:]).read_text())
            body = json.dumps({"registries": [], "generation": config["generation"]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = Service(str(root / SOCKET[1:]), Handler)
    (root / SOCKET[1:]).chmod(0o600)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield Host(root)
    server.shutdown()
    server.server_close()


def write_systemctl(folder: Path) -> None:
    root = folder / "r"
    text = SYSTEMCTL.format(
        log=folder / "log",
        root=root,
        wants=root / "etc/systemd/system/multi-user.target.wants",
        socket=root / SOCKET[1:],
        service=SERVICE,
    )
    (folder / "bin/systemctl").write_text(text)
    (folder / "bin/systemctl").chmod(0o755)


def said(host: Host) -> list[str]:
    """What systemctl and systemd-analyze were told since the last time, without questions."""
    log = host.root.parent / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.write_text("")
    return [line for line in lines if line.split()[0] not in ("show", "is-active", "reset-failed")]


def apply(host: Host, the_wish: dict[str, Any]) -> dict[str, Any]:
    return Transactions(host).apply(unit_named("origin"), the_wish)


def test_it_is_written_and_started(host: Host) -> None:
    report = apply(host, wish())
    assert (report["result"], report["activation"]) == ("changed", "restart")
    assert {CONFIG, SOCKET_FILE, SERVICE_FILE, f"{PROGRAM}/__main__.py"} <= set(report["files"])
    assert host.path(CONFIG).stat().st_mode & 0o777 == 0o600
    assert json.loads(host.path(CONFIG).read_text())["registries"]["hub"]["password"] == PASSWORD
    assert f"\nSocketUser={ME}\nListenStream={SOCKET}\nSocketMode=0600\n" in host.path(SOCKET_FILE).read_text()
    told = said(host)
    assert told[0].startswith("verify ")
    assert told[1:] == [
        f"enable --no-reload {SERVICE}.socket",
        "daemon-reload",
        f"stop {SERVICE}.socket {SERVICE}.service",
        f"start {SERVICE}.socket",
        f"restart {SERVICE}.service",
    ]


def test_only_what_changes_restarts_it(host: Host) -> None:
    apply(host, wish())
    said(host)
    assert apply(host, wish())["result"] == "unchanged"
    assert said(host) == []
    report = apply(host, wish("another"))
    assert report["files"] == [CONFIG]
    assert [line for line in said(host) if "verify" not in line] == [
        f"enable --no-reload {SERVICE}.socket",
        "daemon-reload",
        f"restart {SERVICE}.service",
    ]


def test_removal_leaves_nothing(host: Host) -> None:
    before = sorted(each for each in host.root.rglob("*") if each.name != Path(SOCKET).name)
    apply(host, wish())
    said(host)
    assert Transactions(host).remove(unit_named("origin"))["result"] == "removed"
    assert [line for line in said(host) if line != "daemon-reload"] == [
        f"stop {SERVICE}.socket",
        f"stop {SERVICE}.service",
    ]
    left = {each for each in host.root.rglob("*") if "var" not in each.parts[len(host.root.parts) :]}
    assert {each.name for each in left - set(before)} == {"multi-user.target.wants", f"{Path(SOCKET).name}.off"}


def test_no_password_is_reported_or_shown(host: Host) -> None:
    report = apply(host, wish())
    seen = unit_named("origin").observe(host)[CONFIG] + unit_named("origin").shown(
        CONFIG, host.path(CONFIG).read_bytes()
    )
    assert "s3cr3t" not in json.dumps(report) + seen
    assert seen.count(f'"{MASK}"') == 2


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"bases"', '"base"', "registries.hub.base: there is no such key"),
        ("https://registry-1", "ftp://registry-1", r"registries.hub.bases\[0\]: must be http"),
    ],
)
def test_what_the_program_does_not_accept_is_not_written(host: Host, old: str, new: str, why: str) -> None:
    bad = wish()
    for each in bad["files"]:
        if each["path"] == CONFIG:
            each["content"] = each["content"].replace(old, new)
    with pytest.raises(HostError, match=why) as refusal:
        apply(host, bad)
    assert "s3cr3t" not in str(refusal.value)
    assert not host.path(CONFIG).exists()


def test_a_program_that_does_not_start_is_not_written(host: Host) -> None:
    bad = wish()
    next(each for each in bad["files"] if each["path"].endswith("service.py"))["content"] += "def\n"
    with pytest.raises(HostError, match="does not accept it: SyntaxError"):
        apply(host, bad)
    assert not host.path(PROGRAM).exists()


def test_a_socket_that_others_can_open_is_refused(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "VERIFY_PATIENCE", 0.1)
    host.path(SOCKET).chmod(0o666)
    with pytest.raises(HostError, match=f"can be opened by others than {ME}"):
        apply(host, wish())


def test_a_file_of_another_place_is_refused(host: Host) -> None:
    bad = wish()
    bad["files"].append({"path": "/etc/passwd", "content": "x"})
    with pytest.raises(HostError, match="wish, files"):
        apply(host, bad)


def test_masks_and_the_same_generation_without_passwords() -> None:
    masked, rendered = origin.render(tier(), {}), origin.render(tier(), {}, {"upstream-password-hub": PASSWORD})
    assert masked is not None
    assert rendered is not None
    assert masked.generation == rendered.generation
    shown = masked.shown()
    assert json.loads(shown[CONFIG])["registries"] == {
        "hub": {"bases": ["https://registry-1.docker.io"], "user": "puller", "password": MASK}
    }
    assert shown.keys() == {CONFIG, SOCKET_FILE, SERVICE_FILE, PROGRAM}
    other = origin.render(tier(storage=S3), {})
    assert other is not None
    assert other.generation != masked.generation


def test_a_hosted_registry_over_a_store() -> None:
    found = origin.render(tier(storage=S3, replica_ports=[5010]), {"own": RegistryFiles(authority="-----store-----\n")})
    assert found is not None
    assert json.loads(found.shown()[CONFIG])["registries"]["own"] == {
        "bases": ["http://127.0.0.1:5000", "http://127.0.0.1:5010"],
        "forward_authorization": True,
        "ca": "-----store-----\n",
        "verify_elsewhere": False,
    }


@pytest.mark.parametrize(
    ("s3", "server"), [({}, "http://store.example:7070"), ({"path_style": False}, "http://bbb.store.example:7070")]
)
def test_a_hosted_registry_with_tls_over_a_store_without(s3: dict[str, Any], server: str) -> None:
    store = {"endpoint": "http://store.example:7070", "region": "r", "bucket": "bbb", **s3}
    tls = {"certificate": "c.pem", "authority": "a.pem", "name": "behind.test"}
    found = origin.render(tier(storage={"s3": store}, tls=tls), {"own": RegistryFiles(tls_authority="-----own-----\n")})
    assert found is not None
    assert json.loads(found.shown()[CONFIG])["registries"]["own"] == {
        "bases": ["https://127.0.0.1:5000"],
        "forward_authorization": True,
        "ca": "-----own-----\n",
        "certificate_name": "behind.test",
        "in_clear": server,
    }


def test_nothing_to_fetch_is_no_service() -> None:
    data = yaml.safe_load(TIER)
    del data["registries"][0], data["proxy"]["endpoints"][0]
    assert origin.render(parse(data), {}) is None
