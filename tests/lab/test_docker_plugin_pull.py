"""Decides that an image that is missing is pulled with the provider's credentials, from a registry that asks for them.

The registry runs on this machine, so this needs a daemon of this machine too.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.binaries import REGISTRY
from tests.free_port import free_port
from tests.lab.docker_plugin_host import IMAGE, docker, ensure_image, host_under_test
from toolchain.plugins.docker.remote_image import RemoteImage
from toolchain.plugins.shared.resource import Context, Created, ProviderError
from toolchain.plugins.shared.values import Secret, Value

pytestmark = pytest.mark.lab

USER, PASSWORD = "puller", "pull-pass-word"
HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuu3S.AThCfjjfKDdQ4OnIDDhPbHSnYruy\n"
"""PASSWORD, by bcrypt."""
CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}
"""


@dataclass(frozen=True)
class Place:
    """A daemon, and an image in a registry that the daemon hasn't got."""

    host: str
    registry: str
    image: str


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    host = host_under_test()
    program = REGISTRY.target / "registry"
    if not host.startswith("unix://") or not program.exists():
        pytest.skip("needs a daemon of this machine and the lab's registry (lab/up builds it)")
    ensure_image(host)
    port = free_port()
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    (tmp_path / "config.yml").write_text(CONFIG.format(folder=tmp_path, port=port))
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    registry = f"127.0.0.1:{port}"
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry: {"auth": login}}}))
    image = f"{registry}/team/app:1"
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([program, "serve", tmp_path / "config.yml"], stdout=log, stderr=log)
        try:
            _wait_for(port)
            docker(host, "tag", IMAGE, image)
            subprocess.run(
                ["docker", "-H", host, "push", "-q", image],
                env={**os.environ, "DOCKER_CONFIG": str(tmp_path)},
                check=True,
                capture_output=True,
            )
            docker(host, "rmi", image)
            yield Place(host, registry, image)
        finally:
            process.terminate()
            process.wait()
            subprocess.run(["docker", "-H", host, "rmi", image], capture_output=True, check=False)


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return


def auth(address: str, **more: str) -> dict[str, Value]:
    return {"registryAuth": Secret(json.dumps([{"address": address, **more}]))}


def create(place: Place, config: dict[str, Value]) -> Created:
    kind = RemoteImage()
    context = Context(urn=f"urn:pulumi:dev::project::{kind.token}::app", config={"host": place.host, **config})
    return asyncio.run(kind.create(context, {"name": place.image}, False))


def test_it_is_pulled_with_name_and_password_and_deleted_again(place: Place) -> None:
    config = auth(place.registry, username=USER, password=PASSWORD)
    made = create(place, config)
    image_id = str(made.state["imageId"])
    assert made.id == image_id + place.image
    assert str(made.state["repoDigest"]).startswith(f"{place.registry}/team/app@sha256:")
    kind = RemoteImage()
    context = Context(urn=f"urn:pulumi:dev::project::{kind.token}::app", config={"host": place.host, **config})
    asyncio.run(kind.delete(context, made.id, {**made.state, "keepLocally": True}))
    assert asyncio.run(kind.read(context, made.id, made.state, {"name": place.image})) is not None
    asyncio.run(kind.delete(context, made.id, made.state))
    assert asyncio.run(kind.read(context, made.id, made.state, {"name": place.image})) is None


def test_it_is_pulled_with_a_config_file(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    assert create(place, auth(f"http://{place.registry}", configFileContent=file.read_text())).id
    docker(place.host, "rmi", place.image)
    assert create(place, auth(place.registry, configFile=str(file))).id


@pytest.mark.parametrize("config", [{}, auth("other.example.com", username=USER, password=PASSWORD)])
def test_without_credentials_the_registry_refuses(place: Place, config: dict[str, Value]) -> None:
    with pytest.raises(ProviderError, match=r"unable to pull image .* no basic auth credentials"):
        create(place, config)


def test_a_wrong_password_is_not_shown(place: Place) -> None:
    with pytest.raises(ProviderError, match="Unable to read Docker image into resource") as raised:
        create(place, auth(place.registry, username=USER, password="wrong-pass-word"))
    assert "wrong-pass-word" not in str(raised.value)
