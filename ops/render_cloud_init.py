"""What was rendered for a machine as a cloud-init document, which makes it so at the first boot. Pure.

Modules packages, write_files and runcmd (https://docs.cloud-init.io/en/latest/reference/modules.html). Files with
`defer` are written behind the packages, whose services would else start with half of them, and whose accounts own some;
the commands come last.
"""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from ops.render_files import Placed, Rendered
from ops.render_machine import Machine

ALWAYS = ("python3",)
"""For the services that are programs of ours, and for the next `up`."""
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "authorities": ("ca-certificates",),
    "containerd-mirrors": ("containerd",),
    "docker-mirrors": ("docker.io",),
    "docker-relay": ("nginx-light",),
    "floating-address": ("keepalived",),
    "nginx-proxy": ("nginx-light",),
    "offline-sync": ("skopeo",),
    "origin": ("nginx-light",),
    "prometheus": ("prometheus",),
    "pull-metrics": ("prometheus-node-exporter",),
}
"""Debian's packages by the units that need them."""
PROGRAMS = {"docker.io": "docker", "containerd": "containerd", "nginx-light": "nginx"}
"""What a machine is described by, of the packages that have it."""
FIREWALLS = {"iptables": "iptables", "nft": "nftables"}
BUILDKIT = "buildkit-mirrors"
READABLE = 2000
"""Bytes up to which a text is left as it is."""


def packages(rendered: Rendered, machine: Machine) -> list[str]:
    """What has to be installed of Debian's; a program of another version is none of them."""
    needed = _needed(rendered)
    needed |= {FIREWALLS[machine.firewall]} if "firewall" in rendered.units else set()
    others = {package for package in needed if package in PROGRAMS and machine.differs(PROGRAMS[package])}
    return sorted((needed - others) | set(ALWAYS))


def to_bring(rendered: Rendered, machine: Machine) -> list[str]:
    """What the machine's image must have, since no package of Debian 12 is it."""
    named = {PROGRAMS[package] for package in _needed(rendered) if package in PROGRAMS}
    versions = [f"{name} {getattr(machine, name)}" for name in sorted(named) if machine.differs(name)]
    return versions + (["a BuildKit daemon"] if BUILDKIT in rendered.units else [])


def _needed(rendered: Rendered) -> set[str]:
    units = [*rendered.units, *(["docker-mirrors"] if rendered.containers else [])]
    return {package for unit in units for package in PACKAGES.get(unit, ())}


def document(rendered: Rendered, machine: Machine, title: str) -> str:
    """The whole text. `title`: what a reader is told first, on one line."""
    content: dict[str, Any] = {
        "package_update": True,
        "packages": packages(rendered, machine),
        "write_files": [_written(each) for each in rendered.files],
        "runcmd": list(_commands(rendered)),
    }
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=2**20, allow_unicode=True)
    return f"#cloud-config\n# {title}\n{text}"


def _written(each: Placed) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "path": each.path,
        "owner": f"{each.owner}:{each.group}",
        "permissions": f"{each.mode:04o}",
        "defer": True,
    }
    if each.added:
        entry["append"] = True
    if len(each.content) <= READABLE and _is_plain(each.content):
        return {**entry, "content": each.content.decode()}
    packed = b64encode(gzip.compress(each.content, mtime=0)).decode()
    return {**entry, "encoding": "gz+b64", "content": packed}


def _is_plain(content: bytes) -> bool:
    return all(32 <= each < 127 or each == 10 for each in content)


def _commands(rendered: Rendered) -> Iterable[list[str]]:
    alike: dict[tuple[str, ...], list[str]] = {}
    for each in rendered.folders:
        rights = ("-m", f"{each.mode:04o}", "-o", each.owner, "-g", each.group)
        alike.setdefault(rights, []).append(each.path)
    yield from (["install", "-d", *rights, *paths] for rights, paths in alike.items())
    yield from map(list, rendered.commands)
    if rendered.services:
        yield ["systemctl", "daemon-reload"]
        yield ["systemctl", "enable", *rendered.services]
    for service in rendered.services:
        yield ["systemctl", "restart", service]


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as such, commands on one."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


def _list(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.Node:
    flat = all(isinstance(each, str) for each in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=flat)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
