"""`containerd-mirrors`: hosts.toml files, and the keys in config.toml that make containerd look for them.

Behaviour of containerd (docs/hosts.md, docs/cri/config.md): a change below config_path is seen at the next pull, one of
config.toml at the next start. `containerd config dump` reads the file, not the process, and returns 0 for settings
with which the CRI plugin then does not load; so the proof is a process younger than the file, the CRI's plugins in
`ctr plugins ls`, and a log since the start that complains of no key of ours and, where we want that, is of level debug.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from hostctl import (
    canary,
    containerd_deprecated,
    containerd_imports,
    containerd_says,
    containerd_toml,
    containerd_versions,
    hosts_toml,
    wishes,
)
from hostctl.containerd_toml import RegistryLogin, Wanted
from hostctl.containerd_versions import PATH, Release
from hostctl.difference import Difference
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.first_boot import FirstBoot
from hostctl.foresight import Foresight
from hostctl.host import Host
from hostctl.masking import masked, masked_value
from hostctl.systemd import Service, journal, restart, said_since, service
from hostctl.unit import NONE, RESTART, Change, OwnFile, SharedFile, Unit, Wish
from hostctl.waiting import wait_until

SERVICE = "containerd"
MERGE = 1
"""To be raised when a merge for the same gives another text: files on hosts are then merged anew."""
LOGIN = ".auth: "
"""What people read of a login in config.toml, before its user."""
DEFAULT_CONFIG_PATH = "/etc/containerd/certs.d"
METRICS_PATH = "/v1/metrics"
METRICS_PATIENCE = 5.0


class _ConfigToml(SharedFile):
    path = PATH

    def __init__(self, wanted: Wanted, release: Release, own: List[str], notes: List[str]) -> None:
        self.wanted = wanted
        self.release = release
        self.own = own
        self.notes = notes

    def merge(self, base: Optional[bytes]) -> Tuple[bytes, Dict[str, Any]]:
        text, ours = containerd_toml.merge(base, self.wanted, self.release)
        ours["asked"] = self._asked
        for key in ours["keys"]:
            if key["before"] not in (None, "", key["set"]):
                before = masked_value(key["path"][-1], key["before"])
                self.notes.append(
                    f"{PATH}: {key['path'][-1]} was {before!r} before us; that comes back when this is removed"
                )
        return text, ours

    def repeats(self, ours: Mapping[str, Any]) -> bool:
        """Reading TOML takes longer than all else that an unchanged apply does."""
        return ours.get("asked") == self._asked

    @property
    def _asked(self) -> str:
        return _digest(MERGE, self.wanted, self.release.since)

    def state(self, there: Optional[FileState]) -> FileState:
        """Root's alone while it holds a login."""
        state = super().state(there)
        return state._replace(mode=state.mode & 0o700) if self.wanted.logins else state

    def stand_ins(self, base: Optional[bytes]) -> List[OwnFile]:
        """The hosts.toml files that say what the deprecated tables have said, save for the registries of the wish."""
        if not self.wanted.migrate_deprecated:
            return []
        registry = containerd_toml.registry_of(base, self.release)
        files = []
        for name, text in containerd_deprecated.hosts_files(registry).items():
            path = f"{self.wanted.config_path}/{hosts_toml.folder(name)}/hosts.toml"
            if path in self.own:
                self.notes.append(f"{PATH}: what it said of {name} gives way to this stack's {path} until its removal")
            else:
                self.notes.append(f"{PATH}: what it said of {name} stands in {path} until this is removed")
                files.append(OwnFile(path, FileState(text.encode())))
        logins = containerd_deprecated.logins(registry)
        if logins:
            self.notes.append(
                f"{PATH}: the logins for {', '.join(logins)} stay there; containerd takes them beside config_path, "
                "but they are deprecated: give them to the kubelet as image pull secrets"
            )
        return files


