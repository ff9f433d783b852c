"""What is tried on which host: for each unit two wishes, as the controller renders them, and the faults.

Everything is tried on every host, but for containerd: its restarts take most of the time, so the older containerd gets
all kills and the newer one those of an update.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

from documents import (
    authorities,
    buildkit_mirrors,
    canary,
    containerd_mirrors,
    docker_cli,
    docker_mirrors,
    docker_relay,
    firewall_rules,
    floating_address,
    garbage_collection,
    nginx_site,
    offline_sync,
    origin,
)
from hostctl.hosts_toml import Endpoint
from hostctl.units.floating_address import SERVICE
from settings import Tier
from settings.certificates import Certificate
from settings.firewall import Rule
from settings.offline_sync import OfflineSync, WantedImages
from settings.proxy import User
from settings.registries import CacheRegistry, GarbageCollection, HostedRegistry
from settings.runtimes import Authority, BuildKit, CommandLine, Login, Runtime
from settings.standby import Standby
from tests.certificates import NOW, authority

ACCOUNT = "http-registry-faults"
"""An account that the tests make on a host."""
IMAGE = "http-registry-faults:1"
FLOATING = "192.168.1.137"
"""An address of the lab's network that no host has, and no stack of the spare hosts."""
LIST, SHORT_LIST = "/etc/ca-certificates.conf", "/run/http-registry-faults/ca-certificates.conf"
"""The system's own authorities, and some of them: update-ca-certificates takes a second and more for all."""
Request = dict[str, Any]

KILLS: Sequence[Sequence[Any]] = (["kill"], ["kill going back"])
ROOM: Sequence[Sequence[Any]] = (["no room"],)
OTHERS: Sequence[Sequence[Any]] = (["stopped"], ["connection", True], ["lock"])
WAITING: Sequence[Any] = ["connection", False]


def requests(tier: Tier, passwords: Mapping[str, str]) -> dict[str, list[Request]]:
    """The requests of each host. `passwords`: those of the proxy's users."""
    runtimes = {each.host: each for each in tier.runtimes}
    return {
        "registry": [_firewall(tier), _nginx(tier, passwords), _origin(tier)],
        "docker1": [_docker(tier, runtimes["docker1"], 10), _relay(tier), _cli(), _image("docker1", first=True)],
        "docker2": [
            _docker(tier, runtimes["docker2"], 2),
            _buildkit(tier, runtimes["docker2"]),
            _image("docker2", first=False),
            _offline_sync(tier, "docker2"),
        ],
        "containerd1": [_containerd(tier, runtimes["containerd1"], first=True), _authorities(runtimes["containerd1"])],
        "containerd2": [
            _containerd(tier, runtimes["containerd2"], first=False),
            _garbage_collection(tier, "containerd2"),
            _floating_address(tier, "containerd2"),
        ],
    }


def _request(
    host: str,
    unit: str,
    wishes: Mapping[str, Any],
    faults: Sequence[Sequence[Any]],
    *,
    stack: Any = None,
    theirs: Mapping[str, Any] | None = None,
    before: str = "",
    after: str = "",
) -> Request:
    return {
        "owner": f"http-registry/lab/{host}",
        "unit": unit,
        "wishes": wishes,
        "faults": faults,
        "stack": stack,
        "theirs": theirs or {},
        "before": before,
        "after": after,
    }


def _canaries(tier: Tier) -> dict[str, Any]:
    return {"canaries": {name: each.digest for name, each in canary.canaries(tier).items()}}


def _docker(tier: Tier, runtime: Runtime, rounds: int) -> Request:
    assert runtime.docker
    a = docker_mirrors.render(runtime.docker, tier.mirrors(), tier.hosted()).wish()
    b = {**a, "max_concurrent_downloads": 9, "debug": True}
    if b["files"]:
        b["files"] = [{**each, "content": f"{each['content']}# b\n"} for each in b["files"]]
    bad = {**b, "registry_mirrors": ["http://192.168.1.11:5080/?b"], "insecure_registries": ["http://"]}
    refusal = {"service": "docker", "text": "downloads.: 9", "file": "/etc/docker/daemon.json", "dies": True}
    faults = [
        *KILLS, *ROOM, ["refuses the wish", "bad"], ["refuses to start", refusal], ["dies", "docker"], *OTHERS,
        WAITING, ["at once", rounds],
    ]  # fmt: skip
    wishes = {"a": a, "b": b, "bad": bad, "canaries": _canaries(tier)}
    return _request(runtime.host, "docker-mirrors", wishes, faults, stack=a)


