"""Decides, on Docker 20.10 and 29 and containerd 1.6 and 2.4, what becomes of running containers, and that it is told.

Docker is restarted where it runs with a flag that its service no longer has: no reload takes that away.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ops.proof import APP
from tests.lab.hosts import must, without_records
from tests.lab.unit_requests import hostctl, wish

pytestmark = pytest.mark.lab

FLAG = "/run/systemd/system/docker.service.d/zz-flag.conf"
START_ANEW = "systemctl daemon-reload && systemctl reset-failed docker && systemctl restart docker"
DAEMON_JSON, CONFIG_TOML = "/etc/docker/daemon.json", "/etc/containerd/config.toml"
KEPT = "http-registry-test-kept"


@pytest.fixture(params=["docker1", "docker2"])
def docker(request: pytest.FixtureRequest) -> Iterator[str]:
    """A Docker that runs with a flag of an earlier service, beside our wish without it, and runs a container."""
    host = str(request.param)
    before = without_records(host)
    hostctl(host, "apply", {**wish(host), "max_concurrent_downloads": None})
    started = must(host, "systemctl show -p ExecStart --value docker").split("argv[]=", 1)[1].split(" ;")[0]
    started = started.replace("$DOCKER_OPTS", "")
    drop_in = f"[Service]\nExecStart=\nExecStart={started} --max-concurrent-downloads=2\n"
    must(host, f"mkdir -p $(dirname {FLAG}) && cat > {FLAG} && {START_ANEW}", stdin=drop_in)
    must(host, f"rm {FLAG} && systemctl daemon-reload")
    must(host, f"docker pull -q {APP} && docker run -d --stop-timeout 1 --name {KEPT} {APP}")
    try:
        yield host
    finally:
        must(host, f"docker rm -f {KEPT}; {START_ANEW}")
        hostctl(host, "apply", wish(host))
    assert without_records(host) == before


def started(host: str) -> str:
    return must(host, f"docker inspect -f '{{{{.State.Running}}}} {{{{.State.StartedAt}}}}' {KEPT}").strip()


def test_with_live_restore_a_restart_keeps_them(docker: str) -> None:
    daemon = json.loads(must(docker, f"cat {DAEMON_JSON}"))
    live = json.dumps({**daemon, "live-restore": True})
    must(docker, f"cp -a {DAEMON_JSON} /root/kept; cat > {DAEMON_JSON} && systemctl reload docker", live)
    must(docker, "until docker info -f '{{.LiveRestoreEnabled}}' | grep -q true; do sleep 0.1; done")
    before = started(docker)
    try:
        report = hostctl(docker, "apply", wish(docker))
        assert report["activation"] == "restart"
        assert any("the running containers (1) go on (live-restore)" in note for note in report["notes"])
        assert started(docker) == before
        assert before.startswith("true")
    finally:
        must(docker, f"mv /root/kept {DAEMON_JSON} && systemctl reload docker")


def test_without_live_restore_a_restart_stops_them_and_says_so(docker: str) -> None:
    report = hostctl(docker, "apply", wish(docker))
    assert report["activation"] == "restart"
    assert any("that stops the running containers (1), since live-restore is off" in each for each in report["notes"])
    assert "after the restart 0 containers run; before it 1 did" in report["notes"]
    assert started(docker).startswith("false")


@pytest.mark.parametrize("host", ["containerd1", "containerd2"])
def test_containerd_keeps_its_containers(host: str) -> None:
    before = without_records(host)
    must(host, f"ctr images pull --plain-http 192.168.1.11:5080/{APP} >/dev/null")
    must(host, f"ctr run -d 192.168.1.11:5080/{APP} {KEPT} >/dev/null")
    alive = f"ctr tasks ls 2>/dev/null | grep {KEPT}"
    task = must(host, alive)
    try:
        report = hostctl(host, "apply", {**wish(host), "max_concurrent_downloads": 9})
        assert report["activation"] == "restart"
        assert must(host, alive) == task
    finally:
        must(host, f"ctr tasks kill -s KILL {KEPT}; until ctr tasks ls | grep -q STOPPED; do sleep 0.1; done")
        must(host, f"ctr tasks rm {KEPT}; ctr containers rm {KEPT}; ctr images rm 192.168.1.11:5080/{APP}")
        hostctl(host, "apply", wish(host))
    assert without_records(host) == before


@pytest.mark.parametrize("host", ["containerd1", "containerd2"])
def test_deprecated_mirrors_of_somebody_else_are_an_error_or_moved_and_come_back(host: str) -> None:
    """Without our keys, containerd pulls through them before and after."""
    whole = without_records(host)
    hostctl(host, "remove")
    table = "io.containerd.grpc.v1.cri" if host == "containerd1" else "io.containerd.cri.v1.images"
    version = 2 if host == "containerd1" else 4
    old = (
        f'version = {version}\n# by hand\n[plugins."{table}".registry.mirrors."docker.io"]\n'
        '  endpoint = ["http://192.168.1.10:5000"] # the hub\n'
        f'[plugins."{table}".registry.configs."192.168.1.9:5000".auth]\n  username = "ann"\n  password = "s3cret"\n'
    )
    must(host, f"cp -a {CONFIG_TOML} /root/kept 2>/dev/null; cat > {CONFIG_TOML}", stdin=old)
    pull = f"crictl rmi docker.io/{APP} >/dev/null 2>&1; crictl pull docker.io/{APP}"
    try:
        must(host, f"systemctl restart containerd && {pull}")
        before = without_records(host)
        wanted = {**wish(host), "max_concurrent_downloads": None}
        refused = hostctl(host, "apply", wanted, fails=True)
        assert "which is deprecated" in refused["error"]
        assert "migrate_deprecated" in refused["error"]
        assert without_records(host) == before
        moved = hostctl(host, "apply", {**wanted, "migrate_deprecated": True})
        must(host, pull)
        text = must(host, f"cat {CONFIG_TOML}")
        assert "mirrors" not in text
        assert 'username = "ann"' in text
        assert "# by hand" in text
        assert not any("s3cret" in note for note in moved["notes"])
        hostctl(host, "remove")
        assert without_records(host) == before
        must(host, pull)
    finally:
        must(host, f"if [ -e /root/kept ]; then mv /root/kept {CONFIG_TOML}; else rm {CONFIG_TOML}; fi")
        must(host, "systemctl restart containerd")
        hostctl(host, "apply", wish(host))
    assert without_records(host) == whole
