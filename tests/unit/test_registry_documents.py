"""A registry's config.yml and the files beside it. Cases are files. Pure; the real registry reads them in
tests/programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from documents import registry_config
from hostctl.masking import MASK
from settings import parse
from settings.registry_files import RegistryFiles

CASES = Path(__file__).parents[1] / "cases" / "registry_config"
FILES = RegistryFiles("AUTHORITY\n", "TOKEN\n", "{}\n", "SERVER\n", "AUTHORITY\n")


def registry(**wanted: Any) -> Any:
    tier: dict[str, Any] = {
        "hosts": [{"name": "h", "address": "10.0.0.1"}],
        "image": {"reference": "registry:3.1.2"},
        "registries": [{"name": "r", "host": "h", **wanted}],
        "firewall": {"allow": ["10.0.0.0/8"]},
    }
    return parse(tier).registries[0]


def given(case: str) -> tuple[Any, RegistryFiles, dict[str, str]]:
    data = yaml.safe_load((CASES / case / "in.yaml").read_text())
    return registry(**data["registry"]), RegistryFiles(**data.get("files", {})), data.get("secrets", {})


@pytest.mark.parametrize("case", sorted(each.name for each in CASES.iterdir()))
def test_config_yml(case: str) -> None:
    first, *_ = registry_config.render(*given(case))
    assert first.path == registry_config.PATH
    assert first.text == (CASES / case / "out.yaml").read_text()


@pytest.mark.parametrize("case", sorted(each.name for each in CASES.iterdir()))
def test_no_secret_is_shown_or_readable_by_others(case: str) -> None:
    wanted, files, secrets = given(case)
    assert set(secrets) == set(wanted.secrets)
    marked = {name: f"geheim-{name}" for name in secrets}
    rendered = registry_config.render(wanted, files, marked)
    for value in marked.values():
        assert [each.mode for each in rendered if value in each.text] == [0o600]
    masked = registry_config.render(wanted, files)
    assert [each.text.count(MASK) for each in masked] == [each.text.count("geheim-") for each in rendered]
    assert "geheim" not in " ".join(registry_config.environment(wanted))


def test_each_file_stands_where_config_yml_says() -> None:
    wanted, files, secrets = given("hosted-token")
    config, *others = registry_config.render(wanted, files, secrets)
    token = yaml.safe_load(config.text)["auth"]["token"]
    assert {each.path: each.text for each in others} == {
        token["rootcertbundle"]: "CERTIFICATE\n",
        token["jwks"]: "{}\n",
    }
    wanted, files, secrets = given("hosted-tls")
    config, *others = registry_config.render(wanted, files, secrets)
    tls = yaml.safe_load(config.text)["http"]["tls"]
    assert {each.path: each.text for each in others} == {tls["certificate"]: "CERTIFICATE\n", tls["key"]: "KEY\n"}


def test_an_own_authority_is_trusted_besides_the_image_s() -> None:
    wanted, files, _ = given("cache-own-authority")
    _, authority = registry_config.render(wanted, files)
    folder = authority.path.rpartition("/")[0]
    assert f"SSL_CERT_DIR={folder}" in registry_config.environment(wanted)
    assert not [each for each in registry_config.environment(registry(kind="hosted")) if "SSL" in each]


def test_no_cache_of_blobs_that_garbage_collection_removes() -> None:
    for case in CASES.iterdir():
        config, *_ = registry_config.render(*given(case.name))
        assert "cache" not in yaml.safe_load(config.text)["storage"]


def test_images_are_in_a_volume_or_in_a_bucket() -> None:
    assert registry_config.in_volume(registry(kind="hosted"))
    assert not registry_config.in_volume(given("hosted-s3-replicas")[0])
