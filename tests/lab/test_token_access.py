"""Decides that with token auth nobody reads from the proxy's cache what the registry would not give him.

Two users with real tokens, a repository each, a layer that both have and one that each has alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ops.proof import MIRROR
from ops.stack import Stack
from tests.lab.asking import Ask, Said, ask, statuses
from tests.lab.hosts import must
from tests.lab.random_images import forget
from tests.lab.token_auth import allow
from tests.lab.token_stack import CLIENT, LAYER, TOKENS, URL, VERDICT_STALE, Pushed, token, token_stack

pytestmark = pytest.mark.lab

LOG = "docker logs http-registry-hosted 2>/dev/null | grep -E '^[0-9.]+ '"
VERDICT = 30
"""Seconds that the registry's yes counts."""
CONTAINER = "http-registry-hosted"
RANGE = {"Range": "bytes=5-9"}


@pytest.fixture(scope="module")
def pushed(stack: Stack) -> Iterator[tuple[Pushed, Pushed]]:
    with token_stack(stack) as images:
        yield images


def blob(image: Pushed, digest: str, headers: dict[str, str], method: str = "GET") -> Ask:
    return Ask(f"{URL}/{image.repository}/blobs/{digest}", headers, method)


def manifest(image: Pushed, reference: str, headers: dict[str, str]) -> Ask:
    return Ask(f"{URL}/{image.repository}/manifests/{reference}", headers)


def asked(digest: str, method: str) -> list[str]:
    """The registry's own log of the requests for a blob, in the combined format."""
    return must("registry", f"{LOG} | grep -F '\"{method} ' | grep -F '/{digest} ' || true").splitlines()


def warm(*images: Pushed) -> None:
    for each in images:
        user = each.repository.partition("/")[0]
        said = ask(CLIENT, *(blob(each, digest, token(user)) for digest in (each.shared, each.own)))
        assert [line.status for line in said] == [200, 200]


@pytest.mark.parametrize("cached", [False, True], ids=["cold", "warm"])
def test_each_reads_his_own_repository_and_nothing_else(pushed: tuple[Pushed, Pushed], cached: bool) -> None:
    anna, bert = pushed
    forget(anna.manifest, anna.shared, anna.own, bert.manifest, bert.own)
    if cached:
        warm(anna, bert)
        ask(CLIENT, manifest(anna, anna.manifest, token("anna")), manifest(bert, bert.manifest, token("bert")))
    hers, his = token("anna"), token("bert")
    theirs = [blob(anna, digest, his) for digest in (anna.own, anna.shared)]
    refused = [
        *theirs,
        blob(anna, anna.own, his, "HEAD"),
        blob(anna, anna.own, {**his, **RANGE}),
        blob(anna, anna.own, {}),
        blob(anna, anna.shared, {}),
        manifest(anna, "1", his),
        manifest(anna, anna.manifest, his),
        manifest(anna, anna.manifest, {}),
    ]
    said = ask(CLIENT, *refused)
    assert {each.status for each in said} == {401}
    assert all(f'realm="{TOKENS}"' in each.headers["www-authenticate"] for each in said)
    # A digest that is another's, asked for through the own repository: the cache may have it, the repository has not.
    unknown = [
        blob(bert, anna.own, his),
        blob(bert, anna.own, his, "HEAD"),
        blob(bert, anna.own, {**his, **RANGE}),
        manifest(bert, anna.manifest, his),
    ]
    assert statuses(CLIENT, unknown) == [404] * len(unknown)
    both = token("anna", "pull", "anna/other")
    assert statuses(CLIENT, [blob(anna, anna.own, both), Ask(f"{URL}/anna/other/blobs/{anna.own}", both)]) == [200, 404]
    for image, mine in ((anna, hers), (bert, his)):
        shared, own = ask(CLIENT, blob(image, image.shared, mine), blob(image, image.own, mine))
        assert (shared.status, shared.digest) == (200, image.shared)
        assert (own.status, own.digest) == (200, image.own)
        head, part = ask(CLIENT, blob(image, image.own, mine, "HEAD"), blob(image, image.own, {**mine, **RANGE}))
        assert (head.status, head.size, int(head.headers["content-length"])) == (200, 0, own.size)
        assert (part.status, part.size) == (206, 5)
        by_tag, by_digest = ask(CLIENT, manifest(image, "1", mine), manifest(image, image.manifest, mine))
        assert (by_tag.status, by_tag.digest, by_digest.digest) == (200, image.manifest, image.manifest)


def test_a_shared_layer_is_fetched_once_and_each_is_asked_about(pushed: tuple[Pushed, Pushed]) -> None:
    anna, bert = pushed
    forget(anna.shared)
    fetched, verdicts = (len(asked(anna.shared, method)) for method in ("GET", "HEAD"))
    for image in pushed:
        header = token(image.repository.partition("/")[0])
        assert [each.digest for each in ask(CLIENT, *[blob(image, anna.shared, header)] * 3)] == [anna.shared] * 3
    assert len(asked(anna.shared, "GET")) - fetched == 1
    assert len(asked(anna.shared, "HEAD")) - verdicts == 2
    assert anna.shared == bert.shared
    assert int(asked(anna.shared, "GET")[-1].split()[9]) > LAYER


def test_the_anonymous_mirror_has_nothing_of_it(pushed: tuple[Pushed, Pushed]) -> None:
    warm(*pushed)
    anna = pushed[0]
    said = ask(
        CLIENT,
        *(Ask(f"{MIRROR}/v2/{name}/blobs/{anna.own}") for name in ("library/app", anna.repository)),
        Ask(f"{MIRROR}/v2/library/app/manifests/{anna.manifest}"),
    )
    assert [each.status for each in said] == [404, 403, 404]  # 403: the upstream's word on a name that is nobody's


def test_what_is_no_longer_so_ends(pushed: tuple[Pushed, Pushed]) -> None:
    """Rights that are taken away, a blob that is deleted behind the proxy, the registry itself."""
    anna, bert = pushed
    warm(anna, bert)
    hers, his = token("anna"), token("bert")
    assert statuses(CLIENT, [blob(anna, anna.own, hers)]) == [200]
    said = time.monotonic()
    delete = Ask(f"http://127.0.0.1:5000/v2/{anna.repository}/blobs/{anna.own}", token("anna", "delete"), "DELETE")
    assert statuses("registry", [delete]) == [202]
    allow("registry", "anna", {})
    assert statuses(CLIENT, [blob(anna, anna.shared, token("anna"))]) == [401]
    _sleep_until(said + 2)
    assert statuses(CLIENT, [blob(bert, bert.own, his)]) == [200]
    counts = time.monotonic()
    _sleep_until(said + VERDICT + 1)
    assert statuses(CLIENT, [blob(anna, anna.own, hers)]) == [404]
    must("registry", f"docker stop -t 0 {CONTAINER}")
    try:
        assert [each.status for each in _bert(bert, his)] == [200, 502]
        _sleep_until(counts + VERDICT + 1)
        assert [each.status for each in _bert(bert, his)] == [200, 502]
        _sleep_until(counts + VERDICT + VERDICT_STALE + 1)
        assert [each.status for each in _bert(bert, his)] == [502, 502]
    finally:
        must("registry", f"docker start {CONTAINER}")


def _bert(bert: Pushed, header: dict[str, str]) -> list[Said]:
    """What he is answered that has a verdict, and what has none."""
    return ask(CLIENT, blob(bert, bert.own, header), blob(bert, bert.shared, header))


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
