"""Decides, by real `pulumi up`s, that the engine, the SDK, the docker plugin and a daemon keep their promises together.

Up, refresh and preview give no change; a change shows its property; drift is found and undone; a failed create leaves
nothing behind; no secret is in the output or in clear in the state.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.docker_plugin_host import IMAGE, docker, ensure_image, host_under_test
from tests.pulumi_stack import Stack, new_stack
from toolchain.engine import ensure_engine

pytestmark = pytest.mark.lab

SECRET = "s3cret-pass-word"
PROGRAM = """
import pulumi, pulumi_docker as docker

config = pulumi.Config()
tag = config.require("tag")
password = config.require_secret("password")
provider = docker.Provider("host", host=config.require("host"), ssh_opts=["-o", "BatchMode=yes"])
opts = pulumi.ResourceOptions(provider=provider)
network = docker.Network(
    "network", name=f"{tag}-net", ipam_configs=[docker.NetworkIpamConfigArgs(subnet="10.231.9.0/24")], opts=opts
)
volume = docker.Volume("volume", labels=[docker.VolumeLabelArgs(label="of", value=tag)], opts=opts)
image = docker.RemoteImage("image", name=config.require("image"), keep_locally=True, opts=opts)
container = docker.Container(
    "web",
    name=f"{tag}-web",
    image=image.image_id,
    command=["sh", "-c", config.get("script") or "while true; do sleep 1; done"],
    envs=[pulumi.Output.concat("PASSWORD=", password), f"WORD={config.get('word') or 'one'}"],
    labels=[docker.ContainerLabelArgs(label="b", value="2"), docker.ContainerLabelArgs(label="a", value="1")],
    networks_advanced=[
        docker.ContainerNetworksAdvancedArgs(name=network.name, aliases=["alias"], ipv4_address="10.231.9.9")
    ],
    ports=[
        docker.ContainerPortArgs(internal=80),
        docker.ContainerPortArgs(internal=81, ip="127.0.0.1", protocol="udp"),
    ],
    uploads=[docker.ContainerUploadArgs(file="/etc/app.conf", content=password, permissions="0600")],
    volumes=[docker.ContainerVolumeArgs(volume_name=volume.name, container_path="/data")],
    mounts=[
        docker.ContainerMountArgs(type="tmpfs", target="/scratch", tmpfs_options={"size_bytes": 65536}),
        docker.ContainerMountArgs(type="bind", source="/etc", target="/host", read_only=True),
    ],
    healthcheck=docker.ContainerHealthcheckArgs(tests=["CMD", config.get("check") or "true"], interval="1s", retries=1),
    capabilities=docker.ContainerCapabilitiesArgs(drops=["MKNOD"], adds=["NET_ADMIN"]),
    log_driver="json-file",
    log_opts={"max-size": "1m"},
    hosts=[docker.ContainerHostArgs(host="hub", ip="10.231.9.1")],
    memory=config.get_int("memory") or 64,
    restart=config.get("restart") or "no",
    stop_timeout=1,
    init=True,
    wait=True,
    wait_timeout=20,
    opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(replace_on_changes=["healthcheck"])),
)
pulumi.export("address", container.network_datas[0].ip_address)
pulumi.export("port", container.ports[0].external)
"""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """The stack `dev`, not yet up, on the test's host; taken down in the end whatever happened."""
    host = host_under_test()
    if ensure_engine().kind == "official":
        pytest.skip("the official plugin is in use")
    ensure_image(host)
    made = new_stack(tmp_path, PROGRAM, (SECRET,))
    for name, value in {"tag": f"dp{time.time_ns() % 10**9}", "host": host, "image": IMAGE}.items():
        made.set(name, value)
    made.set("password", SECRET, secret=True)
    yield made
    made.pulumi("destroy", "--yes", "--skip-preview")
    tag = made.pulumi("config", "get", "tag").strip()
    for kind in (("ps", "-a"), ("network", "ls"), ("volume", "ls")):
        assert tag not in docker(host, *kind)


