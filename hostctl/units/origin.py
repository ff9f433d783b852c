"""`origin`: the service that fetches from registries what nginx has not cached, with its socket.

systemd holds the socket, so that a restart of the service refuses nobody; only root and nginx's workers may open it.
The configuration, which may hold passwords, is the service's standard input, opened by systemd: it runs as a user of
its own that can't read the file. systemd.socket(5), systemd.exec(5).
"""

from __future__ import annotations

import json
import pwd
import stat
from http.client import HTTPException
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from hostctl import nginx_conf, wishes
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.first_boot import FirstBoot
from hostctl.foresight import Foresight
from hostctl.host import Host
from hostctl.masking import masked
from hostctl.nginx_workers import worker_user
from hostctl.service_trial import trial
from hostctl.systemd import boot_link, enable, forget, restart, service
from hostctl.unit import NONE, RESTART, Change, OwnFile, Unit, Wish
from hostctl.unix_http import UnixConnection
from hostctl.waiting import wait_until

SERVICE = "http-registry-origin"
SOCKET = f"/run/{SERVICE}.sock"
CONFIG = "/etc/http-registry/origin.json"
PROGRAM = "/usr/local/lib/http-registry/origin"
"""The folder of the program's modules."""
SOCKET_FILE = f"/etc/systemd/system/{SERVICE}.socket"
SERVICE_FILE = f"/etc/systemd/system/{SERVICE}.service"
SECONDS = 5.0


class Origin(Unit):
    """Wish: `files` (the program's modules, the configuration, the two systemd units; each: path, content, mode),
    `generation` (what the service answers when they are live).
    """

    name = "origin"

    def preflight(self, host: Host, wish: Wish) -> None:
        """nginx is there, for whose workers the socket is."""
        if not host.has("nginx"):
            raise HostError("nginx: not installed on this host; install it (Debian: apt-get install nginx-light)")

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """The files as the controller rendered them; the socket is for the user of this host's nginx workers."""
        own = [wishes.own_file(each) for each in wish.get("files") or []]
        others = {each.path for each in own if not wishes.is_below(each.path, PROGRAM)}
        if others != {CONFIG, SOCKET_FILE, SERVICE_FILE}:
            raise HostError(f"wish, files: must be {CONFIG}, {SOCKET_FILE}, {SERVICE_FILE} and what is below {PROGRAM}")
        user = _worker(host)
        return [_with_user(each, user) if each.path == SOCKET_FILE else each for each in own]

    def facts(self, host: Host, wish: Wish, before: Mapping[str, Any]) -> Dict[str, Any]:
        """What the service must answer, and whose its socket is."""
        return {"generation": wishes.text(wish, "generation"), "user": _worker(host)}

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """The program itself reads the configuration, and systemd the units."""
        if change.text(CONFIG) is None:
            return
        with trial(host, change, PROGRAM) as tried:
            tried.reads(CONFIG)
            tried.runs([SOCKET_FILE, SERVICE_FILE])

    def activation(self, host: Host, change: Change) -> str:
        """RESTART, for which transfers that run are waited for; NONE where nothing is left to be stopped."""
        return RESTART if change.facts or change.facts_before else NONE

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """RESTART."""
        how = "restarted, for which" if any(change.before.values()) else "started, for which"
        how = how if any(change.after.values()) else "stopped, for which"
        return Foresight((RESTART,), f"the origin service is {how} transfers that run are waited for")

    def activate(self, host: Host, change: Change, level: str) -> None:
        """Start the socket and the service anew; stop both where they go away."""
        if level == NONE:
            return
        if change.text(SERVICE_FILE) is None:
            forget(host, f"{SERVICE}.socket")  # first, or who asks would start the service again
            forget(host, f"{SERVICE}.service")
            return
        enable(host, f"{SERVICE}.socket")
        if SOCKET_FILE in change.changed or not host.run("systemctl", "is-active", f"{SERVICE}.socket").ok:
            host.run("systemctl", "stop", f"{SERVICE}.socket", f"{SERVICE}.service")
            host.must("systemctl", "start", f"{SERVICE}.socket")
        restart(host, SERVICE)

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """The service answers with its generation, on a socket that is nginx's alone, also after a boot; or neither."""
        if change.facts:
            wait_until(lambda: _complaint(host, change.facts), patience)
        elif change.facts_before:
            wait_until(lambda: _remains(host), patience)

    def first_boot(self, change: Change) -> FirstBoot:
        """The socket, which starts the service when it is asked."""
        return FirstBoot((f"{SERVICE}.socket",))

    def observe(self, host: Host) -> Dict[str, str]:
        """Its configuration, passwords masked."""
        path = host.path(CONFIG)
        return {CONFIG: masked(path.read_text(errors="replace"))} if path.exists() else {}


def _worker(host: Host) -> str:
    return worker_user(host, nginx_conf.main_text(host), host.must("nginx", "-V"))


def _with_user(own: OwnFile, user: str) -> OwnFile:
    content = own.state.content.replace(b"[Socket]\n", f"[Socket]\nSocketUser={user}\n".encode(), 1)
    return OwnFile(own.path, FileState(content, own.state.mode))


def _ask(host: Host) -> Tuple[int, Any]:
    """Status and what `GET /` says; status 0 and the reason where there is no answer."""
    connection = UnixConnection(str(host.path(SOCKET)), SECONDS)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read(1 << 20))
    except (OSError, HTTPException, ValueError) as silent:
        return 0, str(silent) or type(silent).__name__
    finally:
        connection.close()


def _complaint(host: Host, facts: Mapping[str, Any]) -> Optional[str]:
    status, said = _ask(host)
    if status != 200 or said.get("generation") != facts["generation"]:
        shown = "an older program or configuration" if status == 200 else f"status {status}" if status else said
        return f"the origin service does not answer on {SOCKET}: {shown}; look at 'journalctl -u {SERVICE}'"
    socket = host.path(SOCKET).stat()
    if stat.S_IMODE(socket.st_mode) != 0o600 or _name(socket.st_uid) != facts["user"]:
        return f"{SOCKET} can be opened by others than {facts['user']}; restart {SERVICE}.socket"
    if not boot_link(host, f"{SERVICE}.socket").exists():
        return f"{SERVICE}.socket is not enabled, so the next boot would lack it"
    return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _remains(host: Host) -> Optional[str]:
    if service(host, SERVICE).runs:
        return f"{SERVICE}.service still runs"
    return f"{SOCKET} is still there" if host.path(SOCKET).exists() else None
