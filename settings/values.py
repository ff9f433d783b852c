"""The small values that settings are made of; each checks itself and says its rule and remedy."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
USER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
REFERENCE = re.compile(r"[a-z0-9][a-z0-9._/:-]*(@sha256:[0-9a-f]{64})?")


class Settings(BaseModel):
    """Base of all settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def matching(pattern: str, rule: str) -> AfterValidator:
    """A text that the pattern matches as a whole; `rule` says to a person what it must be."""

    def checked(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {rule}")
        return value

    return AfterValidator(checked)


def distinct(key: str) -> Any:
    """A check that no two entries of a list have the same `key`."""

    def checked(entries: tuple[Settings, ...]) -> tuple[Settings, ...]:
        names = [getattr(each, key) for each in entries]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"two entries have {key} = {twice[0]!r}; make one of them")
        return entries

    return checked


def _network(value: str) -> str:
    try:
        if "%" in value:
            raise ValueError("an interface is another on each machine")
        return str(ipaddress.ip_network(value))
    except ValueError as wrong:
        raise ValueError(
            f"must be a network in CIDR form with no host bits set, such as 192.168.1.0/24 or fd00::/64 ({wrong})"
        ) from wrong


def _address(value: str) -> str:
    if not _is_address(value):
        raise ValueError("must be an IP address or a host name in lower case")
    return value


def _is_address(value: str) -> bool:
    try:
        return bool(ipaddress.ip_address(value)) and "%" not in value  # a zone is another on each machine
    except ValueError:
        return bool(HOST_NAME.fullmatch(value)) and not re.fullmatch(r"[0-9.]+", value)


def is_ip_address(text: object) -> bool:
    """Whether it is an IP address, and no name."""
    try:
        return bool(ipaddress.ip_address(str(text)))
    except ValueError:
        return False


def _host_name(value: str) -> str:
    if not HOST_NAME.fullmatch(value) or re.fullmatch(r"[0-9.]+", value):
        raise ValueError("must be a host name in lower case; an address won't do")
    return value


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https"):
        raise ValueError("must start with http:// or https:// (a registry's scheme is never guessed)")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "must hold no credentials: take them out of the URL and set them with 'pulumi config set --secret'"
        )
    if not _is_address(parts.hostname or ""):
        raise ValueError("must name a host by IP address or name, such as https://registry-1.docker.io")
    if parts.query or parts.fragment or parts.path not in ("", "/"):
        raise ValueError("must end behind the host and port: no path, query or fragment")
    try:
        port = parts.port
    except ValueError as wrong:
        raise ValueError("port must be 1 to 65535") from wrong
    if port == 0:
        raise ValueError("port must be 1 to 65535")
    return value.rstrip("/")


def _registry_name(value: str) -> str:
    host, _, port = value.partition(":")
    if not HOST_NAME.fullmatch(host) or (":" in value and not re.fullmatch(r"[1-9][0-9]{0,4}", port)):
        raise ValueError(
            "must be a registry's name as it stands in an image reference, such as docker.io or quay.io:443"
        )
    return value


def _registry_names(value: str) -> str:
    return value if value == "*" else _registry_name(value)


def _image(value: str) -> str:
    if "//" in value or not REFERENCE.fullmatch(value):
        raise ValueError(
            "must be an image reference without a scheme, such as registry:3.1.2 or ghcr.io/org/registry:3"
        )
    return value


Port = Annotated[int, Field(ge=1, le=65535, description="TCP port, 1 to 65535")]
"""A TCP port, 1 to 65535."""
Network = Annotated[str, AfterValidator(_network)]
"""An IPv4 or IPv6 network in CIDR form."""
Address = Annotated[str, AfterValidator(_address)]
"""An IP address or a host name."""
HostName = Annotated[str, AfterValidator(_host_name)]
"""A host name that is no address."""
BaseUrl = Annotated[str, AfterValidator(_base_url)]
"""Scheme, host and port of an HTTP server, nothing behind them."""
RegistryName = Annotated[str, AfterValidator(_registry_name)]
"""A registry as image references name it."""
RegistryNames = Annotated[str, AfterValidator(_registry_names)]
"""A registry as image references name it, or `*` for every other one."""
ImageReference = Annotated[str, AfterValidator(_image)]
"""An image without a scheme, such as registry:3.1.2 or ghcr.io/org/registry:3."""
Name = Annotated[
    str, matching(r"[a-z][a-z0-9-]{0,30}", "1 to 31 lower-case letters, digits and dashes, a letter first")
]
"""A name of ours: lower case, digits and dashes, 31 characters at most."""
Duration = Annotated[str, matching(r"[1-9][0-9]*[smhd]", "a whole number and s, m, h or d, such as 60s")]
"""A time as nginx and people write it: a number and s, m, h or d."""
Span = Annotated[str, matching(r"(0|[1-9][0-9]*)[smhd]", "a whole number and s, m, h or d, such as 60s, or 0s")]
"""A time that may be none."""
Size = Annotated[str, matching(r"[1-9][0-9]*[kmg]", "a whole number and k, m or g, such as 10g")]
"""A size as nginx writes it: a number and k, m or g."""
Folder = Annotated[
    str,
    matching(
        r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+", "an absolute path without names that start with a dot, no slash last"
    ),
]
"""A folder on a host."""
File = Annotated[
    str,
    matching(r"(/[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9._-]*)+", "the absolute path of a file"),
]
"""A file on a host."""
Interface = Annotated[
    str,
    matching(
        r"(?!lo$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}",
        "the name of a network interface as 'ip link' prints it, such as eth0, and not lo, which always passes",
    ),
]
"""A network interface of a host: no pattern, no alias."""
UnixUser = Annotated[
    str, matching(r"[a-z_][a-z0-9_.-]{0,31}", "the name of an account: lower-case letters, digits, dashes, dots")
]
"""An account of a host."""
ServiceName = Annotated[
    str, matching(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*", "the name of a systemd service, without .service")
]
"""A systemd service, without its suffix."""
HelperName = Annotated[
    str, matching(r"[a-z0-9][a-z0-9._-]*", "a credential helper's name without docker-credential-, such as ecr-login")
]
"""A credential helper: `docker-credential-<name>` on the host's PATH."""
LoginName = Annotated[str, matching(r"[!-9;-~]{1,128}", "1 to 128 printable characters without blanks and colons")]
"""A user of any registry; Basic auth ends it at a colon."""
UserName = Annotated[str, matching(USER_NAME.pattern, "1 to 64 letters, digits, dots, dashes and underscores")]
"""A user of a registry."""
HostKey = Annotated[
    str,
    matching(
        r"(ssh-ed25519|ecdsa-sha2-nistp256|ssh-rsa) [A-Za-z0-9+/=]+",
        "a type and a key as ssh-keyscan prints them, such as ssh-ed25519 AAAA",
    ),
]
"""A host's public SSH key, without its name."""


def seconds(span: str) -> int:
    """A `Duration` or `Span` in seconds."""
    return int(span[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[span[-1]]
