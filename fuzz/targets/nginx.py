"""nginx's configuration, its own words about its build, systemd's about its start."""

from __future__ import annotations

import tempfile
from pathlib import Path

from doctor.steps import docker_mirror_relay
from fuzz.target import Target, cases, promised, texts
from fuzz.targets.accounts import _Sshd as Said
from hostctl import nginx_build, nginx_conf, nginx_workers, start_command
from hostctl.errors import HostError
from hostctl.host import Host

MAIN = """\
user www-data;
error_log "/var/log/nginx/error.log" warn;
events { worker_connections 768; }
http {
    include /etc/nginx/mime.types;
    log_format x '$remote_addr "$request" \\'$status\\'';
    include conf.d/*.conf; # ours
    map $x $y { default 1; ~^a{2} "b;c"; }
}
"""


def run_conf(data: bytes) -> None:
    """Each directive stands in the text where it says."""
    text = data.decode(errors="replace")
    for each in nginx_conf.statements(text):
        assert 0 <= each.start < each.end <= len(text) or not each.words
    nginx_conf.include_of(text, nginx_conf.SITE)
    nginx_conf.first(text, "error_log")
    docker_mirror_relay.target(text)
    with promised(HostError):
        nginx_workers.worker_user(Host(), text, text)
    with promised(HostError):
        nginx_workers.worker_group(Host(), text, text)
    nginx_build.reads_in_threads(text)


def run_start(data: bytes) -> None:
    """`systemctl show` of a service, and the files of its environment."""
    shown, _, environment = data.partition(b"\0")
    with tempfile.TemporaryDirectory() as folder:
        host = Said(Path(folder))
        host.path("/etc/default").mkdir(parents=True)
        host.path("/etc/default/docker").write_bytes(environment)
        object.__setattr__(host, "said", shown.decode(errors="replace"))
        with promised(HostError, OSError):  # systemd names no file that can't be
            start_command.start_command(host, "docker")


START = (
    "ExecStart={ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS ${X}y ; ignore_errors=no ; }\n"
    'Environment=A=1 "B=2 3"\nEnvironmentFiles=/etc/default/docker (ignore_errors=yes)\n\0'
    "DOCKER_OPTS='--debug -l' x\nX=a\\\nb\n"
)
TARGETS = (
    Target(
        "nginx-conf",
        run_conf,
        (
            *texts(MAIN, "nginx version: nginx/1.22.1\nconfigure arguments: --user=www-data --with-threads"),
            *cases("nginx_site/*/*.conf"),
        ),
        ("{", "}", ";", '"', "'", "\\", "#", "include ", "user ", "error_log ", "http {", "proxy_set_header "),
    ),
    Target(
        "start-command", run_start, texts(START), ("ExecStart={ path=", " ; argv[]=", "$X", "${X}", '"', "\\\n", "=")
    ),
)
