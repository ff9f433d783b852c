"""hostctl as a host runs it, with a fake systemd and firewall: `python -m tests.preview.guarded_host ROOT ACTION`.

The timer's time has come when the test says `revert`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import hostctl.__main__ as program
from hostctl import systemd
from hostctl.unit import Unit, Wish
from tests.unit.fake_systemd import FakeSystemd
from tests.unit.hostctl_app import App

HOUR = 3_600_000_000


class Firewall(App):
    """The fake program, under the firewall's name and on trial like it."""

    name = "firewall"

    def confirm_seconds(self, wish: Wish) -> int | None:
        return 30


def unit_named(name: str) -> Unit:
    assert name == Firewall.name
    return Firewall()


if __name__ == "__main__":
    root, action = Path(sys.argv[1]), sys.argv[2]
    monotonic = systemd.monotonic
    if action == "revert":
        (root / "run/timer").unlink()
        systemd.monotonic = lambda: monotonic() + HOUR
    vars(program).update(UNITS={Firewall.name: "Firewall"}, unit_named=unit_named, Host=lambda: FakeSystemd(root))
    sys.exit(program.main([action]))
