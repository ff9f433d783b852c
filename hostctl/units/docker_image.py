"""`docker-image`: an image from a `docker save` archive in the engine, for hosts that no registry serves yet.

The archive's manifest.json names the image's tags and its configuration, whose SHA-256 is the image's id (moby
image/tarexport); with the containerd image store the id is the digest in index.json.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional
from urllib.parse import quote

from hostctl import docker_api, wishes
from hostctl.errors import HostError
from hostctl.foresight import Foresight
from hostctl.host import Host
from hostctl.image_archive import ids_in, tagged
from hostctl.unit import NONE, Change, OwnFile, Unit, Wish
from hostctl.waiting import wait_until

LOAD_PATIENCE = 600.0


class DockerImage(Unit):
    """Wish: `archive` (path on the host of a `docker save` file) and `image` (the tag in it that is wanted)."""

    name = "docker-image"

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """None: the image lives in the engine's store."""
        return []

    def facts(self, host: Host, wish: Wish, before: Mapping[str, Any]) -> Dict[str, Any]:
        """The tag, the ids it may have, what the tag meant before us, and the ids that were loaded by us."""
        archive, image = wishes.text(wish, "archive"), tagged(wishes.text(wish, "image"))
        ids = sorted(ids_in(host.path(archive), archive, image))
        same = before.get("image") == image
        first = before.get("first") if same else image_id(host, image)
        known = list(before.get("loaded", []))
        loaded = known + [each for each in ids if each not in known and image_id(host, each) is None]
        return {"archive": archive, "image": image, "ids": ids, "first": first, "loaded": loaded}

    def activation(self, host: Host, change: Change) -> str:
        """Nothing is restarted."""
        return NONE

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """NONE."""
        return Foresight((NONE,), "the image's archive is loaded into Docker; nothing is restarted")

    def activate(self, host: Host, change: Change, level: str) -> None:
        """Load the archive, or give the tag back its old meaning and remove what we loaded."""
        facts = change.facts
        if not facts:
            _take_back(host, change.facts_before, self.notes)
            return
        there = image_id(host, facts["image"]) in facts["ids"]
        if not there and change.wish is None:
            # On the way back the earlier image is most often still there, and its archive may be gone.
            there = _tag(host, facts["ids"], facts["image"])
        if not there:
            _load(host, facts["archive"])
        taken_back = [each for each in change.facts_before.get("loaded", []) if each not in facts["loaded"]]
        _forget(host, facts["image"], taken_back, self.notes)

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """The engine has the tag, and it means the archive's image."""
        if change.facts:
            image, ids = change.facts["image"], change.facts["ids"]
            wait_until(lambda: None if image_id(host, image) in ids else f"{image}: not what was loaded", patience)

    def report(self, host: Host, change: Change) -> Dict[str, Any]:
        """`image_id`, for a person: the program names the image by what the archive holds."""
        return {"image_id": image_id(host, change.facts["image"])}


def image_id(host: Host, image: str) -> Optional[str]:
    """What a tag means to the engine now; None where it has none of that name."""
    answer = docker_api.call(host, "GET", f"/images/{quote(image)}/json")
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise HostError(f"{image}: Docker can't tell about it: {answer.message}")
    return str(answer.data["Id"])


def _load(host: Host, archive: str) -> None:
    with open(host.path(archive), "rb") as body:
        answer = docker_api.call(host, "POST", "/images/load", {"quiet": "1"}, body, LOAD_PATIENCE)
    failed = [line for line in answer.body.decode(errors="replace").splitlines() if '"errorDetail"' in line]
    if answer.status != 200 or failed:
        raise HostError(f"{archive}: Docker does not load it: {failed[0] if failed else answer.message}")


def _tag(host: Host, ids: List[str], image: str) -> bool:
    repository, _, tag = image.rpartition(":")
    calls = (docker_api.call(host, "POST", f"/images/{each}/tag", {"repo": repository, "tag": tag}) for each in ids)
    return any(answer.status == 201 for answer in calls)


def _take_back(host: Host, facts: Mapping[str, Any], notes: List[str]) -> None:
    """Undo our loads. What a container still uses, or what was there before us, stays."""
    image, first = facts["image"], facts["first"]
    if first not in facts["ids"] and image_id(host, image) in facts["ids"]:
        if first:
            _tag(host, [first], image)
        elif not _delete(host, image):
            notes.append(f"{image}: a container uses it; the image stays in Docker")
            return
    _forget(host, image, facts["loaded"], notes)


def _forget(host: Host, image: str, loaded: List[str], notes: List[str]) -> None:
    """Remove images that were loaded by us; whatever has another name stays."""
    for each in loaded:
        answer = docker_api.call(host, "GET", f"/images/{each}/json")
        if answer.status != 200:
            continue
        if answer.data["RepoTags"] or not _delete(host, each):
            notes.append(f"{image}: is in use under another name; the image stays in Docker")


def _delete(host: Host, image: str) -> bool:
    answer = docker_api.call(host, "DELETE", f"/images/{quote(image)}")
    if answer.status not in (200, 404, 409):
        raise HostError(f"{image}: Docker does not remove it: {answer.message}")
    return answer.status != 409
