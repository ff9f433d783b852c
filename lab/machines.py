"""The hosts' containers: made, started, waited for, removed."""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab import capabilities, cgroups, hostimage, networks, ssh
from lab.binaries import FOLDER, PROGRAMS, Program
from lab.cache import digest
from lab.docker import Docker
from lab.hosts import HOSTS, SSH_PORT, Host
from lab.paths import lab_dir
from lab.process import LabError
from lab.progress import say, step

BOOT_SECONDS = 90
VOLUMES = ("/var/lib/docker", "/var/lib/containerd")
PROGRAMS_LABEL = f"{networks.LABEL}.programs"
BOOT = "/usr/local/sbin/lab-boot"


def lab_id() -> str:
    """A random id of this set of hosts, new when any host is made anew; empty when there is no lab.

    What was recorded about hosts under another id describes hosts that are gone.
    """
    file = lab_dir() / "id"
    return file.read_text().strip() if file.exists() else ""


@dataclass(frozen=True)
class Container:
    """A host's container as Docker has it."""

    state: str
    """"running", "exited", …"""
    outdated: bool = False
    """Whether the host's image or its own programs are made differently by now."""


def containers(docker: Docker) -> dict[str, Container]:
    """The containers of the hosts that have one."""
    found = docker("ps", "--all", "--filter", f"label={networks.label()}", "--format", "{{json .}}")
    entries = {entry["Names"]: entry for entry in map(json.loads, found.splitlines())}
    return {host.name: _container(host, entries[host.container]) for host in HOSTS if host.container in entries}


def _container(host: Host, entry: Mapping[str, str]) -> Container:
    labels = dict(label.partition("=")[::2] for label in entry["Labels"].split(","))
    made_from = (entry["Image"], labels.get(PROGRAMS_LABEL, ""))
    return Container(entry["State"], outdated=made_from != (hostimage.tag(), _programs_label(host)))


def _programs(host: Host) -> list[Program]:
    return [PROGRAMS[name] for name in host.programs]


def _programs_label(host: Host) -> str:
    """What the host's own programs are made from, as its container's label has it."""
    return " ".join(f"{program.target.name}-{digest(program.files.values())}" for program in _programs(host))


def missing(found: Mapping[str, Container]) -> list[Host]:
    """The hosts that are to be made: without a container, or with one that never ran."""
    return [host for host in HOSTS if host.name not in found or found[host.name].state == "created"]


def create_arguments(host: Host, image: str, granted: Sequence[str]) -> list[str]:
    """The arguments of `docker create` for a host that runs systemd."""
    arguments = ["--name", host.container, "--hostname", host.name, "--label", networks.label()]
    arguments += ["--label", f"{PROGRAMS_LABEL}={_programs_label(host)}"] if host.programs else []
    arguments += ["--network", host.network.name, "--ip", host.address, "--ip6", host.address6]
    # A Docker whose own bridge has no IPv6 switches it off in a container.
    arguments += [f"--sysctl=net.ipv6.conf.{each}.disable_ipv6=0" for each in ("all", "default")]
    arguments += [word for other in HOSTS for word in ("--add-host", f"{other.name}:{other.address}")]
    arguments += ["--publish", f"{host.ssh_address}:{SSH_PORT}:22"]
    arguments += [f"--cap-add={name}" for name in granted]
    arguments += ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"]
    arguments += ["--stop-signal", "SIGRTMIN+3"]
    arguments += ["--cgroupns", "host", *cgroup_arguments(cgroups.hierarchies())]
    arguments += ["--device-cgroup-rule", "a *:* rwm"]
    arguments += ["--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec"]  # noqa: S108
    arguments += [word for volume in VOLUMES for word in ("--volume", volume)]
    units = [*host.services, *(["lab-route.service"] if host.route else [])]
    return [*arguments, image, *_without(host), BOOT, *units]


def _without(host: Host) -> list[str]:
    """The command that takes what Debian ships for its older programs away, at the first boot, and goes on."""
    files = [file for program in _programs(host) for file in program.without]
    return ["sh", "-c", f'[ -e /etc/lab-booted ] || rm -f {" ".join(files)}; exec "$@"', "sh"] if files else []


def cgroup_arguments(hierarchies: Sequence[Path]) -> list[str]:
    """The mounts that give a host the machine's cgroups.

    Each hierarchy by itself: with cgroups v1 the folder over them is a tmpfs that systemd would remount read-only, on
    the machine as well.
    """
    over = [] if hierarchies == [cgroups.ROOT] else ["--tmpfs", str(cgroups.ROOT)]
    return [*over, *(word for path in hierarchies for word in ("--volume", f"{path}:{path}:rw"))]


