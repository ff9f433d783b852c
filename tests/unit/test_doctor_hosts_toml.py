"""Decides: a hosts.toml is read as containerd reads it, in its folder, and one that it passes over is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from doctor.steps import hosts_toml
from doctor.steps.hosts_toml import Undecodable
from hostctl.host import Host

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases/doctor/hosts_toml.yaml").read_text())
ROOT = "/etc/containerd/certs.d"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_endpoints_in_order_or_the_key_that_is_wrong(case: dict[str, Any]) -> None:
    def parsed() -> Any:
        return hosts_toml.parsed(
            case["text"].encode(), "f", case.get("registry", "docker.io"), old=bool(case.get("old"))
        )

    if "passed_over" in case:
        with pytest.raises(Undecodable) as wrong:
            parsed()
        assert wrong.value.key == case["passed_over"]
    else:
        endpoints, unable = parsed()
        assert [f"{each.url}{each.prefix}" for each in endpoints] == case["asks"]
        assert [url for url, _ in unable] == case.get("unable", [])


def rules(tmp_path: Path, registry: str, files: dict[str, str], *roots: str) -> hosts_toml.Rules:
    for name, text in files.items():
        path = tmp_path / ROOT[1:] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return hosts_toml.rules(Host(tmp_path), roots or [ROOT], registry)


MIRROR = '[host."https://mirror.example.com"]\n'


@pytest.mark.parametrize(
    ("files", "counts"),
    [
        ({"r_5000_/hosts.toml": MIRROR, "r:5000/hosts.toml": "x"}, "r_5000_/hosts.toml"),
        ({"r:5000/hosts.toml": MIRROR, "_default/hosts.toml": "x"}, "r:5000/hosts.toml"),
        ({"_default/hosts.toml": MIRROR, "r/hosts.toml": "x"}, "_default/hosts.toml"),
    ],
)
def test_the_first_folder_that_is_there_counts(tmp_path: Path, files: dict[str, str], counts: str) -> None:
    found = rules(tmp_path, "r:5000", files)
    assert found.path == f"{ROOT}/{counts}"
    assert [each.url for each in found.endpoints] == ["https://mirror.example.com", "https://r:5000"]


def test_without_hosts_toml_a_folder_s_certificates_count(tmp_path: Path) -> None:
    found = rules(tmp_path, "r:5000", {"r_5000_/b.crt": "", "r_5000_/a.crt": "", "r_5000_/c.cert": ""})
    assert found.endpoints[0].authorities == (f"{ROOT}/r_5000_/a.crt", f"{ROOT}/r_5000_/b.crt")


def test_a_registry_without_a_folder_is_asked_itself(tmp_path: Path) -> None:
    found = rules(tmp_path, "docker.io", {})
    assert (found.path, [each.url for each in found.endpoints]) == ("", ["https://registry-1.docker.io"])


def test_authorities_logins_and_ns(tmp_path: Path) -> None:
    text = (
        '[host."https://mirror.example.com"]\nca = ["ours.pem", "/etc/x.pem"]\nskip_verify = true\n'
        'header = { authorization = ["Basic eDp5"] }\n'
    )
    mirror, hub = rules(tmp_path, "docker.io", {"docker.io/hosts.toml": text}).endpoints
    assert mirror.authorities == (f"{ROOT}/docker.io/ours.pem", "/etc/x.pem")
    assert (mirror.authorization, mirror.verify, mirror.namespace) == ("Basic eDp5", False, "docker.io")
    assert (hub.authorization, hub.verify, hub.namespace) == ("", True, "")