class ContainerdMirrors(Unit):
    """Wish: `config_path`, `max_concurrent_downloads` (number or null), `debug` and `migrate_deprecated` (true or
    false), `files` (each: path, content, mode), `logins` (for config.toml; each: registry, user, password), `canaries`
    (digest by registry: whose mirror is to be proved), `metrics` (where its own figures are told; empty: not ours).
    """

    name = "containerd-mirrors"

    def __init__(self) -> None:
        super().__init__()
        self._release: Optional[Release] = None
        self._found: Optional[Service] = None
        self._restarted: Optional[float] = None

    def preflight(self, host: Host, wish: Wish) -> None:
        """containerd is there, of a version that we can serve, and reads the file that we write."""
        if not host.has("containerd"):
            raise HostError(
                "containerd: not installed on this host; install it (Debian: apt-get install containerd), "
                "or take the host out of the containerd mirrors"
            )
        self._release_on(host)
        flags = _flags(self._service(host).arguments())
        read = flags.get("--config", flags.get("-c", PATH))
        if read != PATH:
            raise HostError(f"containerd reads {read} in place of {PATH} (--config); drop that flag")
        if wanted_by(wish).debug and {"--log-level", "-l"} & set(flags):
            raise HostError(f"containerd was started with --log-level, which outdoes {PATH}; drop that flag")
        for own in self.own_files(host, wish):
            other = second(own.path)
            if other != own.path and host.path(other).exists():
                self.notes.append(f"{other}: is passed over, since containerd looks for {own.path} first")

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """The hosts.toml files as the controller rendered them."""
        folder = wanted_by(wish).config_path
        own = []
        for each in wish.get("files") or []:
            file = wishes.own_file(each)
            if not wishes.is_below(file.path, folder):
                raise HostError(f"wish, files: {file.path} is not below config_path {folder}")
            own.append(self._where_it_stands(host, file))
        return own

    def _where_it_stands(self, host: Host, file: OwnFile) -> OwnFile:
        """The same in the folder `host:port`, where somebody's file there says it and none stands before that."""
        other = second(file.path)
        there = (
            host.read(other) if other != file.path and not host.path(posixpath.dirname(file.path)).exists() else None
        )
        says = there is not None and self.says(other, there.content, file.state.content)
        return file._replace(path=other) if says else file

    def says(self, path: str, found: bytes, wanted: bytes) -> bool:
        """A hosts.toml that means the same."""
        from hostctl import hosts_toml_meaning  # on most hosts there is none of somebody else

        return hosts_toml_meaning.same(path, found, wanted)

    def shared_files(self, host: Host, wish: Wish) -> List[SharedFile]:
        """config.toml."""
        own = [each.path for each in self.own_files(host, wish)]
        return [_ConfigToml(self._in_config_toml(host, wish), self._release_on(host), own, self.notes)]

    def _in_config_toml(self, host: Host, wish: Wish) -> Wanted:
        """Without what a file says that config.toml imports."""
        contents = [state.content for each in containerd_imports.imported(host) if (state := host.read(each))]
        return containerd_imports.beside(wanted_by(wish), contents, self._release_on(host))

    def unmerge(self, path: str, current: bytes, ours: Dict[str, Any]) -> Tuple[Optional[bytes], List[str]]:
        """Our keys out of config.toml."""
        return containerd_toml.unmerge(current, ours)

    def drift(self, path: str, current: bytes, ours: Dict[str, Any]) -> List[Difference]:
        """Our keys in config.toml."""
        return containerd_toml.drift(current, ours)

    def facts(self, host: Host, wish: Wish, before: Mapping[str, Any]) -> Dict[str, Any]:
        """Since when config.toml has said what we want: a containerd that is older does not know it."""
        wanted = self._in_config_toml(host, wish)
        values = [wanted.config_path, wanted.downloads, wanted.debug]
        values += [_digest(wanted.logins)] if wanted.logins else []
        values += [wanted.metrics] if wanted.metrics else []
        if before.get("values") == values:
            return dict(before)
        path = host.path(PATH)
        says = path.exists() and containerd_toml.holds(path.read_bytes(), wanted, self._release_on(host))
        files = [path, *map(host.path, containerd_imports.imported(host))] if wanted.said else [path]
        return {"values": values, **said_since(max(files, key=_changed_at), says)}

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """`containerd config dump` reads the candidate, shows our values, and knows our keys."""
        if change.wish is None or PATH not in candidates:
            return
        done = host.run(self._program(host), "--config", str(candidates[PATH]), "config", "dump")
        if not done.ok:
            raise HostError(f"{PATH}: containerd would refuse it: {masked(done.tail(3))}")
        complaint = containerd_says.dump_complaint(done.output, wanted_by(change.wish), self._release_on(host))
        if complaint:
            raise HostError(f"{PATH}: {complaint}")

    def activation(self, host: Host, change: Change) -> str:
        """NONE for hosts.toml alone; RESTART for config.toml, or where the process does not know it yet."""
        containerd = self._service(host)
        if not containerd.wanted:
            self.notes.append("containerd is not running; it reads config.toml when it is started")
            return NONE
        if not _read_at_start(change):
            complaint = _process_complaint(containerd, change.facts) or self._plugin_complaint(host, change.facts)
            if complaint is None:
                return NONE
        self.notes.append("containerd is restarted for config.toml; running containers are kept")
        return RESTART

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """As `activation` does, for a containerd that runs and knows its files."""
        restarted = "containerd is restarted; running containers are kept"
        if _read_at_start(change):
            return Foresight((RESTART,), restarted)
        if change.changed or LOGIN.encode() not in (change.text(PATH) or b""):
            return Foresight((NONE,), "nothing is restarted: containerd reads hosts.toml at each pull")
        return Foresight((NONE, RESTART), f"where the secret is one of config.toml, {restarted}")

    def activate(self, host: Host, change: Change, level: str) -> None:
        """`systemctl restart`, which returns when containerd is ready."""
        if level == RESTART:
            self._restarted = time.time()
            self._found = None
            restart(host, SERVICE)

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """The process knows config.toml, its CRI plugins have loaded, and its log since a restart shows our keys."""
        found = service(host, SERVICE)
        if not found.wanted:
            return
        if _process_complaint(found, change.facts):
            wait_until(lambda: _process_complaint(service(host, SERVICE), change.facts), patience)
        # A containerd that is ready has loaded its plugins, or never will.
        complaint = self._plugin_complaint(host, change.facts)
        if complaint:
            raise HostError(complaint)
        metrics = wanted_by(change.wish).metrics if change.wish is not None else ""
        if metrics:
            wait_until(lambda: _metrics_complaint(metrics), patience)
        if self._restarted is not None and change.wish is not None:
            wanted, since = wanted_by(change.wish), self._restarted
            wait_until(lambda: self._log_complaint(host, wanted, since), patience)

    def prove(self, host: Host, change: Change) -> None:
        """containerd pulls the canary of each mirror."""
        if change.wish is None:
            return
        canaries = canary.of(change.wish)
        if not canaries or not service(host, SERVICE).runs:
            return
        for each in canaries:
            note = canary.prove_containerd(host, each, wanted_by(change.wish).config_path)
            self.notes += [note] if note and note not in self.notes else []

    def first_boot(self, change: Change) -> FirstBoot:
        """containerd reads config.toml at its start."""
        return FirstBoot((f"{SERVICE}.service",))

    def observe(self, host: Host) -> Dict[str, str]:
        """config.toml and every hosts.toml, credentials masked."""
        folder = host.path(DEFAULT_CONFIG_PATH)
        found = {PATH: host.path(PATH)} if host.path(PATH).exists() else {}
        for each in sorted(folder.glob("*/hosts.toml")):
            found[f"{DEFAULT_CONFIG_PATH}/{each.relative_to(folder)}"] = each
        return {name: masked(path.read_bytes().decode(errors="replace")) for name, path in found.items()}

    def _service(self, host: Host) -> Service:
        """The service as it was found first: it is asked again only once it has been told something."""
        if self._found is None:
            self._found = service(host, SERVICE)
        return self._found

    def _program(self, host: Host) -> str:
        """The containerd that the service runs: PATH may find another one."""
        called = self._service(host).program()
        return called if called.startswith("/") and host.has(called) else "containerd"

    def _release_on(self, host: Host) -> Release:
        if self._release is None:
            number = containerd_versions.number(host.must(self._program(host), "--version"))
            self._release = containerd_versions.release(number)
            if number > containerd_versions.NEWEST:
                newest = ".".join(map(str, containerd_versions.NEWEST))
                self.notes.append(
                    f"containerd {number[0]}.{number[1]} is newer than this program, which treats it like {newest}"
                )
        return self._release

    def _plugin_complaint(self, host: Host, facts: Mapping[str, Any]) -> Optional[str]:
        """Why a plugin that reads our keys does not work; None if all do or if nothing is ours."""
        if not facts:
            return None
        states = containerd_says.plugin_states(host.must("ctr", "plugins", "ls", timeout=20))
        broken = [name for name in self._release_on(host).plugins if states.get(name) != "ok"]
        if not broken:
            return None
        failures = [line for line in journal(host, SERVICE, time.time() - 60) if "failed to load plugin" in line]
        reasons = [line.split("error=", 1)[-1] for line in failures if broken[0] in line]
        return f"containerd's plugin {broken[0]} is in state {states.get(broken[0], 'missing')!r}: " + (
            reasons[-1] if reasons else f"look for {broken[0]} in 'journalctl -u containerd'"
        )

    def _log_complaint(self, host: Host, wanted: Wanted, since: float) -> Optional[str]:
        lines = journal(host, SERVICE, since)
        unknown = containerd_says.ignored_complaint(lines, wanted, self._release_on(host))
        return unknown or (containerd_says.debug_complaint(lines) if wanted.debug else None)


