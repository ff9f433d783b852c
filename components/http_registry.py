"""HttpRegistry: a registry in a container: one to push to, or a pull-through cache of one upstream."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_docker as docker

from components.host import FOLDER, Host
from documents import registry_config
from documents.firewall_rules import OWN_BRIDGE
from documents.registry_config import ContainerFile
from settings.metrics import debug_port
from settings.registries import HostedRegistry, Image, Registry
from settings.registry_files import RegistryFiles

DRAIN_SECONDS, DRAIN_SECONDS_ALONE = 300, 10
"""How long an update waits for the requests under way at a container that others stand in for, and at the only one, to
which pulls come on. The container itself lets them end for another `registry_config.DRAIN_SECONDS`."""


@dataclass(frozen=True)
class Archive:
    """A file that holds the registry's image. `digest`: the file's SHA-256; `image`: what names the image in it."""

    path: Path
    digest: str
    image: str


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
        archive: Archive | None,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`archive`: the file that holds the image, or None to pull `image.reference`.

        `after`: what must be done with the host's Docker before.
        """
        super().__init__("http-registry:index:RegistryBase", name, None, opts)
        docker_opts = pulumi.ResourceOptions(parent=self, provider=host.docker, depends_on=list(after))
        # Another image is another resource. Were the same one replaced, the plugin would have it deleted first, and the
        # engine all containers of it before that: they would go at once, not one by one.
        named_by = hashlib.sha256(f"{image.reference} {archive.image if archive else ''}".encode()).hexdigest()[:8]
        if archive is None:
            pulled = docker.RemoteImage(
                f"{name}-image-{named_by}", name=image.reference, keep_locally=True, opts=docker_opts
            )
            self.image_id = pulled.image_id
        else:
            target = f"{FOLDER}/registry-{archive.digest[:16]}.tar"
            copied = host.copy(f"{name}-archive", archive.path, target, parent=self)
            loaded = host.run_unit(
                "docker-image", {"archive": target, "image": image.reference}, self, depends_on=[copied, *after]
            )
            # Not from the report: it is unknown in a preview in which hostctl loads again what it had loaded.
            named = docker.RemoteImage(
                f"{name}-image-{named_by}",
                name=image.reference,
                triggers={"image": archive.image},
                keep_locally=True,
                opts=pulumi.ResourceOptions.merge(docker_opts, pulumi.ResourceOptions(depends_on=[loaded])),
            )
            self.image_id = named.image_id
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
    """`loopback_only`: publish the port on 127.0.0.1, for a proxy on the same host, else on every address. `metrics`:
    whether its own are published there as well.

    `files`: the texts of the files that the registry names. `secrets`: what `registry.secrets` names.
    """

    registry: Registry
    host: Host
    base: RegistryBase
    loopback_only: bool
    metrics: bool
    files: RegistryFiles
    secrets: Mapping[str, pulumi.Output[str]]


