"""Decides what docs/offline.md says: a bundle from a site with a network is loaded at one without, and pulled there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from hostctl.units.offline_sync import AUTH, SERVICE, TIMER
from lab import host
from lab.services import HUB_URL
from ops.stack import PROJECT
from tests.checkout import Checkout, on_the_lab
from tests.lab.hosts import must, without_records
from tests.lab.spare.site import REGISTRY, RUNTIME, SITE, THIRD, as_setting
from tests.lab.spare.two_hosts import CLIENT

pytestmark = pytest.mark.lab

HOSTS = (REGISTRY, RUNTIME, THIRD)
ONLINE, OFFLINE = host(REGISTRY).address, host(THIRD).address
CORE = "core.test"
"""What images of the online site's own registry are called."""
FOLDER, TAR = "/srv/bundle", "/srv/bundle.tar"
PASSWORD = "of-a-pusher"
USERS = [{"name": "pusher", "role": "push"}]
APP = {"registry": "docker.io", "repository": "app", "tags": ["1"]}
OURS = {"registry": CORE, "repository": "team/app", "tags": [">=1 <2"]}
# The hub wants a token, the site's own registry a login.
ONLINE_SITE: dict[str, Any] = {
    **SITE,
    "hosts": [as_setting(REGISTRY)],
    "registries": [{"kind": "hosted", "name": "hosted", "host": REGISTRY, "keep_data": False}],
    "proxy": {
        "host": REGISTRY,
        "endpoints": [{"registry": "hosted", "port": 80, "server_name": ONLINE}],
        "users": USERS,
        "bcrypt_cost": 4,
    },
    "offline_sync": {
        "host": REGISTRY,
        "folder": FOLDER,
        "tar": TAR,
        "schedule": "*-01-01 03:30",
        "images": [APP, OURS],
        "sources": [
            {"registry": "docker.io", "url": HUB_URL},
            {"registry": CORE, "through": "hosted", "user": "pusher"},
        ],
    },
}
OFFLINE_SITE: dict[str, Any] = {
    **SITE,
    "hosts": [as_setting(THIRD), as_setting(RUNTIME)],
    "registries": [{"kind": "hosted", "name": "hosted", "host": THIRD, "keep_data": False, "serves": "docker.io"}],
    "proxy": {
        "host": THIRD,
        "endpoints": [
            {"registry": "hosted", "port": 80, "server_name": OFFLINE},
            {"registry": "hosted", "port": 81, "server_name": OFFLINE, "anonymous_pull": True},
        ],
        "users": USERS,
        "bcrypt_cost": 4,
    },
    "runtimes": [{"host": RUNTIME, "docker": {}}],
    "offline_sync": {
        "host": THIRD,
        "into": [{"registry": each, "to": "hosted", "user": "pusher"} for each in ("docker.io", CORE)],
    },
}


@dataclass(frozen=True)
class Site:
    """A stack that is up."""

    checkout: Checkout
    stack: str

    def make(self, target: str, *, fails: bool = False, **variables: str) -> str:
        """What `make TARGET STACK=…` prints."""
        return self.checkout.make(target, status=1 if fails else 0, STACK=self.stack, **variables)

    def write(self, settings: dict[str, Any]) -> None:
        """Its settings; secrets stay."""
        whole = yaml.safe_load(self.checkout.read(self.stack))
        secrets = {key: each for key, each in whole["config"].items() if "secure" in each}
        config = {**{f"http-registry:{key}": each for key, each in settings.items()}, **secrets}
        self.checkout.write(self.stack, yaml.safe_dump({**whole, "config": config}))


def begun(checkout: Checkout, stack: str, settings: dict[str, Any]) -> Site:
    """With its file and secret, not yet up."""
    made = Site(checkout, stack)
    checkout.write(stack, "config: {}\n")
    checkout.pulumi("stack", "init", stack, "--no-select")
    checkout.secret(stack, "password-pusher", PASSWORD)
    made.write(settings)
    return made


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    """The one with a network, and the one without; afterwards all is as it was."""
    before = {name: without_records(name) for name in HOSTS}
    with on_the_lab(tmp_path_factory.mktemp("offline")) as checkout, ThreadPoolExecutor(2) as pool:
        made = [begun(checkout, "online", ONLINE_SITE), begun(checkout, "offline", OFFLINE_SITE)]
        try:
            list(pool.map(lambda each: each.make("up"), made))
            yield made[0], made[1]
        finally:
            list(pool.map(lambda each: each.make("destroy"), made))
    for name in HOSTS:
        must(name, f"rm -rf {FOLDER} {TAR}")
    assert {name: without_records(name) for name in HOSTS} == before


