"""Decides: what others have in a config.json survives us byte for byte, and docker goes by what we put in.

Files in tests/cases/docker_cli_corpus are config.json as programs and people write it, beside one that is refused the
error; folders in tests/cases/docker_cli are merges. A new shape needs a file and no Python. What docker itself makes
of such files is decided in tests/lab.
"""

from __future__ import annotations

import base64
import codecs
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostctl.docker_cli_config import (
    AUTHS,
    HELPERS,
    STORE,
    Login,
    Wanted,
    answer,
    drift,
    key_of,
    merge,
    shown,
    unmerge,
)
from hostctl.errors import HostError
from hostctl.json_text import JsonText

settings.register_profile("merges", deadline=None)
settings.load_profile("merges")

PATH = "~me/.docker/config.json"
CASES = Path(__file__).parents[1] / "cases"
CORPUS = {path.stem: path for path in sorted((CASES / "docker_cli_corpus").glob("*.json"))}
REFUSED = {name: path.with_suffix(".error").read_text().strip() for name, path in CORPUS.items() if "refused" in name}
TAKEN = [name for name in CORPUS if name not in REFUSED]
SERVER = "192.168.1.11"
LOGIN = Login("puller", "pass-word")
WISHES = {
    "nothing": Wanted(),
    "login": Wanted({SERVER: LOGIN}),
    "helpers": Wanted({}, "pass", {SERVER: "lab", "docker.io": "lab"}),
    "all": Wanted({SERVER: LOGIN, "docker.io": Login("me", "p:w")}, "pass", {"a.example": "lab"}),
}


def survives(base: bytes | None, wanted: Wanted) -> None:
    once, ours, _ = merge(PATH, base, wanted)
    assert merge(PATH, once, wanted)[0] == once
    for server, meant in {**wanted.logins, **wanted.helpers}.items():
        assert answer(PATH, once, server) == meant
    assert drift(PATH, once, ours) == []
    assert unmerge(PATH, once, json.loads(json.dumps(ours))) == (base, [])


def keeps_others(base: bytes | None, wanted: Wanted) -> None:
    once, _, _ = merge(PATH, base, wanted)
    before, after = JsonText(PATH, base or b"{}"), JsonText(PATH, once)
    touched = {AUTHS: {*map(key_of, wanted.logins)}, HELPERS: {*map(key_of, (*wanted.logins, *wanted.helpers))}}
    assert [key for key in after.keys if key in before.keys] == before.keys
    for key in {*before.keys} - {AUTHS, STORE, HELPERS}:
        assert after.source(key) == before.source(key)
    for section, ours_there in touched.items():
        if not before.values.get(section):
            continue
        theirs, now = before.inside(section), after.inside(section)
        assert [key for key in now.keys if key in theirs.keys] == theirs.keys
        for key in {*theirs.keys} - ours_there:
            assert now.source(key) == theirs.source(key)


def test_the_corpus_is_whole() -> None:
    assert len(TAKEN) >= 40
    assert {path.stem for path in (CASES / "docker_cli_corpus").glob("*.error")} == set(REFUSED)


@pytest.mark.parametrize("wanted", WISHES.values(), ids=WISHES.keys())
@pytest.mark.parametrize("name", TAKEN)
def test_a_file_keeps_its_bytes(name: str, wanted: Wanted) -> None:
    if "our_server_broken" in name and not wanted.logins:
        with pytest.raises(HostError, match=r"auths\.192\.168\.1\.11 must be"):
            merge(PATH, CORPUS[name].read_bytes(), wanted)
    else:
        survives(CORPUS[name].read_bytes(), wanted)
        keeps_others(CORPUS[name].read_bytes(), wanted)


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_docker_would_not_read_is_an_error_that_says_where(name: str) -> None:
    with pytest.raises(HostError) as refused:
        merge(PATH, CORPUS[name].read_bytes(), WISHES["login"])
    assert str(refused.value).startswith(PATH)
    assert REFUSED[name] in str(refused.value)


@pytest.mark.parametrize("name", CORPUS)
def test_no_file_shows_a_secret(name: str) -> None:
    content = CORPUS[name].read_bytes()
    text = shown(PATH, content)
    if name in REFUSED and not text.startswith("{"):
        assert text.startswith("not shown: ")
    for secret in ("YWxpY2U6", "Ym9iOnR3", "Bearer", "me:pw", "eyJ", "abc.def", "bm9kZTpwd"):
        assert secret not in text


def wanted_of(case: Path) -> Wanted:
    wish = json.loads((case / "wish.json").read_text())
    logins = {server: Login(*login) for server, login in wish.get("logins", {}).items()}
    return Wanted(logins, wish.get("store"), wish.get("helpers", {}))


@pytest.mark.parametrize("case", sorted((CASES / "docker_cli").iterdir()), ids=lambda path: path.name)
def test_merge_case(case: Path) -> None:
    base = (case / "in.json").read_bytes() if (case / "in.json").exists() else None
    text, _, notes = merge(PATH, base, wanted_of(case))
    assert text == (case / "out.json").read_bytes()
    told = (case / "notes.txt").read_text().splitlines() if (case / "notes.txt").exists() else []
    assert len(notes) == len(told)
    for note, start in zip(notes, told, strict=True):
        assert note.startswith(f"{PATH}: {start}")
    survives(base, wanted_of(case))
    keeps_others(base, wanted_of(case))


def test_a_huge_file_keeps_its_bytes() -> None:
    auth = base64.b64encode(b"a:b").decode()
    servers = {f"server-{number}.example": {"auth": auth} for number in range(2_000)}
    survives(json.dumps({"auths": servers, "psFormat": "x"}, indent="\t").encode(), WISHES["all"])


