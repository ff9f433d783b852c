"""What a registry's stack tells other stacks: each output's name, type and meaning. The stack and its readers share it.

An output that may be null is left out where it is: Pulumi keeps no null. `OUTPUTS_VERSION` is always there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, get_type_hints

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

VERSION: Final = 1
"""Grows when an output goes, gets another name, type or meaning, or becomes plain; a new one changes nothing."""

OUTPUTS_VERSION: Final = "outputs_version"
"""The output that holds the version."""

SECRET: Final = frozenset({"pull_credentials", "dockerconfigjson"})
"""The outputs that are encrypted in every state, and masked in every view."""


class PullCredentials(TypedDict):
    """Who may pull."""

    server: str
    """The registry as image references and logins name it; the same as `pull_prefix`."""
    username: str
    """As the settings have it."""
    password: str
    """Its password."""


class Outputs(TypedDict):
    """The outputs of a stack. The first hosted registry of its settings is *the* registry."""

    endpoint: str | None
    """URL of the registry, to push to and pull from; null where the stack only has caches.

    Of several endpoints the first at which every client can log in, that is one without `anonymous_pull`.
    """
    endpoints: dict[str, str]
    """The same for each hosted registry, by its name in the settings."""
    mirrors: dict[str, str]
    """URL of the mirror for each registry that has one here, by that registry's name in image references (docker.io): a
    cache of it, or a hosted registry that stands in its place."""
    pull_prefix: str | None
    """What a reference to an image of ours begins with, without a slash at its end: the endpoint's host, and its port
    where that is not the scheme's own. Null where `endpoint` is."""
    ca_certificate: str | None
    """The authorities of the stack's settings that sign its endpoints, as PEM. Null where none has to be trusted
    besides those that everybody trusts: all is HTTP, or signed by a public authority."""
    pull_credentials: PullCredentials | None
    """The first user with the role pull, at `pull_prefix`. Null where nobody has to log in there, where a token server
    decides who may, and where the settings have no such user."""
    dockerconfigjson: str
    """The text of a .dockerconfigjson (Kubernetes), which is a config.json of Docker's as well: that user's login at
    every server of the stack that asks for one, mirrors included. Without logins where there is none."""
    metrics_endpoint: str | None
    """URL that Prometheus scrapes; null where nobody but the proxy's own host may."""


class ContractError(ValueError):
    """An output is not what the contract says; the text says which, what was expected, what to do."""


def checked(stack: str, name: str, version: object, value: object) -> Any:
    """The value of one output, as another stack has read it. Raises ContractError; a value is never shown."""
    if version is None:
        raise ContractError(
            f"stack {stack} exports no {OUTPUTS_VERSION}, so it is no registry's stack, or was last brought up before "
            "these outputs; look at its name, or bring it up with 'make up' of http-registry"
        )
    if version != VERSION:
        raise ContractError(
            f"stack {stack} exports version {version} of its outputs, and this reader knows version {VERSION}: "
            "install the http-registry that has brought the stack up"
        )
    try:
        return _adapters()[name].validate_python(value)
    except ValidationError as wrong:
        first = wrong.errors(include_input=False, include_url=False)[0]
        path = ".".join([name, *(str(each) for each in first["loc"])])
        found = "is missing" if value is None else f"is wrong ({first['msg']})"
        raise ContractError(
            f"stack {stack}: output {path} {found}; expected: {_expected(name)}. Somebody has changed the stack's "
            "program: bring the stack up with an http-registry that keeps its outputs"
        ) from None


def parsed(stack: str, outputs: Mapping[str, Any]) -> Outputs:
    """All outputs, as `pulumi stack output --json --show-secrets` prints them. Raises ContractError."""
    version = outputs.get(OUTPUTS_VERSION)
    found: Any = {name: checked(stack, name, version, outputs.get(name)) for name in _adapters()}
    typed: Outputs = found
    return typed


@cache
def _adapters() -> Mapping[str, TypeAdapter[Any]]:
    types = get_type_hints(Outputs)
    return {name: TypeAdapter(each) for name, each in types.items()}


def _expected(name: str) -> str:
    """The type as it is written above."""
    annotation = Outputs.__annotations__[name]
    return str(getattr(annotation, "__forward_arg__", annotation))
