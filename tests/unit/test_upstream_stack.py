"""Decides what a cache's upstream is by another stack's outputs. Pure."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from registry_outputs.contract import OUTPUTS_VERSION, VERSION
from settings import SettingsError, Tier, parse
from settings.registries import CacheRegistry
from settings.upstream_stack import resolved, stacks

PASSWORD = "geheimes:Wort"
CORE = "organization/http-registry/core"


def outputs(**changed: Any) -> dict[str, Any]:
    """A core's: a registry that asks who pulls, and two mirrors of which one asks, too."""
    asking = {
        each: {"auth": b64encode(f"edges:{PASSWORD}".encode()).decode()} for each in ("core.test", "core.test:5443")
    }
    whole = {
        OUTPUTS_VERSION: VERSION,
        "endpoint": "https://core.test",
        "endpoints": {"own": "https://core.test", "old": "http://core.test:8080"},
        "mirrors": {"docker.io": "https://core.test:5443", "quay.io": "https://core.test:6443"},
        "pull_prefix": "core.test",
        "ca_certificate": "PEM of the core\n",
        "dockerconfigjson": json.dumps({"auths": asking}),
        **changed,
    }
    return {name: value for name, value in whole.items() if value is not None}


def edge(*caches: dict[str, Any], **more: Any) -> Tier:
    """A tier with these caches, the first behind an endpoint that asks for a login."""
    whole = [{"kind": "cache", "name": f"c{index}", "host": "h", **each} for index, each in enumerate(caches)]
    return parse(
        {
            "hosts": [{"name": "h", "address": "10.0.0.1", "ssh": {"host_key": "ssh-ed25519 AAAA"}}],
            "image": {"reference": "registry:3.1.2"},
            "firewall": {"allow": ["10.0.0.0/8"]},
            "registries": [{**each, "port": 5001 + index} for index, each in enumerate(whole)],
            "proxy": {
                "host": "h",
                "endpoints": [{"registry": "c0", "port": 80, "server_name": "edge.test", "login": True}],
                "users": [{"name": "ben", "role": "pull"}],
            },
            **more,
        }
    )


def cache(tier: Tier, name: str) -> CacheRegistry:
    found = tier.registry(name)
    assert isinstance(found, CacheRegistry)
    return found


@pytest.mark.parametrize(
    ("serves", "url", "user"),
    [
        ("core.test", "https://core.test", "edges"),
        ("core.test:8080", "http://core.test:8080", None),
        ("docker.io", "https://core.test:5443", "edges"),
        ("quay.io", "https://core.test:6443", None),
    ],
)
def test_a_mirror_or_a_registry_of_that_name_is_the_upstream(serves: str, url: str, user: str | None) -> None:
    """Its login where that server asks; its authority where it speaks TLS."""
    tier = edge({"serves": serves, "upstream_stack": CORE})
    assert stacks(tier) == [CORE]
    found = resolved(tier, {CORE: outputs()})
    upstream = cache(found.tier, "c0")
    assert (upstream.upstream, upstream.upstream_user) == (url, user)
    assert found.passwords == ({"upstream-password-c0": PASSWORD} if user else {})
    authority = found.authorities.get(upstream.authority or "")
    assert authority == ("PEM of the core\n" if url.startswith("https:") else None)


def test_what_the_cache_says_itself_comes_first() -> None:
    own = {"serves": "core.test", "upstream_stack": CORE, "upstream_user": "own", "authority": "own.pem"}
    found = resolved(edge(own), {CORE: outputs()})
    upstream = cache(found.tier, "c0")
    assert (upstream.upstream_user, upstream.authority, found.passwords) == ("own", "own.pem", {})


def test_a_core_with_authorities_that_everybody_trusts() -> None:
    found = resolved(edge({"serves": "core.test", "upstream_stack": "core"}), {"core": outputs(ca_certificate=None)})
    assert cache(found.tier, "c0").authority is None


def test_a_tier_without_such_a_cache_stays_as_it_is() -> None:
    tier = edge({"serves": "docker.io", "upstream": "https://registry-1.docker.io"})
    assert (stacks(tier), resolved(tier, {}).tier) == ([], tier)


def test_everything_that_is_wrong_is_told_and_no_secret() -> None:
    tier = edge(
        {"serves": "core.test", "upstream_stack": "core"},
        {"serves": "ghcr.io", "upstream_stack": "core"},
        {"serves": "docker.io", "upstream_stack": "core"},
        {"serves": "quay.io", "upstream_stack": "core"},
        {"serves": "gcr.io", "upstream_stack": "empty"},
        {"serves": "k8s.io", "upstream_stack": "odd"},
        tier="edge",
    )
    with pytest.raises(SettingsError) as raised:
        resolved(tier, {"core": outputs(), "empty": {}, "odd": outputs(dockerconfigjson=[PASSWORD])})
    empty, odd, unknown, unasked = raised.value.errors
    assert empty.startswith("registries.4.upstream_stack = 'empty': stack empty exports no outputs_version")
    assert odd.startswith("registries.5.upstream_stack = 'odd': stack odd: output dockerconfigjson is wrong")
    assert unknown == (
        "registries.1.serves = 'ghcr.io': the stack core has no mirror of it and no registry of that name; take one "
        "that it has: core.test, core.test:8080, docker.io, quay.io"
    )
    assert unasked.startswith("registries.2.upstream_stack = 'core': core.test:5443 there asks who pulls")
    assert PASSWORD not in str(raised.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "must have upstream or upstream_stack, and not both"),
        ({"upstream": "http://a", "upstream_stack": "core"}, "must have upstream or upstream_stack, and not both"),
        ({"upstream_stack": "project/core"}, "must be a stack's name, such as core, or with organization and project"),
    ],
)
def test_a_cache_has_one_upstream(more: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        edge({"serves": "docker.io", **more})
