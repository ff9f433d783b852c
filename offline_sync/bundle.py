"""A bundle: what `bundle.json` says, and where its files are, in a folder or a tar.

`bundle.json` comes first in a tar. Its last key is the SHA-256 of all that is before it in the file. A file of the
folder gets its name once it is whole, so that whatever ends a run leaves a bundle that is good.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from offline_sync import manifests
from offline_sync.failure import Failure

FORMAT = 1
LIST = "bundle.json"
_SUM = b',\n "sha256": "'
LAYOUT, INDEX = "oci-layout", "index.json"
BLOBS = "blobs/sha256"
_FILE = re.compile(rf"(?:\./)?({BLOBS}/[0-9a-f]{{64}}|{re.escape(LIST)}|{INDEX}|{LAYOUT})")
REF_NAME = "org.opencontainers.image.ref.name"
PIECE = 1 << 20


@dataclass(frozen=True)
class Image:
    """An image of the bundle. `registry`, `repository`: as image references name it. `tag`: empty where only the digest
    is wanted. `platforms`: those of an index that it has; None: all. `of`: the digest of the image that this one signs
    or describes. `left`: whether the list no longer has it: it is not loaded, and goes when the bundle is pruned.
    """

    registry: str
    repository: str
    tag: str
    digest: str
    kind: str
    platforms: Optional[Tuple[str, ...]] = None
    of: str = ""
    left: bool = False

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.registry}/{self.repository}" + (f":{self.tag}" if self.tag else f"@{self.digest}")

    @property
    def key(self) -> Tuple[str, str, str, str]:
        """What there is one of in a bundle."""
        return self.registry, self.repository, self.tag, self.digest


@dataclass(frozen=True)
class Bundle:
    """`blobs`: the size of every blob and manifest by its digest. `made`: when, in UTC. `failed`: what of the list
    could not be had then. `name`: whose it is: what came with an earlier bundle of that name can leave by this one."""

    images: Tuple[Image, ...] = ()
    blobs: Mapping[str, int] = field(default_factory=dict)
    made: str = ""
    failed: Tuple[str, ...] = ()
    name: str = ""

    def text(self) -> bytes:
        """As bundle.json."""
        whole = {"bundle": FORMAT, "name": self.name, "made": self.made, "failed": list(self.failed)}
        images = [{key: each for key, each in asdict(image).items() if each not in ("", None)} for image in self.images]
        text = json.dumps({**whole, "images": images, "blobs": dict(self.blobs)}, indent=1).encode()
        before = text[: -len(b"\n}")]
        return before + _SUM + hashlib.sha256(before).hexdigest().encode() + b'"\n}\n'

    def current(self) -> Bundle:
        """Without what has left the list; the files that nothing else needs are named all the same."""
        return replace(self, images=tuple(each for each in self.images if not each.left))

    def index(self) -> bytes:
        """The layout's index.json."""
        found = [
            {
                "mediaType": each.kind,
                "digest": each.digest,
                "size": self.blobs[each.digest],
                "annotations": {REF_NAME: each.name},
            }
            for each in self.images
        ]
        return (json.dumps({"schemaVersion": 2, "mediaType": manifests.INDEX, "manifests": found}) + "\n").encode()


def parsed(text: bytes, where: str) -> Bundle:
    """Raises Failure where it is not as it was written."""
    before, _, said = text.rpartition(_SUM)
    if said[:64] != hashlib.sha256(before).hexdigest().encode():
        raise Failure(f"{where}: {LIST} is not as it was written (its sha256 is another); copy the bundle anew")
    try:
        data = json.loads(text)
        if data["bundle"] != FORMAT:
            raise Failure(f"{where}: is a bundle of format {data['bundle']!r}; this program reads {FORMAT}")
        images = []
        for each in data["images"]:
            platforms = each.pop("platforms", None)
            images.append(Image(**{"tag": "", **each}, platforms=None if platforms is None else tuple(platforms)))
        found = Bundle(tuple(images), dict(data["blobs"]), data["made"], tuple(data["failed"]), data["name"])
        _refuse_odd(found)
        return found
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as wrong:
        raise Failure(f"{where}: {LIST} can't be read ({type(wrong).__name__}: {wrong})") from None


def _refuse_odd(bundle: Bundle) -> None:
    """Raise ValueError for what this program would never have written. Digests become names of files."""
    for image in bundle.images:
        texts = (image.registry, image.repository, image.tag, image.kind, image.of, *(image.platforms or ()))
        if not all(isinstance(each, str) for each in texts) or not isinstance(image.left, bool):
            raise ValueError("an image of another form")
        if not manifests.DIGEST.fullmatch(image.digest) or not manifests.DIGEST.fullmatch(image.of or image.digest):
            raise ValueError(f"{image.name} has no digest")
    for digest, size in bundle.blobs.items():
        if not manifests.DIGEST.fullmatch(digest) or type(size) is not int or size < 0:
            raise ValueError(f"{digest}: no digest with a size")
    if not all(isinstance(each, str) for each in (bundle.made, bundle.name, *bundle.failed)):
        raise ValueError("made, name and failed must be texts")


