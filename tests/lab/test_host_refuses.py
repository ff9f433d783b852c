"""Decides, on the lab's hosts, that a change that can't work is a clear error, and host and runtime stay as they were.

Each case breaks a host in its own way, asks hostctl there for a change, and heals the host again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from documents import canary, nginx_site
from hostctl import hosts_toml
from hostctl.canary import REPOSITORY, TAG
from hostctl.hosts_toml import PULL, Endpoint
from lab.services import PUBLISHER
from ops.configuration import tier_of
from ops.proof import on
from tests.lab.hosts import HOSTCTL, must, snapshot

pytestmark = pytest.mark.lab

DOCKER = {"registry_mirrors": ["http://192.168.1.11:5080"], "insecure_registries": [], "max_concurrent_downloads": 7}
CONTAINERD = {"config_path": "/etc/containerd/certs.d", "max_concurrent_downloads": 7, "files": []}
NGINX = {
    **nginx_site.render(tier_of("lab")).wish(),
    "users": [{"name": "pusher", "role": "push", "password": "an0ther"}],
}
REFUSES_SEVEN = (
    "[Service]\nExecStartPre=/bin/sh -c '! grep -q \"max_concurrent_downloads = 7\" /etc/containerd/config.toml'\n"
)


@dataclass(frozen=True)
class Case:
    """`spoil` runs on the host before the change is asked for, `heal` afterwards; `error` must be in what is said."""

    host: str
    unit: str
    wish: Mapping[str, Any]
    spoil: str
    heal: str
    error: str
    alive: str
    """A command that succeeds while the runtime runs and answers."""


def kept(path: str, spoil: str) -> tuple[str, str]:
    """`spoil` with a copy of `path` made first, and how to put the copy back."""
    return f"cp -a {path} /root/kept && {spoil}", f"mv /root/kept {path}"


def full_disk(folder: str) -> tuple[str, str]:
    """`folder` on a file system of its own that has no room, and how to undo that."""
    small = f"mount -t tmpfs -o size=4m,mode=700 tmpfs {folder}"
    fill = f"{{ cat /dev/zero > {folder}/fill 2>/dev/null || true; }}"
    full = f"cp -a {folder} /tmp/full && {small} && cp -a /tmp/full/. {folder} && {fill}"
    return full, f"umount {folder}; rm -rf /tmp/full"


ASK_DOCKER = "docker info"
ASK_CONTAINERD = "crictl info"
ASK_NGINX = "curl -sf -o /dev/null http://192.168.1.11:5080/v2/"
CANARY = {"canaries": {"docker.io": canary.canaries(tier_of("lab"))["docker.io"].digest}}
FALLS_BACK = hosts_toml.text([Endpoint("http://192.168.1.11:5999", PULL)], Endpoint("http://192.168.1.10:5000"))
ANOTHER_CANARY = (
    f"skopeo copy -q --src-tls-verify=false --dest-tls-verify=false docker://192.168.1.10:5000/library/app:1"
    f" --dest-creds {PUBLISHER.user}:{PUBLISHER.password} docker://192.168.1.10:5000/{REPOSITORY}:{TAG}"
)
"""The hub, which stands in for the real registry, has an image of the canary's name too."""
CASES = {
    "dockerd_gets_its_images_from_elsewhere": Case(
        "docker1", "docker-mirrors", {**DOCKER, **CANARY, "registry_mirrors": ["http://192.168.1.10:5000"]},
        ANOTHER_CANARY, "true", "which only the mirror has): it got another image", ASK_DOCKER,
    ),
    "dockerd_gets_nothing_from_its_mirror": Case(
        "docker1", "docker-mirrors", {**DOCKER, **CANARY, "registry_mirrors": ["http://192.168.1.11:5999"]},
        "true", "true", "dockerd does not pull through the mirror of docker.io", ASK_DOCKER,
    ),
    "containerd_falls_back_in_silence": Case(
        "containerd1", "containerd-mirrors",
        {
            **CONTAINERD, **CANARY,
            "files": [{"path": "/etc/containerd/certs.d/docker.io/hosts.toml", "content": FALLS_BACK}],
        },
        ANOTHER_CANARY, "true", "which only the mirror has): it got another image", ASK_CONTAINERD,
    ),
    "daemon_json_is_not_json": Case(
        "docker1", "docker-mirrors", DOCKER, *kept("/etc/docker/daemon.json", "echo '{oops' > /etc/docker/daemon.json"),
        "/etc/docker/daemon.json", ASK_DOCKER,
    ),
    "dockerd_refuses_a_key_of_somebody_else": Case(
        "docker1", "docker-mirrors", DOCKER,
        *kept("/etc/docker/daemon.json", """sed -i 's/{/{"no-such-key": 1,/' /etc/docker/daemon.json"""),
        "no-such-key", ASK_DOCKER,
    ),
    "no_room_for_daemon_json": Case(
        "docker1", "docker-mirrors", DOCKER, *full_disk("/etc/docker"), "No space left on device", ASK_DOCKER,
    ),
    "no_room_for_the_journal": Case(
        "docker1", "docker-mirrors", DOCKER, *full_disk("/var/lib/http-registry"), "No space left on device",
        ASK_DOCKER,
    ),
    "config_toml_is_not_toml": Case(
        "containerd1", "containerd-mirrors", CONTAINERD,
        *kept("/etc/containerd/config.toml", "echo 'oops' > /etc/containerd/config.toml"),
        "config.toml, line 1", ASK_CONTAINERD,
    ),
    "containerd_does_not_start_with_it": Case(
        "containerd1", "containerd-mirrors", CONTAINERD,
        "mkdir -p /run/systemd/system/containerd.service.d && cat > /run/systemd/system/containerd.service.d/t.conf"
        f" <<'E'\n{REFUSES_SEVEN}E\nsystemctl daemon-reload",
        "rm -r /run/systemd/system/containerd.service.d; systemctl daemon-reload",
        "containerd does not start", ASK_CONTAINERD,
    ),
    "a_site_of_somebody_else_is_broken": Case(
        "registry", "nginx-proxy", NGINX, "echo 'bogus;' > /etc/nginx/conf.d/theirs.conf",
        "rm /etc/nginx/conf.d/theirs.conf", 'unknown directive "bogus"', ASK_NGINX,
    ),
    "a_site_of_somebody_else_has_the_endpoint_s_name": Case(
        "registry", "nginx-proxy", NGINX,
        "echo 'server { listen 5080; server_name 192.168.1.11; return 204; }' > /etc/nginx/conf.d/a-theirs.conf",
        "rm /etc/nginx/conf.d/a-theirs.conf", "another site of this nginx has the server_name 192.168.1.11",
        ASK_NGINX,
    ),
    "a_port_of_the_proxy_is_taken": Case(
        "registry", "nginx-proxy", {**NGINX, "probes": [{"port": 5000, "host": "192.168.1.11"}]}, "true", "true",
        "port 5000: docker-proxy", ASK_NGINX,
    ),
    "the_policy_would_lock_the_admin_out": Case(
        "registry", "firewall", {"rules": [{"ports": [22, 80], "allow": ["10.0.0.0/8"]}], "ssh_port": 22},
        "true", "true", "port 22: is sshd's", ASK_NGINX,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_is_an_error_and_the_host_stays_as_it_was(case: Case) -> None:
    whole = snapshot(case.host)
    try:
        must(case.host, case.spoil)
        before = snapshot(case.host)
        request = json.dumps({"unit": case.unit, "wish": case.wish})
        done = on(case.host, f"SSH_CONNECTION='192.168.1.1 5 192.168.1.11 22' {HOSTCTL} apply", stdin=request)
        after = snapshot(case.host)
        alive = on(case.host, case.alive)
    finally:
        must(case.host, case.heal)
    assert done.returncode == 1, done.stdout
    assert case.error in done.stdout
    assert "the host is as it was" in done.stdout
    assert "an0ther" not in done.stdout
    assert after == before
    assert alive.returncode == 0, alive.stdout
    assert snapshot(case.host) == whole
