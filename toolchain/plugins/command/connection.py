"""The `connection` input of remote resources: its checks, its defaults and what dialling needs of it.

Schema of pulumi-command v1.2.1, `remote/connection.go` and `remote/proxyConnection.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from toolchain.plugins.command.inputs import STRING, WHOLE_NUMBER, Kind, wrong_types
from toolchain.plugins.shared.resource import Failure
from toolchain.plugins.shared.values import Props, Secret, Unknown, Value, plain

KINDS: Mapping[str, Kind] = {
    "host": STRING,
    "port": WHOLE_NUMBER,
    "user": STRING,
    "password": STRING,
    "privateKey": STRING,
    "privateKeyPassword": STRING,
    "agentSocketPath": STRING,
    "dialErrorLimit": WHOLE_NUMBER,
    "perDialTimeout": WHOLE_NUMBER,
    "hostKey": STRING,
}
DEFAULTS: Props = {"port": 22.0, "user": "root", "dialErrorLimit": 10.0, "perDialTimeout": 15.0}
"""Filled in by Check, so they are in the state."""


@dataclass(frozen=True)
class Connection:
    """Where and how to log in. Its `repr` shows no secret."""

    host: str
    port: int = 22
    user: str = "root"
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    private_key_password: str | None = field(default=None, repr=False)
    agent_socket_path: str | None = None
    dial_error_limit: int = 10
    """How many failed dials are tried again; -1: without end."""
    per_dial_timeout: int = 15
    """Seconds that a TCP connection may take; 0: as long as it takes."""
    host_key: str | None = None
    """One authorized_keys line: only this key is accepted. None: any key is, unchecked."""
    proxy: Connection | None = None


def checked_connection(value: Value, name: str = "connection") -> tuple[Value, tuple[Failure, ...]]:
    """`value` with the defaults filled in (a secret stays one), and what is wrong with it."""
    if isinstance(value, Secret):
        inner, failures = checked_connection(value.value, name)
        return Secret(inner), failures
    if isinstance(value, Unknown):
        return value, ()
    if not isinstance(value, dict):
        return value, (Failure(name, "is required: a map with at least `host`"),)
    allows_proxy = name == "connection"
    known = KINDS.keys() | ({"proxy"} if allows_proxy else set())
    failures = (
        *(
            Failure(f"{name}.{key}", f"is no property of it; there are {', '.join(sorted(known))}")
            for key in sorted(value.keys() - known)
        ),
        *wrong_types(value, KINDS, f"{name}."),
    )
    if value.get("host") is None:
        failures = (*failures, Failure(f"{name}.host", "is required: the address to connect to"))
    filled = {**value, **{key: item for key, item in DEFAULTS.items() if value.get(key) is None}}
    if allows_proxy and value.get("proxy") is not None:
        filled["proxy"], proxy_failures = checked_connection(value["proxy"], f"{name}.proxy")
        failures = (*failures, *proxy_failures)
    return filled, failures


def parsed_connection(value: Value) -> Connection:
    """The connection of a state or of checked inputs. A state without the defaults gets them here."""
    props = plain(value)
    if not isinstance(props, dict):
        raise ValueError("the state has no connection")
    filled = {**DEFAULTS, **{key: item for key, item in props.items() if item is not None}}
    return Connection(
        host=str(filled["host"]),
        port=_integer(filled["port"]),
        user=str(filled["user"]),
        password=_optional(filled.get("password")),
        private_key=_optional(filled.get("privateKey")),
        private_key_password=_optional(filled.get("privateKeyPassword")),
        agent_socket_path=_optional(filled.get("agentSocketPath")),
        dial_error_limit=_integer(filled["dialErrorLimit"]),
        per_dial_timeout=_integer(filled["perDialTimeout"]),
        host_key=_optional(filled.get("hostKey")),
        proxy=parsed_connection(filled["proxy"]) if filled.get("proxy") is not None else None,
    )


def _integer(value: Value) -> int:
    if not isinstance(value, int | float):
        raise ValueError("a number of the connection is not known yet")
    return int(value)


def _optional(value: Value) -> str | None:
    return value if isinstance(value, str) else None
