"""What any resource must keep, whoever's program declares it: the predicates of the settings' rules, asked of what
would really be made. Pure, and free of Pulumi."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from settings.predicates import METRICS_PORTS, is_pinned, is_public, is_public_address

UNKNOWN = object()
"""Stands for a value that only an update will know, and that is judged then."""

Properties = Mapping[str, Any]

CONTAINER = "docker:index/container:Container"
REMOTE_IMAGE = "docker:index/remoteImage:RemoteImage"
DOCKER = "pulumi:providers:docker"
REMOTE = ("command:remote:Command", "command:remote:CopyToRemote", "command:remote:CopyFile")


@dataclass(frozen=True)
class ResourceRule:
    """A rule. `name` and `says` are for people; `errors` gives a sentence for each place that breaks it in the
    properties of a resource of one of `types`."""

    name: str
    says: str
    types: tuple[str, ...]
    errors: Callable[[Properties], Iterator[str]]


def _image(properties: Properties) -> Iterator[str]:
    # A container has a name of its own beside its image; an image has only that.
    key = "image" if "image" in properties else "name"
    image = properties.get(key)
    if isinstance(image, str) and not is_pinned(image) and not properties.get("build"):
        yield f"{key} = {image!r}: may be another image tomorrow; name a digest or a tag of three numbers"


def _published(properties: Properties) -> Iterator[str]:
    for index, port in enumerate(_entries(properties.get("ports"))):
        numbers = [_number(port.get(key)) for key in ("external", "internal")]
        address = port.get("ip") or "0.0.0.0"  # noqa: S104  Docker's default
        found = next((each for each in numbers if each in METRICS_PORTS), None)
        if found and isinstance(address, str) and is_public_address(address):
            yield (
                f"ports.{index} = {found}: is the port of {METRICS_PORTS[found]}, and {address} is public; publish it "
                "on 127.0.0.1 or a private address"
            )


def _guarded(properties: Properties) -> Iterator[str]:
    """The rules of a firewall as they travel to the host: in the request to hostctl (documents/firewall_rules.py)."""
    request = _parsed(properties.get("stdin"))
    if not isinstance(request, Mapping) or request.get("unit") != "firewall":
        return
    wish = request.get("wish")
    for index, rule in enumerate(_entries(wish.get("rules") if isinstance(wish, Mapping) else None)):
        public = [each for each in rule.get("allow", ()) if is_public(each)]
        for port in rule.get("ports", ()):
            if port in METRICS_PORTS and public:
                yield (
                    f"stdin.wish.rules.{index} = {port}: is the port of {METRICS_PORTS[port]}, opened to public "
                    f"addresses ({', '.join(public)}); give it a rule of its own with private networks"
                )


def _host_key(properties: Properties) -> Iterator[str]:
    connection = properties.get("connection")
    hops = [("connection", connection)]
    if isinstance(connection, Mapping):
        hops.append(("connection.proxy", connection.get("proxy")))
    for path, hop in hops:
        if isinstance(hop, Mapping) and not hop.get("hostKey"):
            yield f"{path}.hostKey: is missing, so anybody may answer as that host; give the host's public key"


def _ssh_options(properties: Properties) -> Iterator[str]:
    host, options = properties.get("host"), _parsed(properties.get("sshOpts"))
    if not isinstance(host, str) or not host.startswith("ssh://") or options is UNKNOWN:
        return
    if _first_value(options, "stricthostkeychecking") != "yes":
        yield "sshOpts: lacks '-o StrictHostKeyChecking=yes', so ssh may take any host for this one; add it"
    if _first_value(options, "userknownhostsfile") == "/dev/null":
        yield "sshOpts: UserKnownHostsFile=/dev/null knows no host; name a file that holds the host's key"


def _first_value(options: object, name: str) -> str:
    """The value of an option as ssh takes it: the first counts."""
    for each in options if isinstance(options, list | tuple) else ():
        key, _, value = str(each).removeprefix("-o").strip().partition("=")
        if key.strip().lower() == name:
            return value.strip()
    return ""


def _entries(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list | tuple) else []


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _parsed(value: object) -> Any:
    """What JSON in a text says: a provider's lists, and a request to hostctl, travel so."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None


RESOURCE_RULES = (
    ResourceRule("container-image", "A container's image is pinned.", (CONTAINER, REMOTE_IMAGE), _image),
    ResourceRule("container-metrics", "No metrics port is published on a public address.", (CONTAINER,), _published),
    ResourceRule("firewall-metrics", "No metrics port is opened to public addresses.", REMOTE[:1], _guarded),
    ResourceRule("connection-host-key", "A command over SSH knows its host's key.", REMOTE, _host_key),
    ResourceRule("docker-host-key", "Docker's connection over SSH checks the host's key.", (DOCKER,), _ssh_options),
)
"""Every rule, of every tier and every project."""
