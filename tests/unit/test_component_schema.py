"""Decides what the component package's schema says: all is described and typed, and it means the settings' own keys."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from component_package import inputs
from component_package.names import camel, in_program, settings_of
from component_package.provider import VERSION, schema_text
from tests.checkout import REAL

SCHEMA: dict[str, Any] = json.loads(schema_text())
PROPERTIES = [
    (f"{token}.{name}", spec)
    for kind, parts in (("resources", ("inputProperties", "properties")), ("types", ("properties",)))
    for token, described in SCHEMA[kind].items()
    for part in parts
    for name, spec in described.get(part, {}).items()
]


def test_the_components_are_those_that_the_documentation_promises() -> None:
    names = {token.rpartition(":")[2] for token in SCHEMA["resources"]}
    assert names == {"RuntimeMirrorConfig", "FirewallPolicy", "HttpRegistry", "NginxAuthProxy", "Site"}


@pytest.mark.parametrize(("path", "spec"), PROPERTIES, ids=[path for path, _ in PROPERTIES])
def test_each_property_is_described_in_a_sentence(path: str, spec: dict[str, Any]) -> None:
    text = spec["description"]
    assert len(text) > 5, path
    assert text.endswith((".", ":")), text
    assert re.fullmatch(r"[a-z][a-zA-Z0-9]*", path.rpartition(".")[2])


def test_each_component_type_and_enum_is_described() -> None:
    for token, spec in {**SCHEMA["resources"], **SCHEMA["types"]}.items():
        assert spec["description"], token
        for value in spec.get("enum", ()):
            assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", value["name"]), token


def test_each_reference_leads_to_a_type_and_each_type_is_used() -> None:
    wanted = {each.removeprefix("#/types/") for each in refs(SCHEMA)}
    assert wanted == SCHEMA["types"].keys()


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from refs(each)
    elif isinstance(value, list):
        for each in value:
            yield from refs(each)


def test_passwords_are_secrets_and_settings_are_not() -> None:
    secret = {path.partition("index:")[2] for path, spec in PROPERTIES if spec.get("secret")}
    assert secret == {
        "RuntimeMirrorConfig.secrets",
        "HttpRegistry.secrets",
        "NginxAuthProxy.secrets",
        "Site.secrets",
        "Site.pullCredentials",
        "Site.dockerconfigjson",
    }


def test_a_program_is_not_asked_for_what_only_a_stacks_file_has() -> None:
    site = SCHEMA["resources"]["http-registry:index:Site"]["inputProperties"]
    assert "observe" not in site
    assert "host" not in SCHEMA["types"]["http-registry:index:MachineHostedRegistry"]["properties"]
    assert "host" in SCHEMA["types"]["http-registry:index:HostedRegistry"]["required"]


@pytest.mark.parametrize("tier", ["dev", "staging", "prod", "core", "edge", "offline"])
def test_what_a_stacks_file_says_can_be_said_by_a_program(tier: str) -> None:
    text = (REAL / "stacks" / f"Pulumi.{tier}.yaml").read_text()
    settings = {key.partition(":")[2]: value for key, value in yaml.safe_load(text)["config"].items()}
    settings.pop("observe", None)
    assert settings_of(inputs.Site, camelled(settings)) == settings


def camelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key if "." in key else camel(key): camelled(each) for key, each in value.items()}
    if isinstance(value, list):
        return [camelled(each) for each in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def test_keys_of_a_users_own_stay_as_they_are() -> None:
    given = {"cli": [{"user": "root", "helpers": {"my_registry.test": "ecr-login"}}], "secrets": {"a_b": "c"}}
    assert settings_of(inputs.RuntimeMirrorConfig, given) == given


def test_an_error_names_the_input_as_the_program_does() -> None:
    assert in_program("host.ssh.host_key = 'a_b': is_wrong") == "host.ssh.hostKey = 'a_b': is_wrong"


def test_the_version_is_the_projects() -> None:
    assert tomllib.loads((REAL / "pyproject.toml").read_text())["project"]["version"] == VERSION
