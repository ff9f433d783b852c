"""What a host serves, as the request has it (`ops.doctor.server.served`), and what findings about it have in common.

`endpoints`: what clients ask, each with `registry`, `name` (of the server), `port`, `passwords` (whether it asks for
some), `certificate` (its file on the host, or empty) and `nginx` (whether nginx or a container listens there).
`containers`: each with `name`, `registry`, `url` on this host. `caches`: those behind nginx and others, each with
`registry`, `upstream`, `user`, `origin` (whether the origin service fetches for it) and `ask` (what to ask it for, a
path behind its name, or empty). `stores`: each with `registry`, `url`. `folders`: what nginx keeps on disk.
`clients`: each with `name`, `address` and `asks`, a list of `name`, `port`, `allowed` (whether the settings let it in).
"""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Mapping

from doctor.finding import Finding
from hostctl.host import Host

Served = Mapping[str, Any]
Look = Callable[[Host, Served], Iterator[Finding]]


def endpoints(served: Served, registry: str = "", nginx: bool = False, passwords: bool = False) -> str:
    """What breaks, for the value `endpoints` of a finding: `name:port` of each endpoint, of one registry perhaps."""
    chosen: List[Mapping[str, Any]] = [
        each
        for each in served["endpoints"]
        if registry in ("", each["registry"]) and each["nginx"] >= nginx and each["passwords"] >= passwords
    ]
    return " ".join(f"{each['name']}:{each['port']}" for each in chosen)


def behind_nginx(served: Served) -> List[Mapping[str, Any]]:
    """The endpoints of nginx."""
    return [each for each in served["endpoints"] if each["nginx"]]
