"""Decides, on the spare hosts, that each tier's committed file does what its head promises, and goes away again."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from lab import host
from lab.services import HUB_LOG, S3
from ops.proof import APP, on
from tests.checkout import Checkout, on_the_lab
from tests.lab.hosts import logins, must, without_records
from tests.lab.spare.site import ADDRESS, BUCKET, PAIR, REGISTRY, RUNTIME, THIRD, on_the_spares
from tests.tier_file import text_of, type_head

pytestmark = pytest.mark.lab

OUTSIDER = THIRD
"""A host of the same network that is not in the allowlist."""
CLOSED = "000"
"""How curl writes the status where no connection comes about."""
KNOWN = {"s3-access-key-hosted": S3.access_key, "s3-secret-key-hosted": S3.secret_key}
VOLUME = "http-registry-hosted"
LOGIN = "/root/login-of-a-test"
UPLOAD = "/v2/team/app/blobs/uploads/"


@dataclass(frozen=True)
class Asked:
    """A request and the status that it must get. `user`: with the right password, or with none."""

    what: str
    client: str
    url: str
    status: str
    user: str = ""
    method: str = "GET"


@dataclass(frozen=True)
class Tier:
    """What a tier promises. `client`: whose runtimes pull. `hosted`: how image references name the hosted registry.
    `keeps`: the volume that outlives `destroy`."""

    client: str
    hosted: str
    users: bool
    asked: tuple[Asked, ...]
    keeps: str = ""


def outside(*urls: str) -> tuple[Asked, ...]:
    return tuple(Asked("an outsider", OUTSIDER, url, CLOSED) for url in urls)


def inside(scheme: str, mirror: int) -> tuple[Asked, ...]:
    """What both tiers with users refuse whom the firewall lets in."""
    hosted, cache = f"{scheme}://{ADDRESS}", f"{scheme}://{ADDRESS}:{mirror}"
    return (
        Asked("in comparison: who may pull", RUNTIME, f"{hosted}/v2/", "200", "deploy"),
        Asked("no password", RUNTIME, f"{hosted}/v2/", "401"),
        Asked("a push without a password", RUNTIME, f"{hosted}{UPLOAD}", "401", method="POST"),
        Asked("a push by who may pull", RUNTIME, f"{hosted}{UPLOAD}", "401", "deploy", "POST"),
        Asked("a push to the mirror", RUNTIME, f"{cache}{UPLOAD}", "405", "ci", "POST"),
        Asked("the registry's own port", RUNTIME, f"http://{ADDRESS}:5000/v2/", CLOSED),
        *outside(f"{hosted}/v2/", f"{cache}/v2/"),
    )


TIERS = {
    "dev": Tier(
        client=REGISTRY,
        hosted=f"{ADDRESS}:5000",
        users=False,
        asked=(
            Asked("a push to the mirror", REGISTRY, f"http://{ADDRESS}:5001{UPLOAD}", "405", method="POST"),
            *outside(f"http://{ADDRESS}:5000/v2/", f"http://{ADDRESS}:5001/v2/"),
        ),
        keeps=VOLUME,
    ),
    "staging": Tier(
        client=RUNTIME,
        hosted=ADDRESS,
        users=True,
        asked=inside("http", 5080),
        keeps=VOLUME,
    ),
    "prod": Tier(
        client=RUNTIME,
        hosted=ADDRESS,
        users=True,
        asked=(
            *inside("https", 5443),
            Asked("the replica's own port", RUNTIME, f"http://{ADDRESS}:5010/v2/", CLOSED),
            Asked("plain HTTP", RUNTIME, f"http://{ADDRESS}:443/v2/", "400", "deploy"),
            Asked("plain HTTP at the mirror", RUNTIME, f"http://{ADDRESS}:5443/v2/library/app/manifests/1", "400"),
            Asked("HTTP's own port", RUNTIME, f"http://{ADDRESS}/v2/", "404", "deploy"),
        ),
    ),
}


@dataclass
class Site:
    """A tier that is up. `before`: what was on the hosts."""

    name: str
    tier: Tier
    checkout: Checkout
    password: dict[str, str]
    before: dict[str, list[str]]
    gone: bool = field(default=False)

    def make(self, target: str) -> str:
        return self.checkout.make(target, STACK=self.name)

    def destroy(self) -> None:
        if not self.gone:
            self.make("destroy")
            self.gone = True


@pytest.fixture(scope="module", params=TIERS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Up after what its reader types, with the settings of the spare hosts."""
    name: str = request.param
    text = text_of(name)
    before = {each: without_records(each) for each in PAIR}
    for each in PAIR:
        must(each, "test ! -e /var/lib/http-registry || { echo another stack is there; false; }")
    with on_the_lab(tmp_path_factory.mktemp(name)) as mine:
        mine.write(name, on_the_spares(text))
        typed = type_head(mine, text, KNOWN)
        password = {key.removeprefix("password-"): value for key, value in typed.items()}
        up = Site(name, TIERS[name], mine, password, before)
        try:
            said = up.make("up")
            assert not [key for key, value in typed.items() if value in said]
            yield up
        finally:
            up.destroy()
            must("hub", f"rm -rf {BUCKET}")
            for each in PAIR:
                on(
                    each,
                    f"rm -rf {LOGIN}; docker image prune -af; crictl rmi --prune; docker volume rm {up.tier.keeps}",
                )


