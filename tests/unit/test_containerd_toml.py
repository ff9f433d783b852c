"""Decides: our keys stand in config.toml where that containerd reads them, and what others wrote there survives us.

Cases are folders in tests/cases/containerd_mirrors: what is there (in.toml, absent for no file), the wish and the
containerd (wish.json), and the text and the hosts.toml files that stand in for what was moved, or the error.
"""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from hostctl import containerd_deprecated, containerd_toml, hosts_toml
from hostctl.containerd_toml import RegistryLogin, Wanted
from hostctl.containerd_versions import PATH, Dialect, Release, number, release
from hostctl.errors import HostError

settings.register_profile("merges", deadline=None)
settings.load_profile("merges")

CASES = Path(__file__).parents[1] / "cases" / "containerd_mirrors"
OLD = release((1, 6))


def read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda path: path.name)
def test_config_toml_case(case: Path) -> None:
    wish = json.loads((case / "wish.json").read_text())
    serves = release(number(f"containerd x {wish.pop('containerd', '1.6')}.0 y"))
    logins = tuple(RegistryLogin(*each) for each in wish.pop("logins", []))
    named = {"downloads" if key == "max_concurrent_downloads" else key: wish[key] for key in wish}
    wanted = Wanted(**named, logins=logins)
    base, error = read(case / "in.toml"), read(case / "error.txt")

    def merged() -> tuple[bytes, dict[str, str]]:
        registry = containerd_toml.registry_of(base, serves) if wanted.migrate_deprecated else {}
        return containerd_toml.merge(base, wanted, serves)[0], containerd_deprecated.hosts_files(registry)

    if error:
        with pytest.raises(HostError) as refused:
            merged()
        assert error.decode().strip() in str(refused.value)
    else:
        text, hosts = merged()
        assert text.decode() == (case / "out.toml").read_bytes().decode()
        expected = {path.stem: path.read_text() for path in case.glob("hosts/*.toml")}
        assert {hosts_toml.folder(name): each for name, each in hosts.items()} == expected


@pytest.mark.parametrize(
    ("printed", "versions", "downloads"),
    [
        ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3", (2,), "grpc.v1.cri"),
        ("containerd containerd.io 1.7.28 b98a3aace656320842a23f4a392a33f46af97866", (2,), "grpc.v1.cri"),
        ("containerd containerd.io 2.0.1 x", (2, 3), "cri.v1.images"),
        ("containerd github.com/containerd/containerd/v2 v2.1.4-k3s1 x", (2, 3), "transfer.v1.local"),
        ("containerd github.com/containerd/containerd/v2 v2.2.0-rc.1 x", (2, 3), "transfer.v1.local"),
        ("containerd github.com/containerd/containerd/v2 v2.3.5 x", (2, 3, 4), "transfer.v1.local"),
        ("containerd github.com/containerd/containerd/v2 2.4.2+unknown ", (2, 3, 4), "transfer.v1.local"),
        ("containerd github.com/containerd/containerd/v2 v3.1.0 x", (2, 3, 4), "transfer.v1.local"),
    ],
)
def test_each_containerd_has_its_dialects(printed: str, versions: tuple[int, ...], downloads: str) -> None:
    found = release(number(printed))
    assert tuple(each.version for each in found.dialects) == versions
    assert found.own.downloads == ("plugins", f"io.containerd.{downloads}")


def test_a_containerd_that_is_too_old_is_refused() -> None:
    with pytest.raises(HostError, match=r"containerd 1\.5 is not supported; upgrade it to 1\.6 or newer"):
        release(number("containerd github.com/containerd/containerd 1.5.11 x"))
    with pytest.raises(HostError, match="no version in 'containerd'"):
        number("containerd")


@pytest.mark.parametrize(
    ("registry", "folder"),
    [
        ("docker.io", "docker.io"),
        ("r.example:5000", "r.example_5000_"),
        ("*", "_default"),
        ("[fd00::1]:5000", "[fd00::1]_5000_"),
    ],
)
def test_a_registry_has_the_folder_in_which_containerd_looks_first(registry: str, folder: str) -> None:
    assert hosts_toml.folder(registry) == folder


words = st.text(string.ascii_lowercase, min_size=1, max_size=6)
releases = st.sampled_from([release(each) for each in ((1, 6), (2, 0), (2, 1), (2, 4))])
CERTS = "/etc/certs"
Base = tuple[bytes, Release]


def header(*path: str) -> str:
    return ".".join(tomlkit.key(each).as_string() for each in path)


