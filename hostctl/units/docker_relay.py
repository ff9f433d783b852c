"""`docker-relay`: a small nginx of ours on 127.0.0.1 that adds a login to dockerd's requests to its mirror.

dockerd sends a mirror no credentials (moby#30880). Only one that reads hosts.toml can be told there to send a header;
it gets no relay. The relay is a service of its own: the host's nginx, if it runs one, has nothing to do with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from hostctl import docker_engine, local_http, nginx_conf, nginx_workers, wishes
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.first_boot import FirstBoot
from hostctl.foresight import Foresight
from hostctl.host import Host
from hostctl.listeners import refuse_taken
from hostctl.masking import MASK
from hostctl.start_command import start_command
from hostctl.systemd import boot_link, enable, forget, restart, service
from hostctl.unit import NONE, RELOAD, RESTART, Change, OwnFile, Unit, Wish
from hostctl.waiting import wait_until

SERVICE = "http-registry-docker-relay"
CONFIG = "/etc/http-registry/docker-relay.conf"
UNIT_FILE = f"/etc/systemd/system/{SERVICE}.service"
MARKER = "/.http-registry/relay"
"""What answers which configuration is live."""
LOGIN_PATIENCE = 5.0


class DockerRelay(Unit):
    """Wish: `files` (the configuration and the systemd unit; each: path, content, mode), `port`, `generation` (what the
    marker answers when they are live).
    """

    name = "docker-relay"

    def __init__(self) -> None:
        super().__init__()
        self._reads_hosts_toml: Optional[bool] = None

    def preflight(self, host: Host, wish: Wish) -> None:
        """nginx is there, and nobody else has the port."""
        if self._needless(host):
            self.notes.append("this Docker reads hosts.toml, which says the login for its mirror: it needs no relay")
            return
        if not host.has("nginx"):
            raise HostError(
                "nginx: not installed on this host, and this Docker's mirror asks for a login, which dockerd sends to "
                "no mirror: a small nginx has to add it; install it (Debian: apt-get install nginx-light)"
            )
        refuse_taken(_port(wish), service(host, SERVICE), "give docker.relay_port of this host's runtimes another one")

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """The files as the controller rendered them, with the user that this host's nginx has for its workers."""
        if self._needless(host):
            return []
        own = [wishes.own_file(each) for each in wish.get("files") or []]
        if {each.path for each in own} != {CONFIG, UNIT_FILE}:
            raise HostError(f"wish, files: must be {CONFIG} and {UNIT_FILE}")
        user = nginx_conf.first(nginx_conf.main_text(host), "user")
        return [_with_user(each, user) if user and each.path == CONFIG else each for each in own]

    def facts(self, host: Host, wish: Wish, before: Mapping[str, Any]) -> Dict[str, Any]:
        """What the marker must answer, and where; nothing where there is no relay."""
        if self._needless(host):
            return {}
        return {"port": _port(wish), "generation": wishes.text(wish, "generation")}

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """`nginx -t`."""
        if CONFIG not in candidates:
            return
        # The test makes the pid file of a configuration that does not run.
        pid = host.path(f"/run/{SERVICE}.pid")
        there = pid.exists()
        done = host.run("nginx", "-t", "-c", str(candidates[CONFIG]))
        if not there:
            pid.unlink(missing_ok=True)
        if not done.ok:
            # Not its words about the file: they could quote the login.
            raise HostError(f"{CONFIG}: nginx does not accept it; look for the reason with 'nginx -t -c {CONFIG}'")

    def activation(self, host: Host, change: Change) -> str:
        """RELOAD for its configuration; RESTART for its unit, or where it does not run; NONE where there is none."""
        if not change.facts:
            return RESTART if change.facts_before else NONE
        return RELOAD if not _read_at_start(change) and service(host, SERVICE).runs else RESTART

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """As `activation` does, for a relay that runs."""
        if known.get("needed") is False:
            return Foresight((NONE,), "nothing: this Docker reads hosts.toml and has no relay")
        unsure = () if "needed" in known else (NONE,)
        but = "" if "needed" in known else "; nothing where Docker reads hosts.toml and has no relay"
        if not _read_at_start(change):
            return Foresight((*unsure, RELOAD), f"the relay before Docker's mirror is reloaded{but}")
        how = "restarted" if change.before.get(UNIT_FILE) else "started"
        how = how if change.after.get(UNIT_FILE) else "stopped"
        return Foresight((*unsure, RESTART), f"the relay before Docker's mirror is {how}{but}")

    def activate(self, host: Host, change: Change, level: str) -> None:
        """Reload, or enable and start; stop and disable it where it goes away."""
        if level == NONE:
            return
        if change.text(UNIT_FILE) is None:
            forget(host, f"{SERVICE}.service")
        elif level == RELOAD:
            # The marker does not tell two logins apart, since anybody on the host can ask for it.
            main = service(host, SERVICE).pid
            nginx_workers.reload(main, lambda: host.must("systemctl", "reload", f"{SERVICE}.service"))
        else:
            enable(host, f"{SERVICE}.service")
            restart(host, SERVICE)

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """The marker is answered and the service starts at boot; or neither."""
        if change.facts:
            wait_until(lambda: _complaint(host, change.facts), patience)
        elif change.facts_before:
            wait_until(lambda: _remains(host), patience)

    def prove(self, host: Host, change: Change) -> None:
        """The mirror lets the login in, if it answers at all."""
        if not change.facts:
            return
        status, reason = local_http.get(change.facts["port"], "/v2/", LOGIN_PATIENCE, 0)
        if status in (401, 403):
            raise HostError(
                f"the mirror refuses the login (status {status} for GET /v2/ through the relay): correct docker.logins "
                "of this host's runtimes, or its password"
            )
        if status != 200:
            self.notes.append(f"the mirror does not answer through the relay now ({reason or f'status {status}'})")

    def report(self, host: Host, change: Change) -> Dict[str, Any]:
        """`needed`: whether there is a relay, for a preview."""
        return {"needed": bool(change.facts)}

    def first_boot(self, change: Change) -> FirstBoot:
        """The relay itself, where there is one."""
        return FirstBoot((f"{SERVICE}.service",) if change.facts else ())

    def observe(self, host: Host) -> Dict[str, str]:
        """Its configuration, the login masked."""
        path = host.path(CONFIG)
        if not path.exists():
            return {}
        lines = path.read_text(errors="replace").splitlines(keepends=True)
        return {CONFIG: "".join(_masked(line) for line in lines)}

    def _needless(self, host: Host) -> bool:
        if self._reads_hosts_toml is None:
            program = start_command(host, "docker").program or "dockerd"
            self._reads_hosts_toml = docker_engine.found(host, program).reads_hosts_toml is True
        return self._reads_hosts_toml


