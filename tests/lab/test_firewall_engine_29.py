"""Decides that a policy holds where Docker writes its own rules by nftables, which has no chain for others' rules.

That is Engine 29 with `--firewall-backend=nftables`; our rules by iptables, and by nft.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from documents import firewall_rules
from lab import host
from ops.proof import on
from settings.firewall import Firewall, Rule
from tests.lab.firewall_matrix.measuring import ONLY_NFT, RESTART
from tests.lab.hosts import HOSTCTL, await_answer, must, reaches, without_records
from tests.lab.unit_requests import hostctl, request

pytestmark = pytest.mark.lab

HOST, ALLOWED, STRANGER = "docker2", "docker1", "containerd1"
NAME, PORT, INNER = "http-registry-engine-29", 5600, 5000
FLAG = f"/run/systemd/system/docker.service.d/zz-{NAME}.conf"
TABLES = ("ip", "ip6")


@pytest.fixture(scope="module")
def container() -> Iterator[str]:
    """Its own address; it publishes a port. The host is as before afterwards."""
    before = without_records(HOST)
    started = must(HOST, "systemctl show -p ExecStart --value docker").split("argv[]=", 1)[1].split(" ;")[0]
    drop_in = f"[Service]\nExecStart=\nExecStart={started.replace('$DOCKER_OPTS', '')} --firewall-backend=nftables\n"
    image = must("registry", "docker save registry:3 | base64 -w0")
    try:
        must(HOST, f"mkdir -p $(dirname {FLAG}) && cat > {FLAG} && {RESTART}", stdin=drop_in)
        must(HOST, "base64 -d | docker load", stdin=image)
        must(HOST, f"docker run --detach --name {NAME} --publish {PORT}:{INNER} registry:3")
        await_answer(HOST, f"http://127.0.0.1:{PORT}/")
        assert "docker-bridges" in must(HOST, "nft list tables")
        yield must(HOST, f"docker inspect -f '{{{{.NetworkSettings.Networks.bridge.IPAddress}}}}' {NAME}").strip()
    finally:
        on(HOST, f"docker rm --force --volumes {NAME}; docker rmi registry:3; rm -f {FLAG}; {RESTART}")
        on(HOST, "; ".join(f"nft delete table {each} docker-bridges" for each in TABLES))
    assert without_records(HOST) == before


@pytest.fixture
def address(container: str) -> Iterator[str]:
    """The container's, to which the neighbours have a route."""
    neighbours = (ALLOWED, STRANGER)
    for each in neighbours:
        must(each, f"ip route replace {container} via {host(HOST).address}")
    try:
        yield container
    finally:
        for each in neighbours:
            must(each, f"ip route del {container}")


@pytest.mark.parametrize(
    ("hidden", "program"), [("", "iptables"), (f"{ONLY_NFT};", "nftables")], ids=["iptables", "nft"]
)
def test_docker_s_accept_does_not_overrule_a_drop_of_ours(address: str, hidden: str, program: str) -> None:
    own = host(HOST).address
    assert reaches(STRANGER, own, PORT)
    rule = Rule(ports=(PORT,), allow=(f"{host(ALLOWED).address}/32",))
    wish = firewall_rules.wish([rule], Firewall(allow=rule.allow), 22)
    try:
        said = must(HOST, f"unshare --mount sh -c '{hidden} {HOSTCTL} apply'", request(HOST, "firewall", wish))
        assert f"guarded by {program}" in said
        assert reaches(ALLOWED, own, PORT)
        assert not reaches(STRANGER, own, PORT)
        assert not reaches(STRANGER, address, INNER)
        must(HOST, f"{RESTART}; docker start {NAME}")
        await_answer(HOST, f"http://127.0.0.1:{PORT}/")
        assert reaches(ALLOWED, own, PORT)
        assert not reaches(STRANGER, own, PORT)
    finally:
        hostctl(HOST, "remove", unit="firewall")
    assert reaches(STRANGER, own, PORT)
