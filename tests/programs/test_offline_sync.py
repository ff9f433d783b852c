"""Bundles between two real registries, by the real skopeo: what arrives, and what happens where something is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from offline_sync.bundle import Image, blob_name, listed, opened
from settings.registries import HostedRegistry
from settings.registry_files import RegistryFiles
from tests.certificates import authority, server
from tests.checkout import REAL
from tests.programs.offline_world import NAME, World, world
from tests.programs.registry_process import serving
from tests.registry_client import INDEX, MANIFEST, Answer, Client, descriptor, digest, index

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
PLATFORMS = ("amd64", "arm64")


@pytest.fixture
def at(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def put(client: Client, repository: str, reference: str, manifest: dict[str, Any], *blobs: bytes) -> bytes:
    """Push a manifest that a test has made itself, with its blobs."""
    for each in blobs:
        client.upload(repository, each)
    content = json.dumps(manifest).encode()
    answer = client.put(repository, reference or digest(content), content)
    assert answer.status == 201, answer.body
    return content


def push_index(client: Client, repository: str, tag: str) -> dict[str, bytes]:
    """An image for several platforms; returns each one's manifest, and the index by ''."""
    made = {each: client.push(repository, "", f'"{each}"'.encode(), each.encode() * 2000) for each in PLATFORMS}
    entries = [
        {**descriptor(content, MANIFEST), "platform": {"os": "linux", "architecture": name}}
        for name, content in made.items()
    ]
    whole = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    return {**made, "": put(client, repository, tag, whole)}


def images(bundle: Path) -> list[Image]:
    """What the bundle says it has."""
    return list(listed(opened(bundle)).images)


def tags(client: Client, repository: str) -> list[str]:
    answer = client.ask("GET", f"/v2/{repository}/tags/list")
    return sorted(answer.data.get("tags") or []) if answer.status == 200 else []


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A folder with so much room."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_an_image_keeps_its_digest_and_comes_once(at: World) -> None:
    oci = at.source.push("team/app", "1.0.0", b"{}", b"shared" * 1000)
    config, layer = b'{"docker": 1}', b"layer of docker"
    docker = put(
        at.source, "library/old", "latest",
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": descriptor(config, DOCKER_CONFIG),
            "layers": [descriptor(layer, DOCKER_LAYER)],
        },
        config, layer,
    )  # fmt: skip
    several = push_index(at.source, "team/several", "2")
    at.want("team/app", "1.0.0")
    at.want("library/old", "latest")
    at.want("team/several", digests=[digest(several[""])])
    assert "3 images wanted, 0 in the bundle already" in at.run("bundle")
    at.run("load", at.bundle)
    assert at.target.pull("team/app", "1.0.0") == oci
    assert at.target.ask("GET", "/v2/library/old/manifests/latest", Accept=DOCKER_MANIFEST).body == docker
    assert at.target.blob("library/old", layer) == 200
    assert at.target.pull("team/several", digest(several[""])) == several[""]
    assert "0 bytes fetched" in at.run("bundle")
    assert "3 images, 3 there already\n0 bytes sent" in at.run("load", at.bundle)
    # An image more is fetched as far as it is new.
    at.source.push("team/app", "1.1.0", b"{1}", b"shared" * 1000, b"new")
    at.images[0]["tags"] = ["1.*"]
    assert "2 images, 6 bytes fetched" not in at.run("bundle")
    assert "4 images, 6 bytes fetched" in at.said
    assert not Path("/var/lib/containers/cache").exists()


def test_a_registry_with_https_by_an_authority_of_its_own(at: World, tmp_path: Path) -> None:
    content = at.source.push("team/app", "1", b"{}", b"layer")
    at.want("team/app", "1")
    at.run("bundle")
    own = authority()
    signed = server("127.0.0.1", own)
    tls = {"certificate": "s.pem", "authority": "ca.pem", "name": "s.test"}
    registry = HostedRegistry.model_validate({"kind": "hosted", "name": "s", "host": "here", "tls": tls})
    files = RegistryFiles(tls_certificate=signed.pem, tls_authority=own.pem)
    (tmp_path / "https").mkdir()
    with serving(tmp_path / "https", registry, files, {"backend-tls-key-s": signed.private}) as at.target:
        assert "CERTIFICATE_VERIFY_FAILED" in at.run("load", at.bundle, status=1)
        at.ca = own.pem
        at.run("load", at.bundle)
        assert at.target.pull("team/app", "1") == content


