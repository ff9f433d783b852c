"""Decides, on the lab's hosts, who reaches a port that a container of somebody else publishes on a guarded host.

The port is in the tier's `firewall.extra_ports`, as that of a tier without a proxy would be.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.hosts import await_answer, must, reaches

pytestmark = pytest.mark.lab

PORT = 5500
INSIDE, OUTSIDE = "192.168.1.11", "192.168.2.11"


@pytest.fixture(scope="module", params=["bridge", "host"])
def container(request: pytest.FixtureRequest) -> Iterator[str]:
    """Its own address, as a neighbour would ask it: published on a bridge, or on the host's network."""
    where = (
        f"--publish {PORT}:5000" if request.param == "bridge" else f"--env REGISTRY_HTTP_ADDR=:{PORT} --network host"
    )
    must("registry", f"docker run --detach --name published {where} registry:3")
    try:
        await_answer("registry", f"http://127.0.0.1:{PORT}/v2/")
        yield must("registry", "docker inspect -f '{{.NetworkSettings.IPAddress}}' published").strip()
    finally:
        must("registry", "docker rm --force --volumes published")


def test_the_allowlist_gets_in_and_nobody_else(container: str) -> None:
    assert reaches("docker1", INSIDE, PORT)
    assert not reaches("outsider", OUTSIDE, PORT)
    assert not reaches("outsider", INSIDE, PORT)


def test_the_host_itself_gets_in_at_all_its_addresses(container: str) -> None:
    for address in ("127.0.0.1", INSIDE, OUTSIDE):
        assert reaches("registry", address, PORT)


@pytest.mark.parametrize("container", ["bridge"], indirect=True)
def test_nobody_outside_of_the_allowlist_reaches_the_container_itself(container: str) -> None:
    must("outsider", f"ip route replace {container} via {OUTSIDE}")
    try:
        assert not reaches("outsider", container, 5000)
    finally:
        must("outsider", f"ip route del {container}")


def test_rules_survive_a_restart_of_docker(container: str) -> None:
    must("registry", "systemctl reset-failed docker; systemctl restart docker")
    must("registry", "docker start published")
    await_answer("registry", f"http://127.0.0.1:{PORT}/v2/")
    await_answer("registry", "http://127.0.0.1:5000/v2/")
    assert not reaches("outsider", OUTSIDE, PORT)
    assert reaches("docker1", INSIDE, PORT)