def asked(name: str, script: str) -> Any:
    """What a program on a host prints as JSON; it has `client`, logged in at the host's own registry."""
    login = f'"Basic " + base64.b64encode(b"pusher:{PASSWORD}").decode()'
    head = (
        f"{CLIENT}\nimport base64, os\nclient = Client('http://{host(name).address}', {{'Authorization': {login}}})\n"
    )
    return json.loads(must(name, "python3 -", f"{head}{script}\n"))


def push(tag: str) -> str:
    """Push an image to the online site; its digest."""
    found: str = asked(
        REGISTRY, f"print(json.dumps(digest(client.push('team/app', {tag!r}, b'{{}}', os.urandom(5000)))))"
    )
    return found


def carry() -> None:
    """The tar from one site to the other, as on a disk."""
    read: list[str | Path] = [PROJECT / "lab" / "host", REGISTRY, "cat", TAR]
    with subprocess.Popen(read, stdout=subprocess.PIPE) as reading:
        write: list[str | Path] = [PROJECT / "lab" / "host", THIRD, "sh", "-c", f"cat > {TAR}"]
        subprocess.run(write, stdin=reading.stdout, check=True)
    assert reading.returncode == 0


@contextmanager
def cut_off(*names: str) -> Iterator[None]:
    """Hosts from which no way leads to the hub or to the online site."""
    for each in names:
        must(each, f"ip route add unreachable {host('hub').address}; ip route add unreachable {ONLINE}")
    try:
        yield
    finally:
        for each in names:
            must(each, f"ip route del unreachable {host('hub').address}; ip route del unreachable {ONLINE}")


def test_a_bundle_is_made_carried_loaded_and_pulled(sites: tuple[Site, Site]) -> None:
    online, offline = sites
    first = push("1.0.0")
    push("2.0.0")
    said = online.make("bundle")
    assert "[1/2] docker.io/library/app:1 sha256:" in said
    assert f"[2/2] {CORE}/team/app:1.0.0 {first}" in said
    assert f"{TAR}: " in said
    assert "0 bytes fetched" in online.make("bundle")
    assert must(REGISTRY, f"stat -c %a {AUTH}") == "600\n"
    carry()
    with cut_off(THIRD, RUNTIME):
        must(THIRD, f"cp {TAR} {TAR}.cut; truncate --size=-100000 {TAR}.cut")
        assert f"{TAR}.cut: is cut short" in offline.make("load", BUNDLE=f"{TAR}.cut", fails=True)
        assert asked(THIRD, "print(client.ask('GET', '/v2/_catalog').body.decode())") == {"repositories": []}
        must(THIRD, f"rm {TAR}.cut")
        assert "files are what their names say" in offline.make("bundle-verify", BUNDLE=TAR)
        assert "tags set: 2;" in offline.make("load", BUNDLE=TAR)
        must(RUNTIME, "docker pull --quiet app:1 && docker image rm app:1")
    assert asked(THIRD, "print(json.dumps(digest(client.pull('team/app', '1.0.0'))))") == first


def test_what_leaves_the_list_leaves_both_sites(sites: tuple[Site, Site]) -> None:
    """The newer bundle is made by the timer's service, in its sandbox."""
    online, offline = sites
    newer = push("1.1.0")
    online.write(
        {**ONLINE_SITE, "offline_sync": {**ONLINE_SITE["offline_sync"], "images": [{**OURS, "tags": ["1.1.0"]}, APP]}}
    )
    online.make("up")
    assert must(REGISTRY, f"systemctl is-active {TIMER}") == "active\n"
    must(REGISTRY, f"systemctl start {SERVICE}")
    assert "1 image left the list" in must(REGISTRY, f"journalctl -u {SERVICE} -o cat")
    carry()
    assert "tags set: 1;" in offline.make("load", BUNDLE=TAR)
    tags = "print(client.ask('GET', '/v2/team/app/tags/list').body.decode())"
    for each in (online, offline):
        said = each.make("prune")
        assert f"{CORE}/team/app:1.0.0 sha256:" in said
        assert "nothing was removed" in said
    assert sorted(asked(THIRD, tags)["tags"]) == ["1.0.0", "1.1.0"]
    for each in (online, offline):
        each.make("prune", YES="1")
    assert asked(THIRD, tags)["tags"] == ["1.1.0"]
    assert asked(THIRD, "print(json.dumps(digest(client.pull('team/app', '1.1.0'))))") == newer
    assert "files are what their names say" in online.make("bundle-verify")
    must(THIRD, f"rm {TAR}")
