"""The service's configuration: the registries that it fetches from, by the first name in a request's path.

JSON: `generation` (a text that `GET /` answers) and `registries`: by name, the fields of `Registry`. Other keys at the
top, such as a comment, do not count.
"""

from __future__ import annotations

import json
import re
import ssl
from dataclasses import dataclass, field
from typing import Any, Mapping, NoReturn, Optional, Tuple

from origin.urls import Server, parsed

NAME = re.compile(r"[a-z][a-z0-9-]*")


class ConfigError(ValueError):
    """A configuration that can't be used: key path, rule and remedy, never a value that may be secret."""


@dataclass(frozen=True)
class Registry:
    """One registry. `bases`: where it answers, tried in this order while one can't be reached.

    `user` and `password`: its login, at its token server or by Basic auth. `forward_authorization`: the client's own
    Authorization is passed on in place of one of ours. `ca`: PEM of authorities that are trusted besides the system's.
    `certificate_name`: the name in the certificate of the bases, where it is not the one in their URLs.
    `verify_elsewhere`: whether the certificates of others, to whom the registry redirects, are checked.
    `in_clear`: the only server to which it may redirect from https to http.
    """

    name: str
    bases: Tuple[Server, ...]
    user: str = ""
    password: str = field(default="", repr=False)
    forward_authorization: bool = False
    ca: str = ""
    certificate_name: str = ""
    verify_elsewhere: bool = True
    in_clear: Optional[Server] = None


@dataclass(frozen=True)
class Config:
    """All of it."""

    registries: Mapping[str, Registry]
    generation: str = ""


def read(text: str) -> Config:
    """Read the configuration. Raises ConfigError."""
    try:
        data = json.loads(text)
    except ValueError as wrong:
        line = f" (line {wrong.lineno})" if isinstance(wrong, json.JSONDecodeError) else ""
        raise ConfigError(f"the configuration is no JSON{line}") from None
    if not isinstance(data, dict):
        _refuse("the configuration", "an object with generation and registries")
    registries = data.get("registries")
    if not isinstance(registries, dict):
        _refuse("registries", "an object of registries by name")
    read_ones = {name: _registry(f"registries.{name}", name, each) for name, each in registries.items()}
    return Config(read_ones, _text(data, "generation", "generation"))


def _registry(path: str, name: str, data: Any) -> Registry:
    if not NAME.fullmatch(name):
        _refuse(path, "named by lower-case letters, digits and dashes, a letter first")
    if not isinstance(data, dict):
        _refuse(path, "an object")
    unknown = sorted(data.keys() - Registry.__dataclass_fields__.keys() | data.keys() & {"name"})
    if unknown:
        raise ConfigError(f"{path}.{unknown[0]}: there is no such key; remove it")
    forward = _flag(data, path, "forward_authorization", False)
    verify = _flag(data, path, "verify_elsewhere", True)
    values = {key: _text(data, f"{path}.{key}", key) for key in ("user", "password", "ca", "certificate_name")}
    if ":" in values["user"] or bool(values["user"]) != bool(values["password"]):
        _refuse(f"{path}.user", "a name without a colon, together with a password")
    if forward and values["user"]:
        _refuse(f"{path}.user", "left out where the client's Authorization is passed on")
    if not verify and not forward:
        _refuse(f"{path}.verify_elsewhere", "true where a login of ours may go elsewhere")
    _check_authorities(f"{path}.ca", values["ca"])
    bases = _bases(f"{path}.bases", data.get("bases"))
    in_clear = _server(f"{path}.in_clear", data["in_clear"]) if "in_clear" in data else None
    return Registry(name, bases, forward_authorization=forward, verify_elsewhere=verify, in_clear=in_clear, **values)


def _bases(path: str, data: Any) -> Tuple[Server, ...]:
    if not isinstance(data, list) or not data:
        _refuse(path, "a list of URLs, one at least")
    return tuple(dict.fromkeys(_server(f"{path}[{position}]", url) for position, url in enumerate(data)))


def _server(path: str, url: Any) -> Server:
    try:
        server, target = parsed(url if isinstance(url, str) else "")
    except ValueError:
        target = ""
    if target != "/":
        _refuse(path, "http:// or https://, a host and perhaps a port, without credentials or path")
    return server


def _check_authorities(path: str, pem: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem or None) if pem else None
    except (ssl.SSLError, ValueError):
        _refuse(path, "certificates in PEM form")


def _text(data: Mapping[str, Any], path: str, key: str) -> str:
    value: Optional[Any] = data.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        _refuse(path, "a text")
    return value


def _flag(data: Mapping[str, Any], path: str, key: str, default: bool) -> bool:
    value: Any = data.get(key, default)
    if not isinstance(value, bool):
        _refuse(f"{path}.{key}", "true or false")
    return value


def _refuse(path: str, rule: str) -> NoReturn:
    raise ConfigError(f"{path}: must be {rule}")
