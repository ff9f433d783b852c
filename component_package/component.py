"""A component that other programs declare: its inputs are made settings of a tier, checked, and declared.

All that is wrong is told at once, by the paths of the program's own inputs, before any resource is registered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pulumi
from pulumi.errors import InputPropertiesError
from pydantic import TypeAdapter, ValidationError

import settings
from component_package.given import Given
from component_package.names import in_program, settings_of
from components.configuration import Loaded, Source, checked
from components.host import Host
from settings.errors import by_path
from settings.stack_config import StackConfig
from settings.values import Name, Settings

WORK = Path(".http-registry")
"""A folder beside the program that uses the component, for what is made on the way."""
MISSING_SECRET = re.compile(r"(\S+): is required; set it with 'pulumi config set --secret \1'")
NOBODY = ("127.0.0.1/32",)

Raw = Mapping[str, Any]
"""Inputs under the keys of the settings, not checked yet."""


@dataclass(frozen=True)
class Checked:
    """`inputs`: typed. `loaded`: what they are as a tier. `opts`: of whatever the component declares."""

    name: str
    inputs: Any
    loaded: Loaded
    opts: pulumi.ResourceOptions

    def host(self) -> Host:
        """The one host of a component of one machine. Its records there are this component's: others stay."""
        return Host(self.name, replace(self.loaded.host_args(self.loaded.tier.hosts[0]), shared=True), self.opts)


@dataclass(frozen=True)
class Component:
    """`tier`: the tier's settings that its inputs mean, beside those of `one_host`, given its name. `paths`: by a key
    path of a tier, the input that it comes from. `declare`: the resources; returns the outputs. `transformations`: of
    all resources below it."""

    inputs: type[Settings]
    outputs: type[Settings]
    tier: Callable[[str, Raw], dict[str, Any]]
    declare: Callable[[Checked], Mapping[str, pulumi.Input[Any]]]
    paths: Mapping[str, str] = field(default_factory=dict)
    transformations: Callable[[settings.Tier], list[pulumi.ResourceTransformation]] = lambda _: []

    @property
    def token_name(self) -> str:
        """The last word of its type."""
        return self.inputs.__name__

    def check(self, name: str, given: Given) -> tuple[Any, Loaded]:
        """The inputs, typed, and as a tier. Raises InputPropertiesError that lists everything that is wrong."""
        if given.errors:
            raise _refused(given.errors)  # alone: other errors show values
        raw = settings_of(self.inputs, given.settings)
        errors: list[str] = []
        inputs = None
        try:
            inputs = self.inputs.model_validate_json(json.dumps(raw))
        except ValidationError as wrong:
            errors += [line for _, line in by_path(wrong)]
        if not _is_name(name):
            errors.append(f"name = {name!r}: must be 1 to 31 lower-case letters, digits and dashes, a letter first")
            name = "component"
        loaded = None
        try:
            loaded = checked(_source(self.tier(name, raw), name, given))
        except settings.SettingsError as wrong:
            errors += [_of_input(line, self.paths) for line in wrong.errors]
        if errors or loaded is None:
            raise _refused(errors)
        return inputs, loaded


def one_host(name: str, raw: Raw, **more: Any) -> dict[str, Any]:
    """A tier with the one host that a component of one machine is given, and what each tier must have."""
    host = raw.get("host")
    return {
        "hosts": [{"name": name, **(host if isinstance(host, Mapping) else {})}],
        "image": {"reference": "registry:3.1.2"},
        "registries": [{"kind": "hosted", "name": "none", "host": name}],
        "firewall": {"allow": list(NOBODY)},
        **{key: value for key, value in more.items() if value is not None},
    }


def registries_of(name: str, raw: Raw) -> Any:
    """The registries of a component of one machine, as a tier names their host."""
    given = raw.get("registries")
    if not isinstance(given, list):
        return given
    return [{**each, "host": name} if isinstance(each, Mapping) else each for each in given]


OF_HOST = {"hosts.0": "host"}
"""The paths of `one_host`."""


def _is_name(name: str) -> bool:
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        return False
    return True


def _source(data: dict[str, Any], name: str, given: Given) -> Source:
    folder = Path.cwd()  # the program's, where the engine starts the package
    (folder / WORK).mkdir(exist_ok=True)
    (folder / WORK / ".gitignore").write_text("*\n")
    config = StackConfig(data, frozenset(given.secrets), {})
    known_hosts = f"{pulumi.get_stack()}.{name}"
    return Source(config, folder, WORK, known_hosts, given.texts.get, given.secrets.__getitem__)


def _of_input(line: str, paths: Mapping[str, str]) -> str:
    if missing := MISSING_SECRET.fullmatch(line):
        return f"secrets: {missing[1]} is required; add it"
    for path, known in paths.items():
        if re.match(rf"{re.escape(path)}\b", line):
            return (known + line[len(path) :]).removeprefix(".")
    return line


def _refused(errors: Iterable[str]) -> InputPropertiesError:
    lines = list(dict.fromkeys(map(in_program, errors)))
    count = f"{len(lines)} error{'s' if len(lines) > 1 else ''}"
    told = "".join(f"\n  {line}" for line in lines)
    # As one text: beside a path of its own the engine would show the value, which may be a URL with a password in it.
    return InputPropertiesError(f"{count}, nothing was touched:{told}", [])
