"""A tiny image that nobody but our own mirrors has: a runtime that gets it has asked them, and not the real registry.

Its digest is another one for each mirror. The name can be nobody's on Docker Hub, where no name has a dash
(docs.docker.com/accounts/create-account: letters and digits).
"""

from __future__ import annotations

import json
import time
from typing import Any, Dict, List, NamedTuple, Optional

from hostctl import wishes
from hostctl.errors import HostError
from hostctl.host import Finished, Host
from hostctl.log_lines import fields
from hostctl.masking import masked
from hostctl.systemd import journal
from hostctl.unit import Wish

REPOSITORY, TAG = "http-registry/canary", "1"
PATIENCE = 60.0
"""Seconds that a pull of some hundred bytes may take."""
CRI_SOCKET = "unix:///run/containerd/containerd.sock"


class Canary(NamedTuple):
    """The image of one mirror. `registry`: the one whose mirror is asked, as image references name it."""

    registry: str
    digest: str

    @property
    def reference(self) -> str:
        """The image's whole name."""
        return f"{self.registry}/{REPOSITORY}:{TAG}"

    def error(self, runtime: str, reason: str) -> HostError:
        """What is told where it could not be pulled through the mirror."""
        return HostError(
            f"{runtime} does not pull through the mirror of {self.registry} ({self.reference}, which only the mirror "
            f"has): {masked(reason)}; see that the mirror answers this host, or set prove: false of its runtimes"
        )


def of(wish: Wish) -> List[Canary]:
    """The canaries of a wish: digest by registry. None where nothing is to be proved."""
    return [Canary(registry, digest) for registry, digest in wishes.pairs(wish, "canaries").items()]


def prove_docker(host: Host, canary: Canary) -> None:
    """Have dockerd pull the canary, and remove it. Raises HostError where it comes from elsewhere or not at all."""
    from hostctl import docker_api  # an HTTP client, which an unchanged apply has no use for

    since = time.time()
    name = f"{canary.registry}/{REPOSITORY}"
    try:
        answer = docker_api.call(host, "POST", "/images/create", {"fromImage": name, "tag": TAG}, timeout=PATIENCE)
        reason = answer.message if answer.status != 200 else _pull_error(answer.body)
        if reason:
            raise canary.error("dockerd", _mirror_error(host, since) or reason)
        image: Dict[str, Any] = docker_api.get(host, f"/images/{canary.reference}/json")
        if not any(each.endswith(f"@{canary.digest}") for each in image["RepoDigests"] or []):
            raise canary.error("dockerd", f"it got another image, {', '.join(image['RepoDigests'] or [])}")
    finally:
        docker_api.call(host, "DELETE", f"/images/{canary.reference}")


def prove_containerd(host: Host, canary: Canary, config_path: str) -> Optional[str]:
    """Have containerd's CRI pull the canary, and remove it; a note where crictl is missing and `ctr` did it.

    Raises HostError where it comes from elsewhere or not at all.
    """
    if host.has("crictl"):
        crictl = ("crictl", "--runtime-endpoint", CRI_SOCKET, "--image-endpoint", CRI_SOCKET, "--timeout", "60s")
        try:
            pulled = host.run(*crictl, "pull", canary.reference, timeout=PATIENCE)
            if not pulled.ok:
                raise canary.error("containerd", _last_words(pulled))
            shown = host.must(*crictl, "inspecti", "--output", "json", canary.reference)
            if f"@{canary.digest}" not in shown:
                raise canary.error("containerd", "it got another image")
        finally:
            host.run(*crictl, "rmi", canary.reference)
        return None
    namespace = "http-registry-canary"
    ctr = ("ctr", "--namespace", namespace, "images")
    try:
        pulled = host.run(*ctr, "pull", "--hosts-dir", config_path, canary.reference, timeout=PATIENCE)
        if not pulled.ok:
            raise canary.error("containerd", _last_words(pulled))
        if canary.digest not in host.must(*ctr, "list", f"name=={canary.reference}"):
            raise canary.error("containerd", "it got another image")
    finally:
        host.run(*ctr, "remove", "--sync", canary.reference)
        host.run("ctr", "namespaces", "remove", namespace)
    return (
        "crictl is not installed: the mirror was proved by 'ctr images pull' with the same hosts.toml files, not by a "
        "pull of the CRI"
    )


def _pull_error(progress: bytes) -> str:
    """The error in the engine's stream of JSON lines; empty where the pull went well."""
    lines = [json.loads(line) for line in progress.splitlines() if line.strip()]
    return next((str(each["error"]) for each in lines if "error" in each), "")


def _mirror_error(host: Host, since: float) -> str:
    """Why dockerd gave the mirror up before it went on to the real registry; empty where it has not said so."""
    for said in map(fields, journal(host, "docker", since)):
        if said.get("msg") == "trying next host":
            return said.get("error", "")
        if "next endpoint" in said.get("msg", ""):
            return said["msg"].partition("after error: ")[2]
    return ""


def _last_words(done: Finished) -> str:
    """What crictl or ctr ended with."""
    line = done.tail(1)
    return fields(line).get("msg") or line
