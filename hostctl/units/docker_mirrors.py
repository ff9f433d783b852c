"""`docker-mirrors`: our keys in daemon.json, taken over by SIGHUP, and seen in what the engine itself says.

Behaviour of dockerd (moby daemon/reload.go and daemon/config/config.go): SIGHUP takes over the three keys; one of the
two lists that is absent from the file is left as it was, so its removal goes through an empty list; a key that is a
command-line flag as well makes the reload fail, and the old configuration stays. The engine shows mirrors and insecure
registries in GET /info; max-concurrent-downloads it tells only in the `reload` event that follows a SIGHUP.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from hostctl import daemon_json, wishes
from hostctl.daemon_json import DOWNLOADS, INSECURE, MIRRORS, PATH, Wanted, same_item
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.masking import masked
from hostctl.systemd import journal, restart, service
from hostctl.transaction import wait_until
from hostctl.unit import NONE, RELOAD, RESTART, Change, OwnFile, SharedFile, Unit, Wish

SERVICE = "docker"
FLAGS = {
    MIRRORS: "--registry-mirror",
    INSECURE: "--insecure-registry",
    DOWNLOADS: "--max-concurrent-downloads",
}
ALWAYS_INSECURE = ("127.0.0.0/8", "::1/128")
REFUSAL = re.compile(r'level=(?:error|fatal) msg="(.*onfigur.*)"')
"""dockerd's line about a refused reload: it says "unable to configure …" or "Error reconfiguring …"."""


class _DaemonJson(SharedFile):
    path = PATH

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted

    def merge(self, base: Optional[bytes]) -> Tuple[bytes, Dict[str, Any]]:
        return daemon_json.merge(base, self.wanted)


class DockerMirrors(Unit):
    """Wish: `registry_mirrors` and `insecure_registries` (lists), `max_concurrent_downloads` (number or null)."""

    name = "docker-mirrors"

    def __init__(self) -> None:
        super().__init__()
        self._signalled: Optional[float] = None

    def preflight(self, host: Host, wish: Wish) -> None:
        """Docker is there, reads the file that we write, and has none of our keys as a flag."""
        if not host.has("dockerd"):
            raise HostError(
                "dockerd: not installed on this host; install Docker (Debian: apt-get install docker.io), "
                "or take the host out of the Docker mirrors"
            )
        wanted = _wanted(wish)
        flags = _flags(service(host, SERVICE).arguments())
        if flags.get("--config-file", PATH) != PATH:
            raise HostError(
                f"dockerd reads {flags['--config-file']} in place of {PATH} (--config-file); drop that flag"
            )
        keys = [*wanted.lists, *([DOWNLOADS] if wanted.downloads else [])]
        for key in keys:
            if FLAGS[key] in flags:
                raise HostError(
                    f"dockerd was started with {FLAGS[key]}, which excludes {key} in {PATH}; move the flag's value "
                    "from the service ('systemctl cat docker', /etc/default/docker) to that file and restart docker"
                )

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """None: daemon.json has keys of others."""
        return []

    def shared_files(self, host: Host, wish: Wish) -> List[SharedFile]:
        """daemon.json."""
        return [_DaemonJson(_wanted(wish))]

    def unmerge(self, path: str, current: bytes, ours: Dict[str, Any]) -> Tuple[Optional[bytes], List[str]]:
        """Our items and our number out of daemon.json."""
        return daemon_json.unmerge(current, ours)

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """`dockerd --validate`, which Engine 20.10 does not have; there the types that the merge checked must do."""
        if change.wish is None or PATH not in candidates:
            return
        done = host.run("dockerd", "--validate", f"--config-file={candidates[PATH]}")
        if not done.ok and "unknown flag" not in done.output:
            raise HostError(f"{PATH}: dockerd would refuse it: {masked(done.tail(3))}")

    def activation(self, host: Host, change: Change) -> str:
        """RELOAD; NONE where dockerd is stopped; RESTART where it failed."""
        docker = service(host, SERVICE)
        if not docker.wanted:
            self.notes.append("docker is not running; it reads daemon.json when it is started")
            return NONE
        return RELOAD if docker.runs else RESTART

    def stages(self, host: Host, change: Change, level: str) -> List[Change]:
        """One with empty lists in place of those that go away: SIGHUP does not reset a list that is absent."""
        before, after = (daemon_json.values(end) for end in (_text(change.before), _text(change.after)))
        gone = [key for key in (MIRRORS, INSECURE) if key in before and key not in after]
        if level != RELOAD or not gone:
            return []
        state = change.after[PATH] or change.before[PATH]
        assert state is not None
        text = daemon_json.with_values(_text(change.after), {key: [] for key in gone})
        return [replace(change, after={PATH: state.with_content(text)})]

    def activate(self, host: Host, change: Change, level: str) -> None:
        """SIGHUP, or a restart where the service has failed meanwhile."""
        if level == NONE:
            return
        docker = service(host, SERVICE)
        if level == RESTART or not docker.runs:
            restart(host, SERVICE)
            return
        self._signalled = time.time()
        host.must("systemctl", "kill", "-s", "HUP", "--kill-who=main", f"{SERVICE}.service")

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """GET /info shows the text's lists; after a SIGHUP, the engine's reload event shows its number.

        On the way back a refused reload is no failure: the engine refuses the file that was there before us, so it
        has refused ours as well, and never left its old configuration.
        """
        if not service(host, SERVICE).wanted:
            return
        text = daemon_json.values(_text(change.after))
        wait_until(lambda: self._complaint(host, text, change.back), patience)

    def _complaint(self, host: Host, text: Mapping[str, Any], back: bool) -> Optional[str]:
        from hostctl import docker_api  # an HTTP client, which `observe` has no use for

        since = self._signalled
        complaint = None if since is None else _reload_complaint(host, text, since)
        if complaint and since is not None:
            refused = _refusal(host, since)
            if not refused:
                return complaint
            if back:
                return None
            raise HostError(f"dockerd keeps its old configuration: {refused}")
        return _info_complaint(docker_api.get(host, "/info"), text)

    def observe(self, host: Host) -> Dict[str, str]:
        """daemon.json, credentials masked."""
        path = host.path(PATH)
        return {"daemon.json": masked(path.read_bytes().decode(errors="replace")) if path.exists() else ""}


