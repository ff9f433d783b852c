"""What has left the list goes: from the bundle's folder, and from the registries that it was loaded into."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Set, Tuple

from offline_sync import manifests
from offline_sync.bundle import BLOBS, LIST, Bundle, Folder, Image, blob_name, counted, listed
from offline_sync.config import Config
from offline_sync.load import Loaded, keep, loaded
from offline_sync.registry import Registry

Say = Callable[[str], None]


def prune(config: Config, really: bool, say: Say) -> None:
    """Show what would go; with `really` it goes. Raises Failure."""
    if config.images:
        _folder(config, really, say)
    if config.targets:
        _registries(config, really, say)
    if not really:
        say("nothing was removed; YES=1 does it")


def _folder(config: Config, really: bool, say: Say) -> None:
    folder = Folder(config.folder)
    if folder.size(LIST) is None:
        say(f"{config.folder}: there is no bundle yet")
        return
    bundle = listed(folder)
    for each in bundle.images:
        if each.left:
            say(f"{config.folder}: {each.name} {each.digest}")
    used = _used(folder, bundle.current())
    files = [each for each in (config.folder / BLOBS).iterdir() if f"sha256:{each.name}" not in used]
    size = sum(each.stat().st_size for each in files)
    say(f"{config.folder}: {len(files)} files with {size:,} bytes that nothing on the list needs")
    if really:
        blobs = {digest: size for digest, size in bundle.blobs.items() if digest in used}
        folder.keep(replace(bundle.current(), blobs=blobs))
        for file in files:
            file.unlink()


def _used(folder: Folder, bundle: Bundle) -> Set[str]:
    def get(digest: str) -> bytes:
        with folder.open(blob_name(digest)) as file:
            return file.read()

    def of(image: Image) -> Set[str]:
        known, blobs = manifests.needed(get, image.digest, image.platforms)
        return {*known, *blobs}

    return {digest for image in bundle.images for digest in of(image)}


def _registries(config: Config, really: bool, say: Say) -> None:
    known = loaded(config)
    gone = [each for each in known if each.left and each.registry in config.targets]
    stays = [each for each in known if not each.left]
    needed = {(each.registry, each.repository, digest) for each in stays for digest in each.manifests}
    tags = {(each.registry, each.repository, each.tag) for each in stays}
    for each in gone:
        say(f"{config.targets[each.registry].url}: {each.name}")
    say(f"{counted(gone)} left the bundles that were loaded here")
    if not really:
        return
    clients = {name: config.client(server) for name, server in config.targets.items()}
    count = 0
    for each in gone:
        client = clients[each.registry]
        if each.tag and (each.registry, each.repository, each.tag) not in tags:
            count += _untag(client, each, needed)
        for digest in each.manifests:
            if (each.registry, each.repository, digest) not in needed:
                count += client.delete(each.repository, digest)
        keep(config, known := [other for other in known if other != each])
    say(f"{count} manifests and tags removed; garbage collection frees their room ('make gc')")


def _untag(client: Registry, image: Loaded, needed: Set[Tuple[str, str, str]]) -> int:
    """Of a manifest that stays, a tag that does not; somebody else may have given the tag another meaning since."""
    if (image.registry, image.repository, image.digest) not in needed:
        return 0  # goes with its manifest
    there = client.head(image.repository, image.tag)
    if there is None or there.digest != image.digest:
        return 0
    return int(client.delete(image.repository, image.tag))
