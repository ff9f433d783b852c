"""`containerd-mirrors`: hosts.toml files, and the key in config.toml that makes containerd look for them.

Behaviour of containerd (docs/hosts.md, docs/cri/config.md): a change below config_path is seen at the next pull, one of
config.toml at the next start. `containerd config dump` reads the file, not the process, and returns 0 for settings
with which the CRI plugin then does not load; so the proof is a process younger than the file and `ctr plugins ls`.
"""

from __future__ import annotations

import posixpath
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from hostctl import containerd_toml, wishes
from hostctl.containerd_toml import PATH, Dialect, Wanted
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.host import Host
from hostctl.masking import masked
from hostctl.systemd import Service, boot, journal, monotonic, restart, service
from hostctl.transaction import wait_until
from hostctl.unit import NONE, RESTART, Change, OwnFile, SharedFile, Unit, Wish

SERVICE = "containerd"
DEFAULT_CONFIG_PATH = "/etc/containerd/certs.d"


class _ConfigToml(SharedFile):
    path = PATH

    def __init__(self, wanted: Wanted, dialect: Dialect, notes: List[str]) -> None:
        self.wanted = wanted
        self.dialect = dialect
        self.notes = notes

    def merge(self, base: Optional[bytes]) -> Tuple[bytes, Dict[str, Any]]:
        text, ours = containerd_toml.merge(base, self.wanted, self.dialect)
        for key in ours["keys"]:
            if key["before"] not in (None, "", key["set"]):
                self.notes.append(
                    f"{PATH}: {key['path'][-1]} was {key['before']!r} before us; that comes back when this is removed"
                )
        return text, ours


