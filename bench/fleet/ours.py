"""Ours: `pulumi up` of a program with the product's components."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from bench.fleet.hosts import Fleet
from lab.process import run
from ops import many_hosts
from toolchain.engine import engine_environment

CHECKOUT = Path(__file__).resolve().parents[2]
LINKED = ("components", "documents", "hostctl", "registry_outputs", "settings", ".venv", "Pulumi.yaml")
LINKED_TOO = ("doctor", "garbage_collection", "offline_sync", "origin", "proxy_alive", "pull_metrics", "status_page")
STACK = "fleet"
REGISTRY = "registry"


class Ours:
    """A project folder of links, with a stack and a state of its own."""

    name = "pulumi"

    def __init__(self, folder: Path, agent: str) -> None:
        self.folder = folder
        self._agent = agent
        folder.mkdir()
        for each in (*LINKED, *LINKED_TOO):
            (folder / each).symlink_to(CHECKOUT / each)
        (folder / "__main__.py").symlink_to(Path(__file__).with_name("program.py"))
        for name in ("stacks", "state"):
            (folder / name).mkdir()
        self._environment: dict[str, str] = {}
        self._fleet: Fleet | None = None

    def environment(self) -> Mapping[str, str]:
        """A backend, a passphrase and an agent of its own, and what `make up` adds for so many hosts."""
        if not self._environment:
            self._environment = {
                **engine_environment(),
                "PULUMI_BACKEND_URL": f"file://{self.folder}/state",
                "PULUMI_CONFIG_PASSPHRASE": "of a bench",
                "SSH_AUTH_SOCK": self._agent,
            }
        hosts = len(self._fleet.hosts) if self._fleet else 0
        return {**self._environment, **many_hosts.variables(hosts)}

    def prepare(self, fleet: Fleet) -> None:
        """Who the hosts are."""
        self._fleet = fleet
        (self.folder / "known_hosts").write_text(fleet.known_hosts)

    def want(self, port: int, texts: Mapping[str, str]) -> None:  # noqa: ARG002 - they follow from the port
        """The stack's file; the texts follow from it."""
        assert self._fleet is not None
        fleet = self._fleet
        hosts = [{"name": each.name, "address": each.address} for each in fleet.hosts]
        settings = {
            "tier": "lab",
            "known_hosts": "known_hosts",
            "hosts": [{"name": REGISTRY, "address": "198.18.0.1", "ssh": {"host_key": fleet.host_key}}, *hosts],
            "image": {"reference": "registry:3.1.2"},
            "registries": [
                {
                    "kind": "cache",
                    "name": "hub-cache",
                    "host": REGISTRY,
                    "port": port,
                    "serves": "docker.io",
                    "upstream": "https://registry-1.docker.io",
                }
            ],
            "runtimes": [{"host": each["name"], "prove": False, "containerd": {}} for each in hosts],
            "firewall": {"allow": ["198.18.0.0/15"]},
        }
        file = self.folder / "stacks" / f"Pulumi.{STACK}.yaml"
        new = not file.exists()
        kept = {} if new else yaml.safe_load(file.read_text())
        file.write_text(
            yaml.safe_dump({**kept, "config": {f"http-registry:{key}": each for key, each in settings.items()}})
        )
        if new:
            init = ["pulumi", "stack", "init", STACK, "--no-select", "--non-interactive"]
            run(init, what="making the stack", env=dict(self.environment()), cwd=self.folder)

    def command(self) -> list[str]:
        """As `make up` runs it."""
        return ["pulumi", "up", "--stack", STACK, "--non-interactive", "--yes", "--skip-preview", "--suppress-outputs"]