servers = st.from_regex(r"[a-c]\.example(:50[0-9]{2})?", fullmatch=True) | st.just("docker.io")
texts = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_characters=":"), min_size=1, max_size=8)
logins = st.builds(Login, texts, texts)
helper_names = st.sampled_from(["pass", "lab", "ecr-login"])


@st.composite
def wishes(draw: st.DrawFn) -> Wanted:
    names = draw(st.lists(servers, max_size=4, unique=True))
    by_helper = draw(st.sets(st.sampled_from(names))) if names else set()
    return Wanted(
        {name: draw(logins) for name in names if name not in by_helper},
        draw(st.none() | helper_names),
        {name: draw(helper_names) for name in names if name in by_helper},
    )


keys = servers.map(key_of) | st.text(max_size=6)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
)
entries = st.none() | st.fixed_dictionaries(
    {}, optional={"auth": logins.map(lambda login: login.auth) | st.just(""), "email": st.text(), "x": anything}
)
sections = st.fixed_dictionaries(
    {},
    optional={
        AUTHS: st.none() | st.dictionaries(keys, entries, max_size=3),
        STORE: st.none() | helper_names | st.just(""),
        HELPERS: st.none() | st.dictionaries(keys, helper_names | st.sampled_from(["", None]), max_size=3),
    },
)
RESERVED = {AUTHS, STORE.casefold(), HELPERS.casefold()}
foreign = st.dictionaries(st.text(max_size=6).filter(lambda key: key.casefold() not in RESERVED), anything, max_size=3)


STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
"""A string of JSON."""


@st.composite
def config_texts(draw: st.DrawFn) -> bytes:
    """A config.json in any way of writing it."""
    document = dict(draw(st.permutations(list({**draw(foreign), **draw(sections)}.items()))))
    text = json.dumps(document, indent=draw(st.sampled_from([None, 1, 2, "\t"]))) + draw(st.sampled_from(["", "\n"]))
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    if draw(st.booleans()) and not any("{}" in each for each in STRING.findall(text)):
        text = text.replace("{}", draw(st.sampled_from(["{ }", "{\n}", "{\r\n\t}"])))
    return draw(st.sampled_from([b"", codecs.BOM_UTF8])) + text.encode()


@given(st.none() | config_texts(), wishes())
def test_any_file_keeps_its_bytes(base: bytes | None, wanted: Wanted) -> None:
    survives(base, wanted)
    keeps_others(base, wanted)


@given(config_texts(), wishes(), st.sampled_from([AUTHS, HELPERS]), st.text(min_size=9, max_size=12))
def test_what_came_since_stays(base: bytes, wanted: Wanted, section: str, key: str) -> None:
    merged, ours, _ = merge(PATH, base, wanted)
    document = JsonText(PATH, merged)
    if not document.values.get(section):
        document.set(section, {})
    document.inside(section).set(key, {"auth": ""} if section == AUTHS else "new")
    back, notes = unmerge(PATH, document.encoded(), ours)
    assert notes == []
    left, before = JsonText(PATH, back or b"").values, JsonText(PATH, base).values
    assert left.pop(section) == {**(before.pop(section, None) or {}), key: {"auth": ""} if section == AUTHS else "new"}
    assert left == before


def rewritten(text: bytes, change: Any) -> bytes:
    """The file as docker writes it: its own indent and order."""
    document = json.loads(text)
    change(document)
    return json.dumps({key: document[key] for key in sorted(document)}, indent="\t").encode()


def test_our_login_is_found_in_a_file_that_docker_has_written_since() -> None:
    base = b'{"auths": {"a.example": {}}, "psFormat": "x"}'
    merged, ours, _ = merge(PATH, base, WISHES["all"])
    edited = rewritten(merged, lambda document: document[AUTHS].update({"new.example": {"auth": ""}}))
    back, notes = unmerge(PATH, edited, ours)
    assert (json.loads(back or b""), notes) == (
        {"auths": {"a.example": {}, "new.example": {"auth": ""}}, "psFormat": "x"},
        [],
    )


def test_somebody_s_login_and_logout_since_stay_and_are_told() -> None:
    merged, ours, _ = merge(PATH, None, WISHES["all"])

    def change(document: Any) -> None:
        document[AUTHS][SERVER] = {"auth": Login("else", "secret").auth}
        del document[AUTHS][key_of("docker.io")]

    edited = rewritten(merged, change)
    assert [(each.key, each.found) for each in drift(PATH, edited, ours)] == [
        (f"auths.{SERVER}", {"auth": Login("else", "secret").auth}),
        ("auths.https://index.docker.io/v1/", None),
    ]
    back, notes = unmerge(PATH, edited, ours)
    assert json.loads(back or b"") == {AUTHS: {SERVER: {"auth": Login("else", "secret").auth}}}
    assert notes == [
        f"{PATH}: somebody has taken auths.https://index.docker.io/v1/ out since",
        f"{PATH}: somebody has changed auths.{SERVER} since; theirs stays",
    ]


def test_a_file_of_ours_goes_when_somebody_has_logged_out_of_everything() -> None:
    _, ours, _ = merge(PATH, None, WISHES["login"])
    assert unmerge(PATH, b'{\n\t"auths": {}\n}', ours)[0] is None


@pytest.mark.parametrize("key", ["auth", "identitytoken", "registrytoken", "password", "\\u0061uth", "X-Other"])
def test_nothing_below_auths_but_names_is_shown(key: str) -> None:
    text = f'{{"AUTHS": {{"a": {{"username": "me", "{key}": "hidden"}}}}, "auths": {{"b": {{"{key}": ["hidden"]}}}}}}'
    assert "hidden" not in shown(PATH, text.encode())
    assert '"username": "me"' in shown(PATH, text.encode())
