"""A bundle taken into registries: verified first, then all content by digest, and tags last.

Until the last image is whole there, no tag means anything of the bundle; a run that fails can be run again.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Set, Tuple

from offline_sync import manifests
from offline_sync.bundle import Bundle, Files, Folder, Image, blob_name, counted, faults, listed, opened
from offline_sync.config import Config
from offline_sync.failure import Failure
from offline_sync.registry import Registry
from offline_sync.serving import serving
from offline_sync.skopeo import Skopeo, ready

LOADED = "loaded.json"
MOST_FAULTS = 20
Say = Callable[[str], None]


@dataclass(frozen=True)
class Loaded:
    """An image that this program has put into a registry. `bundle`: the name of its bundle. `manifests`: its own and
    its parts'. `left`: whether the bundle of that name no longer had it when it was last loaded."""

    bundle: str
    registry: str
    repository: str
    tag: str
    digest: str
    manifests: Tuple[str, ...]
    left: bool = False

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.registry}/{self.repository}" + (f":{self.tag}" if self.tag else "") + f" {self.digest}"


def verified(path: Path, say: Say) -> Tuple[Files, Bundle]:
    """The bundle there, with every byte read. Raises Failure that lists what is wrong."""
    files = opened(path)
    bundle = listed(files)
    say(f"{path}: made {bundle.made}, {counted(bundle.current().images)}, {sum(bundle.blobs.values()):,} bytes")
    found = list(faults(files, bundle))
    if found:
        more = [f"and {len(found) - MOST_FAULTS} more"] if len(found) > MOST_FAULTS else []
        lines = "\n  ".join([*found[:MOST_FAULTS], *more])
        raise Failure(f"{path}: is not whole:\n  {lines}\nCopy it anew; nothing was loaded")
    say(f"verified: {len(bundle.blobs)} files are what their names say")
    for each in bundle.failed:
        say(f"note: the bundle was made without this: {each}")
    return files, bundle


def load(config: Config, path: Path, say: Say) -> None:
    """Raises Failure."""
    files, whole = verified(path, say)
    bundle = whole.current()
    homeless = sorted({each.registry for each in bundle.images} - set(config.targets))
    if homeless:
        raise Failure(
            f"{path}: has images of {', '.join(homeless)}, and offline_sync.into does not say which registry takes "
            "them; add it. Nothing was loaded"
        )
    loading = _Loading(config, files, bundle, say)
    loading.greet()
    loading.make_room()
    loading.send()
    loading.tag()
    record(config, whole.name, loading.done())


