"""The causes that the step `name` can name."""

from __future__ import annotations

from typing import Tuple

from doctor.finding import Cause

LINE = ("{host}", "echo '{server_address} {name}' >> /etc/hosts")
FORGET = (
    "{host}",
    r"cp /etc/hosts /etc/hosts.before; sed -E '/^#/!s/[[:space:]]{name}([[:space:]]|$)/\1/g' /etc/hosts.before"
    " > /etc/hosts",
)
"""Written in place: where /etc/hosts is a mount, as in a container, nothing can take its place."""

CAUSES: Tuple[Cause, ...] = (
    Cause(
        "host-name-unknown",
        "dial tcp: lookup {name}: no such host",
        "This host can't find the address of {name}, which {runtime} asks by {said_by}.",
        "Put the name into the DNS, or name the server by its address: proxy.endpoints.N.server_name. Until then a "
        "line in /etc/hosts does it.",
        (LINE,),
        (r"no such host", r"lookup \S+( on \S+)?: (?!.*no route)", r"server misbehaving", r"name resolution"),
    ),
    Cause(
        "host-name-elsewhere",
        "{name} leads to another machine than the settings say",
        "This host takes {name} for {address}. The settings have the server at {server_address}, and who answers at "
        "{address} is not it.",
        "Mend the DNS or the line in /etc/hosts; where the server has moved, mend hosts.N.address in the settings.",
        (FORGET, LINE),
    ),
)
