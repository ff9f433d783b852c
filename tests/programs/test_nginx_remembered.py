"""Decides what nginx answers from memory, and for how long: right passwords, and what a hosted registry has."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.programs.served_site import BLOB, DIGEST, PULLER, PUSHER, Answer, Site, blob_of, serving, wait_until

MANIFEST = f"/v2/app/manifests/{DIGEST}"
SOCKET = re.compile(r"(listen unix:\S*/(\S+)\.sock;\n *server_tokens off;\n *access_log) off;")


@contextmanager
def listened(
    tmp_path: Path, edited: Callable[[str], str] = lambda text: text
) -> Iterator[tuple[Site, Callable[[], Counter[str]]]]:
    """A site whose inner servers log, and how often each was asked until now."""
    logs = tmp_path / "inner"
    logs.mkdir()
    with serving(tmp_path, edited=lambda text: edited(SOCKET.sub(rf"\1 {logs}/\2;", text))) as site:
        yield site, lambda: +Counter({each.name: len(each.read_bytes().splitlines()) for each in logs.iterdir()})


def pull(site: Site, path: str) -> Answer:
    return site.ask("GET", path, host="hosted.test", user=PULLER)


def shorter(text: str) -> str:
    """Remembered for a second, kept for two or three."""
    times = {"418 10s": "418 1s", "Expires 10": "Expires 1", "200 50s": "200 2s", "max-age=20": "max-age=3"}
    for long, short in times.items():
        assert long in text
        text = text.replace(long, short)
    return text


@pytest.mark.parametrize("path", [blob_of(), MANIFEST])
def test_who_pulls_again_asks_nobody(tmp_path: Path, path: str) -> None:
    with listened(tmp_path) as (site, asked):
        assert pull(site, path).status == 200
        wait_until(lambda: len(asked()) == 4)
        before = asked()
        assert (before["passwords-pull"], before["passwords-said"]) == (1, 1)
        for _ in range(20):
            assert pull(site, path).status == 200
        time.sleep(0.2)
        assert asked() == before
        kept = [each.read_bytes() for each in (tmp_path / "run").rglob("*") if each.is_file()]
        assert len(kept) == 2
        assert not [each for each in kept if b"KEY: yes" in each]


@pytest.mark.parametrize("path", [blob_of(), MANIFEST])
@pytest.mark.parametrize("query", ["", "?ns=docker.io"])
def test_a_delete_ends_it_also_by_another_spelling(tmp_path: Path, path: str, query: str) -> None:
    with serving(tmp_path, edited=shorter) as site:
        for _ in range(2):
            assert pull(site, path).status == 200
        assert site.ask("DELETE", path + query, host="hosted.test", user=PUSHER).status == 200
        site.hosted.missing.add(path)
        ends = time.monotonic() + 5
        while time.monotonic() < ends:
            assert pull(site, path).status == 404
            time.sleep(0.1)
        site.hosted.missing.clear()
        wait_until(lambda: pull(site, path).status == 200)


def test_what_was_deleted_behind_its_back_is_gone_when_both_times_are_over(tmp_path: Path) -> None:
    with serving(tmp_path, edited=shorter) as site:
        assert pull(site, MANIFEST).status == 200
        site.hosted.missing.add(MANIFEST)
        assert pull(site, MANIFEST).status == 200
        wait_until(lambda: pull(site, MANIFEST).status == 404)


def test_while_the_registry_is_silent_a_yes_counts_on_and_no_longer_than_is_set(tmp_path: Path) -> None:
    with serving(tmp_path, proxy={"cache": {"verdict_stale": "3s"}}, edited=shorter) as site:
        assert pull(site, blob_of()).body == BLOB
        site.hosted.die()
        began = time.monotonic()
        last = 0.0
        while (asked := time.monotonic() - began) < 30 and pull(site, blob_of()).status == 200:
            last = asked
            time.sleep(0.1)
        assert 4 < last < 7.5  # kept for three, stale for three, remembered for one
        assert pull(site, blob_of()).status == 502


def test_a_password_is_checked_again_and_is_right_meanwhile(tmp_path: Path) -> None:
    with listened(tmp_path, shorter) as (site, asked):
        ends = time.monotonic() + 6
        while time.monotonic() < ends:
            assert site.ask("GET", "/v2/", host="hosted.test", user=PULLER).status == 200
            time.sleep(0.05)
        assert 2 <= asked()["passwords-pull"] <= 4
        (tmp_path / "etc" / "pull.htpasswd").write_text("")
        wait_until(lambda: site.ask("GET", "/v2/", host="hosted.test", user=PULLER).status == 401)