class _Loading:
    def __init__(self, config: Config, files: Files, bundle: Bundle, say: Say) -> None:
        self._config, self._files, self._bundle, self._say = config, files, bundle, say
        self._clients: Dict[str, Registry] = {name: config.client(each) for name, each in config.targets.items()}
        self._needed = {image: manifests.needed(self._get, image.digest, image.platforms) for image in bundle.images}
        self._missing: List[Image] = []

    def greet(self) -> None:
        """Every registry answers before anything is sent, and says what it lacks."""
        for name in sorted({each.registry for each in self._bundle.images}):
            self._clients[name].greet()
        self._missing = [
            image
            for image in self._bundle.images
            if not all(self._clients[image.registry].head(image.repository, each) for each in self._needed[image][0])
        ]

    def make_room(self) -> None:
        """Raises Failure where a registry's disk can't take what it lacks."""
        volumes = {self._config.targets[each.registry].volume for each in self._missing}
        for volume in sorted(volumes - {""}):
            free = _free(volume)
            lacking: Dict[str, int] = {}  # a blob that several need is there once
            for image in self._missing:
                lacking.update(self._lacking(image, volume))
            need = sum(lacking.values())
            if free is not None and need > free:
                raise Failure(
                    f"{volume}: the registry needs {need:,} bytes more, and the disk of this volume has {free:,} free; "
                    "make room there. Nothing was loaded"
                )

    def _lacking(self, image: Image, volume: str) -> Dict[str, int]:
        if self._config.targets[image.registry].volume != volume:
            return {}
        client = self._clients[image.registry]
        manifests_, blobs = self._needed[image]
        return {
            digest: size
            for digest, size in {**manifests_, **blobs}.items()
            if not client.has_blob(image.repository, digest)
        }

    def send(self) -> None:
        """All content, by digest."""
        missing = self._missing
        unique = list(
            {(each.registry, each.repository, each.digest, each.platforms): each for each in missing}.values()
        )
        say = self._say
        say(f"{counted(self._bundle.images)}, {len(self._bundle.images) - len(missing)} there already")
        with serving(self._files, False, say) as server, ready(server, self._config.logins) as skopeo:
            for number, image in enumerate(unique, start=1):
                say(f"[{number}/{len(unique)}] {image.name} {image.digest}")
                try:
                    self._send(skopeo, image)
                except Failure as failure:
                    raise Failure(f"{failure}. No tag was set: what was there is as it was") from None
            moved = server.moved
        say(f"{moved:,} bytes sent")

    def _send(self, skopeo: Skopeo, image: Image) -> None:
        target = self._config.targets[image.registry]
        remote = skopeo.remote(target.url, target.ca)
        content = self._get(image.digest)
        if not manifests.left_out(content, image.platforms):
            skopeo.send(remote, image.repository, image.digest)
            return
        for each in manifests.parts(content, image.platforms):
            skopeo.send(remote, image.repository, each.digest)
        try:
            # skopeo hides why a registry does not take an index.
            self._clients[image.registry].tag(image.repository, image.digest, content)
        except Failure as failure:
            raise Failure(
                f"{image.name}: the bundle has the platforms {', '.join(image.platforms or ())} alone, and the "
                f"registry wants all ({failure}); say sparse_indexes: true of it and run 'make up'"
            ) from None

    def tag(self) -> None:
        """What is tagged in the bundle, now that all of it is there."""
        count = 0
        for image in self._bundle.images:
            client = self._clients[image.registry]
            if not image.tag:
                continue
            there = client.head(image.repository, image.tag)
            if there is None or there.digest != image.digest:
                client.tag(image.repository, image.tag, self._get(image.digest))
                count += 1
        self._say(f"tags set: {count}; {counted(self._bundle.images)} there by digest")

    def done(self) -> List[Loaded]:
        """For the record."""
        return [
            Loaded(
                self._bundle.name, each.registry, each.repository, each.tag, each.digest, tuple(self._needed[each][0])
            )
            for each in self._bundle.images
        ]

    def _get(self, digest: str) -> bytes:
        with self._files.open(blob_name(digest)) as file:
            return file.read()


def _free(volume: str) -> Optional[int]:
    """Bytes on the disk of one of Docker's volumes here; None where that can't be told."""
    if not volume:
        return None
    try:
        command = ["docker", "volume", "inspect", "--format", "{{.Mountpoint}}", volume]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        return shutil.disk_usage(done.stdout.strip()).free if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired):
        return None


def loaded(config: Config) -> List[Loaded]:
    """What the record has; nothing where there is none. Raises Failure."""
    path = config.state / LOADED
    try:
        return [Loaded(**{**each, "manifests": tuple(each["manifests"])}) for each in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError) as wrong:
        raise Failure(f"{path}: can't be read ({wrong}); without it nobody knows what came from bundles") from None


def record(config: Config, bundle: str, images: Sequence[Loaded]) -> None:
    """Remember what has just been loaded; what else came from that bundle's earlier versions has left."""
    now: Set[Tuple[str, ...]] = {(each.registry, each.repository, each.tag, each.digest) for each in images}
    earlier = [each for each in loaded(config) if (each.registry, each.repository, each.tag, each.digest) not in now]
    keep(config, [*images, *(replace(each, left=each.left or each.bundle == bundle) for each in earlier)])


def keep(config: Config, images: Sequence[Loaded]) -> None:
    """Write the record."""
    config.state.mkdir(parents=True, exist_ok=True)
    config.state.chmod(0o700)
    Folder(config.state).write(LOADED, json.dumps([asdict(each) for each in images], indent=1).encode())
