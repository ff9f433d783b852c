"""What was found on hosts, in the words of the settings. Pure data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ops.adopt.said import Said
from settings.tier import OWN_PORTS


@dataclass(frozen=True)
class Machine:
    """A host that was read. `entry`: what `hosts` has or is to have of it. `report`: what `adopt` there has told."""

    name: str
    address: str
    entry: Mapping[str, Any]
    report: Mapping[str, Any]

    @property
    def addresses(self) -> set[str]:
        """All that it is called by."""
        return {self.name, self.address, *(each.partition("/")[0] for each in self.report["addresses"])}

    def file(self, path: str) -> str:
        """The text of a file; empty where it is not there."""
        return str(self.report["files"].get(path, ""))


@dataclass(frozen=True)
class MirrorUse:
    """A runtime that asks `url`, then `more`, in the place of a registry."""

    registry: str
    url: str
    source: str
    more: tuple[str, ...] = ()
    only_containerd: bool = False


@dataclass(frozen=True)
class ServerUse:
    """A runtime that asks a registry by its own name."""

    url: str
    source: str


@dataclass
class Client:
    """The runtimes of one host. `docker`, `containerd`, `cli`: settings; None where there is nothing to adopt."""

    host: str
    docker: dict[str, Any] | None = None
    containerd: dict[str, Any] | None = None
    cli: list[dict[str, Any]] = field(default_factory=list)
    mirrors: list[MirrorUse] = field(default_factory=list)
    servers: list[ServerUse] = field(default_factory=list)


@dataclass
class Run:
    """A registry. `host`: a machine's name. `port`: where its container is on the host; `public`: for others too.

    `settings`: what else `registries` is to say. `inside`: where nginx may ask for it, as `host:port`.
    """

    name: str
    host: str
    port: int
    source: str
    serves: str = ""
    serves_source: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    guessed: bool = False
    """Whether what it serves is only told by its upstream's name: an upstream may be another's mirror."""
    public: bool = True
    inside: set[str] = field(default_factory=set)
    users: tuple[str, ...] = ()
    users_file: str = ""
    certificate: str = ""


@dataclass
class Site:
    """A server of somebody's nginx before a registry."""

    host: str
    port: int
    server_name: str
    registry: Run
    source: str
    certificate: str = ""
    users: tuple[str, ...] = ()
    users_file: str = ""
    anonymous_pull: bool = False
    redirect_from: int | None = None


@dataclass
class Notes:
    """`left`: what could not be expressed. `changes`: what taking over does, and which lines go. `secrets`: by name."""

    left: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """Files to copy below the project, by their paths there."""
    authorities: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By the server that one has signed for: where its certificate was found, and its text."""


def named(text: str, taken: set[str]) -> str:
    """A name of ours made of somebody's, another than those `taken`; it is taken then."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "adopted"
    name = (name if name[0].isalpha() else f"h-{name}")[:28].rstrip("-")
    found, number = name, 2
    while found in taken:
        found, number = f"{name}-{number}", number + 1
    taken.add(found)
    return found


def place(url: str) -> tuple[str, int]:
    """Host and port of a URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or OWN_PORTS[parts.scheme]


def login(registry: str, user: str, source: str, notes: Notes) -> dict[str, Any]:
    """A login, its secret told by name."""
    named_user = bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", user))
    password = user if named_user else re.sub(r"[^A-Za-z0-9._-]+", "-", user).strip("-._")
    notes.secrets.setdefault(f"password-{password}", f"the password of {user} at {registry}; now in {source}")
    entry: dict[str, Any] = {"registry": Said(registry, source), "user": Said(user, source)}
    if not named_user:
        entry["password"] = Said(password, "names the secret")
    return entry
