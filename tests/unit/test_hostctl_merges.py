"""Decides: what others wrote in a shared file survives us, and what we wrote can be taken out again.

Cases are folders in tests/cases: what is there (in.*, absent for no file), the wish, and the text or the error.
"""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostctl import daemon_json
from hostctl.daemon_json import DEBUG, DOWNLOADS, INSECURE, MIRRORS
from hostctl.docker_engine import LOOPBACK
from hostctl.errors import HostError
from hostctl.masking import masked

settings.register_profile("merges", deadline=None)
settings.load_profile("merges")

CASES = Path(__file__).parent.parent / "cases"

hosts = st.from_regex(r"[a-c]\.example(:50[0-9]{2})?", fullmatch=True)
urls = st.builds("{}://{}{}".format, st.sampled_from(["http", "https"]), hosts, st.sampled_from(["", "/"]))
docker_wishes = st.builds(
    daemon_json.Wanted,
    st.lists(urls, max_size=3).map(tuple),
    st.lists(hosts, max_size=3).map(tuple),
    st.none() | st.integers(1, 20),
    st.none() | st.booleans(),
    st.sampled_from([(), LOOPBACK]),
)
OURS = (MIRRORS, INSECURE, DOWNLOADS, DEBUG)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
foreign_keys = st.text(max_size=8).filter(lambda key: key not in OURS)
foreign = st.dictionaries(
    foreign_keys,
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_size=4,
)
known = st.fixed_dictionaries(
    {},
    optional={
        MIRRORS: st.lists(urls, max_size=3),
        INSECURE: st.lists(hosts, max_size=3),
        DOWNLOADS: st.integers(1, 20),
        DEBUG: st.booleans(),
    },
)


@st.composite
def daemon_texts(draw: st.DrawFn) -> bytes:
    """A daemon.json in any way of writing it."""
    members = list({**draw(foreign), **draw(known)}.items())
    document = dict(draw(st.permutations(members)))
    indent = draw(st.sampled_from([None, 1, 2, 4, "\t"]))
    text = json.dumps(document, indent=indent, ensure_ascii=draw(st.booleans())) + draw(st.sampled_from(["", "\n"]))
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return draw(st.sampled_from([b"", codecs.BOM_UTF8])) + (text if _encodable(text) else json.dumps(document)).encode()


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def cases(unit: str) -> list[str]:
    return sorted(path.name for path in (CASES / unit).iterdir())


def read(folder: Path, name: str) -> bytes | None:
    path = folder / name
    return path.read_bytes() if path.exists() else None


@pytest.mark.parametrize("case", cases("docker_mirrors"))
def test_daemon_json_case(case: str) -> None:
    folder = CASES / "docker_mirrors" / case
    wish = json.loads((folder / "wish.json").read_text())
    wanted = daemon_json.Wanted(
        tuple(wish.get("registry_mirrors", [])),
        tuple(wish.get("insecure_registries", [])),
        wish.get("max_concurrent_downloads"),
        wish.get("debug"),
        tuple(wish.get("loopback", [])),
    )
    check_case(folder, "json", lambda base: daemon_json.merge(base, wanted)[0])


def check_case(folder: Path, kind: str, merge: Any) -> None:
    error = read(folder, "error.txt")
    if error is None:
        assert merge(read(folder, f"in.{kind}")) == read(folder, f"out.{kind}")
    else:
        with pytest.raises(HostError) as refused:
            merge(read(folder, f"in.{kind}"))
        assert error.decode().strip() in str(refused.value)


@given(daemon_texts(), docker_wishes)
def test_daemon_json_keeps_foreign_keys_and_their_order(base: bytes, wanted: daemon_json.Wanted) -> None:
    before, after = json.loads(base.decode("utf-8-sig")), json.loads(daemon_json.merge(base, wanted)[0])
    assert [key for key in after if key in before] == list(before)
    assert {k: v for k, v in after.items() if k not in OURS} == {k: v for k, v in before.items() if k not in OURS}
    for key, ours in wanted.lists.items():
        said, asked = ([daemon_json.same_item(each) for each in some] for some in (after[key], ours))
        assert said[: len(asked)] == asked if key == daemon_json.MIRRORS else set(asked) <= set(said)
        assert {daemon_json.same_item(each) for each in before.get(key, [])} <= {
            daemon_json.same_item(each) for each in after[key]
        }
    assert wanted.values.items() <= after.items()


@given(daemon_texts(), docker_wishes)
def test_daemon_json_merged_twice_is_merged_once(base: bytes, wanted: daemon_json.Wanted) -> None:
    once, _ = daemon_json.merge(base, wanted)
    assert daemon_json.merge(once, wanted)[0] == once


@given(st.none() | daemon_texts(), docker_wishes)
def test_daemon_json_unmerged_has_the_same_bytes(base: bytes | None, wanted: daemon_json.Wanted) -> None:
    text, ours = daemon_json.merge(base, wanted)
    assert daemon_json.unmerge(text, json.loads(json.dumps(ours))) == (base, [])


@given(daemon_texts(), docker_wishes, st.dictionaries(foreign_keys, scalars, min_size=1, max_size=2))
def test_daemon_json_unmerges_beside_keys_that_came_since(
    base: bytes, wanted: daemon_json.Wanted, news: dict[str, Any]
) -> None:
    text, ours = daemon_json.merge(base, wanted)
    back, notes = daemon_json.unmerge(daemon_json.with_values(text, news), ours)
    assert back is not None
    assert (json.loads(back.decode("utf-8-sig")), notes) == ({**json.loads(base.decode("utf-8-sig")), **news}, [])


def test_daemon_json_that_an_earlier_hostctl_merged_is_unmerged() -> None:
    ours = {
        "created": False,
        "lists": {MIRRORS: {"added": ["http://a"], "before": ["http://b"]}},
        "numbers": {DOWNLOADS: {"set": 10, "before": None}},
    }
    merged = b'{"registry-mirrors": ["http://a", "http://b"], "max-concurrent-downloads": 10}'
    assert daemon_json.unmerge(merged, ours) == (b'{"registry-mirrors": ["http://b"]}', [])


def test_daemon_json_leaves_what_somebody_changed_since() -> None:
    _, ours = daemon_json.merge(b"{}", daemon_json.Wanted(("http://a",), (), 10))
    back, notes = daemon_json.unmerge(b'{"registry-mirrors": ["http://b"], "max-concurrent-downloads": 5}', ours)
    assert json.loads(back or b"") == {"registry-mirrors": ["http://b"], "max-concurrent-downloads": 5}
    assert len(notes) == 2
    assert "from 10 to 5" in notes[1]


def test_daemon_json_that_we_created_stays_for_keys_that_came_since() -> None:
    text, ours = daemon_json.merge(None, daemon_json.Wanted(("http://a",)))
    edited = json.dumps({**json.loads(text), "debug": True}).encode()
    assert json.loads(daemon_json.unmerge(edited, ours)[0] or b"") == {"debug": True}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('"http-proxy": "http://me:pw@proxy:3128"', '"http-proxy": "http://***@proxy:3128"'),
        ('"splunk-token": "abc", "debug": true', '"splunk-token": "***", "debug": true'),
        ("password = 'x' # y", 'password = "***" # y'),
        ('Authorization = ["Basic abc"]', 'Authorization = "***"'),
        ('"authorization-plugins": ["p"]', '"authorization-plugins": ["p"]'),
    ],
)
def test_credentials_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown
