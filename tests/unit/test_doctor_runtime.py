"""Decides: from what a host says follow the endpoints that its runtime asks, or the reason why ours is not asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from doctor.causes import AREA_OF, CATALOGUE
from doctor.finding import BROKEN, OK, SKIPPED, Seen
from doctor.pull import Endpoint, Image, Pull, Wanted
from doctor.steps import runtime
from doctor.steps.containerd_runtime import deletion
from hostctl.containerd_versions import PATH
from ops.doctor.found import PLACE, Found
from tests.unit.told_host import told

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases/doctor/runtimes.yaml").read_text())
GIVEN = CASES.pop("given")


def pull_of(case: dict[str, Any]) -> Pull:
    wanted = Wanted(tuple(case["wanted"]), case.get("user", ""), bool(case.get("fallback")), peer=case.get("peer", ""))
    return Pull(case["runtime"], Image(case.get("registry", "docker.io"), case.get("repository", "app")), wanted)


def asked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, asks_for_login: bool = False
) -> tuple[Seen, list[Endpoint]]:
    case = {**GIVEN[CASES[name]["of"]], **CASES[name]}
    for part in ("files", "programs"):
        both = {**(GIVEN[CASES[name]["of"]].get(part) or {}), **(CASES[name].get(part) or {})}
        case[part] = {key: value for key, value in both.items() if value is not None}
    monkeypatch.setattr(runtime, "_asks_for_login", lambda _: asks_for_login)
    return runtime.endpoints(told(tmp_path, case, monkeypatch), pull_of(case))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "asks" in case])
def test_endpoints_in_order(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, found = asked(name, tmp_path, monkeypatch)
    assert (seen.state, seen.findings) == (OK, ()), seen.said
    told_of = [
        {key: plain(getattr(each, key)) for key in wanted}
        for each, wanted in zip(found, CASES[name]["asks"], strict=True)
    ]
    assert told_of == CASES[name]["asks"]


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "cause" in case])
def test_the_reason(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    seen, found = asked(name, tmp_path, monkeypatch, asks_for_login=case["cause"] == "mirror-login-not-sent")
    assert (seen.state, found, [each.cause for each in seen.findings]) == (BROKEN, [], [case["cause"]]), seen.said
    assert case["says"] in seen.findings[0].evidence
    assert not [secret for secret in ("c2VjcmV0", "secret") if secret in str(seen)]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "cause" in case])
def test_the_fix_has_no_empty_place(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, _ = asked(name, tmp_path, monkeypatch, asks_for_login=CASES[name]["cause"] == "mirror-login-not-sent")
    document = Found("host1", seen.findings[0]).document("lab")
    lines = [document["because"], document["fix"], *(each["line"] for each in document["commands"])]
    assert not [place for line in lines for place in PLACE.findall(line)]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "skipped" in case])
def test_what_can_t_be_mirrored_is_no_finding(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, found = asked(name, tmp_path, monkeypatch)
    assert (seen.state, seen.findings, found) == (SKIPPED, (), [])
    assert CASES[name]["skipped"] in seen.said


def test_every_cause_of_the_runtime_is_tried_here() -> None:
    causes = {name for name in CATALOGUE if AREA_OF[name] == "runtime"}
    assert causes - {case.get("cause") for case in CASES.values()} == {"proxy-environment"}


def test_registry_mirrors_go_by_the_lines_that_are_theirs() -> None:
    text = (
        'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "/etc/containerd/certs.d"\n\n'
        '[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\n# theirs\nendpoint = ["http://m"]\n[debug]\n'
    )
    assert deletion(text, PATH) == f"sed -i.before-doctor '5,5d;7,7d' {PATH}"
    assert deletion("version = 2\n", PATH) == ""
    assert deletion("[no", PATH) == ""