class ContainerdMirrors(Unit):
    """Wish: `config_path`, `max_concurrent_downloads` (number or null), `files` (each: path, content, mode)."""

    name = "containerd-mirrors"

    def __init__(self) -> None:
        super().__init__()
        self._dialect: Optional[Dialect] = None

    def preflight(self, host: Host, wish: Wish) -> None:
        """containerd is there, of a version that we know, and reads the file that we write."""
        if not host.has("containerd"):
            raise HostError(
                "containerd: not installed on this host; install it (Debian: apt-get install containerd), "
                "or take the host out of the containerd mirrors"
            )
        self._dialect_on(host)
        arguments = service(host, SERVICE).arguments()
        for place, argument in enumerate(arguments):
            name, equals, value = argument.partition("=")
            if name in ("--config", "-c"):
                read = value if equals else "".join(arguments[place + 1 : place + 2])
                if read != PATH:
                    raise HostError(f"containerd reads {read} in place of {PATH} (--config); drop that flag")

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """The hosts.toml files as the controller rendered them."""
        folder = _wanted(wish).config_path
        own = []
        for each in wish.get("files") or []:
            path = wishes.text(each, "path")
            if posixpath.normpath(path) != path or not path.startswith(folder + "/"):
                raise HostError(f"wish, files: {path} is not below config_path {folder}")
            content = wishes.text(each, "content").encode()
            own.append(OwnFile(path, FileState(content, wishes.count(each, "mode") or 0o644)))
        return own

    def shared_files(self, host: Host, wish: Wish) -> List[SharedFile]:
        """config.toml."""
        return [_ConfigToml(_wanted(wish), self._dialect_on(host), self.notes)]

    def unmerge(self, path: str, current: bytes, ours: Dict[str, Any]) -> Tuple[Optional[bytes], List[str]]:
        """Our keys out of config.toml."""
        return containerd_toml.unmerge(current, ours)

    def facts(self, host: Host, wish: Wish, before: Mapping[str, Any]) -> Dict[str, Any]:
        """Since when config.toml has said what we want: a containerd that is older does not know it."""
        wanted = _wanted(wish)
        values = [wanted.config_path, wanted.downloads]
        if before.get("values") == values:
            return dict(before)
        path, age = host.path(PATH), 0.0
        if path.exists() and containerd_toml.holds(path.read_bytes(), wanted, self._dialect_on(host)):
            age = time.time() - path.stat().st_mtime
        return {"values": values, "boot": boot(), "since": monotonic() - int(age * 1e6)}

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """`containerd config dump` reads the candidate and shows our values; it notices no more than that."""
        if change.wish is None or PATH not in candidates:
            return
        done = host.run("containerd", "--config", str(candidates[PATH]), "config", "dump")
        if not done.ok:
            raise HostError(f"{PATH}: containerd would refuse it: {masked(done.tail(3))}")
        complaint = containerd_toml.shows(done.output, _wanted(change.wish), self._dialect_on(host))
        if complaint:
            raise HostError(f"{PATH}: {complaint}")

    def activation(self, host: Host, change: Change) -> str:
        """NONE for hosts.toml alone; RESTART for config.toml, or where the process does not know it yet."""
        containerd = service(host, SERVICE)
        if not containerd.wanted:
            self.notes.append("containerd is not running; it reads config.toml when it is started")
            return NONE
        if PATH not in change.changed:
            complaint = _process_complaint(containerd, change.facts) or _plugin_complaint(host, change.facts)
            if complaint is None:
                return NONE
        self.notes.append("containerd is restarted for config.toml; running containers are kept")
        return RESTART

    def activate(self, host: Host, change: Change, level: str) -> None:
        """`systemctl restart`, which returns when containerd is ready."""
        if level == RESTART:
            restart(host, SERVICE)

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """The process knows config.toml, and its CRI plugin has loaded."""
        if not service(host, SERVICE).wanted:
            return
        wait_until(lambda: _process_complaint(service(host, SERVICE), change.facts), patience)
        # A containerd that is ready has loaded its plugins, or never will.
        complaint = _plugin_complaint(host, change.facts)
        if complaint:
            raise HostError(complaint)

    def observe(self, host: Host) -> Dict[str, str]:
        """config.toml and every hosts.toml, credentials masked."""
        folder = host.path(DEFAULT_CONFIG_PATH)
        found = {PATH: host.path(PATH)} if host.path(PATH).exists() else {}
        for each in sorted(folder.glob("*/hosts.toml")):
            found[f"{DEFAULT_CONFIG_PATH}/{each.relative_to(folder)}"] = each
        return {name: masked(path.read_bytes().decode(errors="replace")) for name, path in found.items()}

    def _dialect_on(self, host: Host) -> Dialect:
        if self._dialect is None:
            self._dialect = containerd_toml.dialect_of(host.must("containerd", "--version"))
        return self._dialect


def _wanted(wish: Wish) -> Wanted:
    folder = wishes.text(wish, "config_path", DEFAULT_CONFIG_PATH)
    return Wanted(folder.rstrip("/"), wishes.count(wish, "max_concurrent_downloads"))


def _process_complaint(containerd: Service, facts: Mapping[str, Any]) -> Optional[str]:
    """Why this process can't know config.toml; None if it does."""
    if not containerd.runs:
        return "containerd does not run; look at 'journalctl -u containerd'"
    if facts and facts["boot"] == boot() and containerd.started < facts["since"]:
        return "containerd was started before config.toml was changed; restart it"
    return None


def _plugin_complaint(host: Host, facts: Mapping[str, Any]) -> Optional[str]:
    """Why the CRI plugin, which alone reads our keys, does not work; None if it does or if nothing is ours."""
    if not facts:
        return None
    plugins = host.must("ctr", "plugins", "ls", timeout=20)
    states = [line.split()[-1] for line in plugins.splitlines() if line.split()[1:2] == ["cri"]]
    if "ok" in states:
        return None
    failures = [line for line in journal(host, SERVICE, time.time() - 60) if "failed to load plugin" in line]
    reasons = [line.split("error=", 1)[-1] for line in failures if "cri" in line]
    return f"containerd's CRI plugin is in state {states[0] if states else 'missing'!r}: " + (
        reasons[-1] if reasons else "look for 'cri' in 'journalctl -u containerd'"
    )
