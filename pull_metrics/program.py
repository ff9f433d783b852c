"""The program as systemd runs it: it reads the log each second, and writes what it knows each quarter of a minute."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

from pull_metrics import access_log
from pull_metrics.config import Config, ConfigError, read
from pull_metrics.figures import Figures
from pull_metrics.follow import Follower
from pull_metrics.in_order import InOrder
from pull_metrics.measured import Measured
from pull_metrics.pulls import Pulls
from pull_metrics.server import server

WRITTEN = 15.0
"""Seconds between two writings of the status page's file."""


class Service:
    """What is counted, and the lock around it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._measured = Measured(config)
        try:
            self._go_on(_read(Path(config.state)))
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as odd:
            # A hand, or another version of this program, has written it: better no past than no service.
            print(f"{config.state}: can't be read ({type(odd).__name__}); counting begins anew", file=sys.stderr)
            self._go_on({})

    def _go_on(self, kept: Mapping[str, Any]) -> None:
        """Where the last run has ended."""
        self._log = Follower(Path(self._config.log), kept.get("log"))
        self._in_order = InOrder(kept.get("held", ()))
        self._pulls = Pulls(self._config.quiet, kept.get("pulls"))
        self._figures = Figures(self._config.registries, kept.get("figures"))

    def step(self) -> None:
        """Read what the log has, count what has ended."""
        with self._lock:
            ours = []
            for line in self._log.lines():
                request = access_log.parsed(line)
                self._figures.line(request is not None)
                if request is None or not self._figures.serves(request):
                    continue
                self._figures.request(request)
                ours.append((line, request))
            for request in self._in_order.take(ours):
                for pull in self._pulls.take(request):
                    self._figures.pull(pull)
            for pull in self._pulls.settle(self._in_order.until(time.time())):
                self._figures.pull(pull)

    def catch_up(self) -> None:
        """Count what the log has, before anybody asks: a run that was killed had counted some of it, and Prometheus
        takes a figure that goes back for one that began anew, and counts all of it again."""
        self.step()
        self.step()  # what one reading gave is held until the next

    def measure(self) -> None:
        """Ask the parts and look at the disks."""
        self._measured.measure()
        with self._lock:
            self._figures.stored(time.time(), self._measured.stored)

    def text(self) -> str:
        """For Prometheus."""
        with self._lock:
            return "\n".join([*self._figures.text(), *self._measured.text()]) + "\n"

    def write(self) -> None:
        """What the status page shows, and what a restart goes on with."""
        now = time.time()
        with self._lock:
            kept: Dict[str, Any] = {
                "log": self._log.position,
                "held": self._in_order.as_data(),
                "pulls": self._pulls.as_data(),
                "figures": self._figures.as_data(),
            }
            figures = self._figures.summary(now, self._measured.limit)
        page = {
            "at": datetime.fromtimestamp(now, timezone.utc).isoformat(timespec="seconds"),
            "stack": self._config.stack,
            "parts": self._measured.parts(),
            "figures": figures,
        }
        _write(Path(self._config.state), kept, 0o600)
        _write(Path(self._config.page), page, 0o644)


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM, or with `--check CONFIG` only read a configuration. Status 1: it can't be used."""
    try:
        *flags, path = arguments or [""]
        config = read(Path(path).read_text(encoding="utf-8"))
        if flags == ["--check"]:
            return 0
        service = Service(config)
        service.catch_up()
        servers = [server(each, config.port, config.generation, service.text, config.relayed) for each in config.listen]
    except (ConfigError, OSError) as wrong:
        print(wrong, file=sys.stderr)
        return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = [threading.Thread(target=each.serve_forever, daemon=True) for each in servers]
    threads.append(threading.Thread(target=_repeat, args=(service.measure, stop), daemon=True))
    for thread in threads:
        thread.start()
    _notify("READY=1")
    due = 0.0
    while not stop.wait(1.0):
        service.step()
        if time.monotonic() >= due:
            service.write()
            due = time.monotonic() + WRITTEN
    service.step()
    service.write()
    return 0


def _repeat(task: Any, stop: threading.Event) -> None:
    task()
    while not stop.wait(5.0):
        task()


def _read(path: Path) -> Dict[str, Any]:
    """A file of JSON; empty where there is none that can be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _write(path: Path, data: Any, mode: int) -> None:
    beside = path.with_name(f".{path.name}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
            json.dump(data, file)
        beside.chmod(mode)
        beside.replace(path)
    except OSError as wrong:
        print(f"{path}: {wrong}", file=sys.stderr)


def _notify(state: str) -> None:
    place: Optional[str] = os.environ.get("NOTIFY_SOCKET")
    if place:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.connect(f"\0{place[1:]}" if place[0] == "@" else place)
            systemd.send(state.encode())
