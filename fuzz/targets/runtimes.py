"""What Docker, containerd and BuildKit are configured by, and what they say of it."""

from __future__ import annotations

import json
from typing import Any

import yaml

from doctor.steps import containerd_runtime
from doctor.steps.hosts_toml import Undecodable
from doctor.steps.hosts_toml import parsed as hosts_toml_parsed
from fuzz.target import CASES, Target, cases, chosen, promised, texts
from hostctl import (
    buildkit_toml,
    containerd_deprecated,
    containerd_says,
    containerd_toml,
    daemon_json,
    docker_cli_config,
    docker_flags,
)
from hostctl.containerd_versions import RELEASES
from hostctl.docker_engine import LOOPBACK
from hostctl.errors import HostError

DAEMON_WISHES = (
    daemon_json.Wanted(("http://m:5080",), ("r.example:5000",), 10, True, LOOPBACK),
    daemon_json.Wanted(("http://m:5080/", "https://n")),
    daemon_json.Wanted((), (), 3),
    daemon_json.Wanted(),
)
CLI_WISHES = (
    docker_cli_config.Wanted({"docker.io": docker_cli_config.Login("u", "p")}),
    docker_cli_config.Wanted({"r.example": docker_cli_config.Login("u", "p:q")}, "pass", {"s.example": "ecr-login"}),
    docker_cli_config.Wanted({}, None, {"docker.io": "x"}),
)
LOGIN = containerd_toml.RegistryLogin("r.example", "u", "p")
CONTAINERD_WISHES = (
    containerd_toml.Wanted("/etc/containerd/certs.d"),
    containerd_toml.Wanted("/etc/containerd/certs.d", 10, True, True, (LOGIN,), "127.0.0.1:1338"),
    containerd_toml.Wanted("/etc/containerd/certs.d", 3, False, True),
)
BUILDKIT_WISHES: tuple[buildkit_toml.Wanted, ...] = (
    {"docker.io": buildkit_toml.Registry(("m:5080",)), "m:5080": buildkit_toml.Registry((), True)},
    {
        "docker.io": buildkit_toml.Registry(("m:5080",), ca=("/ca.pem",)),
        "m:5080": buildkit_toml.Registry((), False, True),
    },
)


def kept(ours: Any) -> Any:
    """What is ours, as it comes back from the host's record."""
    return json.loads(json.dumps(ours))


def run_daemon_json(data: bytes) -> None:
    """Merged once is merged twice; unmerged is byte for byte what was there."""
    (wanted,), base = chosen(data, DAEMON_WISHES)
    assert isinstance(wanted, daemon_json.Wanted)
    with promised(HostError):
        merged, ours = daemon_json.merge(base, wanted)
        assert daemon_json.merge(merged, wanted)[0] == merged, "merged twice"
        assert daemon_json.drift(merged, kept(ours)) == [], "drifted at once"
        assert daemon_json.unmerge(merged, kept(ours)) == (base, []), "unmerged"
        daemon_json.values(base)
    with promised(HostError):
        # Somebody has written this over ours since.
        daemon_json.drift(base, kept(daemon_json.merge(None, wanted)[1]))
        daemon_json.unmerge(base, kept(daemon_json.merge(None, wanted)[1]))


def run_docker_config(data: bytes) -> None:
    """Like daemon.json; and each question to it is answered."""
    (wanted,), base = chosen(data, CLI_WISHES)
    assert isinstance(wanted, docker_cli_config.Wanted)
    path = "~root/.docker/config.json"
    docker_cli_config.shown(path, base)
    for server in ("docker.io", "r.example"):
        with promised(HostError):
            docker_cli_config.answer(path, base, server)
    with promised(HostError):
        merged, ours, _ = docker_cli_config.merge(path, base, wanted)
        assert docker_cli_config.merge(path, merged, wanted)[0] == merged, "merged twice"
        assert docker_cli_config.drift(path, merged, kept(ours)) == [], "drifted at once"
        assert docker_cli_config.unmerge(path, merged, kept(ours)) == (base, []), "unmerged"
    with promised(HostError):
        _, ours, _ = docker_cli_config.merge(path, None, wanted)
        docker_cli_config.drift(path, base, kept(ours))
        docker_cli_config.unmerge(path, base, kept(ours))


def run_config_toml(data: bytes) -> None:
    """Merged once is merged twice; unmerged says what was there."""
    (wanted, release), base = chosen(data, CONTAINERD_WISHES, RELEASES)
    assert isinstance(wanted, containerd_toml.Wanted)
    with promised(HostError):
        registry = containerd_toml.registry_of(base, release)  # type: ignore[arg-type]
        containerd_deprecated.logins(registry)
        containerd_deprecated.movable(registry)
        containerd_deprecated.hosts_files(registry)
    with promised(HostError):
        merged, ours = containerd_toml.merge(base, wanted, release)  # type: ignore[arg-type]
        assert containerd_toml.holds(merged, wanted, release), "does not hold what it was given"  # type: ignore[arg-type]
        assert containerd_toml.merge(merged, wanted, release)[0] == merged, "merged twice"  # type: ignore[arg-type]
        assert containerd_toml.drift(merged, kept(ours)) == [], "drifted at once"
        back, notes = containerd_toml.unmerge(merged, kept(ours))
        assert (_document(back), notes) == (_document(base), []), "unmerged"
    with promised(HostError):
        _, ours = containerd_toml.merge(None, wanted, release)  # type: ignore[arg-type]
        containerd_toml.drift(base, kept(ours))
        containerd_toml.unmerge(base, kept(ours))