def counted(images: Sequence[object]) -> str:
    """How many images, for people."""
    return "1 image" if len(images) == 1 else f"{len(images)} images"


def blob_name(digest: str) -> str:
    """A blob's file, relative to the bundle."""
    return f"{BLOBS}/{digest.partition(':')[2]}"


class Folder:
    """A bundle's files below a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def size(self, name: str) -> Optional[int]:
        """In bytes; None where there is no such file."""
        try:
            return (self.path / name).stat().st_size
        except FileNotFoundError:
            return None

    def open(self, name: str) -> BinaryIO:
        """Raises FileNotFoundError."""
        return (self.path / name).open("rb")

    def write(self, name: str, content: bytes) -> None:
        """Whole or not at all."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def keep(self, bundle: Bundle) -> None:
        """Write what says what is in it, bundle.json last."""
        self.write(LAYOUT, b'{"imageLayoutVersion":"1.0.0"}\n')
        self.write(INDEX, bundle.index())
        self.write(LIST, bundle.text())


class Tar:
    """A bundle's files in a tar that is not compressed: each is read where it is, nothing is unpacked.

    Raises Failure where it is no tar, or ends too early to know what it has.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: Dict[str, Tuple[int, int]] = {}
        self.cut = ""
        """What is missing of it, where it ends too early."""
        length = path.stat().st_size
        try:
            with tarfile.open(path, "r:") as tar:
                for each in tar:
                    found = _FILE.fullmatch(each.name)
                    if each.offset_data + each.size > length:
                        here = max(0, length - each.offset_data)
                        self.cut = f"{path}: is cut short: it ends {here} bytes into {each.name}, which has {each.size}"
                        break
                    if found and each.isreg():
                        self._files[found[1]] = (each.offset_data, each.size)
        except tarfile.ReadError as wrong:
            if not self._files:
                raise Failure(f"{path}: is no tar of a bundle, or is cut short ({wrong}); copy it anew") from None
            self.cut = f"{path}: is cut short ({wrong})"

    def size(self, name: str) -> Optional[int]:
        """See Folder."""
        found = self._files.get(name)
        return found[1] if found else None

    def open(self, name: str) -> BinaryIO:
        """See Folder."""
        if name not in self._files:
            raise FileNotFoundError(name)
        offset, size = self._files[name]
        return io.BufferedReader(_Window(self.path, offset, size))


Files = Union[Folder, Tar]


class _Window(io.RawIOBase):
    """A stretch of a file."""

    def __init__(self, path: Path, offset: int, size: int) -> None:
        self._file = path.open("rb")
        self._file.seek(offset)
        self._rest = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._file.read(min(len(buffer), self._rest))
        buffer[: len(piece)] = piece
        self._rest -= len(piece)
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()


def opened(path: Path) -> Files:
    """The bundle there, not yet verified. Raises Failure."""
    if path.is_dir():
        return Folder(path)
    if path.is_file():
        return Tar(path)
    raise Failure(f"{path}: there is no bundle here; say the path of its folder or tar on this host")


def listed(files: Files) -> Bundle:
    """What bundle.json says. Raises Failure."""
    try:
        with files.open(LIST) as file:
            text = file.read()
    except FileNotFoundError:
        raise Failure(f"{files.path}: has no {LIST}, so it is no bundle, or none that was finished") from None
    return parsed(text, str(files.path))


def faults(files: Files, bundle: Bundle) -> Iterable[str]:
    """A line for everything that is wrong: each file hashed, each image's parts known."""
    if isinstance(files, Tar) and files.cut:
        yield files.cut
    users: Dict[str, List[str]] = {}
    for image in bundle.images:
        if image.digest not in bundle.blobs:
            yield f"{image.name}: {LIST} does not name its manifest {image.digest}"
        users.setdefault(image.digest, []).append(image.name)
    broken = set()
    for digest, size in bundle.blobs.items():
        wrong = _fault(files, digest, size)
        if wrong:
            broken.add(digest)
            named = f" ({', '.join(users[digest])})" if digest in users else ""
            yield f"{digest}{named}: {wrong}"

    def get(digest: str) -> bytes:
        if digest in broken or digest not in bundle.blobs:
            raise FileNotFoundError(digest)
        with files.open(blob_name(digest)) as file:
            return file.read()

    for image in bundle.images:
        try:
            known, blobs = manifests.needed(get, image.digest, image.platforms)
            missing = [each for each in (*known, *blobs) if each not in bundle.blobs]
        except FileNotFoundError as gone:
            missing = [str(gone)] if str(gone) not in broken else []
        except Failure as wrong_manifest:
            yield f"{image.name}: {wrong_manifest}"
            continue
        for each in missing:
            yield f"{image.name}: needs {each}, which the bundle does not have"


def _fault(files: Files, digest: str, size: int) -> str:
    name = blob_name(digest)
    found = files.size(name)
    if found is None:
        return "is missing"
    if found != size:
        return f"has {found} bytes in place of {size}" + (": it is cut short" if found < size else "")
    state = hashlib.sha256()
    with files.open(name) as file:
        for piece in iter(lambda: file.read(PIECE), b""):
            state.update(piece)
    return "" if f"sha256:{state.hexdigest()}" == digest else "has not the content that its name says"
