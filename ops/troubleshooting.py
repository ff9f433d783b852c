"""docs/troubleshooting.md, made of doctor's own catalogue, so that the two can't differ.

`python -m ops.troubleshooting` writes it.
"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.causes import AREAS, STATUS
from doctor.finding import Cause
from ops.doctor.found import PLACE
from ops.stack import PROJECT

PAGE = PROJECT / "docs" / "troubleshooting.md"
HEAD = """\
# Troubleshooting

A pull fails. Ask why, from this folder:

    make doctor                                     # every host: what the settings have it pull
    make doctor IMAGE=192.168.1.11/team/app:1       # this image, on every host
    make doctor IMAGE=library/app:1 HOST=docker1    # on one; the hosts that serve are asked too

Each host walks the way of a pull itself: what its runtime has in force, the name, the connection and its own firewall,
TLS, `/v2/` and the login, manifest and blobs, disk and clock; up to the first break. The hosts that serve look at
their nginx, registries, upstreams, certificates, disks and firewall meanwhile. Nothing is changed, and nothing stays
on a host. Each finding says where, the line that shows it, why, what to change, and what to type where; what others
see because of it stands below it. `JSON=1` gives one JSON document.

`python -m ops doctor` ends with 0 where nothing was found, 1 where a host could not be asked and nothing else was
found, 2 for a wrong question, else with the number of the first finding's area (make itself ends with 2 then):

| status | area | what is looked at |
| --- | --- | --- |
"""
LOOKED_AT = {
    "reference": "the image's name, before any host is asked",
    "runtime": "what Docker or containerd has in force, and whether that is what the settings want",
    "name": "the address that the host takes a server's name for",
    "connection": "TCP to the server's port, and the host's own firewall",
    "tls": "who the server says it is, and whether the runtime believes it",
    "access": "`/v2/`, the login, a token",
    "content": "the manifest for the host's platform, and its blobs",
    "host": "disk and clock",
    "server": "the host that serves: nginx, registry, origin, upstream, certificates, disk, firewall",
}
BEHIND = """
What doctor can't see: rules of routers and clouds between the hosts, and what a runtime does only under load. A host
to which ssh does not lead is said to be one. Where it finds nothing and a pull still fails, send its JSON along with
the runtime's own words.

## By what you see
"""
REPAIR = "make drift STACK=STACK; make up STACK=STACK"
FILLED = {
    "repair": REPAIR,
    "repair_canary": REPAIR,
    "certificates": "make certificates STACK=STACK RENEW=--renew",
    "restart": "RUNTIME",
}
"""Places whose commands the controller writes (ops.doctor.found.repairs)."""


def page() -> str:
    """The whole page."""
    return "\n".join(
        [*_head(), *_symptoms(), *(line for area, causes in AREAS.items() for line in _area(area, causes))]
    )


def shown(text: str) -> str:
    """A text of the catalogue whose {places} stand in capitals, as manual pages have them."""
    return PLACE.sub(lambda place: FILLED.get(place[1], place[1].upper()), text)


def _head() -> Iterator[str]:
    yield HEAD.rstrip("\n")
    for area in AREAS:
        yield f"| {STATUS[area]} | [{area}](#{area}) | {LOOKED_AT[area]} |"
    yield BEHIND


def _symptoms() -> Iterator[str]:
    yield "| it says | cause |"
    yield "| --- | --- |"
    for cause in (each for causes in AREAS.values() for each in causes):
        yield f"| {_cell(shown(cause.title))} | [{cause.name}](#{cause.name}) |"


def _area(area: str, causes: tuple[Cause, ...]) -> Iterator[str]:
    yield f"\n## {area}"
    for cause in causes:
        yield f"\n### {cause.name}\n"
        yield f"**{_plain(shown(cause.title))}**\n"
        yield f"{_plain(shown(cause.because))}\n"
        yield f"Fix: {_plain(shown(cause.fix))}"
        if cause.commands:
            yield ""
            yield from (f"    {shown(on)}# {shown(line)}" for on, line in cause.commands)
        if cause.said:
            yield "\nIn logs (regular expressions):\n"
            yield from (f"    {each}" for each in cause.said)
        if cause.explains:
            yield f"\nClients see: {', '.join(f'[{each}](#{each})' for each in cause.explains)}"


def _plain(text: str) -> str:
    """Outside of code, angle brackets and stars are not Markdown's here."""
    return text.replace("<", "&lt;").replace("*", r"\*")


def _cell(text: str) -> str:
    return _plain(text).replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(page() + "\n")
