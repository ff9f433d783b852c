"""A host whose systemd knows one timer, as files below `run`, so that a killed hostctl leaves it behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from hostctl.host import Finished, Host
from hostctl.systemd import WANTS


class FakeSystemd(Host):
    """`called` is told each command before it is run; it may raise, or die."""

    called: ClassVar[Callable[[tuple[str, ...]], None]] = staticmethod(lambda _command: None)
    lacks: ClassVar[tuple[str, ...]] = ()

    def has(self, program: str) -> bool:
        return program not in self.lacks

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
        type(self).called(command)
        timer = self.root / "run/timer"
        if command[0] == "systemd-run":
            if timer.exists():
                return Finished(1, "Unit was already loaded")
            timer.write_text(" ".join(command[1:]))
        elif command[:2] == ("systemctl", "enable"):
            link = self.root / WANTS[1:] / command[-1]
            link.unlink(missing_ok=True)
            link.symlink_to(f"../{command[-1]}")
        elif command[:2] == ("systemctl", "stop"):
            assert command[2].endswith(".timer"), "what stops the service may stop itself"
            timer.unlink(missing_ok=True)
        elif command[:2] == ("systemctl", "is-active"):
            return Finished(0 if timer.exists() else 3, "")
        else:
            assert command == ("systemctl", "daemon-reload")
        return Finished(0, "")

    @property
    def ticks(self) -> bool:
        """Whether the timer runs, and the next boot starts the service too."""
        service = self.root / "etc/systemd/system/http-registry-app-revert.service"
        link = self.root / WANTS[1:] / service.name
        return (self.root / "run/timer").exists() and service.exists() and link.is_symlink()
