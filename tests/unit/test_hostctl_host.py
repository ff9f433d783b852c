"""Decides how hostctl runs programs: what they print, and that nothing of one that is given up goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import pytest

from hostctl.errors import HostError
from hostctl.host import Host

PROJECT = Path(__file__).resolve().parents[2]


def test_output_and_status_come_back_and_a_program_reads_its_input(tmp_path: Path) -> None:
    done = Host(tmp_path).run("sh", "-c", "cat; echo err >&2; exit 3", stdin="in ")
    assert (done.status, done.output) == (3, "in err\n")
    with pytest.raises(HostError, match="exit status 3: in"):
        Host(tmp_path).must("sh", "-c", "cat; exit 3", stdin="in")
    with pytest.raises(HostError, match="not installed"):
        Host(tmp_path).run("no-such-program")


def test_what_a_program_has_started_ends_with_it_when_it_takes_too_long(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"did not end within 0\.2 s"):
        Host(tmp_path).run("sh", "-c", f"(sleep 0.6; touch {tmp_path}/late) & wait", timeout=0.2)
    time.sleep(0.8)
    assert not (tmp_path / "late").exists()


@pytest.fixture
def orders() -> Iterator[None]:
    """SIGALRM tells to stop, as SIGTERM does where hostctl is a program."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(143)

    before = signal.signal(signal.SIGALRM, stop)
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("orders")
def test_and_when_hostctl_is_told_to_stop(tmp_path: Path) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(SystemExit):
        Host(tmp_path).run("sh", "-c", f"(sleep 0.6; touch {tmp_path}/late) & wait")
    time.sleep(0.8)
    assert not (tmp_path / "late").exists()


TOLD_AT_THE_START = """
import os, signal, subprocess, sys, time
from pathlib import Path
from hostctl.host import Host

class Started(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)  # where a signal that is not held back is handled

subprocess.Popen = Started
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
Host(Path("/")).run("sh", "-c", f"sleep 0.4; touch {sys.argv[1]}")
"""


def test_and_when_it_is_told_so_while_the_program_starts(tmp_path: Path) -> None:
    """In a process of one thread, as hostctl is: another thread would take the signal."""
    done = subprocess.run([sys.executable, "-c", TOLD_AT_THE_START, tmp_path / "late"], cwd=PROJECT, check=False)
    assert done.returncode == 143
    time.sleep(0.6)
    assert not (tmp_path / "late").exists()


def test_a_program_receives_the_signals_that_hostctl_received(tmp_path: Path) -> None:
    blocked = Host(tmp_path).must("grep", "SigBlk", "/proc/self/status").split()[1]
    assert int(blocked, 16) == 0


def test_another_thread_may_run_one_too(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as other:
        assert other.submit(Host(tmp_path).must, "echo", "there").result() == "there\n"


def test_a_program_is_found_where_it_can_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, mode in (("closed", 0o644), ("own", 0o755)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "program").touch(mode=mode)
    (tmp_path / "closed/folder").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/none:{tmp_path}/closed:{tmp_path}/own")
    own = f"{tmp_path}/own/program"
    assert (Host.find("program"), Host.find(own)) == (own, own)
    assert not any(map(Host.find, ("folder", "no-such-program", f"{tmp_path}/closed/program")))
    assert Host.find("ldconfig") or Host.find("chroot")  # in a folder that this PATH lacks
