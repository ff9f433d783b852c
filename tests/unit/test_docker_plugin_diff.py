"""Decides which changes update, which replace, and which are none."""

from __future__ import annotations

import asyncio

import pytest

from toolchain.plugins.docker.container import Container
from toolchain.plugins.docker.kind import DockerType
from toolchain.plugins.docker.network import Network
from toolchain.plugins.docker.remote_image import RemoteImage
from toolchain.plugins.docker.volume import Volume
from toolchain.plugins.shared.diff import Diff
from toolchain.plugins.shared.resource import Context, DiffRequest
from toolchain.plugins.shared.values import UNKNOWN, Props, Secret


def diff(kind: DockerType, old: Props, new: Props, ignore: tuple[str, ...] = ()) -> Diff:
    context = Context(urn=f"urn:pulumi:dev::project::{kind.token}::web")
    request = DiffRequest(id="id", old_state={}, old_inputs=old, new_inputs=new, ignore_changes=ignore)
    return asyncio.run(kind.diff(context, request))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"memory": 64.0}, {"memory": 128.0}),
        ({"restart": "no"}, {"restart": "always"}),
        ({"mustRun": False}, {"mustRun": True}),
        ({"start": True}, {"start": False}),
        ({"wait": False}, {"wait": True}),
        ({"destroyGraceSeconds": 1.0}, {"destroyGraceSeconds": 2.0}),
        ({"removeVolumes": True}, {"removeVolumes": False}),
        ({"tmpfs": {"/a": ""}}, {"tmpfs": {"/a": "size=1m"}}),
        ({"init": False}, {"init": True}),
        ({"cpuShares": 1.0}, {"cpuShares": 2.0}),
    ],
)
def test_a_container_changes_in_place(old: Props, new: Props) -> None:
    found = diff(Container(), old, new)
    assert found.changes
    assert not any(how.endswith("_REPLACE") for how in found.changes.values())
    assert not found.delete_before_replace


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ({"image": "a"}, {"image": "b"}, "image"),
        ({"image": "a"}, {"image": UNKNOWN}, "image"),
        ({"envs": ["A=1", "B=1"]}, {"envs": ["A=1", "B=2"]}, "envs[1]"),
        ({"command": ["a", "b"]}, {"command": ["b", "a"]}, "command[0]"),
        ({"name": "a"}, {"name": "b"}, "name"),
        (
            {"ports": [{"internal": 80.0, "external": 80.0}]},
            {"ports": [{"internal": 80.0, "external": 81.0}]},
            "ports[0].external",
        ),
        (
            {"uploads": [{"file": "/a", "content": "a"}]},
            {"uploads": [{"file": "/a", "content": "b"}]},
            "uploads[0].content",
        ),
        (
            {"labels": [{"label": "a", "value": "b"}]},
            {"labels": [{"label": "a", "value": "c"}]},
            "labels[0].value",
        ),
        ({"logOpts": {"max-size": "1m"}}, {"logOpts": {"max-size": "2m"}}, "logOpts.max-size"),
        ({}, {"user": "1000"}, "user"),
        ({"readOnly": False}, {"readOnly": True}, "readOnly"),
        ({"volumes": []}, {"volumes": [{"containerPath": "/a", "volumeName": "b"}]}, "volumes[0]"),
    ],
)
def test_a_container_is_replaced_and_deleted_first(old: Props, new: Props, path: str) -> None:
    found = diff(Container(), old, new)
    assert found.changes[path].endswith("_REPLACE")
    assert found.delete_before_replace


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"envs": ["A=1", "B=2"]}, {"envs": ["B=2", "A=1"]}),
        ({"envs": [Secret("A=1")]}, {"envs": Secret(["A=1"])}),
        ({"image": "a"}, {"image": Secret("a")}),
        ({}, {"privileged": False}),
        ({"user": ""}, {}),
        ({"memory": 0}, {}),
        ({"labels": []}, {}),
        ({"memory": 64}, {"memory": 64.0}),
        (
            {"ports": [{"internal": 80.0, "ip": "0.0.0.0", "__defaults": ["ip"]}]},
            {"ports": [{"internal": 80.0, "ip": "0.0.0.0"}]},
        ),
        (
            {"mounts": [{"target": "/a", "type": "bind"}, {"target": "/b", "type": "bind"}]},
            {"mounts": [{"target": "/b", "type": "bind", "readOnly": False}, {"target": "/a", "type": "bind"}]},
        ),
        ({"__defaults": ["name"]}, {"__defaults": []}),
    ],
)
def test_no_change(old: Props, new: Props) -> None:
    assert not diff(Container(), old, new).changes


def test_ignored_changes_are_none() -> None:
    assert not diff(Container(), {"image": "a"}, {"image": "b"}, ("image",)).changes


@pytest.mark.parametrize("kind", [Network(), Volume()])
def test_networks_and_volumes_are_replaced(kind: DockerType) -> None:
    explicit: Props = {"name": "n", "__defaults": []}
    automatic: Props = {"name": "n-1234567", "__defaults": ["name"]}
    for given, first in ((explicit, True), (automatic, False)):
        found = diff(kind, given, {**given, "driver": "other"})
        assert found.changes == {"driver": "ADD_REPLACE"}
        assert found.delete_before_replace is first
    assert not diff(kind, explicit, {**explicit, "name": "m"}).delete_before_replace


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"pullTriggers": ["a"]}, {"pullTriggers": ["b"]}, {"pullTriggers[0]": "UPDATE_REPLACE"}),
        ({"triggers": {"a": "1"}}, {"triggers": {"a": "2"}}, {"triggers.a": "UPDATE_REPLACE"}),
        ({"keepLocally": True}, {"keepLocally": False}, {"keepLocally": "UPDATE"}),
        ({}, {"forceRemove": True}, {"forceRemove": "ADD"}),
    ],
)
def test_a_remote_image(old: Props, new: Props, changes: dict[str, str]) -> None:
    found = diff(RemoteImage(), {"name": "x", **old}, {"name": "x", **new})
    assert found.changes == changes
