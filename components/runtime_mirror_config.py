"""RuntimeMirrorConfig: a host's runtimes pull through this tier's mirrors, trust its authorities and log in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pulumi
import pulumi_command.remote as remote

from components.host import Host
from documents import authorities, buildkit_mirrors, containerd_mirrors, docker_cli, docker_mirrors
from documents.docker_relay import DockerRelay
from hostctl.masking import MASK
from settings.certificates import Certificate
from settings.runtimes import Runtime


@dataclass(frozen=True)
class RuntimeMirrorConfigArgs:
    """`mirrors`: a mirror's URL by the registry that it stands for. `hosted`: the URLs of registries of our own.

    `passwords`: those of the runtime's logins, by the names of their secrets. `authorities`: whom the host is to trust.
    `canaries`: the digest of the image that proves a mirror, by the registry that the mirror stands for.
    `containerd_metrics`: where containerd tells its own figures; empty: as the host has it.
    """

    host: Host
    runtime: Runtime
    mirrors: Mapping[str, str]
    hosted: Sequence[str]
    passwords: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)
    authorities: Sequence[Certificate] = ()
    canaries: Mapping[str, str] = field(default_factory=dict)
    containerd_metrics: str = ""


class Rendered(Protocol):
    """What a renderer makes: a wish for hostctl, and texts for people."""

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl."""

    def shown(self) -> dict[str, str]:
        """Path to text, for people."""


Renderer = Callable[[Mapping[str, str]], Rendered]
"""From passwords, by the names of their secrets."""


class RuntimeMirrorConfig(pulumi.ComponentResource):
    """Keys merged into the runtimes' own files, and files of ours."""

    documents: Mapping[str, str]
    """What is set in each file, by path; no passwords."""

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
        self._args = args
        self._by_unit: dict[str, Mapping[str, str]] = {}
        runtime, mirrors, hosted = args.runtime, args.mirrors, args.hosted
        cas: Mapping[str, str] = {}
        if args.authorities:
            trusted = authorities.render(args.authorities, runtime, self._hosts_toml())
            cas = trusted.cas()
            after = [self._unit("authorities", lambda _: trusted, after)]
        if runtime.docker:
            wanted = runtime.docker

            def docker(passwords: Mapping[str, str]) -> docker_mirrors.DockerMirrors:
                return docker_mirrors.render(
                    wanted, mirrors, hosted, passwords=passwords, cas=cas, canaries=args.canaries, peer=runtime.peer
                )

            def relay(passwords: Mapping[str, str]) -> DockerRelay:
                found = docker(passwords).relay
                assert found is not None
                return found

            before = list(after)
            if docker(self._masks).relay:
                before.append(self._unit("docker-relay", relay, after))
            self._unit("docker-mirrors", docker, before)
        if runtime.containerd:
            theirs = runtime.containerd

            def containerd(passwords: Mapping[str, str]) -> containerd_mirrors.ContainerdMirrors:
                return containerd_mirrors.render(
                    theirs,
                    mirrors,
                    hosted,
                    passwords=passwords,
                    cas=cas,
                    canaries=args.canaries,
                    metrics=args.containerd_metrics,
                    peer=runtime.peer,
                )

            self._unit("containerd-mirrors", containerd, after)
        if runtime.buildkit:
            builder = buildkit_mirrors.render(runtime.buildkit, mirrors, hosted, cas)
            self._unit("buildkit-mirrors", lambda _: builder, after)
        if runtime.cli:
            self._unit("docker-cli", lambda passwords: docker_cli.render(runtime.cli, passwords), after)
        self.documents = {path: text for texts in self._by_unit.values() for path, text in texts.items()}
        self.register_outputs(args.host.shows_units(self._by_unit))

    def _hosts_toml(self) -> list[str]:
        """The paths of containerd's files of ours, which name an authority themselves."""
        args = self._args
        if args.runtime.containerd is None:
            return []
        rendered = containerd_mirrors.render(args.runtime.containerd, args.mirrors, args.hosted, passwords=self._masks)
        return [each.path for each in rendered.files]

    @property
    def _masks(self) -> Mapping[str, str]:
        return dict.fromkeys(self._args.passwords, MASK)

    def _unit(self, unit: str, render: Renderer, after: Sequence[pulumi.Resource]) -> remote.Command:
        """Have hostctl make so what is rendered; people see it with masks for passwords."""
        self._by_unit[unit] = render(self._masks).shown()
        passwords = self._args.passwords
        wish: pulumi.Input[Mapping[str, Any]] = (
            pulumi.Output.all(**passwords).apply(lambda known: render(known).wish()) if passwords else render({}).wish()
        )
        return self._args.host.run_unit(unit, wish, self, depends_on=after)
