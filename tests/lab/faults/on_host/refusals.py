"""The program does not take the new wish, or dies while hostctl waits for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab.faults.on_host.state import runs, until
from tests.lab.faults.on_host.subjects import main_pid, output
from tests.lab.faults.on_host.trial import NotSurvived, Trial

DROP_INS = Path("/run/systemd/system")
SHORT = 3.0
"""Seconds for a program that is not going to show the wish."""


@contextmanager
def drop_in(service: str, text: str) -> Iterator[None]:
    """Something of the admin's for a service, which is gone afterwards."""
    file = DROP_INS / f"{service}.service.d" / "http-registry-faults.conf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"[Service]\n{text}\n")
    output("systemctl", "daemon-reload")
    try:
        yield
    finally:
        file.unlink()
        if not any(file.parent.iterdir()):
            file.parent.rmdir()
        output("systemctl", "daemon-reload")


def refuses_to_start(trial: Trial, refusal: Mapping[str, Any]) -> None:
    """The service does not start while a file holds something of the new wish. `dies`: it is killed for that."""
    service = refusal["service"]
    guard = f"ExecStartPre=+/bin/sh -c '! grep -q \"{refusal['text']}\" {refusal['file']}'"
    with trial.case("refused", f"{service} does not start with b"), drop_in(service, guard):
        before = trial.seen()

        def told(moment: str) -> None:
            if moment == "activate" and refusal.get("dies"):
                kill_service(service)
                time.sleep(0.3)

        _, (report, _) = trial.watched("b", told)
        if report["result"] != "failed" or "not start" not in report["error"] + " not start" * (
            "exit" in report["error"]
        ):
            raise NotSurvived(f"with a service that can't start: {report}")
        trial.after_failure_or_change(report, "b", before)
        if not report["rolled_back"]:
            raise NotSurvived(f"not taken back: {report}")
    _again(trial)


def port_is_taken(trial: Trial, port: int) -> None:
    """Somebody takes the new wish's port after hostctl has looked: a reload that says 0 and does nothing."""
    with trial.case("refused", f"port {port} is taken before the reload"):
        before = trial.seen()
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

        def told(moment: str) -> None:
            if moment == "activate":
                holder.bind(("0.0.0.0", port))
                holder.listen()

        _, (report, _) = trial.watched("b", told, patience=SHORT)
        holder.close()
        if report["result"] != "failed" or not report["rolled_back"]:
            raise NotSurvived(f"with a port that is taken: {report}")
        trial.expect(before, "with a port that is taken")
    _again(trial)


def refuses_the_wish(trial: Trial, wish: str) -> None:
    """A wish that the program itself does not take."""
    with trial.case("refused", f"{wish} is nothing that it takes"):
        before = trial.seen()
        _, (report, _) = trial.watched(wish, lambda _now: None, patience=SHORT)
        if report["result"] != "failed" or not report["rolled_back"]:
            raise NotSurvived(f"asked for {wish}: {report}")
        trial.expect(before, "refused")
    _again(trial)


def refuses_by(trial: Trial, program: str, if_there: str) -> None:
    """A program that fails while a file is there: another file is mounted over it."""
    real, shim = Path("/run/http-registry-faults/real"), Path("/run/http-registry-faults/shim")
    subprocess.run(("cp", "-a", program, real), check=True)
    shim.write_text(f'#!/bin/sh\n[ ! -e {if_there} ] || {{ echo refused; exit 3; }}\nexec {real} "$@"\n')
    shim.chmod(0o755)
    with trial.case("refused", f"{program} fails with b"):
        before = trial.seen()
        output("mount", "--bind", str(shim), program)
        try:
            _, (report, _) = trial.watched("b", lambda _now: None)
        finally:
            output("umount", program)
        if report["result"] != "failed" or not report["rolled_back"]:
            raise NotSurvived(f"with a program that fails: {report}")
        trial.expect(before, "refused")
    _again(trial)


def _again(trial: Trial) -> None:
    trial.reach("b")
    trial.reach("a")


def kill_service(service: str) -> None:
    """Kill the service's main process as the kernel would."""
    pid = main_pid(service)
    if not pid:
        raise NotSurvived(f"{service} does not run")
    os.kill(pid, signal.SIGKILL)
    until(lambda: "still there" if runs(pid) else "", 5)


def dies_meanwhile(trial: Trial, service: str) -> None:
    """The program is killed while hostctl waits for it to show the wish."""
    with trial.case("dies", f"{service} is killed at verify"):
        output("systemctl", "reset-failed", f"{service}.service")
        before = trial.seen()
        _, (report, _) = trial.watched(
            "b", lambda now: kill_service(service) if now == "verify" else None, patience=SHORT
        )
        trial.after_failure_or_change(report, "b", before)
    output("systemctl", "reset-failed", f"{service}.service")
    _again(trial)