@st.composite
def config_texts(draw: st.DrawFn, deprecated: bool = False) -> Base:
    """A config.toml of any version with tables in any order (each before those below it), comments, some of our keys,
    and a containerd that reads it.
    """
    reader = draw(releases)
    dialect: Dialect = draw(st.sampled_from(reader.dialects))
    cri, registry = header(*dialect.registry[:-1]), header(*dialect.registry)
    pieces = ["[plugins]"] if draw(st.booleans()) else []
    headers = [cri, *draw(st.permutations([registry, f"{cri}.cni"]))][: draw(st.integers(0, 3))]
    others = draw(st.lists(st.sampled_from(['plugins."other"', "debug"]), unique=True))
    if header(*dialect.downloads) != cri and draw(st.booleans()):
        others.append(header(*dialect.downloads))
    mirrored = draw(st.lists(st.sampled_from(["docker.io", "a.b:5000", "*"]), unique=True)) if deprecated else []
    others += [f'{registry}.mirrors."{name}"' for name in mirrored]
    for each in draw(st.sampled_from([[*headers, *others], [*others, *headers], [*others[:1], *headers, *others[1:]]])):
        lines = [f"{draw(st.sampled_from(['', '  ']))}[{each}]"]
        if ".mirrors." in each:
            pieces.append("\n".join([*lines, "# before", '  endpoint = ["http://m"]', "# behind"]))
            continue
        lines += [
            f'{draw(st.sampled_from(["", "    "]))}k{word} = "{word}" # {word}'
            for word in draw(st.sets(words, max_size=2))
        ]
        if each == header(*dialect.downloads) and draw(st.booleans()):
            lines.append(f"max_concurrent_downloads = {draw(st.integers(1, 9))} # theirs")
        if each == registry and draw(st.booleans()):
            lines.append("config_path = " + draw(st.sampled_from(['""', "''", f'"{CERTS}"'])))
        if each == "debug" and draw(st.booleans()):
            lines.append("level = 'info'")
        if draw(st.booleans()):
            lines.append("# a comment\n")
        pieces.append("\n".join(lines))
    text = "\n".join(["# top", f"version = {dialect.version}", *pieces]) + draw(st.sampled_from(["", "\n"]))
    return (text.replace("\n", "\r\n") if draw(st.booleans()) else text).encode(), reader


def valid(base: Base) -> bool:
    try:
        tomlkit.parse(base[0].decode()).unwrap()
    except Exception:
        return False
    return True


bases = config_texts().filter(valid)
no_files: st.SearchStrategy[tuple[None, Release]] = st.tuples(st.none(), releases)
logins = st.builds(RegistryLogin, st.sampled_from(["r.test", "r.test:5000"]), st.text(max_size=4), st.text(max_size=4))
wishes = st.builds(
    Wanted,
    st.just(CERTS),
    st.none() | st.integers(1, 20),
    st.booleans(),
    logins=st.lists(logins, unique_by=lambda each: each.registry, max_size=2).map(tuple),
)
moving = wishes.map(lambda wanted: wanted._replace(migrate_deprecated=True))


def data(text: bytes) -> dict[str, Any]:
    return tomlkit.parse(text.decode()).unwrap()


def dialect_in(text: bytes, reader: Release) -> Dialect:
    return next(each for each in reader.dialects if each.version == data(text)["version"])


