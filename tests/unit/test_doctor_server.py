"""Decides what the hosts that serve are asked, and which findings of clients end with a finding there."""

from __future__ import annotations

from typing import Any

import pytest

from doctor.causes import AREA_OF, CATALOGUE
from doctor.causes.server import CAUSES
from doctor.finding import Finding
from doctor.pull import Image
from ops.configuration import tier_of
from ops.doctor.found import PLACE, Found
from ops.doctor.server import folded, served
from settings import parse
from settings.tier import Tier

CLIENTS = ("docker1", "containerd1", "containerd2", "docker2")


def lab(**changed: Any) -> Tier:
    """The lab's tier, some of its settings others."""
    tier = tier_of("lab")
    return parse({**tier.model_dump(mode="json"), **changed}, stack="lab") if changed else tier


def test_a_host_that_serves_nothing_is_asked_nothing() -> None:
    assert served(lab(), "docker1") is None


def test_what_the_lab_s_registry_serves() -> None:
    asked = served(lab(), "registry")
    assert asked is not None
    assert [(each["registry"], each["port"], each["passwords"], each["nginx"]) for each in asked["endpoints"]] == [
        ("hosted", 80, True, True),
        ("hub-cache", 5080, False, True),
    ]
    assert asked["containers"] == [
        {"name": "http-registry-hosted", "registry": "hosted", "url": "http://127.0.0.1:5000"}
    ]
    upstream = {"upstream": "http://192.168.1.10:5000", "user": "", "origin": True, "ask": ""}
    assert asked["caches"] == [{"registry": "hub-cache", **upstream}]
    assert [each["name"] for each in asked["clients"]] == [*CLIENTS]
    assert asked["clients"][0]["asks"] == [
        {"name": "192.168.1.11", "port": 5080, "allowed": True},
        {"name": "192.168.1.11", "port": 80, "allowed": True},
    ]


def test_the_upstream_is_asked_for_the_image_itself() -> None:
    asked = served(lab(), "registry", Image("docker.io", "library/app", "1"), only="docker1")
    assert asked is not None
    assert asked["caches"][0]["ask"] == "library/app/manifests/1"
    assert [each["name"] for each in asked["clients"]] == ["docker1"]
    elsewhere = served(lab(), "registry", Image("quay.io", "library/app", "1"))
    assert elsewhere is not None
    assert elsewhere["caches"][0]["ask"] == ""


def test_an_address_outside_the_allowlist() -> None:
    asked = served(lab(firewall={"allow": ["192.168.1.21/32"]}), "registry")
    assert asked is not None
    assert {each["name"]: each["asks"][0]["allowed"] for each in asked["clients"]} == {
        **dict.fromkeys(CLIENTS, False),
        "docker1": True,
    }


def test_without_a_proxy_containers_are_asked_themselves() -> None:
    plain = lab(proxy=None, runtimes=[])
    asked = served(plain, "registry")
    assert asked is not None
    assert [(each["port"], each["nginx"]) for each in asked["endpoints"]] == [(5000, False), (5001, False)]
    assert [each["url"] for each in asked["containers"]] == ["http://127.0.0.1:5000", "http://127.0.0.1:5001"]
    assert (asked["folders"], asked["clients"], asked["caches"][0]["origin"]) == ([], [], False)


def test_every_tier_can_be_asked() -> None:
    for stack in ("dev", "staging", "prod"):
        tier = tier_of(stack)
        asked = [served(tier, each.name) for each in tier.hosts]
        assert any(asked)
        certificates = {each["certificate"] for one in asked if one for each in one["endpoints"]}
        assert bool(certificates - {""}) == any(each.tls for each in (tier.proxy.endpoints if tier.proxy else ()))


MIRROR, HOSTED = "192.168.1.11:5080", "192.168.1.11:80"


def of_server(cause: str, endpoints: str = f"{HOSTED} {MIRROR}", **values: str) -> Found:
    return Found("registry", Finding(cause, "there", "so it is", {"endpoints": endpoints, **values}))


