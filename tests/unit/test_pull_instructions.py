"""How to pull, for each committed tier and some others: the files are what their readers take. Pure.

What runtimes make of them is decided in tests/lab/spare/test_status_page.py.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
import tomlkit
import yaml

from documents import nginx_status
from documents.pull_instructions import Instructions, instructions
from ops.stack import PROJECT
from settings import parse
from settings.certificates import Certificate
from settings.tier import Tier

TIERS = ("dev", "staging", "prod", "lab")
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def tier_of(name: str, **changed: Any) -> Tier:
    whole = yaml.safe_load((PROJECT / "stacks" / f"Pulumi.{name}.yaml").read_text())["config"]
    settings = {key.partition(":")[2]: each for key, each in whole.items()}
    plain = {key: each for key, each in settings.items() if not (isinstance(each, dict) and "secure" in each)}
    return parse({**plain, **changed})


def of(tier: Tier) -> dict[str, Instructions]:
    signed = [Certificate(each, PEM, datetime(2030, 1, 1, tzinfo=UTC)) for each in tier.authorities]
    return {each.key: each for each in instructions(tier, signed)}


@pytest.mark.parametrize("name", TIERS)
def test_files_are_what_their_readers_take(name: str) -> None:
    found = of(tier_of(name))
    assert list(found) == ["docker", "containerd", "kubernetes", "buildkit", "skopeo"]
    for step in (step for each in found.values() for step in each.setup):
        if step.path.endswith(".toml"):
            assert tomlkit.parse(step.text), step.path
        elif step.path.endswith(".json"):
            assert set(json.loads(step.text)) <= {"registry-mirrors", "insecure-registries"}
        elif step.path:
            assert step.text == PEM.strip()
    pod = yaml.safe_load(found["kubernetes"].pull[-1].text)
    assert pod["spec"]["containers"][0]["image"].endswith("/team/app:1")


@pytest.mark.parametrize(("name", "asks"), [("dev", False), ("staging", True), ("prod", True), ("lab", True)])
def test_a_login_is_asked_for_where_the_registry_does(name: str, asks: bool) -> None:
    for each in of(tier_of(name)).values():
        assert any(" login " in step.text for step in each.pull) == asks, each.runtime


def test_with_tls_nothing_is_insecure_and_the_authority_is_there() -> None:
    found = of(tier_of("prod"))
    texts = [step.text for each in found.values() for step in (*each.pull, *each.setup)]
    assert not re.search("insecure|tls-verify|http://|http = true", "\n".join(texts))
    paths = {step.path for each in found.values() for step in each.setup if step.text == PEM.strip()}
    assert "/etc/docker/certs.d/10.20.2.10:5443/ca.crt" in paths
    trusted = tomlkit.parse(next(step.text for step in found["containerd"].setup if "docker.io" in step.path))
    assert trusted["host"]["https://10.20.2.10:5443"]["ca"] in paths


def test_a_mirror_that_asks_for_a_login_is_none_that_dockerd_could_use() -> None:
    whole = yaml.safe_load((PROJECT / "stacks" / "Pulumi.staging.yaml").read_text())["config"]["http-registry:proxy"]
    endpoints = [{**each, "login": each["registry"] == "hub-cache"} for each in whole["endpoints"]]
    found = of(tier_of("staging", proxy={**whole, "endpoints": endpoints}, runtimes=[]))
    assert "registry-mirrors" not in json.loads(found["docker"].setup[0].text)
    assert not any("docker.io" in step.path for step in found["containerd"].setup)


def test_a_tier_of_mirrors_alone() -> None:
    cache = {"kind": "cache", "host": "h", "port": 5000}
    hub = {**cache, "name": "hub", "serves": "docker.io", "upstream": "https://registry-1.docker.io"}
    quay = {**cache, "name": "quay", "port": 5001, "serves": "quay.io", "upstream": "https://quay.io"}
    hosts = [{"name": "h", "address": "10.0.0.1"}]
    tier = parse(
        {
            "hosts": hosts,
            "image": {"reference": "registry:3.1.2"},
            "registries": [hub, quay],
            "firewall": {"allow": ["10.0.0.0/24"]},
        }
    )
    found = of(tier)
    assert list(found) == ["docker", "containerd", "buildkit"]
    assert [each.text for each in found["containerd"].pull] == [
        "crictl pull docker.io/library/alpine:3",
        "crictl pull quay.io/team/app:1",
    ]
    assert "/etc/docker/certs.d/quay.io/hosts.toml" in [each.path for each in found["docker"].setup]


@pytest.mark.parametrize("name", TIERS)
def test_the_page_stays_light(name: str) -> None:
    """With an authority of a usual length, for each server."""
    tier = tier_of(name, metrics={"status_page": True}) if name != "dev" else None
    if tier is None:
        return
    signed = [Certificate(each, PEM * 15, datetime(2030, 1, 1, tzinfo=UTC)) for each in tier.authorities]
    files = nginx_status.files(tier, signed)
    assert sum(len(each.text) for each in files) < 60_000
    page = next(each.text for each in files if each.path.endswith("index.html"))
    assert "<!--" not in page
    assert nginx_status.url(tier) in (
        "http://10.20.1.10/status/",
        "https://10.20.2.10/status/",
        "http://192.168.1.11/status/",
    )


def test_without_the_setting_there_is_no_page() -> None:
    for name in TIERS:
        assert nginx_status.url(tier_of(name)) is None
        assert nginx_status.files(tier_of(name), []) == ()