def without_moved(document: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    registry = document
    for name in dialect.registry:
        registry = registry.get(name, {})
    registry.pop("mirrors", None)
    left: dict[str, Any] = pruned(document)
    return left


def pruned(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: pruned(each) for name, each in value.items()}
    return {name: each for name, each in inner.items() if each != {}}


@given(bases, wishes)
def test_config_toml_keeps_everything_else(base: Base, wanted: Wanted) -> None:
    text, _ = containerd_toml.merge(base[0], wanted, base[1])
    expected = data(base[0])
    for path, value in wanted.settings(dialect_in(base[0], base[1])):
        node = expected
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = value
    assert data(text) == expected
    assert text.count(b"# ") >= base[0].count(b"# ")
    assert (b"\r\n" in base[0]) == (b"\r\n" in text)


@given(bases | no_files | config_texts(deprecated=True).filter(valid), moving)
def test_config_toml_merged_twice_is_merged_once(base: tuple[bytes | None, Release], wanted: Wanted) -> None:
    once, _ = containerd_toml.merge(base[0], wanted, base[1])
    assert containerd_toml.merge(once, wanted, base[1])[0] == once


@given(bases | no_files, wishes)
def test_config_toml_unmerged_is_the_same_document(base: tuple[bytes | None, Release], wanted: Wanted) -> None:
    text, ours = containerd_toml.merge(base[0], wanted, base[1])
    back, notes = containerd_toml.unmerge(text, json.loads(json.dumps(ours)))
    assert notes == []
    assert (back is None) if base[0] is None else (back is not None and data(back) == data(base[0]))


@given(bases, wishes)
def test_config_toml_unmerges_after_a_foreign_edit(base: Base, wanted: Wanted) -> None:
    text, ours = containerd_toml.merge(base[0], wanted, base[1])
    back, _ = containerd_toml.unmerge(
        text.replace(b"# top", b"oom_score = 7", 1) + b'\n[ttrpc]\naddress = "/x"\n', ours
    )
    assert back is not None
    assert data(back) == {**data(base[0]), "oom_score": 7, "ttrpc": {"address": "/x"}}


@given(config_texts(deprecated=True).filter(valid), moving)
def test_moved_tables_leave_all_else_and_come_back(base: Base, wanted: Wanted) -> None:
    text, ours = containerd_toml.merge(base[0], wanted, base[1])
    dialect = dialect_in(base[0], base[1])
    expected = without_moved(data(base[0]), dialect)
    for path, value in wanted.settings(dialect):
        node = expected
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = value
    assert pruned(data(text)) == expected
    assert text.count(b"# ") >= base[0].count(b"# ")
    back, notes = containerd_toml.unmerge(text.replace(b"# top", b"oom_score = 7", 1), json.loads(json.dumps(ours)))
    assert notes == []
    assert back is not None
    assert pruned(data(back)) == {**pruned(data(base[0])), "oom_score": 7}


def test_config_toml_that_we_created_keeps_its_version_for_keys_that_came_since() -> None:
    text, ours = containerd_toml.merge(None, Wanted("/c"), OLD)
    back, _ = containerd_toml.unmerge(text + b"[debug]\nlevel = 'info'\n", ours)
    assert data(back or b"") == {"version": 2, "debug": {"level": "info"}}


def test_a_key_put_behind_our_block_survives_its_removal() -> None:
    text, ours = containerd_toml.merge(b"version = 2\n", Wanted("/c"), OLD)
    back, _ = containerd_toml.unmerge(text + b"extra = 1\n", ours)
    assert data(back or b"")["plugins"]["io.containerd.grpc.v1.cri"]["registry"] == {"extra": 1}


def test_a_mirror_that_somebody_has_set_anew_stays_when_the_moved_ones_come_back() -> None:
    table = '[plugins."io.containerd.grpc.v1.cri".registry.mirrors."{}"]\nendpoint = ["{}"]\n'
    base = f"version = 2\n{table.format('a', 'http://1')}{table.format('b', 'http://1')}".encode()
    text, ours = containerd_toml.merge(base, Wanted("/c", migrate_deprecated=True), OLD)
    back, _ = containerd_toml.unmerge(text + table.format("a", "http://2").encode(), ours)
    mirrors = data(back or b"")["plugins"]["io.containerd.grpc.v1.cri"]["registry"]["mirrors"]
    assert mirrors == {"a": {"endpoint": ["http://2"]}, "b": {"endpoint": ["http://1"]}}


def test_a_password_that_somebody_has_changed_is_not_told() -> None:
    text, ours = containerd_toml.merge(None, Wanted("/c", logins=(RegistryLogin("r", "me", "geheim"),)), OLD)
    back, notes = containerd_toml.unmerge(text.replace(b"geheim", b"anders"), ours)
    assert notes == [f"{PATH}: somebody has changed password from *** to *** since; theirs stays"]
    assert b"anders" in (back or b"")


@pytest.mark.parametrize("value", ["'debug'", "'info'", "true"])
def test_a_value_comes_back_as_it_was_written(value: str) -> None:
    base = f"version = 2\n[debug]\n  level = {value} # theirs\n".encode()
    text, ours = containerd_toml.merge(base, Wanted("/c", debug=True), OLD)
    assert data(text)["debug"]["level"] == "debug"
    assert containerd_toml.unmerge(text, json.loads(json.dumps(ours))) == (base, [])


def test_records_of_earlier_versions_of_this_program_are_read() -> None:
    ours = {
        "created": False,
        "version": False,
        "keys": [{"path": ["debug", "level"], "set": "debug", "before": "info", "tables": 1}],
        "block": "",
    }
    assert containerd_toml.unmerge(b'version = 2\n[debug]\nlevel = "debug"\n', ours)[0] == (
        b'version = 2\n[debug]\nlevel = "info"\n'
    )
