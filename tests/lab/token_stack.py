"""The lab's stack with token auth before its hosted registry, and two users with an image each.

The images share a layer and differ in another.
"""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import archive, docker, host, token_server
from ops.proof import REGISTRY
from ops.stack import PROJECT, Stack
from tests.lab.asking import Ask, ask, basic
from tests.lab.hosts import must, pulumi
from tests.lab.random_images import HOSTED, forget
from tests.lab.token_auth import token_auth

CLIENT = "docker1"
PORT, SERVICE = 5010, "the-lab"
URL, TOKENS = f"http://{REGISTRY}/v2", f"http://{REGISTRY}:{PORT}/token"
JWKS = PROJECT / ".work" / "lab-test.jwks"
USERS = {
    name: token_server.User(f"{name}-of-the-lab", {f"{name}/*": ["pull", "push", "delete"]})
    for name in ("anna", "bert")
}
LAYER = 3_000_000
VERDICT_STALE = 3
"""Seconds that a verdict counts longer while the registry is down."""


@dataclass(frozen=True)
class Pushed:
    """A user's image in his repository: the digests of its manifest and of its two layers."""

    repository: str
    manifest: str
    shared: str
    own: str


@contextmanager
def token_stack(stack: Stack) -> Iterator[tuple[Pushed, Pushed]]:
    """It is up, and both images are pushed; afterwards the lab's own stack is again."""
    with tempfile.TemporaryDirectory() as name, token_auth("registry", PORT, SERVICE, USERS, {}) as jwks:
        folder = Path(name)
        JWKS.write_text(jwks)
        try:
            pulumi(stack, "up", "--yes", "--skip-preview", "--config-file", str(_settings(folder)))
            shared = archive.write_layer(folder / "shared", {"shared": os.urandom(LAYER)})
            anna, bert = (_push(folder, user, shared) for user in USERS)
            yield anna, bert
        finally:
            pulumi(stack, "up", "--yes", "--skip-preview")
            JWKS.unlink()
            must("registry", "rm -rf " + " ".join(f"{HOSTED.data}/repositories/{user}" for user in USERS))
    forget(anna.manifest, anna.shared, anna.own, bert.manifest, bert.own)


def _settings(folder: Path) -> Path:
    stack = yaml.safe_load((PROJECT / "stacks" / "Pulumi.lab.yaml").read_text())
    config: dict[str, Any] = stack["config"]
    config["http-registry:registries"][0]["token"] = {
        "realm": TOKENS, "service": SERVICE, "issuer": "lab", "jwks": str(JWKS.relative_to(PROJECT)),
    }  # fmt: skip
    config["http-registry:proxy"]["cache"]["verdict_stale"] = f"{VERDICT_STALE}s"
    file = folder / "Pulumi.yaml"
    file.write_text(yaml.safe_dump(stack))
    return file


def _push(folder: Path, user: str, shared: archive.Layer) -> Pushed:
    own = archive.write_layer(folder / user, {user: os.urandom(LAYER)})
    archive.write_archive(folder / "image.tar", archive.Image(f"{user}/app:1"), [shared, own])
    engine = docker.running()
    assert engine is not None
    engine("cp", str(folder / "image.tar"), f"{host(CLIENT).container}:/root/image.tar")
    place, login = f"docker://{REGISTRY}/{user}/app:1", f"{user}:{USERS[user].password}"
    push = f"skopeo --insecure-policy copy -q --dest-tls-verify=false --dest-creds {shlex.quote(login)}"
    must(CLIENT, f"{push} docker-archive:/root/image.tar {place}; status=$?; rm /root/image.tar; exit $status")
    [said] = ask(CLIENT, Ask(f"{URL}/{user}/app/manifests/1", token(user)))
    first, second = (each["digest"] for each in json.loads(said.body)["layers"])
    return Pushed(f"{user}/app", said.digest, first, second)


def token(user: str, actions: str = "pull", *more: str) -> dict[str, str]:
    """The header with a new token of a user for his repository, and for pulls of `more` of his."""
    scopes = [f"{user}/app:{actions}", *(f"{each}:pull" for each in more)]
    query = "&".join([f"service={SERVICE}", *(f"scope=repository:{each}" for each in scopes)])
    [said] = ask(CLIENT, Ask(f"{TOKENS}?{query}", basic(user, USERS[user].password)))
    return {"Authorization": f"Bearer {said.data['token']}"}
