"""An application's container on a host of yours, pulled from the registry of another stack."""

from __future__ import annotations

import pulumi
import pulumi_docker as docker

from registry_outputs.contract import PullCredentials
from registry_outputs.reader import RegistryOutputs

config = pulumi.Config()
registry = RegistryOutputs.of(pulumi.StackReference(config.require("registry")))


def logins(found: PullCredentials | None) -> list[docker.ProviderRegistryAuthArgs]:
    """None where anybody may pull."""
    if found is None:
        return []
    return [
        docker.ProviderRegistryAuthArgs(address=found["server"], username=found["username"], password=found["password"])
    ]


def ssh_options() -> list[str]:
    """The host's key must be known."""
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes"]
    if known_hosts := config.get("known_hosts"):
        options.append(f"UserKnownHostsFile={known_hosts}")
    return [word for option in options for word in ("-o", option)]


host = docker.Provider(
    "host",
    host=config.require("host"),
    ssh_opts=ssh_options(),
    registry_auth=registry.pull_credentials.apply(logins),
)
on_host = pulumi.ResourceOptions(provider=host)
port = config.require_int("port")
image = docker.RemoteImage("image", name=registry.image(config.require("image")), opts=on_host)
app = docker.Container(
    "app",
    name="app-infra",
    image=image.image_id,
    ports=[docker.ContainerPortArgs(internal=port, external=port)],
    restart="unless-stopped",
    must_run=True,
    opts=on_host,
)

pulumi.export("image", image.repo_digest)
