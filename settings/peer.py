"""A peer-to-peer program on a runtime's host, which is asked before the mirrors."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import AfterValidator

from settings.values import BaseUrl, RegistryNames, Settings


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} is there twice; remove one")
    return names


class Peer(Settings):
    """Spegel's or Dragonfly's endpoint: hosts give each other what they have, and ours what no host has.

    It is asked for manifests and blobs by their digests, never for what a tag is: that is ours to say, each time, so
    nobody gets an old image from a peer. Neither program is installed by this stack. What they must be told
    themselves: docs/scale.md.
    """

    url: BaseUrl
    """Where it listens as seen from the host, such as http://127.0.0.1:30020 (Spegel) or http://127.0.0.1:4001
    (Dragonfly)."""
    kind: Literal["spegel", "dragonfly"] = "spegel"
    """`spegel` gives what another host's containerd has, and answers 404 else; Docker does not ask it. `dragonfly`
    fetches itself what no host has, from our mirror, by whose URL it is told which one."""
    registries: Annotated[tuple[RegistryNames, ...], AfterValidator(_each_once)] = ()
    """Whose images peers give each other, as image references name them; if absent, all that are mirrored here and to
    which the host does not log in. Peers ask nobody who he is: whoever reaches one and knows a digest gets it. So a
    registry that asks for a login is one only where it is named here."""

    def stands_before(self, registry: str, *, mirrored: bool, login: bool) -> bool:
        """Whether it is asked for a registry's images. `login`: whether the host logs in there."""
        return registry in self.registries if self.registries else mirrored and not login


def stands_before(peer: Peer | None, registry: str, servers: Collection[str], logins: Collection[str]) -> Peer | None:
    """The peer where it is asked for images of a registry that `servers` mirror; `logins`: where the host has one."""
    login = bool({registry, *servers} & set(logins))
    return peer if peer and peer.stands_before(registry, mirrored=bool(servers), login=login) else None
