"""The lab's table of hosts, and what is derived from it. That hosts boot and are reached needs a real `lab/up`."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

import lab
from lab import capabilities, cgroups, hostimage, machines, networks, ssh
from lab.binaries import PROGRAMS
from lab.machines import Container

if TYPE_CHECKING:
    from lab.docker import Docker


def test_names_and_addresses_are_unique_and_inside_their_network() -> None:
    assert len({host.name for host in lab.HOSTS}) == len(lab.HOSTS)
    assert len({host.ssh_address for host in lab.HOSTS}) == len(lab.HOSTS)
    for host in lab.HOSTS:
        assert ipaddress.ip_address(host.address) in ipaddress.ip_network(host.network.subnet)
        assert ipaddress.ip_address(host.address6) in ipaddress.ip_network(host.network.subnet6)
        if host.second:
            assert ipaddress.ip_address(host.second[1]) in ipaddress.ip_network(host.second[0].subnet)


def test_ssh_is_published_on_loopback_only() -> None:
    assert all(ipaddress.ip_address(host.ssh_address).is_loopback for host in lab.HOSTS)
    assert lab.host("registry").ssh_address == "127.0.1.11"
    assert lab.host("outsider").ssh_address == "127.0.2.31"


def test_an_unknown_host_is_answered_with_the_names() -> None:
    with pytest.raises(KeyError, match="no host 'nobody' in the lab; there are hub, registry"):
        lab.host("nobody")


def test_the_machine_is_the_first_address_of_a_network() -> None:
    assert [network.gateway for network in lab.NETWORKS] == ["192.168.1.1", "192.168.2.1"]


def test_a_host_runs_systemd_with_the_capabilities_this_process_may_give() -> None:
    arguments = machines.create_arguments(lab.host("docker1"), "image:1", ["NET_ADMIN", "SYS_ADMIN"])
    assert "--privileged" not in arguments
    assert [word for word in arguments if word.startswith("--cap-add")] == [
        "--cap-add=NET_ADMIN",
        "--cap-add=SYS_ADMIN",
    ]
    assert arguments[arguments.index("image:1") + 1] == "/usr/local/sbin/lab-boot"
    assert arguments[arguments.index("--publish") + 1] == "127.0.1.21:2222:22"
    assert arguments[arguments.index("--ip") + 1] == "192.168.1.21"
    assert arguments[arguments.index("--ip6") + 1] == "fd00:192:168:1::21"
    assert "nginx.service" not in arguments


def test_only_a_host_with_a_route_gets_one() -> None:
    assert machines.host_files(lab.host("outsider"), "key\n") == {
        "root/.ssh/authorized_keys": "key\n",
        "etc/lab-route": (
            "DESTINATION=192.168.1.0/24\nVIA=192.168.2.11\nDESTINATION6=fd00:192:168:1::/64\nVIA6=fd00:192:168:2::11\n"
        ),
    }
    assert list(machines.host_files(lab.host("docker1"), "key\n")) == ["root/.ssh/authorized_keys"]
    assert machines.create_arguments(lab.host("outsider"), "i", [])[-1] == "lab-route.service"


def test_a_host_made_anew_leaves_no_old_key_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_REGISTRY_LAB_DIR", str(tmp_path))
    kept = ssh.host_key_file(lab.host("hub"))
    kept.parent.mkdir()
    kept.write_text("ssh-ed25519 OLD\n")

    def interrupted(*arguments: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        machines.create(cast("Docker", interrupted), lab.host("hub"), Path)
    assert not kept.exists()


DOCKER_DROP_IN = "etc/systemd/system/docker.service.d/lab.conf"
BUILDKIT_SERVICE = "etc/systemd/system/buildkit.service"
OBJECT_STORE = "etc/systemd/system/versitygw.service"
CONTAINERD_DROP_IN = "etc/systemd/system/containerd.service.d/lab.conf"


def test_a_host_with_programs_of_its_own_runs_them_in_place_of_debians() -> None:
    assert [host.name for host in lab.HOSTS if host.programs] == ["hub", "containerd2", "docker2"]
    assert list(machines.host_files(lab.host("hub"), "key\n")) == ["root/.ssh/authorized_keys", OBJECT_STORE]
    own = {name: machines.host_files(lab.host(name), "key\n") for name in ("containerd2", "docker2")}
    assert list(own["containerd2"]) == ["root/.ssh/authorized_keys", CONTAINERD_DROP_IN]
    assert list(own["docker2"]) == [
        "root/.ssh/authorized_keys",
        CONTAINERD_DROP_IN,
        "etc/docker/daemon.json",
        DOCKER_DROP_IN,
        BUILDKIT_SERVICE,
    ]
    assert json.loads(own["docker2"]["etc/docker/daemon.json"]) == {"features": {"time-namespaces": False}}
    for files in own.values():
        assert "ExecStart=\nExecStart=/usr/local/bin/containerd\n" in files[CONTAINERD_DROP_IN]
    assert "ExecStart=\nExecStart=/usr/local/bin/dockerd " in own["docker2"][DOCKER_DROP_IN]


def test_what_debian_ships_for_an_older_program_goes_before_the_first_boot_only() -> None:
    for name in ("containerd2", "docker2"):
        arguments = machines.create_arguments(lab.host(name), "i", [])
        script = '[ -e /etc/lab-booted ] || rm -f /etc/containerd/config.toml; exec "$@"'
        command = arguments[arguments.index("i") + 1 :]
        assert command == ["sh", "-c", script, "sh", machines.BOOT, *lab.host(name).services]


def test_programs_are_on_a_host_before_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_REGISTRY_LAB_DIR", str(tmp_path))
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(ssh, "public_key", lambda: "key\n")
    machines.create(cast("Docker", lambda *call: calls.append(call)), lab.host("docker2"), lambda name: tmp_path / name)
    container = lab.host("docker2").container
    assert [call[0] for call in calls] == ["create", "cp", "cp", "cp", "cp", "start"]
    assert calls[2:5] == [
        ("cp", f"{tmp_path}/containerd/.", f"{container}:/usr/local/bin/"),
        ("cp", f"{tmp_path}/dockerd/.", f"{container}:/usr/local/bin/"),
        ("cp", f"{tmp_path}/buildkit/.", f"{container}:/usr/local/bin/"),
    ]


def test_a_host_made_from_another_image_or_other_programs_is_outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    now = hostimage.tag()
    hub, label = (
        next(word for word in machines.create_arguments(lab.host(name), now, []) if ".programs=" in word)
        for name in ("hub", "docker2")
    )
    assert all(f"{PROGRAMS[name].target.name}-" in label for name in ("containerd", "dockerd", "buildkit"))
    listed = [
        ("hub", now, f",{hub}"),
        ("registry", "http-registry-lab/host:older", ""),
        ("docker1", now, ",maintainer=a=b"),
        ("containerd2", now, ",http-registry-lab.programs=containerd-older"),
        ("docker2", now, f",{label}"),
    ]
    lines = [
        {
            "Names": lab.host(name).container,
            "State": "running",
            "Image": image,
            "Labels": networks.label() + labels,
        }
        for name, image, labels in listed
    ]
    found = machines.containers(cast("Docker", lambda *_: "\n".join(map(json.dumps, lines))))
    assert [name for name, container in found.items() if container.outdated] == ["registry", "containerd2"]


def test_a_host_that_never_ran_is_made_anew() -> None:
    found = {host.name: Container("exited" if host.name == "hub" else "running") for host in lab.HOSTS}
    assert machines.missing(found) == []
    found["docker2"] = Container("created")
    del found["registry"]
    assert [host.name for host in machines.missing(found)] == ["registry", "docker2"]


def test_each_hierarchy_of_cgroups_v1_is_mounted_by_itself() -> None:
    version1 = [Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/systemd")]
    assert machines.cgroup_arguments(version1) == [
        *("--tmpfs", "/sys/fs/cgroup"),
        *("--volume", "/sys/fs/cgroup/cpu:/sys/fs/cgroup/cpu:rw"),
        *("--volume", "/sys/fs/cgroup/systemd:/sys/fs/cgroup/systemd:rw"),
    ]
    assert machines.cgroup_arguments([cgroups.ROOT]) == ["--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]


@pytest.mark.parametrize(
    ("mask", "names"),
    [
        (0, []),
        (1 << 21, ["SYS_ADMIN"]),
        (0b11 | 1 << 37, ["CHOWN", "DAC_OVERRIDE", "AUDIT_READ"]),
        (0b111 << 38, []),  # PERFMON, BPF, CHECKPOINT_RESTORE: Docker 20.10 refuses them
    ],
)
def test_capabilities_of_a_mask(mask: int, names: list[str]) -> None:
    assert capabilities.from_mask(mask) == names


def test_known_hosts_names_the_published_addresses() -> None:
    text = ssh.known_hosts({"registry": "ssh-ed25519 AAAA root@registry\n"})
    assert text == "[127.0.1.11]:2222 ssh-ed25519 AAAA\n"


def test_ssh_config_lets_a_person_say_a_host_by_name(tmp_path: Path) -> None:
    config = ssh.config(tmp_path)
    assert "Host registry\n  HostName 127.0.1.11\n  Port 2222\n" in config
    assert f"UserKnownHostsFile {tmp_path}/known_hosts\n" in config


def test_the_lab_id_is_empty_without_a_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_REGISTRY_LAB_DIR", str(tmp_path))
    assert lab.lab_id() == ""
    (tmp_path / "id").write_text("0a1b\n")
    assert lab.lab_id() == "0a1b"
