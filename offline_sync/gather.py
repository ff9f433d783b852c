"""A bundle made of what the list wants, or brought up to date: what is there already is not fetched again."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from io import BytesIO
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from offline_sync import manifests, selectors
from offline_sync.bundle import INDEX, LAYOUT, LIST, Bundle, Folder, Image, blob_name, counted, listed
from offline_sync.config import Config, Server, Wanted
from offline_sync.failure import Failure
from offline_sync.registry import Registry
from offline_sync.serving import serving
from offline_sync.skopeo import Skopeo, ready

SUFFIXES = ("", ".sig", ".att", ".sbom")
"""How a tag ends that says what refers to a digest: the referrers' index, and cosign's signature, attestation, SBOM."""
ABOUT = re.compile(r"sha256-[0-9a-f]{64}(\..*)?")
Say = Callable[[str], None]


@dataclass
class Gathering:
    """One run. `failed`: lines. `kept`: manifests of what could not be had again, and so is as it was."""

    config: Config
    folder: Folder
    skopeo: Skopeo
    say: Say
    before: Bundle
    failed: List[str] = field(default_factory=list)
    kept: Set[str] = field(default_factory=set)
    images: Dict[Tuple[str, str, str, str], Image] = field(default_factory=dict)
    _clients: Dict[str, Registry] = field(default_factory=dict)
    _tags: Dict[Tuple[str, str], List[str]] = field(default_factory=dict)

    def client(self, registry: str) -> Registry:
        """Of an image's registry."""
        if registry not in self._clients:
            self._clients[registry] = self.config.client(self.server(registry))
        return self._clients[registry]

    def server(self, registry: str) -> Server:
        """Where its images come from."""
        return self.config.sources[registry]

    def tags(self, registry: str, repository: str) -> List[str]:
        """Asked once."""
        key = registry, repository
        if key not in self._tags:
            self._tags[key] = self.client(registry).tags(repository)
        return self._tags[key]

    def resolved(self) -> List[Image]:
        """What the list means now."""
        found: Dict[Tuple[str, str, str, str], Image] = {}
        for wanted in self.config.images:
            name = f"{wanted.registry}/{wanted.repository}"
            try:
                references = [*self._wanted_tags(wanted), *wanted.digests]
                for reference in references:
                    image = self._resolved(wanted, reference)
                    if image is None:
                        joint = "@" if reference in wanted.digests else ":"
                        self._fail(f"{name}{joint}{reference}", "is not there", wanted, reference)
                    else:
                        found[image.key] = _joined(found.get(image.key), image)
            except Failure as failure:
                self._fail(name, str(failure), wanted)
        return list(found.values())

    def _wanted_tags(self, wanted: Wanted) -> List[str]:
        exact = [each for each in wanted.tags if selectors.is_exact(each)]
        others = [each for each in wanted.tags if each not in exact]
        there = [each for each in self.tags(wanted.registry, wanted.repository) if not ABOUT.fullmatch(each)]
        for each in others:
            if not selectors.wanted([each], there):
                self._fail(f"{wanted.registry}/{wanted.repository}", f"no tag is {each!r}", wanted, each)
        return list(dict.fromkeys([*exact, *selectors.wanted(others, there)]))

    def _resolved(self, wanted: Wanted, reference: str) -> Optional[Image]:
        found = self.client(wanted.registry).head(wanted.repository, reference)
        if found is None:
            return None
        tag = "" if reference in wanted.digests else reference
        return Image(wanted.registry, wanted.repository, tag, found.digest, found.kind, wanted.platforms)

    def _fail(self, name: str, why: str, wanted: Wanted, reference: str = "") -> None:
        """Note it, and keep what the bundle has of it from before."""
        self.failed.append(f"{name}: {why}")
        self.say(f"failed: {self.failed[-1]}")
        for image in self.before.images:
            ours = (image.registry, image.repository) == (wanted.registry, wanted.repository) and not image.left
            named = not reference or selectors.matches(reference, image.tag) or reference == image.digest
            newer = image.tag and any(each.key[:3] == image.key[:3] for each in self.images.values())
            if ours and named and not newer and complete(self.folder, image):
                self.images[image.key] = image
                self.kept.update(manifests.needed(self.get, image.digest, image.platforms)[0])

    def fetch(self, image: Image) -> Image:
        """Have it in the bundle, whole. Raises Failure."""
        if not complete(self.folder, image):
            server = self.server(image.registry)
            remote = self.skopeo.remote(server.url, server.ca)
            alone = image.platforms is not None
            self.skopeo.fetch(remote, image.repository, image.digest, alone=alone)
            for each in manifests.parts(self.get(image.digest), image.platforms) if alone else ():
                if each.manifest:
                    self.skopeo.fetch(remote, image.repository, each.digest, alone=False)
        content = self.get(image.digest)
        if image.platforms is not None and manifests.is_index(content):
            if not manifests.parts(content, image.platforms):
                raise Failure(f"{image.name}: has none of the platforms {', '.join(image.platforms)}")
        else:
            image = replace(image, platforms=None)
        image = replace(image, kind=manifests.kind_of(content))
        older = [key for key, each in self.images.items() if image.tag and each.key[:3] == image.key[:3]]
        for key in older:
            del self.images[key]
        self.images[image.key] = image
        return image

    def about(self, image: Image) -> Iterator[Image]:
        """What signs or describes the image or a part of it: tags by its digest, and what names it as its subject."""
        client = self.client(image.registry)
        tags = self.tags(image.registry, image.repository)
        known, _ = manifests.needed(self.get, image.digest, image.platforms)
        for digest in known:
            base = digest.replace(":", "-")

            def made(tag: str, of: str, digest: str = digest) -> Image:
                return Image(image.registry, image.repository, tag, of, "", of=digest)

            for suffix in SUFFIXES:
                found = client.head(image.repository, base + suffix) if base + suffix in tags else None
                if found:
                    yield made(base + suffix, found.digest)
            descriptors = client.referrers(image.repository, digest)
            for each in descriptors:
                yield made("", str(each.get("digest")))
            if descriptors and base not in tags:
                content = manifests.index_of(descriptors)
                self.folder.write(blob_name(manifests.digest_of(content)), content)
                yield made(base, manifests.digest_of(content))

    def get(self, digest: str) -> bytes:
        """A manifest of the bundle."""
        with self.folder.open(blob_name(digest)) as file:
            return file.read()

    def have(self, wanted: Sequence[Image]) -> None:
        """Fetch what is missing of these, and of what is about them."""
        missing = [each for each in wanted if not complete(self.folder, each)]
        self.say(f"{counted(wanted)} wanted, {len(wanted) - len(missing)} in the bundle already")
        waiting = [
            (each, f"[{number}/{len(missing)}] " if each in missing else "")
            for number, each in _numbered(wanted, missing)
        ]
        while waiting:
            image, label = waiting.pop(0)
            if image.key in self.images:
                continue
            try:
                if label or not complete(self.folder, image):
                    self.say(f"{label}{image.name} {image.digest}")
                got = self.fetch(image)
                waiting += [(each, "  ") for each in self.about(got)]
            except Failure as failure:
                entry = Wanted(image.registry, image.repository, (), (), None)
                self._fail(image.name, str(failure), entry, image.tag or image.digest)

    def with_left(self) -> List[Image]:
        """All images of the bundle to be: with those that have left the list."""
        gone = [each for each in self.before.images if each.key not in self.images and complete(self.folder, each)]
        left = [replace(each, left=each.of not in self.kept) for each in gone]
        return sorted([*self.images.values(), *left], key=lambda each: each.key)


