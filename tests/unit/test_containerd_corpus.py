"""Decides: whatever config.toml a host has, of any version and shape, it is merged and given back, or clearly refused.

The files are data in tests/cases/containerd_corpus, by their version; each goes through each generation of containerd.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomlkit
import yaml

from hostctl import containerd_deprecated, containerd_toml
from hostctl.containerd_toml import Wanted
from hostctl.containerd_versions import PATH, Release
from hostctl.errors import HostError
from hostctl.transaction import Transactions
from hostctl.units.containerd_mirrors import ContainerdMirrors
from tests.unit.fake_containerd import RELEASES, ContainerdHost, on_disk

CORPUS = Path(__file__).parents[1] / "cases" / "containerd_corpus"
ERRORS = yaml.safe_load((CORPUS / "errors.yaml").read_text())
CERTS = "/etc/containerd/certs.d"
LOGINS_STAY = ("v2/configs_auth", "v3/configs_auth")
"""With somebody else's logins, a containerd from 2.1 on pulls without the service that heeds our downloads."""
WISHES = (
    {"config_path": CERTS},
    {"config_path": CERTS, "max_concurrent_downloads": 10, "debug": True, "migrate_deprecated": True},
)


def wanted(wish: dict[str, Any]) -> Wanted:
    return Wanted(CERTS, wish.get("max_concurrent_downloads"), "debug" in wish, "migrate_deprecated" in wish)


def huge() -> bytes:
    """A file as a generator of runtimes makes it, of 300 lines."""
    runtime = '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.r{0}]\n  runtime_type = "r{0}.v2" # {0}\n'
    return ("version = 2\n" + "".join(runtime.format(each) for each in range(150))).encode()


FILES = {str(path.relative_to(CORPUS).with_suffix("")): path.read_bytes() for path in sorted(CORPUS.glob("*/*.toml"))}
FILES["v2/huge"] = huge()
CASES = [
    pytest.param(name, wish, printed, id=f"{name}-{'all' if wish is WISHES[1] else 'one-key'}-{printed.split()[2]}")
    for name in FILES
    for wish in WISHES
    for printed in (RELEASES if name != "v2/huge" else list(RELEASES)[-1:])
]


def refusal(name: str, release: Release, migrates: bool) -> str | None:
    """What the merge has to say, or None where it has to succeed."""
    known = ERRORS.get(name)
    version = int(name[1]) if name[0] == "v" else 0
    if version > release.own.version and not (known and known["says"].startswith("disabled")):
        return f"is of version {version}, and version 2"
    if known is None or (migrates and "unless" in known) or release.since >= tuple(known.get("below", [9])):
        return None
    return str(known["says"])


def data(text: bytes) -> dict[str, Any]:
    return tomlkit.parse(text.decode("utf-8-sig")).unwrap()


def pruned(value: Any) -> Any:
    """A value without empty tables."""
    if not isinstance(value, dict):
        return value
    inner = {name: pruned(each) for name, each in value.items()}
    return {name: each for name, each in inner.items() if each != {}}


def comments(text: bytes) -> list[bytes]:
    return sorted(line.strip() for line in text.splitlines() if line.lstrip().startswith(b"#"))


@pytest.mark.parametrize(("name", "wish", "printed"), CASES)
def test_a_config_toml_is_merged_and_given_back_or_refused(
    name: str, wish: dict[str, Any], printed: str, tmp_path: Path
) -> None:
    base, keys, release = FILES[name], wanted(wish), RELEASES[printed]
    host = ContainerdHost(tmp_path, printed)
    path = host.path(PATH)
    path.parent.mkdir(parents=True)
    path.write_bytes(base)
    error = refusal(name, release, keys.migrate_deprecated)
    if error:
        with pytest.raises(HostError) as refused:
            Transactions(host).apply(ContainerdMirrors(), wish)
        assert error in str(refused.value)
        assert on_disk(host) == {"etc/containerd/config.toml": base}
        return

    text, ours = containerd_toml.merge(base, keys, release)
    dialect = next(each for each in release.dialects if each.version == data(text)["version"])
    assert data(base).get("version", release.own.version) == dialect.version
    expected = {"version": dialect.version, **data(base)}
    for moved in ours["moved"]:
        table = expected
        for part in moved["path"][:-1]:
            table = table[part]
        assert table.pop(moved["path"][-1]) == moved["value"]
    for setting, value in keys.settings(dialect):
        table = expected
        for part in setting[:-1]:
            table = table.setdefault(part, {})
        table[setting[-1]] = value
    assert pruned(data(text)) == pruned(expected)
    assert set(comments(base)) <= set(comments(text))
    assert ours["moved"] or text.count(b"#") >= base.count(b"#")
    assert (base.count(b"\r\n") == base.count(b"\n") > 0) == (text.count(b"\r\n") == text.count(b"\n") > 0)
    assert containerd_toml.merge(text, keys, release)[0] == text
    back, notes = containerd_toml.unmerge(text, ours)
    assert notes == []
    assert pruned(data(back or b"")) == pruned(data(base))
    assert ours["moved"] or name == "v2/inline_plugins" or back == base

    if name in LOGINS_STAY and release.transfers and keys.downloads:
        with pytest.raises(HostError, match="without its transfer service"):
            Transactions(host).apply(ContainerdMirrors(), wish)
        assert on_disk(host) == {"etc/containerd/config.toml": base}
        return
    Transactions(host).apply(ContainerdMirrors(), wish)
    registry = containerd_toml.registry_of(base, release)
    moved_files = containerd_deprecated.hosts_files(registry) if keys.migrate_deprecated else {}
    assert path.read_bytes() == text
    assert len(on_disk(host)) == 1 + len(moved_files)
    Transactions(host).remove(ContainerdMirrors())
    assert on_disk(host) == {"etc/containerd/config.toml": base}
