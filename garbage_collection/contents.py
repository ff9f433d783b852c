"""What a registry's storage holds, and what of it nothing needs. Pure: listings and manifests in, paths out.

Layout of the storage: distribution v3, registry/storage/paths.go. A blob is one file for all repositories. A
repository has links: to the blobs that may be pulled from it (`_layers`), to its manifests (`revisions`), from each tag
to the manifest that it means now (`current`) and to those that it has meant (`index`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, Iterator, List, Set, Tuple

from garbage_collection.stores import File

DIGEST = re.compile(r"[a-z0-9]+:[0-9a-f]{32,}")
ANY_DIGEST = re.compile(rf'"({DIGEST.pattern})"')
_HASH = r"([a-z0-9]+)/([0-9a-f]+)"
_BLOB = re.compile(r"blobs/([a-z0-9]+)/[0-9a-f]{2}/([0-9a-f]+)/data")
_LAYER = re.compile(rf"repositories/(.+)/_layers/{_HASH}/link")
_REVISION = re.compile(rf"repositories/(.+)/_manifests/revisions/{_HASH}/link")
_CURRENT = re.compile(r"repositories/(.+)/_manifests/tags/[^/]+/current/link")
_INDEX = re.compile(rf"repositories/(.+)/_manifests/tags/[^/]+/index/{_HASH}/link")
DIGESTS = ("digest", "blobsum")
"""Keys of a manifest that name a part, in small letters."""
NO_REFERENCE = ("subject", "annotations")
"""Keys of a manifest below which a digest is no part of the image. A signature names its image as `subject`; that must
not keep an image alive that was deleted."""

Link = Tuple[str, str]
"""A repository and a digest."""


class Unreadable(Exception):
    """The storage holds something that can't be understood, so nothing may be removed."""


@dataclass
class Contents:
    """What a listing shows. Times are seconds since the epoch."""

    blobs: Dict[str, float] = field(default_factory=dict)
    sizes: Dict[str, int] = field(default_factory=dict)
    layers: Dict[Link, float] = field(default_factory=dict)
    revisions: Dict[Link, float] = field(default_factory=dict)
    current: List[Tuple[str, File]] = field(default_factory=list)
    """Repository and link of each tag."""
    index: List[Tuple[Link, str]] = field(default_factory=list)

    @staticmethod
    def of(listing: Iterable[File]) -> Contents:
        """Sort a listing."""
        found = Contents()
        for file in listing:
            path, changed, size, _ = file
            blob, layer, revision = _BLOB.fullmatch(path), _LAYER.fullmatch(path), _REVISION.fullmatch(path)
            if blob:
                found.blobs[f"{blob[1]}:{blob[2]}"] = changed
                found.sizes[f"{blob[1]}:{blob[2]}"] = size
            elif layer:
                found.layers[(layer[1], f"{layer[2]}:{layer[3]}")] = changed
            elif revision:
                found.revisions[(revision[1], f"{revision[2]}:{revision[3]}")] = changed
            else:
                current, index = _CURRENT.fullmatch(path), _INDEX.fullmatch(path)
                if current:
                    found.current.append((current[1], file))
                elif index:
                    found.index.append(((index[1], f"{index[2]}:{index[3]}"), path))
        return found


@dataclass(frozen=True)
class Dead:
    """What nothing needs. `links`: by path, what they say."""

    links: Dict[str, str]
    revisions: int
    blobs: Set[str]
    used: Set[Link]
    """What is needed, by repository."""

    def __bool__(self) -> bool:
        return bool(self.links or self.blobs)


def find_dead(contents: Contents, read: Callable[[str], bytes], untagged: bool, since: float, memory: Memory) -> Dead:
    """What may go: needed by no image, and last changed before `since`.

    An image is a manifest that a tag means, or, unless `untagged`, any manifest of a repository; so is one that was
    put since. It needs what it names. `read` gives a file, or raises FileNotFoundError. Raises Unreadable.
    """
    roots = set(contents.revisions)
    if untagged:
        roots = {link for link, changed in contents.revisions.items() if changed >= since}
    for repository, tag in contents.current:
        try:
            roots.add((repository, memory.meaning(tag, read)))
        except FileNotFoundError:
            continue  # the tag was deleted since the listing
    used = _reachable(roots, contents, read, memory)
    revisions = {link for link, changed in contents.revisions.items() if link not in used and changed < since}
    layers = {link for link, changed in contents.layers.items() if link not in used and changed < since}
    links = {revision_path(link): link[1] for link in revisions}
    links.update({layer_path(link): link[1] for link in layers})
    links.update({path: link[1] for link, path in contents.index if link in revisions})
    needed = {each for _, each in used} | {each for _, each in set(contents.layers) - layers}
    blobs = {each for each, changed in contents.blobs.items() if each not in needed and changed < since}
    return Dead(links, len(revisions), blobs, used)