def _wanted(wish: Wish) -> Wanted:
    return Wanted(
        tuple(wishes.texts(wish, "registry_mirrors")),
        tuple(wishes.texts(wish, "insecure_registries")),
        wishes.count(wish, "max_concurrent_downloads"),
    )


def _text(files: Mapping[str, Any]) -> Optional[bytes]:
    state = files.get(PATH)
    return None if state is None else state.content


def _flags(arguments: List[str]) -> Dict[str, str]:
    flags = {}
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        following = arguments[place + 1] if place + 1 < len(arguments) else ""
        flags[name] = value if equals else following
    return flags


def _refusal(host: Host, since: float) -> str:
    """What dockerd said about a reload that it refused since then; empty while it has said nothing."""
    if time.time() - since < 0.3:
        return ""
    found = [REFUSAL.search(line) for line in journal(host, SERVICE, since)]
    return " | ".join(each.group(1) for each in found if each)


def _reload_complaint(host: Host, text: Mapping[str, Any], since: float) -> Optional[str]:
    """Whether the engine's event stream tells of the reload, and with our number."""
    from hostctl import docker_api

    events = docker_api.call(
        host,
        "GET",
        "/events",
        {
            "since": f"{since:.6f}",
            "until": f"{time.time():.6f}",
            "filters": json.dumps({"type": ["daemon"], "event": ["reload"]}),
        },
    )
    lines = [json.loads(line) for line in events.body.splitlines() if line.strip()] if events.status == 200 else []
    if not lines:
        return "dockerd has not taken over daemon.json after SIGHUP; look at 'journalctl -u docker'"
    told = lines[-1]["Actor"]["Attributes"].get(DOWNLOADS)
    if DOWNLOADS in text and told is not None and told != str(text[DOWNLOADS]):
        return f"dockerd uses {DOWNLOADS} {told} in place of {text[DOWNLOADS]}"
    return None


def _info_complaint(info: Mapping[str, Any], text: Mapping[str, Any]) -> Optional[str]:
    """What /info shows other than the text says; a key that the text lacks may be a flag and is not looked at."""
    shown = info["RegistryConfig"]
    if MIRRORS in text:
        mirrors = [same_item(each) for each in shown["Mirrors"] or []]
        if list(dict.fromkeys(mirrors)) != list(dict.fromkeys(same_item(each) for each in text[MIRRORS])):
            return f"dockerd uses the mirrors {masked(str(mirrors))} in place of {masked(str(text[MIRRORS]))}"
    if INSECURE in text:
        insecure = {name for name, index in (shown["IndexConfigs"] or {}).items() if not index["Secure"]}
        insecure |= set(shown["InsecureRegistryCIDRs"] or []) - set(ALWAYS_INSECURE)
        wanted = {_insecure_name(each) for each in text[INSECURE]} - set(ALWAYS_INSECURE)
        if insecure != wanted:
            return f"dockerd takes {sorted(insecure)} for insecure registries in place of {sorted(wanted)}"
    return None


def _insecure_name(item: str) -> str:
    """dockerd strips a scheme, and shows a network by its first address."""
    from ipaddress import ip_network

    name = item.split("://", 1)[-1].rstrip("/")
    try:
        return str(ip_network(name, strict=False)) if "/" in name else name
    except ValueError:
        return name
