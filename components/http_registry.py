"""HttpRegistry: a registry in a container: one to push to, or a pull-through cache of one upstream."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_docker as docker

from components.host import FOLDER, Host
from documents import registry_config
from documents.firewall_rules import OWN_BRIDGE
from hostctl.masking import MASK
from settings.registries import HostedRegistry, Image, Registry


class RegistryBase(pulumi.ComponentResource):
    """What the registries of one host share: their image and their network."""

    image_id: pulumi.Output[str]
    """The image by its content, `sha256:…`."""
    network: pulumi.Output[str]
    """The network's name."""

    def __init__(
        self,
        name: str,
        host: Host,
        image: Image,
        archive: tuple[Path, str] | None,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`archive`: the file that holds the image and its SHA-256, or None to pull `image.reference`.

        `after`: what must be done with the host's Docker before.
        """
        super().__init__("http-registry:index:RegistryBase", name, None, opts)
        docker_opts = pulumi.ResourceOptions(parent=self, provider=host.docker, depends_on=list(after))
        if archive is None:
            pulled = docker.RemoteImage(f"{name}-image", name=image.reference, keep_locally=True, opts=docker_opts)
            self.image_id = pulled.image_id
        else:
            source, digest = archive
            target = f"{FOLDER}/registry-{digest[:16]}.tar"
            copied = host.copy(f"{name}-archive", source, target, parent=self)
            loaded = host.run_unit(
                "docker-image", {"archive": target, "image": image.reference}, self, depends_on=[copied, *after]
            )
            self.image_id = loaded.stdout.apply(lambda report: str(json.loads(report)["image_id"]))
        network = docker.Network(
            f"{name}-network",
            name="http-registry",
            driver="bridge",
            options={"com.docker.network.bridge.name": OWN_BRIDGE},
            labels=[docker.NetworkLabelArgs(label=key, value=value) for key, value in host.labels.items()],
            opts=docker_opts,
        )
        self.network = network.name
        self.register_outputs({"image_id": self.image_id, "network": self.network})


@dataclass(frozen=True)
class HttpRegistryArgs:
    """`loopback_only`: publish the port on 127.0.0.1, for a proxy on the same host, else on every address.

    `upstream_password`: a cache's login at its upstream, with `registry.upstream_user`.
    """

    registry: Registry
    host: Host
    base: RegistryBase
    loopback_only: bool
    upstream_password: pulumi.Output[str] | None = None


class HttpRegistry(pulumi.ComponentResource):
    """A registry's container and volume on a host's Docker."""

    documents: Mapping[str, str]
    """The rendered files by path, secrets masked."""

    def __init__(
        self,
        name: str,
        args: HttpRegistryArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`after`: what must be in place before the port opens, such as the firewall."""
        super().__init__("http-registry:index:HttpRegistry", name, None, opts)
        registry, host = args.registry, args.host
        masked = registry_config.render(registry, MASK)
        self.documents = {f"{name}:{registry_config.PATH}": masked}
        config: pulumi.Input[str] = masked
        if args.upstream_password is not None:
            config = args.upstream_password.apply(lambda known: registry_config.render(registry, known))
        keep = isinstance(registry, HostedRegistry) and registry.keep_data
        volume = docker.Volume(
            f"{name}-data",
            name=f"http-registry-{name}",
            labels=[docker.VolumeLabelArgs(label=key, value=value) for key, value in host.labels.items()],
            opts=pulumi.ResourceOptions(parent=self, provider=host.docker, retain_on_delete=keep),
        )
        container = docker.Container(
            f"{name}-container",
            name=f"http-registry-{name}",
            image=args.base.image_id,
            restart="unless-stopped",
            must_run=True,
            envs=["OTEL_TRACES_EXPORTER=none"],
            ports=[
                docker.ContainerPortArgs(
                    internal=registry_config.CONTAINER_PORT,
                    external=registry.port,
                    ip="127.0.0.1" if args.loopback_only else "0.0.0.0",  # noqa: S104  the firewall stands before it
                )
            ],
            uploads=[docker.ContainerUploadArgs(file=registry_config.PATH, content=config)],
            volumes=[docker.ContainerVolumeArgs(volume_name=volume.name, container_path=registry_config.DATA)],
            networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=args.base.network)],
            labels=[docker.ContainerLabelArgs(label=key, value=value) for key, value in host.labels.items()],
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "3"},
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=host.docker,
                depends_on=list(after),
                replace_on_changes=["healthcheck", "tmpfs", "init"],
                delete_before_replace=True,
            ),
        )
        self.register_outputs({"container": container.name})
