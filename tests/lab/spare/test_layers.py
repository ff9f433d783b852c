"""Decides, on three spare hosts, what docs/layers.md says of a core and an edge: their committed files, the edge's
upstream by the core's outputs, and pulls at the edge while the core is away.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest

from lab import host
from lab.services import HUB_LOG, S3
from ops.proof import APP, PROXY_LOG, on
from tests.checkout import Checkout, on_the_lab
from tests.lab.hosts import must, without_records
from tests.lab.spare.costs import Cost
from tests.lab.spare.site import ADDRESS, REGISTRY, RUNTIME, THIRD, on_the_spares
from tests.lab.spare.two_hosts import CLIENT, looping, planned
from tests.tier_file import text_of, type_head

pytestmark = pytest.mark.lab

TRIO = (REGISTRY, RUNTIME, THIRD)
EDGE = host(THIRD).address
CORE_IN_FILES, EDGE_IN_FILES = "10.20.3.10", "10.20.4.10"
PREFIX = "layers"
BUCKET = f"/var/lib/versitygw/{S3.bucket}/{PREFIX}"
KNOWN = {"s3-access-key-hosted": S3.access_key, "s3-secret-key-hosted": S3.secret_key}
PRIVATE, OTHER = f"{ADDRESS}/team/app:1", f"registry.k8s.io/{APP}"
"""An image of the core under the core's own name, and one of the edge's own upstream."""
LOGIN = "/root/login-of-a-test"
DOCKER = f"docker --config {LOGIN}"
IMAGES = [
    *(("crictl", image) for image in (PRIVATE, f"docker.io/{APP}", OTHER)),
    *((DOCKER, image) for image in (APP, f"{EDGE}/team/app:1")),
]
"""What the runtimes pull, and by which program."""
PUSH = """
import json, tempfile
file = tempfile.NamedTemporaryFile("w")
print(AUTHORITY, file=file, flush=True)
source = Client(f"https://{CORE}:5443", authority=file.name)
target = Client(f"https://{CORE}", LOGIN, authority=file.name)
manifest = source.ask("GET", "/v2/library/app/manifests/1", Accept=ACCEPT).data
blob = lambda each: source.ask("GET", "/v2/library/app/blobs/" + each["digest"]).body
config = {**json.loads(blob(manifest["config"])), "author": AUTHOR}
parts = [json.dumps(config).encode(), blob(manifest["layers"][0])]
for each in parts:
    target.upload("team/app", each)
