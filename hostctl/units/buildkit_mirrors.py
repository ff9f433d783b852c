"""`buildkit-mirrors`: the mirrors in the file of a BuildKit daemon of its own, buildkitd.toml.

buildkitd reads it when it starts, and has no reload; a restart ends the builds that run. The daemon of buildx's
docker-container driver lives in a container and gets a copy of the file when its builder is made. The real registry
stays behind the mirrors: buildkitd can't be told otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from hostctl import buildkit_service, buildkit_toml, toml_text, wishes
from hostctl.buildkit_toml import Registry, Wanted
from hostctl.difference import Difference
from hostctl.errors import HostError
from hostctl.first_boot import FirstBoot
from hostctl.foresight import Foresight
from hostctl.host import Host
from hostctl.masking import masked
from hostctl.store import Store
from hostctl.systemd import Service, restart, said_since, service
from hostctl.unit import NONE, RESTART, Change, OwnFile, SharedFile, Unit, Wish
from hostctl.waiting import wait_until

DEFAULT_SERVICE = "buildkit"


class _BuildkitdToml(SharedFile):
    def __init__(self, path: str, wanted: Wanted, notes: List[str]) -> None:
        self.path = path
        self.wanted = wanted
        self.notes = notes

    def merge(self, base: Optional[bytes]) -> Tuple[bytes, Dict[str, Any]]:
        text, ours = buildkit_toml.merge(base, self.wanted, self.path)
        for key in ours["keys"]:
            if "added" not in key and key["before"] not in (None, key["set"]):
                name, before = toml_text.dotted(key["path"]), str(key["before"]).lower()
                self.notes.append(f"{self.path}: {name} was {before} before us; that comes back when this is removed")
        return text, ours


class BuildkitMirrors(Unit):
    """Wish: `config` (the file), `service`, `registries` (by server: `mirrors`, a list of host:port; `http` and
    `insecure`, true or false; `ca`, a list of files).
    """

    name = "buildkit-mirrors"

    def preflight(self, host: Host, wish: Wish) -> None:
        """There is a BuildKit daemon or buildx, the daemon reads the file that we write, and the authorities exist."""
        config, name = _config(wish), _service(wish)
        if service(host, name).load == "not-found":
            self._without_a_service(host, config, name)
        else:
            given = buildkit_service.arguments(host, name)
            read = config if given is None else buildkit_service.config(given)
            if read != config:
                raise HostError(
                    f"{name}: its buildkitd reads {read}, not {config}; set buildkit.config of this host's runtimes to "
                    f"{read}, or change --config of the service"
                )
        for registry, wanted in _wanted(wish).items():
            for path in wanted.ca:
                if not host.path(path).is_file():
                    raise HostError(
                        f"wish, registries, {registry}, ca: there is no file {path} on this host, and buildkitd could "
                        "pull nothing from there; put it there first"
                    )

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """None: buildkitd has one file."""
        return []

    def shared_files(self, host: Host, wish: Wish) -> List[SharedFile]:
        """buildkitd.toml, where we want something in it."""
        wanted = _wanted(wish)
        return [_BuildkitdToml(_config(wish), wanted, self.notes)] if buildkit_toml.settings(wanted) else []

    def unmerge(self, path: str, current: bytes, ours: Dict[str, Any]) -> Tuple[Optional[bytes], List[str]]:
        """Our keys out of buildkitd.toml."""
        return buildkit_toml.unmerge(current, ours, path)

    def drift(self, path: str, current: bytes, ours: Dict[str, Any]) -> List[Difference]:
        """Our keys in buildkitd.toml."""
        return buildkit_toml.drift(current, ours, path)

    def facts(self, host: Host, wish: Wish, before: Mapping[str, Any]) -> Dict[str, Any]:
        """Which service reads which file, and since when that says what we want: an older process does not know it."""
        config, wanted = _config(wish), _wanted(wish)
        named = {"config": config, "service": _service(wish)}
        values = [[list(keys), value] for keys, value in buildkit_toml.settings(wanted)]
        if not values:
            return named
        if before.get("values") == values and before.get("config") == config:
            return {**before, **named}
        path = host.path(config)
        says = path.exists() and buildkit_toml.holds(path.read_bytes(), wanted, config)
        return {**named, "values": values, **said_since(path, says)}

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """buildkitd parses the candidate."""
        for path, file in candidates.items() if change.wish is not None else ():
            refused = buildkit_service.refusal(host, change.facts["service"], file)
            if refused:
                raise HostError(f"{path}: buildkitd would refuse it: {refused}")

    def activation(self, host: Host, change: Change) -> str:
        """NONE where no daemon runs, or where it knows the file; else RESTART."""
        level = NONE
        for daemon in _daemons(host, change):
            if not daemon.wanted:
                if daemon.load != "not-found":
                    self.notes.append(f"{daemon.name} is not running; it reads its file when it is started")
            elif not daemon.runs:
                self.notes.append(f"{daemon.name} had failed; it is started again")
                level = RESTART
            elif change.changed or _complaint(host, daemon, change):
                self.notes.append(f"{daemon.name} is restarted for its file; builds that ran are cut")
                level = RESTART
        return level

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """RESTART: the daemon reads its file at its start only."""
        return Foresight((RESTART,), "the BuildKit daemon is restarted, which cuts builds that run")

    def activate(self, host: Host, change: Change, level: str) -> None:
        """`systemctl restart`."""
        for daemon in _daemons(host, change) if level == RESTART else []:
            if daemon.wanted:
                restart(host, daemon.name)

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """The daemon runs, answers on its socket, and is younger than the file."""
        for daemon in _daemons(host, change):
            if daemon.wanted:
                name = daemon.name
                wait_until(lambda: _complaint(host, service(host, name), change), patience)  # noqa: B023

    def first_boot(self, change: Change) -> FirstBoot:
        """The daemon reads its file at its start."""
        return FirstBoot((f"{change.facts['service']}.service",) if change.after else ())

    def observe(self, host: Host) -> Dict[str, str]:
        """buildkitd.toml, credentials masked."""
        record = Store(host).record(self.name)
        config = record.facts.get("config", buildkit_toml.PATH) if record else buildkit_toml.PATH
        path = host.path(config)
        return {config: masked(path.read_bytes().decode(errors="replace"))} if path.exists() else {}

    def _without_a_service(self, host: Host, config: str, name: str) -> None:
        """Say who reads the file then, and how. Raises HostError where nobody can."""
        buildx, daemon = buildkit_service.has_buildx(host), buildkit_service.installed(host)
        if not buildx and not daemon:
            raise HostError(
                f"buildkit: this host has no service {name}, no buildkitd and no docker buildx; install one of them "
                "(Docker's package docker-buildx-plugin, or a release of BuildKit), set buildkit.service of this "
                "host's runtimes, or take buildkit out of them"
            )
        if daemon:
            self.notes.append(f"there is no service {name}: restart the buildkitd that reads {config} yourself")
        if buildx:
            self.notes.append(
                "a builder of buildx gets its file when it is made; make it anew for the mirrors: docker buildx "
                f"create --buildkitd-config {config} (--config in an older buildx)"
            )


def _config(wish: Wish) -> str:
    path = wishes.text(wish, "config", buildkit_toml.PATH)
    if not wishes.is_below(path, ""):
        raise HostError(f"wish, config: {path} must be the absolute path of a file")
    return path


def _service(wish: Wish) -> str:
    return wishes.text(wish, "service", DEFAULT_SERVICE)


def _wanted(wish: Wish) -> Dict[str, Registry]:
    registries = wish.get("registries") or {}
    if not isinstance(registries, dict) or not all(isinstance(each, dict) for each in registries.values()):
        raise HostError("wish, registries: must be tables by the registry's name")
    return {
        name: Registry(
            tuple(wishes.texts(each, "mirrors")),
            wishes.flag(each, "http"),
            wishes.flag(each, "insecure"),
            tuple(wishes.texts(each, "ca")),
        )
        for name, each in registries.items()
    }


def _daemons(host: Host, change: Change) -> List[Service]:
    """The services that read the file before the change and after it."""
    names = [facts["service"] for facts in (change.facts_before, change.facts) if facts]
    return [service(host, name) for name in dict.fromkeys(names)]


def _complaint(host: Host, daemon: Service, change: Change) -> Optional[str]:
    """Why this daemon does not work with the file; None if it does."""
    known = [facts for facts in (change.facts, change.facts_before) if facts.get("service") == daemon.name]
    facts = known[0] if known else {}
    if daemon.runs and facts is change.facts and daemon.predates(facts):
        return f"{daemon.name} was started before {facts['config']} was changed; restart it"
    config = facts.get("config", "")
    return buildkit_service.complaint(host, daemon, buildkit_toml.addresses(change.text(config), config))