def test_a_runtime_pulls_docker_hub_s_images_through_the_mirror(site: Site) -> None:
    """No host of the lab reaches anything else; of both hosts the hub hears from the registry's alone."""
    lines = int(must("hub", f"wc -l < {HUB_LOG}"))
    must(site.tier.client, f"docker pull -q {APP}")
    if site.tier.client == RUNTIME:
        must(site.tier.client, f"crictl pull docker.io/{APP}")
    asked = must("hub", f"tail -n +{lines + 1} {HUB_LOG} | grep -v ' /token' | grep '/library/app/'").splitlines()
    # Other hosts of the lab may pull the same at the same time.
    assert {line.split()[0] for line in asked} & {host(each).address for each in PAIR} == {ADDRESS}


def test_who_may_pushes_and_who_may_pulls(site: Site) -> None:
    """At prod the runtimes bring their own login along."""
    image = f"{site.tier.hosted}/team/app:1"
    docker = f"docker --config {LOGIN}"

    def login(user: str) -> None:
        if site.tier.users:
            command = f"{docker} login -u {user} --password-stdin {site.tier.hosted}"
            must(site.tier.client, command, stdin=site.password[user])

    login("ci")
    must(site.tier.client, f"docker pull -q {APP} && docker tag {APP} {image} && {docker} push {image}")
    must(site.tier.client, f"docker rmi {image}")
    if site.name == "prod":
        must("hub", f"test -d {BUCKET}/docker/registry/v2/repositories/team/app")
    login("deploy")
    must(site.tier.client, f"{'docker' if site.name == 'prod' else docker} pull {image} && docker rmi {image}")
    if site.tier.users:
        creds = "" if site.name == "prod" else f"--creds deploy:{site.password['deploy']}"
        must(site.tier.client, f"crictl pull {creds} {image} && crictl rmi {image}")


def answer(site: Site, each: Asked) -> str:
    """The status. Whoever has no runtime of the tier does not know its authority, and must be refused all the same."""
    trust = "-k" if each.client == OUTSIDER else ""
    login = f'user = "{each.user}:{site.password[each.user]}"\n' if each.user else ""
    command = f"curl -s {trust} -m 3 -o /dev/null -w '%{{http_code}}' -K - -X {each.method} {each.url}"
    return on(each.client, command, login).stdout


def test_what_must_be_refused_is(site: Site) -> None:
    with ThreadPoolExecutor(8) as pool:
        seen = pool.map(lambda each: answer(site, each), site.tier.asked)
    told = zip(site.tier.asked, seen, strict=True)
    assert [f"{each}: {status}" for each, status in told if status != each.status] == []


def test_a_second_up_changes_nothing_and_logs_in_nowhere(site: Site) -> None:
    before = {each: logins(each) for each in PAIR}
    assert " unchanged" in (said := site.make("up"))
    assert not [word for word in (" created", " updated", " deleted", " replaced", "~ ", "+ ") if word in said]
    assert {each: logins(each) for each in PAIR} == before


def test_destroy_leaves_the_hosts_as_they_were(site: Site) -> None:
    """But for the volume with the images that somebody has pushed."""
    site.destroy()
    kept = {site.tier.keeps} - {""}
    for each in PAIR:
        assert {*without_records(each)} ^ {*site.before[each]} == (kept if each == REGISTRY else set())
