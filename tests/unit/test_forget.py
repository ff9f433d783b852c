"""Decides what of a state goes with a host that is gone, and that the rest holds together."""

from __future__ import annotations

from typing import Any

from ops.forget import without_host

PROJECT = "urn:pulumi:lab::http-registry::"


def resource(kind: str, name: str, parent: str = "", **more: Any) -> dict[str, Any]:
    return {"urn": f"{PROJECT}{kind}::{name}", "type": kind, "parent": parent, "custom": ":index:" not in kind, **more}


STACK = resource("pulumi:pulumi:Stack", "http-registry-lab")
HOST_A = resource("http-registry:index:Host", "a", STACK["urn"])
PROBE_A = resource("command:remote:Command", "a-python", HOST_A["urn"])
DOCKER_A = resource("pulumi:providers:docker", "a-docker", HOST_A["urn"])
REGISTRY = resource("http-registry:index:HttpRegistry", "hosted", STACK["urn"])
CONTAINER = resource(
    "docker:index/container:Container", "hosted-container", REGISTRY["urn"], provider=f"{DOCKER_A['urn']}::1234"
)
HOST_B = resource("http-registry:index:Host", "b", STACK["urn"])
RUNTIMES_B = resource("http-registry:index:RuntimeMirrorConfig", "b-runtimes", STACK["urn"])
MIRRORS_B = resource(
    "command:remote:Command", "b-docker-mirrors", RUNTIMES_B["urn"],
    dependencies=[CONTAINER["urn"], HOST_B["urn"]], propertyDependencies={"stdin": [CONTAINER["urn"]]},
)  # fmt: skip
ALL = [STACK, HOST_A, PROBE_A, DOCKER_A, REGISTRY, CONTAINER, HOST_B, RUNTIMES_B, MIRRORS_B]


def test_what_is_on_the_host_goes_and_nobody_depends_on_it_any_more() -> None:
    left, names = without_host({"resources": ALL, "manifest": 1}, "a")
    assert names == ["a", "a-docker", "a-python", "hosted", "hosted-container"]
    freed = {**MIRRORS_B, "dependencies": [HOST_B["urn"]], "propertyDependencies": {"stdin": []}}
    assert left == {"resources": [STACK, HOST_B, RUNTIMES_B, freed], "manifest": 1}


def test_a_name_that_starts_alike_is_another_host() -> None:
    other = resource("command:remote:Command", "ab-python", STACK["urn"])
    left, _ = without_host({"resources": [*ALL, other]}, "a")
    assert other in left["resources"]


def test_an_unknown_host_changes_nothing() -> None:
    assert without_host({"resources": ALL}, "z") == ({"resources": ALL}, [])
