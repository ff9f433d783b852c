"""Decides, on the lab's registry host, that garbage collection removes what nothing needs and disturbs nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from documents import garbage_collection
from documents.nginx_hosted import RETRY_AFTER
from hostctl.units.garbage_collection import gate, service, timer
from ops.configuration import tier_of
from ops.proof import on
from settings.registries import GarbageCollection, HostedRegistry
from tests.lab.hosts import must, without_records
from tests.lab.unit_requests import hostctl

pytestmark = pytest.mark.lab

HOST = "registry"
CLIENT = (Path(__file__).parents[1] / "registry_client.py").read_text()
NAME = next(each.name for each in tier_of("lab").registries if isinstance(each, HostedRegistry))
RUN, GATE = service(NAME), gate(NAME)
DATA = f"$(docker volume inspect -f '{{{{.Mountpoint}}}}' http-registry-{NAME})"
AGE = f"find {DATA}/docker/registry/v2 -exec touch -d '2 days ago' {{}} +"
SAID = f"journalctl -u {RUN} -o cat --no-pager -q _COMM=python3 | tail -n 1"
CONTAINERS = "docker inspect -f '{{.Id}} {{.State.StartedAt}} {{.RestartCount}}' $(docker ps -q)"


def wish(schedule: str = "*-01-01 03:30", *, untagged: bool = False) -> dict[str, object]:
    rules = GarbageCollection(schedule=schedule, untagged=untagged)
    registry = tier_of("lab").registry(NAME)
    assert isinstance(registry, HostedRegistry)
    return garbage_collection.render([registry.model_copy(update={"garbage_collection": rules})], {}).wish()


def client(script: str) -> str:
    """What a script prints that asks the registry as the proxy does; it has `client`."""
    port = tier_of("lab").registry(NAME).port
    return must(HOST, "python3 -", f"{CLIENT}\nclient = Client('http://127.0.0.1:{port}')\n{script}").strip()


@pytest.fixture
def unit() -> Iterator[None]:
    """The unit as a stack would make it; the host is as before afterwards."""
    before = without_records(HOST)
    hostctl(HOST, "apply", wish(untagged=True), unit="garbage-collection")
    try:
        yield
    finally:
        hostctl(HOST, "remove", unit="garbage-collection")
        assert without_records(HOST) == before


@pytest.fixture
def garbage() -> Iterator[None]:
    """A deleted image, an untagged one, a tagged one, a push and an upload that are under way; all but these old."""
    client("""
deleted = client.push("gc/x", "old", b"config 1", b"shared", b"own")
client.ask("DELETE", f"/v2/gc/x/manifests/{digest(deleted)}")
client.push("gc/x", "kept", b"config 0", b"layer of an untagged image")
client.push("gc/x", "kept", b"config 2", b"shared")
""")
    must(HOST, AGE)
    client("client.upload('gc/x', b'layer of a push')")
    yield
    client("""
for tag in client.ask("GET", "/v2/gc/x/tags/list").data["tags"] or []:
    manifest = client.ask("GET", f"/v2/gc/x/manifests/{tag}", Accept=MANIFEST)
    client.ask("DELETE", f"/v2/gc/x/manifests/{digest(manifest.body)}")
""")
    must(HOST, f"rm -rf {DATA}/docker/registry/v2/repositories/gc")


def test_a_run_removes_what_nothing_needs_and_touches_no_container(unit: None, garbage: None) -> None:
    containers = must(HOST, CONTAINERS)
    place = client("print(client.send(client.begin('gc/x'), b'first half, '))")
    must(HOST, f"systemctl start {RUN}")
    assert must(HOST, SAID).startswith("removed 1 untagged manifests, ")
    assert (
        client(f"""
print(client.blob("gc/x", b"own"), client.blob("gc/x", b"layer of an untagged image"))
client.finish(client.send({place!r}, b"second half"), b"first half, second half")
pushed = client.push("gc/x", "new", b"config 3", b"first half, second half")
assert client.put("gc/x", "later", image(b"config 3", [b"layer of a push", b"shared"])).status == 201
print(*(bool(client.pull("gc/x", tag)) for tag in ("kept", "new", "later")))
""")
        == "404 404\nTrue True True"
    )
    assert must(HOST, CONTAINERS) == containers
    must(HOST, f"systemctl start {RUN}")
    assert must(HOST, SAID).strip() == "nothing to remove"


def test_a_run_that_is_killed_lets_pushes_in_and_the_next_one_ends_the_work(unit: None, garbage: None) -> None:
    must(
        HOST,
        f"systemctl start --no-block {RUN}\n"
        f"for i in $(seq 200); do [ -e {GATE} ] && break; sleep 0.05; done\n"
        f"runuser -u www-data -- test -f {GATE} || exit 1\n"
        f"systemctl kill -s KILL {RUN}\n"
        f"for i in $(seq 100); do [ -e {GATE} ] || exit 0; sleep 0.05; done; exit 1",
    )
    assert on(HOST, f"systemctl is-failed {RUN}").returncode == 0
    must(HOST, f"systemctl start {RUN}")
    assert client("print(client.blob('gc/x', b'own'), bool(client.pull('gc/x', 'kept')))") == "404 True"


def test_pushes_through_the_proxy_are_held_off_and_pulls_are_not(unit: None, garbage: None) -> None:
    proxy = tier_of("lab").proxy
    assert proxy
    endpoint = next(each for each in proxy.endpoints if each.registry == NAME)
    url = f"http://{endpoint.server_name}:{endpoint.port}/v2/gc/x"
    ask = "curl -s -o /dev/null -w '%{http_code} '"
    said = must(
        HOST,
        f"systemctl start --no-block {RUN}\n"
        f"for i in $(seq 200); do [ -e {GATE} ] && break; sleep 0.05; done\n"
        f"{ask} -X POST {url}/blobs/uploads/; {ask} -X PUT {url}/manifests/x; {ask} -X DELETE {url}/manifests/x\n"
        f"{ask} {url}/manifests/kept; [ -e {GATE} ] && echo closed\n"
        f"while systemctl is-active {RUN} | grep -q activating; do sleep 0.1; done\n"
        f"for i in $(seq {RETRY_AFTER}); do sleep 1.05; {ask} -X POST {url}/blobs/uploads/ | grep 401 && break; done",
    )
    # Without a login a pull and a push are refused with 401, the latter only when it is let in.
    assert said == "503 503 503 401 closed\n401 \n"


def test_apply_twice_another_schedule_and_what_is_wrong(unit: None) -> None:
    assert hostctl(HOST, "apply", wish(untagged=True), unit="garbage-collection")["result"] == "unchanged"
    began = time.monotonic()
    assert hostctl(HOST, "apply", wish("*-02-02 04:00"), unit="garbage-collection")["result"] == "changed"
    assert time.monotonic() - began < 10
    assert "Feb" in must(HOST, f"systemctl list-timers {timer(NAME)} --no-legend | head -n 1") or "02-02" in must(
        HOST, f"systemctl list-timers {timer(NAME)} --no-legend"
    )
    report = hostctl(HOST, "apply", wish("Someday"), unit="garbage-collection", fails=True)
    assert "systemd does not understand it" in report["error"]
    assert "02-02" in must(HOST, f"systemctl list-timers {timer(NAME)} --no-legend")