def test_another_tool_reads_the_layout(at: World, tmp_path: Path) -> None:
    at.source.push("team/app", "1", b"{}", b"layer")
    at.want("team/app", "1")
    at.run("bundle")
    inspect = ["skopeo", "inspect", "--raw", f"oci:{at.bundle}:{NAME}/team/app:1"]
    assert digest(subprocess.run(inspect, check=True, capture_output=True).stdout) == images(at.bundle)[0].digest


def test_the_list_by_patterns_and_versions(at: World) -> None:
    for tag in ("1.2.0", "1.3.0", "1.10.1", "2.0.0", "1.3", "1.3.0-alpine", "edge"):
        at.source.push("team/app", tag, tag.encode(), b"layer")
    at.want("team/app", ">=1.3 <2", "*-alpine", "edge")
    at.run("bundle")
    assert {each.tag for each in images(at.bundle)} == {"1.3.0", "1.10.1", "1.3.0-alpine", "edge"}


def test_what_is_not_there_is_named_and_the_rest_goes_on(at: World) -> None:
    kept = at.source.push("team/app", "1", b"{}", b"layer")
    at.source.push("team/other", "1", b"{}", b"layer")
    at.want("team/app", "1", "9")
    at.want("team/none", "1")
    at.want("team/other", "8.*")
    said = at.run("bundle", status=1)
    assert f"failed: {NAME}/team/app:9: is not there" in said
    assert f"failed: {NAME}/team/none:1: is not there" in said
    assert f"failed: {NAME}/team/other: no tag is '8.*'" in said
    assert "3 of the list could not be had" in said
    assert [each.digest for each in images(at.bundle)] == [digest(kept)]
    assert f"note: the bundle was made without this: {NAME}/team/app:9: is not there" in at.run("load", at.bundle)


def test_what_the_source_has_lost_stays(at: World) -> None:
    """With its signature."""
    kept = at.source.push("team/app", "1", b"{}", b"layer")
    about = digest(kept).replace(":", "-") + ".sig"
    at.source.push("team/app", about, b"{sig}", b"signature")
    at.want("team/app", "1")
    at.run("bundle")
    assert at.source.ask("DELETE", f"/v2/team/app/manifests/{digest(kept)}").status == 202
    at.run("bundle", status=1)
    assert {(each.tag, each.left) for each in images(at.bundle)} == {("1", False), (about, False)}
    at.run("load", at.bundle)
    assert at.target.pull("team/app", "1") == kept


def test_signatures_and_referrers_come_along(at: World) -> None:
    """As cosign tags them, and as OCI does for registries that do not find referrers themselves."""
    signed = push_index(at.source, "team/app", "1")
    about_index, about_part = (digest(signed[each]).replace(":", "-") for each in ("", "amd64"))
    at.source.push("team/app", f"{about_index}.sig", b"{sig}", b"signature")
    at.source.push("team/app", f"{about_part}.sbom", b"{sbom}", b"materials")
    note = {
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.test",
        "config": descriptor(b"{}", "application/vnd.oci.empty.v1+json"),
        "layers": [descriptor(b"a note", "text/plain")],
        "subject": descriptor(signed[""], INDEX),
    }  # fmt: skip
    noted = put(at.source, "team/app", "", note, b"{}", b"a note")
    put(at.source, "team/app", about_index, json.loads(index([noted])))
    at.source.push("team/app", "unsigned", b"{u}", b"u")
    at.want("team/app", "1")
    at.run("bundle")
    at.run("load", at.bundle)
    assert tags(at.target, "team/app") == ["1", *sorted([about_index, f"{about_index}.sig", f"{about_part}.sbom"])]
    for tag in tags(at.target, "team/app"):
        assert at.target.pull("team/app", tag) == at.source.pull("team/app", tag)
    assert at.target.pull("team/app", digest(noted)) == noted


