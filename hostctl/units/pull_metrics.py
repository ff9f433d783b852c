"""`pull-metrics`: the service on the proxy's host that counts pulls, and a node_exporter beside it.

It runs as a user of its own that may read every file (nginx's log, volumes, caches) and write none but its own.
systemd.exec(5).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from hostctl import local_http, wishes
from hostctl.errors import HostError
from hostctl.first_boot import FirstBoot
from hostctl.foresight import Foresight
from hostctl.host import Host
from hostctl.service_trial import trial
from hostctl.systemd import boot_link, enable, forget, forget_state, restart, service
from hostctl.unit import NONE, RESTART, Change, OwnFile, Unit, Wish
from hostctl.waiting import wait_until

SERVICE = "http-registry-pulls"
NODE = "http-registry-node-exporter"
NODE_PROGRAM, NODE_PACKAGE = "prometheus-node-exporter", "prometheus-node-exporter"
CONFIG = "/etc/http-registry/pull-metrics.json"
PROGRAM = "/usr/local/lib/http-registry/pull_metrics"
"""The folder of the program's modules."""
SERVICE_FILE = f"/etc/systemd/system/{SERVICE}.service"
NODE_FILE = f"/etc/systemd/system/{NODE}.service"
PAGE = f"/run/{SERVICE}/status.json"
"""What the status page shows; nginx's workers may read it."""
SECONDS = 5.0


class PullMetrics(Unit):
    """Wish: `files` (the program's modules, the configuration, the two systemd units; each: path, content, mode),
    `generation` (what the service answers when they are live), `port`.
    """

    name = "pull-metrics"

    def preflight(self, host: Host, wish: Wish) -> None:
        """node_exporter is there."""
        if not host.has(NODE_PROGRAM):
            raise HostError(
                f"{NODE_PROGRAM}: not installed on this host; install it (Debian: apt-get install {NODE_PACKAGE}) or "
                "remove metrics from the settings"
            )
        if service(host, NODE_PROGRAM).runs:
            self.notes.append(
                f"{NODE_PROGRAM}.service, the package's own, answers everybody at port 9100; ours does without it: "
                f"systemctl disable --now {NODE_PROGRAM}"
            )

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """The files as the controller rendered them."""
        own = [wishes.own_file(each) for each in wish.get("files") or []]
        others = {each.path for each in own if not wishes.is_below(each.path, PROGRAM)}
        if others != {CONFIG, SERVICE_FILE, NODE_FILE}:
            raise HostError(f"wish, files: must be {CONFIG}, {SERVICE_FILE}, {NODE_FILE} and what is below {PROGRAM}")
        return own

    def facts(self, host: Host, wish: Wish, before: Mapping[str, Any]) -> Dict[str, Any]:
        """What the service must answer, and where."""
        return {"generation": wishes.text(wish, "generation"), "port": wishes.count(wish, "port")}

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """The program itself reads the configuration, and systemd the units."""
        if change.text(CONFIG) is None:
            return
        with trial(host, change, PROGRAM) as tried:
            tried.reads(CONFIG)
            tried.runs([SERVICE_FILE, NODE_FILE])

    def activation(self, host: Host, change: Change) -> str:
        """RESTART, over which nothing is lost; NONE where nothing is left to be stopped."""
        return RESTART if change.facts or change.facts_before else NONE

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """RESTART."""
        how = "restarted; it goes on where it was" if any(change.before.values()) else "started"
        how = how if any(change.after.values()) else "stopped, and what it has counted is gone"
        return Foresight((RESTART,), f"the service that counts pulls is {how}")

    def activate(self, host: Host, change: Change, level: str) -> None:
        """Start both services anew; stop them where they go away."""
        for name, path in {SERVICE: SERVICE_FILE, NODE: NODE_FILE}.items():
            if level != NONE and change.text(path) is None:
                forget(host, f"{name}.service")
            elif level != NONE:
                enable(host, f"{name}.service")
                restart(host, name)

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """The service answers with its generation, node_exporter runs, both also after a boot; or neither."""
        if change.facts:
            wait_until(lambda: _complaint(host, change.facts), patience)
        elif change.facts_before:
            wait_until(lambda: _remains(host), patience)

    def forget(self, host: Host, facts: Mapping[str, Any]) -> None:
        """What it has counted."""
        forget_state(host, SERVICE)

    def first_boot(self, change: Change) -> FirstBoot:
        """Both services."""
        return FirstBoot((f"{SERVICE}.service", f"{NODE}.service"))

    def observe(self, host: Host) -> Dict[str, str]:
        """Its configuration."""
        path = host.path(CONFIG)
        return {CONFIG: path.read_text(errors="replace")} if path.exists() else {}


def _complaint(host: Host, facts: Mapping[str, Any]) -> Optional[str]:
    _, said = local_http.get(facts["port"], "/generation", SECONDS, 1 << 10)
    if said != facts["generation"]:
        return (
            f"the service that counts pulls does not answer at 127.0.0.1:{facts['port']} as it should ({said[:200]}); "
            f"look at 'journalctl -u {SERVICE}'"
        )
    if not service(host, NODE).runs:
        return f"{NODE} does not run; look at 'journalctl -u {NODE}'"
    for name in (SERVICE, NODE):
        if not boot_link(host, f"{name}.service").exists():
            return f"{name}.service is not enabled, so the next boot would lack it"
    return None


def _remains(host: Host) -> Optional[str]:
    return next((f"{name}.service still runs" for name in (SERVICE, NODE) if service(host, name).runs), None)
