"""Decides what clients of the rendered site see: a real nginx on loopback ports before a registry of a few lines.

Real registries and runtimes behind it are decided in tests/lab.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hostctl.nginx_conf import MARKER
from hostctl.nginx_probe import Probe, complaint, has_ipv6, still_there
from tests.programs.served_site import (
    ACCEPT,
    ACCEPT_NOT,
    API_VERSION,
    BLOB,
    DIGEST,
    FOREIGN,
    HERE,
    NEIGHBOUR,
    OCI,
    PULLER,
    PUSHER,
    SECOND,
    STRANGER,
    Answer,
    Site,
    blob_of,
    serving,
    wait_until,
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path) as live:
        yield live


def test_eight_cold_pulls_are_one_fetch_and_warm_ones_need_no_registry(site: Site) -> None:
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda number: site.ask("GET", blob_of(f"app{number % 2}")), range(8)))
    assert [each.body == BLOB for each in answers] == [True] * 8
    assert site.cache.sent == len(BLOB)
    site.cache.broken = True
    assert site.ask("GET", blob_of()).body == BLOB
    assert site.ask("HEAD", blob_of()).headers["Content-Length"] == [str(len(BLOB))]
    partly = site.ask("GET", blob_of(), Range="bytes=10-19")
    assert (partly.status, partly.body) == (206, BLOB[10:20])
    assert site.cache.sent == len(BLOB)
    site.cache.die()
    assert site.ask("GET", blob_of() + "?ns=docker.io").body == BLOB


def test_a_cold_head_of_a_blob_fetches_one_slice_and_poisons_nothing(site: Site) -> None:
    head = site.ask("HEAD", blob_of())
    assert (head.status, head.headers["Content-Length"], head.body) == (200, [str(len(BLOB))], b"")
    wait_until(lambda: site.cache.sent == SLICE)
    assert site.ask("GET", blob_of()).body == BLOB
    assert site.cache.sent == len(BLOB)


def test_a_cold_range_is_a_range(site: Site) -> None:
    partly = site.ask("GET", blob_of(), Range="bytes=12000000-12000009")
    assert (partly.status, partly.body) == (206, BLOB[12000000:12000010])
    assert partly.headers["Content-Range"] == [f"bytes 12000000-12000009/{len(BLOB)}"]
    wait_until(lambda: site.cache.sent == SLICE)
    across = site.ask("GET", blob_of(), Range="bytes=8388600-8388700")
    assert across.body == BLOB[8388600:8388701]
    last = site.ask("GET", blob_of(), Range="bytes=-5")
    assert last.body == BLOB[-5:]
    beyond = site.ask("GET", blob_of(), Range=f"bytes={len(BLOB)}-")
    assert beyond.status == 416
    several = site.ask("GET", blob_of(), Range="bytes=0-1,5-6")
    assert (several.status, several.body) == (200, BLOB)
    assert site.cache.sent == len(BLOB)


def test_a_tag_is_kept_for_its_lifetime_and_beyond_it_only_while_the_registry_is_broken(site: Site) -> None:
    tag = "/v2/app/manifests/1"
    assert site.ask("GET", tag).body == b"first"
    site.cache.tag = b"second"
    assert site.ask("GET", tag + "?ns=docker.io", Accept="application/json").body == b"first"
    assert site.ask("HEAD", tag).headers["Content-Length"] == [str(len(b"second"))]
    time.sleep(2.1)
    site.cache.broken = True
    assert site.ask("GET", tag).body == b"first"
    site.cache.broken = False
    time.sleep(1.1)
    assert site.ask("GET", tag).body == b"second"


def test_a_manifest_by_digest_is_asked_for_once(site: Site) -> None:
    for _ in range(3):
        assert site.ask("GET", f"/v2/app/manifests/{DIGEST}").body == b"first"
        assert site.ask("HEAD", f"/v2/app/manifests/{DIGEST}").status == 200
    assert sorted(site.cache.asked.values()) == [1, 1]


def test_a_mirror_asks_for_every_manifest_type_whatever_the_client_accepts(site: Site) -> None:
    site.ask("GET", "/v2/app/manifests/1", Accept="text/plain")
    assert "oci.image.index" in site.cache.headers[-1]["Accept"]
    assert "manifest.list" in site.cache.headers[-1]["Accept"]


def test_what_is_missing_or_listed_is_asked_each_time(site: Site) -> None:
    for path in ("/v2/app/tags/list", "/v2/app/manifests/missing"):
        for _ in range(2):
            site.ask("GET", path)
        assert site.cache.asked["GET", path] == 2


def test_a_mirror_answers_the_ping_itself(site: Site) -> None:
    answer = site.ask("GET", "/v2/")
    assert (answer.status, answer.body, answer.headers[API_VERSION]) == (200, b"{}", ["registry/2.0"])
    assert not site.cache.asked


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE", "OPTIONS", "BREW"])
def test_a_mirror_can_only_be_read(site: Site, method: str) -> None:
    answer = site.ask(method, blob_of())
    assert (answer.status, answer.code()) == (405, "UNSUPPORTED")
    assert answer.headers[API_VERSION] == ["registry/2.0"]
    assert not site.cache.asked


@pytest.mark.parametrize("host", ["hosted.test", "mirror.test"])
@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/",
        "/v2",
        "/debug/vars",
        f"/v2/app/blobs/{DIGEST}/../../manifests/1",
        "/v2/%2e%2e/metrics",
        "/v2/../metrics",
        "/v2//app/manifests/1",
        "/v2/./app/manifests/1",
        "/%76%32/app/manifests/1",
        "/v2/app%2fother/manifests/1",
        "/v2/app/manifests/1%00",
        "/v2/app\\..\\manifests/1",
        "//v2/app/manifests/1",
        "/v2/app/manifests/1#x",
        "/V2/app/manifests/1",
    ],
)
def test_only_plain_paths_below_v2_reach_a_registry(site: Site, host: str, path: str) -> None:
    answer = site.ask("GET", path, host=host, user=PUSHER)
    assert answer.status in (400, 404)
    if answer.status == 404:
        assert answer.code() == "NAME_INVALID"
    assert not site.cache.asked
    assert not site.hosted.asked


def test_strangers_get_nothing(site: Site) -> None:
    for host in ("hosted.test", "mirror.test"):
        answer = site.ask("GET", "/v2/", host=host, user=PUSHER, source=STRANGER)
        assert (answer.status, answer.code(), answer.headers[API_VERSION]) == (403, "DENIED", ["registry/2.0"])
        assert site.ask("GET", MARKER, host=host, source=STRANGER).status == 403
        assert site.ask("GET", blob_of(), host=host, user=PUSHER, source=STRANGER, at=SECOND).status == 403
    assert not site.hosted.asked
    assert not site.cache.asked


def test_the_host_itself_passes_at_each_of_its_addresses_and_alone_sees_the_marker(site: Site) -> None:
    for address in (HERE, SECOND):
        assert site.ask("GET", "/v2/", source=address, at=address).status == 200
        assert site.ask("GET", MARKER, source=address, at=address).body.decode() == site.generation
    assert site.ask("GET", "/v2/", source=NEIGHBOUR).status == 200
    assert site.ask("GET", MARKER, source=NEIGHBOUR).status == 404


def test_the_marker_tells_which_site_is_live(site: Site) -> None:
    for address in [HERE, SECOND, *(["::1"] if has_ipv6() else [])]:
        probe = Probe(site.port, "mirror.test", address)
        assert complaint(probe, site.generation) is None
        assert "an older site" in str(complaint(probe, "another"))
        assert f"({address})" in str(still_there(probe, site.generation))
        assert still_there(probe, "another") is None
    assert "refused" in str(complaint(Probe(1, "mirror.test"), site.generation))
    assert f"({FOREIGN}): an older site" in str(complaint(Probe(site.port, "mirror.test", FOREIGN), site.generation))


def test_the_stranger_gets_no_cached_blob(site: Site) -> None:
    assert site.ask("GET", blob_of()).status == 200
    assert site.ask("GET", blob_of(), source=STRANGER).status == 403


def test_a_hosted_registry_wants_a_user(site: Site) -> None:
    for user in (None, ("puller", "wrong"), ("nobody", "secret-1")):
        answer = site.ask("GET", "/v2/", host="hosted.test", user=user)
        assert (answer.status, answer.code()) == (401, "UNAUTHORIZED")
        assert answer.headers["WWW-Authenticate"] == ['Basic realm="http-registry"']
        assert answer.headers[API_VERSION] == ["registry/2.0"]
        assert answer.headers["Content-Type"] == ["application/json"]
        assert answer.headers["Server"] == ["nginx"]
    assert not site.hosted.asked


def test_pull_users_read_and_push_users_write(site: Site) -> None:
    for user in (PULLER, PUSHER):
        answer = site.ask("GET", "/v2/", host="hosted.test", user=user)
        assert (answer.status, answer.headers[API_VERSION]) == (200, ["registry/2.0"])
        assert site.ask("HEAD", "/v2/app/manifests/1", host="hosted.test", user=user).status == 200
    assert site.ask("DELETE", "/v2/app/manifests/1", host="hosted.test", user=PULLER).status == 401
    assert site.hosted.asked["DELETE", "/v2/app/manifests/1"] == 0
    assert site.ask("DELETE", "/v2/app/manifests/1", host="hosted.test", user=PUSHER).status == 200


SLICE = 8 * 1024 * 1024
MANIFEST = f"/v2/app/manifests/{DIGEST}"


def pull(
    site: Site,
    path: str,
    method: str = "GET",
    user: tuple[str, str] | None = PULLER,
    headers: Mapping[str, str] = ACCEPT,
) -> Answer:
    return site.ask(method, path, host="hosted.test", user=user, **headers)


def test_hosted_tags_and_lists_are_asked_for_each_time(site: Site) -> None:
    for path in ("/v2/", "/v2/app/tags/list", "/v2/app/manifests/1"):
        for method in ("GET", "HEAD"):
            for _ in range(2):
                assert pull(site, path, method).status == 200
            assert site.hosted.asked[method, path] == 2


def test_a_hosted_blob_is_fetched_once_and_asked_about_once_for_each_repository(site: Site) -> None:
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda number: pull(site, blob_of(f"app{number % 2}")), range(8)))
    assert [each.body == BLOB for each in answers] == [True] * 8
    asked = site.hosted.asked.copy()
    partly = pull(site, blob_of("app0"), headers={"Range": "bytes=10-19"})
    assert (partly.status, partly.body) == (206, BLOB[10:20])
    head = pull(site, blob_of("app1"), "HEAD")
    assert (head.status, head.headers["Content-Length"]) == (200, [str(len(BLOB))])
    assert pull(site, blob_of("app0"), headers={"If-None-Match": f'"{DIGEST}"'}).status == 304
    assert (site.hosted.sent, site.hosted.asked) == (len(BLOB), asked)
    assert pull(site, blob_of("app2"), user=PUSHER).body == BLOB
    assert site.hosted.asked - asked == {("HEAD", blob_of("app2")): 1}


def test_a_hosted_manifest_is_fetched_once_whatever_the_client_accepts(site: Site) -> None:
    for headers in (ACCEPT, ACCEPT_NOT, {**ACCEPT_NOT, "accept": OCI}):
        assert pull(site, MANIFEST, headers=headers).body == b"first"
        assert pull(site, MANIFEST, "HEAD", headers=headers).headers["Content-Length"] == ["5"]
    assert site.hosted.asked == {("GET", MANIFEST): 1, ("HEAD", MANIFEST): 2}


@pytest.mark.parametrize("path", [blob_of(), MANIFEST])
def test_what_is_deleted_here_is_gone_at_once_for_everybody(site: Site, path: str) -> None:
    for user in (PULLER, PUSHER):
        assert pull(site, path, user=user).status == 200
    assert site.ask("DELETE", path, host="hosted.test", user=PUSHER).status == 200
    site.hosted.missing.add(path)
    for user in (PULLER, PUSHER):
        for method in ("GET", "HEAD"):
            assert pull(site, path, method, user).status == 404
    site.hosted.missing.clear()
    assert pull(site, path).status == 200


@pytest.mark.parametrize("path", [blob_of(), MANIFEST])
def test_what_a_hosted_repository_does_not_have_is_not_found_though_it_is_in_the_cache(site: Site, path: str) -> None:
    elsewhere = path.replace("app", "elsewhere")
    site.hosted.missing.add(elsewhere)
    assert pull(site, path).status == 200
    for headers in ({}, {"Range": "bytes=0-1"}, {"If-None-Match": f'"{DIGEST}"'}, {"Forget": "1"}):
        answer = pull(site, elsewhere, headers={**ACCEPT, **headers})
        assert (answer.status, answer.code()) == (404, "GONE")
        assert pull(site, elsewhere, "HEAD", headers={**ACCEPT, **headers}).status == 404
    site.hosted.missing.clear()
    assert pull(site, elsewhere).status == 200


@pytest.mark.parametrize("path", [blob_of(), MANIFEST])
def test_the_password_comes_before_the_cache_and_before_the_registry(site: Site, path: str) -> None:
    def refused() -> None:
        for user in (None, ("puller", "wrong")):
            for method in ("GET", "HEAD", "PUT", "DELETE"):
                assert pull(site, path, method, user).status == 401
        assert pull(site, path, user=None).code() == "UNAUTHORIZED"
        for method in ("PUT", "PATCH", "POST", "DELETE"):
            assert pull(site, path, method, PULLER).status == 401

    refused()
    assert not site.hosted.asked
    assert pull(site, path).status == 200
    asked = site.hosted.asked.copy()
    refused()
    assert site.hosted.asked == asked


@pytest.mark.parametrize("path", [blob_of(), MANIFEST])
def test_pushers_write_by_digest_whether_it_is_there_or_not(site: Site, path: str) -> None:
    site.hosted.missing.add(path)
    for method in ("PUT", "DELETE"):
        answer = site.ask(method, path, host="hosted.test", user=PUSHER, body=b"manifest")
        assert (answer.status, answer.code()) == (404, "GONE")
    site.hosted.missing.clear()
    for method in ("PUT", "DELETE"):
        for _ in range(2):
            assert site.ask(method, path, host="hosted.test", user=PUSHER, Accept=OCI, body=b"new").status == 200
        assert site.hosted.asked[method, path] == 3


def test_a_cold_head_of_a_hosted_blob_fetches_one_slice_and_poisons_nothing(site: Site) -> None:
    head = pull(site, blob_of(), "HEAD")
    assert (head.status, head.headers["Content-Length"]) == (200, [str(len(BLOB))])
    wait_until(lambda: site.hosted.sent == SLICE)
    assert pull(site, blob_of(), headers={"Range": "bytes=2000000-2000009"}).body == BLOB[2000000:2000010]
    assert pull(site, blob_of()).body == BLOB
    assert site.hosted.sent == len(BLOB)


def test_a_body_that_comes_with_a_get_is_no_harm(site: Site) -> None:
    for _ in range(2):
        assert site.ask("GET", blob_of(), host="hosted.test", user=PULLER, body=b"odd").body == BLOB


def test_two_endpoints_share_nothing(site: Site) -> None:
    assert pull(site, blob_of()).body == BLOB
    site.cache.missing.add(blob_of())
    assert site.ask("GET", blob_of()).code() == "GONE"


def test_an_upload_streams_through(site: Site) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * 1_000_000
        for _ in range(100):
            if site.hosted.uploaded:
                break
            time.sleep(0.05)
        assert site.hosted.uploaded, "the registry saw nothing before the upload's end"
        yield b"x" * 3_000_000

    answer = site.ask("PATCH", "/v2/app/blobs/uploads/1", host="hosted.test", user=PUSHER, body=chunks())
    assert answer.status == 202
    assert site.hosted.uploaded[-1] == 4_000_000


def test_the_registry_learns_where_its_clients_are_and_no_password(site: Site) -> None:
    site.ask(
        "GET",
        "/v2/",
        host="hosted.test",
        user=PULLER,
        **{"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "evil", "Forwarded": "host=evil"},
    )
    seen = site.hosted.headers[-1]
    assert seen["Host"] == seen["X-Forwarded-Host"] == "hosted.test"
    assert (seen["X-Forwarded-For"], seen["X-Forwarded-Proto"]) == (HERE, "http")
    assert not {"Authorization", "Forwarded"} & seen.keys()


def test_a_broken_registry_has_the_word_and_a_dead_one_is_a_502_in_json(site: Site) -> None:
    paths = ("/v2/", blob_of("unseen"), MANIFEST)
    assert pull(site, blob_of()).status == 200
    site.hosted.broken = True
    assert [pull(site, path, method).status for path in paths for method in ("GET", "HEAD")] == [503] * 6
    assert pull(site, blob_of()).status == 200
    site.hosted.die()
    for path in paths:
        answer = pull(site, path)
        assert (answer.status, answer.code()) == (502, "UNAVAILABLE")
        assert pull(site, path, "HEAD").status == 502


TAG = "/v2/app/manifests/latest"


def test_while_a_registry_is_broken_its_last_word_on_a_tag_counts(site: Site) -> None:
    """A client that knows no lists may have had another answer, which counts for nobody."""
    site.hosted.tag = b"of an old client"
    assert site.ask("GET", TAG, host="hosted.test", user=PULLER, Accept="*/*").body == b"of an old client"
    site.hosted.broken = True
    assert pull(site, TAG).status == 503
    site.hosted.broken = False
    site.hosted.tag = b"of today"
    assert [pull(site, path).status for path in (TAG, "/v2/")] == [200, 200]
    site.hosted.broken = True
    assert (pull(site, TAG).body, pull(site, "/v2/").status) == (b"of today", 200)
    assert site.ask("GET", TAG, host="hosted.test", user=PULLER, Accept="*/*").status == 503
    assert site.ask("GET", TAG, host="hosted.test").status == 401
    assert site.ask("PUT", TAG, host="hosted.test", user=PUSHER, Accept=OCI).status == 503
    site.hosted.die()
    assert pull(site, TAG).body == b"of today"


def test_no_answer_is_an_answer_too(site: Site) -> None:
    assert pull(site, TAG).status == 200
    site.hosted.missing = {TAG}
    assert pull(site, TAG).status == 404
    site.hosted.broken = True
    assert pull(site, TAG).status == 404


def test_the_access_log_tells_about_the_cache_and_no_secret(site: Site) -> None:
    for _ in range(2):
        site.ask("GET", blob_of())
    site.ask("GET", "/v2/", host="hosted.test", user=PULLER)
    for _ in range(100):
        lines = [json.loads(line) for line in site.log.read_text().splitlines()]
        if len(lines) == 3:  # each worker writes when it gets to it
            break
        time.sleep(0.05)
    lines.sort(key=lambda line: float(line["at"]))
    assert [line["cache"] for line in lines] == ["MISS", "HIT", "BYPASS"]
    assert int(lines[0]["upstream_bytes"]) >= SLICE  # of the first slice
    assert (lines[1]["upstream_bytes"], lines[1]["status"], lines[2]["user"]) == ("", "200", "puller")
    assert PULLER[1] not in site.log.read_text()
    assert base64.b64encode(":".join(PULLER).encode()).decode() not in site.log.read_text()
