"""`floating-address`: a keepalived of ours, by which an address is at the one of two proxies that works (VRRP).

keepalived.conf(5), keepalived(8), RFC 5798. The two know each other by unicast, with equal priorities: who fails its
check sinks, so the other one takes the address over and keeps it. Where both fail, it stays where it is.
"""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from hostctl import wishes
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.first_boot import FirstBoot
from hostctl.foresight import Foresight
from hostctl.host import Host
from hostctl.service_trial import trial
from hostctl.systemd import boot_link, follow_file, service
from hostctl.unit import NONE, RELOAD, RESTART, Change, OwnFile, Unit, Wish
from hostctl.waiting import wait_until

SERVICE = "http-registry-floating-address"
CONFIG = "/etc/http-registry/keepalived.conf"
PROGRAM = "/usr/local/lib/http-registry/proxy_alive"
"""The folder of the program by which keepalived asks nginx."""
SERVICE_FILE = f"/etc/systemd/system/{SERVICE}.service"
DAEMON = "keepalived"
INSTANCE = re.compile(rb"^ *(?:virtual_router_id|unicast_src_ip) .*$", re.MULTILINE)
"""What makes an instance another one, of what is not in the unit file too (keepalived.conf(5))."""
SECONDS = 2.0


def interface_of(address: str) -> str:
    """What stands in the files for the interface, as long as only the host knows it."""
    return f"(the interface of {address})"


class FloatingAddress(Unit):
    """Wish: `files` (the program's modules, the configuration, the systemd unit; each: path, content, mode), `own` (the
    host's address), `address` (the floating one), `port` (of nginx, where it must answer then).
    """

    name = "floating-address"

    def preflight(self, host: Host, wish: Wish) -> None:
        """The package is there."""
        if not host.has(DAEMON):
            raise HostError(
                f"{DAEMON}: not installed on this host; install it (Debian: apt-get install {DAEMON}) or set "
                "proxy.standby.by: dns"
            )

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """The files as the controller rendered them, with the interface that has this host's address."""
        own = [wishes.own_file(each) for each in wish.get("files") or []]
        others = {each.path for each in own if not wishes.is_below(each.path, PROGRAM)}
        if others != {CONFIG, SERVICE_FILE}:
            raise HostError(f"wish, files: must be {CONFIG}, {SERVICE_FILE} and what is below {PROGRAM}")
        mark = interface_of(wishes.text(wish, "own")).encode()
        if not any(mark in each.state.content for each in own):
            return own
        name = _interface(host, wishes.text(wish, "own")).encode()
        return [OwnFile(each.path, _replaced(each.state, mark, name)) for each in own]

    def facts(self, host: Host, wish: Wish, before: Mapping[str, Any]) -> Dict[str, Any]:
        """Which address, and where nginx must answer then."""
        return {"address": wishes.text(wish, "address"), "port": wishes.count(wish, "port")}

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """keepalived reads the configuration, and systemd the unit."""
        if change.text(CONFIG) is None:
            return
        with trial(host, change, PROGRAM) as tried:
            done = host.run(DAEMON, "--config-test", "--use-file", tried.place(CONFIG))
            # keepalived 2.2.7 ends itself by SIGTERM where a configuration with scripts is right (its issue 2587).
            if done.status not in (0, -signal.SIGTERM) or done.output.strip():
                said = done.output.replace(tried.place(CONFIG), CONFIG).strip().splitlines()
                raise HostError(f"{DAEMON} does not accept it: {' | '.join(said[:3]) or f'status {done.status}'}")
            tried.runs([SERVICE_FILE])

    def activation(self, host: Host, change: Change) -> str:
        """RELOAD where the address stays over it; else RESTART."""
        if not change.facts and not change.facts_before:
            return NONE
        return RELOAD if _stays(change) and service(host, SERVICE).runs else RESTART

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """The same, of files alone."""
        if not any(change.after.values()):
            return Foresight((RESTART,), "keepalived is stopped; the floating address goes to the other proxy")
        if not any(change.before.values()):
            return Foresight((RESTART,), "keepalived is started; it takes the floating address where nobody has it")
        if not _stays(change):
            return Foresight((RESTART,), "keepalived is restarted; the floating address goes to the other proxy")
        return Foresight((RELOAD, RESTART), "keepalived is reloaded, and restarted only where it does not run")

    def activate(self, host: Host, change: Change, level: str) -> None:
        """Start, restart, reload, or stop it."""
        if level != NONE:
            follow_file(host, SERVICE, there=change.text(SERVICE_FILE) is not None, reload=level == RELOAD)

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """keepalived runs, also after a boot, and an nginx answers at the address; or it is gone from here."""
        if change.facts:
            wait_until(lambda: _complaint(host, change.facts), patience)
        elif change.facts_before:
            wait_until(lambda: _remains(host, change.facts_before["address"]), patience)

    def first_boot(self, change: Change) -> FirstBoot:
        """Our keepalived."""
        return FirstBoot((f"{SERVICE}.service",))

    def observe(self, host: Host) -> Dict[str, str]:
        """Its configuration."""
        path = host.path(CONFIG)
        return {CONFIG: path.read_text(errors="replace")} if path.exists() else {}


def _stays(change: Change) -> bool:
    """Whether keepalived keeps hold of the address when it is reloaded.

    It lets go of it, some time after it was told to reload, where its instance becomes another one.
    """
    if SERVICE_FILE in change.changed:
        return False
    before, after = (INSTANCE.findall(side.text(CONFIG) or b"") for side in (change.reverse, change))
    return before == after


def _interface(host: Host, address: str) -> str:
    told = host.must("ip", "-o", "address", "show", "to", address).split()
    if len(told) < 2:
        raise HostError(
            f"{address}: no interface of this host has it, so which one gets the floating address? Say so in "
            "proxy.standby.interface"
        )
    return told[1]


def _replaced(state: FileState, mark: bytes, name: bytes) -> FileState:
    return FileState(state.content.replace(mark, name), state.mode)


def _holds(host: Host, address: str) -> bool:
    return bool(host.must("ip", "-o", "address", "show", "to", address).strip())


def _complaint(host: Host, facts: Mapping[str, Any]) -> Optional[str]:
    if not service(host, SERVICE).runs:
        return f"{SERVICE} does not run; look at 'journalctl -u {SERVICE}'"
    if not boot_link(host, f"{SERVICE}.service").exists():
        return f"{SERVICE}.service is not enabled, so the next boot would lack it"
    address, port = facts["address"], facts["port"]
    try:
        with socket.create_connection((address, port), SECONDS):
            return None
    except OSError as silent:
        where = "this host has it" if _holds(host, address) else "this host does not have it"
        return f"nobody answers at {address}:{port} ({where}; {silent}); look at 'journalctl -u {SERVICE}'"


def _remains(host: Host, address: str) -> Optional[str]:
    if service(host, SERVICE).runs:
        return f"{SERVICE}.service still runs"
    return f"this host still has {address}" if _holds(host, address) else None
