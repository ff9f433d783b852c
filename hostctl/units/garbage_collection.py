"""`garbage-collection`: a systemd service and timer for each registry whose unused data is to be removed at times.

The timer starts the service, which runs once. While it removes something, a file below /run tells nginx to hold pushes
off. That folder is the service's RuntimeDirectory: systemd takes it away when the service ends, however it ends.
systemd.timer(5), systemd.exec(5).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional

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

PREFIX = "http-registry-gc-"
"""What the services and timers are called by, before the registry's name."""
PROGRAM = "/usr/local/lib/http-registry/garbage_collection"
"""The folder of the program's modules."""
CONFIGS = "/etc/http-registry/garbage-collection"
SYSTEMD = "/etc/systemd/system"
STAMPS = "/var/lib/systemd/timers"
"""Where systemd notes when a timer with Persistent= last was due: one that comes again would make up for it at once."""
SECRETS = ("access", "secret")
"""The keys of a configuration that are not shown."""


class GarbageCollection(Unit):
    """Wish: `files` (the program's modules; for each registry its configuration, service and timer; each: path,
    content, mode) and `schedules` (systemd calendar expressions by registry).
    """

    name = "garbage-collection"

    def preflight(self, host: Host, wish: Wish) -> None:
        """This systemd understands the schedules."""
        for name, schedule in sorted(wishes.pairs(wish, "schedules").items()):
            done = host.run("systemd-analyze", "calendar", schedule)
            if not done.ok:
                raise HostError(
                    f"registry {name}, garbage_collection.schedule = {schedule!r}: systemd does not understand it; try "
                    "it with 'systemd-analyze calendar'"
                )

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """The files as the controller rendered them."""
        own = [wishes.own_file(each) for each in wish.get("files") or []]
        wanted = {path for name in wishes.pairs(wish, "schedules") for path in (*_units(name), config_file(name))}
        others = {each.path for each in own if not wishes.is_below(each.path, PROGRAM)}
        if not wanted or others != wanted:
            raise HostError(f"wish, files: must be {', '.join(sorted(wanted))} and what is below {PROGRAM}")
        return own

    def facts(self, host: Host, wish: Wish, before: Mapping[str, Any]) -> Dict[str, Any]:
        """The registries."""
        return {"registries": sorted(wishes.pairs(wish, "schedules"))}

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """The program itself reads the configurations, and systemd the units."""
        with trial(host, change, PROGRAM) as tried:
            for name in change.facts.get("registries", []):
                tried.reads(config_file(name))
                tried.runs(_units(name))

    def activation(self, host: Host, change: Change) -> str:
        """RESTART, of timers only: a run that is under way goes on."""
        return RESTART if change.facts or change.facts_before else NONE

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """RESTART."""
        if not any(change.after.values()):
            return Foresight((RESTART,), "the timers of the garbage collection are stopped, and a run of it")
        return Foresight((RESTART,), "the timers of the garbage collection are started anew; a run under way goes on")

    def activate(self, host: Host, change: Change, level: str) -> None:
        """Start the timers anew; stop what goes away, a run of it too."""
        wanted = change.facts.get("registries", [])
        for name in set(change.facts_before.get("registries", [])) - set(wanted):
            forget(host, timer(name))
            forget(host, service(name))
            host.path(f"{STAMPS}/stamp-{timer(name)}").unlink(missing_ok=True)
        for name in wanted:
            enable(host, timer(name))
            host.must("systemctl", "restart", timer(name))

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """The timers wait, also after a boot; those that went are gone."""
        wanted = change.facts.get("registries", [])
        gone = set(change.facts_before.get("registries", [])) - set(wanted)
        wait_until(lambda: _first(_complaint(host, each) for each in wanted), patience)
        wait_until(lambda: _first(_remains(host, each) for each in gone), patience)

    def shown(self, path: str, content: bytes) -> str:
        """A file without the keys of the bucket."""
        return (
            hidden(content.decode(errors="replace")) if path.startswith(f"{CONFIGS}/") else super().shown(path, content)
        )

    def first_boot(self, change: Change) -> FirstBoot:
        """The timers."""
        return FirstBoot(tuple(timer(each) for each in change.facts["registries"]))

    def observe(self, host: Host) -> Dict[str, str]:
        """The configurations, without keys, and the timers."""
        found = sorted(host.path(CONFIGS).glob("*.json"))
        timers = sorted(host.path(SYSTEMD).glob(f"{PREFIX}*.timer"))
        return {
            **{f"{CONFIGS}/{each.name}": hidden(each.read_text(errors="replace")) for each in found},
            **{f"{SYSTEMD}/{each.name}": each.read_text(errors="replace") for each in timers},
        }


def config_file(name: str) -> str:
    """The configuration of the runs for a registry."""
    return f"{CONFIGS}/{name}.json"


def service(name: str) -> str:
    """The service that runs once for a registry."""
    return f"{PREFIX}{name}.service"


def timer(name: str) -> str:
    """What starts it."""
    return f"{PREFIX}{name}.timer"


def gate(name: str) -> str:
    """The file that is there while pushes to a registry are held off."""
    return f"/run/{PREFIX}{name}/closed"


def hidden(text: str) -> str:
    """A configuration with masks for the keys of the bucket; all of it masked where it can't be read."""
    try:
        data = json.loads(text)
        return json.dumps({**data, **{key: MASK for key in SECRETS if key in data}}, indent=2) + "\n"
    except (ValueError, TypeError):
        return f"{MASK}\n"


def _units(name: str) -> List[str]:
    return [f"{SYSTEMD}/{service(name)}", f"{SYSTEMD}/{timer(name)}"]


def _first(complaints: Iterable[Optional[str]]) -> Optional[str]:
    return next((each for each in complaints if each), None)


def _complaint(host: Host, name: str) -> Optional[str]:
    if not host.run("systemctl", "is-active", timer(name)).ok:
        return f"{timer(name)} does not wait for its time; look at 'systemctl status {timer(name)}'"
    if not boot_link(host, timer(name)).exists():
        return f"{timer(name)} is not enabled, so the next boot would lack it"
    return None


def _remains(host: Host, name: str) -> Optional[str]:
    return f"{timer(name)} is still there" if host.run("systemctl", "is-active", timer(name)).ok else None