class HttpRegistry(pulumi.ComponentResource):
    """A registry's containers on a host's Docker, and its volume where it keeps its data there.

    Behind the proxy they are replaced one by one: each is drained, replaced, and has requests again once it answers,
    before the next one's turn. Where the first of them does not answer, the others are left as they are.
    """

    documents: Mapping[str, str]
    """The rendered files by path, secrets masked; the replicas have the same."""

    def __init__(
        self,
        name: str,
        args: HttpRegistryArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`after`: what must be in place before the port opens, such as the firewall."""
        earlier = pulumi.ResourceOptions(aliases=[pulumi.Alias(name=args.registry.name)])  # its name had no host
        super().__init__("http-registry:index:HttpRegistry", name, None, pulumi.ResourceOptions.merge(opts, earlier))
        self._args = args
        registry, host = args.registry, args.host
        masked = registry_config.render(registry, args.files, metrics=args.metrics)
        self.documents = {f"{registry.name}:{each.path}": each.text for each in masked}
        volumes = []
        if registry_config.in_volume(registry):
            keep = isinstance(registry, HostedRegistry) and registry.keep_data
            volume = docker.Volume(
                f"{name}-data",
                name=f"http-registry-{registry.name}",
                labels=[docker.VolumeLabelArgs(label=key, value=value) for key, value in host.labels.items()],
                opts=pulumi.ResourceOptions(parent=self, provider=host.docker, retain_on_delete=keep),
            )
            volumes = [docker.ContainerVolumeArgs(volume_name=volume.name, container_path=registry_config.DATA)]
        uploads = self._uploads(masked)
        containers: list[docker.Container] = []
        before: Sequence[pulumi.Resource] = after
        for index, port in enumerate(registry.ports, start=1):
            container, ready = self._replaced(name, index, port, volumes, uploads, before)
            containers.append(container)
            before = [*after, *ready]
        host.done += [each.id for each in containers]
        shown = {f"{name}-container{_suffix(index)}": self.documents for index in range(1, len(containers) + 1)}
        self.register_outputs({"container": containers[0].name, **host.shows(shown)})

    def _uploads(self, masked: Sequence[ContainerFile]) -> list[docker.ContainerUploadArgs]:
        registry, files, metrics = self._args.registry, self._args.files, self._args.metrics
        texts: list[pulumi.Input[str]] = [each.text for each in masked]
        if self._args.secrets:
            known = pulumi.Output.all(**self._args.secrets)
            rendered = known.apply(
                lambda secrets: [
                    each.text for each in registry_config.render(registry, files, secrets, metrics=metrics)
                ]
            )
            holding = {registry_config.PATH, registry_config.TLS_KEY}
            texts = [rendered[at] if each.path in holding else each.text for at, each in enumerate(masked)]
        return [
            docker.ContainerUploadArgs(file=each.path, content=text, permissions=f"{each.mode:04o}")
            for each, text in zip(masked, texts, strict=True)
        ]

    def _replaced(
        self,
        name: str,
        index: int,
        port: int,
        volumes: list[docker.ContainerVolumeArgs],
        uploads: list[docker.ContainerUploadArgs],
        after: Sequence[pulumi.Resource],
    ) -> tuple[docker.Container, Sequence[pulumi.Resource]]:
        """A container, and what must be done before the next one's turn."""
        made = self._made(port, volumes, uploads)
        if not self._args.loopback_only:
            container = self._container(name, index, made, after)
            return container, [container]
        registry, host, suffix = self._args.registry, self._args.host, _suffix(index)
        asked = {
            "registry": registry.name,
            "place": index,
            "container": f"http-registry-{registry.name}{suffix}",
            "scheme": registry.scheme,
            "port": port,
            "seconds": DRAIN_SECONDS if len(registry.ports) > 1 else DRAIN_SECONDS_ALONE,
        }
        # It changes whenever the container is replaced, so that it is drained then.
        wanted = pulumi.Output.all(**made).apply(_digest)
        drained = host.ask(
            f"{name}-container{suffix}-drained",
            "drain",
            wanted.apply(lambda digest: {**asked, "for": digest}),
            self,
            after,
        )
        container = self._container(name, index, made, [*after, drained])
        ready = host.ask(
            f"{name}-container{suffix}-ready",
            "admit",
            # Also when it was drained and not replaced, as by an `up` that was killed.
            pulumi.Output.all(container.id, drained.stdout).apply(lambda both: {**asked, "for": both}),
            self,
            [container],
        )
        return container, [ready]

    def _made(
        self,
        port: int,
        volumes: list[docker.ContainerVolumeArgs],
        uploads: list[docker.ContainerUploadArgs],
    ) -> dict[str, Any]:
        """What a container is made of: with any other it is replaced."""
        host, base = self._args.host, self._args.base
        return dict(
            image=base.image_id,
            envs=registry_config.environment(self._args.registry),
            ports=[
                docker.ContainerPortArgs(
                    internal=registry_config.CONTAINER_PORT,
                    external=port,
                    ip="127.0.0.1" if self._args.loopback_only else "0.0.0.0",  # noqa: S104  the firewall stands before it
                ),
                *self._debug_ports(port),
            ],
            uploads=uploads,
            volumes=volumes,
            networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=base.network)],
            labels=[docker.ContainerLabelArgs(label=key, value=value) for key, value in host.labels.items()],
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "3"},
        )

    def _container(
        self, name: str, index: int, made: Mapping[str, Any], after: Sequence[pulumi.Resource]
    ) -> docker.Container:
        """The first has no number in its name, so that it stays when replicas are added."""
        suffix = _suffix(index)
        return docker.Container(
            f"{name}-container{suffix}",
            name=f"http-registry-{self._args.registry.name}{suffix}",
            restart="unless-stopped",
            must_run=True,
            destroy_grace_seconds=registry_config.DRAIN_SECONDS + 5,
            **made,
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=self._args.host.docker,
                depends_on=list(after),
                replace_on_changes=["healthcheck", "tmpfs", "init"],
                delete_before_replace=True,
            ),
        )

    def _debug_ports(self, port: int) -> list[docker.ContainerPortArgs]:
        inner = registry_config.DEBUG_PORT
        outer = docker.ContainerPortArgs(internal=inner, external=debug_port(port), ip="127.0.0.1")
        return [outer] if self._args.metrics else []


def _suffix(index: int) -> str:
    """What the name of a registry's nth container ends with."""
    return "" if index == 1 else f"-{index}"


def _digest(made: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(made, sort_keys=True, default=vars).encode()).hexdigest()
