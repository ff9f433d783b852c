"""Decides that the outputs keep their names, types and meaning, and that a reader is told what is wrong with one."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import yaml

from documents.outputs import render
from registry_outputs.contract import SECRET, VERSION, ContractError, Outputs, PullCredentials, checked
from registry_outputs.reader import RegistryOutputs
from settings import parse
from settings.certificates import Certificate

CASES = Path(__file__).parents[1] / "cases" / "outputs"
RENDERED = sorted((CASES / "rendered").glob("*.yaml"))
REST = {
    "hosts": [{"name": "h", "address": "10.0.0.1"}],
    "image": {"reference": "registry:3.1.2"},
    "firewall": {"allow": ["10.0.0.0/8"]},
}
CREDENTIALS = {"server": "r.test", "username": "ben", "password": "geheim"}


def written(kind: type[Any]) -> dict[str, str]:
    """Each key's type as the source has it."""
    return {name: each.__forward_arg__ for name, each in kind.__annotations__.items()}


def test_names_and_types_are_those_that_applications_build_on() -> None:
    golden = yaml.safe_load((CASES / f"version-{VERSION}.yaml").read_text())
    assert golden == {
        "outputs": written(Outputs),
        "secret": sorted(SECRET),
        "PullCredentials": written(PullCredentials),
    }


def test_the_reader_has_each_output_with_its_type() -> None:
    read = {name: get_args(each)[0] for name, each in get_type_hints(RegistryOutputs).items()}
    assert read == get_type_hints(Outputs)


@pytest.mark.parametrize("case", RENDERED, ids=lambda case: case.stem)
def test_outputs_follow_from_the_settings(case: Path) -> None:
    data = yaml.safe_load(case.read_text())
    tier = parse({**REST, **data["settings"]})
    authorities = [Certificate(each, f"PEM of {each.name}", datetime.now(UTC)) for each in tier.authorities]
    users = tier.proxy.users if tier.proxy else ()
    found = render(tier, authorities, {each.name: f"of-{each.name}" for each in users})
    auths = json.loads(found["dockerconfigjson"])["auths"]
    assert {server: b64decode(each["auth"]).decode() for server, each in auths.items()} == data["auths"]
    wanted = {"metrics_endpoint": None, **data["outputs"]}
    assert {**found, "dockerconfigjson": ""} == {**wanted, "dockerconfigjson": ""}
    for name, value in found.items():
        assert checked("s", name, VERSION, value) == value


@pytest.mark.parametrize(
    ("name", "version", "value", "said"),
    [
        ("endpoint", None, "http://r", "stack s exports no outputs_version, so it is no registry's stack, or"),
        ("endpoint", VERSION + 1, "http://r", f"exports version {VERSION + 1} of its outputs, and this reader knows"),
        ("endpoint", VERSION, ["http://r"], "output endpoint is wrong (Input should be a valid string); expected: str"),
        ("mirrors", VERSION, None, "output mirrors is missing; expected: dict[str, str]. Somebody has changed"),
        ("mirrors", VERSION, {"docker.io": 1}, "output mirrors.docker.io is wrong"),
        ("pull_credentials", VERSION, {**CREDENTIALS, "username": 1}, "output pull_credentials.username is wrong"),
        ("pull_credentials", VERSION, ["geheim"], "expected: PullCredentials | None"),
        ("pull_credentials", VERSION, {"password": "geheim"}, "pull_credentials.server is wrong (Field required)"),
        ("dockerconfigjson", VERSION, {"auths": "geheim"}, "output dockerconfigjson is wrong"),
    ],
)
def test_an_output_of_another_shape_is_named_and_never_shown(name: str, version: object, value: Any, said: str) -> None:
    with pytest.raises(ContractError) as raised:
        checked("s", name, version, value)
    assert said in str(raised.value)
    assert "geheim" not in str(raised.value)


def test_what_a_later_stack_adds_does_not_disturb() -> None:
    assert checked("s", "pull_credentials", VERSION, {**CREDENTIALS, "email": "b@r.test"}) == CREDENTIALS
    assert checked("s", "metrics_endpoint", VERSION, None) is None
