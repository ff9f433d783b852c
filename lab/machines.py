"""The hosts' containers: made, started, waited for, removed."""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import capabilities, hostimage, ssh
from lab.docker import Docker
from lab.hosts import HOSTS, SSH_PORT, Host
from lab.networks import LABEL
from lab.paths import lab_dir
from lab.process import LabError
from lab.progress import say, step

BOOT_SECONDS = 90
VOLUMES = ("/var/lib/docker", "/var/lib/containerd")


def lab_id() -> str:
    """A random id of this set of hosts, new when any host is made anew; empty when there is no lab.

    What was recorded about hosts under another id describes hosts that are gone.
    """
    file = lab_dir() / "id"
    return file.read_text().strip() if file.exists() else ""


def states(docker: Docker) -> dict[str, str]:
    """Each host's container state ("running", "exited", …), for the hosts that have a container."""
    found = docker("ps", "--all", "--filter", f"label={LABEL}", "--format", "{{json .}}")
    containers = {entry["Names"]: entry["State"] for entry in map(json.loads, found.splitlines())}
    return {host.name: containers[host.container] for host in HOSTS if host.container in containers}


def create_arguments(host: Host, image: str, granted: Sequence[str]) -> list[str]:
    """The arguments of `docker create` for a host that runs systemd."""
    arguments = ["--name", host.container, "--hostname", host.name, "--label", f"{LABEL}={host.name}"]
    arguments += ["--network", host.network.name, "--ip", host.address]
    arguments += [word for other in HOSTS for word in ("--add-host", f"{other.name}:{other.address}")]
    arguments += ["--publish", f"{host.ssh_address}:{SSH_PORT}:22"]
    arguments += [f"--cap-add={name}" for name in granted]
    arguments += ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"]
    arguments += ["--stop-signal", "SIGRTMIN+3"]
    arguments += ["--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
    arguments += ["--device-cgroup-rule", "a *:* rwm"]
    arguments += ["--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec"]
    arguments += [word for volume in VOLUMES for word in ("--volume", volume)]
    units = [*host.services, *(["lab-route.service"] if host.route else [])]
    return [*arguments, image, "/usr/local/sbin/lab-boot", *units]


def host_files(host: Host, public_key: str) -> Mapping[str, str]:
    """Files that only this host has: {path below /: content}."""
    files = {"root/.ssh/authorized_keys": public_key}
    if host.route:
        files["etc/lab-route"] = f"DESTINATION={host.route.destination}\nVIA={host.route.via}\n"
    return files


def create(docker: Docker, host: Host) -> None:
    """Make a host's container, with its own files in place, and start it."""
    docker("create", *create_arguments(host, hostimage.tag(), capabilities.bounding()))
    with tempfile.TemporaryDirectory() as folder:
        for path, content in host_files(host, ssh.public_key()).items():
            file = Path(folder) / path
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if ".ssh" in path else 0o755)
            file.write_text(content)
            file.chmod(0o600 if ".ssh" in path else 0o644)
        (Path(folder) / "root").chmod(0o700)
        docker("cp", "--archive", f"{folder}/.", f"{host.container}:/")
    if host.second:
        network, address = host.second
        docker("network", "connect", "--ip", address, network.name, host.container)
    docker("start", host.container)


def ensure(docker: Docker, found: Mapping[str, str]) -> None:
    """Make the hosts that are missing, start those that stand still, and wait until all have booted."""
    missing = [host for host in HOSTS if host.name not in found]
    stopped = [host for host in HOSTS if found.get(host.name, "running") != "running"]
    if missing:
        (lab_dir() / "id").write_text(secrets.token_hex(8) + "\n")
        say(f"making {', '.join(host.name for host in missing)}")
    if stopped:
        say(f"starting {', '.join(host.name for host in stopped)} again; they keep their file systems")
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        list(pool.map(lambda host: create(docker, host), missing))
        list(pool.map(lambda host: docker("start", host.container), stopped))
        if missing or stopped:
            with step("waiting for the hosts to boot"):
                list(pool.map(lambda host: wait(docker, host), HOSTS))
        else:
            list(pool.map(lambda host: wait(docker, host), HOSTS))
        fresh = [host for host in HOSTS if host in missing or not ssh.host_key_file(host).exists()]
        list(pool.map(lambda host: _keep_host_key(docker, host), fresh))


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
    names = docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}").split()
    if names:
        docker("rm", "--force", "--volumes", *names)
    (lab_dir() / "id").unlink(missing_ok=True)
