"""Decides what those get who push, serve or log what nobody would: no layer lost, no secret told, nothing stopped."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from doctor.server import http_asking, upstreams
from fuzz.targets.answers import answered
from fuzz.targets.kept import METRICS, STATE
from fuzz.targets.registries import A, B
from garbage_collection.contents import references
from hostctl import containerd_deprecated, containerd_toml, toml_text
from hostctl.containerd_versions import RELEASES
from hostctl.errors import HostError
from hostctl.masking import masked
from offline_sync import manifests
from offline_sync.failure import Failure
from offline_sync.registry import LONGEST_WAIT, MOST_EMPTY, WAIT, Registry, _wait
from pull_metrics import config as metrics_config
from pull_metrics.access_log import parsed
from pull_metrics.program import Service
from pull_metrics.pulls import Pulls
from settings import SettingsError, parse
from tests.unit.test_pulls import line


@pytest.mark.parametrize(
    "manifest",
    [
        f'{{"layers": [{{"Digest": "{A}"}}], "config": {{"DIGEST": "{B}"}}}}',
        f'{{"Layers": [{{"digest": "{A}"}}], "fsLayers": [{{"BLOBSUM": "{B}"}}]}}',
        f'{{"config": {{"digest": "{A}"}}, "config": {{"digest": "{B}"}}}}',
        f'{{"config": {{"digest": "{A}", "digest": "{B}"}}}}',
        f'{{"x": "\udcff", "layers": [{{"digest": "{A}"}}, {{"digest": "{B}"}}]}}',
        f'{{"x": {"9" * 5000}, "layers": [{{"digest": "{A}"}}, {{"digest": "{B}"}}]}}',
        f'{{"x": {"[" * 5000}{"]" * 5000}, "layers": [{{"digest": "{A}"}}, {{"digest": "{B}"}}]}}',
    ],
)
def test_the_clean_up_finds_every_part_that_a_registry_would(manifest: str) -> None:
    assert {A, B} <= set(references("sha256:m", manifest.encode(errors="surrogateescape")))


def test_a_bundle_is_not_made_of_a_manifest_that_only_some_read() -> None:
    with pytest.raises(Failure, match="has a key 'Layers', which only some read"):
        manifests.parts(json.dumps({"schemaVersion": 2, "config": {"digest": A, "size": 1}, "Layers": []}).encode())


@pytest.mark.parametrize("realm", ["http://auth.example/t", "file:///etc/hostname", "auth.example", ""])
def test_a_password_goes_to_no_token_server_in_clear(realm: str) -> None:
    with pytest.raises(Failure, match="names a token server that is not asked"):
        Registry("https://r.example", login="dTpw")._authorization(f'Bearer realm="{realm}"', "repository:a:pull")


def test_doctor_tells_a_token_server_without_tls_no_password() -> None:
    challenge = {"www-authenticate": 'Bearer realm="http://auth.example/t"'}
    with pytest.raises(OSError, match="without TLS"):
        upstreams._with_login(
            "https://r.example/v2/", http_asking.Answer(401, challenge, b""), {"user": "u", "password": "p"}
        )


@pytest.mark.parametrize("host", ["a b", "a\x7fb", "", "["])
def test_a_token_server_that_has_no_name_is_no_url(host: str) -> None:
    with pytest.raises(OSError, match="no URL"):
        http_asking.ask(f"http://{host}/token")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("5", 5.0),
        ("", WAIT),
        ("Fri, 27 Nov 2026 15:00:00 GMT", WAIT),
        ("nan", WAIT),
        ("-1", WAIT),
        ("9999", LONGEST_WAIT),
    ],
)
def test_a_registry_says_how_long_to_wait_in_any_way(said: str, seconds: float) -> None:
    assert _wait(said) == seconds


@pytest.mark.parametrize(
    ("body", "following"),
    [
        pytest.param(b'{"tags": ["a"]}', b"/v2/a/tags/list?n=1", id="a circle"),
        pytest.param(b'{"tags": []}', b"list/tags/list", id="a path that grows"),
    ],
)
def test_a_list_of_tags_ends_though_its_pages_do_not(body: bytes, following: bytes) -> None:
    head = b'HTTP/1.1 200 OK\r\nLink: <%b>; rel="next"\r\nContent-Length: %d\r\n\r\n' % (following, len(body))
    counted = patch.object(Registry, "_send", autospec=True, side_effect=Registry._send)
    with answered(head + body), counted as sent, pytest.raises(Failure, match="the pages of this list do not end"):
        Registry("http://r.example").tags("a")
    assert sent.call_count <= MOST_EMPTY + 1


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        pytest.param(b"Content-Length: 3\r\n\r\n{}", "IncompleteRead", id="cut off"),
        pytest.param(b"Content-Length: %d\r\n\r\n{}" % 10**40, "IncompleteRead", id="a length that nothing has"),
        pytest.param(b"\r\n" + b" " * 16, "answers with more than 0 MiB", id="too long"),
    ],
)
def test_an_answer_that_is_cut_off_or_too_long_is_none(rest: bytes, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offline_sync.registry.MOST_BYTES", 15)
    with answered(b"HTTP/1.1 200 OK\r\n" + rest), pytest.raises(Failure, match=said):
        Registry("http://r.example").tags("a")


def service(folder: Path, state: Any, **more: Any) -> Service:
    path = folder / "state"
    path.write_text(state if isinstance(state, str) else json.dumps(state))
    return Service(
        metrics_config.read(json.dumps({**METRICS, "state": str(path), "page": str(folder / "page"), **more}))
    )


def test_a_pull_that_began_at_an_endpoint_of_before_stops_no_service(tmp_path: Path) -> None:
    metrics = service(tmp_path, STATE, endpoints=[{"server": "h", "port": 8443, "registry": "c"}])
    metrics.step()
    assert 'http_registry_pulls_ended_total{registry="c",outcome="succeeded"} 0' in metrics.text()


@pytest.mark.parametrize("state", ["[1]", "{", '{"pulls": 5}', '{"figures": {"points": [{"at": "x"}]}}', "[" * 9000])
def test_a_state_that_cannot_be_read_stops_no_service(tmp_path: Path, state: str) -> None:
    metrics = service(tmp_path, state)
    metrics.step()
    metrics.write()
    assert json.loads((tmp_path / "state").read_text())["pulls"] == {"open": [], "refused": []}


def test_who_asks_without_end_does_not_fill_the_memory_of_the_metrics() -> None:
    pulls = Pulls(10)
    for number in range(3000):
        user = f"user{number}"
        request = parsed(
            line(f"{number / 100:.3f}", "HEAD", "manifests/1", user, "401" if number % 2 else "404", agent="docker/1")
        )
        assert request
        pulls.take(request)
    resolved = parsed(line("30", "HEAD", "manifests/1", "-", "200", agent="docker/1"))
    assert resolved
    pulls.take(resolved)
    for number in range(20_000):
        word = f"blobs/sha256:{number:064x}"
        request = parsed(line(f"{30 + number / 1e4:.4f}", "GET", word, "-", "404", agent="docker/1"))
        assert request
        pulls.take(request)
    assert len(json.dumps(pulls.as_data())) < 1_000_000


@pytest.mark.parametrize("key", ["host", "name", "registry"])
def test_a_list_where_a_name_belongs_is_told_beside_all_other_errors(key: str) -> None:
    registry = {"kind": "hosted", "name": "r", "host": "a", "port": 5000}
    given = {"hosts": [{"name": "a", "address": "10.0.0.1"}], "registries": [registry], "metrics": {}, "x": 1}
    proxy = {"host": "a", "endpoints": [{"registry": "r", "port": 80, "server_name": "r.example"}]}
    (proxy["endpoints"][0] if key == "registry" else registry)[key] = ["odd"]  # type: ignore[index]
    with pytest.raises(SettingsError) as told:
        parse({**given, "proxy": proxy})
    assert any(f"{key} = a list" in each for each in told.value.errors)
    assert "x: there is no such key here; remove it or correct its spelling" in told.value.errors


def test_half_a_character_shows_no_secret() -> None:
    with pytest.raises(SettingsError, match="half a character") as told:
        parse({"registries": "\ud800", "ssh-key": "geheim"})
    assert "geheim" not in str(told.value)


@pytest.mark.parametrize("text", ["a" * 40_000, "token=[" * 4_000, "token " * 6_000, "://" * 10_000])
def test_masking_takes_no_longer_than_the_text_is(text: str) -> None:
    began = time.process_time()
    masked(text)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("disabled_plugins = 5", "disabled_plugins must be a list of strings"),
        ('[plugins."io.containerd.grpc.v1.cri".registry]\nmirrors = 5', "must be a table of tables"),
        ('[plugins."io.containerd.grpc.v1.cri".registry.mirrors."["]\nendpoint = []', "is not the name of a registry"),
        (
            '[plugins."io.containerd.grpc.v1.cri".registry.mirrors.a]\nendpoint = ["http://["]',
            "an endpoint must be http",
        ),
        ("[debug.level]\nx = 1", "debug.level must be a value and no table"),
        (f"x = {'[' * 3000}", "nested more than 100 levels deep"),
    ],
)
def test_a_config_toml_of_odd_values_is_refused(text: str, says: str) -> None:
    wanted = containerd_toml.Wanted(
        "/etc/containerd/certs.d", debug="debug" in text, migrate_deprecated="mirrors.a" in text or '"["' in text
    )
    with pytest.raises(HostError, match=says):
        containerd_toml.merge(f"version = 2\n{text}\n".encode(), wanted, RELEASES[0])
    assert containerd_deprecated.KEYS


def test_a_dump_that_nests_too_deeply_is_told_as_one() -> None:
    with pytest.raises(HostError, match=r"^dump, line 1.* levels deep"):
        toml_text.values("a = " + "[" * 5000, "dump")
