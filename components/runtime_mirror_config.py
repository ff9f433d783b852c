"""RuntimeMirrorConfig: a host's Docker and containerd pull through this tier's mirrors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.host import Host
from documents import containerd_mirrors, docker_mirrors
from settings.tier import Runtime


@dataclass(frozen=True)
class RuntimeMirrorConfigArgs:
    """`mirrors`: a mirror's URL by the registry that it stands for. `hosted`: the URLs of registries of our own."""

    host: Host
    runtime: Runtime
    mirrors: Mapping[str, str]
    hosted: Sequence[str]


class RuntimeMirrorConfig(pulumi.ComponentResource):
    """Keys merged into the runtimes' own files, and hosts.toml files of ours."""

    documents: Mapping[str, str]
    """What is set in each file, by path."""

    def __init__(
        self,
        name: str,
        args: RuntimeMirrorConfigArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`after`: what must answer before a runtime is pointed at it."""
        super().__init__("http-registry:index:RuntimeMirrorConfig", name, None, opts)
        documents: dict[str, str] = {}
        if args.runtime.docker:
            docker = docker_mirrors.render(args.runtime.docker, args.mirrors, args.hosted)
            documents |= docker.shown()
            args.host.run_unit("docker-mirrors", docker.wish(), self, depends_on=after)
        if args.runtime.containerd:
            wanted = containerd_mirrors.render(args.runtime.containerd, args.mirrors, args.hosted)
            documents |= wanted.shown()
            args.host.run_unit("containerd-mirrors", wanted.wish(), self, depends_on=after)
        self.documents = documents
        self.register_outputs({})
