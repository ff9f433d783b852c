"""Which files of a host say already what settings want of its runtimes, and how the others would change. Pure.

By the code that decides it on the host: merges of daemon.json and config.toml, and the meaning of hosts.toml files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from documents import containerd_mirrors, docker_mirrors
from documents.document import Document
from hostctl import (
    certificates,
    containerd_imports,
    containerd_toml,
    containerd_versions,
    daemon_json,
    docker_engine,
    docker_says_already,
    hosts_toml_meaning,
)
from hostctl.errors import HostError
from hostctl.masking import MASK, masked
from hostctl.units.containerd_mirrors import second, wanted_by
from settings.runtimes import Runtime
from settings.tier import Tier

Texts = Mapping[str, str]


@dataclass(frozen=True)
class Agreed:
    """A file as it is, None where there is none, and as it would be; `why` where the host would refuse it.

    `shown`: the path by which `documents` has it. `is_whole`: whether all of it is ours.
    """

    unit: str
    path: str
    there: str | None
    coming: str | None
    shown: str
    why: str = ""
    is_whole: bool = False

    @property
    def says_it(self) -> bool:
        """Whether nothing changes in it."""
        return not self.why and self.there == self.coming


def agreement(tier: Tier, host: str, report: Mapping[str, Any]) -> list[Agreed]:
    """For each file of the runtimes of a host, which `adopt` has read."""
    runtime = next((each for each in tier.runtimes if each.host == host), None)
    if runtime is None:
        return []
    masks = {each.secret: MASK for each in runtime.logins}
    cas = {registry: certificates.path(each.name) for each in tier.authorities for registry in each.registries}
    return [*_docker(tier, runtime, masks, cas, report), *_containerd(tier, runtime, masks, cas, report)]


def _docker(tier: Tier, runtime: Runtime, masks: Texts, cas: Texts, report: Mapping[str, Any]) -> Iterator[Agreed]:
    docker = report["docker"]
    if runtime.docker is None or docker is None:
        return
    rendered = docker_mirrors.render(
        runtime.docker, tier.mirrors(), tier.hosted(), passwords=masks, cas=cas, peer=runtime.peer
    )
    wish = rendered.wish()
    engine = docker_engine.known(docker["version"], docker["store"])
    wanted = daemon_json.Wanted(
        () if engine.reads_hosts_toml else tuple(wish["registry_mirrors"]),
        tuple(wish["insecure_registries"]),
        wish["max_concurrent_downloads"],
        wish["debug"] or None,
        engine.loopback,
    )
    if wanted.keys:
        yield _merged("docker-mirrors", daemon_json.PATH, report, lambda base: daemon_json.merge(base, wanted)[0])
    for each in rendered.files:
        spared = docker_says_already.spares(_raw(report, daemon_json.PATH), each.path, each.text.encode())
        if engine.reads_hosts_toml is False or (engine.reads_hosts_toml and spared):  # not written then
            there = report["files"].get(each.path)
            yield Agreed("docker-mirrors", each.path, there, there, each.path)
        else:
            yield _own("docker-mirrors", each, each.path, report)


def _containerd(tier: Tier, runtime: Runtime, masks: Texts, cas: Texts, report: Mapping[str, Any]) -> Iterator[Agreed]:
    containerd = report["containerd"]
    if runtime.containerd is None or containerd is None:
        return
    rendered = containerd_mirrors.render(
        runtime.containerd,
        tier.mirrors(),
        tier.hosted(),
        passwords=masks,
        cas=cas,
        metrics=tier.containerd_metrics(runtime.host),
        peer=runtime.peer,
    )
    major, minor = map(int, containerd["version"].split(".")[:2])
    release = containerd_versions.release((major, minor))
    contents = [report["files"][each].encode() for each in containerd["imports"] if each in report["files"]]
    wanted = containerd_imports.beside(wanted_by(rendered.wish()), contents, release)
    path = containerd_versions.PATH
    yield _merged("containerd-mirrors", path, report, lambda base: containerd_toml.merge(base, wanted, release)[0])
    for each in rendered.files:
        other = second(each.path)
        there = other if each.path not in report["files"] and _same(each, other, report) else each.path
        yield _own("containerd-mirrors", each, there, report)


def _raw(report: Mapping[str, Any], path: str) -> bytes | None:
    text = report["files"].get(path)
    return None if text is None else str(text).encode()


def _merged(unit: str, path: str, report: Mapping[str, Any], merge: Any) -> Agreed:
    there = report["files"].get(path)
    try:
        coming = merge(_raw(report, path)).decode()
    except HostError as refused:
        return Agreed(unit, path, there, there or "", path, str(refused))
    return Agreed(unit, path, there, coming, path)


def _own(unit: str, document: Document, path: str, report: Mapping[str, Any]) -> Agreed:
    there = report["files"].get(path)
    if there is not None and _same(document, path, report):
        return Agreed(unit, path, there, there, document.path, is_whole=True)
    return Agreed(unit, path, there, masked(document.text), document.path, is_whole=True)


def _same(document: Document, path: str, report: Mapping[str, Any]) -> bool:
    there = report["files"].get(path)
    return there is not None and hosts_toml_meaning.same(path, there.encode(), masked(document.text).encode())