def _document(raw: bytes | None) -> Any:
    from hostctl import toml_text

    return toml_text.parsed(toml_text.decoded(raw, "x"), "x").unwrap()


def run_buildkitd_toml(data: bytes) -> None:
    """Like config.toml, byte for byte."""
    (wanted,), base = chosen(data, BUILDKIT_WISHES)
    with promised(HostError):
        buildkit_toml.addresses(base)
        merged, ours = buildkit_toml.merge(base, wanted)  # type: ignore[arg-type]
        assert buildkit_toml.merge(merged, wanted)[0] == merged, "merged twice"  # type: ignore[arg-type]
        assert buildkit_toml.drift(merged, kept(ours)) == [], "drifted at once"
        back, notes = buildkit_toml.unmerge(merged, kept(ours))
        assert (_document(back), notes) == (_document(base), []), "unmerged"
    with promised(HostError):
        _, ours = buildkit_toml.merge(None, wanted)  # type: ignore[arg-type]
        buildkit_toml.drift(base, kept(ours))
        buildkit_toml.unmerge(base, kept(ours))


def run_hosts_toml(data: bytes) -> None:
    """A file that containerd would pass over is Undecodable."""
    (old, registry), content = chosen(data, (False, True), ("docker.io", "quay.io", "[fd00::1]:5000"))
    with promised(Undecodable):
        hosts_toml_parsed(content, "/etc/containerd/certs.d/x/hosts.toml", str(registry), old=bool(old))


def run_containerd_says(data: bytes) -> None:
    """`config dump` with log lines in it, `ctr plugins ls`, a command that edits the file."""
    (wanted, release), rest = chosen(data, CONTAINERD_WISHES, RELEASES)
    text = rest.decode(errors="replace")
    containerd_says.plugin_states(text)
    containerd_says.debug_complaint(text.splitlines())
    containerd_says.ignored_complaint(text.splitlines(), wanted, release)  # type: ignore[arg-type]
    containerd_runtime.deletion(text, "/etc/containerd/config.toml")
    with promised(HostError):
        containerd_says.dump_complaint(text, wanted, release)  # type: ignore[arg-type]


def run_docker_flags(data: bytes) -> None:
    """Any command line."""
    given = docker_flags.flags(data.decode(errors="replace").split("\0"))
    docker_flags.excluded(daemon_json.Wanted(("m",), ("n",), 1, True).keys, given)
    docker_flags.value_of(docker_flags.LOG_LEVEL, given)


def _hosts_toml() -> tuple[bytes, ...]:
    named = yaml.safe_load((CASES / "doctor" / "hosts_toml.yaml").read_text())
    return tuple(b"\0\0" + each["text"].encode() for each in named)


def _led(lead: bytes, seeds: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Seeds with the bytes that choose a wish before them."""
    return tuple(lead + each for each in seeds)


JSON = ("{", "}", "[", "]", ":", ",", '"', "null", "true", "1e9", "\\u0041", "\ufeff", "\r\n")
TOML = (
    "[",
    "]",
    "[[",
    "]]",
    ".",
    "=",
    '"',
    "'''",
    "#",
    "\r\n",
    "inf",
    "1979-05-27",
    "{",
    "}",
    "version = ",
    "[plugins]",
)
TARGETS = (
    Target(
        "daemon-json",
        run_daemon_json,
        _led(b"\0", cases("docker_corpus/*.json", "docker_mirrors/*/in.json")),
        (*JSON, '"registry-mirrors"', '"insecure-registries"', '"debug"', '"max-concurrent-downloads"'),
    ),
    Target(
        "docker-config-json",
        run_docker_config,
        _led(b"\0", cases("docker_cli_corpus/*.json", "docker_cli/*/in.json")),
        (*JSON, '"auths"', '"credsStore"', '"credHelpers"', '"auth"', '"https://index.docker.io/v1/"', '"dTpw"'),
    ),
    Target(
        "config-toml",
        run_config_toml,
        _led(b"\1\0", cases("containerd_corpus/*/*.toml", "containerd_mirrors/*/in.toml"))
        + _led(b"\1\3", cases("containerd_corpus/v[345]/*.toml")),
        (
            *TOML,
            "registry",
            "mirrors",
            "configs",
            "endpoint",
            "tls",
            "auth",
            "config_path",
            '"io.containerd.grpc.v1.cri"',
        ),
    ),
    Target(
        "buildkitd-toml",
        run_buildkitd_toml,
        _led(b"\0", cases("buildkit_mirrors/*/in.toml")),
        (*TOML, "registry", "mirrors", "http", "insecure", "ca", "grpc", "address"),
    ),
    Target(
        "hosts-toml",
        run_hosts_toml,
        _hosts_toml() + _led(b"\0\0", cases("hosts_toml/*/*.toml", "containerd_mirrors/*/hosts/*.toml")),
        (*TOML, "server", "host", "capabilities", "ca", "client", "skip_verify", "header", "override_path", "http://["),
    ),
    Target(
        "containerd-says",
        run_containerd_says,
        _led(b"\0\3", cases("containerd_corpus/v3/*.toml"))
        + texts('\0\3time="x" level=warning msg="Ignoring unknown key in TOML" key="registry x" plugin=io.y\n'),
        (*TOML, "Ignoring unknown key", "plugin=", "key=", "io.containerd."),
    ),
    Target(
        "docker-flags",
        run_docker_flags,
        texts("dockerd\0-H\0fd://\0--debug=false\0-Dl\0info", "-DHfd://\0--config-file=/x"),
    ),
)