def _containerd(tier: Tier, runtime: Runtime, first: bool) -> Request:
    assert runtime.containerd
    a = containerd_mirrors.render(runtime.containerd, tier.mirrors(), tier.hosted()).wish()
    b = {**a, "max_concurrent_downloads": 9}
    b["files"] = [{**each, "content": f"{each['content']}# b\n"} for each in b["files"]]
    refusal = {"service": "containerd", "text": "downloads = 9", "file": "/etc/containerd/config.toml"}
    faults = [
        ["kill", first], ["kill going back", first], *ROOM, ["refuses to start", refusal], ["dies", "containerd"],
        *OTHERS, ["at once", 1],
    ]  # fmt: skip
    wishes = {"a": a, "b": b, "canaries": _canaries(tier)}
    return _request(runtime.host, "containerd-mirrors", wishes, faults, stack=a)


def _relay(tier: Tier) -> Request:
    mirror = Endpoint(tier.mirrors()["docker.io"], authorization=f"Basic {base64.b64encode(b'x:y').decode()}")
    a, b = (docker_relay.render(mirror, port).wish() for port in (5079, 5078))
    faults = [
        *KILLS, *ROOM, ["port is taken", 5078], ["dies", "http-registry-docker-relay"], *OTHERS, ["at once", 1],
    ]  # fmt: skip
    return _request("docker1", "docker-relay", {"a": a, "b": b}, faults)


def _cli() -> Request:
    def wish(password: str, *servers: str) -> dict[str, Any]:
        logins = tuple(Login(registry=each, user="puller") for each in servers)
        lines = [CommandLine(user=user, logins=logins) for user in ("root", ACCOUNT)]
        return docker_cli.render(lines, {"password-puller": password}).wish()

    wishes = {"a": wish("one", "192.168.1.11"), "b": wish("other", "192.168.1.11", "r.example")}
    text = '{\n\t"auths": {"theirs.example": {"auth": "eDp5"}},   "psFormat": "x" }\n'
    theirs = {f"/home/{ACCOUNT}/.docker/config.json": [text, 0o640, ACCOUNT]}
    return _request("docker1", "docker-cli", wishes, [*KILLS, *ROOM, *OTHERS, ["at once", 1]], theirs=theirs)


def _image(host: str, first: bool) -> Request:
    """Archives that are made here: a host without a registry's own image can be taken through everything."""
    archives = {
        "/run/http-registry-faults/a.tar": _archive("a"),
        "/run/http-registry-faults/b.tar": _archive("b"),
        "/run/http-registry-faults/bad.tar": _archive(os.urandom(8).hex(), whole=False),
    }
    wishes = {name: {"archive": f"/run/http-registry-faults/{name}.tar", "image": IMAGE} for name in ("a", "b", "bad")}
    faults = [
        ["kill", first],
        ["kill going back", first],
        *ROOM,
        # The containerd image store takes an archive that lacks half of an image.
        *([["refuses the wish", "bad"]] if first else []),
        ["dies", "docker"],
        *OTHERS,
        ["at once", 1],
    ]
    request = _request(host, "docker-image", wishes, faults)
    return {**request, "archives": {path: base64.b64encode(each).decode() for path, each in archives.items()}}