def test_a_stacks_life(stack: Stack) -> None:
    assert "6 to create" in stack.pulumi("preview")
    assert "6 created" in stack.up()
    assert stack.pulumi("stack", "output", "address").strip() == "10.231.9.9"
    assert int(stack.pulumi("stack", "output", "port")) > 0
    tag = stack.pulumi("config", "get", "tag").strip()
    assert docker(host_under_test(), "exec", f"{tag}-web", "cat", "/etc/app.conf") == SECRET
    assert docker(host_under_test(), "exec", f"{tag}-web", "stat", "-c", "%a", "/etc/app.conf") == "600"
    assert SECRET not in (stack.folder / "state" / ".pulumi/stacks/engine-test/dev.json").read_text()

    assert "6 unchanged" in stack.pulumi("preview")
    assert "6 unchanged" in stack.refresh()
    assert "6 unchanged" in stack.pulumi("preview", "--diff")
    assert "6 unchanged" in stack.up()

    container = stack.state()["web"]["id"]
    stack.set("memory", "256")
    stack.set("restart", "unless-stopped")
    difference = stack.pulumi("preview", "--diff")
    assert "1 to update" in difference
    assert "memory" in difference
    assert "restart" in difference
    assert "port" not in difference
    assert "1 updated" in stack.up()
    assert stack.state()["web"]["id"] == container
    assert docker(host_under_test(), "inspect", "-f", "{{.HostConfig.Memory}}", container) == str(256 * 1024 * 1024)
    stack.refresh()
    assert "6 unchanged" in stack.pulumi("preview")

    stack.set("word", "two")
    difference = stack.pulumi("preview", "--diff")
    assert "1 to replace" in difference
    assert "WORD=two" in difference
    assert "1 replaced" in stack.up()
    stack.set("check", "echo")
    assert "1 to replace" in stack.pulumi("preview")


def test_drift_is_found_and_undone(stack: Stack) -> None:
    stack.up()
    container = stack.state()["web"]["id"]
    docker(host_under_test(), "update", "--restart", "always", container)
    docker(host_under_test(), "stop", "-t", "0", container)
    stack.refresh()
    state = stack.state()["web"]["outputs"]
    assert (state["mustRun"], state["restart"]) == (False, "always")
    assert "mustRun" in stack.pulumi("preview", "--diff")
    assert "1 updated" in stack.up()
    assert docker(host_under_test(), "inspect", "-f", "{{.State.Running}}", container) == "true"
    assert "6 unchanged" in stack.up()

    docker(host_under_test(), "rm", "-f", container)
    stack.refresh()
    assert "web" not in stack.state()
    assert "1 created" in stack.up()


def test_a_container_that_exits_is_an_error_and_leaves_nothing(stack: Stack) -> None:
    stack.set("script", "echo starting with $PASSWORD; exit 7")
    text = stack.up(fails=True)
    assert "container exited immediately with exit code 7" in text
    assert "starting with [secret]" in text
    assert "Traceback" not in text
    assert "web" not in stack.state()
    stack.set("script", "sleep 1000")
    stack.set("check", "false")
    assert "container is unhealthy" in stack.up(fails=True)
    stack.set("check", "true")
    assert "1 created" in stack.up()


def test_what_is_not_supported_is_refused_in_the_preview(stack: Stack) -> None:
    program = stack.folder / "__main__.py"
    program.write_text('import pulumi_docker as docker\ndocker.Container("x", image="y", gpus="all")\n')
    refusal = "docker: Container: property `gpus` is not supported by the offline plugin"
    assert refusal in stack.pulumi("preview", fails=True)


def test_a_preview_needs_no_daemon(stack: Stack) -> None:
    stack.set("host", "unix:///nonexistent/docker.sock")
    assert "6 to create" in stack.pulumi("preview")
    assert "Error pinging Docker server" in stack.up(fails=True)
    stack.set("host", host_under_test())
    assert "created" in stack.up()
    stack.set("host", "unix:///nonexistent/docker.sock")
    assert "5 unchanged" in stack.pulumi("preview")
    stack.set("host", host_under_test())
