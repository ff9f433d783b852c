"""Decides how inputs become requests, and how an inspected container becomes properties again."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

from toolchain.plugins.docker.container import Container
from toolchain.plugins.docker.container_request import (
    create_request,
    taken_away,
    update_request,
    upload_archive,
)
from toolchain.plugins.docker.container_state import observed, outputs, published_ports
from toolchain.plugins.docker.durations import duration, nanoseconds
from toolchain.plugins.docker.images import registry_of, repo_digest
from toolchain.plugins.docker.masking import masked
from toolchain.plugins.shared.values import Props, Secret, Value

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"envs": ["A=b"]}, {"Env": ["A=b"]}),
        ({"command": ["a"], "entrypoints": ["b"]}, {"Cmd": ["a"], "Entrypoint": ["b"]}),
        ({"labels": [{"label": "a", "value": "b"}]}, {"Labels": {"a": "b"}}),
        (
            {"healthcheck": {"tests": ["CMD", "x"], "interval": "1m30s", "timeout": "0s", "retries": 3.0}},
            {"Healthcheck": {"Test": ["CMD", "x"], "Interval": 90 * 10**9, "Retries": 3}},
        ),
        ({"stopTimeout": 5.0}, {"StopTimeout": 5}),
    ],
)
def test_a_containers_config(given: dict[str, Any], part: dict[str, Any]) -> None:
    assert create_request({"image": "x", **given}) == {"Image": "x", **part, "HostConfig": _RESTART}


_RESTART = {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}}


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"memory": 64.0, "memorySwap": -1.0}, {"Memory": 64 * MIB, "MemorySwap": -1}),
        ({"shmSize": 1.0}, {"ShmSize": MIB}),
        ({"init": False}, {"Init": False}),
        ({"capabilities": {"adds": ["A"], "drops": ["B"]}}, {"CapAdd": ["A"], "CapDrop": ["B"]}),
        ({"logDriver": "local", "logOpts": {"a": "b"}}, {"LogConfig": {"Type": "local", "Config": {"a": "b"}}}),
        ({"hosts": [{"host": "a", "ip": "::1"}]}, {"ExtraHosts": ["a:::1"]}),
        ({"tmpfs": {"/run": "size=1m"}, "readOnly": True}, {"Tmpfs": {"/run": "size=1m"}, "ReadonlyRootfs": True}),
        (
            {"mounts": [{"type": "tmpfs", "target": "/t", "tmpfsOptions": {"sizeBytes": 9.0, "mode": 448.0}}]},
            {"Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 9, "Mode": 448}}]},
        ),
        (
            {
                "mounts": [
                    {
                        "type": "volume",
                        "target": "/t",
                        "source": "v",
                        "readOnly": True,
                        "volumeOptions": {"noCopy": True, "driverName": "d"},
                    }
                ]
            },
            {
                "Mounts": [
                    {
                        "Type": "volume",
                        "Target": "/t",
                        "Source": "v",
                        "ReadOnly": True,
                        "VolumeOptions": {"NoCopy": True, "DriverConfig": {"Name": "d"}},
                    }
                ]
            },
        ),
    ],
)
def test_a_containers_host_config(given: dict[str, Any], part: dict[str, Any]) -> None:
    assert create_request({"image": "x", **given})["HostConfig"] == {**_RESTART, **part}


def test_ports_and_volumes_are_in_both() -> None:
    body = create_request(
        {
            "image": "x",
            "ports": [
                {"internal": 80.0, "external": 8080.0, "ip": "127.0.0.1", "protocol": "tcp"},
                {"internal": 80.0, "ip": "0.0.0.0", "protocol": "tcp"},
            ],
            "volumes": [
                {"containerPath": "/a", "volumeName": "v"},
                {"containerPath": "/b", "hostPath": "/h", "readOnly": True},
                {"containerPath": "/c"},
            ],
        }
    )
    assert body["ExposedPorts"] == {"80/tcp": {}}
    assert body["Volumes"] == {"/a": {}, "/b": {}, "/c": {}}
    assert body["HostConfig"]["Binds"] == ["v:/a:rw", "/h:/b:ro"]
    assert body["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}, {"HostIp": "0.0.0.0", "HostPort": ""}]
    }


@pytest.mark.parametrize(
    ("old", "new", "body"),
    [
        ({"memory": 64.0}, {"memory": 64.0}, {}),
        ({"memory": 64.0}, {"memory": 128.0}, {"Memory": 128 * MIB, "MemorySwap": 256 * MIB}),
        ({"memory": 64.0, "memorySwap": -1.0}, {"memory": 128.0, "memorySwap": -1.0}, {"Memory": 128 * MIB}),
        ({}, {"restart": "always"}, {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}}),
        ({"cpuShares": 1.0}, {"cpuShares": 2.0, "wait": True}, {"CpuShares": 2}),
        ({"memory": 64.0}, {}, {}),
    ],
)
def test_an_update_says_what_changed(old: dict[str, Any], new: dict[str, Any], body: dict[str, Any]) -> None:
    assert update_request(old, new) == body


def test_a_limit_that_went_away_can_only_be_told() -> None:
    assert taken_away({"memory": 64.0, "cpuSet": "0"}, {"cpuSet": "0"}) == ["memory"]


@pytest.mark.parametrize(
    ("upload", "content", "mode"),
    [
        ({"content": "é"}, "é".encode(), 0o644),
        ({"contentBase64": "AP8="}, b"\x00\xff", 0o644),
        ({"content": "x", "executable": True}, b"x", 0o744),
        ({"content": "x", "executable": True, "permissions": "0600"}, b"x", 0o600),
    ],
)
def test_an_upload_is_a_file_in_a_tar(upload: dict[str, Any], content: bytes, mode: int) -> None:
    with tarfile.open(fileobj=io.BytesIO(upload_archive([{"file": "/etc/x", **upload}]))) as archive:
        (entry,) = archive.getmembers()
        file = archive.extractfile(entry)
        assert file is not None
        assert (entry.name.lstrip("/"), file.read(), entry.mode) == ("etc/x", content, mode)


def inspected(**host: Any) -> dict[str, Any]:
    """A running container as Docker 20.10 describes it."""
    return {
        "Id": "abc",
        "Name": "/web",
        "Image": "sha256:1",
        "Platform": "linux",
        "State": {"Running": True, "ExitCode": 0},
        "Config": {
            "Image": "nginx:1",
            "Hostname": "abc",
            "Cmd": ["nginx"],
            "Env": ["PATH=/bin"],
            "User": "",
            "WorkingDir": "/srv",
            "Healthcheck": {"Test": ["CMD", "x"], "Interval": 90 * 10**9},
        },
        "HostConfig": {
            "NetworkMode": "bridge",
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "LogConfig": {"Type": "json-file", "Config": {}},
            "ShmSize": 64 * MIB,
            **host,
        },
        "NetworkSettings": {
            "Bridge": "",
            "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}, {"HostIp": "::", "HostPort": "32768"}]},
            "Networks": {"bridge": {"IPAddress": "172.17.0.2", "IPPrefixLen": 16, "Gateway": "172.17.0.1"}},
        },
    }


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ({"name": "web", "networkMode": "bridge", "restart": "no", "memory": 0}, {}),
        ({"memory": 64.0, "memorySwap": 128.0}, {"Memory": 64 * MIB, "MemorySwap": 128 * MIB}),
        ({"memorySwap": 128.0}, {"MemorySwap": -1}),
        ({"capabilities": {"adds": ["net_admin", "SYS_TIME"]}}, {"CapAdd": ["CAP_SYS_TIME", "CAP_NET_ADMIN"]}),
        ({"healthcheck": {"tests": ["CMD", "x"], "interval": "90s", "timeout": "0s"}}, {}),
        ({"workingDir": "/srv/"}, {}),
        ({"securityOpts": ["a"], "privileged": True}, {"SecurityOpt": ["a", "label=disable"], "Privileged": True}),
        ({"dns": ["2", "1"]}, {"Dns": ["1", "2"]}),
        ({"hosts": [{"host": "a", "ip": "::1"}]}, {"ExtraHosts": ["a:::1"]}),
        (
            {"ports": [{"internal": 80.0, "ip": "0.0.0.0", "protocol": "tcp"}]},
            {"PortBindings": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": ""}]}},
        ),
        (
            {"mounts": [{"type": "bind", "target": "/t", "source": "/s", "bindOptions": {"__defaults": []}}]},
            {"Mounts": [{"Type": "bind", "Target": "/t", "Source": "/s"}]},
        ),
        ({"ulimits": [{"name": "n", "soft": 1.0, "hard": 2.0}]}, {"Ulimits": [{"Name": "n", "Soft": 1, "Hard": 2}]}),
        ({"envs": ["A=b"], "labels": [{"label": "a", "value": "b"}]}, {}),
    ],
)
def test_what_docker_has_in_another_form_has_not_drifted(given: Props, host: dict[str, Any]) -> None:
    assert Container().refreshed(given, observed(inspected(**host))) == given


@pytest.mark.parametrize(
    ("given", "host", "now"),
    [
        ({"memory": 64.0}, {"Memory": 32 * MIB}, {"memory": 32}),
        ({"restart": "no"}, {"RestartPolicy": {"Name": "always"}}, {"restart": "always"}),
        ({"name": "other"}, {}, {"name": "web"}),
        ({"command": Secret(["a"])}, {}, {"command": Secret(["nginx"])}),
        ({"privileged": True}, {}, {"privileged": False}),
    ],
)
def test_drift_is_what_docker_has(given: Props, host: dict[str, Any], now: Props) -> None:
    assert Container().refreshed(given, observed(inspected(**host))) == now


def test_outputs_of_a_running_container() -> None:
    seen = outputs(inspected())
    assert seen["networkDatas"] == [
        {
            "networkName": "bridge",
            "ipAddress": "172.17.0.2",
            "ipPrefixLength": 16,
            "gateway": "172.17.0.1",
            "globalIpv6Address": "",
            "globalIpv6PrefixLength": 0,
            "ipv6Gateway": "",
            "macAddress": "",
        }
    ]
    assert (seen["shmSize"], seen["logDriver"], seen["hostname"]) == (64, "json-file", "abc")
    assert "exitCode" not in seen
    assert seen["envs"] == []


def test_the_port_that_docker_chose_is_an_output() -> None:
    ports: Value = [{"internal": 80.0, "ip": "0.0.0.0", "protocol": "tcp"}]
    assert published_ports(ports, inspected()) == [
        {"internal": 80.0, "ip": "0.0.0.0", "protocol": "tcp", "external": 32768}
    ]


@pytest.mark.parametrize(
    ("text", "nanos", "canonical"),
    [
        ("0s", 0, "0s"),
        ("", 0, "0s"),
        ("500ms", 500_000_000, "500ms"),
        ("90s", 90 * 10**9, "1m30s"),
        ("1h", 3600 * 10**9, "1h0m0s"),
        ("1.5s", 1_500_000_000, "1.5s"),
    ],
)
def test_durations(text: str, nanos: int, canonical: str) -> None:
    assert nanoseconds(text) == nanos
    assert duration(nanos) == canonical


@pytest.mark.parametrize("text", ["5", "s", "1d", "1m 30s", "-1s"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        nanoseconds(text)


@pytest.mark.parametrize(
    ("name", "registry", "digest"),
    [
        ("nginx", "", "nginx@sha256:1"),
        ("library/nginx:1", "", ""),
        ("localhost/a:1", "localhost", ""),
        ("registry:5000/a/b:1", "registry:5000", "registry:5000/a/b@sha256:2"),
        ("registry.example.com/a@sha256:3", "registry.example.com", "registry.example.com/a@sha256:3"),
    ],
)
def test_image_names(name: str, registry: str, digest: str) -> None:
    digests = ["nginx@sha256:1", "registry:5000/a/b@sha256:2", "registry.example.com/a@sha256:3"]
    assert registry_of(name) == registry
    assert repo_digest(name, digests) == digest
    assert repo_digest(name, digests[:1]) == "nginx@sha256:1"
    assert repo_digest(name, []) == ""


def test_no_secret_is_in_a_text() -> None:
    inputs: Props = {
        "image": "nginx",
        "envs": ["OPEN=yes", Secret("PASSWORD=correct horse")],
        "uploads": [{"file": "/a", "content": Secret("first line\nsecond line\n")}],
    }
    text = "nginx OPEN=yes: PASSWORD=correct horse; correct horse; second line"
    assert masked(text, inputs) == "nginx OPEN=yes: [secret]; [secret]; [secret]"
