"""Decides how the plugin finds its daemon: configuration, `ssh` on PATH, TLS, errors.

The daemon is a few lines of HTTP; real ones are in tests/lab.
"""

from __future__ import annotations

import asyncio
import json
import os
import socketserver
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from toolchain.plugins.docker.daemon import Daemon, DaemonError
from toolchain.plugins.docker.plugin import DockerPlugin
from toolchain.plugins.docker.settings import DEFAULT_HOST, RegistryAuth, Settings, parsed_settings
from toolchain.plugins.docker.ssh import ssh_arguments
from toolchain.plugins.shared.resource import ProviderError
from toolchain.plugins.shared.values import UNKNOWN, Props, Secret

FAKE_SSH = f"""#!{sys.executable}
import json, os, socket, sys, threading
with open(os.environ["FAKE_SSH_CALLS"], "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if "refused" in sys.argv:
    print("Permission denied (publickey).", file=sys.stderr)
    sys.exit(255)
daemon = socket.socket(socket.AF_UNIX)
daemon.connect(os.environ["FAKE_SSH_SOCKET"])
def forward():
    while data := os.read(0, 65536):
        daemon.sendall(data)
    daemon.shutdown(socket.SHUT_WR)
threading.Thread(target=forward, daemon=True).start()
while data := daemon.recv(65536):
    os.write(1, data)
"""


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:
        return

    def do_GET(self) -> None:
        answers = {
            "/version": {"ApiVersion": "1.43"},
            "/v1.43/volumes/v": {"Name": "v"},
            "/v1.43/containers/slow/wait": {"StatusCode": 0},
        }
        if "/slow" in self.path:
            time.sleep(0.3)
        found = answers.get(self.path)
        body = json.dumps(found or {"message": "get x: no such volume"}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False


@pytest.fixture
def socket_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A daemon's socket, and an `ssh` that leads to it."""
    path = tmp_path / "d.sock"
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(FAKE_SSH)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SSH_CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("FAKE_SSH_SOCKET", str(path))
    with _Server(str(path), _Answers) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield path
        server.shutdown()


def name_of_volume(daemon: Daemon, volume: str = "v") -> str:
    with closing(daemon):
        return str(asyncio.run(daemon.call(lambda client: client.inspect_volume(volume)))["Name"])


def test_a_unix_socket_and_the_daemons_own_api_version(socket_path: Path) -> None:
    assert name_of_volume(Daemon(Settings(host=f"unix://{socket_path}"))) == "v"


def test_only_the_wait_for_a_containers_end_has_no_limit(socket_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolchain.plugins.docker.daemon.READ_SECONDS", 0.1)
    daemon = Daemon(Settings(host=f"unix://{socket_path}"))

    async def both() -> None:
        assert (await daemon.call(lambda client: client.wait("slow")))["StatusCode"] == 0
        with pytest.raises(DaemonError, match="timed out"):
            await daemon.call(lambda client: client.inspect_volume("slow"))

    with closing(daemon):
        asyncio.run(both())


def test_ssh_gets_its_options_and_few_connections(socket_path: Path) -> None:
    daemon = Daemon(Settings(host="ssh://Admin@Host:2222", ssh_opts=("-i", "/key with space", "-o", "User=$(x)")))

    async def many() -> None:
        for _ in range(3):
            assert (await daemon.call(lambda client: client.inspect_volume("v")))["Name"] == "v"
        slow = [daemon.call(lambda client: client.inspect_volume("slow")) for _ in range(12)]
        assert all(isinstance(failure, DaemonError) for failure in await asyncio.gather(*slow, return_exceptions=True))

    with closing(daemon):
        asyncio.run(many())
    calls = [json.loads(line) for line in (socket_path.parent / "calls").read_text().splitlines()]
    assert calls[0] == [
        *("-i", "/key with space", "-o", "User=$(x)"),
        *("-o", "ConnectTimeout=30", "-T", "-l", "Admin", "-p", "2222"),
        *("--", "Host", "docker", "system", "dial-stdio"),
    ]
    assert len(calls) == 4


def test_what_ssh_says_is_in_the_error(socket_path: Path) -> None:
    with pytest.raises(DaemonError) as raised:
        name_of_volume(Daemon(Settings(host="ssh://refused")))
    assert "make sure that ssh://refused is reachable" in str(raised.value)
    assert "has exited with exit status 255" in str(raised.value)
    assert "stderr=Permission denied (publickey)." in str(raised.value)


def test_no_ssh_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProviderError, match="there is no `ssh` on PATH"):
        name_of_volume(Daemon(Settings(host="ssh://h")))


def test_a_refusal_has_the_daemons_words_and_status(socket_path: Path) -> None:
    with pytest.raises(DaemonError, match="Error response from daemon: get x: no such volume") as raised:
        name_of_volume(Daemon(Settings(host=f"unix://{socket_path}")), "x")
    assert raised.value.gone


def test_a_daemon_that_is_not_there() -> None:
    with pytest.raises(DaemonError) as raised:
        name_of_volume(Daemon(Settings(host="unix:///nonexistent/d.sock")))
    assert str(raised.value) == (
        "Error pinging Docker server, please make sure that unix:///nonexistent/d.sock is reachable and has a  "
        "'_ping' endpoint. Error: [Errno 2] No such file or directory"
    )
    assert not raised.value.gone


@pytest.mark.parametrize(
    ("host", "tail"),
    [
        ("ssh://h", ["--", "h", "docker", "system", "dial-stdio"]),
        ("ssh://h:22/", ["-p", "22", "--", "h", "docker", "system", "dial-stdio"]),
        ("ssh://h/run/d.sock", ["--", "h", "docker", "--host", "unix:///run/d.sock", "system", "dial-stdio"]),
    ],
)
def test_ssh_arguments(host: str, tail: list[str]) -> None:
    assert ssh_arguments(host, ("-o", "ConnectTimeout=1", "-T")) == ["-o", "ConnectTimeout=1", "-T", *tail]


@pytest.mark.parametrize(
    ("host", "words"),
    [("ssh://", "names no host"), ("ssh://u:p@h", "plain-text password"), ("ssh://h?x=1", "more than user")],
)
def test_wrong_ssh_hosts(host: str, words: str) -> None:
    with pytest.raises(ProviderError, match=words) as raised:
        ssh_arguments(host, ())
    assert "u:p" not in str(raised.value)


def test_settings_come_as_the_engine_sends_them() -> None:
    config: Props = {
        "host": "ssh://h",
        "sshOpts": '["-o", "A=b"]',
        "registryAuth": Secret('[{"address": "r.example.com", "username": "u", "password": "p"}]'),
    }
    assert parsed_settings(config, {}) == Settings(
        host="ssh://h",
        ssh_opts=("-o", "A=b"),
        registry_auth=(RegistryAuth("r.example.com", "u", "p"),),
    )
    assert parsed_settings({}, {}) == Settings(host=DEFAULT_HOST)
    assert parsed_settings({}, {"DOCKER_HOST": "tcp://h:1"}).host == "tcp://h:1"
    assert "'p'" not in repr(parsed_settings(config, {}))
    assert parsed_settings({"registryAuth": '[{"address": "r", "authDisabled": true}]'}, {}).registry_auth == ()


def test_ssh_options_of_the_environment_count_where_the_program_gives_none() -> None:
    environment = {"DOCKER_SSH_OPTS": "-i  /key -v"}
    assert parsed_settings({"host": "ssh://h"}, environment).ssh_opts == ("-i", "/key", "-v")
    assert parsed_settings({"sshOpts": '["-q"]'}, environment).ssh_opts == ("-q",)
    assert parsed_settings({"sshOpts": "[]"}, environment).ssh_opts == ()


def test_a_context_of_the_environment_is_refused_where_it_would_choose_the_daemon() -> None:
    environment = {"DOCKER_CONTEXT": "far"}
    with pytest.raises(ProviderError, match=r"\$DOCKER_CONTEXT is far, .* set the provider's `host` or \$DOCKER_HOST"):
        parsed_settings({}, environment)
    assert parsed_settings({"host": "ssh://h"}, environment).host == "ssh://h"
    assert parsed_settings({}, {**environment, "DOCKER_HOST": "ssh://h"}).host == "ssh://h"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"context": "c"}, "configuration `context` is not supported by the offline plugin"),
        ({"host": "npipe://x"}, "must start with unix://, tcp://, ssh://"),
        ({"host": "unix:///a", "certMaterial": "x"}, "cert_material, and key_material must be specified"),
        ({"certMaterial": "x", "keyMaterial": "y", "certPath": "/z"}, "cert_path must not be specified"),
        ({"registryAuth": "[{}]"}, "needs an `address`"),
        ({"registryAuth": '[{"address": "a", "token": "t"}]'}, "`registryAuth.token` is not supported"),
        ({"sshOpts": "-v"}, "`sshOpts` is no JSON list"),
    ],
)
def test_wrong_configuration_is_refused(config: Props, words: str) -> None:
    (failure,) = asyncio.run(DockerPlugin().check_config({}, config)).failures
    assert words in failure.reason


def test_configuration_that_is_not_known_yet_passes() -> None:
    plugin = DockerPlugin()
    assert not asyncio.run(plugin.check_config({}, {"host": UNKNOWN})).failures
    asyncio.run(plugin.configure({"host": UNKNOWN}))


def test_material_that_is_none(tmp_path: Path) -> None:
    daemon = Daemon(Settings(host="tcp://127.0.0.1:1", cert="no", key="no"))
    with pytest.raises(ProviderError, match="the TLS material can't be used"):
        name_of_volume(daemon)
