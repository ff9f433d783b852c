"""Decides what the docker plugin takes, refuses and fills in, without a daemon.

That a real daemon and engine agree is decided by tests/lab/test_docker_plugin_*.py.
"""

from __future__ import annotations

import asyncio
import re

import pytest

from toolchain.plugins.docker.container import Container
from toolchain.plugins.docker.kind import DockerType
from toolchain.plugins.docker.network import Network
from toolchain.plugins.docker.plugin import DockerPlugin
from toolchain.plugins.docker.remote_image import RemoteImage
from toolchain.plugins.docker.volume import Volume
from toolchain.plugins.shared.resource import Checked, Context
from toolchain.plugins.shared.values import UNKNOWN, Props, Secret, Value

NOWHERE: dict[str, Value] = {"host": "unix:///nonexistent/docker.sock"}
TYPES: tuple[DockerType, ...] = (Container(), Network(), Volume(), RemoteImage())


def context(kind: DockerType, seed: bytes = b"seed") -> Context:
    return Context(urn=f"urn:pulumi:dev::project::{kind.token}::web", config=NOWHERE, random_seed=seed)


def check(kind: DockerType, new: Props, old: Props | None = None, seed: bytes = b"seed") -> Checked:
    return asyncio.run(kind.check(context(kind, seed), old or {}, new))


def failures(kind: DockerType, new: Props) -> dict[str, str]:
    return {failure.property: failure.reason for failure in check(kind, new).failures}


def test_the_version_is_the_sdk_packages() -> None:
    assert re.fullmatch(r"5\.\d+\.\d+", DockerPlugin().version)


def test_defaults_of_a_container_are_the_official_ones() -> None:
    checked = check(Container(), {"image": "nginx", "ports": [{"internal": 80.0}]})
    assert not checked.failures
    name = checked.inputs.pop("name")
    assert re.fullmatch(r"web-[0-9a-f]{7}", str(name))
    assert checked.inputs == {
        "image": "nginx",
        "attach": False,
        "containerReadRefreshTimeoutMilliseconds": 15000,
        "logs": False,
        "memoryReservation": 0,
        "mustRun": True,
        "networkMode": "bridge",
        "ports": [{"internal": 80.0, "ip": "0.0.0.0", "protocol": "tcp", "__defaults": ["ip", "protocol"]}],
        "readOnly": False,
        "removeVolumes": True,
        "restart": "no",
        "rm": False,
        "start": True,
        "stdinOpen": False,
        "tty": False,
        "wait": False,
        "waitTimeout": 60,
        "__defaults": [
            "attach",
            "containerReadRefreshTimeoutMilliseconds",
            "logs",
            "memoryReservation",
            "mustRun",
            "name",
            "networkMode",
            "readOnly",
            "removeVolumes",
            "restart",
            "rm",
            "start",
            "stdinOpen",
            "tty",
            "wait",
            "waitTimeout",
        ],
    }


@pytest.mark.parametrize(
    ("kind", "inputs", "expected"),
    [
        (Network(), {"name": "n"}, {"name": "n", "ipamDriver": "default", "__defaults": ["ipamDriver"]}),
        (Volume(), {"name": "v"}, {"name": "v", "__defaults": []}),
        (RemoteImage(), {"name": "nginx"}, {"name": "nginx", "__defaults": []}),
    ],
)
def test_defaults_of_the_others(kind: DockerType, inputs: Props, expected: Props) -> None:
    assert check(kind, inputs).inputs == expected


@pytest.mark.parametrize("kind", [Container(), Network(), Volume()])
def test_an_automatic_name_is_kept_and_an_explicit_one_is_not(kind: DockerType) -> None:
    given: Props = {"image": "nginx"} if isinstance(kind, Container) else {}
    first = check(kind, given).inputs
    assert check(kind, given, seed=b"other").inputs["name"] != first["name"]
    assert check(kind, given, first, seed=b"other").inputs["name"] == first["name"]
    explicit = check(kind, {**given, "name": "mine"}).inputs
    assert check(kind, given, explicit).inputs["name"] != "mine"


