"""Registries that somebody runs as containers, in the words of the settings. Pure.

distribution takes each key of its configuration from the environment too, as REGISTRY_ and the key's names.
Source: distribution.github.io/distribution/about/configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import yaml

from adopt.containers import on_host
from ops.adopt.findings import Machine, Notes, Run, named
from ops.adopt.said import Said

HUBS = ("registry-1.docker.io", "index.docker.io", "docker.io")
DATA = "/var/lib/registry"
INSIDE = 5000


def read_registries(machine: Machine, names: set[str], notes: Notes) -> list[Run]:
    """Each registry of a host."""
    return [_run(machine, each, names, notes) for each in machine.report["containers"]]


def _run(machine: Machine, container: Mapping[str, Any], names: set[str], notes: Notes) -> Run:
    where = f"{machine.name}: container {container['name']}"
    keys = _Keys(container, machine.file(container["config"]))
    inside = int(str(keys("http", "addr") or f":{INSIDE}").rpartition(":")[2])
    published = [each for each in container["ports"] if each["inside"] == inside]
    port = published[0]["port"] if published else inside
    bound = published[0]["address"] if published else str(keys("http", "addr") or "").rpartition(":")[0]
    run = Run(
        named(container["name"], names),
        machine.name,
        port,
        where,
        public=(bool(published) or container["host_network"])
        and not bound.startswith("127.")
        and bound not in ("localhost", "::1"),
        inside={f"127.0.0.1:{port}", f"localhost:{port}", f"{machine.address}:{port}"}
        | {f"{each}:{inside}" for each in container["called"]},
    )
    _upstream(run, keys, where, notes)
    _storage(run, keys, container, where, notes)
    if keys("auth", "htpasswd", "path"):
        run.users_file = container["passwords"] or str(keys("auth", "htpasswd", "path"))
        run.users = tuple(machine.report["users"].get(container["passwords"], ()))
    if keys("auth", "token", "realm"):
        run.settings["token"] = {
            key: Said(str(keys("auth", "token", key)), f"{where}, auth.token.{key}")
            for key in ("realm", "service", "issuer")
        }
        notes.left.append(
            f"{where}: auth.token.rootcertbundle is a file in it; copy it below the project, as token.certificate"
        )
    inside_it = str(keys("http", "tls", "certificate") or "")
    run.certificate = on_host(inside_it, container["mounts"]) or inside_it
    notes.changes.append(
        f"{where}: http-registry runs one of its own in its place, so it goes before the first up: "
        f"ssh root@{machine.address} docker rm --force {container['name']}"
    )
    return run


def _upstream(run: Run, keys: _Keys, where: str, notes: Notes) -> None:
    remote = str(keys("proxy", "remoteurl") or "")
    if not remote:
        return
    server = urlsplit(remote).netloc
    source = f"{where}, proxy.remoteurl"
    run.serves = "docker.io" if server in HUBS else server
    run.guessed = server not in HUBS
    run.settings["upstream"] = Said(remote.rstrip("/"), source)
    if user := keys("proxy", "username"):
        run.settings["upstream_user"] = Said(str(user), f"{where}, proxy.username")
        notes.secrets[f"upstream-password-{run.name}"] = f"the password of {user} at {remote}; now in {where}"


def _storage(run: Run, keys: _Keys, container: Mapping[str, Any], where: str, notes: Notes) -> None:
    if bucket := keys("storage", "s3", "bucket"):
        region = str(keys("storage", "s3", "region") or "us-east-1")
        endpoint = keys("storage", "s3", "regionendpoint") or f"https://s3.{region}.amazonaws.com"
        s3 = {
            "endpoint": Said(str(endpoint), f"{where}, storage.s3.regionendpoint"),
            "region": Said(region, f"{where}, storage.s3.region"),
            "bucket": Said(str(bucket), f"{where}, storage.s3.bucket"),
        }
        if prefix := str(keys("storage", "s3", "rootdirectory") or "").strip("/"):
            s3["prefix"] = Said(prefix, f"{where}, storage.s3.rootdirectory")
        run.settings["storage"] = {"s3": s3}
        for key in ("access", "secret"):
            notes.secrets[f"s3-{key}-key-{run.name}"] = f"the bucket's {key} key; now in {where}"
        return
    root = str(keys("storage", "filesystem", "rootdirectory") or DATA)
    data = next((each for each in container["mounts"] if each["to"] == root), None)
    if run.serves:
        notes.changes.append(f"{where}: its cache is not taken over; http-registry's fills anew")
    elif data:
        notes.changes.append(
            f"{where}: its images are in {data['from']}; http-registry's volume is http-registry-{run.name}. Once "
            f"that is up: docker run --rm -v {data['from']}:/from:ro -v http-registry-{run.name}:/to "
            f"--entrypoint cp {container['image']} -a /from/. /to/"
        )
    else:
        notes.changes.append(
            f"{where}: its images are in the container itself, and go with it; copy them first: "
            f"docker cp {container['name']}:{root} FOLDER"
        )


class _Keys:
    """A registry's configuration: its environment, then its file."""

    def __init__(self, container: Mapping[str, Any], config: str) -> None:
        self._env: Mapping[str, str] = container["env"]
        try:
            self._file = yaml.safe_load(config) or {}
        except yaml.YAMLError:
            self._file = {}

    def __call__(self, *names: str) -> Any:
        variable = f"REGISTRY_{'_'.join(names).upper()}"
        if variable in self._env:
            return self._env[variable]
        found: Any = self._file
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found
