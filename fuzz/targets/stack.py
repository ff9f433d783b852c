"""A stack's own file, what the engine makes of it, and what another stack's outputs say."""

from __future__ import annotations

import json
from typing import Any

import yaml

from fuzz.target import CASES, Target, promised, texts
from registry_outputs import contract
from settings import Given, SettingsError, check, parse
from settings.registry_files import _jwks
from settings.stack_config import NAMESPACE, split

STACKS = CASES.parents[1] / "stacks"
SECRETS = ("password-ci", "password-dev")


def _settings(data: bytes) -> dict[str, Any] | None:
    """The settings of a stack's file, or of a case's; None where that is no such file."""
    try:
        read = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError, OverflowError):
        return None
    config = read.get("config", read) if isinstance(read, dict) else None
    if not isinstance(config, dict):
        return None
    found = {str(key).removeprefix(f"{NAMESPACE}:"): value for key, value in config.items()}
    try:
        return json.loads(json.dumps(found))  # type: ignore[no-any-return]
    except (TypeError, ValueError, RecursionError):
        return None


def run_settings(data: bytes) -> None:
    """Read, or every error at once with its key; never another exception."""
    found = _settings(data)
    if found is None:
        return
    with promised(SettingsError):
        tier = parse(found, SECRETS, "prod")
        assert parse(found, SECRETS, "prod") == tier
    _, errors = check(Given(found, "prod"), SECRETS)
    assert all(isinstance(each, str) and each for each in errors)
    values = json.loads(json.dumps(found), object_hook=lambda each: list(each.values()))
    if "geheim" in json.dumps(values) and json.dumps(values).count("geheim") == json.dumps(found).count("geheim"):
        assert not any("geheim" in each for each in errors if "Input tag" not in each), "a secret in an error"
    # As the engine hands it over: each key's value as JSON, or as it is.
    handed = {
        f"{NAMESPACE}:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in found.items()
    }
    config = split(handed, [f"{NAMESPACE}:password-ci"])
    with promised(SettingsError):
        parse(config.settings, config.secrets, "prod")


def run_outputs(data: bytes) -> None:
    """`pulumi stack output --json`: typed, or ContractError."""
    with promised(ValueError, RecursionError):
        outputs = json.loads(data)
    if isinstance(locals().get("outputs"), dict):
        with promised(contract.ContractError):
            contract.parsed("s", outputs)


def run_jwks(data: bytes) -> None:
    """A token server's keys: written anew alike, or ValueError."""
    with promised(ValueError):
        written = _jwks(data.decode(errors="replace"))
        assert _jwks(written) == written


def _stacks() -> tuple[bytes, ...]:
    stacks = [each.read_bytes() for each in sorted(STACKS.glob("*.yaml"))]
    cases = [yaml.safe_load(each.read_text()).get("settings") for each in sorted((CASES / "settings").glob("*.yaml"))]
    return (
        *stacks,
        *(json.dumps(each).encode() for each in [*cases, *map(_settings, stacks)] if each),
    )


OUTPUTS = {
    "outputs_version": 1,
    "endpoint": "https://r",
    "endpoints": {"team": "https://r"},
    "mirrors": {},
    "pull_prefix": "r",
    "ca_certificate": None,
    "pull_credentials": {"server": "r", "username": "u", "password": "geheim"},
    "dockerconfigjson": "{}",
    "metrics_endpoint": None,
}
KEYS = {"keys": [{"kty": "EC", "kid": "a", "crv": "P-256", "x": "x", "y": "y"}]}
JSON = ("{", "}", "[", "]", '"', ":", ",", "null", "true", "1", "-1", "1e999", "NaN")
WORDS = (
    ": ",
    "\n  - ",
    "http-registry:",
    "null",
    "[]",
    "{}",
    "true",
    "hosts",
    "registries",
    "proxy",
    "endpoints",
    "users",
    "runtimes",
    "firewall",
    "rules",
    "authorities",
    "metrics",
    "offline_sync",
    "http://u:geheim@h",
    "[fd00::1]:5000",
    "10.0.0.0/8",
    "0x1f",
    "1e3",
    "&a ",
    "*a",
)
TARGETS = (
    Target("settings", run_settings, _stacks(), WORDS),
    Target("stack-outputs", run_outputs, (json.dumps(OUTPUTS).encode(),), JSON),
    Target("jwks", run_jwks, (json.dumps(KEYS).encode(), *texts('{"keys": []}')), JSON),
)
