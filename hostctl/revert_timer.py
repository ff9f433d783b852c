"""The timer that takes back what nobody confirms: it outlives the connection that armed it, and a restart of the host.

systemd runs `hostctl revert` by a transient timer (`systemd-run`). A restart loses that; so the service that it starts
is a file, and wanted at boot, as long as a trial lasts. `hostctl revert` itself looks whether it is time.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from hostctl import ISOLATED, files
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.host import Host
from hostctl.systemd import boot_link, enable
from hostctl.unit import HEADER


@dataclass(frozen=True)
class RevertTimer:
    """The timer of one unit of hostctl's."""

    host: Host
    unit: str

    @property
    def name(self) -> str:
        """The timer's and the service's name."""
        return f"http-registry-{self.unit}-revert"

    @property
    def service(self) -> str:
        """The service's file."""
        return f"/etc/systemd/system/{self.name}.service"

    def refuse(self) -> None:
        """Raise HostError where this host could arm none."""
        if not self.host.has("systemd-run"):
            raise HostError(
                f"systemd-run: not installed on this host, and without it nothing would take back a change of the "
                f"{self.unit} that shuts you out; install it (it comes with systemd)"
            )

    def arm(self, seconds: int, *, sooner: bool) -> None:
        """Have the service started in `seconds`, and at the next boot. Raises HostError where systemd won't.

        A timer that runs already is kept, so that there is no moment without one; unless this is to be `sooner`.
        """
        text = service_text(self.unit, f"{sys.executable} {ISOLATED} {Path(sys.argv[0]).resolve()} revert")
        files.write(self.host.path(self.service), FileState(text.encode()))
        enable(self.host, f"{self.name}.service")
        if sooner:
            self.host.run("systemctl", "stop", f"{self.name}.timer")
        elif self.host.run("systemctl", "is-active", f"{self.name}.timer", f"{self.name}.service").ok:
            return
        self.host.must(
            "systemd-run",
            f"--unit={self.name}.service",
            f"--on-active={seconds}",
            "--timer-property=AccuracySec=100ms",
        )

    def disarm(self) -> None:
        """Have nothing left of it. The service itself may be what calls this: it is not stopped, and ends by itself."""
        link, file = boot_link(self.host, f"{self.name}.service"), self.host.path(self.service)
        self.host.run("systemctl", "stop", f"{self.name}.timer")
        if os.path.lexists(link) or file.exists():
            link.unlink(missing_ok=True)
            files.write(file, None)
            self.host.must("systemctl", "daemon-reload")


def service_text(unit: str, command: str) -> str:
    """The service: tried again where it fails, until it has succeeded."""
    return "\n".join(
        [
            f"# {HEADER}",
            "[Unit]",
            f"Description=Takes back a change of the {unit} that nobody confirmed (http-registry)",
            f"After=http-registry-{unit}.service",
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            f"ExecStart={command}",
            "Restart=on-failure",
            "RestartSec=10",
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        ]
    )
