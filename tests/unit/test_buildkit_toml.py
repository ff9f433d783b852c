"""Decides: our keys stand in buildkitd.toml where buildkitd reads them, and what others wrote there survives us.

Cases are folders in tests/cases/buildkit_mirrors: what is there (in.toml, absent for no file), the registries of the
wish (wish.json), and the text (out.toml) or the error (error.txt).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from hostctl import buildkit_toml
from hostctl.buildkit_toml import Registry, Wanted
from hostctl.errors import HostError

settings.register_profile("merges", deadline=None)
settings.load_profile("merges")

CASES = Path(__file__).parents[1] / "cases" / "buildkit_mirrors"
SERVERS = ["docker.io", "quay.io", "m:5080", "plain"]


def read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def wish(case: Path) -> Wanted:
    tables = json.loads((case / "wish.json").read_text())
    return {name: Registry(**{key: plain(value) for key, value in each.items()}) for name, each in tables.items()}


def plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def data(text: bytes) -> dict[str, Any]:
    return tomlkit.parse(text.decode("utf-8-sig")).unwrap()


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda path: path.name)
def test_buildkitd_toml_case(case: Path) -> None:
    base, error = read(case / "in.toml"), read(case / "error.txt")
    if error:
        with pytest.raises(HostError) as refused:
            buildkit_toml.merge(base, wish(case))
        assert error.decode().strip() in str(refused.value)
    else:
        text, ours = buildkit_toml.merge(base, wish(case))
        assert text == (case / "out.toml").read_bytes()
        assert buildkit_toml.unmerge(text, json.loads(json.dumps(ours))) == (base, [])
        assert buildkit_toml.drift(text, ours) == []


words = st.from_regex(r"[a-c]{1,3}", fullmatch=True)
mirrors = st.lists(st.sampled_from(["m:5080", "n", "o/path"]), unique=True, max_size=2)
authorities = st.lists(st.sampled_from(["/a.pem", "/b.pem"]), unique=True, max_size=2)
wishes = st.dictionaries(
    st.sampled_from(SERVERS),
    st.builds(Registry, mirrors.map(tuple), st.booleans(), st.booleans(), authorities.map(tuple)),
    max_size=3,
)


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """A buildkitd.toml with tables in any order, comments, lists over several lines and some of our keys."""
    pieces = []
    for server in draw(st.lists(st.sampled_from(SERVERS), unique=True)):
        name = draw(st.sampled_from([f'"{server}"', f"'{server}'"]))  # tomlkit writes both headers like the first
        lines = [f"{draw(st.sampled_from(['', '  ']))}[registry.{name}]"]
        for key, items in (("mirrors", draw(mirrors)), ("ca", draw(authorities))):
            lines += [f"{key} = {draw(listed(items))}"] if draw(st.booleans()) else []
        lines += [f"  http = {draw(st.sampled_from(['true', 'false']))} # theirs"] if draw(st.booleans()) else []
        lines += [f'[[registry.{name}.keypair]]\nkey = "/k"'] if draw(st.booleans()) else []
        pieces.append("\n".join(lines))
    for table in draw(st.lists(st.sampled_from(["log", "worker.oci", "grpc"]), unique=True)):
        pieces.append(f"[{table}]\n{draw(words)} = 1 # theirs")
    pieces = draw(st.permutations(pieces))
    text = "\n".join(["# top", "root = '/x'", *pieces]) + draw(st.sampled_from(["", "\n", "\n# end\n"]))
    return (text.replace("\n", "\r\n") if draw(st.booleans()) else text).encode()


def listed(items: list[str]) -> st.SearchStrategy[str]:
    short = ", ".join(f'"{each}"' for each in items)
    long = "".join(f'\n  "{each}", # {each}' for each in items)
    return st.sampled_from([f"[{short}]", f"[{long}\n]", f"[ # first{long}\n  # last\n]"])


def valid(text: bytes) -> bool:
    try:
        data(text)
    except Exception:
        return False
    return True


bases = texts().filter(valid)


@settings(max_examples=50)
@given(bases, wishes)
def test_everything_else_stays_and_ours_comes_first(base: bytes, wanted: Wanted) -> None:
    text, _ = buildkit_toml.merge(base, wanted)
    expected = data(base)
    for name, each in wanted.items():
        for key, value in each._asdict().items():
            if value:
                table = expected.setdefault("registry", {}).setdefault(name, {})
                theirs = table.get(key, []) if isinstance(value, tuple) else []
                table[key] = [*value, *(one for one in theirs if one not in value)] if value != True else True  # noqa: E712
    assert data(text) == expected
    assert all(text.count(mark) == base.count(mark) for mark in (b"# top", b"# theirs", b"# end"))
    assert (b"\r\n" in base) == (b"\r\n" in text)
    assert buildkit_toml.holds(text, wanted)
    assert buildkit_toml.holds(base, wanted) == (data(base) == data(text))


@settings(max_examples=50)
@given(bases | st.none(), wishes)
def test_merged_twice_is_merged_once(base: bytes | None, wanted: Wanted) -> None:
    once, _ = buildkit_toml.merge(base, wanted)
    assert buildkit_toml.merge(once, wanted)[0] == once


@settings(max_examples=50)
@given(bases | st.none(), wishes)
def test_unmerged_is_the_text_that_was_there(base: bytes | None, wanted: Wanted) -> None:
    text, ours = buildkit_toml.merge(base, wanted)
    assert buildkit_toml.unmerge(text, json.loads(json.dumps(ours))) == (base, [])


@settings(max_examples=50)
@given(bases, wishes)
def test_unmerged_after_a_foreign_edit_is_that_edit(base: bytes, wanted: Wanted) -> None:
    text, ours = buildkit_toml.merge(base, wanted)
    edited = text.replace(b"# top", b"debug = true", 1) + b'\n[cdi]\nspecDirs = ["/x"]\n'
    back, notes = buildkit_toml.unmerge(edited, json.loads(json.dumps(ours)))
    assert notes == []
    assert back is not None
    assert data(back) == {**data(base), "debug": True, "cdi": {"specDirs": ["/x"]}}


@settings(max_examples=50)
@given(bases, wishes, st.sampled_from(SERVERS))
def test_what_somebody_puts_into_our_lists_is_theirs(base: bytes, wanted: Wanted, server: str) -> None:
    text, ours = buildkit_toml.merge(base, wanted)
    document = tomlkit.parse(text.decode())
    if "mirrors" not in document.get("registry", {}).get(server, {}):
        return
    document["registry"][server]["mirrors"].append("new.example")
    edited = document.as_string().encode()
    assert buildkit_toml.drift(edited, ours) == []
    back, notes = buildkit_toml.unmerge(edited, json.loads(json.dumps(ours)))
    assert notes == []
    assert back is not None
    before = data(base).get("registry", {}).get(server, {}).get("mirrors", [])
    assert sorted(data(back)["registry"][server]["mirrors"]) == sorted([*before, "new.example"])


def test_a_mirror_that_somebody_has_taken_out_is_told() -> None:
    text, ours = buildkit_toml.merge(None, {"docker.io": Registry(("m:5080",))})
    other = text.replace(b"m:5080", b"n")
    assert [each.key for each in buildkit_toml.drift(other, ours)] == ['registry."docker.io".mirrors']
    back, notes = buildkit_toml.unmerge(other, ours)
    assert data(back or b"") == {"registry": {"docker.io": {"mirrors": ["n"]}}}
    assert notes == [
        '/etc/buildkit/buildkitd.toml: somebody has taken m:5080 out of registry."docker.io".mirrors since'
    ]


@pytest.mark.parametrize("now", ['"http://me:geheim@n"', '["http://me:geheim@n"]', '{ password = "geheim" }'])
def test_a_password_that_somebody_has_put_there_is_not_told(now: str) -> None:
    text, ours = buildkit_toml.merge(None, {"docker.io": Registry(("m:5080",))})
    back, notes = buildkit_toml.unmerge(text.replace(b'["m:5080"]', now.encode()), ours)
    assert b"geheim" in (back or b"")
    assert len(notes) == 1
    assert "geheim" not in notes[0]


def test_a_flag_that_somebody_has_changed_stays() -> None:
    text, ours = buildkit_toml.merge(b"", {"m": Registry(http=True)})
    back, notes = buildkit_toml.unmerge(text.replace(b"true", b"false"), ours)
    assert data(back or b"") == {"registry": {"m": {"http": False}}}
    assert len(notes) == 1
    assert "somebody has changed registry.m.http from True to False since; theirs stays" in notes[0]
    assert buildkit_toml.drift(b"", ours)