def _read_at_start(change: Change) -> bool:
    """Whether the change is in the systemd unit: the configuration is read anew by a reload."""
    return UNIT_FILE in change.changed


def _port(wish: Wish) -> int:
    port = wishes.count(wish, "port")
    if port is None:
        raise HostError("wish, port: must be the relay's port")
    return port


def _with_user(own: OwnFile, user: Tuple[str, ...]) -> OwnFile:
    header, rest = own.state.content.split(b"\n", 1)
    line = f"user {' '.join(user)};\n".encode()
    return OwnFile(own.path, FileState(header + b"\n" + line + rest, own.state.mode))


def _masked(line: str) -> str:
    before, name, _ = line.partition("Authorization")
    return f'{before}{name} "{MASK}";\n' if name else line


def _complaint(host: Host, facts: Mapping[str, Any]) -> Optional[str]:
    status, said = local_http.get(facts["port"], MARKER, LOGIN_PATIENCE, 4096)
    if (status, said.strip()) != (200, facts["generation"]):
        shown = "an older configuration" if status == 200 else f"status {status}" if status else said
        return f"the relay on 127.0.0.1:{facts['port']} does not answer: {shown}; look at 'journalctl -u {SERVICE}'"
    if not boot_link(host, f"{SERVICE}.service").exists():
        return f"{SERVICE}.service is not enabled, so the next boot would lack it"
    return None


def _remains(host: Host) -> Optional[str]:
    return f"{SERVICE}.service still runs" if service(host, SERVICE).runs else None
