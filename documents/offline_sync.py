"""Bundles on a host: the program, its configuration, its logins, and a service and timer where a schedule says so.

systemd.timer(5), systemd.exec(5). Logins: containers-auth.json(5).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import offline_sync
from documents.document import HEADER_LINE, Document
from documents.sandbox import SANDBOX
from hostctl.masking import MASK
from hostctl.unit import HEADER
from hostctl.units.offline_sync import AUTH, CONFIG, PROGRAM, SERVICE_FILE, STATE, TIMER_FILE
from hostctl.units.offline_sync import OfflineSync as unit
from offline_sync.registry import login
from settings.offline_sync import OfflineSync as Sync
from settings.offline_sync import Source, SyncLogin
from settings.registries import HostedRegistry
from settings.tier import Tier, endpoint_url

UNIT = unit.name
MODULES = sorted(Path(offline_sync.__file__).parent.glob("*.py"))
HUB = "https://registry-1.docker.io"


@dataclass(frozen=True)
class OfflineSync:
    """`files`: the program, the configuration, the logins, the units. `schedule`: empty without a timer."""

    files: tuple[Document, ...]
    schedule: str

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit offline-sync."""
        return {
            "files": [each.as_wish() for each in self.files],
            **({"schedule": self.schedule} if self.schedule else {}),
        }

    def shown(self) -> dict[str, str]:
        """Path to text, for people; of the program only its digest. Rendered with masks for secrets."""
        program = [each for each in self.files if each.path.startswith(PROGRAM)]
        digest = hashlib.sha256("\0".join(each.text for each in program).encode()).hexdigest()[:32]
        others = {each.path: each.text for each in self.files if each not in program}
        return {**others, PROGRAM: f"{len(program)} modules, sha256 {digest}\n"}


def render(
    tier: Tier, name: str, authorities: Mapping[str, str] | None = None, secrets: Mapping[str, str] | None = None
) -> OfflineSync:
    """Of a tier that has offline_sync.

    `name`: whose the bundles are. `authorities`: PEM by the files that the settings name. `secrets`: the values by
    their names; without them, masks.
    """
    sync = tier.offline_sync
    assert sync
    program = [Document(f"{PROGRAM}/{each.name}", HEADER_LINE + each.read_text()) for each in MODULES]
    config = _config(tier, sync, name, authorities or {})
    auths = {
        urlsplit(config[key][each.registry]["url"]).netloc: _auth(each, secrets)
        for key, entries in (("sources", sync.sources), ("targets", sync.into))
        for each in entries
        if each.user and each.registry in config[key]
    }
    documents = [
        *program,
        Document(CONFIG, json.dumps({"//": HEADER, **config}, indent=2) + "\n"),
        Document(AUTH, json.dumps({"//": HEADER, "auths": auths}, indent=2) + "\n", 0o600),
    ]
    if sync.schedule:
        documents += [
            Document(SERVICE_FILE, HEADER_LINE + SERVICE_UNIT),
            Document(TIMER_FILE, HEADER_LINE + TIMER_UNIT.replace("$schedule", sync.schedule)),
        ]
    return OfflineSync(tuple(documents), sync.schedule or "")


def _config(tier: Tier, sync: Sync, name: str, authorities: Mapping[str, str]) -> dict[str, Any]:
    given = {each.registry: each for each in sync.sources}
    names = sorted({each.registry for each in sync.images})
    return {
        "name": name,
        "auth": AUTH,
        "folder": sync.folder,
        "tar": sync.tar or "",
        "state": STATE,
        "images": [
            {
                "registry": each.registry,
                "repository": each.path,
                "tags": list(each.tags),
                "digests": list(each.digests),
                "platforms": None if each.platforms is None else list(each.platforms),
            }
            for each in sync.images
        ],
        "sources": {each: _source(tier, each, given.get(each), authorities) for each in names},
        "targets": {
            each.registry: {
                "url": _push_url(tier, each.to),
                "ca": authorities.get(each.authority or "", ""),
                "volume": _volume(tier, sync, each.to),
            }
            for each in sync.into
        },
    }


def _source(tier: Tier, registry: str, source: Source | None, authorities: Mapping[str, str]) -> dict[str, str]:
    url = HUB if registry == "docker.io" else f"https://{registry}"
    if source and source.through:
        url = tier.url(tier.registry(source.through))
    elif source and source.url:
        url = source.url
    return {"url": url, "ca": authorities.get((source and source.authority) or "", "")}


def _push_url(tier: Tier, name: str) -> str:
    """Where skopeo sends its login: not where `/v2/` lets everybody in."""
    endpoints = tier.proxy.endpoints if tier.proxy else ()
    asking = [each for each in endpoints if each.registry == name and not each.anonymous_pull]
    return endpoint_url(asking[0]) if asking else tier.url(tier.registry(name))


def _volume(tier: Tier, sync: Sync, name: str) -> str:
    """The volume whose disk the images will fill, where it is on the same host."""
    registry = tier.registry(name)
    kept = isinstance(registry, HostedRegistry) and registry.host == sync.host and not registry.storage.s3
    return f"http-registry-{name}" if kept else ""


def _auth(entry: SyncLogin, secrets: Mapping[str, str] | None) -> dict[str, str]:
    assert entry.user
    assert entry.secret
    return {"auth": MASK if secrets is None else login(entry.user, secrets[entry.secret])}


SERVICE_UNIT = f"""\
[Unit]
Description=Makes the bundle for sites without a network (http-registry)
After=network-online.target nss-lookup.target

[Service]
Type=oneshot
ExecStart=python3 -I -B {PROGRAM} bundle {CONFIG}
UMask=0022
TimeoutStartSec=24h
Nice=10
IOSchedulingClass=idle
CapabilityBoundingSet=
# The bundle's folder may be anywhere.
ProtectSystem=full
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
{SANDBOX}\
SystemCallArchitectures=native
"""
TIMER_UNIT = """\
[Unit]
Description=When to make the bundle for sites without a network (http-registry)

[Timer]
OnCalendar=$schedule
Persistent=yes
AccuracySec=1min

[Install]
WantedBy=multi-user.target
"""
