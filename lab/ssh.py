"""The lab's SSH key, and what a client needs to reach the hosts with it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from lab.hosts import HOSTS, SSH_PORT, Host
from lab.paths import lab_dir, work_dir
from lab.process import run

KEY = "id_ed25519"


def private_key() -> Path:
    """The lab's private key, made at the first call."""
    key = lab_dir() / KEY
    if not key.exists():
        lab_dir().mkdir(parents=True, exist_ok=True)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "http-registry-lab", "-f", str(key)]
        run(command, what="making the lab's SSH key")
    return key


def public_key() -> str:
    """The public key's line for authorized_keys."""
    private_key()
    return (lab_dir() / f"{KEY}.pub").read_text()


def known_hosts(host_keys: Mapping[str, str]) -> str:
    """A known_hosts text from {host name: "ssh-ed25519 AAAA…"}, for the published addresses."""
    lines = []
    for host in HOSTS:
        if host.name in host_keys:
            kind, key = host_keys[host.name].split()[:2]
            lines.append(f"[{host.ssh_address}]:{SSH_PORT} {kind} {key}\n")
    return "".join(lines)


def config(folder: Path) -> str:
    """An ssh_config text: `ssh -F .work/lab/ssh_config registry`."""
    common = f"  Port {SSH_PORT}\n  User root\n  IdentityFile {folder / KEY}\n  IdentitiesOnly yes\n"
    common += f"  UserKnownHostsFile {folder / 'known_hosts'}\n  StrictHostKeyChecking yes\n"
    return "".join(f"Host {host.name}\n  HostName {host.ssh_address}\n{common}" for host in HOSTS)


def host_key_file(host: Host) -> Path:
    """Where the lab keeps a host's public key."""
    return lab_dir() / "host-keys" / f"{host.name}.pub"


def publish() -> None:
    """Write key, known_hosts and ssh_config into this checkout's work folder."""
    folder = work_dir()
    folder.mkdir(parents=True, exist_ok=True)
    keys = {host.name: file.read_text() for host in HOSTS if (file := host_key_file(host)).exists()}
    _write(folder / KEY, private_key().read_text())
    _write(folder / f"{KEY}.pub", public_key())
    _write(folder / "known_hosts", known_hosts(keys))
    _write(folder / "ssh_config", config(folder))


def withdraw() -> None:
    """Forget the hosts' keys. This checkout's known_hosts stays until the next `publish`: a preview reads it."""
    shutil.rmtree(lab_dir() / "host-keys", ignore_errors=True)


def _write(path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text and path.stat().st_mode & 0o077 == 0:
        return
    beside = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    beside.replace(path)