@pytest.mark.parametrize(
    ("kind", "inputs", "path", "words"),
    [
        (Container(), {"image": "x", "gpus": "all"}, "gpus", "docker: Container: property `gpus` is not supported"),
        (Container(), {"image": "x", "gpus": "all"}, "gpus", "use the official plugin or remove it"),
        (
            Container(),
            {"image": "x", "volumes": [{"containerPath": "/a", "selinuxRelabel": "z"}]},
            "volumes[0].selinuxRelabel",
            "not supported by the offline plugin",
        ),
        (Container(), {"image": "x", "uploads": [{"file": "/a", "source": "b"}]}, "uploads[0].source", "not supported"),
        (Network(), {"name": "x", "checkDuplicate": True}, "checkDuplicate", "docker: Network: property"),
        (Volume(), {"name": "x", "cluster": {}}, "cluster", "docker: Volume: property"),
        (RemoteImage(), {"name": "x", "build": {"context": "."}}, "build", "docker: RemoteImage: property"),
        (Container(), {}, "image", "is required"),
        (RemoteImage(), {}, "name", "is required"),
        (Container(), {"image": "x", "ports": [{"external": 1.0}]}, "ports[0].internal", "is required"),
        (Container(), {"image": "x", "memory": "64"}, "memory", "must be a whole number, not a string"),
        (Container(), {"image": "x", "memory": 1.5}, "memory", "must be a whole number"),
        (Container(), {"image": "x", "memory": -1.0}, "memory", "must be at least 0"),
        (Container(), {"image": "x", "start": "yes"}, "start", "must be true or false"),
        (Container(), {"image": "x", "restart": "never"}, "restart", "must be one of no, on-failure"),
        (Container(), {"image": "x", "envs": {"A": "b"}}, "envs", "must be a list of strings, not an object"),
        (Container(), {"image": "x", "command": ["a", ""]}, "command", "may not be empty"),
        (Container(), {"image": "x", "uploads": [{"file": "/a"}]}, "uploads[0]", "one of `content`"),
        (
            Container(),
            {"image": "x", "uploads": [{"file": "/a", "content": "a", "contentBase64": "YQ=="}]},
            "uploads[0]",
            "only one of `content`",
        ),
        (
            Container(),
            {"image": "x", "uploads": [{"file": "/a", "contentBase64": "%"}]},
            "uploads[0].contentBase64",
            "no base64",
        ),
        (
            Container(),
            {"image": "x", "uploads": [{"file": "/a", "content": "a", "permissions": "rw"}]},
            "uploads[0].permissions",
            "must be octal",
        ),
        (
            Container(),
            {"image": "x", "mounts": [{"type": "volume", "target": "/a", "tmpfsOptions": {"mode": 448.0}}]},
            "mounts[0].tmpfsOptions",
            "is only for mounts of type tmpfs, this one is of type volume",
        ),
        (
            Container(),
            {"image": "x", "healthcheck": {"tests": ["CMD", "true"], "interval": "5"}},
            "healthcheck.interval",
            "is no duration",
        ),
    ],
)
def test_what_is_wrong_is_named(kind: DockerType, inputs: Props, path: str, words: str) -> None:
    found = failures(kind, inputs)
    assert list(found) == [path]
    assert words in found[path]


def test_secrets_stay_wrapped_and_are_checked_inside() -> None:
    inputs: Props = {
        "image": Secret("nginx"),
        "envs": Secret([Secret("A=b"), "C=d"]),
        "uploads": [{"file": "/a", "content": Secret("text")}],
    }
    checked = check(Container(), inputs)
    assert not checked.failures
    assert checked.inputs["image"] == Secret("nginx")
    assert checked.inputs["envs"] == Secret([Secret("A=b"), "C=d"])
    assert "must be a string" in failures(Container(), {"image": Secret(1.0)})["image"]


def test_unknown_inputs_pass() -> None:
    inputs: Props = {
        "image": UNKNOWN,
        "envs": UNKNOWN,
        "uploads": [{"file": UNKNOWN, "content": UNKNOWN}],
        "ports": UNKNOWN,
        "mounts": [{"type": UNKNOWN, "target": "/a", "bindOptions": UNKNOWN}],
        "memory": UNKNOWN,
        "healthcheck": {"tests": UNKNOWN, "interval": UNKNOWN},
    }
    assert not check(Container(), inputs).failures


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: type(kind).__name__)
def test_a_preview_contacts_no_daemon(kind: DockerType) -> None:
    given: Props = {"name": "x", "image": "y"} if isinstance(kind, Container) else {"name": "x"}
    inputs = check(kind, given).inputs
    made = asyncio.run(kind.create(context(kind), inputs, True))
    assert made.id == ""
    for output in kind.outputs - given.keys():
        assert made.state[output] == UNKNOWN
    assert "__defaults" not in made.state
    output = max(kind.outputs)
    changed = asyncio.run(kind.update(context(kind), "id", {**made.state, output: "old"}, inputs, inputs, True))
    assert changed[output] == "old"


def test_a_port_that_docker_will_choose_is_unknown_in_a_preview() -> None:
    inputs = check(Container(), {"image": "y", "ports": [{"internal": 80.0}, {"internal": 81.0, "external": 82.0}]})
    state = asyncio.run(Container().create(context(Container()), inputs.inputs, True)).state
    ports = state["ports"]
    assert isinstance(ports, list)
    assert [port["external"] for port in ports if isinstance(port, dict)] == [UNKNOWN, 82.0]
