"""Decides what a preview tells of the engine's events. tests/preview/test_preview.py has the engine's own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from hostctl.unit import NONE, RELOAD, RESTART
from ops.deployment import COMMAND, STACK
from ops.preview_effects import AGAIN, DRIFTED, HIDDEN, Effect, effects
from ops.preview_plan import Plan, plan
from ops.preview_report import COMMENT_LIMIT, changes, counted, cut, failure, markdown, marker, text
from settings.resource_names import HOST

Event = dict[str, Any]
DAEMON, HUB, CONFIG = "/etc/docker/daemon.json", "/etc/docker/certs.d/docker.io/hosts.toml", "hosted:/etc/x/config.yml"
RUNTIMES, REGISTRY, FIREWALL = (f"http-registry:index:{each}" for each in ("RuntimeMirrorConfig", "HttpRegistry", "F"))
CONTAINER = "docker:index/container:Container"
SIX = '{\n  "debug": true,\n  "max-concurrent-downloads": 6\n}\n'
EIGHT = SIX.replace("6", "8")
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"}


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:prod::http-registry::{kind}::{name}"


def step(op: str, kind: str, name: str, **more: Any) -> Event:
    return {"resourcePreEvent": {"metadata": {"op": op, "type": kind, "urn": urn(kind, name), **more}}}


def ended(kind: str, name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any], old_name: str = "") -> Event:
    before = None if old is None else {"urn": urn(kind, old_name or name), "outputs": old}
    after = {"urn": urn(kind, name), "outputs": new}
    return {
        "resOutputsEvent": {"metadata": {"op": "same", "type": kind, "urn": after["urn"], "old": before, "new": after}}
    }


def stack(before: Mapping[str, Any], after: Mapping[str, Any], *others: Mapping[str, Any]) -> Event:
    """`others`: what the outputs are besides, before and after."""
    ends = [{"documents": texts, **more} for texts, more in zip((before, after), others or ({}, {}), strict=True)]
    return ended(STACK, "http-registry-prod", ends[0], ends[1])


def unit(op: str, name: str, why: Sequence[str] = ("stdin",), **old: Any) -> Event:
    state = {"inputs": {"stdin": SECRET}, "outputs": {}, **old}
    return step(op, COMMAND, name, diffs=list(why), old=None if op == "create" else state)


ONE = [
    ended(HOST, "one", {}, {}),
    ended(HOST, "one-two", {}, {}),
    ended(RUNTIMES, "one-runtimes", {}, {"host": "one", "files": {"one-docker-mirrors": [DAEMON, HUB]}}),
    ended(REGISTRY, "hosted", {}, {"host": "one", "files": {"hosted-container": [CONFIG]}}),
    ended(FIREWALL, "one-firewall", {}, {"host": "one", "files": {"one-firewall": ["a"]}, "confirm_seconds": 77.0}),
]


def seen(*events: Event) -> list[Effect]:
    return list(effects(plan([*ONE, *events])))


def lines(effect: Effect) -> list[str]:
    return [line for diff in effect.diffs for line in diff.lines]


def test_just_the_hunk_that_differs_is_shown_and_what_it_does() -> None:
    (effect,) = seen(
        stack({"one": {DAEMON: SIX, HUB: "a"}}, {"one": {DAEMON: EIGHT, HUB: "a"}}),
        unit("update", "one-docker-mirrors"),
    )
    assert effect.levels == (RELOAD, RESTART)
    assert lines(effect) == [
        f"--- {DAEMON}",
        f"+++ {DAEMON}",
        "@@ -1,4 +1,4 @@",
        " {",
        '   "debug": true,',
        '-  "max-concurrent-downloads": 6',
        '+  "max-concurrent-downloads": 8',
        " }",
    ]


def test_the_last_report_tells_which_docker_it_is() -> None:
    report = {"stdout": json.dumps({"engine": "20.10.24", "store": False})}
    documents = stack({"one": {DAEMON: SIX}}, {"one": {DAEMON: EIGHT}})
    (effect,) = seen(documents, unit("update", "one-docker-mirrors", outputs=report))
    assert effect.levels == (RELOAD,)


def test_a_unit_that_does_not_change_shows_nothing_though_its_texts_differ() -> None:
    """So it is after an `up` that has failed behind it: the outputs are the old ones."""
    texts = {DAEMON: SIX, CONFIG: "a\n"}, {DAEMON: EIGHT, CONFIG: "b\n"}
    container = step("replace", CONTAINER, "hosted-container", diffs=["uploads[0].content"],
                     provider=f"{urn('pulumi:providers:docker', 'one-docker')}::id")  # fmt: skip
    (effect,) = seen(stack({"one": texts[0]}, {"one": texts[1]}), container)
    assert [diff.path for diff in effect.diffs] == [CONFIG]
    assert effect.step.host == "one"


@pytest.mark.parametrize(
    ("containers", "drained", "said"),
    [
        (["one.r-container"], True, "pushes are held off"),
        (["one.r-container", "one.r-container-2", "one.s-container"], True, "one after the other"),
        (["one.r-container", "one.r-container-2"], False, "is cut"),
    ],
)
def test_a_container_that_is_replaced_is_missed_by_nobody_where_it_is_drained(
    containers: list[str], drained: bool, said: str
) -> None:
    steps = [step("replace", CONTAINER, "one.r-container")]
    if drained:
        steps.append(step("update", COMMAND, "one.r-container-drained"))
    files = ended(REGISTRY, "one.r", {}, {"host": "one", "files": {name: [CONFIG] for name in containers}})
    first, *others = seen(stack({}, {}), files, *steps)
    assert said in first.text
    assert [each.text for each in others] == ["no more requests come to the container; those under way end first"] * (
        len(others)
    )


def test_a_new_unit_shows_all_of_its_texts_though_the_outputs_have_them() -> None:
    """So it is after `up --target` of others."""
    (effect,) = seen(stack({"one": {DAEMON: SIX}}, {"one": {DAEMON: SIX}}), unit("create", "one-docker-mirrors"))
    assert lines(effect) == [
        "--- /dev/null",
        f"+++ {DAEMON}",
        "@@ -0,0 +1,4 @@",
        *(f"+{each}" for each in SIX.splitlines()),
    ]


def test_a_text_that_nobody_can_read_leaves_it_to_the_host() -> None:
    texts = stack({"one": {DAEMON: SIX}}, {"one": {DAEMON: "[secret]"}})
    (effect,) = seen(texts, unit("update", "one-docker-mirrors"))
    assert effect.levels == (NONE, RELOAD, RESTART)


def test_a_unit_that_goes_shows_what_goes() -> None:
    (effect,) = seen(stack({"one": {DAEMON: SIX}}, {}), unit("delete", "one-docker-mirrors", ()))
    assert [line[:1] for line in lines(effect)] == ["-", "+", "@", *"----"]


def test_where_no_text_differs_that_is_said() -> None:
    (effect,) = seen(stack({"one": {HUB: "a"}}, {"one": {HUB: "a"}}), unit("update", "one-docker-mirrors"))
    assert (effect.notes, effect.diffs, effect.levels) == ((HIDDEN,), (), (NONE,))


def test_another_hostctl_alone_changes_nothing() -> None:
    texts = stack({"one": {DAEMON: SIX}}, {"one": {DAEMON: EIGHT}})
    (effect,) = seen(texts, unit("update", "one-docker-mirrors", ("create", "delete")))
    assert (effect.text, effect.levels, effect.diffs) == (AGAIN.text, (NONE,), ())


@pytest.mark.parametrize(
    ("drift", "found", "levels"),
    [
        ({"files": {DAEMON: {"keys": []}}}, {f"{DAEMON}, changed": "{}\n"}, (RELOAD, RESTART)),
        ({"files": {HUB: {"text": "b", "keys": []}}}, {HUB: "b\n"}, (NONE,)),
        ({"files": {}, "live": "no mirror"}, {"docker-mirrors, running": "no mirror"}, (NONE, RELOAD, RESTART)),
    ],
    ids=["keys", "file", "running"],
)
def test_drift_is_shown_with_what_its_repair_does(drift: Event, found: dict[str, str], levels: tuple[str, ...]) -> None:
    rendered = {DAEMON: SIX, HUB: "a\n"}
    mark: Event = {"inputs": {"stdin": json.dumps({"owner": "", "unit": "docker-mirrors", "drift": drift})}}
    (effect,) = seen(
        stack({"one": {**rendered, **found}}, {"one": rendered}), unit("update", "one-docker-mirrors", **mark)
    )
    assert effect.notes == (DRIFTED,)
    assert effect.levels == levels
    assert [diff.path for diff in effect.diffs] == list(found)


def test_the_longer_name_of_two_hosts_owns_a_resource() -> None:
    (effect,) = seen(stack({}, {}), unit("update", "one-two-docker-cli"))
    assert (effect.step.host, effect.step.unit) == ("one-two", "docker-cli")


def test_a_renamed_host_has_its_texts_under_its_old_name() -> None:
    events = [
        ended(HOST, "new", {}, {}, old_name="old"),
        ended(RUNTIMES, "new-runtimes", {}, {"host": "new", "files": {"new-docker-mirrors": [DAEMON]}}),
        stack({"old": {DAEMON: SIX}}, {"new": {DAEMON: EIGHT}}),
        unit("update", "new-docker-mirrors"),
    ]
    (effect,) = effects(plan(events))
    assert [line for line in lines(effect)[3:] if line[0] in "+-"] == [
        '-  "max-concurrent-downloads": 6',
        '+  "max-concurrent-downloads": 8',
    ]


def test_the_time_of_the_firewalls_trial_comes_from_its_component() -> None:
    (effect,) = seen(stack({"one": {"a": "1\n"}}, {"one": {"a": "2\n"}}), unit("update", "one-firewall"))
    assert "77 s" in effect.text


def whole(**counts: int) -> Plan:
    summary = {"summaryEvent": {"resourceChanges": counts}}
    warning = {"diagnosticEvent": {"severity": "warning", "message": "<{%fg 3%}>soon<{%reset%}>\n"}}
    documents = stack({"one": {DAEMON: SIX}}, {"one": {DAEMON: f"# ```\n{EIGHT}"}}, {"n": 1}, {"n": 2})
    return plan([*ONE, documents, unit("update", "one-docker-mirrors"), warning, summary])


def test_the_text_has_resources_effects_outputs_warnings_and_counts() -> None:
    shown = list(text(whole(update=1, same=4), "prod"))
    assert shown[0] == "update  one  one-docker-mirrors  its wish"
    assert "one" in shown
    assert '+  "max-concurrent-downloads": 8' in shown
    assert '+  "n": 2' in shown
    assert shown[-2:] == ["warning: soon", "prod: 1 to update, 4 unchanged"]


def test_unchanged_is_said_plainly() -> None:
    plain = plan([*ONE, {"summaryEvent": {"resourceChanges": {"same": 7}}}])
    assert not changes(plain)
    assert list(text(plain, "prod")) == ["prod: 7 unchanged: nothing changes"]
    assert "nothing changes" in markdown(plain, "prod")


def test_a_comment_begins_with_its_mark_and_no_text_ends_its_fence() -> None:
    said = markdown(whole(update=1), "prod")
    assert said.startswith(f"{marker('prod')}\n")
    assert "````diff" in said
    assert said.count("<details") == said.count("</details>") == 2


def test_a_long_comment_is_cut_at_a_line_and_says_so() -> None:
    longer = "x" * 100 + "\n"
    said = cut("<details>\n\n```diff\n" + longer * 2000 + "```\n", COMMENT_LIMIT)
    assert len(said) <= COMMENT_LIMIT
    assert len(said) > COMMENT_LIMIT - 500
    assert "\n```\n</details>\n\n**Cut" in said
    left = 2004 - said.count(longer) - 3
    assert f"**Cut: {left} more lines.**" in said
    assert cut("short\n", COMMENT_LIMIT) == "short\n"


def test_a_failure_is_a_comment_too() -> None:
    said = failure("prod", "error: ``` settings: 2 errors\n")
    assert said.startswith(f"{marker('prod')}\n## Preview of `prod` failed")
    assert "````\nerror: ``` settings: 2 errors\n````" in said
    assert len(failure("prod", "line\n" * 50_000)) <= COMMENT_LIMIT


def test_counts_are_the_engines() -> None:
    assert counted(plan([{"summaryEvent": {"resourceChanges": {"create": 19}}}])) == "19 to create"