def of_client(cause: str, host: str = "docker1", url: str = f"http://{MIRROR}") -> Found:
    return Found(host, Finding(cause, url, f"GET {url}/v2/: no", {"url": url}))


FOLDED = {
    "nginx is down": (of_server("nginx-down"), of_client("connection-refused"), True),
    "the port left out": (of_server("nginx-down"), of_client("connection-refused", url="http://192.168.1.11"), True),
    "another port": (of_server("nginx-down", HOSTED), of_client("connection-refused"), False),
    "another host": (of_server("nginx-down"), of_client("connection-refused", url="http://192.168.1.110:5080"), False),
    "another port that begins alike": (
        of_server("nginx-down", "192.168.1.11:508"),
        of_client("connection-refused"),
        False,
    ),
    "another cause": (of_server("nginx-down"), of_client("tls-expired"), False),
    "another's server on the port": (of_server("site-not-in-force"), of_client("https-answer-to-http"), True),
    "another registry's": (of_server("registry-down", HOSTED), of_client("server-error"), False),
    "a rule about this client": (
        of_server("firewall-server", hosts="docker1"),
        of_client("connection-timed-out"),
        True,
    ),
    "a rule about others": (of_server("firewall-server", hosts="docker2"), of_client("connection-timed-out"), False),
    "the name in place of the address": (
        of_server("origin-down", "registry.example:5080"),
        of_client("server-error"),
        True,
    ),
    "its own Docker": (of_server("registry-docker-down"), of_client("runtime-down", "registry", "docker"), True),
    "another's Docker": (of_server("registry-docker-down"), of_client("runtime-down", "docker1", "docker"), False),
}


@pytest.mark.parametrize(("reason", "other", "follows"), FOLDED.values(), ids=FOLDED)
def test_what_follows_from_what(reason: Found, other: Found, follows: bool) -> None:
    told = folded(lab(), [other, reason])
    assert [each.finding.cause for each in told] == (
        [reason.finding.cause] if follows else [other.finding.cause, reason.finding.cause]
    )
    assert [each.finding.cause for each in told[-1].consequences] == ([other.finding.cause] if follows else [])


def test_what_a_server_explains_is_in_the_catalogue() -> None:
    for cause in CAUSES:
        assert set(cause.explains) <= CATALOGUE.keys(), cause.name
        assert not {each for each in cause.explains if AREA_OF[each] == "server"}, cause.name


def test_texts_name_only_what_findings_fill() -> None:
    """`values`, and what every finding has: ops.doctor.found."""
    always = {"host", "stack", "where", "evidence"}
    filled = {
        "nginx-other-config-broken": {"mend"},
        "port-taken": {"port", "user", "stop"},
        "nginx-down": {"state"},
        "htpasswd-unreadable": {"user", "mend"},
        "htpasswd-not-bcrypt": {"users"},
        "certificate-near-end": {"name", "port", "ends", "days"},
        "registry-missing": {"registry", "container"},
        "registry-down": {"registry", "container", "state"},
        "store-down": {"registry", "url"},
        "upstream-firewall": {"registry", "upstream", "undo"},
        "upstream-down": {"registry", "upstream"},
        "upstream-login-refused": {"registry", "upstream", "user"},
        "upstream-rate-limited": {"registry", "upstream"},
        "server-disk-full": {"what"},
        "read-only": {"what", "mount"},
        "pushes-held": {"registry", "since"},
        "firewall-server": {"clients", "port", "undo"},
        "firewall-loopback": {"registry", "undo"},
        "firewall-changed": {"clients"},
        "firewall-allowlist": {"clients", "port"},
        "no-way-back": {"clients", "address"},
    }
    for cause in CAUSES:
        commands = " ".join(part for command in cause.commands for part in command)
        named = {*PLACE.findall(f"{cause.title} {cause.because} {cause.fix} {commands}")}
        assert named - always <= filled.get(cause.name, set()), cause.name
