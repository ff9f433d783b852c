"""Decides on two hosts that were configured by hand, as wiki pages do it, that a stack takes them over without a bump.

One has a mirror in a container, nginx before it and rules of iptables; Docker and containerd of the other pull there.
`make adopt` proposes the stack; its preview shows no line of theirs changed, its `up` moves no byte of them and
restarts nothing, and its `destroy` leaves all as it was by hand.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from lab.paths import work_dir
from lab.services import HUB_URL
from tests.checkout import Checkout, on_the_lab
from tests.lab.hosts import must, without_records
from tests.lab.spare.site import ADDRESS, PAIR, REGISTRY, RUNTIME, SITE

pytestmark = pytest.mark.lab

STACK = "adopted"
SAVED = "/root/before-by-hand.tar"
FOLDERS = "etc/docker etc/containerd etc/nginx"
RULE = "INPUT -p tcp --dport 5080"
MIRROR = f"http://{ADDRESS}:5080"
SITE_BY_HAND = f"""
server {{
    listen 5080;
    server_name {ADDRESS};
    client_max_body_size 0;
    location /v2/ {{
        proxy_pass http://127.0.0.1:5001;
        proxy_set_header Host $http_host;
    }}
}}
"""
SERVER = f"""
docker load --quiet --input /root/registry.tar
docker run --detach --restart always --name mirror --publish 127.0.0.1:5001:5000 \
    --env REGISTRY_PROXY_REMOTEURL={HUB_URL} --env REGISTRY_HTTP_SECRET=of-a-mirror registry:3
cat > /etc/nginx/conf.d/mirror.conf
systemctl reload-or-restart nginx
iptables -A {RULE} -s 192.168.1.0/24 -j ACCEPT
iptables -A {RULE} -j DROP
"""
DAEMON_JSON = f"""{{ "registry-mirrors": ["{MIRROR}/"],
  "max-concurrent-downloads": 5,
  "labels": ["by=hand"] }}
"""
HOSTS_TOML = f"""# the mirror of the team
server = "https://docker.io"

[host."{MIRROR}"]
  capabilities = ["resolve", "pull"]
"""
CONFIG_TOML = """
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d" # by hand
"""
CLIENT = f"""
mkdir -p /etc/docker /etc/containerd/certs.d/docker.io
printf '%s' '{DAEMON_JSON}' > /etc/docker/daemon.json
printf '%s' '{HOSTS_TOML}' > /etc/containerd/certs.d/docker.io/hosts.toml
printf '%s' '{CONFIG_TOML}' >> /etc/containerd/config.toml
systemctl reset-failed docker; systemctl restart containerd docker
"""
PROCESSES = "systemctl show --property MainPID --value docker containerd"
FILES = "sha256sum /etc/docker/daemon.json /etc/containerd/config.toml /etc/containerd/certs.d/*/hosts.toml"


def end_by_hand(name: str) -> None:
    """Take back what was done by hand."""
    script = f"cd / && rm -rf {FOLDERS} && tar -xpf {SAVED} && rm -f {SAVED} /root/registry.tar"
    if name == REGISTRY:
        script += f"; while iptables -D {RULE} -s 192.168.1.0/24 -j ACCEPT; do :; done; iptables -D {RULE} -j DROP"
        script += "; docker rm --force --volumes mirror; docker image rm registry:3; systemctl reload-or-restart nginx"
    else:
        script += "; systemctl reset-failed docker; systemctl restart containerd docker"
    must(name, f"{script}; true")


@contextmanager
def by_hand() -> Iterator[None]:
    """Two hosts as somebody has configured them; afterwards as they were."""
    for name in PAIR:
        must(name, f"[ -e {SAVED} ] || tar -C / -cpf {SAVED} {FOLDERS} 2>/dev/null; true")
    try:
        config = work_dir() / "ssh_config"
        archive = work_dir() / "registry.tar"
        subprocess.run(["scp", "-q", "-F", config, archive, f"{REGISTRY}:/root/registry.tar"], check=True)
        must(REGISTRY, f"set -e; {SERVER}", stdin=SITE_BY_HAND)
        must(RUNTIME, f"set -e; {CLIENT}")
        yield
    finally:
        for name in PAIR:
            end_by_hand(name)


def changed(preview: str) -> set[str]:
    """The files with changed lines."""
    return set(re.findall(r"^\+\+\+ (\S+)$", preview, re.MULTILINE))


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    folder: Path = tmp_path_factory.mktemp(STACK)
    with by_hand(), on_the_lab(folder) as checkout:
        some = {f"http-registry:{key}": SITE[key] for key in ("hosts", "known_hosts", "image")}
        checkout.write(STACK, yaml.safe_dump({"config": {"http-registry:tier": "lab", **some}}))
        yield checkout


def test_hosts_configured_by_hand_are_taken_over(hosts: Checkout) -> None:
    before = {name: without_records(name) for name in PAIR}
    processes, files = must(RUNTIME, PROCESSES), must(RUNTIME, FILES)

    proposed = hosts.make("adopt", HOST=" ".join(PAIR), STACK=STACK)
    assert {name: without_records(name) for name in PAIR} == before
    settings = {key.partition(":")[2]: each for key, each in yaml.safe_load(proposed)["config"].items()}
    cache = {"kind": "cache", "name": "mirror", "host": REGISTRY, "port": 5001}
    assert settings["registries"] == [{**cache, "serves": "docker.io", "upstream": HUB_URL}], proposed
    assert settings["proxy"]["endpoints"] == [{"registry": "mirror", "port": 5080, "server_name": ADDRESS}], proposed
    assert settings["firewall"] == {"allow": ["192.168.1.0/24"]}, proposed
    assert settings["runtimes"] == [
        {"host": RUNTIME, "docker": {"max_concurrent_downloads": 5}, "containerd": {"fallback": True}}
    ], proposed
    assert "of-a-mirror" not in proposed

    hosts.write(
        STACK, yaml.safe_dump({"config": {**yaml.safe_load(proposed)["config"], "http-registry:observe": True}})
    )
    preview = hosts.make("preview", STACK=STACK)
    assert not {each for each in changed(preview) if "docker" in each or "containerd" in each}, preview
    assert preview.count("say it already") == 2, preview

    # What the proposal says to take out before.
    assert "/etc/nginx/conf.d/mirror.conf:2" in proposed
    assert "docker rm --force mirror" in proposed
    must(REGISTRY, "docker rm --force --volumes mirror; rm /etc/nginx/conf.d/mirror.conf; systemctl reload nginx")
    given = without_records(REGISTRY)
    try:
        hosts.make("up", STACK=STACK)
        assert (must(RUNTIME, PROCESSES), must(RUNTIME, FILES)) == (processes, files)
        assert "nothing changes" in hosts.make("preview", STACK=STACK)
    finally:
        hosts.make("destroy", STACK=STACK)
    assert (must(RUNTIME, PROCESSES), must(RUNTIME, FILES)) == (processes, files)
    assert without_records(RUNTIME) == before[RUNTIME]
    assert without_records(REGISTRY) == given
