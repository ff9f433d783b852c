"""Decides what of a registry's volume goes to another one, and that a broken blob never gets its place there."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops import volume_files
from ops.move import Difference
from ops.volume_files import ROOT, listing

DOCKER = '#!/bin/sh\n[ "$5" != none ] || { echo "no such volume" >&2; exit 1; }\necho "$VOLUMES/$5"\n'


def blob(content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f"blobs/sha256/{digest[:2]}/{digest}/data"


LAYER, LINK = b"a layer", "repositories/team/app/_manifests/tags/1/current/link"


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    """Two volumes, `old` with an image and an upload, and a `docker` that knows where they are."""
    put(tmp_path / "old", {blob(LAYER): LAYER, LINK: b"sha256:1", "repositories/team/app/_uploads/1/data": b"half"})
    (tmp_path / "new").mkdir()
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    return tmp_path


def put(volume: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (volume / ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (volume / ROOT / path).write_bytes(content)


def program(volumes: Path, action: str, volume: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """As a host runs it."""
    environment = {**os.environ, "PATH": f"{volumes}:{os.environ['PATH']}", "VOLUMES": str(volumes)}
    command = [sys.executable, "-c", Path(volume_files.__file__).read_text(), action, volume]
    return subprocess.run(command, input=stdin, env=environment, capture_output=True, check=False)


def copy(volumes: Path) -> dict[str, object]:
    """What is missing goes over, what is too much goes away; returns what the receiver told."""
    source, target = (json.loads(program(volumes, "list", each).stdout) for each in ("old", "new"))
    difference = Difference.between(source, target)
    sent = program(volumes, "send", "old", json.dumps(difference.missing).encode()).stdout
    program(volumes, "remove", "new", json.dumps(difference.surplus).encode())
    told: dict[str, object] = json.loads(program(volumes, "receive", "new", sent).stdout)
    return told


def test_the_copies_end_with_the_same_in_both(volumes: Path) -> None:
    assert copy(volumes) == {"files": 2, "bytes": len(LAYER) + 8, "wrong": []}
    kept = listing(volumes / "old" / ROOT)
    assert listing(volumes / "new" / ROOT) == kept == {blob(LAYER): str(len(LAYER)), LINK: "sha256:1"}
    times = [(volumes / each / ROOT / LINK).stat().st_mtime for each in ("old", "new")]
    assert times[0] == pytest.approx(times[1], abs=0.001)
    put(volumes / "old", {LINK: b"sha256:2"})
    put(volumes / "new", {"repositories/gone/_layers/sha256/1/link": b"sha256:1"})
    assert copy(volumes) == {"files": 1, "bytes": 8, "wrong": []}
    assert listing(volumes / "new" / ROOT) == {**kept, LINK: "sha256:2"}
    assert not (volumes / "new" / ROOT / "repositories/gone").exists()


def test_a_blob_without_its_digest_is_named_and_gets_no_place(volumes: Path) -> None:
    put(volumes / "old", {blob(LAYER): b"a lieyr"})
    assert copy(volumes)["wrong"] == [blob(LAYER)]
    assert listing(volumes / "new" / ROOT) == {LINK: "sha256:1"}


def test_blobs_go_before_the_links_that_lead_to_them() -> None:
    assert Difference.between({LINK: "x", blob(LAYER): "7"}, {}) == Difference([blob(LAYER), LINK], [], 7)


def test_a_volume_that_is_not_there_is_an_error_in_docker_s_words(volumes: Path) -> None:
    done = program(volumes, "list", "none")
    assert done.returncode == 1
    assert done.stderr == b"no such volume\n"
