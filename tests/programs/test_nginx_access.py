"""Decides who gets what from the cache: tokens, passwords that change or are guessed, anonymous pulls, limits."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from documents import nginx_cache
from hostctl import bcrypt_hash
from tests.programs.served_site import (
    ACCEPT,
    BLOB,
    CHALLENGE,
    DIGEST,
    PULLER,
    PUSHER,
    STRANGER,
    Answer,
    Site,
    blob_of,
    serving,
    wait_until,
)

ANNA, BERT = "Bearer anna", "Bearer bert"
MANIFEST = f"/v2/annas/manifests/{DIGEST}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Of two users with a private repository each, and a third that both may read."""
    with serving(tmp_path, token=True) as live:
        live.hosted.rights = {ANNA: {"annas", "both"}, BERT: {"berts", "both"}}
        yield live


def ask(site: Site, path: str, token: str = "", method: str = "GET", **headers: str) -> Answer:
    sent: dict[str, Any] = {**ACCEPT, **headers}
    return site.ask(method, path, host="hosted.test", token=token, **sent)


def refused(answer: Answer) -> bool:
    """Whether it is the registry's own refusal, with its challenge."""
    return answer.status == 401 and answer.headers["WWW-Authenticate"] == [CHALLENGE] and BLOB not in answer.body


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("kind", ["blobs", "manifests"])
def test_nobody_reads_from_the_cache_what_the_registry_would_not_give_him(site: Site, kind: str, warm: bool) -> None:
    annas, berts = (f"/v2/{name}/{kind}/{DIGEST}" for name in ("annas", "berts"))
    if warm:
        assert ask(site, annas, ANNA).status == 200
    site.hosted.missing.add(berts)  # the digest is in anna's repository only
    for method in ("GET", "HEAD"):
        for headers in ({}, {"Range": "bytes=0-9"}, {"Forget": "1"}):
            assert ask(site, annas, BERT, method, **headers).status == 401
            assert ask(site, annas, "", method, **headers).status == 401
            assert ask(site, berts, BERT, method, **headers).status == 404
            assert ask(site, berts, ANNA, method, **headers).status == 401
    assert refused(ask(site, annas, BERT))
    assert ask(site, berts, BERT).code() == "GONE"
    assert ask(site, annas, ANNA).status == 200


def test_a_layer_that_two_repositories_share_is_fetched_once_and_each_is_asked(site: Site) -> None:
    for repository, token in (("annas", ANNA), ("berts", BERT), ("annas", ANNA), ("both", ANNA), ("both", BERT)):
        assert ask(site, blob_of(repository), token).body == BLOB
    assert site.hosted.sent == len(BLOB)
    heads = {path: times for (method, path), times in site.hosted.asked.items() if method == "HEAD"}
    assert heads == {blob_of("annas"): 1, blob_of("berts"): 1, blob_of("both"): 2}


def test_a_private_blob_is_nobodys_by_way_of_the_anonymous_mirror(site: Site) -> None:
    assert ask(site, blob_of("annas"), ANNA).body == BLOB
    site.cache.missing |= {blob_of("annas"), MANIFEST}
    assert site.ask("GET", blob_of("annas")).code() == "GONE"
    assert ask(site, MANIFEST, ANNA).status == 200
    assert site.ask("GET", MANIFEST).code() == "GONE"


def test_the_token_goes_on_to_the_registry_and_not_to_a_mirrors_upstream(site: Site) -> None:
    assert refused(ask(site, "/v2/"))
    ask(site, "/v2/annas/tags/list", ANNA)
    assert site.hosted.headers[-1]["Authorization"] == ANNA
    site.ask("GET", blob_of(), token=ANNA)
    assert "Authorization" not in site.cache.headers[-1]


def test_while_the_registry_is_silent_a_verdict_counts_for_a_while_and_only_for_whom_it_was(tmp_path: Path) -> None:
    with serving(tmp_path, token=True) as site:
        site.hosted.rights = {ANNA: {"annas"}}
        assert ask(site, blob_of("annas"), ANNA).body == BLOB
        site.hosted.die()
        assert ask(site, blob_of("annas"), ANNA).body == BLOB
        for path, token in ((blob_of("annas"), BERT), (blob_of("both"), ANNA), (blob_of("annas"), "")):
            assert ask(site, path, token).status == 502


@pytest.fixture
def known(tmp_path: Path) -> Iterator[Site]:
    """A site with passwords, of which a client may have two a second checked, and twenty at once."""
    with serving(tmp_path, proxy={"limits": {"logins_per_second": 2}}) as live:
        yield live


def test_a_password_that_is_no_longer_right_is_refused_at_once(known: Site) -> None:
    ping = ("GET", "/v2/")
    assert known.ask(*ping, host="hosted.test", user=PULLER).status == 200
    known.change_password(PULLER[0], "another")
    # old workers may still take a connection just after the reload
    wait_until(lambda: known.ask(*ping, host="hosted.test", user=PULLER).status == 401)
    wait_until(lambda: known.ask(*ping, host="hosted.test", user=(PULLER[0], "another")).status == 200)
    assert known.ask(*ping, host="hosted.test", user=PUSHER).status == 200


