"""Ansible and pyinfra, as people tune them, given the texts that ours has written."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from bench.fleet.hosts import Fleet

FORKS = 16
PLAY = """\
- hosts: all
  gather_facts: {facts}
  tasks:
    - name: the mirror's folder
      ansible.builtin.file: {{path: /etc/containerd/certs.d/docker.io, state: directory, mode: "0755"}}
    - name: the mirror
      ansible.builtin.copy: {{src: hosts.toml, dest: /etc/containerd/certs.d/docker.io/hosts.toml, mode: "0644"}}
    - name: containerd's configuration
      ansible.builtin.copy: {{src: config.toml, dest: /etc/containerd/config.toml, mode: "0644"}}
      notify: restart containerd
  handlers:
    - name: restart containerd
      ansible.builtin.command: systemctl restart containerd
"""
SETTINGS = f"""\
[defaults]
inventory = hosts
forks = {FORKS}
interpreter_python = /usr/bin/python3
[ssh_connection]
pipelining = True
control_path_dir = %s/control
ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=%s/known_hosts
"""
DEPLOY = """\
from pyinfra.operations import files, server

files.directory(path="/etc/containerd/certs.d/docker.io", mode="755")
files.put(src="hosts.toml", dest="/etc/containerd/certs.d/docker.io/hosts.toml", mode="644")
config = files.put(src="config.toml", dest="/etc/containerd/config.toml", mode="644")
server.shell(commands=["systemctl restart containerd"], _if=config.did_change)
"""


class Ansible:
    """ansible-playbook with pipelining and 16 forks. `facts`: gathered first, its default, and not needed here."""

    def __init__(self, folder: Path, programs: Path, agent: str, *, facts: bool = False) -> None:
        self.name = "ansible-facts" if facts else "ansible"
        self.folder = folder
        self._agent = agent
        self._program = programs / "ansible-playbook"
        folder.mkdir()
        (folder / "ansible.cfg").write_text(SETTINGS % (folder, folder))
        (folder / "play.yaml").write_text(PLAY.format(facts=str(facts).lower()))

    def prepare(self, fleet: Fleet) -> None:
        """The inventory."""
        (self.folder / "hosts").write_text("".join(f"{each.address} ansible_user=root\n" for each in fleet.hosts))
        (self.folder / "known_hosts").write_text(fleet.known_hosts)

    def want(self, port: int, texts: Mapping[str, str]) -> None:  # noqa: ARG002 - the port is in them
        """The files to copy."""
        _write(self.folder, texts)

    def command(self) -> list[str]:
        """The play."""
        return [str(self._program), "play.yaml"]

    def environment(self) -> Mapping[str, str]:
        """The agent that ssh asks."""
        path = f"{self._program.parent}{os.pathsep}{os.environ['PATH']}"
        return {"SSH_AUTH_SOCK": self._agent, "PATH": path, "ANSIBLE_LOCALHOST_WARNING": "False", "LC_ALL": "C.UTF-8"}


class Pyinfra:
    """pyinfra with 16 hosts at a time."""

    name = "pyinfra"

    def __init__(self, folder: Path, programs: Path, agent: str) -> None:
        self.folder = folder
        self._agent = agent
        self._program = programs / "pyinfra"
        folder.mkdir()
        (folder / "deploy.py").write_text(DEPLOY)

    def prepare(self, fleet: Fleet) -> None:
        """The inventory."""
        known = str(self.folder / "known_hosts")
        login = {"ssh_user": "root", "ssh_known_hosts_file": known, "ssh_strict_host_key_checking": "yes"}
        hosts = [(each.address, login) for each in fleet.hosts]
        (self.folder / "inventory.py").write_text(
            f"hosts = {json.dumps(hosts)}\nhosts = [tuple(each) for each in hosts]\n"
        )
        Path(known).write_text(fleet.known_hosts)

    def want(self, port: int, texts: Mapping[str, str]) -> None:  # noqa: ARG002 - the port is in them
        """The files to copy."""
        _write(self.folder, texts)

    def command(self) -> list[str]:
        """The deploy."""
        return [str(self._program), "--yes", "--parallel", str(FORKS), "inventory.py", "deploy.py"]

    def environment(self) -> Mapping[str, str]:
        """The agent that paramiko asks."""
        return {"SSH_AUTH_SOCK": self._agent}


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    for path, text in texts.items():
        (folder / Path(path).name).write_text(text)