@contextmanager
def with_referrers(source: Client, subject: bytes, manifest: bytes) -> Iterator[Client]:
    """The source with the referrers API, which distribution does not have: it knows one referrer of one image. The tag
    `broken` is an error of the server's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "/referrers/" in self.path:
                found = [manifest] if self.path.endswith(digest(subject)) else []
                answer = Answer(200, {"content-type": INDEX}, index(found))
            elif self.path.endswith("/manifests/broken"):
                answer = Answer(500, {}, b"")
            else:
                wanted = {"Accept": self.headers["Accept"]} if "Accept" in self.headers else {}
                answer = source.ask(self.command, self.path, None, **wanted)
            self.send_response(answer.status)
            for name in ("content-type", "docker-content-digest"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", answer.headers.get("content-length", str(len(answer.body))))
            self.end_headers()
            self.wfile.write(answer.body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.05,)).start()
        try:
            yield Client(f"http://127.0.0.1:{listening.server_address[1]}")
        finally:
            listening.shutdown()


def test_referrers_that_only_the_api_knows_get_the_tag_too(at: World) -> None:
    signed = at.source.push("team/app", "1", b"{}", b"layer")
    note = {
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.test",
        "config": descriptor(b"{}", "application/vnd.oci.empty.v1+json"), "layers": [],
        "subject": descriptor(signed, MANIFEST),
    }  # fmt: skip
    noted = put(at.source, "team/app", "", note, b"{}")
    at.want("team/app", "1")
    with with_referrers(at.source, signed, noted) as at.source:
        at.run("bundle")
        assert "0 bytes fetched" in at.run("bundle")
    at.run("load", at.bundle)
    assert at.target.pull("team/app", digest(noted)) == noted
    found = at.target.ask("GET", f"/v2/team/app/manifests/{digest(signed).replace(':', '-')}", Accept=INDEX).data
    assert [each["digest"] for each in found["manifests"]] == [digest(noted)]


def test_a_tag_means_one_image_where_another_one_could_not_be_had(at: World) -> None:
    at.source.push("team/app", "1", b"{}", b"old")
    at.want("team/app", "1")
    at.run("bundle")
    now = at.source.push("team/app", "1", b"{}", b"new")
    at.images[0]["tags"].append("broken")
    with with_referrers(at.source, b"", b"") as at.source:
        assert "/v2/team/app/manifests/broken: status 500" in at.run("bundle", status=1)
    assert {each.digest for each in images(at.bundle) if each.tag == "1" and not each.left} == {digest(now)}
    at.run("load", at.bundle)
    assert at.target.pull("team/app", "1") == now


def test_some_platforms_of_an_image(at: World, tmp_path: Path) -> None:
    """It keeps its digest. A registry takes it that was told to; another one says what to do, and gets no tag."""
    several = push_index(at.source, "team/app", "1")
    at.want("team/app", "1", platforms=["linux/arm64"])
    at.run("bundle")
    assert not (at.bundle / blob_name(digest(b"amd64" * 2000))).exists()
    at.run("verify", at.bundle)
    assert "say sparse_indexes: true" in at.run("load", at.bundle, status=1)
    assert tags(at.target, "team/app") == []
    (tmp_path / "taking").mkdir()
    registry = HostedRegistry(kind="hosted", name="hosted", host="here", sparse_indexes=True)
    with serving(tmp_path / "taking", registry) as at.target:
        at.run("load", at.bundle)
        answer = at.target.ask("GET", "/v2/team/app/manifests/1", Accept=INDEX)
        assert answer.body == several[""]
        assert at.target.pull("team/app", digest(several["arm64"])) == several["arm64"]
        assert at.target.pull("team/app", digest(several["amd64"])) is None
        # Another platform on the list is fetched and loaded.
        at.images[0]["platforms"].append("linux/amd64")
        at.run("bundle")
        at.run("load", at.bundle)
        assert at.target.pull("team/app", "1") == several[""]


def test_a_platform_that_no_image_has(at: World) -> None:
    push_index(at.source, "team/app", "1")
    at.want("team/app", "1", platforms=["linux/s390x"])
    assert "team/app:1: has none of the platforms linux/s390x" in at.run("bundle", status=1)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


LAYER = b"layer" * 3000
BLOB = blob_name(digest(LAYER))
FAULTS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "a flipped bit": ("bundle", lambda at: flip(at / BLOB), "has not the content that its name says"),
    "a missing blob": ("bundle", lambda at: (at / BLOB).unlink(), "is missing"),
    "a blob cut short": ("bundle", lambda at: cut(at / BLOB), "it is cut short"),
    "another list": ("bundle", lambda at: flip(at / "bundle.json"), "is not as it was written"),
    "no list": ("bundle", lambda at: (at / "bundle.json").unlink(), "has no bundle.json"),
    "a flipped bit in a tar": ("bundle.tar", lambda at: flip(at), "has not the content that its name says"),
    "a tar cut short": ("bundle.tar", lambda at: cut(at), "is cut short"),
    "a tar cut at its start": ("bundle.tar", lambda at: os.truncate(at, 100), "is no tar of a bundle, or is cut short"),
    "an empty tar": ("bundle.tar", lambda at: os.truncate(at, 0), "is no tar of a bundle, or is cut short"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """With a bundle of two images, in a folder and a tar."""
    folder = tmp_path_factory.mktemp("made")
    with world(folder) as at:
        at.source.push("team/app", "1", b"{}", LAYER)
        at.source.push("team/fine", "1", b"{}", b"fine")
        at.want("team/app", "1")
        at.want("team/fine", "1")
        at.tar = str(folder / "bundle.tar")
        at.run("bundle")
        yield at


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_bundle_is_named_and_nothing_is_loaded(made: World, tmp_path: Path, fault: str) -> None:
    name, spoil, named = FAULTS[fault]
    where = tmp_path / name
    if name == "bundle":
        shutil.copytree(made.bundle, where)
    else:
        shutil.copy(made.tar, where)
    spoil(where)
    assert named in made.run("verify", where, status=1)
    assert named in made.run("load", where, status=1)
    assert made.target.ask("GET", "/v2/_catalog").data == {"repositories": []}


def test_a_tar_is_loaded_without_being_unpacked(at: World, tmp_path: Path) -> None:
    content = at.source.push("team/app", "1", b"{}", b"layer" * 3000)
    at.want("team/app", "1")
    at.tar = str(tmp_path / "bundle.tar")
    at.run("bundle")
    at.run("load", at.tar)
    assert at.target.pull("team/app", "1") == content


def test_a_run_that_is_killed_leaves_a_good_bundle_and_goes_on_later(at: World) -> None:
    at.source.push("team/app", "1", b"{}", b"first")
    big = os.urandom(30 << 20)
    at.source.push("team/app", "2", b"{2}", b"small", big)
    at.want("team/app", "1")
    at.run("bundle")
    at.images[0]["tags"].append("2")
    command: list[str | Path] = [sys.executable, "-I", "-B", REAL / "offline_sync", "bundle", at.config()]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as running:
        small = at.bundle / blob_name(digest(b"small"))
        for _ in range(2000):
            if small.exists():
                break
            time.sleep(0.005)
        os.killpg(running.pid, signal.SIGKILL)
    assert small.exists()
    at.run("verify", at.bundle)
    assert [each.tag for each in images(at.bundle)] == ["1"]
    fetched = at.run("bundle")
    assert [each.tag for each in images(at.bundle)] == ["1", "2"]
    assert "bytes fetched" in fetched
    assert sorted(each.name for each in at.bundle.iterdir()) == [
        ".lock",
        "blobs",
        "bundle.json",
        "index.json",
        "oci-layout",
    ]


def test_a_full_disk_below_the_bundle(at: World) -> None:
    with small_disk(at.bundle, 512):
        at.source.push("team/app", "1", b"{}", b"small")
        at.want("team/app", "1")
        at.run("bundle")
        at.source.push("team/app", "2", b"{2}", os.urandom(1 << 20))
        at.images[0]["tags"].append("2")
        said = at.run("bundle", status=1)
        assert f"{at.bundle}: No space left on device; " in said
        assert "bytes are free there" in said
        at.run("verify", at.bundle)
        assert [each.tag for each in images(at.bundle)] == ["1"]


def test_no_room_for_the_tar(at: World, tmp_path: Path) -> None:
    at.source.push("team/app", "1", b"{}", b"small")
    at.want("team/app", "1")
    with small_disk(tmp_path / "stick", 512):
        at.tar = str(tmp_path / "stick" / "bundle.tar")
        assert "bundle.tar: needs " in at.run("bundle", status=1)
        assert list((tmp_path / "stick").iterdir()) == []


def test_a_full_disk_below_the_registry(tmp_path: Path) -> None:
    with small_disk(tmp_path / "target" / "data", 512), world(tmp_path) as at:
        at.source.push("team/app", "1", b"{}", b"small")
        at.source.push("team/big", "1", b"{2}", os.urandom(1 << 20))
        at.want("team/app", "1")
        at.want("team/big", "1")
        at.run("bundle")
        said = at.run("load", at.bundle, status=1)
        assert "team/big@sha256:" in said
        assert "No tag was set" in said
        assert tags(at.target, "team/app") == tags(at.target, "team/big") == []


def test_no_room_in_the_registry_s_volume_is_seen_before_anything_is_sent(
    at: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for Docker says where the volume is; tests/lab asks the real one."""
    at.source.push("team/big", "1", b"{2}", os.urandom(1 << 20))
    at.want("team/big", "1")
    at.run("bundle")
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f'#!/bin/sh\n[ "$5" = of-hosted ] && echo {tmp_path}/volume\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}:{os.environ['PATH']}")
    at.volume = "of-hosted"
    with small_disk(tmp_path / "volume", 512):
        assert re.search(
            r"of-hosted: the registry needs 1,0\d\d,\d+ bytes more, and .* has \d+,\d+ free",
            at.run("load", at.bundle, status=1),
        )
    assert at.target.ask("GET", "/v2/_catalog").data == {"repositories": []}
    at.run("load", at.bundle)


