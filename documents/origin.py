"""The origin service on the proxy's host: its program, its configuration, its systemd units.

It fetches what nginx has not cached: a mirror's blobs and manifests from the upstream, a hosted registry's blobs from
the store to which that redirects. systemd.socket(5), systemd.exec(5), systemd.service(5).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import origin
from documents.document import HEADER_LINE, Document
from documents.sandbox import SANDBOX
from hostctl.masking import MASK
from hostctl.unit import HEADER
from hostctl.units.origin import CONFIG, PROGRAM, SERVICE, SERVICE_FILE, SOCKET, SOCKET_FILE
from settings.registries import CacheRegistry, Registry
from settings.registry_files import RegistryFiles
from settings.tier import Tier

MODULES = sorted(Path(origin.__file__).parent.glob("*.py"))


@dataclass(frozen=True)
class Origin:
    """`files`: the program, the configuration, the units. `generation`: what the service answers once they are live."""

    files: tuple[Document, ...]
    generation: str

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit origin."""
        return {"files": [each.as_wish() for each in self.files], "generation": self.generation}

    def shown(self) -> dict[str, str]:
        """Path to text, for people; of the program only its digest. Rendered with masks for passwords."""
        program = [each for each in self.files if each.path.startswith(PROGRAM)]
        digest = _digest(each.text for each in program)
        others = {each.path: each.text for each in self.files if each not in program}
        return {**others, PROGRAM: f"{len(program)} modules, sha256 {digest}\n"}


def registries(tier: Tier) -> list[Registry]:
    """Those behind the proxy that the service fetches from."""
    behind = {each.registry for each in tier.proxy.endpoints} if tier.proxy else set()
    return [each for each in tier.registries if each.name in behind and _fetched(each)]


def render(tier: Tier, files: Mapping[str, RegistryFiles], passwords: Mapping[str, str] | None = None) -> Origin | None:
    """The service, or None where nothing is fetched by it.

    `files`: what the registries name, by their names. `passwords`: the secrets by their names; without them, masks.
    """
    found = registries(tier)
    if not found:
        return None
    program = [Document(f"{PROGRAM}/{each.name}", HEADER_LINE + each.read_text()) for each in MODULES]
    units = [Document(SOCKET_FILE, HEADER_LINE + SOCKET_UNIT), Document(SERVICE_FILE, HEADER_LINE + SERVICE_UNIT)]
    # Not of the passwords: whoever may ask for the generation could try some on it.
    unmarked = _config(found, files, None, "")
    generation = _digest([*(each.text for each in (*program, *units)), unmarked])
    config = Document(CONFIG, _config(found, files, passwords, generation), 0o600)
    return Origin((*program, config, *units), generation)


def _fetched(registry: Registry) -> bool:
    return isinstance(registry, CacheRegistry) or registry.storage.s3 is not None


def _config(
    found: list[Registry], files: Mapping[str, RegistryFiles], passwords: Mapping[str, str] | None, generation: str
) -> str:
    entries = {each.name: _entry(each, files.get(each.name, RegistryFiles()), passwords) for each in found}
    return json.dumps({"//": HEADER, "generation": generation, "registries": entries}, indent=2) + "\n"


def _entry(registry: Registry, files: RegistryFiles, passwords: Mapping[str, str] | None) -> dict[str, Any]:
    authorities = [each for each in (files.authority, files.tls_authority) if each]
    entry: dict[str, Any] = {"ca": "".join(authorities)} if authorities else {}
    if isinstance(registry, CacheRegistry):
        if registry.upstream_user:
            password = passwords[f"upstream-password-{registry.name}"] if passwords else MASK
            entry |= {"user": registry.upstream_user, "password": password}
        return {"bases": [registry.upstream], **entry}
    s3 = registry.storage.s3
    if registry.tls:
        entry["certificate_name"] = registry.tls.name
        if s3 and s3.server.startswith("http:"):
            entry["in_clear"] = s3.server
    if s3 and not s3.verify:
        entry["verify_elsewhere"] = False
    bases = [f"{registry.scheme}://127.0.0.1:{port}" for port in registry.ports]
    return {"bases": bases, "forward_authorization": True, **entry}


def _digest(texts: Any) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:32]


SOCKET_UNIT = f"""\
[Unit]
Description=Where nginx asks for what it has not cached (http-registry)

[Socket]
ListenStream={SOCKET}
SocketMode=0600
RemoveOnStop=yes

[Install]
WantedBy=multi-user.target
"""

SERVICE_UNIT = f"""\
[Unit]
Description=Fetches from registries what nginx has not cached (http-registry)
Requires={SERVICE}.socket
After={SERVICE}.socket network.target nss-lookup.target
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=python3 -I -B {PROGRAM}
# Opened by systemd: its user could not, since it may hold passwords.
StandardInput=file:{CONFIG}
# glibc would keep freed memory of each thread.
Environment=MALLOC_ARENA_MAX=2
Restart=always
RestartSec=1
# Longer than the program waits for transfers to end.
TimeoutStopSec=40
LimitNOFILE=4096
TasksMax=512
MemoryMax=512M
DynamicUser=yes
UMask=0077
CapabilityBoundingSet=
ProtectSystem=strict
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
{SANDBOX}\
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
"""
