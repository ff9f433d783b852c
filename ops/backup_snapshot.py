"""What of a registry's data a backup holds: its links at one moment, and the blobs that these lead to. Pure.

A listing has what needs something before that (volume_files), so it is whole though pushes go on. A link whose blob is
not listed was removed meanwhile, or leads nowhere in the registry itself; nobody can pull by it. A tag that was listed
half way has its history and not yet what it is; distribution would tell its name and have nothing for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from garbage_collection.contents import DIGEST, blob_path, layer_path, revision_path
from ops.volume_files import BLOB

REVISIONS = "/_manifests/revisions/"
TAGS = "/_manifests/tags/"
TAG = "/current/link"
"""How the path of a tag's link ends: the one kind of link that can come to say something else."""


@dataclass(frozen=True)
class Snapshot:
    """`links`: what each says, a digest, by its path. `blobs`: the size of each blob, by its path."""

    links: Mapping[str, str]
    blobs: Mapping[str, int]

    @staticmethod
    def of(listing: Mapping[str, str]) -> Snapshot:
        """What of a listing can be pulled."""
        sizes = {path: int(size) for path, size in listing.items() if BLOB.fullmatch(path)}
        links = {
            path: text.strip()
            for path, text in listing.items()
            if path.endswith("/link") and DIGEST.fullmatch(text.strip()) and blob_path(text.strip()) in sizes
        }
        links = {path: digest for path, digest in links.items() if TAGS not in path or _tag_link(path) in links}
        return Snapshot(links, {blob_path(each): sizes[blob_path(each)] for each in set(links.values())})

    @staticmethod
    def read(text: str) -> Snapshot:
        """From the text that `text` gives. Raises ValueError."""
        try:
            data = json.loads(text)
            links = {str(path): str(digest) for path, digest in data["links"].items()}
            blobs = {str(path): int(size) for path, size in data["blobs"].items()}
        except (AttributeError, KeyError, TypeError, OverflowError, RecursionError) as wrong:
            raise ValueError(f"is no list of links and blobs ({wrong})") from wrong
        # They become paths of files.
        odd = [path for path in links if ".." in path.split("/") or not path.startswith("repositories/")]
        odd += [path for path in blobs if not BLOB.fullmatch(path)]
        if odd:
            raise ValueError(f"names {odd[0]}, which is no file of a registry")
        return Snapshot(links, blobs)

    def text(self) -> str:
        """For a file."""
        return json.dumps(asdict(self), indent=0, sort_keys=True) + "\n"

    @property
    def images(self) -> list[str]:
        """Every manifest, as repository@digest."""
        return sorted({f"{_repository(path)}@{digest}" for path, digest in self.links.items() if REVISIONS in path})

    @property
    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(self.blobs.values())

    def lacking(self, read: Callable[[str], bytes]) -> list[str]:
        """The images and tags that can't be pulled whole. `read` gives a blob by its path, or raises FileNotFoundError.

        A repository gives out only blobs and manifests that it has a link to.
        """
        known: dict[str, list[tuple[str, bool]] | None] = {}
        found = set()
        for path, digest in self.links.items():
            repository, tag = _repository(path), path.endswith(TAG)
            if tag and revision_path((repository, digest)) not in self.links:
                found.add(tag_of(path))
            if REVISIONS not in path:
                continue
            if digest not in known:
                known[digest] = _parts(blob_path(digest), read)
            parts = known[digest]
            if parts is None or any(
                (revision_path if manifest else layer_path)((repository, each)) not in self.links
                for each, manifest in parts
            ):
                found.add(f"{repository}@{digest}")
        return sorted(found)

    def missing_in(self, listing: Mapping[str, str]) -> tuple[list[str], list[str], list[str]]:
        """What a registry lacks of this: paths of blobs, of links, and of tags that mean another image there."""
        blobs = [path for path, size in self.blobs.items() if listing.get(path) != str(size)]
        links = [path for path in self.links if path not in listing]
        moved = [path for path, digest in self.links.items() if listing.get(path, digest).strip() != digest]
        return sorted(blobs), sorted(links), sorted(moved)


def tag_of(path: str) -> str:
    """A tag's link as repository:tag."""
    repository, _, tag = path.removeprefix("repositories/").removesuffix(TAG).partition(TAGS)
    return f"{repository}:{tag}"


def _tag_link(path: str) -> str:
    """What says which image the tag is that a link below its folder belongs to."""
    before, _, after = path.partition(TAGS)
    return f"{before}{TAGS}{after.partition('/')[0]}{TAG}"


def _repository(path: str) -> str:
    return path.removeprefix("repositories/").partition("/_")[0]


def _parts(path: str, read: Callable[[str], bytes]) -> list[tuple[str, bool]] | None:
    """The digests that a manifest of any kind names as parts, and whether each is a manifest; None if it is none.

    Layers that are elsewhere by their `urls` are left out.
    """
    try:
        manifest = json.loads(read(path))
        blobs = [manifest.get("config"), *(manifest.get("layers") or [])]
        return [
            *((each["digest"], False) for each in blobs if each and not each.get("urls")),
            *((each["digest"], True) for each in manifest.get("manifests") or []),
            *((each["blobSum"], False) for each in manifest.get("fsLayers") or []),
        ]
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError, FileNotFoundError):
        return None