def host_files(host: Host, public_key: str) -> Mapping[str, str]:
    """Files that only this host has: {path below /: content}."""
    files = {"root/.ssh/authorized_keys": public_key}
    if host.route:
        via6 = host.network.address6(host.route.via)
        files["etc/lab-route"] = (
            f"DESTINATION={host.route.to.subnet}\nVIA={host.route.via}\n"
            f"DESTINATION6={host.route.to.subnet6}\nVIA6={via6}\n"
        )
    for program in _programs(host):
        files |= {path: source.read_text() for path, source in program.files.items()}
    return files


def create(docker: Docker, host: Host, built: Callable[[str], Path]) -> None:
    """Make a host's container, with its own files and programs in place, and start it. Its host key is a new one."""
    programs = [built(name) for name in host.programs]
    ssh.host_key_file(host).unlink(missing_ok=True)
    docker("create", *create_arguments(host, hostimage.tag(), capabilities.bounding()))
    with tempfile.TemporaryDirectory() as folder:
        for path, content in host_files(host, ssh.public_key()).items():
            file = Path(folder) / path
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if ".ssh" in path else 0o755)
            file.write_text(content)
            file.chmod(0o600 if ".ssh" in path else 0o644)
        (Path(folder) / "root").chmod(0o700)
        docker("cp", "--archive", f"{folder}/.", f"{host.container}:/")
    for binary_folder in programs:
        docker("cp", f"{binary_folder}/.", f"{host.container}:{FOLDER}/")
    if host.second:
        network, address = host.second
        docker("network", "connect", "--ip", address, "--ip6", network.address6(address), network.name, host.container)
    docker("start", host.container)


def ensure(docker: Docker, found: Mapping[str, Container], built: Callable[[str], Path]) -> None:
    """Make the hosts that are missing, start those that stand still, and wait until all have booted.

    `built` waits for a program of lab/go and gives the folder of its binaries.
    """
    new = missing(found)
    unfinished = [host for host in new if host.name in found]
    if unfinished:
        docker("rm", "--force", "--volumes", *(host.container for host in unfinished))
    stopped = [host for host in HOSTS if host not in new and found[host.name].state != "running"]
    if new:
        (lab_dir() / "id").write_text(secrets.token_hex(8) + "\n")
        say(f"making {', '.join(host.name for host in new)}")
    if stopped:
        say(f"starting {', '.join(host.name for host in stopped)} again; they keep their file systems")
    outdated = [name for name, container in found.items() if container.outdated]
    if outdated:
        say(f"{', '.join(outdated)}: made by another version of the lab; to renew them: lab/down && lab/up")
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        list(pool.map(lambda host: create(docker, host, built), new))
        list(pool.map(lambda host: docker("start", host.container), stopped))
        if new or stopped:
            with step("waiting for the hosts to boot"):
                list(pool.map(lambda host: wait(docker, host), HOSTS))
        else:
            list(pool.map(lambda host: wait(docker, host), HOSTS))
        fresh = [host for host in HOSTS if host in new or not ssh.host_key_file(host).exists()]
        list(pool.map(lambda host: _keep_host_key(docker, host), fresh))


def reinstall(docker: Docker, host: Host, built: Callable[[str], Path]) -> None:
    """Make a host anew: same name and address, empty disks, another host key. The lab's id stays."""
    docker("rm", "--force", "--volumes", host.container)
    create(docker, host, built)
    wait(docker, host)
    _keep_host_key(docker, host)


def wait(docker: Docker, host: Host) -> None:
    """Wait until the host's systemd says that it is running."""
    deadline = time.monotonic() + BOOT_SECONDS
    state = ""
    while time.monotonic() < deadline:
        probe = f"timeout {BOOT_SECONDS} systemctl is-system-running --wait || true"
        try:
            state = docker("exec", host.container, "sh", "-c", probe, timeout=BOOT_SECONDS + 10).strip()
        except LabError as error:
            state = str(error)
        if state == "running":
            return
        if state == "degraded":
            failed = docker("exec", host.container, "systemctl", "--failed", "--no-legend", "--plain")
            say(f"{host.name}: running, but these units failed:\n  {failed.strip()}")
            return
        time.sleep(0.3)
    raise LabError(
        f"{host.name} did not boot in {BOOT_SECONDS} s; its state is {state!r}."
        f"\nLook at: lab/host {host.name} journalctl -b; or make the hosts anew: lab/down && lab/up"
    )


def _keep_host_key(docker: Docker, host: Host) -> None:
    key = docker("exec", host.container, "cat", "/etc/ssh/ssh_host_ed25519_key.pub")
    file = ssh.host_key_file(host)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(key)


def remove(docker: Docker) -> None:
    """Remove all containers of the lab, with their volumes."""
    names = docker("ps", "--all", "--quiet", "--filter", f"label={networks.label()}").split()
    if names:
        docker("rm", "--force", "--volumes", *names)
    (lab_dir() / "id").unlink(missing_ok=True)
