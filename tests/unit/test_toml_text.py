"""Decides: without tomlkit TOML is read and written as with it, and nothing is written that it could not edit later."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import tomlkit
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tomlkit.exceptions import TOMLKitError

from hostctl import toml_text

PROJECT = Path(__file__).parents[2]
DEBIAN = PROJECT / "tests/cases/containerd_corpus/v2/debian.toml"
LINES = (
    "x = 1",
    "y.z = 1",
    "y = { z = [1, 2] }",
    "z = [",
    '  "a.b", # c',
    "]",
    "[[a.c]]",
    'x = """',
    "[b]",
    '"""',
    "# [a]",
    "",
)
HEADERS = [f"[{'.'.join(path)}]" for path in ("a", "b", "ab", "ac", "ba", "abc", "aba", "aca", "bac", "abca")]
OF_THREE_PIECES = "[a]\n[a.c.c]\n[a.a]\n[a.c.a.a]\n[c.c.b.b]\n[a.c.b]\nx = 1\n[b.b.c]\n"

values = st.recursive(
    st.text(max_size=6) | st.booleans() | st.integers(-9, 9), lambda inner: st.lists(inner, max_size=3), max_leaves=4
)


def tomlkits(text: str) -> dict[str, Any] | None:
    try:
        return tomlkit.parse(text).unwrap()
    except (TOMLKitError, AttributeError, KeyError, IndexError, TypeError, ValueError):
        return None


@given(st.lists(st.sampled_from([*LINES, *HEADERS * 2]), max_size=9).map("\n".join))
@example(OF_THREE_PIECES)
@settings(max_examples=600, deadline=None)
def test_a_text_says_what_both_read_in_it(text: str) -> None:
    try:
        expected = tomllib.loads(text)
    except ValueError:
        return
    assert toml_text.says(text, expected, "x") == (tomlkits(text) == expected)
    assert not toml_text.says(text, {**expected, "more": 1}, "x")


@given(st.lists(st.text(max_size=4), min_size=1, max_size=3), values)
@example(["a.b", 'c"\\', ""], 'a"\\\x7f\x00\u0080\ud7ff\U0001f600\n')
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_what_is_read(path: list[str], value: Any) -> None:
    written = toml_text.block("# ours", [((*path, "key"), value)])
    expected: Any = {"key": value}
    for name in reversed(path):
        expected = {name: expected}
    assert tomllib.loads(written) == tomlkits(written) == expected


def test_where_a_file_is_plain_tomlkit_is_not_loaded() -> None:
    program = (
        "import sys; from hostctl import containerd_toml as toml, containerd_versions as versions; "
        "base = sys.stdin.buffer.read(); wanted = toml.Wanted('/etc/containerd/certs.d'); "
        "texts = [toml.merge(base, wanted, each)[0] for each in versions.RELEASES]; "
        "print(len(set(texts)), 'tomlkit' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=DEBIAN.read_bytes(), capture_output=True, cwd=PROJECT, check=True
    )
    assert done.stdout.split() == [b"1", b"False"]
