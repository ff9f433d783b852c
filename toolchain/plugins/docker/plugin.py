"""The resource types and the configuration of the offline `docker` plugin."""

# ruff: noqa: ARG002 - the interface has the argument, this implementation no use for it

from __future__ import annotations

from toolchain.plugins.docker.container import Container
from toolchain.plugins.docker.network import Network
from toolchain.plugins.docker.remote_image import RemoteImage
from toolchain.plugins.docker.settings import CONFIG_INPUTS, config_failures
from toolchain.plugins.docker.volume import Volume
from toolchain.plugins.shared import server
from toolchain.plugins.shared.plugin import Plugin
from toolchain.plugins.shared.resource import Checked
from toolchain.plugins.shared.values import Props


class DockerPlugin(Plugin):
    """Unlike the official plugin it contacts no daemon in Configure, so a preview needs none."""

    def __init__(self) -> None:
        types = [RemoteImage(), Container(), Network(), Volume()]
        super().__init__("docker", types, config_inputs=CONFIG_INPUTS)

    async def check_config(self, old: Props, new: Props) -> Checked:
        """Refuse what isn't supported, and a host or material that can't work."""
        return Checked(new, config_failures(new))


def main() -> None:
    """Serve the plugin to the engine."""
    server.main(DockerPlugin())
