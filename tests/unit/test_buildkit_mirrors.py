"""Decides: what a tier wants of BuildKit becomes keys by server, and a person sees just those that hostctl writes."""

from __future__ import annotations

import tomllib

from documents import buildkit_mirrors
from hostctl import buildkit_toml
from settings.runtimes import BuildKit

MIRRORS = {"docker.io": "http://m:5080", "quay.io": "https://c.example", "ghcr.io": "http://m:5081"}


def test_each_server_is_spoken_to_as_its_url_says() -> None:
    wanted = buildkit_mirrors.render(
        BuildKit(config="/etc/b.toml", service="b"),
        MIRRORS,
        ["http://10.0.0.1", "https://r.example:8443", "http://[fd00::1]:5000"],
        {"c.example": "/ca/1.pem", "r.example:8443": "/ca/2.pem", "other.example": "/ca/2.pem", "m:5080": "/ca/1.pem"},
    )
    assert wanted.wish() == {
        "config": "/etc/b.toml",
        "service": "b",
        "registries": {
            "docker.io": {"mirrors": ["m:5080"]},
            "quay.io": {"mirrors": ["c.example"]},
            "ghcr.io": {"mirrors": ["m:5081"]},
            "m:5080": {"http": True},
            "m:5081": {"http": True},
            "10.0.0.1": {"http": True},
            "[fd00::1]:5000": {"http": True},
            "c.example": {"ca": ["/ca/1.pem"]},
            "r.example:8443": {"ca": ["/ca/2.pem"]},
            "other.example": {"ca": ["/ca/2.pem"]},
        },
    }


def test_what_is_shown_is_what_is_written() -> None:
    wanted = buildkit_mirrors.render(BuildKit(), MIRRORS, ["http://10.0.0.1"])
    written, _ = buildkit_toml.merge(None, wanted.registries)
    assert {path: tomllib.loads(text) for path, text in wanted.shown().items()} == {
        "/etc/buildkit/buildkitd.toml": tomllib.loads(written.decode())
    }


def test_a_mirror_that_mirrors_itself_is_one_table() -> None:
    wanted = buildkit_mirrors.render(BuildKit(), {"r:5000": "http://r:5000"}, [])
    assert wanted.wish()["registries"] == {"r:5000": {"mirrors": ["r:5000"], "http": True}}


def test_nothing_wanted_shows_nothing() -> None:
    assert buildkit_mirrors.render(BuildKit(), {}, ["https://r"]).shown() == {}
