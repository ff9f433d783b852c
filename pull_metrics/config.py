"""The service's configuration, as documents/pull_metrics.py renders it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping, Tuple


class ConfigError(ValueError):
    """It can't be used; the text says why."""


@dataclass(frozen=True)
class Part:
    """Something that works or not. `url`: what answers where it works, with any status below 500. `ca`: PEM, whom it is
    believed besides those that everybody trusts. `name`: in its certificate, where the URL has an address."""

    kind: str
    name: str
    url: str
    ca: str = ""
    server: str = ""


@dataclass(frozen=True)
class Config:
    """`listen`: addresses. `log`: nginx's. `registries`: by the endpoint that serves them, (name, port). `caches`:
    which of them are caches. `folders`: what is measured, by (what, registry), with the most bytes that it may hold, 0
    where only the disk ends it. `certificates`: when each ends, seconds since 1970. `relayed`: URLs of this machine's
    own metrics that are passed on, by the path that asks for them. `state`, `page`: files of what is kept, and of what
    the status page shows."""

    stack: str
    generation: str
    listen: Tuple[str, ...]
    port: int
    log: str
    quiet: float
    registries: Mapping[Tuple[str, int], str]
    caches: Tuple[str, ...]
    folders: Mapping[Tuple[str, str], Tuple[str, int]]
    parts: Tuple[Part, ...]
    certificates: Mapping[str, float]
    relayed: Mapping[str, str]
    state: str
    page: str


def read(text: str) -> Config:
    """Raises ConfigError."""
    try:
        data: Mapping[str, Any] = json.loads(text)
        return Config(
            stack=data["stack"],
            generation=data["generation"],
            listen=tuple(data["listen"]),
            port=int(data["port"]),
            log=data["log"],
            quiet=float(data["quiet"]),
            registries={(each["server"], int(each["port"])): each["registry"] for each in data["endpoints"]},
            caches=tuple(data["caches"]),
            folders={(each["what"], each["registry"]): (each["path"], int(each["most"])) for each in data["folders"]},
            parts=tuple(Part(**each) for each in data["parts"]),
            certificates={name: float(end) for name, end in data["certificates"].items()},
            relayed=dict(data["relayed"]),
            state=data["state"],
            page=data["page"],
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as wrong:
        raise ConfigError(f"configuration: {type(wrong).__name__}: {wrong}") from None