manifest["config"].update(size=len(parts[0]), digest=digest(parts[0]))
answer = target.put("team/app", TAG, json.dumps(manifest).encode())
assert answer.status == 201, answer.body
"""
ACCEPT = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass
class Layers:
    """Both stacks, up. `password`: by user, of whichever stack."""

    checkout: Checkout
    password: dict[str, str]

    def basic(self, user: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{self.password[user]}".encode()).decode()}

    def push(self, tag: str, author: str) -> None:
        """Push an image to the core, from its own host; another one for each author."""
        signer = (self.checkout.folder / "stacks" / "certificates" / "core" / "authority.pem").read_text()
        names = {"AUTHORITY": signer, "CORE": ADDRESS, "LOGIN": self.basic("ci"), "ACCEPT": ACCEPT}
        given = "".join(f"{name} = {value!r}\n" for name, value in {**names, "TAG": tag, "AUTHOR": author}.items())
        must(REGISTRY, "python3 -", f"{CLIENT}\n{given}{PUSH}")

    def pulls(self) -> dict[str, float]:
        """Have the runtimes pull everything anew; the seconds that each took."""
        took = {}
        for client, image in IMAGES:
            on(RUNTIME, f"{client} rmi {image}")
            since = time.monotonic()
            must(RUNTIME, f"{client} pull {image}")
            took[f"{client} {image}"] = time.monotonic() - since
        return took


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layers]:
    """Up after what their readers type, in one backend, with the settings of the spare hosts; destroyed both at
    once: an edge needs no core for that."""
    core, edge = text_of("core"), text_of("edge").replace("stale: 7d", "stale: 7d, tag_lifetime: 1s")
    before = seen()
    with on_the_lab(tmp_path_factory.mktemp("layers")) as mine:
        mine.write("core", on_the_spares(core, [REGISTRY], {EDGE_IN_FILES: THIRD}, PREFIX))
        mine.write("edge", on_the_spares(edge, [THIRD, RUNTIME], {CORE_IN_FILES: REGISTRY}))
        typed = {**type_head(mine, core, KNOWN), **type_head(mine, edge)}
        made = Layers(mine, {key.removeprefix("password-"): value for key, value in typed.items()})
        try:
            said = mine.make("up", STACK="core") + mine.make("up", STACK="edge")
            assert not [key for key, value in typed.items() if value in said]
            made.push("1", "first")
            must(RUNTIME, f"{DOCKER} login -u deploy --password-stdin {EDGE}", made.password["deploy"])
            yield made
        finally:
            with ThreadPoolExecutor() as pool:
                [*pool.map(lambda stack: mine.make("destroy", STACK=stack), ("core", "edge"))]
                must("hub", f"rm -rf {BUCKET}")
                images = f"rm -rf {LOGIN}; docker image prune -af; crictl rmi --prune"
                [*pool.map(lambda each: on(each, images), TRIO)]
    assert seen() == before


def seen() -> dict[str, list[str]]:
    """What is on the hosts."""
    with ThreadPoolExecutor() as pool:
        return dict(zip(TRIO, pool.map(without_records, TRIO), strict=True))


@contextmanager
def stopped() -> Iterator[None]:
    """The core is away: its proxy and its containers are."""
    must(REGISTRY, "systemctl stop nginx; docker stop --time 1 $(docker ps --quiet)")
    try:
        yield
    finally:
        must(REGISTRY, "docker start $(docker ps --all --quiet); systemctl start nginx")


@contextmanager
def cut_off() -> Iterator[None]:
    """Whatever the edge sends to the core is lost on the way."""
    rule = f"OUTPUT -d {ADDRESS} -j DROP"
    must(THIRD, f"iptables -w -I {rule}")
    try:
        yield
    finally:
        must(THIRD, f"iptables -w -D {rule}")


def test_each_image_comes_by_way_of_the_edge_and_by_its_own_name(layers: Layers) -> None:
    """The runtimes ask nobody else; the hub hears of the core and, for its own upstream, of the edge."""
    lines = int(must("hub", f"wc -l < {HUB_LOG}"))
    layers.pulls()
    assert f'"client": "{host(RUNTIME).address}"' not in must(REGISTRY, f"cat {PROXY_LOG}")
    asked = must("hub", f"tail -n +{lines + 1} {HUB_LOG} | grep '/library/app/'").splitlines()
    assert {line.split()[0] for line in asked} & {host(each).address for each in TRIO} <= {ADDRESS, EDGE}
    files = must(RUNTIME, "cd /etc/containerd/certs.d && grep -l host. */hosts.toml").split()
    assert {ADDRESS, "docker.io", "registry.k8s.io"} <= {each.partition("/")[0] for each in files}
    assert planned(layers.checkout.make("preview", STACK="edge")).keys() == {"unchanged"}
    for url in (f"http://{EDGE}/v2/team/app/manifests/1", f"https://{ADDRESS}/v2/team/app/manifests/1"):
        assert must(RUNTIME, f"curl -sk -m 3 -o /dev/null -w '%{{http_code}}' {url}; true") in ("401", "000")


@pytest.mark.parametrize("away", [stopped, cut_off])
def test_the_edge_serves_on_while_the_core_is_away(
    layers: Layers, away: Callable[[], AbstractContextManager[None]], record_property: Callable[[str, object], None]
) -> None:
    """What it has, by tag and by digest; new runtimes as well as those that ask again."""
    loop = (
        f"client.url, client.headers = 'http://{EDGE}', {layers.basic('deploy')!r}\n"
        "assert client.pull('team/app', '1')\ntold['pulls'].append(time.time())"
    )
    with looping(loop) as pulled:
        time.sleep(1.5)
        with away():
            time.sleep(2)
            took = layers.pulls()
            if away is stopped:
                said = layers.checkout.make("doctor", STACK="edge", status=1)
                assert "upstream-down" in said
                assert f"https://{ADDRESS}" in said
            in_vain = on(RUNTIME, f"crictl pull {ADDRESS}/team/app:other")
            assert in_vain.returncode != 0
        time.sleep(1.5)
    assert pulled["lost"] == []
    # Of each of the core's two ports the first who asks may have to wait until it is clear that nobody answers.
    assert sorted(took.values())[-3] < 2
    cost = Cost(
        f"the core is {away.__name__.replace('_', ' ')}",
        "pulls at its edge",
        len(pulled["pulls"]),
        len(pulled["lost"]),
        None,
    )
    cost.told(record_property)


def test_a_tag_that_moved_meanwhile_is_seen_once_the_core_is_back(layers: Layers) -> None:
    layers.push("1", "second")
    time.sleep(1.5)
    layers.pulls()
    shown = must(RUNTIME, f"docker image inspect --format '{{{{.Author}}}}' {EDGE}/team/app:1")
    assert shown == "second\n"
