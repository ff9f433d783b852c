"""Debian's dockerd, started by hand for the lab where no Docker runs, and stopped without a trace."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from lab import docker, networks, packages, traces
from lab.docker import Docker
from lab.paths import lab_dir
from lab.process import LabError
from lab.progress import say, step

START_SECONDS = 60
STOP_SECONDS = 60


def pid_file() -> Path:
    """Where dockerd writes its process id."""
    return lab_dir() / "dockerd.pid"


def exec_root() -> Path:
    """State of running containers; worth nothing after a restart of the machine."""
    return lab_dir() / "run"


def boot_id() -> str:
    """The id of this run of the machine's kernel."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def command_line(pid: str) -> list[str]:
    """The command line of a process; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def live_pid(file: Path, program: str) -> int | None:
    """The process id in the file, if that process is `program`; a number used again by another one is not."""
    try:
        pid = file.read_text().strip()
    except OSError:
        return None
    line = command_line(pid) if pid.isdigit() else []
    return int(pid) if line and Path(line[0]).name == program else None


def containerd_pid() -> int | None:
    """The process id of the containerd that our dockerd runs."""
    return live_pid(exec_root() / "containerd" / "containerd.pid", "containerd")


def other_labs() -> list[Path]:
    """Folders of other labs whose dockerd runs on this machine."""
    folders = []
    for entry in Path("/proc").glob("[0-9]*"):
        line = command_line(entry.name)
        if Path(line[0] if line else "").name == "dockerd" and "--pidfile" in line:
            folder = Path(line[line.index("--pidfile") + 1]).parent
            if folder != lab_dir() and (folder / "before.json").exists():
                folders.append(folder)
    return sorted(folders)


def ensure() -> Docker:
    """A running Docker: the one that answers, or else one that is installed and started here."""
    found = docker.running()
    if found is None:
        packages.need({"dockerd": "docker.io", "docker": "docker.io", "iptables": "iptables"})
        found = docker.running()
    if found is None:
        others = other_labs()
        if others:
            raise LabError(networks.clash(str(others[0])))
        start()
        found = Docker(docker.own_socket(), own=True)
    return found


def start() -> None:
    """Start dockerd in a session of its own, so that it outlives whoever started it."""
    if os.geteuid() != 0:
        raise LabError("no Docker answers, and only root can start one. Start it, or set DOCKER_HOST.")
    folder = lab_dir()
    for path in (folder, folder / "data", exec_root()):
        path.mkdir(parents=True, exist_ok=True)
    _forget_the_dead()
    (folder / "daemon.json").write_text("{}\n")
    command = ["dockerd", "--config-file", str(folder / "daemon.json"), "--data-root", str(folder / "data")]
    command += ["--exec-root", str(exec_root()), "--pidfile", str(pid_file())]
    command += ["--host", f"unix://{docker.own_socket()}", "--bridge", "none", "--shutdown-timeout", "10"]
    log = folder / "dockerd.log"
    env = {key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")}
    with step("starting dockerd"), log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd="/",
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while not docker.answers(docker.own_socket()):
            if process.poll() is not None or time.monotonic() > deadline:
                lines = "\n  ".join(log.read_text(errors="replace").splitlines()[-8:])
                raise LabError(f"dockerd did not start. Its log, {log}, ends with:\n  {lines}")
            time.sleep(0.1)


def _forget_the_dead() -> None:
    """Remove what would mislead the next dockerd, and note the machine's state before it."""
    mark = lab_dir() / "boot"
    same_boot = mark.exists() and mark.read_text() == boot_id()
    if not same_boot:
        shutil.rmtree(exec_root(), ignore_errors=True)
        exec_root().mkdir()
    if live_pid(pid_file(), "dockerd") is None:
        pid_file().unlink(missing_ok=True)
    if containerd_pid() is None:
        (exec_root() / "containerd" / "containerd.pid").unlink(missing_ok=True)
    if not same_boot or not traces.file().exists():
        traces.save(traces.take())
    mark.write_text(boot_id())


def stop() -> None:
    """Stop our dockerd and its containerd, and undo what they changed on the machine."""
    with step("stopping dockerd"):
        for pid in (live_pid(pid_file(), "dockerd"), containerd_pid()):
            if pid is not None:
                _end(pid)
        _unmount()
        if traces.file().exists():
            traces.restore(traces.load())
            traces.file().unlink()
        shutil.rmtree(exec_root(), ignore_errors=True)
        for leftover in (pid_file(), docker.own_socket(), lab_dir() / "boot", lab_dir() / "daemon.json"):
            leftover.unlink(missing_ok=True)


def _end(pid: int) -> None:
    program = command_line(str(pid))
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + STOP_SECONDS
        while command_line(str(pid)) == program and time.monotonic() < deadline:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return
            for _ in range(20):
                if command_line(str(pid)) != program:
                    return
                time.sleep(0.1)
    say(f"process {pid} ({Path(program[0]).name}) does not end")


def _unmount() -> None:
    """Unmount what is left below the lab's folder, the innermost first."""
    below = f"{lab_dir()}/"
    points = [line.split(" ")[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for point in reversed([point for point in points if point.startswith(below)]):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
