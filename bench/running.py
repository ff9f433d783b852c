"""The bench's programs on the registry host: started, emptied in between, and taken away with all that they left."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.serialization import Encoding

from bench import site
from bench.hosts import on, place, program, programs
from bench.places import (
    ADDRESS,
    BIG,
    CACHE,
    CLIENT,
    FOLDER,
    HOST,
    HUB,
    LOGS,
    MIRROR,
    NAME,
    PASSWORD,
    PATHS,
    PULL_THROUGH_DATA,
    PULL_THROUGH_PORT,
    REGISTRY_PORT,
    SMALL,
    STATIC,
    USER,
    WWW,
    tier,
)
from documents.document import Document
from hostctl import ktls
from hostctl.nginx_build import reads_in_threads
from lab.services import HUB_URL
from ops import authority
from settings.server_certificates import server_certificates

CERTIFICATE = "bench.pem"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
IMAGE = "registry:3"
RUN = f"docker run --detach --label {NAME}"
REGISTRY = "version: 0.1\nstorage: {filesystem: {rootdirectory: /var/lib/registry}}\nhttp: {addr: ':5000'}\n"
PULL_THROUGH = f"{REGISTRY}proxy: {{remoteurl: '{HUB_URL}'}}\n"
WAIT = "timeout 20 sh -c 'until curl -sk -o /dev/null {}; do sleep 0.05; done'"
CLEAN = f"""
systemctl stop {site.NGINX} {site.ORIGIN}.socket {site.ORIGIN}.service 2>/dev/null || true
systemctl reset-failed '{NAME}*' 2>/dev/null || true
rm -rf {site.UNITS}/{NAME}* && systemctl daemon-reload
found=$(docker ps --all --quiet --filter label={NAME}) && [ -z "$found" ] || docker rm -f --volumes $found >/dev/null
rm -rf {FOLDER}
"""


@dataclass(frozen=True)
class Bench:
    """What runs. `path`: of the big blob at every endpoint; `size`: its bytes."""

    path: str
    size: int

    def url(self, port: int, scheme: str = "http") -> str:
        """The big blob at a port of the host."""
        return f"{scheme}://{ADDRESS}:{port}{self.path}"


@contextmanager
def running() -> Iterator[Bench]:
    """Everything up and filled; nothing of it afterwards, also of a bench before that was killed."""
    try:
        clean()
        yield _started()
    finally:
        clean()


def clean() -> None:
    """Take away what the bench has on the hosts."""
    unlimited()
    on(HOST, CLEAN)
    on(CLIENT, f"rm -rf {FOLDER}")


def cold() -> None:
    """Empty every cache: nginx's, which keeps what it knows in memory too, and the pull-through one."""
    on(HOST, f"systemctl stop {site.NGINX} && rm -rf {CACHE}/* {PULL_THROUGH_DATA}/* && {_START_NGINX}")


def limited(megabytes_per_second: int) -> None:
    """All that the hub sends shares this much a second."""
    rate = f"{8 * megabytes_per_second}mbit"
    on(HUB, f"tc qdisc replace dev eth0 root tbf rate {rate} burst 256kb latency 300ms")


def unlimited() -> None:
    """As fast as this machine carries it."""
    on(HUB, "tc qdisc del dev eth0 root 2>/dev/null || true")


def worker_seconds() -> float:
    """The processor time that nginx's workers have spent."""
    workers = f"$(pgrep -P $(systemctl show -p MainPID --value {site.NGINX}))"
    said = on(HOST, f"for pid in {workers}; do cat /proc/$pid/stat; done")
    ticks = [sum(map(int, line.rpartition(")")[2].split()[11:13])) for line in said.splitlines()]
    return sum(ticks) / os.sysconf("SC_CLK_TCK")


_SAID = f"{{ journalctl --unit {site.NGINX} --lines 10 --output cat; false; }}"
_START_NGINX = f"{{ systemctl start {site.NGINX} || {_SAID}; }} && {WAIT.format(f'http://127.0.0.1:{STATIC}/')}"


def _started() -> Bench:
    certificate, key = _certificate()
    wanted = tier(CERTIFICATE)
    certificates = server_certificates(wanted, lambda _: certificate, lambda _: key)
    files, optional = site.product(wanted, certificates, key)
    build = on(HOST, "nginx -V 2>&1")
    # The lab's hosts have this machine's kernel.
    able = {"threads": reads_in_threads(build), "open_files": True, "ktls": ktls.able(build), "ipv6": False}
    files += [each.document for each in optional if able[each.needs]]
    files += [site.nginx_unit(), site.rivals(), *programs()]
    files += [Document(f"{FOLDER}/registry.yml", REGISTRY), Document(f"{FOLDER}/pull-through.yml", PULL_THROUGH)]
    on(HOST, f"mkdir -p {CACHE} {LOGS} {WWW} {PULL_THROUGH_DATA} {FOLDER}/conf.d")
    place(HOST, files)
    place(CLIENT, programs())
    on(HOST, f"{site.main_file()} && chgrp www-data {site.ETC}/*.htpasswd")
    # Published as the product does it, and as distribution's documentation does.
    published = f"--publish 127.0.0.1:{REGISTRY_PORT}:5000 --name {NAME}-registry"
    _container(f"{published} --volume {FOLDER}/registry.yml:/etc/distribution/config.yml:ro")
    _container(
        f"--publish {PULL_THROUGH_PORT}:5000 --name {NAME}-pull-through --volume {PULL_THROUGH_DATA}:/var/lib/registry "
        f"--volume {FOLDER}/pull-through.yml:/etc/distribution/config.yml:ro"
    )
    on(HOST, f"systemctl daemon-reload && systemctl start {site.ORIGIN}.socket && {_START_NGINX}")
    for port in (REGISTRY_PORT, PULL_THROUGH_PORT):
        on(HOST, WAIT.format(f"http://127.0.0.1:{port}/v2/"))
    job = {"mirror": f"http://{ADDRESS}:{MIRROR}", "registry": f"http://127.0.0.1:{REGISTRY_PORT}", "www": WWW}
    return Bench(**program("content", {**job, "big": BIG, "small": SMALL, "paths": PATHS}))


def _container(options: str) -> None:
    on(HOST, f"{RUN} {options} {IMAGE}")


def _certificate() -> tuple[str, str]:
    """One for the registry host, and its key."""
    now = datetime.now(UTC)
    key = authority.new_key()
    signed = authority.make(NAME, [ADDRESS], now).sign(key.public_key(), [ADDRESS], now)
    return signed.public_bytes(Encoding.PEM).decode(), authority.key_text(key)
