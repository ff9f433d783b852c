"""A world of namespaces for each backend, and hostctl's host in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs import guarded_host
from tests.programs.guarded_host import Managed, World
from tests.programs.namespaces import backends


@pytest.fixture(scope="module", params=backends())
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests of a file."""
    folder = tmp_path_factory.mktemp("world") / "programs"
    with guarded_host.world(f"w{os.getpid()}", request.param, folder) as built:
        yield built


@pytest.fixture
def host(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Managed]:
    """Without rules of ours; asked at the console, where nothing is on trial."""
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    with guarded_host.managed(world, tmp_path) as host:
        yield host
