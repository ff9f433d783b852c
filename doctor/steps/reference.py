"""The image reference as people type it: what it names, or why no runtime takes it.

Rules of github.com/distribution/reference, which Docker, containerd and the kubelet share.
"""

from __future__ import annotations

import re
import shlex
from typing import Optional, Tuple

from doctor.finding import OK, Finding, Seen, broken
from doctor.pull import DOCKER_HUB, Image

STEP = "reference"
OFFICIAL, LATEST = "library", "latest"
LONGEST = 255
"""Characters of a repository's name."""

_SCHEME = re.compile(r"(?i)[a-z][a-z0-9+.-]*://")
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}|(?!sha)[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-fA-F0-9]{32,}")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")


def look(text: str) -> Tuple[Seen, Optional[Image]]:
    """What a reference names, by the rules of docker.io's short names; None, and a broken step, where it is none.

    Pure: the controller calls it, and asks no host then.
    """
    scheme = _SCHEME.match(text)
    if scheme:
        instead = text[scheme.end() :].rstrip("/")
        said = f"invalid reference format: {text} begins with {scheme[0]}"
        return broken(STEP, Finding("reference-scheme", text, said, {"instead": shlex.quote(instead)})), None
    image, complaint = _taken_apart(text)
    if complaint:
        return broken(STEP, Finding("reference-invalid", text, f"invalid reference format: {complaint}")), None
    return Seen(STEP, OK, f"{text} is {image.registry}/{image.repository}, {image.reference}"), image


def _taken_apart(text: str) -> Tuple[Image, str]:
    """The image, and what is wrong with it; empty where nothing is."""
    rest, at, digest = text.partition("@")
    registry, repository = _registry(rest)
    repository, colon, tag = repository.partition(":")
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"{OFFICIAL}/{repository}"
    image = Image(registry, repository, tag or ("" if digest else LATEST), digest)
    if text != text.strip() or not text:
        return image, "it is empty, or has a space at an end"
    if _IDENTIFIER.fullmatch(text):
        return image, "64 hexadecimal digits are the id of an image on a host, and none that can be pulled"
    if not _REGISTRY.fullmatch(registry):
        return image, f"{registry!r} is no name of a registry: host or host:port"
    return image, _complaint(repository, tag if colon else LATEST, digest if at else None)


def _complaint(repository: str, tag: str, digest: Optional[str]) -> str:
    if repository != repository.lower():
        return f"the repository's name ({repository}) must be lowercase"
    wrong = [part for part in repository.split("/") if not _COMPONENT.fullmatch(part)]
    if wrong:
        return (
            f"{wrong[0]!r} in the repository's name: letters and digits, and between them one dot, one or two "
            "underscores, or dashes"
        )
    if len(repository) > LONGEST:
        return f"the repository's name has more than {LONGEST} characters"
    if not _TAG.fullmatch(tag):
        return f"tag {tag!r}: letters, digits, underscores, dots and dashes, 128 at most, no dot or dash first"
    if digest is not None and not _DIGEST.fullmatch(digest):
        return f"digest {digest!r}: sha256: and 64 hexadecimal digits"
    return ""


def _registry(name: str) -> Tuple[str, str]:
    """The registry and the rest: what is before the first slash where it can be a host, else docker.io."""
    first, slash, rest = name.partition("/")
    if not slash or not (set(".:[") & set(first) or first == "localhost" or first != first.lower()):
        return DOCKER_HUB, name
    return (DOCKER_HUB if first == "index.docker.io" else first), rest
