"""Decides, on containerd 1.6 and 2.4, that its own figures are told where the stack says, and of what."""

from __future__ import annotations

import pytest

from documents.prometheus_rules import CONTAINERD_PULLS
from hostctl.units.containerd_mirrors import METRICS_PATH
from ops.proof import on
from tests.lab.hosts import must, without_records
from tests.lab.unit_requests import CONTAINERDS, hostctl, wish

pytestmark = pytest.mark.lab
PORT = 1338


def figures(host: str) -> dict[str, str]:
    """Each series and its value."""
    text = must(host, f"curl -sf http://127.0.0.1:{PORT}{METRICS_PATH}")
    lines = (each.rpartition(" ") for each in text.splitlines() if not each.startswith("#"))
    return {name: value for name, _, value in lines}


@pytest.mark.parametrize("host", CONTAINERDS)
def test_pulls_are_told_while_they_are_wanted(host: str) -> None:
    before = without_records(host)
    told = hostctl(host, "apply", {**wish(host), "metrics": f"127.0.0.1:{PORT}"})
    try:
        assert (told["result"], told["activation"]) == ("changed", "restart")
        must(host, "crictl pull docker.io/library/app:1")
        assert on(host, "crictl pull docker.io/library/no-such-app:1").returncode != 0
        seen = {name: value for name, value in figures(host).items() if name.startswith(CONTAINERD_PULLS)}
    finally:
        hostctl(host, "apply", wish(host))
    # 1.6 has figures, and none of pulls.
    known = {f'{CONTAINERD_PULLS}{{status="{status}"}}' for status in ("success", "failure")}
    assert seen.keys() == (known if host == "containerd2" else set())
    assert on(host, f"curl -sf http://127.0.0.1:{PORT}{METRICS_PATH}").returncode != 0
    assert without_records(host) == before


@pytest.mark.parametrize("host", CONTAINERDS)
def test_a_port_that_somebody_has_is_told_and_taken_back(host: str) -> None:
    before = without_records(host)
    must(host, f"systemd-run --quiet --unit taken python3 -m http.server --bind 127.0.0.1 --directory /srv {PORT}")
    try:
        told = hostctl(host, "apply", {**wish(host), "metrics": f"127.0.0.1:{PORT}"}, fails=True)
    finally:
        must(host, "systemctl stop taken")
    assert told["rolled_back"]
    assert str(PORT) in told["error"]
    assert without_records(host) == before
