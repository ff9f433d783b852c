"""Decides the text of the rendered rule sets, and which admin hostctl's firewall lets lock himself out: none.

What the rules do to packets is decided in test_firewall_packets. Cases are files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from documents import firewall_rules
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.units.firewall import Firewall, refuse_lock_out

CASES = Path(__file__).parents[1] / "cases" / "firewall_rules"


@pytest.mark.parametrize("case", sorted(each for each in CASES.iterdir() if each.is_dir()), ids=lambda path: path.name)
def test_rules(case: Path) -> None:
    documents = firewall_rules.render(**yaml.safe_load((case / "in.yaml").read_text()))
    for each in documents[:2]:
        assert each.text == (case / Path(each.path).name).read_text()
    assert documents[2].text == (CASES / "http-registry-firewall.service").read_text()


def wish(**changed: Any) -> dict[str, Any]:
    return {"ports": [22, 80], "allow": ["10.0.0.0/8", "fd00::/64"], "ssh_port": 22, **changed}


@pytest.mark.parametrize("client", ["192.168.1.5", "fd01::1", "fe80::1%eth0", "::ffff:192.168.1.5"])
def test_an_admin_is_not_locked_out(client: str) -> None:
    with pytest.raises(HostError, match="lock you out"):
        refuse_lock_out(wish(), f"{client} 50000 10.0.0.1 22")
    with pytest.raises(HostError, match="port 80"):
        refuse_lock_out(wish(ports=[80]), f"{client} 50000 10.0.0.1 80")
    refuse_lock_out(wish(ports=[80]), f"{client} 50000 10.0.0.1 22")


@pytest.mark.parametrize("client", ["10.1.1.1", "fd00::9", "::ffff:10.1.1.1", "127.0.0.1", "::1"])
def test_an_admin_from_the_allowlist_may_guard_sshd(client: str) -> None:
    refuse_lock_out(wish(), f"{client} 50000 10.0.0.1 22")


def test_at_the_console_nobody_is_locked_out() -> None:
    refuse_lock_out(wish(), "")


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/http-registry/../passwd", "/etc/http-registry/firewall.v5"])
def test_only_its_own_files_are_written(path: str) -> None:
    with pytest.raises(HostError, match="wish, files"):
        Firewall().own_files(Host(), {"files": [{"path": path, "content": "x"}]})
