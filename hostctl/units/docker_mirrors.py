"""`docker-mirrors`: our keys in daemon.json and, where the engine reads them, hosts.toml files.

dockerd takes our keys over by SIGHUP (moby daemon/reload.go), but one of the lists, or debug, that is absent from the
file is left as it was, so its removal goes through a stage that says the default. A key that is a command-line flag as
well makes reload and start fail. With the containerd image store, /etc/docker/certs.d/<registry>/hosts.toml counts at
the next pull, and where it names two endpoints, as ours do, daemon.json's lists do not count for that registry: so
docker.io's mirror stands in one of the two places only. Logins go by insecure-registries in any case.
"""

from __future__ import annotations

import posixpath
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from hostctl import canary, daemon_json, docker_engine, docker_says_already, hosts_toml_meaning, wishes
from hostctl.daemon_json import DEBUG, DOWNLOADS, INSECURE, MIRRORS, PATH, Wanted
from hostctl.difference import Difference
from hostctl.docker_engine import HOSTS_TOML_SINCE, Engine, found
from hostctl.docker_flags import CONFIG_FILE, excluded, flags
from hostctl.docker_restart import Taking, foreseen, reload_notes, restart_note, restart_reason
from hostctl.docker_state import ignores_downloads, info_complaint, lack, refusal, reload_complaint
from hostctl.errors import HostError
from hostctl.first_boot import FirstBoot
from hostctl.foresight import Foresight
from hostctl.host import Host
from hostctl.listeners import listeners
from hostctl.masking import masked
from hostctl.start_command import StartCommand, start_command
from hostctl.systemd import restart, service
from hostctl.unit import NONE, RELOAD, RESTART, Change, OwnFile, SharedFile, Unit, Wish
from hostctl.waiting import wait_until

SERVICE = "docker"
CERTS = "/etc/docker/certs.d"
HUB_FILE = f"{CERTS}/docker.io/hosts.toml"


class _DaemonJson(SharedFile):
    path = PATH

    def __init__(self, wanted: Wanted, mirrors: Sequence[str], hub: Optional[OwnFile]) -> None:
        """`hub`: docker.io's hosts.toml, where this Docker reads it; `mirrors`: what it says, for daemon.json."""
        self.wanted = wanted
        self.mirrors = mirrors
        self.hub = hub

    def merge(self, base: Optional[bytes]) -> Tuple[bytes, Dict[str, Any]]:
        said = self.hub is not None and self.spares(base, self.hub)
        return daemon_json.merge(base, self.wanted._replace(mirrors=tuple(self.mirrors)) if said else self.wanted)

    def spares(self, base: Optional[bytes], own: OwnFile) -> bool:
        """A hosts.toml of which daemon.json says all already, to a Docker that is known to read both."""
        return self.hub is not None and docker_says_already.spares(base, own.path, own.state.content)


