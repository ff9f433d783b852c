"""Decides that a mirror serves its canary itself, and that one with login lets nobody else in."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from documents.canary import INDEX, MANIFEST
from hostctl.canary import REPOSITORY, TAG
from tests.programs.served_site import PULLER, PUSHER, Site, blob_of, serving

IMAGE = f"/v2/{REPOSITORY}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, login=True) as live:
        yield live


def fetched(site: Site, kind: str, reference: str, media_type: str = "application/octet-stream") -> bytes:
    answer = site.ask("GET", f"{IMAGE}/{kind}/{reference}?ns=docker.io", user=PULLER)
    digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
    assert answer.status == 200
    assert answer.headers["Docker-Content-Digest"] == [digest]
    assert answer.headers["Content-Type"] == [media_type]
    assert reference in (TAG, digest)
    head = site.ask("HEAD", f"{IMAGE}/{kind}/{reference}", user=PULLER)
    assert (head.status, head.headers["Content-Length"]) == (200, [str(len(answer.body))])
    return answer.body


def test_the_whole_canary_is_there_and_no_registry_is_asked(site: Site) -> None:
    index = json.loads(fetched(site, "manifests", TAG, INDEX))
    assert fetched(site, "manifests", site.canary, INDEX) == fetched(site, "manifests", TAG, INDEX)
    for each in index["manifests"]:
        manifest = json.loads(fetched(site, "manifests", each["digest"], MANIFEST))
        config = json.loads(fetched(site, "blobs", manifest["config"]["digest"]))
        assert config["architecture"] == each["platform"]["architecture"]
        (layer,) = manifest["layers"]
        assert config["rootfs"]["diff_ids"] == [layer["digest"]]
        content = fetched(site, "blobs", layer["digest"])
        assert layer["size"] == len(content)
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            assert tar.getnames() == ["http-registry"]
    assert not site.cache.asked


@pytest.mark.parametrize("path", ["blobs/sha256:" + "0" * 64, "manifests/sha256:" + "0" * 64])
def test_what_is_not_of_the_canary_is_unknown(site: Site, path: str) -> None:
    assert site.ask("GET", f"{IMAGE}/{path}", user=PULLER).status == 404
    assert not site.cache.asked


@pytest.mark.parametrize("path", ["/v2/", blob_of(), "/v2/app/manifests/1", f"{IMAGE}/manifests/{TAG}"])
@pytest.mark.parametrize("user", [None, ("puller", "wrong"), ("nobody", "secret-2")])
def test_a_mirror_with_login_gives_nobody_else_anything_cold_or_warm(site: Site, path: str, user: Any) -> None:
    assert site.ask("GET", path, user=user).status == 401
    assert not site.cache.asked
    assert [site.ask("GET", path, user=each).status for each in (PULLER, PUSHER)] == [200, 200]
    warm = site.ask("GET", path, user=user)
    assert warm.status == 401
    assert warm.headers["WWW-Authenticate"] == ['Basic realm="http-registry"']


def test_the_registry_behind_a_mirror_gets_no_password(site: Site) -> None:
    site.ask("GET", blob_of(), user=PULLER)
    assert site.cache.headers
    assert not [each for each in site.cache.headers if "Authorization" in each]


def test_a_pusher_pushes_nothing_to_a_mirror(site: Site) -> None:
    assert site.ask("POST", "/v2/app/blobs/uploads/", user=PUSHER).status == 405
