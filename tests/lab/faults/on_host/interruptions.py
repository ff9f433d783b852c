"""hostctl is told to stop, loses its connection, or is not alone. Here it is the program itself, as SSH starts it."""

from __future__ import annotations

import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hostctl.__main__
from hostctl.store import Store
from tests.lab.faults.on_host import state
from tests.lab.faults.on_host.state import STATE, in_child, runs, until
from tests.lab.faults.on_host.trial import NotSurvived, Trial

PROGRAM = "/run/http-registry-faults/hostctl.pyz"
TRIES = 15
"""How often a unit that is done in a moment is tried to be met half way."""


def _process(trial: Trial, wish: str) -> subprocess.Popen[str]:
    """The program itself, as a connection starts it."""
    wanted = trial.wishes[wish]
    action = "remove" if wanted is None else "apply"
    process = subprocess.Popen(
        ("python3", PROGRAM, action), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env={key: value for key, value in os.environ.items() if key != "SSH_CONNECTION"},
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(json.dumps({"owner": trial.owner, "unit": trial.name, "wish": wanted}))
    process.stdin.close()
    process.stdin = None
    return process


def _stopped_half_way(trial: Trial, pid: int) -> bool:
    """Stop a hostctl when its journal says that files may have changed; whether it is still on its way."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and runs(pid):
        found = state.journal(trial.name)
        if found and found["swapping"]:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.02)
            return state.journal(trial.name) is not None
    return False


def told_to_stop(trial: Trial) -> None:
    """SIGTERM in the middle: an order to go back."""
    for _ in range(TRIES):
        trial.reach("a")
        before = trial.seen()
        process = _process(trial, "b")
        half_way = _stopped_half_way(trial, process.pid)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        said, _ = process.communicate(timeout=60)
        if half_way:
            break
    with trial.case("stopped", "SIGTERM half way"):
        if not half_way:
            raise NotSurvived("never met half way")
        report = json.loads(said)
        if report["result"] == "failed" and ("SystemExit" not in report["error"] or process.returncode != 1):
            raise NotSurvived(f"after SIGTERM: {process.returncode} {report}")
        trial.after_failure_or_change(report, "b", before)
    trial.reach("a")


@contextmanager
def locked() -> Iterator[None]:
    """Another hostctl is at work, as far as the lock tells."""
    handle = os.open(STATE / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def connection_drops(trial: Trial, connect: Callable[[Mapping[str, Any]], None], half_way: bool) -> None:
    """The sshd of hostctl's own connection is killed: hostctl finishes what it was asked for.

    `connect` has the controller start hostctl by SSH.
    """
    trial.reach("a")
    request = {"owner": trial.owner, "unit": trial.name, "wish": trial.wishes["b"]}
    with trial.case("connection", f"SSH drops {'half way' if half_way else 'before the lock is free'}"):
        with locked():
            connect(request)
            pid = _hostctl_by_ssh()
            if not half_way:
                _drop(pid)
        if half_way:
            for _ in range(TRIES):
                if _stopped_half_way(trial, pid):
                    break
                _await_end(pid)
                trial.reach("a")
                with locked():
                    connect(request)
                    pid = _hostctl_by_ssh()
            else:
                raise NotSurvived("never met half way")
            _drop(pid)
            os.kill(pid, signal.SIGCONT)
        _await_end(pid)
        trial.expect(trial.ends["b"], "without its connection", exact=False)
    trial.reach("b")
    trial.reach("a")


def _await_end(pid: int) -> None:
    if until(lambda: "runs" if runs(pid) else "", 60):
        raise NotSurvived("hostctl does not end")


def _hostctl_by_ssh() -> int:
    """The hostctl that has come by SSH, once it waits for the lock."""
    found: list[int] = []

    def look() -> str:
        for each in Path("/proc").glob("[0-9]*"):
            try:
                called = (each / "cmdline").read_bytes().split(b"\0")[-3:-1] == [PROGRAM.encode(), b"apply"]
                if called and any(link.readlink() == STATE / "lock" for link in (each / "fd").iterdir()):
                    found.append(int(each.name))
            except OSError:
                continue  # it has ended meanwhile
        return "" if found else "no hostctl came by SSH"

    if complaint := until(look, 20):
        raise NotSurvived(complaint)
    return found[0]


def _drop(pid: int) -> None:
    """Kill the connection's sshd, the nearest above hostctl."""
    while pid > 1:
        status = Path(f"/proc/{pid}/status").read_text()
        pid = int(status.split("PPid:\t")[1].split()[0])
        if Path(f"/proc/{pid}/comm").read_text().strip().startswith("sshd"):
            os.kill(pid, signal.SIGKILL)
            return
    raise NotSurvived("hostctl has no sshd above it")


def two_at_once(trial: Trial, rounds: int) -> None:
    """Two hostctls with different wishes: one after the other, and the last one's wish is in force."""
    for number in range(rounds):
        with trial.case("at once", f"two applies, round {number + 1}"):
            processes = {wish: _process(trial, wish) for wish in (("a", "b") if number % 2 else ("b", "a"))}
            reports = {wish: json.loads(process.communicate(timeout=120)[0]) for wish, process in processes.items()}
            failed = [report for report in reports.values() if report["result"] not in ("changed", "unchanged")]
            if failed:
                raise NotSurvived(f"of two at once: {failed}")

            def neither() -> str:
                seen = trial.seen()
                differences = {wish: seen.other_than(trial.ends[wish], exact=False) for wish in ("a", "b")}
                trial.now = "b" if differences["a"] else "a"
                return f"{differences}" if all(differences.values()) else ""

            # Old workers may answer for a moment after the last reload.
            if (complaint := until(neither, 3)) or state.journal(trial.name):
                raise NotSurvived(f"neither wish is in force: {complaint}")
    trial.reach("a")


def never_gets_the_lock(trial: Trial) -> None:
    """Another hostctl holds the lock for longer than this one waits, which is shortened for the test."""
    with trial.case("at once", "the lock is held for too long"):
        before = trial.seen()

        def work() -> Any:
            vars_of: Any = Store.lock.__wrapped__  # type: ignore[attr-defined]
            vars_of.__defaults__ = (0.3,)
            request = json.dumps({"owner": trial.owner, "unit": trial.name, "wish": trial.wishes["b"]})
            sys.stdin = io.TextIOWrapper(io.BytesIO(request.encode()))
            sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
            status = hostctl.__main__.main(["apply"])
            return [status, json.loads(sys.stdout.getvalue())]

        with locked():
            _, (status, report) = in_child(work)
        if status != 1 or "another hostctl has been at work" not in report["error"] or not report["rolled_back"]:
            raise NotSurvived(f"with a lock that is held: {status} {report}")
        trial.expect(before, "with a lock that is held")
