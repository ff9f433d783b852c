"""Cache folders and image archives: the same input gives the same bytes. That they run needs a real `lab/up`."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import archive, binaries, cache, images
from lab.process import LabError
from toolchain.golang import in_go_mod


def test_a_digest_follows_texts_and_files_and_their_order(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("b")
    assert cache.digest(["a", file]) == cache.digest(["a", "b"])
    assert cache.digest(["a", "b"]) != cache.digest(["b", "a"])
    assert cache.digest(["a", "b"]) != cache.digest(["ab"])


def test_what_is_cached_is_built_once(tmp_path: Path) -> None:
    built: list[Path] = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "it").write_text("made")

    target = tmp_path / "cache" / "thing-1"
    for _ in range(2):
        assert (cache.cached(target, build) / "it").read_text() == "made"
    assert len(built) == 1
    assert sorted(file.name for file in target.parent.iterdir()) == ["thing-1", "thing-1.lock"]


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "half").write_text("")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.cached(tmp_path / "thing-1", build)
    assert [file.name for file in tmp_path.iterdir()] == ["thing-1.lock"]


def test_what_a_killed_build_left_goes_and_one_builds_at_a_time(tmp_path: Path) -> None:
    left, other = tmp_path / ".thing-1-abc", tmp_path / ".thing-2-abc"
    left.mkdir()
    other.mkdir()
    began, go_on = threading.Event(), threading.Event()

    def slow(folder: Path) -> None:
        assert not left.exists()
        began.set()
        assert go_on.wait(10)
        (folder / "it").write_text("made")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.cached, tmp_path / "thing-1", slow)
        assert began.wait(10)
        second = pool.submit(cache.cached, tmp_path / "thing-1", lambda _: pytest.fail("built twice"))
        time.sleep(0.3)
        assert not second.done()
        go_on.set()
        assert (first.result() / "it").read_text() == (second.result() / "it").read_text() == "made"
    assert other.is_dir()


def test_a_placed_file_follows_its_source(tmp_path: Path) -> None:
    first, second, target = tmp_path / "1", tmp_path / "2", tmp_path / "below" / "it"
    first.write_text("one")
    second.write_text("second")
    for source in (first, first, second):
        cache.place(source, target)
        assert target.read_bytes() == source.read_bytes()


def test_a_go_that_is_too_old_is_told_with_the_one_that_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text("#!/bin/sh\necho 'go: go.mod requires go >= 1.26.0 (running go 1.20)' >&2\nexit 1\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    monkeypatch.setenv("HTTP_REGISTRY_CACHE", str(tmp_path / "cache"))
    with pytest.raises(LabError, match=r"(?s)requires go >= .*Install Go 1\.\d+\.\d+ or newer") as raised:
        binaries.build(binaries.REGISTRY)
    assert "GOPROXY" not in str(raised.value)


def test_the_cache_folder_of_a_program_is_pinned_by_its_modules() -> None:
    for name, program in binaries.PROGRAMS.items():
        assert (program.folder / "go.sum").is_file()
        assert program.target.name.startswith(f"{name}-")


def test_a_program_says_the_version_that_its_go_mod_pins_and_tools_go_names_what_is_built() -> None:
    for program in binaries.PROGRAMS.values():
        module, version = in_go_mod(program.folder, r"^require (\S+ \S+)$").split()
        assert any(variable == f"{variable.split('=')[0]}={version}" for variable in program.variables)
        assert all(variable.startswith((f"{module}/", f"{module}.", "main.")) for variable in program.variables)
        tools = (program.folder / "tools.go").read_text()
        assert sorted(program.packages) == sorted(re.findall(r'_ "([^"]+)"', tools))


def _archive(folder: Path) -> Path:
    folder.mkdir()
    entries: dict[str, archive.Entry] = {"bin": None, "bin/busybox": b"program", "bin/sh": "busybox"}
    layer = archive.write_layer(folder / "layer.tar", entries, {"bin/busybox": 0o755})
    archive.write_archive(folder / "image.tar", archive.Image("library/x:1", command=("sh",)), [layer])
    return folder / "image.tar"


def test_a_machine_of_another_architecture_has_its_own_entries_and_images(monkeypatch: pytest.MonkeyPatch) -> None:
    def made_on(machine: str) -> tuple[str, str]:
        monkeypatch.setattr("platform.machine", lambda: machine)
        configuration = json.loads(archive.configuration(archive.Image("x:1"), []))
        return cache.entry("thing", ["a"]).name, configuration["architecture"]

    assert made_on("x86_64") == (f"thing-{cache.digest(['a'])}", "amd64")
    assert made_on("aarch64") == (f"thing-{cache.digest(['a', 'aarch64'])}", "arm64")


def test_an_archive_is_the_same_each_time(tmp_path: Path) -> None:
    assert _archive(tmp_path / "a").read_bytes() == _archive(tmp_path / "b").read_bytes()


def test_an_archive_holds_what_docker_load_reads(tmp_path: Path) -> None:
    with tarfile.open(_archive(tmp_path / "a")) as tar:
        content = {info.name: (tar.extractfile(info) or pytest.fail(info.name)).read() for info in tar}
    (manifest,) = json.loads(content["manifest.json"])
    config = json.loads(content[manifest["Config"]])
    assert manifest["RepoTags"] == ["library/x:1"]
    assert manifest["Config"] == hashlib.sha256(content[manifest["Config"]]).hexdigest() + ".json"
    assert config["config"]["Cmd"] == ["sh"]
    assert "Entrypoint" not in config["config"]
    (name,) = manifest["Layers"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(content[name]).hexdigest()}"]


def test_a_layer_keeps_modes_and_links(tmp_path: Path) -> None:
    _archive(tmp_path / "a")
    with tarfile.open(tmp_path / "a" / "layer.tar") as tar:
        assert tar.getmember("bin").isdir()
        assert tar.getmember("bin/busybox").mode == 0o755
        assert tar.getmember("bin/sh").linkname == "busybox"


def test_noise_does_not_compress_and_is_the_same_each_time() -> None:
    size = (1 << 20) + 17
    noise = images.noise(size)
    assert len(noise) == size
    assert noise == images.noise(size)
    assert len(zlib.compress(noise, 1)) > size * 0.99
