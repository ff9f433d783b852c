"""Decides which processes of a dead pulumi are waited for and which are ended: real processes that bear their names."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ops import leftovers
from ops.leftovers import wait_for_leftovers
from ops.stack import Stack, StackError

SLEEP = "import time; time.sleep({})"


def started(backend: str, name: str, seconds: float) -> subprocess.Popen[bytes]:
    """A process with that name on its command line, which works on the backend."""
    environment = {**os.environ, "PULUMI_BACKEND_URL": backend}
    process = subprocess.Popen([sys.executable, "-c", SLEEP.format(seconds), name], env=environment)
    # The kernel shows a program's arguments a moment after it has begun.
    while not Path(f"/proc/{process.pid}/cmdline").read_bytes():
        time.sleep(0.001)
    return process


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack("lab", {"PULUMI_BACKEND_URL": f"file://{tmp_path}"})


def test_a_plugin_is_waited_for_and_a_language_host_is_ended(stack: Stack) -> None:
    plugin = started(stack.backend, "plugins/resource-command-v1", 0.8)
    language = started(stack.backend, "pulumi-language-python", 60)
    leftovers_waited_for(stack, plugin, language)
    assert plugin.returncode == 0
    assert language.returncode < 0


def leftovers_waited_for(stack: Stack, *processes: subprocess.Popen[bytes]) -> None:
    """Reaps what has ended meanwhile, as init does with orphans: a process that only awaits that is still listed."""
    reapers = [threading.Thread(target=each.wait) for each in processes]
    for each in reapers:
        each.start()
    wait_for_leftovers(stack)
    for each in reapers:
        each.join()


def test_processes_of_another_backend_are_left_alone(stack: Stack) -> None:
    with started("file:///elsewhere", "pulumi-language-python", 60) as other:
        wait_for_leftovers(stack)
        assert other.poll() is None
        other.kill()


def test_a_process_that_ends_at_that_moment_is_no_error(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = iter([[leftovers.Leftover(2**22 + 1, "pulumi-language-python")], []])
    monkeypatch.setattr(leftovers, "_leftovers", lambda _: iter(next(listed)))
    wait_for_leftovers(stack)


def test_one_that_never_ends_is_named(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "PATIENCE", 0.2)
    with started(stack.backend, "plugins/resource-docker-v5", 60) as plugin:
        with pytest.raises(StackError, match=rf"resource-docker \(pid {plugin.pid}\)"):
            wait_for_leftovers(stack)
        plugin.kill()
