"""`nginx-proxy`: our site among the others of the host's nginx, its password files, its caches.

nginx: `nginx -t` reads the live tree, so candidates are tested through a temporary main file; `nginx -s reload` returns
0 though the new configuration could not be applied, so the proof is a marker that the new workers answer.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterable, List, Mapping, Optional

from hostctl import files, htpasswd, ktls, nginx_conf, nginx_service, wishes
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.first_boot import FirstBoot
from hostctl.foresight import Foresight
from hostctl.host import Host
from hostctl.listeners import refuse_taken
from hostctl.masking import MASK
from hostctl.nginx_build import reads_in_threads
from hostctl.nginx_conf import (
    DROP_IN,
    OURS,
    PASSWORD_FILES,
    PASSWORDS_CONF,
    PULLERS,
    PULLERS_BEFORE,
    PUSHERS,
    PUSHERS_BEFORE,
    RUN,
    SITE,
    TLS,
)
from hostctl.nginx_probe import ErrorLog, Probe, complaint, has_ipv6, password_complaint, probes_for, still_there
from hostctl.nginx_trial import refuse_bad_configuration
from hostctl.nginx_workers import worker_group
from hostctl.systemd import restart, service
from hostctl.unit import HEADER, NONE, RELOAD, RESTART, Change, OwnFile, Unit, Wish
from hostctl.waiting import wait_until

SERVICE = "nginx"
MODULES = ("auth_basic", "geo", "limit_conn", "limit_req", "map", "proxy", "rewrite", "upstream_keepalive")
OPTIONAL_MODULES = ("auth_request", "slice", "ssl")
"""Those that nginx has only where it was built with them."""
DEFAULT_COST = 10


class NginxProxy(Unit):
    """Wish: `files` (each: path, content, mode, and perhaps `needs`: ipv6, threads, open_files or ktls), `generation`
    (what the marker answers when they are live), `probes` (each: port, host, and `fingerprint` of the certificate where
    it speaks TLS), `users` (each: name, role, password), `passwords_before` (names of users whose password before this
    one is taken as well, until a wish does not name them), `password_overlap_seconds` (how long that waits for pulls
    that began with one of those), `bcrypt_cost`, `cache_folders`, `logs`, `service_lines` (of the service's drop-in).
    """

    name = "nginx-proxy"

    def __init__(self) -> None:
        super().__init__()
        self._removing = False
        self._error_log: Optional[ErrorLog] = None

    def preflight(self, host: Host, wish: Wish) -> None:
        """nginx is there, can do what the site wants, takes it in, and nobody else holds its ports."""
        if not host.has("nginx"):
            raise HostError("nginx: not installed on this host; install it (Debian: apt-get install nginx-light)")
        build = _build(host)
        without = [each for each in MODULES if f"--without-http_{each}_module" in build]
        without += [each for each in OPTIONAL_MODULES if f"--with-http_{each}_module" not in build]
        if without or "--without-http-cache" in build or "--without-pcre" in build:
            raise HostError(
                f"nginx: was built without {', '.join(without) or 'cache or pcre'}; install one that has them "
                "(Debian: apt-get install nginx-light)"
            )
        if nginx_conf.include_of(nginx_conf.main_text(host), SITE) is None:
            raise HostError(
                f"{nginx_conf.MAIN}: does not include {SITE}; put 'include {nginx_conf.FOLDER}/conf.d/*.conf;' "
                "into its http block"
            )
        nginx = service(host, SERVICE)
        if nginx.load != "loaded":
            raise HostError(f"nginx.service: is {nginx.load}; it must be a service that systemd can start")
        for probe in _probes(wish):
            refuse_taken(probe.port, nginx, "give the endpoint another port")

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """The site as the controller rendered it, as far as this host can use it, and the password files."""
        build, main = _build(host), nginx_conf.main_text(host)
        able = {
            "ipv6": host.offers("ipv6", has_ipv6),
            "threads": reads_in_threads(build),
            "open_files": nginx_service.may_open_many(host, main),
            "ktls": host.offers("ktls", lambda: ktls.able(build)),
        }
        own = []
        for each in wish.get("files") or []:
            file = wishes.own_file(each)
            if file.path != SITE and not wishes.is_below(file.path, OURS):
                raise HostError(f"wish, files: {file.path} is neither {SITE} nor below {OURS}")
            if able.get(each.get("needs"), True):
                own.append(file)
        group = worker_group(host, main, build)
        drop_in = nginx_service.drop_in(group, wishes.texts(wish, "service_lines"))
        return [*own, *self._password_files(host, wish, group), drop_in]

    def _password_files(self, host: Host, wish: Wish, group: int) -> List[OwnFile]:
        users = htpasswd.users_of(wish)
        if not users:
            return []
        known = {**_hashes(host, PUSHERS), **_hashes(host, PULLERS)}
        hashes = htpasswd.hashes_for(users, known, wishes.count(wish, "bcrypt_cost") or DEFAULT_COST)
        earlier = {**_hashes(host, PULLERS_BEFORE), **htpasswd.replaced(known, hashes)}
        before = {name: earlier[name] for name in wishes.texts(wish, "passwords_before") if name in earlier}
        late = [user for user in users if user.name in before]
        texts = {
            PULLERS: htpasswd.text(users, hashes),
            PUSHERS: htpasswd.text([user for user in users if user.pushes], hashes),
            PULLERS_BEFORE: htpasswd.text(late, before),
            PUSHERS_BEFORE: htpasswd.text([user for user in late if user.pushes], before),
        }
        digest = OwnFile(PASSWORDS_CONF, FileState(_digest_map(b"".join(texts.values())), 0o600))
        return [digest, *(OwnFile(path, FileState(text, 0o640, 0, group)) for path, text in texts.items())]

    def facts(self, host: Host, wish: Wish, before: Mapping[str, Any]) -> Dict[str, Any]:
        """What the marker must answer where, what nginx makes because of us, and how the service was before us."""
        caches = wishes.texts(wish, "cache_folders")
        missing = {each for cache in caches for each in _missing_parents(host, cache)}
        state = {key: before[key] for key in ("was_active", "was_enabled") if key in before} or _service_state(host)
        return {
            **state,
            "generation": wishes.text(wish, "generation"),
            "probes": [[each.port, each.host, each.fingerprint] for each in _probes(wish)],
            "ipv6": host.offers("ipv6", has_ipv6),
            "caches": caches,
            "logs": wishes.texts(wish, "logs"),
            "made": sorted({*before.get("made", []), *missing}),
        }

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """`nginx -t` with the candidates in place of the live files."""
        self._removing = change.wish is None
        if host.has("nginx"):
            made = nginx_service.make_folder(host, worker_group(host, nginx_conf.main_text(host), _build(host)))
            try:
                refuse_bad_configuration(host, change, candidates)
            finally:
                for each in made:
                    shutil.rmtree(host.path(each))
        if change.wish and (overlap := wishes.count(change.wish, "password_overlap_seconds")) and _withdrawn(change):
            time.sleep(overlap)

    def activation(self, host: Host, change: Change) -> str:
        """RELOAD; RESTART where nginx does not run, or its environment changes."""
        if not host.has("nginx"):
            self.notes.append("nginx is no longer installed")
            return NONE
        runs = service(host, SERVICE).runs
        return RESTART if (change.facts and not runs) or (runs and nginx_service.needs_restart(change)) else RELOAD

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """As `activation` does; whether nginx runs before the first change, only the host knows."""
        if not any(change.after.values()):
            return Foresight((RELOAD, RESTART), "nginx is reloaded without the site, or stopped where it was so before")
        if not any(change.before.values()):
            return Foresight((RELOAD, RESTART), "nginx is reloaded, or started where it does not run")
        if nginx_service.needs_restart(change):
            return Foresight((RESTART,), "nginx is restarted, since it reads OpenSSL's configuration at its start only")
        return Foresight((RELOAD,), "nginx is reloaded; connections go on")

    def activate(self, host: Host, change: Change, level: str) -> None:
        """Reload; start nginx where it does not run, or stop it again where we had started it."""
        self._error_log = ErrorLog.now(host)
        if DROP_IN in change.changed:
            host.must("systemctl", "daemon-reload")
        nginx_service.remove_dead_sockets(host)
        if level != NONE and change.facts:
            nginx_service.make_folder(host, worker_group(host, nginx_conf.main_text(host), _build(host)))
            for cache in change.facts["caches"]:
                files.make_folders(host.path(cache).parent)
            _start_or_reload(host, anew=level == RESTART)
        elif level != NONE:
            _give_back(host, change.facts_before, self.notes, anew=level == RESTART)
        for cache in set(change.facts_before.get("caches", [])) - set(change.facts.get("caches", [])):
            shutil.rmtree(host.path(cache), ignore_errors=True)
        if not change.facts and not self._removing:
            self.forget(host, change.facts_before)

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """The marker is answered as it must be where clients ask; after a removal, by nobody."""
        facts, gone = change.facts, change.facts_before
        try:
            wait_until(lambda: _complaint(host, facts) if facts else _still_there(host, gone), patience)
        except HostError as failure:
            said = self._error_log.since() if self._error_log else ""
            raise HostError(f"{failure}{said}") from failure
        if facts and patience and PULLERS in change.after:
            wait_until(lambda: _first(map(password_complaint, _places(facts))), patience)

    def forget(self, host: Host, facts: Mapping[str, Any]) -> None:
        """The caches, the logs with their rotated ones, and the folders that were made for them."""
        for cache in facts.get("caches", []):
            shutil.rmtree(host.path(cache), ignore_errors=True)
        for log in facts.get("logs", []):
            path = host.path(log)
            for each in path.parent.glob(f"{path.name}*"):
                each.unlink()
        shutil.rmtree(host.path(RUN), ignore_errors=True)
        from hostctl.units.garbage_collection import PREFIX  # for other calls, a module less to load

        for gate in host.path("/run").glob(f"{PREFIX}*"):  # left closed by a registry that has moved away
            shutil.rmtree(gate)
        files.remove_empty_folders(str(host.path(each)) for each in facts.get("made", []))

    def shown(self, path: str, content: bytes) -> str:
        """A file of the site; of a password file the names only."""
        if path in PASSWORD_FILES:
            return "".join(f"{name}:***\n" for name in htpasswd.hashes_in(content))
        if path.startswith(f"{TLS}/") and path.endswith((".key", ".pin")):
            return f"{MASK}\n"
        return super().shown(path, content)

    def first_boot(self, change: Change) -> FirstBoot:
        """nginx, which makes the folders of its caches, but not those around them; its service has the one in /run."""
        folders = dict.fromkeys(str(PurePosixPath(each).parent) for each in change.facts["caches"])
        return FirstBoot((f"{SERVICE}.service",), tuple(each for each in folders if each != RUN))

    def observe(self, host: Host) -> Dict[str, str]:
        """The site's files, and the users with their roles; no hashes."""
        folder = host.path(OURS)
        found = {f"{OURS}/{each.relative_to(folder)}": each for each in sorted(folder.rglob("*.conf"))}
        if host.path(SITE).exists():
            found[SITE] = host.path(SITE)
        shown = {path: each.read_text(errors="replace") for path, each in found.items()}
        every, pushing = _hashes(host, PULLERS), _hashes(host, PUSHERS)
        roles = {name: "push" if name in pushing else "pull" for name in every}
        return {**shown, "users": "".join(f"{name}: {role}\n" for name, role in sorted(roles.items()))}


def _build(host: Host) -> str:
    return host.must("nginx", "-V")


def _hashes(host: Host, path: str) -> Dict[str, str]:
    """The hashes of a password file, by user; none where it is not there."""
    current = files.read(host.path(path))
    return htpasswd.hashes_in(current.content) if current else {}


def _probes(wish: Wish) -> List[Probe]:
    probes = [
        Probe(
            wishes.count(each, "port") or 0,
            wishes.text(each, "host"),
            fingerprint=wishes.text(each, "fingerprint") if "fingerprint" in each else "",
        )
        for each in wish.get("probes") or []
    ]
    if not probes or not all(each.port for each in probes):
        raise HostError("wish, probes: must be a list of objects with port and host, one at least")
    return probes


def _places(facts: Mapping[str, Any]) -> List[Probe]:
    # Without TLS an older hostctl has noted two things of each.
    return [each for port, name, *of in facts["probes"] for each in probes_for(port, name, facts["ipv6"], *of)]


def _first(complaints: Iterable[Optional[str]]) -> Optional[str]:
    return next((each for each in complaints if each), None)


def _complaint(host: Host, facts: Mapping[str, Any]) -> Optional[str]:
    if not service(host, SERVICE).runs:
        return "nginx does not run; look at 'journalctl -u nginx'"
    return _first(complaint(each, facts["generation"]) for each in _places(facts))


def _still_there(host: Host, gone: Mapping[str, Any]) -> Optional[str]:
    if not host.has("nginx") or not service(host, SERVICE).runs:
        return None
    return _first(still_there(each, gone["generation"]) for each in _places(gone))


def _missing_parents(host: Host, cache: str) -> List[str]:
    return [str(each) for each in PurePosixPath(cache).parents if not host.path(str(each)).exists()]


def _service_state(host: Host) -> Dict[str, bool]:
    return {"was_active": service(host, SERVICE).runs, "was_enabled": _enabled(host)}


def _enabled(host: Host) -> bool:
    return host.run("systemctl", "is-enabled", f"{SERVICE}.service").output.strip() == "enabled"


def _withdrawn(change: Change) -> bool:
    """Whether a replaced password that is taken before the change is not after it."""
    before, after = (each.get(PULLERS_BEFORE) for each in (change.before, change.after))
    taken = {*htpasswd.hashes_in(before.content).values()} if before else set()
    return bool(taken - {*htpasswd.hashes_in(after.content if after else b"").values()})


def _digest_map(passwords: bytes) -> bytes:
    """A variable that is another one with each change of a password file: verdicts about the old one are not found."""
    digest = hashlib.sha256(passwords).hexdigest()[:32]
    return f"# {HEADER}\nmap $host $http_registry_passwords {{\n    default {digest};\n}}\n".encode()


def _start_or_reload(host: Host, anew: bool) -> None:
    nginx = service(host, SERVICE)
    if nginx.runs and not anew:
        nginx_service.allow_open_files(nginx.pid)
        host.must("systemctl", "reload", f"{SERVICE}.service")
        return
    restart(host, SERVICE)
    if not _enabled(host):
        host.must("systemctl", "enable", f"{SERVICE}.service")


def _give_back(host: Host, before: Mapping[str, Any], notes: List[str], anew: bool) -> None:
    """The service as it was before our first apply, without our site."""
    if not before["was_enabled"] and _enabled(host):
        host.must("systemctl", "disable", f"{SERVICE}.service")
    if not before["was_active"]:
        host.must("systemctl", "stop", f"{SERVICE}.service")
    elif service(host, SERVICE).runs:
        host.must("systemctl", "restart" if anew else "reload", f"{SERVICE}.service")
    else:
        notes.append("nginx does not run; it stays so")
