"""Decides what drift does to a state: which resources change, what a preview will show, and that no secret is lost."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from hostctl.__main__ import read_request
from hostctl.host import Host
from hostctl.transaction import Transactions
from hostctl.unit import HEADER
from ops.deployment import COMMAND, STACK
from ops.drift_marks import Drift, is_drift, places, wanted, with_drift
from ops.drift_table import changed_lines, rows
from settings.resource_names import HOST
from tests.unit.hostctl_app import OLD, App, host, tree

__all__ = ["host"]

OWNER = "http-registry/lab"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:abc"}
DAEMON, SITE, RULES = "/etc/docker/daemon.json", "/etc/nginx/conf.d/http-registry.conf", "/etc/http-registry/v4"
OURS = f"# Only sometimes.\n# {HEADER}\nallow all;\n"
DOCUMENTS = {"a": {DAEMON: '{"max": 6}\n', SITE: OURS}, "b": {DAEMON: '{"max": 6}\n'}}
CLEAN: Drift = {"files": {}}
KEY: Drift = {"files": {DAEMON: {"keys": [{"key": "max", "wanted": 6, "found": 5}]}}}
EDITED: Drift = {"files": {SITE: {"keys": [], "text": f"# {HEADER}\nallow none;\n"}}}
GONE: Drift = {"files": {SITE: {"keys": [], "text": None}}}
FLUSHED: Drift = {"files": {}, "live": "the chain is gone"}


def resource(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"urn": f"urn:pulumi:lab::http-registry::{kind}::{name}", "type": kind, **more}


def unit(host: str, name: str) -> dict[str, Any]:
    inputs = {"create": "python3 -I -S /var/lib/hostctl-1.pyz apply", "stdin": SECRET, "connection": SECRET}
    return resource(COMMAND, f"{host}-{name}", inputs=inputs, outputs={**inputs, "stdout": "{}"})


DEPLOYMENT: dict[str, Any] = {
    "secrets_providers": {"type": "passphrase"},
    "resources": [
        resource(STACK, "http-registry-lab", outputs={"documents": DOCUMENTS, "mirrors": {}}),
        resource(HOST, "a"),
        resource(HOST, "b"),
        resource(COMMAND, "a-python", inputs={"create": "python3 -c pass", "stdin": "{}"}),
        unit("a", "docker-mirrors"),
        unit("a", "nginx-proxy"),
        unit("a", "firewall"),
        unit("b", "docker-mirrors"),
        resource("docker:index/container:Container", "hosted-container", inputs={"uploads": SECRET}),
    ],
}


def marked(drift: dict[str, Drift], deployment: dict[str, Any] = DEPLOYMENT) -> dict[str, Any]:
    """The state after a drift run that found this on host a; the one before is left as it is."""
    before = copy.deepcopy(deployment)
    after = with_drift(deployment, {"a": drift, "b": {"docker-mirrors": CLEAN}}, OWNER)
    assert deployment == before
    return after


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    pairs = zip(before["resources"], after["resources"], strict=True)
    return [new["urn"].rpartition("::")[2] for old, new in pairs if old != new]


def documents(deployment: dict[str, Any]) -> Any:
    return deployment["resources"][0]["outputs"]["documents"]


def stdin(deployment: dict[str, Any], name: str) -> Any:
    return next(each for each in deployment["resources"] if each["urn"].endswith(f"::{name}"))["inputs"]["stdin"]


def test_the_state_tells_every_unit_with_its_host_and_program() -> None:
    assert [(each.host, each.unit) for each in places(DEPLOYMENT)] == [
        ("a", "docker-mirrors"),
        ("a", "nginx-proxy"),
        ("a", "firewall"),
        ("b", "docker-mirrors"),
    ]
    assert {each.program for each in places(DEPLOYMENT)} == {"/var/lib/hostctl-1.pyz"}
    assert places({}) == []


def test_no_drift_changes_nothing() -> None:
    assert marked(dict.fromkeys(("docker-mirrors", "nginx-proxy", "firewall"), CLEAN)) == DEPLOYMENT


def test_a_drifted_unit_and_the_documents_change_and_nothing_else() -> None:
    after = marked({"docker-mirrors": KEY, "nginx-proxy": CLEAN, "firewall": CLEAN})
    assert changed(DEPLOYMENT, after) == ["http-registry-lab", "a-docker-mirrors"]
    new = after["resources"][4]
    assert new["inputs"]["connection"] == new["outputs"]["connection"] == SECRET
    assert new["inputs"]["stdin"] == new["outputs"]["stdin"]
    assert after["secrets_providers"] == DEPLOYMENT["secrets_providers"]


@pytest.mark.parametrize(
    ("drift", "path", "text"),
    [
        ({"docker-mirrors": KEY}, DAEMON, DOCUMENTS["a"][DAEMON]),
        ({"docker-mirrors": KEY}, f"{DAEMON}, changed", '{\n  "max": "found 5, wanted 6"\n}\n'),
        ({"nginx-proxy": EDITED}, SITE, OURS.replace("all;", "none;")),
        ({"nginx-proxy": GONE}, SITE, None),
        ({"firewall": FLUSHED}, "firewall, running", "the chain is gone"),
    ],
)
def test_documents_say_what_was_found(drift: dict[str, Drift], path: str, text: str | None) -> None:
    after = documents(marked(drift))
    assert after["a"].get(path) == text
    assert after["b"] == DOCUMENTS["b"]


def test_what_only_the_mask_hides_is_no_changed_line() -> None:
    rendered = f'# {HEADER}\nAuthorization = "Basic ***"\n'
    file: dict[str, Any] = {"keys": [], "text": f'# {HEADER}\nAuthorization = "***"\nnew\n'}
    lines = "\n".join(changed_lines({"files": {SITE: file}}, {SITE: rendered})).splitlines()
    assert [line for line in lines if line.startswith(("+", "-"))] == ["--- wanted", "+++ found", "+new"]


def test_a_second_run_knows_what_is_wanted_and_changes_nothing_more() -> None:
    drift = {"docker-mirrors": KEY, "nginx-proxy": EDITED, "firewall": FLUSHED}
    after = marked(drift)
    assert wanted(after) == DOCUMENTS
    assert marked(drift, after) == after


@pytest.mark.parametrize("drift", [KEY, EDITED, GONE, FLUSHED])
def test_where_the_drift_is_gone_by_itself_the_documents_are_right_again(drift: Drift) -> None:
    name = {DAEMON: "docker-mirrors", SITE: "nginx-proxy"}.get("".join(drift["files"]), "firewall")
    after = marked({name: CLEAN}, marked({name: drift}))
    assert documents(after) == DOCUMENTS
    assert json.loads(stdin(after, f"a-{name}"))["drift"] == CLEAN


def test_a_host_that_was_not_asked_stays_marked() -> None:
    after = marked({"nginx-proxy": EDITED})
    assert with_drift(after, {}, OWNER) == after


def test_a_state_without_documents_is_marked_all_the_same() -> None:
    bare = {**DEPLOYMENT, "resources": [resource(STACK, "s", outputs={}), *DEPLOYMENT["resources"][1:]]}
    assert changed(bare, marked({"docker-mirrors": KEY}, bare)) == ["a-docker-mirrors"]


def test_a_mark_is_a_request_by_which_the_unit_is_removed(host: Host) -> None:
    before = tree(host)
    Transactions(host, owner=f"{OWNER}/a").apply(App(), OLD)
    request = read_request(stdin(marked({"docker-mirrors": KEY}), "a-docker-mirrors").encode())
    assert (request.unit, request.wish) == ("docker-mirrors", {})
    assert Transactions(host, owner=request.owner).remove(App())["result"] == "removed"
    assert tree(host) == before


def test_the_table_has_a_row_for_each_key_and_for_the_program() -> None:
    drift = {**KEY, "live": "asleep"}
    assert list(rows(drift)) == [(DAEMON, "max", "6", "5"), ("", "running", "as the files say", "asleep")]
    assert [row[3] for each in (EDITED, GONE) for row in rows(each)] == ["changed, see below", "no file"]


@pytest.mark.parametrize(("drift", "told"), [(CLEAN, False), (KEY, True), (FLUSHED, True)])
def test_what_counts_as_drift(drift: Drift, told: bool) -> None:
    assert is_drift(drift) is told


def test_a_stack_that_has_never_been_up_has_nothing_to_mark() -> None:
    assert with_drift({"manifest": {}}, {}, "project/stack") == {"manifest": {}}