def test_prune_shows_before_it_removes(at: World) -> None:
    old = at.source.push("team/app", "1", b"{}", b"shared", b"old" * 1000)
    moved = at.source.push("team/app", "edge", b"{e}", b"shared", b"edge 1")
    at.source.push("team/app", "2", b"{2}", b"shared", b"new")
    at.want("team/app", "1", "2", "edge")
    at.run("bundle")
    at.run("load", at.bundle)
    at.target.push("team/app", "of-somebody-else", b"{o}", b"else")
    now = at.source.push("team/app", "edge", b"{e}", b"shared", b"edge 2")
    at.images[0]["tags"] = ["2", "edge"]
    assert "2 images left the list, and are still in the folder" in at.run("bundle")
    at.run("load", at.bundle)
    assert at.target.pull("team/app", "1") == old
    files = sorted((at.bundle / "blobs/sha256").iterdir())
    said = at.run("prune")
    assert f"{at.bundle}: {NAME}/team/app:1 {digest(old)}" in said
    assert f"{at.target.url}: {NAME}/team/app:1 {digest(old)}" in said
    assert "nothing was removed" in said
    assert sorted((at.bundle / "blobs/sha256").iterdir()) == files
    assert at.target.pull("team/app", "1") == old
    at.run("prune", "--yes")
    at.run("verify", at.bundle)
    assert not (at.bundle / blob_name(digest(b"old" * 1000))).exists()
    assert (at.bundle / blob_name(digest(b"shared"))).exists()
    assert at.target.pull("team/app", "1") is None
    assert at.target.pull("team/app", digest(moved)) is None
    assert at.target.pull("team/app", "edge") == now
    assert tags(at.target, "team/app") == ["2", "edge", "of-somebody-else"]
    assert "0 images left the bundles" in at.run("prune")


