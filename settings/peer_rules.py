"""What a peer needs of the settings around it. Works on the raw data, as settings/contradictions.py does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from settings.pieces import Pieces
from settings.registries import CacheRegistry, HostedRegistry
from settings.runtimes import Runtime
from settings.tier import endpoint_server, server


def peer_contradictions(data: Mapping[str, Any]) -> Iterator[str]:
    """A line for each peer that nobody asks, and for each registry that it can't stand before."""
    pieces = Pieces(data)
    ours = {*_mirrored(pieces), *_hosted(pieces)}
    for path, runtime in pieces.runtimes:
        if runtime.peer is None:
            continue
        if not (runtime.containerd or (runtime.docker and runtime.peer.kind == "dragonfly")):
            asks = "containerd asks it" if runtime.peer.kind == "spegel" else "containerd and Docker ask it"
            yield f"{path}.peer.kind = {runtime.peer.kind!r}: only {asks}; add containerd: {{}}, or remove the peer"
        known = ours | _more(runtime)
        for index, name in enumerate(runtime.peer.registries):
            if name not in known:
                yield (
                    f"{path}.peer.registries.{index} = {name!r}: must be a registry that this host pulls from by this "
                    f"tier ({', '.join(sorted(known)) or 'none there'})"
                )


def hosted_peers(pieces: Pieces) -> Iterator[tuple[str, str]]:
    """The hosted registries whose images peers give each other, each with its key path."""
    hosted = _hosted(pieces)
    for path, runtime in pieces.runtimes:
        for index, name in enumerate(runtime.peer.registries if runtime.peer else ()):
            if name in hosted:
                yield f"{path}.peer.registries.{index}", name


def _mirrored(pieces: Pieces) -> set[str]:
    return {each.serves for _, each in pieces.registries if isinstance(each, CacheRegistry)}


def _more(runtime: Runtime) -> set[str]:
    return {each.serves for each in runtime.containerd.mirrors} if runtime.containerd else set()


def _hosted(pieces: Pieces) -> set[str]:
    """The hosted registries as image references name them."""
    addresses = {each.name: each.address for _, each in pieces.hosts}
    behind = {endpoint_server(each) for _, each in pieces.endpoints if each.registry in pieces.hosted}
    return behind | {
        server(addresses[each.host], each.port, each.scheme)
        for _, each in pieces.reached
        if isinstance(each, HostedRegistry) and each.host in addresses
    }
