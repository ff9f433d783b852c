"""The causes that the step `content` can name."""

from __future__ import annotations

from typing import Tuple

from doctor.finding import CONTROLLER, Cause

FORGET = (
    "{server}",
    "grep -rlaF '{digest}' /var/cache/nginx/http-registry | xargs -r sh -c 'truncate -s 0 \"$@\"; rm -f \"$@\"' sh",
)
"""A file of nginx's cache names on its second line what it is. One that is only removed is served for some seconds, as
nginx keeps it open; an empty one is fetched anew."""

CAUSES: Tuple[Cause, ...] = (
    Cause(
        "repository-unknown",
        "name unknown: repository name not known to registry",
        "{registry} has no repository of that name, or does not show it to who asks.",
        "Mend the image's name, or push it. Short names are Docker Hub's: `app` is docker.io/library/app.",
        ((CONTROLLER, "{repair_canary}"),),
        (r"name unknown", r"repository name not known", r"repository does not exist(?! or may)"),
    ),
    Cause(
        "manifest-unknown",
        "manifest unknown",
        "The repository of {image} is there, or may be, but not this tag or digest.",
        "Mend the tag, or push the image. Behind a mirror the upstream must have it; a new tag is seen there after "
        "proxy.cache.tag_lifetime.",
        ((CONTROLLER, "{repair_canary}"),),
        (r"manifest unknown", r"manifest for \S+ not found", r"http\.StatusNotFound", r": not found\"?$"),
    ),
    Cause(
        "platform-missing",
        "no matching manifest for linux/{architecture} in the manifest list entries",
        "{image} is there, but not for this host's platform: {evidence}.",
        "Build it for linux/{architecture} too, where it is built: docker buildx build --platform, and push it.",
        (),
        (r"no matching manifest for", r"no match for platform in manifest"),
    ),
    Cause(
        "blob-missing",
        "unknown blob",
        "The manifest of {image} names a blob that the registry does not have: it was deleted, or never pushed.",
        "Push the image again from where it is whole; of a cache the upstream is the one that lacks it.",
        (),
        (r"unknown blob", r"blob unknown", r"could not fetch content descriptor .*not found"),
    ),
    Cause(
        "blob-digest-mismatch",
        "filesystem layer verification failed for digest {digest}",
        "What comes is not what its digest says: something between changes it, or a copy on a disk is damaged.",
        "Remove the cache's copy: the command does. Where it stays, the registry's own copy is damaged: push the image "
        "again, and look at the disk (dmesg).",
        (FORGET,),
        (
            r"filesystem layer verification failed",
            r"manifest verification failed for digest",
            r"unexpected commit digest .*, expected",
        ),
    ),
    Cause(
        "blob-cut-short",
        "unexpected EOF",
        "A blob ends before it is whole: {evidence}.",
        "Look at what lies between for a timeout or a limit of size. Where the cache's copy is cut, the command "
        "removes it; else push the image again.",
        (FORGET,),
        (
            r"unexpected EOF",
            r"short read: expected \d+ bytes",
            r"failed size validation",
            r"expected HTTP 206 from byte range",
        ),
    ),
    Cause(
        "not-a-registry",
        "the answer is no registry's",
        "Something else answers at {url}: a web page, another service, a login page between.",
        "Mend the address or the port where {said_by} has it; where it is right, something else has taken the port of "
        "the registry.",
        ((CONTROLLER, "{repair}"),),
        (r"invalid character '<' looking for beginning of value", r"malformed HTTP response \\?\"(?!\\x15)"),
    ),
)
