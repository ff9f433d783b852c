"""Which pulls doctor walks on which host: the settings' own, or that of one image. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from doctor.pull import Image, Pull, Server, Wanted
from doctor.steps.asked import real
from documents.canary import canaries
from hostctl.canary import REPOSITORY, TAG
from settings.peer import stands_before
from settings.runtimes import Containerd, Docker, Login, Runtime
from settings.tier import Tier


def pulls(tier: Tier, host: str, image: Image | None) -> list[Pull]:
    """Those of one host, by each of its runtimes: of `image`, or of what the tier serves.

    Of each cache its canary, an image that only the proxy has; of a cache without the proxy, and of each hosted
    registry, its answer to the host's login.
    """
    return [
        pull
        for runtime in tier.runtimes
        if runtime.host == host
        for name in ("docker", "containerd")
        if getattr(runtime, name)
        for pull in _of_runtime(tier, runtime, name, image)
    ]


def _of_runtime(tier: Tier, runtime: Runtime, name: str, image: Image | None) -> Iterator[Pull]:
    if image:
        yield Pull(name, image, _wanted(tier, runtime, name, image.registry))
        return
    proved = canaries(tier)
    for registry in tier.mirrors():
        canary = Image(registry, REPOSITORY, TAG) if registry in proved else Image(registry, "")
        yield Pull(name, canary, _wanted(tier, runtime, name, registry))
    for url in tier.hosted():
        registry = urlsplit(url).netloc
        yield Pull(name, Image(registry, ""), _wanted(tier, runtime, name, registry))


def _wanted(tier: Tier, runtime: Runtime, name: str, registry: str) -> Wanted:
    settings: Docker | Containerd | None = runtime.docker if name == "docker" else runtime.containerd
    assert settings is not None
    hosted = [url for url in tier.hosted() if urlsplit(url).netloc == registry]
    mirror = tier.mirrors().get(registry)
    urls = hosted or [mirror] if mirror else hosted
    if isinstance(settings, Containerd):
        others = {each.serves: each.endpoints for each in settings.mirrors}
        urls = [*urls, *others.get(registry, () if urls else others.get("*", ()))]
    mirrors = [urlsplit(url).netloc for url in urls if url not in hosted]
    peer = stands_before(runtime.peer, registry, mirrors, [each.registry for each in settings.logins])
    asks = peer is not None and (name == "containerd" or (peer.kind == "dragonfly" and not hosted))
    urls = urls or [real(registry)]
    user = _user(runtime, settings, registry, urls)
    return Wanted(tuple(urls), user, settings.fallback, tuple(_servers(tier, urls)), peer.url if peer and asks else "")


def _servers(tier: Tier, urls: list[str]) -> Iterator[Server]:
    for each in tier.registries:
        proxied = tier.proxy is not None and tier.behind_proxy(each)
        host = tier.host(tier.proxy.host if tier.proxy and proxied else each.host)
        standby = tier.proxy.standby if tier.proxy and proxied else None
        address = (standby.address if standby else None) or host.address
        for url in tier.urls(each):
            if url in urls:
                yield Server(url, host.name, address, "nginx" if proxied else "")


def _user(runtime: Runtime, settings: Docker | Containerd, registry: str, urls: list[str]) -> str:
    """As whom it asks: by the runtime's own logins, else by root's of the command line, for the registry's name."""
    logins: list[Login] = list(settings.logins)
    if isinstance(settings, Docker):
        logins += [login for each in runtime.cli if each.user == "root" for login in each.logins]
    names = {registry, *(urlsplit(url).netloc for url in urls)}
    return next((each.user for each in logins if each.registry in names), "")


def document(pull: Pull) -> dict[str, Any]:
    """A pull as the request has it."""
    return {
        "runtime": pull.runtime,
        "image": pull.image._asdict(),
        "wanted": {
            **pull.wanted._asdict(),
            "urls": list(pull.wanted.urls),
            "servers": [each._asdict() for each in pull.wanted.servers],
        },
    }