class DockerMirrors(Unit):
    """Wish: `registry_mirrors` (of docker.io) and `insecure_registries` (lists), `max_concurrent_downloads` (number or
    null), `debug`, `other_mirrors` (URL by registry: what only hosts.toml can say), `files` (the hosts.toml files of
    all mirrors, each: path, content, mode), `relay_port` (where `registry_mirrors` names the unit docker-relay, else
    null), `canaries` (digest by registry: whose mirror is to be proved).
    """

    name = "docker-mirrors"

    def __init__(self) -> None:
        super().__init__()
        self._signalled: Optional[float] = None
        self._stopped = 0
        self._engine: Optional[Engine] = None
        self._start: Optional[StartCommand] = None

    def preflight(self, host: Host, wish: Wish) -> None:
        """Docker is there, of a known version, reads the file that we write, and has none of our keys as a flag."""
        if not host.has(self._start_on(host).program):
            raise HostError(
                "dockerd: not installed on this host; install Docker (Debian: apt-get install docker.io), "
                "or take the host out of the Docker mirrors"
            )
        engine = self._engine_on(host)
        self.notes += [engine.note] if engine.note else []
        upcoming = self._upcoming(host)
        if upcoming.get(CONFIG_FILE, PATH) != PATH:
            raise HostError(f"dockerd reads {upcoming[CONFIG_FILE]} in place of {PATH} ({CONFIG_FILE}); drop that flag")
        clash = excluded(self._wanted(host, wish).keys, upcoming)
        if clash:
            raise HostError(
                f"dockerd is started with {', '.join(clash.values())}, and would not start with {', '.join(clash)} in "
                f"{PATH} as well; move the flag's value from the service ('systemctl cat docker', /etc/default/docker) "
                "to that file, run 'systemctl daemon-reload' and try again"
            )
        self._tell_unmirrored(engine, wish)
        self._refuse_without_relay(engine, wish)

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """The hosts.toml files as the controller rendered them, unless this engine has no use for them."""
        if self._engine_on(host).reads_hosts_toml is False:
            return []
        own = []
        for each in wish.get("files") or []:
            file = wishes.own_file(each)
            if not wishes.is_below(file.path, CERTS):
                raise HostError(f"wish, files: {file.path} is not below {CERTS}")
            _refuse_shadow(host, posixpath.dirname(file.path))
            own.append(file)
        return own

    def says(self, path: str, found: bytes, wanted: bytes) -> bool:
        """A hosts.toml that means the same."""
        return hosts_toml_meaning.same(path, found, wanted)

    def shared_files(self, host: Host, wish: Wish) -> List[SharedFile]:
        """daemon.json, where we want something in it."""
        wanted, mirrors = self._wanted(host, wish), wishes.texts(wish, "registry_mirrors")
        own = self.own_files(host, wish) if self._engine_on(host).reads_hosts_toml else []
        shared = _DaemonJson(wanted, mirrors, next((each for each in own if each.path == HUB_FILE), None))
        there = host.read(PATH)
        says = there and shared.hub and shared.spares(there.content, shared.hub)
        return [shared] if wanted.keys or says else []

    def unmerge(self, path: str, current: bytes, ours: Dict[str, Any]) -> Tuple[Optional[bytes], List[str]]:
        """Our items and our values out of daemon.json."""
        return daemon_json.unmerge(current, ours)

    def drift(self, path: str, current: bytes, ours: Dict[str, Any]) -> List[Difference]:
        """Our items and our values in daemon.json."""
        return daemon_json.drift(current, ours)

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """`dockerd --validate` with the flags of the next start; before Engine 23, the types that the merge checked."""
        if change.wish is None or PATH not in candidates or not self._engine_on(host).validates:
            return
        start = self._start_on(host)
        done = host.run(start.program, *start.arguments, "--validate", f"{CONFIG_FILE}={candidates[PATH]}")
        if not done.ok:
            said = masked(done.tail(3)).replace(str(candidates[PATH]), PATH)
            raise HostError(f"{PATH}: dockerd would refuse it: {said}")

    def activation(self, host: Host, change: Change) -> str:
        """NONE for hosts.toml alone; RELOAD; RESTART where dockerd failed, or where a reload would not do."""
        docker = service(host, SERVICE)
        if not docker.wanted:
            self.notes.append("docker is not running; it reads its configuration when it is started")
            return NONE
        if not docker.runs:
            self.notes.append("docker had failed; it is started again")
            return RESTART
        before, after = (daemon_json.values(end) for end in (_text(change.before), _text(change.after)))
        info = _info(host)
        if PATH not in change.changed and not info_complaint(info, after):
            return NONE
        taking = Taking(
            self._engine_on(host),
            flags(docker.arguments()),
            self._upcoming(host),
            before,
            after,
            info["ContainersRunning"],
            info["LiveRestoreEnabled"],
        )
        reason = restart_reason(taking)
        if reason is None:
            self.notes += reload_notes(taking)
            return RELOAD
        self._stopped = taking.stopped
        self.notes.append(restart_note(reason, taking))
        return RESTART

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """As `activation` does, for a dockerd that runs and is the one that the last report names."""
        if PATH not in change.changed:
            return Foresight((NONE,), "nothing is restarted: Docker reads hosts.toml at each pull")
        engine = docker_engine.known(known["engine"], known["store"]) if "engine" in known else None
        before, after = (daemon_json.values(_without_comments(_text(end))) for end in (change.before, change.after))
        return foreseen(engine, before, after)

    def stages(self, host: Host, change: Change, level: str) -> List[Change]:
        """One with the defaults in place of what goes away: SIGHUP leaves as it was what is absent."""
        before, after = (daemon_json.values(end) for end in (_text(change.before), _text(change.after)))
        gone = [key for key in (MIRRORS, INSECURE, DEBUG) if key in before and key not in after]
        if level != RELOAD or not gone:
            return []
        defaults: Dict[str, Any] = {MIRRORS: [], DEBUG: False}
        if INSECURE in gone:
            defaults[INSECURE] = list(self._engine_on(host).loopback)
        state = change.after.get(PATH) or change.before[PATH]
        assert state is not None
        text = daemon_json.with_values(_text(change.after), {key: defaults[key] for key in gone})
        return [change._replace(after={PATH: state.with_content(text)})]

    def activate(self, host: Host, change: Change, level: str) -> None:
        """SIGHUP, or a restart where the service has failed meanwhile."""
        if level == NONE:
            return
        docker = service(host, SERVICE)
        if level == RESTART or not docker.runs:
            self._signalled = None
            restart(host, SERVICE)
            return
        self._signalled = time.time()
        host.must("systemctl", "kill", "-s", "HUP", "--kill-who=main", f"{SERVICE}.service")

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """GET /info shows the text's values; after a SIGHUP, the engine's reload event shows its number.

        On the way back a refused reload is no failure: the engine refuses the file that was there before us, so it
        has refused ours as well, and never left its old configuration.
        """
        if not service(host, SERVICE).wanted:
            return
        text = daemon_json.values(_text(change.after))
        wait_until(lambda: self._complaint(host, text, change.back), patience)

    def prove(self, host: Host, change: Change) -> None:
        """dockerd pulls the canary of each mirror that it uses."""
        if change.wish is None or not service(host, SERVICE).runs:
            return
        reads_hosts_toml = self._engine_on(host).reads_hosts_toml
        for each in canary.of(change.wish):
            if reads_hosts_toml or (each.registry == "docker.io" and change.wish.get("registry_mirrors")):
                canary.prove_docker(host, each)

    def live(self, host: Host, change: Change, ours: Mapping[str, Dict[str, Any]]) -> Optional[str]:
        """GET /info lacks something of ours: what others have written may wait for a reload."""
        if PATH not in ours or not service(host, SERVICE).wanted:
            return None
        try:
            return lack(_info(host), daemon_json.wanted_by(ours[PATH]))
        except HostError as silent:
            return str(silent)

    def report(self, host: Host, change: Change) -> Dict[str, Any]:
        """Notes on what became of the containers, and on what this engine does not heed.

        `engine` and `store`: its version, and whether its images are in containerd's store; for a preview.
        """
        notes = []
        text = daemon_json.values(_text(change.after))
        if self._stopped:
            now = _info(host)["ContainersRunning"]
            notes.append(f"after the restart {now} containers run; before it {self._stopped} did")
        if self._signalled and DOWNLOADS in text and ignores_downloads(host, SERVICE, self._signalled):
            notes.append(f"dockerd says that its containerd image store does not heed {DOWNLOADS} in this version")
        theirs = _mirrors(host) if change.after.get(HUB_FILE) and self._engine_on(host).reads_hosts_toml else []
        if theirs:
            notes.append(f"somebody's {MIRRORS} ({masked(', '.join(theirs))}) does not count beside {HUB_FILE}")
        engine = self._engine_on(host)
        return {"notes": notes, "engine": engine.name, "store": engine.store}

    def first_boot(self, change: Change) -> FirstBoot:
        """Docker reads daemon.json at its start."""
        return FirstBoot((f"{SERVICE}.service",) if PATH in change.after else ())

    def observe(self, host: Host) -> Dict[str, str]:
        """daemon.json and every hosts.toml, credentials masked."""
        folder = host.path(CERTS)
        found = {PATH: host.path(PATH)} if host.path(PATH).exists() else {}
        for each in sorted(folder.glob("*/hosts.toml")):
            found[f"{CERTS}/{each.relative_to(folder)}"] = each
        return {name: masked(path.read_bytes().decode(errors="replace")) for name, path in found.items()}

    def _complaint(self, host: Host, text: Mapping[str, Any], back: bool) -> Optional[str]:
        since = self._signalled
        complaint = None if since is None else reload_complaint(host, text, since)
        if complaint and since is not None:
            refused = refusal(host, SERVICE, since)
            if not refused:
                return complaint
            if back:
                return None
            raise HostError(f"dockerd keeps its old configuration: {masked(refused)}")
        return info_complaint(_info(host), text)

    def _engine_on(self, host: Host) -> Engine:
        if self._engine is None:
            self._engine = found(host, self._start_on(host).program)
        return self._engine

    def _start_on(self, host: Host) -> StartCommand:
        """How dockerd is started; where a script of somebody's starts it, with the flags of the running process."""
        if self._start is None:
            self._start = start_command(host, SERVICE)
            if posixpath.basename(self._start.program) != "dockerd":
                self._start = StartCommand("dockerd", tuple(service(host, SERVICE).arguments()))
        return self._start

    def _upcoming(self, host: Host) -> Dict[str, str]:
        return flags(self._start_on(host).arguments)

    def _wanted(self, host: Host, wish: Wish) -> Wanted:
        engine = self._engine_on(host)
        mirrors = wishes.texts(wish, "registry_mirrors")
        return Wanted(
            () if engine.reads_hosts_toml else tuple(mirrors),
            tuple(wishes.texts(wish, "insecure_registries")),
            wishes.count(wish, "max_concurrent_downloads"),
            wishes.flag(wish, "debug") or None,
            engine.loopback,
        )

    def _refuse_without_relay(self, engine: Engine, wish: Wish) -> None:
        port = wishes.count(wish, "relay_port")
        if port is not None and not engine.reads_hosts_toml and not listeners(port):
            raise HostError(
                f"port {port}: the relay that adds the login for this Docker's mirror does not run "
                "(http-registry-docker-relay.service); start it, or take the stack up again"
            )

    def _tell_unmirrored(self, engine: Engine, wish: Wish) -> None:
        """Say which mirrors this engine can't use, and what to use instead; an error where nothing else is wanted."""
        others = wishes.pairs(wish, "other_mirrors")
        if not others or engine.reads_hosts_toml is not False:
            return
        names = [url.split("://", 1)[-1] for url in others.values()]
        text = (
            f"Docker {engine.name} can't mirror {', '.join(others)}: its registry-mirrors counts for docker.io alone. "
            f"Pull by the mirror's own name ({', '.join(f'{name}/…' for name in names)}), or use containerd, or "
            f"Docker {HOSTS_TOML_SINCE} or newer with the containerd image store"
        )
        keys = ("registry_mirrors", "max_concurrent_downloads", "debug")
        if not any(wish.get(key) for key in keys) and set(wishes.texts(wish, "insecure_registries")) <= set(names):
            raise HostError(f"{text}; or take the host out of the Docker mirrors")
        self.notes.append(text)


def _info(host: Host) -> Dict[str, Any]:
    from hostctl import docker_api  # an HTTP client, which `observe` has no use for

    info: Dict[str, Any] = docker_api.get(host, "/info")
    return info


def _mirrors(host: Host) -> List[str]:
    return list(_info(host)["RegistryConfig"]["Mirrors"] or [])


def _text(files: Mapping[str, Any]) -> Optional[bytes]:
    state = files.get(PATH)
    return None if state is None else state.content


def _without_comments(text: Optional[bytes]) -> Optional[bytes]:
    """What people read of daemon.json, which says before the keys where they count."""
    return text and b"".join(line for line in text.splitlines(keepends=True) if not line.startswith(b"#"))


def _refuse_shadow(host: Host, folder: str) -> None:
    """dockerd looks into `host_port_` before `host:port`, and then not into the latter."""
    name, colon, port = posixpath.basename(folder).rpartition(":")
    shadow = f"{CERTS}/{name}_{port}_"
    if colon and host.path(shadow).exists():
        raise HostError(f"{shadow}: dockerd looks there and then not into {folder}, which is ours; move it away")
