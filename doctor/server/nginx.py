"""nginx on the server: whether it would start with its files, whether it runs, and whether with the stack's site."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple

from doctor.finding import Finding
from doctor.server import firewall, log_tail
from doctor.server.served import Served, behind_nginx, endpoints
from hostctl import nginx_service
from hostctl.host import Host
from hostctl.listening_sockets import read_sockets
from hostctl.nginx_conf import DROP_IN, FOLDER, MAIN, MARKER, OURS, RUN, SITE
from hostctl.nginx_probe import TRIES, Probe, probes_for
from hostctl.store import STATE_FOLDER
from hostctl.systemd import service

RECORD = f"{STATE_FOLDER}/units/nginx-proxy.json"
# A stopped nginx has no folder for its inner sockets, and a test makes them: both are in a mount of the test's own. One
# that fails is started again and again, and its folder comes and goes.
IN_A_MOUNT_OF_ITS_OWN = (
    f"if systemctl -q is-active nginx && [ -d {RUN} ]; then mount -t tmpfs tmpfs {RUN}; "
    f'else mount -t tmpfs tmpfs /run && mkdir {RUN}; fi && exec "$@"'
)
SERIOUS = re.compile(r"\[(?:emerg|alert)\] (?:\d+#\d+: )?(.*)")


def look(host: Host, served: Served) -> Iterator[Finding]:
    """The first of these that is wrong."""
    if not behind_nginx(served):
        return
    finding = _config(host, served)
    if finding is None:
        finding = _site(host, served) if service(host, "nginx").runs else _down(host, served)
    if finding:
        yield finding


def _config(host: Host, served: Served) -> Optional[Finding]:
    """Whether nginx would start with the files as they are now; None too where that can't be tried."""
    if not host.has("unshare"):
        return None
    variables = nginx_service.environment(host.read(DROP_IN))
    nginx = ["env", *(f"{name}={value}" for name, value in variables.items()), host.find("nginx") or "nginx", "-t"]
    done = host.run("unshare", "--mount", "sh", "-c", IN_A_MOUNT_OF_ITS_OWN, "sh", *nginx, timeout=5)
    said = SERIOUS.findall(done.output)
    if done.ok or not said:
        return None
    place = re.search(r"\bin (/\S+):(\d+)", said[0])
    where = f"{place[1]}:{place[2]}" if place else MAIN
    values = {"endpoints": endpoints(served, nginx=True)}
    if SITE in said[0] or f"{OURS}/" in said[0]:
        return Finding("nginx-config-broken", where, said[0], values)
    mend = "nginx -t"
    if place and place[1].startswith((f"{FOLDER}/conf.d/", f"{FOLDER}/sites-enabled/")):
        mend = f"mv {place[1]} /root/; systemctl reset-failed nginx; systemctl reload-or-restart nginx"
    return Finding("nginx-other-config-broken", where, said[0], {**values, "mend": mend})


def _down(host: Host, served: Served) -> Finding:
    state = host.must("systemctl", "show", "-p", "ActiveState", "--value", "nginx.service").strip()
    values = {"endpoints": endpoints(served, nginx=True), "state": state}
    said = log_tail.journal(host, "nginx.service")
    for each in behind_nginx(served):
        taken = _user(host, each["port"])
        if taken:
            evidence = (
                log_tail.newest(said, rf"bind\(\) to \S*:{each['port']} failed") or f"ss: {taken[0]} listens there"
            )
            more = {"port": str(each["port"]), "user": taken[0], "stop": taken[1]}
            return Finding("port-taken", f"port {each['port']}", evidence, {**values, **more})
    evidence = f"nginx.service is {state}"
    last = log_tail.newest(said, r"\[(?:emerg|alert)\]|killed|code=|Stopped|Deactivated")
    return Finding("nginx-down", "nginx.service", f"{evidence}: {last}" if last else evidence, values)


def _user(host: Host, port: int) -> Optional[Tuple[str, str]]:
    """Who listens on a port, and the command that stops it."""
    listing = host.must("ss", "-Htlnpe", f"sport = :{port}", timeout=4)
    users = [each.users for each in read_sockets(listing) if each.port == port]
    if not users:
        return None
    found = re.search(r"^(\S+) \(pid (\d+)\)", users[0])
    if found is None:
        return users[0], f"ss -tlnp 'sport = :{port}'"
    if found[1] == "docker-proxy":
        return users[0], f"docker stop $(docker ps --quiet --filter publish={port})"
    unit = re.search(r"/([^/\n]+\.service)$", _text(Path(f"/proc/{found[2]}/cgroup")), re.MULTILINE)
    if unit and unit[1] == "nginx.service":
        return None  # it is being started once more
    return users[0], f"systemctl stop {unit[1]}" if unit else f"kill {found[2]}"


def _site(host: Host, served: Served) -> Optional[Finding]:
    """Whether each of its servers answers with the generation that hostctl has noted."""
    facts = _facts(host)
    for port, name, *of in facts.get("probes", []):
        for probe in probes_for(port, name, facts.get("ipv6", False), *of):
            if firewall.way_out(host, probe.address, port):
                continue
            shown = _other_site(probe, facts["generation"])
            if shown:
                evidence = f"port {port} for {name} ({probe.address}) shows: {shown}"
                return Finding("site-not-in-force", SITE, evidence, {"endpoints": endpoints(served, nginx=True)})
    return None


def _other_site(probe: Probe, generation: str) -> str:
    """What it shows that is not the generation; empty where it is."""
    for _ in range(TRIES):  # an old worker may still take a connection
        status, body = probe.get(MARKER)
        if (status, body) == (200, generation):
            return ""
        if not status:
            return body
    return "an older site" if status == 200 else f"status {status}"


def _facts(host: Host) -> Dict[str, Any]:
    try:
        found: Dict[str, Any] = json.loads(host.path(RECORD).read_text())["facts"]
    except (OSError, ValueError, KeyError):
        return {}
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
