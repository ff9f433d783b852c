"""`offline-sync`: the program that makes bundles of images, or loads them, and a timer where bundles are made by it.

The bundles themselves, and what was loaded, are the program's own affair: they outlive this unit's changes.
systemd.timer(5).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from hostctl import wishes
from hostctl.errors import HostError
from hostctl.first_boot import FirstBoot
from hostctl.foresight import Foresight
from hostctl.host import Host
from hostctl.masking import MASK
from hostctl.service_trial import trial
from hostctl.systemd import boot_link, enable, forget
from hostctl.unit import NONE, RESTART, Change, OwnFile, Unit, Wish
from hostctl.waiting import wait_until

SKOPEO = "skopeo"
SERVICE = "http-registry-offline-sync"
PROGRAM = "/usr/local/lib/http-registry/offline_sync"
"""The folder of the program's modules."""
CONFIG = "/etc/http-registry/offline-sync.json"
AUTH = "/etc/http-registry/offline-sync-auth.json"
"""The logins."""
STATE = "/var/lib/http-registry-offline-sync"
"""What was loaded from bundles."""
SERVICE_FILE = f"/etc/systemd/system/{SERVICE}.service"
TIMER = f"{SERVICE}.timer"
TIMER_FILE = f"/etc/systemd/system/{TIMER}"
STAMP = f"/var/lib/systemd/timers/stamp-{TIMER}"
"""Where systemd notes when a timer with Persistent= last was due."""


class OfflineSync(Unit):
    """Wish: `files` (the program's modules, its configuration, its logins, and with `schedule` the service and the
    timer; each: path, content, mode), `schedule` (a systemd calendar expression; none: no timer).
    """

    name = "offline-sync"

    def preflight(self, host: Host, wish: Wish) -> None:
        """skopeo is there, and systemd understands the schedule."""
        if not host.has(SKOPEO):
            raise HostError(
                f"{SKOPEO}: not installed on this host; install it (Debian: apt-get install {SKOPEO}) or remove "
                "offline_sync from the settings"
            )
        if not _timed(wish):
            return
        schedule = wishes.text(wish, "schedule")
        if not host.run("systemd-analyze", "calendar", schedule).ok:
            raise HostError(
                f"offline_sync.schedule = {schedule!r}: systemd does not understand it; try it with "
                "'systemd-analyze calendar'"
            )

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """The files as the controller rendered them."""
        own = [wishes.own_file(each) for each in wish.get("files") or []]
        wanted = {CONFIG, AUTH, *((SERVICE_FILE, TIMER_FILE) if _timed(wish) else ())}
        others = {each.path for each in own if not wishes.is_below(each.path, PROGRAM)}
        if others != wanted:
            raise HostError(f"wish, files: must be {', '.join(sorted(wanted))} and what is below {PROGRAM}")
        return own

    def facts(self, host: Host, wish: Wish, before: Mapping[str, Any]) -> Dict[str, Any]:
        """Whether there is a timer."""
        return {"timer": _timed(wish)}

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """The program itself reads its configuration, and systemd the units."""
        if change.text(CONFIG) is None:
            return
        with trial(host, change, PROGRAM) as tried:
            tried.reads(CONFIG)
            if change.facts.get("timer"):
                tried.runs([SERVICE_FILE, TIMER_FILE])

    def activation(self, host: Host, change: Change) -> str:
        """RESTART, of the timer only: a run that is under way goes on."""
        return RESTART if change.facts.get("timer") or change.facts_before.get("timer") else NONE

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """RESTART of the timer, where there is or was one."""
        if not any(change.after.values()):
            return Foresight((NONE, RESTART), "nothing is made or loaded any more; bundles and loaded images stay")
        if change.after.get(TIMER_FILE) or change.before.get(TIMER_FILE):
            return Foresight((RESTART,), "the timer of the bundles is started anew; a run under way goes on")
        return Foresight((NONE,), "the next command that makes or loads a bundle goes by it")

    def activate(self, host: Host, change: Change, level: str) -> None:
        """Start the timer anew, or stop it where it goes away, and a run of it."""
        if change.facts.get("timer"):
            enable(host, TIMER)
            host.must("systemctl", "restart", TIMER)
        elif change.facts_before.get("timer"):
            forget(host, TIMER)
            forget(host, f"{SERVICE}.service")
            host.path(STAMP).unlink(missing_ok=True)

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """The timer waits, also after a boot; or there is none."""
        if change.facts.get("timer"):
            wait_until(lambda: _complaint(host), patience)
        elif change.facts_before.get("timer"):
            wait_until(lambda: f"{TIMER} is still there" if _waits(host) else None, patience)

    def forget(self, host: Host, facts: Mapping[str, Any]) -> None:
        """What is known of loaded images. Bundles stay."""
        shutil.rmtree(host.path(STATE), ignore_errors=True)

    def shown(self, path: str, content: bytes) -> str:
        """A file without passwords."""
        text = content.decode(errors="replace")
        return hidden(text) if path == AUTH else super().shown(path, content)

    def first_boot(self, change: Change) -> FirstBoot:
        """The timer, where there is one."""
        return FirstBoot((TIMER,) if change.facts["timer"] else ())

    def observe(self, host: Host) -> Dict[str, str]:
        """Its configuration, the logins without passwords, the timer."""
        there = [each for each in (CONFIG, AUTH, TIMER_FILE) if host.path(each).exists()]
        texts = {each: host.path(each).read_text(errors="replace") for each in there}
        return {path: hidden(text) if path == AUTH else text for path, text in texts.items()}


def hidden(text: str) -> str:
    """Logins with masks; all of it masked where it can't be read."""
    try:
        data = json.loads(text)
        return json.dumps({**data, "auths": {name: {"auth": MASK} for name in data["auths"]}}, indent=2) + "\n"
    except (ValueError, TypeError, KeyError):
        return f"{MASK}\n"


def _timed(wish: Wish) -> bool:
    return wish.get("schedule") is not None


def _waits(host: Host) -> bool:
    return host.run("systemctl", "is-active", TIMER).ok


def _complaint(host: Host) -> Optional[str]:
    if not _waits(host):
        return f"{TIMER} does not wait for its time; look at 'systemctl status {TIMER}'"
    if not boot_link(host, TIMER).exists():
        return f"{TIMER} is not enabled, so the next boot would lack it"
    return None