def _archive(label: str, whole: bool = True) -> bytes:
    """What `docker save` writes (of Docker 25 and newer: an OCI layout too) of an image with one layer of 300 KB.

    Of one that is not `whole`, all but the configuration is cut off.
    """
    blobs: dict[str, bytes] = {}

    def put(kind: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    layer = put(canary.LAYER, _tar({"content": hashlib.shake_256(label.encode()).digest(300_000)}))
    image = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": {"http-registry-faults": label}},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }
    config = put(canary.CONFIG, json.dumps(image).encode())
    head = {"schemaVersion": 2, "mediaType": canary.MANIFEST}
    manifest = put(canary.MANIFEST, json.dumps({**head, "config": config, "layers": [layer]}).encode())
    name, tag = f"docker.io/library/{IMAGE}", IMAGE.rpartition(":")[2]
    manifest["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag}
    places = [f"blobs/sha256/{each['digest'].removeprefix('sha256:')}" for each in (config, layer)]
    if not whole:
        blobs = dict.fromkeys(blobs, b"{") | {places[0]: blobs[places[0]]}
    texts: dict[str, Any] = {
        "oci-layout": {"imageLayoutVersion": "1.0.0"},
        "index.json": {"schemaVersion": 2, "manifests": [manifest]},
        "manifest.json": [{"Config": places[0], "RepoTags": [IMAGE], "Layers": places[1:]}],
    }
    return _tar({**blobs, **{path: json.dumps(text).encode() for path, text in texts.items()}})


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _authorities(runtime: Runtime) -> Request:
    def certificate(name: str) -> Certificate:
        wanted = Authority(name=f"faults-{name}", certificate="ca.pem", registries=(f"{name}.example",))
        return Certificate(wanted, authority(f"Faults {name}").pem, NOW)

    one, other = certificate("a"), certificate("b")
    a, b = (authorities.render(each, runtime, []).wish() for each in ([one], [one, other]))
    program = "/usr/sbin/update-ca-certificates"
    faults = [
        *KILLS, *ROOM, ["refuses by", program, "/usr/local/share/ca-certificates/http-registry-faults-b.crt"], *OTHERS,
        ["at once", 1],
    ]  # fmt: skip
    return _request(
        runtime.host,
        "authorities",
        {"a": a, "b": b},
        faults,
        before=f"head -n 12 {LIST} > {SHORT_LIST}; mount --bind {SHORT_LIST} {LIST}; {program} --fresh",
        after=f"umount {LIST}; {program} --fresh",
    )


def _buildkit(tier: Tier, runtime: Runtime) -> Request:
    settings = runtime.buildkit or BuildKit()
    a = buildkit_mirrors.render(settings, tier.mirrors(), tier.hosted()).wish()
    b = {**a, "registries": {**a["registries"], "b.example": {"mirrors": ["192.168.1.11:5080"]}}}
    theirs = {settings.config: ['# theirs\n[registry."theirs.example"]\n  http = true # odd\n', 0o640, "root"]}
    refusal = {"service": settings.service, "text": "b.example", "file": settings.config}
    faults = [*KILLS, *ROOM, ["refuses to start", refusal], ["dies", settings.service], *OTHERS, ["at once", 1]]
    stack = a if runtime.buildkit else None
    return _request(runtime.host, "buildkit-mirrors", {"a": a, "b": b}, faults, stack=stack, theirs=theirs)


def _nginx(tier: Tier, passwords: Mapping[str, str]) -> Request:
    assert tier.proxy is not None
    first, second = tier.proxy.endpoints
    more = replace_in(
        tier, endpoints=(first, second.model_copy(update={"port": 5081})), users=(*tier.proxy.users, EXTRA)
    )
    known = {**passwords, EXTRA.name: "an0ther"}
    a, b = (
        {
            **nginx_site.render(each).wish(),
            "bcrypt_cost": 4,
            "users": [
                {"name": user.name, "role": user.role, "password": known[user.name]}
                for user in (each.proxy.users if each.proxy else ())
            ],
        }
        for each in (tier, more)
    )
    faults = [*KILLS, *ROOM, ["port is taken", 5081], ["dies", "nginx"], *OTHERS, WAITING, ["at once", 1]]
    stack = {**a, "bcrypt_cost": tier.proxy.bcrypt_cost}
    return _request(tier.proxy.host, "nginx-proxy", {"a": a, "b": b}, faults, stack=stack)


def _origin(tier: Tier) -> Request:
    def wish(upstream: str | None) -> dict[str, Any]:
        changed = [
            each.model_copy(update={"upstream": upstream or each.upstream}) if isinstance(each, CacheRegistry) else each
            for each in tier.registries
        ]
        rendered = origin.render(tier.model_copy(update={"registries": tuple(changed)}), {})
        assert rendered is not None
        return rendered.wish()

    assert tier.proxy is not None
    a, b = wish(None), wish("http://192.168.1.10:5999")
    refusal = {"service": "http-registry-origin", "text": "10:5999", "file": "/etc/http-registry/origin.json"}
    faults = [
        *KILLS, *ROOM, ["refuses to start", refusal], ["dies", "http-registry-origin"], *OTHERS, ["at once", 1],
    ]  # fmt: skip
    return _request(tier.proxy.host, "origin", {"a": a, "b": b}, faults, stack=a)


def _garbage_collection(tier: Tier, host: str) -> Request:
    """On a host that has few others: it needs systemd alone, and no registry."""
    hosted = next(each for each in tier.registries if isinstance(each, HostedRegistry))

    def wish(schedule: str, untagged: bool = False) -> dict[str, Any]:
        rules = GarbageCollection(schedule=schedule, untagged=untagged)
        return garbage_collection.render([hosted.model_copy(update={"garbage_collection": rules})], {}).wish()

    wishes = {"a": wish("*-01-01 03:30"), "b": wish("*-02-02 03:30", True), "bad": wish("Someday")}
    faults = [*KILLS, *ROOM, ["refuses the wish", "bad"], *OTHERS, ["at once", 1]]
    return _request(host, "garbage-collection", wishes, faults)


def _offline_sync(tier: Tier, host: str) -> Request:
    """Nothing is fetched: the timer's time does not come."""

    def wish(schedule: str, tag: str) -> dict[str, Any]:
        images = (WantedImages(registry="docker.io", repository="alpine", tags=(tag,)),)
        sync = OfflineSync(host=host, schedule=schedule, images=images)
        return offline_sync.render(tier.model_copy(update={"offline_sync": sync}), "faults").wish()

    wishes = {"a": wish("*-01-01 03:30", "3"), "b": wish("*-02-02 03:30", "3.*"), "bad": wish("Someday", "3")}
    faults = [*KILLS, *ROOM, ["refuses the wish", "bad"], *OTHERS, ["at once", 1]]
    return _request(host, "offline-sync", wishes, faults)


def _floating_address(tier: Tier, host: str) -> Request:
    """Of a pair whose other host is silent. sshd answers at the address in place of nginx, which does not run here; so
    the check fails all the time, and the address is here nevertheless."""

    def wish(router_id: int) -> dict[str, Any]:
        standby = Standby(host=host, by="keepalived", address=FLOATING, router_id=router_id)
        return {
            **floating_address.render(replace_in(tier, standby=standby), host).wish(),
            "port": tier.host(host).ssh_port,
        }

    a, b = wish(97), wish(98)
    bad = json.loads(json.dumps(b).replace("virtual_router_id 98", "virtual_router_id none"))
    faults = [*KILLS, *ROOM, ["refuses the wish", "bad"], ["dies", SERVICE], *OTHERS, ["at once", 1]]
    return _request(host, "floating-address", {"a": a, "b": b, "bad": bad}, faults)


EXTRA = User(name="faults", role="push")


def replace_in(tier: Tier, **proxy: Any) -> Tier:
    """The tier with another proxy."""
    assert tier.proxy is not None
    return tier.model_copy(update={"proxy": tier.proxy.model_copy(update=proxy)})


def _firewall(tier: Tier) -> Request:
    assert tier.proxy is not None
    host = tier.proxy.host
    rules = tier.firewall_rules(host)
    more = [*rules, Rule(ports=(5999,), allow=("10.9.0.0/16",))]
    a, b = (firewall_rules.wish(each, tier.firewall, tier.host(host).ssh_port) for each in (rules, more))
    refusal = {"service": "http-registry-firewall", "text": "10.9.0.0", "file": "/etc/http-registry/firewall.v4"}
    faults = [*KILLS, *ROOM, ["refuses to start", refusal], *OTHERS, ["at once", 1]]
    return _request(host, "firewall", {"a": a, "b": b}, faults, stack=a)
