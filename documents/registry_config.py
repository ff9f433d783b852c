"""The registry's config.yml, and the files that it names.

Format: https://distribution.github.io/distribution/about/configuration/ (distribution v3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from hostctl.masking import MASK
from hostctl.unit import HEADER
from settings.registries import S3, CacheRegistry, HostedRegistry, Registry
from settings.registry_files import RegistryFiles

FOLDER = "/etc/distribution"
PATH = f"{FOLDER}/config.yml"
"""Where the image's command looks for it."""
DATA = "/var/lib/registry"
"""The folder that holds blobs and links; the volume is mounted here."""
CONTAINER_PORT = 5000
DEBUG_PORT = 5001
"""Where it answers anybody with its metrics and its profile: published on 127.0.0.1 only."""
DRAIN_SECONDS = 60
"""How long a container that is stopped takes no new connections and lets its requests end."""
TOKEN_CERTIFICATE = f"{FOLDER}/token.pem"
TOKEN_JWKS = f"{FOLDER}/token.jwks"
TLS_CERTIFICATE, TLS_KEY = f"{FOLDER}/tls.pem", f"{FOLDER}/tls.key"
AUTHORITIES = f"{FOLDER}/authorities"
"""Go reads every certificate in the folders of $SSL_CERT_DIR, besides the image's own file of them."""
ALGORITHMS = [f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)] + ["EdDSA"]
"""All of distribution's but the HS family, whose key is a shared secret."""


@dataclass(frozen=True)
class ContainerFile:
    """A file in the container, root's. It is in the container's own layer, which only root enters on the host, and
    neither in the image nor in a volume nor in what `docker inspect` shows."""

    path: str
    text: str
    mode: int


def render(
    registry: Registry, files: RegistryFiles, secrets: Mapping[str, str] | None = None, *, metrics: bool = False
) -> list[ContainerFile]:
    """The files of one registry's containers, config.yml first; the replicas have the same.

    `secrets`: the values by the names in `registry.secrets`; None masks them. `metrics`: whether it tells its own, at
    DEBUG_PORT.
    """
    known = dict.fromkeys(registry.secrets, MASK) if secrets is None else secrets
    config = f"# {HEADER}\n" + yaml.safe_dump(_config(registry, known, metrics), sort_keys=False)
    public = {
        f"{AUTHORITIES}/authority.pem": files.authority,
        TOKEN_CERTIFICATE: files.token_certificate,
        TOKEN_JWKS: files.token_jwks,
        TLS_CERTIFICATE: files.tls_certificate,
    }
    # An image that runs as another user can't read what is root's alone.
    found = [ContainerFile(PATH, config, 0o600 if registry.secrets else 0o644)]
    found += [ContainerFile(path, text, 0o644) for path, text in public.items() if text is not None]
    if isinstance(registry, HostedRegistry) and registry.tls:
        found.append(ContainerFile(TLS_KEY, known[f"backend-tls-key-{registry.name}"], 0o600))
    return found


def environment(registry: Registry) -> list[str]:
    """The containers' environment, which `docker inspect` shows: no secret."""
    return ["OTEL_TRACES_EXPORTER=none", *([f"SSL_CERT_DIR={AUTHORITIES}"] if registry.authority else [])]


def in_volume(registry: Registry) -> bool:
    """Whether the registry keeps its data in a volume."""
    return not (isinstance(registry, HostedRegistry) and registry.storage.s3)


def _config(registry: Registry, secrets: Mapping[str, str], metrics: bool) -> dict[str, Any]:
    # No cache of blob descriptors (storage.cache): it would go on naming blobs that garbage collection has removed.
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": False}},
        "storage": {
            **_storage(registry, secrets),
            # A cache's clean-up needs it as much as a hosted registry's garbage collection.
            "delete": {"enabled": True},
        },
        "http": {
            "addr": f":{CONTAINER_PORT}",
            "draintimeout": f"{DRAIN_SECONDS}s",
            "headers": {"X-Content-Type-Options": ["nosniff"]},
        },
    }
    if metrics:
        config["http"]["debug"] = {"addr": f":{DEBUG_PORT}", "prometheus": {"enabled": True, "path": "/metrics"}}
    if isinstance(registry, CacheRegistry):
        config["proxy"] = {"remoteurl": registry.upstream, "ttl": _go_duration(registry.keep)}
        if registry.upstream_user:
            login = {"username": registry.upstream_user, "password": secrets[f"upstream-password-{registry.name}"]}
            config["proxy"] |= login
        return config
    if registry.shares_uploads:
        config["http"]["secret"] = secrets[f"http-secret-{registry.name}"]
    if registry.tls:
        config["http"]["tls"] = {"certificate": TLS_CERTIFICATE, "key": TLS_KEY, "minimumtls": "tls1.2"}
    if registry.sparse_indexes:
        config["validation"] = {"manifests": {"indexes": {"platforms": "none"}}}
    if registry.token:
        config["auth"] = {"token": _token(registry)}
    return config


def _storage(registry: Registry, secrets: Mapping[str, str]) -> dict[str, Any]:
    s3 = registry.storage.s3 if isinstance(registry, HostedRegistry) else None
    return {"s3": _s3(s3, registry.name, secrets)} if s3 else {"filesystem": {"rootdirectory": DATA}}


def _s3(s3: S3, name: str, secrets: Mapping[str, str]) -> dict[str, Any]:
    return {
        "accesskey": secrets[f"s3-access-key-{name}"],
        "secretkey": secrets[f"s3-secret-key-{name}"],
        "region": s3.region,
        "regionendpoint": s3.endpoint,
        "bucket": s3.bucket,
        "rootdirectory": f"/{s3.prefix}",
        "forcepathstyle": s3.path_style,
        "secure": s3.endpoint.startswith("https:"),
        "skipverify": not s3.verify,
    }


def _token(registry: HostedRegistry) -> dict[str, Any]:
    assert registry.token
    token = registry.token
    return {
        "realm": token.realm,
        "service": token.service,
        "issuer": token.issuer,
        **({"rootcertbundle": TOKEN_CERTIFICATE} if token.certificate else {}),
        **({"jwks": TOKEN_JWKS} if token.jwks else {}),
        "signingalgorithms": ALGORITHMS,
    }


def _go_duration(value: str) -> str:
    """Go knows no days; and a number without a unit would be nanoseconds."""
    return f"{int(value[:-1]) * 24}h" if value.endswith("d") else value
