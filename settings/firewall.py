"""Who reaches which ports of the registries' hosts."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field

from settings.values import Interface, Network, Port, Settings

Entry = TypeVar("Entry", bound=Hashable)


def once(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """A check that no entry of a list is there twice."""
    twice = [each for each in entries if entries.count(each) > 1]
    if twice:
        raise ValueError(f"has {twice[0]} twice; remove one of them")
    return entries


Ports = Annotated[tuple[Port, ...], AfterValidator(once)]
Networks = Annotated[tuple[Network, ...], Field(min_length=1), AfterValidator(once)]


class Rule(Settings):
    """`ports` (TCP) are open to the networks in `allow`.

    A port that several rules name is open to whom one of them allows. Who asks a named port and is allowed by none of
    the rules that judge him is dropped.
    """

    ports: Annotated[Ports, Field(min_length=1)]
    """TCP ports of the host."""
    allow: Networks
    """Networks of both families; one that has none here gets nobody in."""
    interface: Interface | None = None
    """The rule judges only what comes in at this network interface of the host, which must be there; everything if
    absent."""


class Guard(Settings):
    """How a policy is put in place."""

    containers: bool = False
    """Whether containers of a registry host may ask its guarded ports, whatever their addresses are; else they are
    judged like anybody."""
    confirm_seconds: Annotated[int, Field(ge=10, le=600)] = 30
    """Seconds after which a changed policy, or SSH key, is taken back unless a new SSH connection has confirmed it."""
    force: bool = False
    """Whether a policy that shuts out the address which applies it is applied all the same, until it is taken back."""


class Firewall(Guard):
    """Who reaches the ports that this tier opens. Loopback and the host's own addresses always do."""

    allow: Networks
    """Who reaches the ports that the tier opens itself, and `extra_ports`."""
    extra_ports: Ports = ()
    """More ports of the registry hosts to guard in the same way, such as one that an application publishes."""
    rules: tuple[Rule, ...] = ()
    """More rules for the registry hosts, about these or other ports."""
