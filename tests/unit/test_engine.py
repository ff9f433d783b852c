"""Decides which engine is taken, what names it and what environment it gets. Nothing is built or downloaded.

That a real build and install work is decided by tests/preview/test_engine_command.py.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from toolchain import build, engine, official
from toolchain.__main__ import export_lines, main
from toolchain.build import MARKER, built_engine, engine_hash, pinned_version
from toolchain.engine import Engine, ensure_engine, restore_interrupt, search_path
from toolchain.errors import EngineError
from toolchain.golang import go_environment
from toolchain.locking import locked
from toolchain.paths import CHECKOUT, Paths, paths
from toolchain.plugin_install import files_hash, install_plugins, plugin_versions, staged_files
from toolchain.progress import Progress

GO_FILES = ("go.mod", "go.sum", "tools.go")


def executable(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


@pytest.fixture
def places(tmp_path: Path) -> Paths:
    """A checkout with its own pinned modules, and everything else empty."""
    for module in ("cli", "language-python"):
        folder = tmp_path / "checkout" / "toolchain" / "go" / module
        folder.mkdir(parents=True)
        for file in GO_FILES:
            (folder / file).write_text((CHECKOUT / "toolchain" / "go" / module / file).read_text())
    return Paths(tmp_path / "checkout", tmp_path / "cache", tmp_path / "home", tmp_path / "venv" / "bin")


def copy_plugin_sources(places: Paths) -> None:
    for file in staged_files(CHECKOUT / "toolchain" / "plugins", "command").values():
        target = places.checkout / file.relative_to(CHECKOUT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)


def fake_go(folder: Path, text: str) -> str:
    executable(folder / "go", f"#!/bin/sh\n{text}\n")
    return f"{folder}:/usr/bin:/bin"


def test_the_versions_are_the_pinned_ones() -> None:
    go = CHECKOUT / "toolchain" / "go"
    assert pinned_version(go / "cli") == "v3.274.1"
    assert pinned_version(go / "language-python") == "v3.68.0"


@pytest.mark.parametrize("file", GO_FILES)
def test_any_pinned_file_changes_the_engines_name(places: Paths, file: str) -> None:
    before = engine_hash(places.go)
    assert engine_hash(places.go) == before
    (places.go / "language-python" / file).write_text("changed")
    assert engine_hash(places.go) != before


def test_another_module_beside_does_not(places: Paths) -> None:
    before = engine_hash(places.go)
    (places.go / "registry").mkdir()
    (places.go / "registry" / "go.mod").write_text("module x")
    assert engine_hash(places.go) == before


def test_the_official_pulumi_is_not_mistaken_for_ours(tmp_path: Path) -> None:
    ours = executable(tmp_path / "engine-1" / "bin" / "pulumi", "")
    (tmp_path / "engine-1" / MARKER).touch()
    theirs = executable(tmp_path / "usr" / "pulumi", "")
    link = tmp_path / "links" / "pulumi"
    link.parent.mkdir()
    link.symlink_to(ours)
    path = os.pathsep.join(("", str(link.parent), str(ours.parent), "/nowhere", str(theirs.parent)))
    assert official.official_pulumi(path) == theirs
    assert official.official_pulumi(str(ours.parent)) is None


def test_a_plugin_counts_when_it_lies_there_complete(tmp_path: Path) -> None:
    assert not official.plugin_installed(tmp_path, "command", "1.2.1")
    executable(tmp_path / "plugins" / "resource-command-v1.2.1" / "pulumi-resource-command", "")
    assert official.plugin_installed(tmp_path, "command", "1.2.1")
    (tmp_path / "plugins" / "resource-command-v1.2.1.partial").touch()
    assert not official.plugin_installed(tmp_path, "command", "1.2.1")


def test_a_failed_install_is_remembered_and_not_paid_again(places: Paths, tmp_path: Path) -> None:
    pulumi = executable(
        tmp_path / "usr" / "pulumi", f"#!/bin/sh\necho $* >> {tmp_path}/calls\necho cannot reach it\nexit 1\n"
    )
    out = io.StringIO()
    versions = {"command": "1.2.1", "docker": "5.2.0"}
    assert not official.official_plugins(pulumi, places, versions, out)
    assert not official.official_plugins(pulumi, places, versions, out)
    assert (tmp_path / "calls").read_text() == "plugin install resource command 1.2.1\n"
    assert "the official plugin command 1.2.1 can't be installed: cannot reach it" in out.getvalue()
    assert not official.official_plugins(pulumi, places, {"command": "1.2.2"}, out)
    assert len((tmp_path / "calls").read_text().splitlines()) == 2
    assert not official.official_plugins(pulumi, places, {"command": "1.2.2"}, out, try_again=True)
    assert len((tmp_path / "calls").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "lately"),
    [
        (None, False),
        ("rubbish", False),
        ('{"attempt": "other", "failed": 1000}', False),
        ('{"attempt": "a", "failed": 1000}', True),
        ('{"attempt": "a", "failed": -100000}', False),
    ],
)
def test_a_failure_is_forgotten_after_a_while(tmp_path: Path, text: str | None, lately: bool) -> None:
    memory = tmp_path / "memory"
    if text:
        memory.write_text(text)
    assert official.failed_lately(memory, "a", 1001.0) == lately


def test_an_install_that_hangs_is_given_up(places: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official, "INSTALL_SECONDS", 0.2)
    pulumi = executable(tmp_path / "usr" / "pulumi", "#!/bin/sh\nsleep 60 & wait\n")
    out = io.StringIO()
    assert not official.official_plugins(pulumi, places, {"command": "1.2.1"}, out)
    assert "no answer within" in out.getvalue()


def test_the_official_engine_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    for name, version in plugin_versions(CHECKOUT / "toolchain" / "plugins").items():
        executable(home / "plugins" / f"resource-{name}-v{version}" / f"pulumi-resource-{name}", "")
    pulumi = executable(tmp_path / "usr" / "pulumi", "#!/bin/sh\necho v3.300.0\n")
    env = {
        "PATH": f"{pulumi.parent}:/bin",
        "PULUMI_HOME": str(home),
        "HTTP_REGISTRY_CACHE": str(tmp_path / "cache"),
    }
    found = ensure_engine(env, io.StringIO())
    assert (found.kind, found.pulumi, found.version) == ("official", pulumi, "v3.300.0")
    assert "PULUMI_HOME" not in found.environment
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in found.environment
    assert found.environment["PATH"].endswith(f"{pulumi.parent}:/bin")
    assert not (tmp_path / "cache").exists()


def test_our_own_home_is_never_taken_for_the_users() -> None:
    assert paths({"PULUMI_HOME": str(CHECKOUT / ".work" / "pulumi-home")}).user_home == Path.home() / ".pulumi"


@pytest.mark.parametrize(("choice", "words"), [("official", "no official `pulumi`"), ("x", "must be")])
def test_a_choice_that_cannot_be_had_is_an_error(choice: str, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        ensure_engine({"PATH": "", engine.CHOICE: choice}, io.StringIO())


def test_without_go_the_error_names_the_remedy(places: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EngineError, match=r"install Pulumi .* or Go 1\.\d+(\.\d+)? or newer"):
        built_engine(places, io.StringIO())


def test_a_go_that_is_too_old_is_told_with_the_one_that_is_needed(
    places: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", fake_go(tmp_path / "go", "echo 'go: go.mod requires go >= 1.26.6' >&2; exit 1"))
    with pytest.raises(
        EngineError, match=r"requires go >= 1\.26\.6; install Pulumi .* or Go 1\.26\.6 or newer"
    ) as raised:
        built_engine(places, io.StringIO())
    assert "GOPROXY" not in str(raised.value)


def test_go_has_folders_of_its_own_only_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOCACHE", raising=False)
    monkeypatch.setenv("GOPATH", "/mine")
    monkeypatch.setenv("GOWORK", "/some/go.work")
    monkeypatch.setenv("HOME", "/home/me")
    assert go_environment(tmp_path) == {**os.environ, "GOWORK": "off"}
    monkeypatch.delenv("HOME")
    assert go_environment(tmp_path) == {**os.environ, "GOWORK": "off", "GOCACHE": str(tmp_path / "go-build")}
    monkeypatch.delenv("GOPATH")
    assert go_environment(tmp_path)["GOPATH"] == str(tmp_path / "go")


def test_a_failed_build_shows_its_tail_and_leaves_no_engine(
    places: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", fake_go(tmp_path / "go", GO_WITHOUT_MODULES))
    with pytest.raises(EngineError, match=r"(?s)go build .* failed in .*cannot find x.*GOPROXY"):
        built_engine(places, io.StringIO())
    assert not (places.cache / f"engine-{engine_hash(places.go)}").exists()


GO_WITHOUT_MODULES = '[ "$1" = list ] && exit 0; echo "go: cannot find x"; exit 1'
GO_THAT_WORKS = """
echo "$*" >> "$CALLS"
if [ "$1" = list ]; then echo "$MODULE"; exit 0; fi
while [ "$1" != -o ]; do shift; done
echo binary > "$2"
"""


def test_a_build_is_complete_or_absent_and_done_once(
    places: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable(tmp_path / "module" / "python" / "cmd" / build.EXEC_SCRIPT, "script")
    monkeypatch.setenv("PATH", fake_go(tmp_path / "go", GO_THAT_WORKS))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("MODULE", str(tmp_path / "module"))
    partial = places.cache / f"engine-{engine_hash(places.go)}.partial-killed" / "bin"
    executable(partial / "pulumi", "half a binary")
    out = io.StringIO()
    folder = built_engine(places, out)
    assert sorted(file.name for file in folder.iterdir()) == [
        "pulumi",
        "pulumi-language-python",
        "pulumi-language-python-exec",
    ]
    assert (folder / "pulumi").read_text() == "binary\n"
    assert os.access(folder / build.EXEC_SCRIPT, os.X_OK)
    assert build.is_ours(folder / "pulumi")
    assert not partial.exists()
    calls = (tmp_path / "calls").read_text()
    assert "-mod=readonly" in calls
    assert "version.Version=v3.274.1" in calls
    assert built_engine(places, out) == folder
    assert (tmp_path / "calls").read_text() == calls


def test_plugins_are_installed_anew_only_when_their_files_changed(places: Paths, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    pulumi = executable(
        tmp_path / "usr" / "pulumi",
        f'#!/bin/sh\necho "$PULUMI_HOME $4 $5" >> {calls}\n'
        'mkdir -p "$PULUMI_HOME/plugins/resource-$4-v$5" && cp -r "$7/." "$PULUMI_HOME/plugins/resource-$4-v$5"\n',
    )
    copy_plugin_sources(places)
    for _ in range(2):
        install_plugins(places, pulumi, {"command": "1.2.1"}, io.StringIO())
    assert calls.read_text() == f"{places.pulumi_home} command 1.2.1\n"
    installed = places.pulumi_home / "plugins" / "resource-command-v1.2.1"
    assert (installed / "toolchain" / "plugins" / "shared" / "server.py").exists()
    assert os.access(installed / "pulumi-resource-command", os.X_OK)
    (places.plugins / "shared" / "wire.py").write_text("changed")
    install_plugins(places, pulumi, {"command": "1.2.1"}, io.StringIO())
    assert len(calls.read_text().splitlines()) == 2


def test_a_failed_plugin_install_is_told(places: Paths, tmp_path: Path) -> None:
    pulumi = executable(tmp_path / "usr" / "pulumi", "#!/bin/sh\necho no space; exit 1\n")
    copy_plugin_sources(places)
    with pytest.raises(EngineError, match=r"(?s)plugin .* can't be installed .*no space"):
        install_plugins(places, pulumi, {"command": "1.2.1"}, io.StringIO())


def test_a_file_hash_sees_names_and_content(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("x")
    second.write_text("y")
    hashes = {files_hash({"n": first}), files_hash({"n": second}), files_hash({"m": first})}
    assert len(hashes) == 3


def test_the_plugins_versions_come_from_their_packages() -> None:
    assert plugin_versions(CHECKOUT / "toolchain" / "plugins")["command"] == "1.2.1"


def test_the_search_path_is_the_same_when_done_twice() -> None:
    once = search_path("/bin:/usr/bin", Path("/venv"), Path("/engine"))
    assert once == "/venv:/engine:/bin:/usr/bin"
    assert search_path(once, Path("/venv"), Path("/engine")) == once


def test_export_lines_can_be_evaluated() -> None:
    script = "\n".join([*export_lines({"B": "it's $HOME", "A": "1"}), 'printf %s "$A$B"'])
    assert script.startswith("export A=1\nexport B=")
    shell = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert shell.stdout == "1it's $HOME"


def test_an_ignored_interrupt_is_restored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        restore_interrupt()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_line_names_engine_and_plugins() -> None:
    line = Engine("built", Path("/e/pulumi"), "v3.274.1", {"command": "1.2.1"}, {"PATH": "x"}).line()
    assert line == "pulumi v3.274.1 (built from Go modules, offline plugins): /e/pulumi; plugins command 1.2.1"


@pytest.mark.parametrize(("arguments", "status"), [(["--help"], 0), (["rubbish"], 2)])
def test_the_command_line_has_a_usage(arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == status
    assert "usage:" in capsys.readouterr().err


def test_the_lock_says_that_it_waits(tmp_path: Path) -> None:
    out = io.StringIO()
    entered = threading.Event()

    def second() -> None:
        with locked(tmp_path / "lock", "building", out):
            entered.set()

    with locked(tmp_path / "lock", "building", io.StringIO()):
        thread = threading.Thread(target=second)
        thread.start()
        while "waiting for another process: building" not in out.getvalue():
            pass
        assert not entered.is_set()
    thread.join()
    assert entered.is_set()


def test_progress_tells_beginning_and_end_without_a_terminal() -> None:
    out = io.StringIO()
    with Progress("building", out):
        pass
    with pytest.raises(EngineError), Progress("failing", out):
        raise EngineError
    assert out.getvalue() == ("building ...\nbuilding: done after 0 s\nfailing ...\nfailing: failed after 0 s\n")