def second(path: str) -> str:
    """Where containerd looks after `host_port_/hosts.toml`; the same path where it looks in one place."""
    return re.sub(r"_(\d+)_(?=/hosts\.toml$)", r":\1", path)


def _read_at_start(change: Change) -> bool:
    """Whether the change is in config.toml: hosts.toml is read at each pull."""
    return PATH in change.changed


def _changed_at(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


def _digest(*values: Any) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()


def wanted_by(wish: Wish) -> Wanted:
    """What a wish wants in config.toml."""
    folder = wishes.text(wish, "config_path", DEFAULT_CONFIG_PATH)
    return Wanted(
        folder.rstrip("/"),
        wishes.count(wish, "max_concurrent_downloads"),
        wishes.flag(wish, "debug"),
        wishes.flag(wish, "migrate_deprecated"),
        tuple(
            RegistryLogin(*(wishes.text(each, key) for key in ("registry", "user", "password")))
            for each in wish.get("logins") or []
        ),
        wishes.text(wish, "metrics") if wish.get("metrics") else "",
    )


def _flags(arguments: List[str]) -> Dict[str, str]:
    """The flags of a command line, each with what is behind it."""
    flags = {}
    for argument, following in zip(arguments, [*arguments[1:], ""]):
        name, equals, value = argument.partition("=")
        flags[name] = value if equals else following
    return flags


def _metrics_complaint(address: str) -> Optional[str]:
    """Why nobody tells figures there; None if somebody does."""
    from hostctl import local_http  # an HTTP client, which most have no use for

    port = int(address.rpartition(":")[2])
    status, said = local_http.get(port, METRICS_PATH, METRICS_PATIENCE, 0)
    if not status:
        return f"containerd tells no metrics at port {port}: {said}; look at 'journalctl -u containerd'"
    return None if status == 200 else f"port {port}, GET {METRICS_PATH}: status {status}; another program has that port"


def _process_complaint(containerd: Service, facts: Mapping[str, Any]) -> Optional[str]:
    """Why this process can't know config.toml; None if it does."""
    if not containerd.runs:
        return "containerd does not run; look at 'journalctl -u containerd'"
    if containerd.predates(facts):
        return "containerd was started before config.toml was changed; restart it"
    return None