def test_a_tag_goes_where_its_image_stays(at: World) -> None:
    both = at.source.push("team/app", "1", b"{}", b"layer")
    at.source.put("team/app", "latest", both)
    at.want("team/app", "1", "latest")
    at.run("bundle")
    at.run("load", at.bundle)
    at.images[0]["tags"] = ["1"]
    at.run("bundle")
    at.run("load", at.bundle)
    at.run("prune", "--yes")
    assert tags(at.target, "team/app") == ["1"]
    assert at.target.pull("team/app", "1") == both


def test_an_image_for_no_registry_here_is_refused(at: World) -> None:
    at.source.push("team/app", "1", b"{}", b"layer")
    at.want("team/app", "1")
    at.run("bundle")
    path = at.config()
    path.write_text(path.read_text().replace(f'"targets": {{"{NAME}"', '"targets": {"quay.io"'))
    program: list[str | Path] = [sys.executable, "-I", "-B", REAL / "offline_sync", "load", path, at.bundle]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "has images of docker.io, and offline_sync.into does not say which registry takes them" in done.stderr


def test_one_command_at_a_time(at: World) -> None:
    at.want("team/app", "1")
    at.bundle.mkdir()
    with subprocess.Popen(["flock", at.bundle / ".lock", "sleep", "60"]) as holder:
        try:
            for _ in range(100):
                held = subprocess.run(["flock", "--nonblock", at.bundle / ".lock", "true"], check=False)
                if held.returncode:
                    break
                time.sleep(0.02)
            assert "another command is at work there" in at.run("bundle", status=1)
        finally:
            holder.kill()