class Memory:
    """What manifests name, and tags mean. A manifest never changes, so it is read once; a tag's link is read again
    where its mark is another one: a request for each tag would hold pushes off for longer than all else."""

    def __init__(self) -> None:
        self._known: Dict[str, Set[str]] = {}
        self._tags: Dict[str, Tuple[str, str]] = {}

    def meaning(self, tag: File, read: Callable[[str], bytes]) -> str:
        """The digest that a tag's link holds. Raises Unreadable, and as `read` does."""
        mark, digest = self._tags.get(tag.path, ("", ""))
        if not mark or mark != tag.mark:
            digest = _digest(tag.path, read(tag.path))
            self._tags[tag.path] = (tag.mark, digest)
        return digest

    def references(self, manifest: str, read: Callable[[str], bytes]) -> Set[str]:
        """What a manifest names; nothing where it is not there, since nobody can pull it then."""
        if manifest not in self._known:
            try:
                content = read(blob_path(manifest))
            except FileNotFoundError:
                return set()
            self._known[manifest] = set(references(manifest, content))
        return self._known[manifest]


def references(manifest: str, content: bytes) -> Iterator[str]:
    """Every digest that a manifest of any kind names as a part of its image. Raises Unreadable.

    Read as registries and runtimes do, by Go's encoding/json: keys in any case, each of those that are there twice,
    bytes that are no UTF-8, numbers of any length. Who may push must not hide a layer from us, nor stop us.
    """
    text = content.decode(errors="replace")
    try:
        data = json.loads(text, object_pairs_hook=tuple, parse_int=str)
    except RecursionError:
        yield from ANY_DIGEST.findall(text)  # too much is kept of an image that nests so deeply
        return
    except ValueError as broken:
        raise Unreadable(
            f"{manifest}: is linked as a manifest, but is no JSON ({broken}); delete or repair it"
        ) from None
    stack: List[Any] = [data]
    while stack:
        each = stack.pop()
        if isinstance(each, tuple):
            for key, value in each:
                if key.casefold() in DIGESTS and isinstance(value, str) and DIGEST.fullmatch(value):
                    yield value
                elif key.casefold() not in NO_REFERENCE:
                    stack.append(value)
        elif isinstance(each, list):
            stack.extend(each)


def _reachable(roots: Set[Link], contents: Contents, read: Callable[[str], bytes], memory: Memory) -> Set[Link]:
    manifests = {digest for _, digest in contents.revisions} | {digest for _, digest in roots}
    used: Set[Link] = set()
    stack = list(roots)
    while stack:
        link = stack.pop()
        if link in used:
            continue
        used.add(link)
        repository, digest = link
        if digest in manifests:
            stack.extend((repository, each) for each in memory.references(digest, read))
    return used


def _digest(path: str, content: bytes) -> str:
    text = content.decode(errors="replace").strip()
    if not DIGEST.fullmatch(text):
        raise Unreadable(f"{path}: does not hold a digest; push that tag again or delete it")
    return text


def _below(digest: str) -> str:
    algorithm, _, hexadecimal = digest.partition(":")
    return f"{algorithm}/{hexadecimal}"


def blob_path(digest: str) -> str:
    """The file of a blob."""
    algorithm, _, hexadecimal = digest.partition(":")
    return f"blobs/{algorithm}/{hexadecimal[:2]}/{hexadecimal}/data"


def layer_path(link: Link) -> str:
    """The link by which a blob is pulled from a repository."""
    return f"repositories/{link[0]}/_layers/{_below(link[1])}/link"


def revision_path(link: Link) -> str:
    """The link by which a manifest is pulled from a repository."""
    return f"repositories/{link[0]}/_manifests/revisions/{_below(link[1])}/link"