def _numbered(wanted: Sequence[Image], missing: Sequence[Image]) -> Iterator[Tuple[int, Image]]:
    number = 0
    for each in wanted:
        number += each in missing
        yield number, each


def _joined(known: Optional[Image], image: Image) -> Image:
    """Two entries of the list may want different platforms of one image."""
    if known is None or image.platforms is None or known.platforms is None:
        return image if known is None else replace(image, platforms=None)
    return replace(image, platforms=tuple(dict.fromkeys([*known.platforms, *image.platforms])))


def complete(folder: Folder, image: Image) -> bool:
    """Whether the bundle's folder has all of it; sizes only, `verify` reads the content."""

    def get(digest: str) -> bytes:
        with folder.open(blob_name(digest)) as file:
            return file.read()

    try:
        _, blobs = manifests.needed(get, image.digest, image.platforms)
    except (FileNotFoundError, Failure):
        return False
    return all(folder.size(blob_name(digest)) == size for digest, size in blobs.items())


def gather(config: Config, say: Say) -> Bundle:
    """One run. Raises Failure where something of the list could not be had, after the bundle has the rest."""
    folder = Folder(config.folder)
    before = Bundle()
    if folder.size(LIST) is not None:
        try:
            before = listed(folder)
        except Failure as broken:
            say(f"{broken}; it is made anew from the files that are there")
    with serving(folder, True, say) as server, ready(server, config.logins) as skopeo:
        run = Gathering(config, folder, skopeo, say, before)
        run.have(run.resolved())
        if server.trouble:
            raise Failure(server.trouble)
        moved = server.moved
        images = run.with_left()
        bundle = Bundle(tuple(images), _sizes(run.get, images), _now(), tuple(run.failed), config.name)
        folder.keep(bundle)
    left = [each for each in bundle.images if each.left]
    say(f"{config.folder}: {counted(bundle.current().images)}, {moved:,} bytes fetched")
    if left:
        say(f"{counted(left)} left the list, and are still in the folder: 'make prune' shows them")
    if config.tar:
        write_tar(folder, bundle, Path(config.tar), say)
    if run.failed:
        raise Failure(f"{len(run.failed)} of the list could not be had (see 'failed' above); the bundle has the rest")
    return bundle


def _sizes(get: Callable[[str], bytes], images: Iterable[Image]) -> Dict[str, int]:
    sizes: Dict[str, int] = {}
    for each in images:
        for some in manifests.needed(get, each.digest, each.platforms):
            sizes.update(some)
    return dict(sorted(sizes.items()))


def write_tar(folder: Folder, bundle: Bundle, path: Path, say: Say) -> None:
    """The bundle as one file, without what has left the list; it takes its name once it is whole. Raises Failure."""
    images = bundle.current().images

    def get(digest: str) -> bytes:
        with folder.open(blob_name(digest)) as file:
            return file.read()

    whole = replace(bundle, images=images, blobs=_sizes(get, images))
    need = sum(each + 1024 for each in whole.blobs.values()) + (1 << 20)
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(path.parent).free
    if need > free:
        raise Failure(f"{path}: needs {need:,} bytes, and {free:,} are free; make room, or leave `tar` out")
    try:
        with part.open("wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                texts = {LIST: whole.text(), LAYOUT: b'{"imageLayoutVersion":"1.0.0"}\n', INDEX: whole.index()}
                for name, text in texts.items():
                    tar.addfile(_entry(name, len(text)), BytesIO(text))
                for digest, size in whole.blobs.items():
                    with folder.open(blob_name(digest)) as blob:
                        tar.addfile(_entry(blob_name(digest), size), blob)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as wrong:
        with suppress(OSError):
            part.unlink()
        raise Failure(f"{path}: {wrong.strerror or wrong}; the tar that was there before is as it was") from None
    say(f"{path}: {path.stat().st_size:,} bytes")


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
