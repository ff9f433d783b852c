"""Services as systemd sees them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple

from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.masking import masked

PROPERTIES = "LoadState,ActiveState,MainPID,ExecMainStartTimestampMonotonic"
WANTS = "/etc/systemd/system/multi-user.target.wants"
START_PATIENCE = 120.0
"""Seconds that `systemctl` may take: a service of Type=notify is up, or has failed, when it returns."""


class Service(NamedTuple):
    """A moment's state of one service. `started`: CLOCK_MONOTONIC microseconds of its main process's start."""

    name: str
    load: str
    active: str
    pid: int
    started: int

    @property
    def wanted(self) -> bool:
        """Whether it runs or should: a service that failed, or that systemd is about to start again, counts."""
        return self.active in ("active", "reloading", "activating", "failed")

    @property
    def runs(self) -> bool:
        """Whether its main process is there and ready."""
        return self.active in ("active", "reloading") and self.pid > 0

    def predates(self, facts: Mapping[str, Any]) -> bool:
        """Whether its process was started before a file said what `said_since` has noted of it."""
        return bool(facts.get("boot") == boot() and self.started < facts["since"])

    def arguments(self) -> List[str]:
        """The running process's command line, without the program."""
        return self._command_line()[1:]

    def program(self) -> str:
        """The running process's program as it was called; empty where none runs."""
        return "".join(self._command_line()[:1])

    def _command_line(self) -> List[str]:
        try:
            with open(f"/proc/{self.pid}/cmdline", "rb") as file:
                return file.read().decode(errors="replace").split("\0")[:-1]
        except OSError:
            return []


def service(host: Host, name: str) -> Service:
    """The state of a service; one that does not exist is `not-found` and `inactive`."""
    shown = host.must("systemctl", "show", "-p", PROPERTIES, f"{name}.service")
    values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    return Service(
        name,
        values.get("LoadState", "not-found"),
        values.get("ActiveState", "inactive"),
        int(values.get("MainPID") or 0),
        int(values.get("ExecMainStartTimestampMonotonic") or 0),
    )


def restart(host: Host, name: str) -> None:
    """Restart (or start) a service, also where systemd has given up on it. Raises HostError with what it last said."""
    # A service that failed too often is not started again before its counter is reset (StartLimitBurst).
    host.run("systemctl", "reset-failed", f"{name}.service")
    since = time.time()
    done = host.run("systemctl", "restart", f"{name}.service", timeout=START_PATIENCE)
    if not done.ok:
        raise HostError(f"{name} does not start: {' | '.join(journal(host, name, since)[-4:]) or done.tail()}")


def boot_link(host: Host, unit: str) -> Path:
    """What `systemctl enable` makes for a unit file of ours, such as x.service, that multi-user.target wants."""
    return host.path(WANTS) / unit


def enable(host: Host, unit: str) -> None:
    """Make systemd know a unit file of ours, as it is now, and start it at every boot."""
    host.must("systemctl", "enable", "--no-reload", unit)
    host.must("systemctl", "daemon-reload")


def follow_file(host: Host, name: str, *, there: bool, reload: bool) -> None:
    """Have a service do what its unit file says now, and start it at every boot; stop it where the file is gone.

    `reload`: it reads its own configuration anew and runs on; else it is started anew.
    """
    unit = f"{name}.service"
    if not there:
        forget(host, unit)
        return
    enable(host, unit)
    if reload:
        host.must("systemctl", "reload", unit)
    else:
        restart(host, name)


def forget(host: Host, unit: str) -> None:
    """Stop a unit whose file is gone, and have nothing left of it: `systemctl disable` can't do that any more."""
    host.run("systemctl", "stop", unit)
    boot_link(host, unit).unlink(missing_ok=True)
    host.must("systemctl", "daemon-reload")


def forget_state(host: Host, name: str) -> None:
    """Remove what a service with DynamicUser= and StateDirectory=NAME has kept, and the link that leads there."""
    import shutil  # its archives take a while to load

    shutil.rmtree(host.root / "var/lib/private" / name, ignore_errors=True)
    (host.root / "var/lib" / name).unlink(missing_ok=True)


def journal(host: Host, name: str, since: float) -> List[str]:
    """What a service and systemd have logged about it since then (seconds since the epoch), credentials masked."""
    found = host.run("journalctl", "-u", f"{name}.service", f"--since=@{since:.6f}", "-o", "cat", "--no-pager", "-q")
    return masked(found.output).splitlines()


def said_since(path: Path, says: bool) -> Dict[str, Any]:
    """Since when a file has said what is wished, as facts: where it does not say so yet, it will from now on."""
    age = time.time() - path.stat().st_mtime if says else 0.0
    return {"boot": boot(), "since": monotonic() - int(age * 1e6)}


def boot() -> str:
    """The running kernel's boot id: monotonic times of different boots can't be compared."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def monotonic() -> int:
    """CLOCK_MONOTONIC in microseconds, as systemd counts it."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
