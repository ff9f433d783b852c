"""Garbage collection on a registry's host: its program, and for each registry a configuration, a service, a timer.

systemd.timer(5), systemd.time(7), systemd.exec(5).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import garbage_collection
from documents.document import HEADER_LINE, Document
from documents.sandbox import SANDBOX
from hostctl.masking import MASK
from hostctl.unit import HEADER
from hostctl.units.garbage_collection import PREFIX, PROGRAM, SYSTEMD, config_file, service, timer
from hostctl.units.garbage_collection import GarbageCollection as unit
from settings.registries import S3, HostedRegistry, Registry
from settings.registry_files import RegistryFiles
from settings.values import seconds

UNIT = unit.name
MODULES = sorted(Path(garbage_collection.__file__).parent.glob("*.py"))


@dataclass(frozen=True)
class GarbageCollection:
    """`files`: the program, and each registry's. `schedules`: when, by registry."""

    files: tuple[Document, ...]
    schedules: Mapping[str, str]

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit garbage-collection."""
        return {"files": [each.as_wish() for each in self.files], "schedules": dict(self.schedules)}

    def shown(self) -> dict[str, str]:
        """Path to text, for people; of the program only its digest. Rendered with masks for secrets."""
        program = [each for each in self.files if each.path.startswith(PROGRAM)]
        digest = hashlib.sha256("\0".join(each.text for each in program).encode()).hexdigest()[:32]
        others = {each.path: each.text for each in self.files if each not in program}
        return {**others, PROGRAM: f"{len(program)} modules, sha256 {digest}\n"}


def collected(registries: Sequence[Registry], host: str) -> list[HostedRegistry]:
    """The registries of a host whose unused data is removed."""
    return [
        each
        for each in registries
        if isinstance(each, HostedRegistry) and each.host == host and each.garbage_collection
    ]


def render(
    registries: Sequence[HostedRegistry],
    files: Mapping[str, RegistryFiles],
    secrets: Mapping[str, str] | None = None,
    standbys: Mapping[str, Mapping[str, object]] | None = None,
) -> GarbageCollection:
    """What goes to the host of these registries.

    `files`: what the registries name, by their names. `secrets`: the values by their names; without them, masks.
    `standbys`: where a second proxy is asked whether it holds pushes off, by the registries' names.
    """
    documents = [Document(f"{PROGRAM}/{each.name}", HEADER_LINE + each.read_text()) for each in MODULES]
    schedules = {}
    for each in registries:
        assert each.garbage_collection
        schedules[each.name] = each.garbage_collection.schedule
        config = _config(each, files.get(each.name, RegistryFiles()), secrets)
        if standbys and each.name in standbys:
            config["standby"] = dict(standbys[each.name])
        documents += [
            Document(config_file(each.name), json.dumps({"//": HEADER, **config}, indent=2) + "\n", 0o600),
            Document(f"{SYSTEMD}/{service(each.name)}", HEADER_LINE + _service(each)),
            Document(f"{SYSTEMD}/{timer(each.name)}", HEADER_LINE + _timer(each.name, schedules[each.name])),
        ]
    return GarbageCollection(tuple(documents), schedules)


def _config(registry: HostedRegistry, files: RegistryFiles, secrets: Mapping[str, str] | None) -> dict[str, Any]:
    assert registry.garbage_collection
    rules = {
        "untagged": registry.garbage_collection.untagged,
        "spare": seconds(registry.garbage_collection.spare),
    }
    s3 = registry.storage.s3
    if s3 is None:
        return {**rules, "volume": f"http-registry-{registry.name}"}
    return {**rules, **bucket(registry.name, s3, files.authority, secrets)}


def bucket(name: str, s3: S3, authority: str | None, secrets: Mapping[str, str] | None) -> dict[str, Any]:
    """How to reach a registry's bucket, as garbage_collection.bucket takes it; masks where there are no secrets."""
    place = s3.model_dump(include={"endpoint", "region", "bucket", "prefix", "path_style", "verify"})
    keys = {"access": f"s3-access-key-{name}", "secret": f"s3-secret-key-{name}"}
    return {
        "bucket": {**place, **({"ca": authority} if authority else {})},
        **{key: MASK if secrets is None else secrets[secret] for key, secret in keys.items()},
    }


def _service(registry: HostedRegistry) -> str:
    reach = BUCKET if registry.storage.s3 else VOLUME
    return f"""\
[Unit]
Description=Removes what no image of {registry.name} uses (http-registry)
After=network-online.target nss-lookup.target docker.service

[Service]
Type=oneshot
ExecStart=python3 -I -B {PROGRAM} {config_file(registry.name)}
# nginx looks for a file in it; it goes when the service ends.
RuntimeDirectory={PREFIX}{registry.name}
UMask=0022
TimeoutStartSec=12h
Nice=10
IOSchedulingClass=idle
{reach}\
{SANDBOX}\
SystemCallArchitectures=native
"""


BUCKET = """\
CapabilityBoundingSet=
ProtectSystem=strict
RestrictAddressFamilies=AF_INET AF_INET6
"""
VOLUME = """\
# Docker's folder may be anywhere, and the files in a volume anybody's.
CapabilityBoundingSet=CAP_DAC_OVERRIDE
ProtectSystem=full
RestrictAddressFamilies=AF_UNIX
"""
"""What a run reaches: the store; or Docker's socket and its volumes."""


def _timer(name: str, schedule: str) -> str:
    return f"""\
[Unit]
Description=When to remove what no image of {name} uses (http-registry)

[Timer]
OnCalendar={schedule}
Persistent=yes
AccuracySec=1min

[Install]
WantedBy=multi-user.target
"""
