"""The lab's stack with all that its proxy can do: TLS with a key in a token and with one in a file, two replicas over a
bucket behind TLS of their own, anonymous pulls at a second endpoint, a redirect, limits, garbage collection.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from lab.services import S3
from ops import authority
from ops.certificates import certify, folder_of
from ops.proof import REGISTRY
from ops.stack import LAB, PROJECT, Stack
from settings import Tier, parse
from settings.certificates import pem
from tests.lab.hosts import must, pulumi
from tests.lab.softhsm import KEY, LABEL, MODULE, Token

HOSTED, ANONYMOUS, MIRROR = REGISTRY, f"{REGISTRY}:8443", f"{REGISTRY}:5443"
REPLICAS = {"http-registry-hosted": 5000, "http-registry-hosted-2": 5004}
PREFIX = "proxy-stack"
BUCKET = f"/var/lib/versitygw/{S3.bucket}/{PREFIX}"
"""Where the hub's object store has the registry's files."""
BEHIND = "registry.internal"
"""What the registry's own certificate is for."""
FOLDER = PROJECT / ".work" / "lab-proxy-stack"
CERTIFICATES = folder_of(LAB)
UP = ("up", "--yes", "--skip-preview", "--diff")


@dataclass(frozen=True)
class Elsewhere(Stack):
    """The same stack with its settings in another file."""

    file: Path = FOLDER / "Pulumi.yaml"

    def pulumi(self, *arguments: str, quiet: bool = False, stdin: str | None = None) -> str:
        """As the stack's own."""
        return super().pulumi(*arguments, "--config-file", str(self.file), quiet=quiet, stdin=stdin)


@dataclass(frozen=True)
class Proxy:
    """The stack when it is up. `told`: what pulumi printed. `secret`: what nobody may read. `password`: by user."""

    stack: Elsewhere
    told: list[str]
    secret: dict[str, str]
    password: dict[str, str]

    def up(self, *, fails: bool = False) -> None:
        """Bring it up, with certificates and secrets as they are now."""
        self.told.append(pulumi(self.stack, *UP, "--config-file", str(self.stack.file), fails=fails))

    def set_pin(self, pin: str) -> None:
        """What is said to be the token's PIN."""
        self.stack.pulumi("config", "set", "--secret", "http-registry:hsm-pin-hosted", quiet=True, stdin=pin)

    def renew(self) -> None:
        """Make the servers' certificates anew."""
        certify(self.stack, tier(settings()), FOLDER, renew=True)
        self.up()


def settings() -> dict[str, Any]:
    """The lab's settings, changed; certificates are below `FOLDER`."""
    config: dict[str, Any] = yaml.safe_load((PROJECT / "stacks" / "Pulumi.lab.yaml").read_text())["config"]
    hosted, cache = config["http-registry:registries"]
    hosted["replica_ports"] = [5004]
    bucket = {"endpoint": S3.endpoint, "region": S3.region, "bucket": S3.bucket, "prefix": PREFIX}
    hosted["storage"] = {"s3": bucket}
    hosted["tls"] = {"certificate": "backend.pem", "authority": "backend-authority.pem", "name": BEHIND}
    hosted["garbage_collection"] = {"schedule": "*-01-01 03:30", "untagged": True}
    hsm = {"module": MODULE, "token": LABEL, "object": KEY}
    tls = {"certificate": f"{CERTIFICATES}/hosted.pem", "hsm": hsm}
    config["http-registry:proxy"] |= {
        "endpoints": [
            _endpoint("hosted", 443, {**tls, "hsts": "1d", "redirect_from": 80}),
            {**_endpoint("hosted", 8443, tls), "anonymous_pull": True},
            _endpoint(cache["name"], 5443, {"certificate": f"{CERTIFICATES}/mirror.pem"}),
        ],
        "limits": {"requests_per_second": 5000, "connections": 500, "logins_per_second": 50},
    }
    config["http-registry:authorities"] = [
        {
            "name": "own",
            "certificate": f"{CERTIFICATES}/authority.pem",
            "registries": [HOSTED, ANONYMOUS, MIRROR],
        }
    ]
    return config


def _endpoint(registry: str, port: int, tls: dict[str, Any]) -> dict[str, Any]:
    return {"registry": registry, "port": port, "server_name": REGISTRY, "tls": tls}


def tier(config: dict[str, Any]) -> Tier:
    """What is not secret of the settings."""
    plain = {key.partition(":")[2]: value for key, value in config.items() if "secure" not in value}
    return parse(plain)


def write(token: Token, stack: Elsewhere) -> dict[str, str]:
    """Certificates and the stack's file, below `FOLDER`. Returns its secrets, keys left out."""
    (FOLDER / CERTIFICATES).mkdir(parents=True)
    (FOLDER / CERTIFICATES / "hosted.csr").write_text(token.request)
    whole = yaml.safe_load((PROJECT / "stacks" / "Pulumi.lab.yaml").read_text())
    stack.file.write_text(yaml.safe_dump({**whole, "config": below_the_project(settings())}))
    now = datetime.now(UTC)
    behind, key = authority.make("behind", [BEHIND], now), authority.new_key()
    (FOLDER / "backend.pem").write_text(pem([behind.sign(key.public_key(), [BEHIND], now)]))
    (FOLDER / "backend-authority.pem").write_text(pem([behind.certificate]))
    secret = {
        "s3-access-key-hosted": S3.access_key,
        "s3-secret-key-hosted": S3.secret_key,
        "http-secret-hosted": secrets.token_hex(16),
        "hsm-pin-hosted": token.pin,
        "backend-tls-key-hosted": authority.key_text(key),
    }
    for name, value in secret.items():
        stack.pulumi("config", "set", "--secret", f"http-registry:{name}", quiet=True, stdin=value)
    certify(stack, tier(settings()), FOLDER)
    return secret


def below_the_project(config: dict[str, Any]) -> dict[str, Any]:
    """The same with paths as pulumi's program knows them."""
    text = json.dumps(config)
    for each in (f'"{CERTIFICATES}/', '"backend'):
        text = text.replace(each, f'"{FOLDER.relative_to(PROJECT)}/{each[1:]}')
    changed: dict[str, Any] = json.loads(text)
    return changed


@contextmanager
def proxy_stack(stack: Stack, token: Token) -> Iterator[Proxy]:
    """It is up; afterwards the lab's own stack is again, and what was pushed is gone."""
    passwords = {
        user: stack.pulumi("config", "get", f"password-{user}", quiet=True).strip() for user in ("pusher", "puller")
    }
    shutil.rmtree(FOLDER, ignore_errors=True)
    elsewhere = Elsewhere(stack.name, stack.environment)
    try:
        proxy = Proxy(elsewhere, [], write(token, elsewhere), passwords)
        proxy.up()
        yield proxy
    finally:
        pulumi(stack, "up", "--yes", "--skip-preview")
        must("hub", f"rm -rf {BUCKET}")
        shutil.rmtree(FOLDER)
