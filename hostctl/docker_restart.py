"""Whether dockerd can take a changed daemon.json over by SIGHUP, or has to be restarted. Pure."""

from __future__ import annotations

from typing import Any, List, Mapping, NamedTuple, Optional

from hostctl.daemon_json import DEBUG, INSECURE, MIRRORS, PATH
from hostctl.docker_engine import Engine
from hostctl.docker_flags import CONFIG_FILE, LOG_LEVEL, excluded, value_of
from hostctl.foresight import Foresight
from hostctl.unit import NONE, RELOAD, RESTART


class Taking(NamedTuple):
    """A change that dockerd is to take over.

    `given` and `upcoming`: the flags of the process, and of its next start. `before` and `after`: daemon.json.
    `running`: how many containers run; `kept`: whether they go on while dockerd is restarted (live-restore).
    """

    engine: Engine
    given: Mapping[str, str]
    upcoming: Mapping[str, str]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    running: int
    kept: bool

    @property
    def stopped(self) -> int:
        """How many containers a restart stops."""
        return 0 if self.kept else self.running


def restart_reason(taking: Taking) -> Optional[str]:
    """Why SIGHUP would not do; None if it does."""
    engine, after = taking.engine, taking.after
    gone = set(excluded(after, taking.given).values()) - set(excluded(after, taking.upcoming).values())
    if taking.given.get(CONFIG_FILE, PATH) != PATH and taking.upcoming.get(CONFIG_FILE, PATH) == PATH:
        gone.add(CONFIG_FILE)
    if gone:
        return f"it still runs with {', '.join(sorted(gone))}, which its service no longer has"
    if engine.reload_loses_insecure and after.get(INSECURE) and (MIRRORS in taking.before or MIRRORS in after):
        return f"Docker {engine.name} loses {INSECURE} when it is reloaded (moby#45552)"
    if engine.reload_loses_dns and ("dns" in after or "--dns" in taking.given):
        return f"Docker {engine.name} loses its dns servers when it is reloaded (moby#52056)"
    if engine.reload_loses_host_gateway and not taking.stopped:
        return f"Docker {engine.name} loses host-gateway when it is reloaded (moby#52057)"
    return None


def foreseen(engine: Optional[Engine], before: Mapping[str, Any], after: Mapping[str, Any]) -> Foresight:
    """What a change of our keys in daemon.json will do. `engine`: None where nobody knows it.

    The service's flags, what else is in the file and whether containers run is the host's to know.
    """
    if engine is None:
        same = _without_mirrors(before) == _without_mirrors(after)
        but = "; nothing where it takes its mirrors from hosts.toml" if same else ""
        text = f"dockerd is reloaded, or restarted where its version loses settings in a reload{but}"
        return Foresight((*([NONE] if same else []), RELOAD, RESTART), text)
    if engine.reads_hosts_toml:
        before, after = _without_mirrors(before), _without_mirrors(after)
    if before == after:
        return Foresight((NONE,), f"nothing is restarted: Docker {engine.name} reads hosts.toml at each pull")
    reason = restart_reason(Taking(engine, {}, {}, before, after, 1, False))
    if reason:
        return Foresight((RESTART,), f"dockerd is restarted, which stops containers without live-restore: {reason}")
    some = engine.reload_loses_dns or engine.reload_loses_host_gateway
    but = f", or restarted where Docker {engine.name} would lose settings" if some else "; containers go on"
    return Foresight((RELOAD, *([RESTART] if some else [])), f"dockerd is reloaded{but}")


def _without_mirrors(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: each for key, each in values.items() if key != MIRRORS}


def restart_note(reason: str, taking: Taking) -> str:
    """What a restart is for, and what becomes of the containers."""
    fate = "no container was running"
    if taking.running:
        fate = f"the running containers ({taking.running}) go on (live-restore)"
    if taking.stopped:
        fate = f"that stops the running containers ({taking.stopped}), since live-restore is off"
    return f"docker is restarted, not reloaded: {reason}; {fate}"


def reload_notes(taking: Taking) -> List[str]:
    """What a reload leaves behind until dockerd's next start."""
    engine, notes = taking.engine, []
    if engine.reload_loses_host_gateway:
        notes.append(
            f"Docker {engine.name} loses host-gateway when it is reloaded (moby#52057): new containers that use it "
            "fail until docker is restarted; restart it when its containers may stop, or upgrade to 29.3"
        )
    level = taking.after.get("log-level") or value_of(LOG_LEVEL, taking.given)
    if taking.before.get(DEBUG) is True and not taking.after.get(DEBUG) and level not in ("", "info"):
        notes.append(f"dockerd logs at level info, not {level}, until its next start: so it leaves debug")
    return notes
