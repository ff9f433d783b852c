"""`prometheus`: a Prometheus of ours, beside the one that Debian's package would run.

https://prometheus.io/docs/prometheus/latest/management_api/ ; promtool is in the same package.
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
from hostctl.systemd import boot_link, follow_file, forget_state, service
from hostctl.unit import NONE, RELOAD, RESTART, Change, OwnFile, Unit, Wish
from hostctl.waiting import wait_until

SERVICE = "http-registry-prometheus"
FOLDER = "/etc/http-registry/prometheus"
CONFIG, RULES = f"{FOLDER}/prometheus.yml", f"{FOLDER}/rules.yml"
SERVICE_FILE = f"/etc/systemd/system/{SERVICE}.service"
PROGRAM, CHECKER = "prometheus", "promtool"
READY = "/-/ready"
SECONDS = 5.0
FILES = (CONFIG, RULES, SERVICE_FILE)


class Prometheus(Unit):
    """Wish: `files` (configuration, rules, systemd unit; each: path, content, mode) and `port`."""

    name = "prometheus"

    def preflight(self, host: Host, wish: Wish) -> None:
        """The package is there."""
        for program in (PROGRAM, CHECKER):
            if not host.has(program):
                raise HostError(
                    f"{program}: not installed on this host; install it (Debian: apt-get install prometheus) or choose "
                    "another metrics.prometheus.host"
                )
        if service(host, PROGRAM).runs:
            self.notes.append(
                "prometheus.service, the package's own, answers everybody at port 9090; ours does without it: "
                "systemctl disable --now prometheus"
            )

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """The files as the controller rendered them."""
        own = [wishes.own_file(each) for each in wish.get("files") or []]
        if sorted(each.path for each in own) != sorted(FILES):
            raise HostError(f"wish, files: must be {', '.join(FILES)}")
        return own

    def facts(self, host: Host, wish: Wish, before: Mapping[str, Any]) -> Dict[str, Any]:
        """Where it answers."""
        return {"port": wishes.count(wish, "port")}

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """promtool reads the configuration with its rules, and systemd the unit."""
        if change.text(CONFIG) is None:
            return
        with trial(host, change) as tried:
            done = host.run(CHECKER, "check", "config", tried.place(CONFIG))
            if not done.ok:
                said = done.output.replace(str(tried.folder), FOLDER)
                raise HostError(f"{CHECKER} does not accept it: {said[-500:]}")
            tried.runs([SERVICE_FILE])

    def activation(self, host: Host, change: Change) -> str:
        """RESTART where the unit or the port is another one, RELOAD for configuration and rules."""
        if not change.facts and not change.facts_before:
            return NONE
        same = change.facts == change.facts_before and SERVICE_FILE not in change.changed
        return RELOAD if same and service(host, SERVICE).runs else RESTART

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """The same, of files alone."""
        if not any(change.after.values()):
            return Foresight((RESTART,), "Prometheus is stopped, and the figures that it has kept are gone")
        if SERVICE_FILE in change.changed:
            how = "restarted" if any(change.before.values()) else "started"
            return Foresight((RESTART,), f"Prometheus is {how}")
        return Foresight(
            (RELOAD, RESTART), "Prometheus reads its configuration anew; restarted only where it does not run"
        )

    def activate(self, host: Host, change: Change, level: str) -> None:
        """Start, restart, reload, or stop it."""
        if level != NONE:
            follow_file(host, SERVICE, there=change.text(SERVICE_FILE) is not None, reload=level == RELOAD)

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """It is ready and has taken its configuration, also after a boot; or it is gone."""
        if change.facts:
            wait_until(lambda: _complaint(host, change.facts["port"]), patience)
        elif change.facts_before:
            wait_until(lambda: f"{SERVICE}.service still runs" if service(host, SERVICE).runs else None, patience)

    def forget(self, host: Host, facts: Mapping[str, Any]) -> None:
        """The figures that it has kept."""
        forget_state(host, SERVICE)

    def first_boot(self, change: Change) -> FirstBoot:
        """Our Prometheus."""
        return FirstBoot((f"{SERVICE}.service",))

    def observe(self, host: Host) -> Dict[str, str]:
        """Its configuration and rules."""
        found = {path: host.path(path) for path in (CONFIG, RULES)}
        return {path: file.read_text(errors="replace") for path, file in found.items() if file.exists()}


def _complaint(host: Host, port: int) -> Optional[str]:
    _, said = local_http.get(port, READY, SECONDS)
    if "Ready" not in said:
        return f"Prometheus is not ready at 127.0.0.1:{port} ({said[:200].strip()}); look at 'journalctl -u {SERVICE}'"
    if "\nprometheus_config_last_reload_successful 1\n" not in local_http.get(port, "/metrics", SECONDS)[1]:
        return f"Prometheus has not taken its configuration; look at 'journalctl -u {SERVICE}'"
    if not boot_link(host, f"{SERVICE}.service").exists():
        return f"{SERVICE}.service is not enabled, so the next boot would lack it"
    return None
