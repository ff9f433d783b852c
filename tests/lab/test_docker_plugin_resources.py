"""Decides what the docker plugin's resource types do to a real daemon, one call at a time.

The same through the engine: test_docker_plugin_stack.py.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.lab.docker_plugin_host import IMAGE, docker, ensure_image, host_under_test
from toolchain.plugins.docker.container import Container
from toolchain.plugins.docker.kind import DockerType
from toolchain.plugins.docker.network import Network
from toolchain.plugins.docker.plugin import DockerPlugin
from toolchain.plugins.docker.remote_image import RemoteImage
from toolchain.plugins.docker.volume import Volume
from toolchain.plugins.shared.log import SilentLog
from toolchain.plugins.shared.resource import Context, Created, ProviderError, Read
from toolchain.plugins.shared.values import Props, Secret, Value

pytestmark = pytest.mark.lab
T = TypeVar("T")
FOREVER: list[Value] = ["sleep", "1000"]


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


@dataclass
class Host:
    """A daemon; what the tests make there has `tag` in its name."""

    address: str
    tag: str
    config: dict[str, Value] = field(default_factory=dict)
    log: SilentLog = field(default_factory=SilentLog)

    def context(self, kind: DockerType) -> Context:
        urn = f"urn:pulumi:dev::project::{kind.token}::{self.tag}"
        return Context(urn=urn, log=self.log, config={"host": self.address, **self.config})

    def check(self, kind: DockerType, **inputs: Value) -> Props:
        checked = run(kind.check(self.context(kind), {}, inputs))
        assert not checked.failures
        return checked.inputs

    def create(self, kind: DockerType, **inputs: Value) -> tuple[Created, Props]:
        checked = self.check(kind, **inputs)
        return run(kind.create(self.context(kind), checked, False)), checked

    def container(self, **inputs: Value) -> tuple[Created, Props]:
        given = {"image": IMAGE, "name": self.tag, "command": FOREVER, **inputs}
        return self.create(Container(), **{name: value for name, value in given.items() if value is not None})

    def read(self, kind: DockerType, made: Created, inputs: Props) -> Read | None:
        return run(kind.read(self.context(kind), made.id, made.state, inputs))

    def delete(self, kind: DockerType, made: Created) -> None:
        run(kind.delete(self.context(kind), made.id, made.state))

    def docker(self, *arguments: str) -> str:
        return docker(self.address, *arguments)


@pytest.fixture
def host() -> Iterator[Host]:
    address = host_under_test()
    ensure_image(address)
    made = Host(address, f"dpr{time.time_ns() % 10**9}")
    yield made
    for listing, removal in (
        (("ps", "-aq", "--filter", f"name={made.tag}"), ("rm", "-fv")),
        (("network", "ls", "-q", "--filter", f"name={made.tag}"), ("network", "rm")),
        (("volume", "ls", "-q", "--filter", f"name={made.tag}"), ("volume", "rm")),
    ):
        for id in made.docker(*listing).split():
            made.docker(*removal, id)


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        (RemoteImage, {"name": IMAGE, "keepLocally": True}),
        (Volume, {"labels": [{"label": "a", "value": "b"}]}),
        (
            Network,
            {"ipamConfigs": [{"subnet": "10.231.10.0/24"}], "options": {"com.docker.network.driver.mtu": "1400"}},
        ),
        (Network, {"internal": True, "driver": "bridge", "ipamConfigs": [{"subnet": "10.231.10.0/24"}]}),
        (Container, {"image": IMAGE, "command": FOREVER}),
        (Container, {"image": IMAGE, "command": FOREVER, "networkMode": "host", "hosts": []}),
        (Container, {"image": IMAGE, "command": FOREVER, "networkMode": "none", "readOnly": True, "user": "1:1"}),
        (Container, {"image": IMAGE, "start": False, "command": ["true"], "ports": [{"internal": 80.0}]}),
        (Container, {"image": IMAGE, "mustRun": False, "command": FOREVER, "memory": 16.0, "memorySwap": 32.0}),
        (
            Container,
            {
                "image": IMAGE,
                "command": FOREVER,
                "cpuSet": "0",
                "cpuShares": 9.0,
                "sysctls": {"net.core.somaxconn": "9"},
            },
        ),
    ],
)
def test_what_was_made_reads_back_as_it_was_given(host: Host, kind: Callable[[], DockerType], inputs: Props) -> None:
    type_ = kind()
    made, checked = host.create(type_, **inputs)
    read = host.read(type_, made, checked)
    assert read is not None
    assert (read.id, read.inputs, read.state) == (made.id, checked, made.state)
    host.delete(type_, made)
    if kind is not RemoteImage:
        assert host.read(type_, made, checked) is None
        host.delete(type_, made)


def test_an_attached_container_gives_its_log_and_exit_code(host: Host) -> None:
    made, checked = host.container(command=["sh", "-c", "echo out; exit 3"], attach=True, logs=True, mustRun=False)
    assert (made.state["containerLogs"], made.state["exitCode"]) == ("out", 3)
    read = host.read(Container(), made, checked)
    assert read is not None
    assert read.state == made.state


def test_a_failed_container_leaves_nothing_and_shows_no_secret(host: Host) -> None:
    word = Secret("KEY=very-secret-word")
    cases: list[tuple[dict[str, Value], str]] = [
        ({"command": ["sh", "-c", "echo $KEY; exit 5"]}, r"exit code 5; the end of its log:\n\[secret\]"),
        ({"command": ["sh", "-c", "sleep 0.3; exit 5"]}, "exit code 5; its log is empty"),
        ({"command": ["false"], "restart": "always"}, "container exited immediately with exit code 1"),
        ({"command": ["nonexistent"]}, "Unable to start container: Error response from daemon"),
        (
            {"networksAdvanced": [{"name": "no-such-network"}]},
            "Unable to start container: Error response from daemon: network no-such-network not found",
        ),
        ({"wait": True}, "container has no healthcheck to wait for"),
        (
            {"wait": True, "healthcheck": {"tests": ["CMD", "false"], "interval": "200ms", "retries": 1.0}},
            "container is unhealthy",
        ),
        ({"readOnly": True, "uploads": [{"file": "/x", "content": "x"}]}, "Unable to upload volume content: Error"),
        ({"image": "127.0.0.1:1/none:1"}, "Unable to create container with image 127.0.0.1:1/none:1: unable to pull"),
    ]
    for inputs, words in cases:
        with pytest.raises(ProviderError, match=words) as raised:
            host.container(envs=[word], **inputs)
        assert "very-secret-word" not in str(raised.value)
        assert host.docker("ps", "-aq", "--filter", f"name={host.tag}") == ""


def test_a_name_that_is_taken_says_how_to_free_it(host: Host) -> None:
    host.container()
    with pytest.raises(ProviderError, match=f"Conflict.*docker rm -f {host.tag}"):
        host.container()


def test_limits_change_in_the_running_container_and_a_healthcheck_is_only_told(host: Host) -> None:
    made, checked = host.container(memory=32.0)
    new = host.check(
        Container(),
        image=IMAGE,
        name=host.tag,
        command=FOREVER,
        memory=512.0,
        cpuShares=77.0,
        restart="on-failure",
        maxRetryCount=2.0,
        healthcheck={"tests": ["CMD", "true"]},
    )
    state = run(Container().update(host.context(Container()), made.id, made.state, checked, new, False))
    assert (state["memory"], state["restart"]) == (512.0, "on-failure")
    form = "{{.HostConfig.Memory}} {{.HostConfig.CpuShares}} {{.HostConfig.RestartPolicy.Name}}"
    assert host.docker("inspect", "-f", form, made.id) == f"{512 * 1024 * 1024} 77 on-failure"
    (message,) = (text for severity, text, _ in host.log.messages if severity == "WARNING")
    assert "the change of healthcheck is in the state but not in the running container" in message


def test_a_grace_period_lets_the_container_end_by_itself(host: Host) -> None:
    trap: list[Value] = ["sh", "-c", "trap 'echo bye > /data/bye; exit 0' TERM; while true; do sleep 0.1; done"]
    volume, _ = host.create(Volume(), name=host.tag)
    mounted: list[Value] = [{"volumeName": host.tag, "containerPath": "/data"}]
    made, _ = host.container(command=trap, volumes=mounted, destroyGraceSeconds=5.0)
    host.delete(Container(), made)
    shown, _ = host.container(command=["cat", "/data/bye"], volumes=mounted, mustRun=False, attach=True, logs=True)
    assert shown.state["containerLogs"] == "bye"
    host.delete(Container(), shown)
    host.delete(Volume(), volume)


def test_a_network_and_a_volume_wait_for_their_last_container(host: Host) -> None:
    network, _ = host.create(Network(), name=host.tag, ipamConfigs=[{"subnet": "10.231.10.0/24"}])
    volume, _ = host.create(Volume(), name=host.tag)
    made, _ = host.container(
        networksAdvanced=[{"name": host.tag}], volumes=[{"volumeName": host.tag, "containerPath": "/data"}]
    )

    async def all_at_once() -> None:
        async def container_later() -> None:
            await asyncio.sleep(0.5)
            await Container().delete(host.context(Container()), made.id, made.state)

        await asyncio.gather(
            Network().delete(host.context(Network()), network.id, {}),
            Volume().delete(host.context(Volume()), volume.id, {}),
            container_later(),
        )

    run(all_at_once())
    assert host.tag not in host.docker("network", "ls") + host.docker("volume", "ls")


def test_import_gives_the_inputs(host: Host) -> None:
    made, _ = host.container(memory=32.0, hosts=[{"host": "a", "ip": "10.0.0.1"}])
    read = run(Container().read(host.context(Container()), host.tag, {}, {}))
    assert read is not None
    assert read.id == made.id
    given = {name: read.inputs[name] for name in ("name", "memory", "hosts", "command")}
    assert given == {
        "name": host.tag,
        "memory": 32,
        "hosts": [{"host": "a", "ip": "10.0.0.1", "__defaults": []}],
        "command": FOREVER,
    }


def test_ssh_reaches_the_daemon(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    program = tmp_path / "ssh"
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nexec docker -H {host.address} system dial-stdio\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    far = Host("ssh://deploy@far:22", host.tag, config={"sshOpts": '["-i", "key"]'})
    made, checked = far.container(
        uploads=[{"file": "/etc/x", "content": "far"}],
        healthcheck={"tests": ["CMD", "cat", "/etc/x"], "interval": "200ms"},
        wait=True,
    )
    assert far.read(Container(), made, checked) is not None
    assert host.docker("exec", host.tag, "cat", "/etc/x") == "far"
    far.delete(Container(), made)
    assert set(calls.read_text().splitlines()) == {
        "-i key -o ConnectTimeout=30 -T -l deploy -p 22 -- far docker system dial-stdio"
    }
    assert len(calls.read_text().splitlines()) <= 4


def test_the_plugin_has_the_four_types() -> None:
    assert {token.split(":")[-1] for token in DockerPlugin().types} == {"RemoteImage", "Container", "Network", "Volume"}
