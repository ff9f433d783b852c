"""The provider's configuration: which daemon, how to reach it, and the registries' credentials.

Names, defaults and environment variables are the official provider's (`internal/provider/provider.go` of
kreuzwerker/terraform-provider-docker), without contexts: the input `context` is refused, and so is `$DOCKER_CONTEXT`
where it would choose the daemon. It doesn't where a host is named, by the provider's `host` or by `$DOCKER_HOST`; there
it is without effect, as the docker CLI has it for `$DOCKER_HOST`. The official provider would let it win.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from toolchain.plugins.shared.resource import Failure, ProviderError
from toolchain.plugins.shared.values import Props, Secret, Unknown, Value, has_unknown, plain
from toolchain.plugins.shared.wire import SIGNATURE

CONFIG_INPUTS: Final = frozenset(
    {
        "host",
        "sshOpts",
        "registryAuth",
        "caMaterial",
        "certMaterial",
        "keyMaterial",
        "certPath",
        "disableDockerDaemonCheck",
    }
)
"""`disableDockerDaemonCheck` is taken and has no effect: there is no such check here."""

_AUTH_INPUTS: Final = frozenset({"address", "username", "password", "configFile", "configFileContent", "authDisabled"})
_ENVIRONMENT: Final = {
    "host": "DOCKER_HOST",
    "caMaterial": "DOCKER_CA_MATERIAL",
    "certMaterial": "DOCKER_CERT_MATERIAL",
    "keyMaterial": "DOCKER_KEY_MATERIAL",
    "certPath": "DOCKER_CERT_PATH",
}
DEFAULT_HOST: Final = "unix:///var/run/docker.sock"
SCHEMES: Final = ("unix://", "tcp://", "ssh://")


@dataclass(frozen=True)
class RegistryAuth:
    """How to log in at one registry: by name and password, else by what a docker config file has."""

    address: str
    username: str = ""
    password: str = field(default="", repr=False)
    config_file: str = "~/.docker/config.json"
    config_file_content: str = field(default="", repr=False)


@dataclass(frozen=True)
class Settings:
    """One daemon. Equal settings share one client."""

    host: str = DEFAULT_HOST
    ssh_opts: tuple[str, ...] = ()
    ca: str = field(default="", repr=False)
    cert: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    cert_path: str = ""
    registry_auth: tuple[RegistryAuth, ...] = ()


def config_failures(config: Props) -> tuple[Failure, ...]:
    """What is wrong with a configuration, of which parts may be unknown still."""
    failures = [
        Failure(
            name,
            f"docker: provider: configuration `{name}` is not supported by the offline plugin; "
            "use the official plugin or remove it",
        )
        for name in sorted(config.keys() - CONFIG_INPUTS - {"version", "pluginDownloadURL"})
        if not name.startswith("__")
    ]
    if failures:
        return tuple(failures)
    if not has_unknown(dict(config)):
        try:
            parsed_settings(config)
        except ProviderError as failure:
            return (Failure("", str(failure)),)
    return ()


def parsed_settings(config: Mapping[str, Value], environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in a checked configuration; a `ProviderError` names what can't work."""

    def text(name: str) -> str:
        value = plain(config.get(name))
        if isinstance(value, Unknown):
            raise ProviderError(f"docker: provider: `{name}` is not known yet, so its daemon can't be reached")
        return str(value) if value else environment.get(_ENVIRONMENT[name], "")

    host, context = text("host"), environment.get("DOCKER_CONTEXT")
    if context and not host:
        raise ProviderError(
            f"docker: provider: $DOCKER_CONTEXT is {context}, and the offline plugin knows no contexts; "
            "set the provider's `host` or $DOCKER_HOST to the daemon's address"
        )
    ssh_opts = _listed(config, "sshOpts") if config.get("sshOpts") else environment.get("DOCKER_SSH_OPTS", "").split()
    settings = Settings(
        host=host or DEFAULT_HOST,
        ssh_opts=tuple(str(item) for item in ssh_opts),
        ca=text("caMaterial"),
        cert=text("certMaterial"),
        key=text("keyMaterial"),
        cert_path=text("certPath"),
        registry_auth=tuple(
            _auth(item, environment) for item in _listed(config, "registryAuth") if not item.get("authDisabled")
        ),
    )
    if not settings.host.startswith(SCHEMES):
        raise ProviderError(f"docker: provider: host {settings.host!r} must start with {', '.join(SCHEMES)}")
    if bool(settings.cert) != bool(settings.key):
        raise ProviderError("docker: provider: cert_material, and key_material must be specified")
    if settings.cert and settings.cert_path:
        raise ProviderError("docker: provider: cert_path must not be specified")
    return settings


def _listed(config: Mapping[str, Value], name: str) -> list[Any]:
    """A list of the configuration: the engine hands it over as JSON text."""
    value = plain(config.get(name))
    if isinstance(value, str) and value:
        try:
            value = plain(_unwrapped(json.loads(value)))
        except ValueError:
            raise ProviderError(f"docker: provider: `{name}` is no JSON list") from None
    if isinstance(value, Unknown):
        raise ProviderError(f"docker: provider: `{name}` is not known yet")
    if value is not None and not isinstance(value, list):
        raise ProviderError(f"docker: provider: `{name}` must be a list")
    return value or []


def _unwrapped(value: Any) -> Any:
    """JSON text keeps the engine's wrapper around a secret inside it."""
    if isinstance(value, list):
        return [_unwrapped(item) for item in value]
    if isinstance(value, dict):
        if SIGNATURE in value and "value" in value:
            return Secret(_unwrapped(value["value"]))
        return {name: _unwrapped(item) for name, item in value.items()}
    return value


def _auth(item: Any, environment: Mapping[str, str]) -> RegistryAuth:
    if not isinstance(item, dict) or not item.get("address"):
        raise ProviderError("docker: provider: each `registryAuth` needs an `address`")
    unknown = sorted(item.keys() - _AUTH_INPUTS)
    if unknown:
        raise ProviderError(
            f"docker: provider: configuration `registryAuth.{unknown[0]}` is not supported by the offline plugin"
        )
    content = str(item.get("configFileContent") or "")
    named = not content and not item.get("configFile")
    return RegistryAuth(
        address=str(item["address"]),
        username=str(item.get("username") or (environment.get("DOCKER_REGISTRY_USER", "") if named else "")),
        password=str(item.get("password") or (environment.get("DOCKER_REGISTRY_PASS", "") if named else "")),
        config_file=str(item.get("configFile") or environment.get("DOCKER_CONFIG") or "~/.docker/config.json"),
        config_file_content=content,
    )