def test_a_password_before_is_right_as_well_and_nobody_else_gets_in_by_it(known: Site, tmp_path: Path) -> None:
    ping = ("GET", "/v2/")
    before = f"{PULLER[0]}:{bcrypt_hash.make('before', 4)}\n"
    (tmp_path / "etc" / "pull-before.htpasswd").write_text(before)
    for password, status in (("before", 200), (PULLER[1], 200), ("neither", 401)):
        assert known.ask(*ping, host="hosted.test", user=(PULLER[0], password)).status == status
    assert known.ask("POST", "/v2/a/blobs/uploads/", host="hosted.test", user=(PULLER[0], "before")).status == 401
    assert known.ask(*ping, host="hosted.test", user=(PUSHER[0], "before")).status == 401


def test_one_who_guesses_passwords_is_stopped_before_they_are_checked_and_others_are_not(known: Site) -> None:
    def guess(number: int) -> int:
        return known.ask("GET", "/v2/", host="hosted.test", user=("puller", f"guess{number}")).status

    assert known.ask("GET", "/v2/", host="hosted.test", user=PULLER).status == 200
    with ThreadPoolExecutor(8) as many:
        answers = list(many.map(guess, range(60)))
    assert set(answers) == {401, 429}
    assert 20 <= answers.count(401) <= 30
    limited = known.ask("GET", "/v2/", host="hosted.test", user=("puller", "one more"))
    assert (limited.status, limited.code()) == (429, "TOOMANYREQUESTS")
    # who was let in before still is, and another address has a count of its own
    assert known.ask("GET", "/v2/", host="hosted.test", user=PULLER).status == 200
    from_elsewhere = known.ask("GET", "/v2/", host="hosted.test", user=PUSHER, source="127.0.0.7")
    assert from_elsewhere.status == 200


def test_what_is_kept_of_passwords_is_only_for_nginxs_workers(known: Site, tmp_path: Path) -> None:
    assert known.ask("GET", "/v2/", host="hosted.test", user=PULLER).status == 200
    folders = [tmp_path / "run" / "passwords", *(tmp_path / "run").glob("*-verdicts")]
    assert len(folders) == 2
    assert [oct(each.stat().st_mode & 0o777) for each in folders] == ["0o700"] * 2


def test_anybody_may_pull_where_that_is_set_but_not_push_nor_guess(tmp_path: Path) -> None:
    with serving(tmp_path, anonymous_pull=True) as site:
        for path in ("/v2/", blob_of(), "/v2/app/manifests/1", f"/v2/app/manifests/{DIGEST}"):
            assert site.ask("GET", path, host="hosted.test").status == 200
        assert site.ask("GET", blob_of(), host="hosted.test", user=("puller", "wrong")).status == 401
        assert site.ask("GET", blob_of(), host="hosted.test", source=STRANGER).status == 403
        for path in (blob_of(), "/v2/app/manifests/1", "/v2/app/blobs/uploads/"):
            for user in (None, PULLER):
                answer = site.ask("PUT", path, host="hosted.test", user=user, body=b"x")
                assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, ['Basic realm="http-registry"'])
        assert site.ask("PUT", "/v2/app/manifests/1", host="hosted.test", user=PUSHER, body=b"x").status == 200


def test_a_client_may_only_ask_so_much_and_the_host_itself_as_it_likes(tmp_path: Path) -> None:
    with serving(tmp_path, proxy={"limits": {"requests_per_second": 1, "connections": 2}}) as site:
        answers = [site.ask("GET", "/v2/", source="127.0.0.7") for _ in range(20)]
        statuses = [each.status for each in answers]
        assert 11 <= statuses.count(200) <= 14
        assert answers[-1].code() == "TOOMANYREQUESTS"
        assert {site.ask("GET", "/v2/").status for _ in range(30)} == {200}

        time.sleep(6)  # until six more are allowed
        with ThreadPoolExecutor(5) as many:
            together = list(many.map(lambda _: site.ask("GET", blob_of(), source="127.0.0.7").status, range(5)))
        assert (together.count(200), together.count(429)) == (2, 3)


def test_the_fetch_goes_on_when_the_first_client_goes_away(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port)) as first:
        first.sendall(f"GET {blob_of()} HTTP/1.1\r\nHost: mirror.test\r\n\r\n".encode())
        first.recv(1000)
    with ThreadPoolExecutor(4) as others:
        assert [each.body == BLOB for each in others.map(lambda _: site.ask("GET", blob_of()), range(4))] == [True] * 4
    wait_until(lambda: site.cache.sent >= len(BLOB))
    assert site.cache.sent == len(BLOB)


def test_a_worker_that_dies_in_a_fetch_does_not_stop_the_others_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock stays where all workers see it."""
    monkeypatch.setattr(nginx_cache, "TAKEN_OVER", "1s")
    with serving(tmp_path) as site, socket.create_connection(("127.0.0.1", site.port)) as first:
        first.sendall(f"GET {blob_of()} HTTP/1.1\r\nHost: mirror.test\r\n\r\n".encode())
        first.recv(1000)
        master = int((site.folder / "pid").read_text())
        for worker in Path(f"/proc/{master}/task/{master}/children").read_text().split():
            os.kill(int(worker), signal.SIGKILL)
        assert site.ask("GET", blob_of()).body == BLOB
