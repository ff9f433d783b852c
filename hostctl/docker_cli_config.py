"""Logins and helpers in config.json of Docker's command line: put in, taken out, nothing else moved. Pure text work.

Source: docker/cli's cli/config (configfile/file.go, credentials/native_store.go). For a server, `credHelpers.<server>`
is asked if it is there, else `credsStore`, else `auths.<server>` counts; an empty name in `credHelpers` stands for
`auths`. A helper that has no login for the server ends the search. Members count whatever the case of their names.
Where one member has a wrong type, or one login can't be decoded, none of the file's logins counts.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Union

from hostctl.difference import Difference
from hostctl.errors import HostError
from hostctl.json_text import JsonObject, JsonText
from hostctl.masking import MASK, masked

AUTHS, STORE, HELPERS = "auths", "credsStore", "credHelpers"
HUB = "https://index.docker.io/v1/"
"""What the command line calls Docker Hub."""
SECTIONS_WITH_SECRETS = ("auths", "httpheaders")
NO_SECRETS = ("username", "email", "serveraddress")
TOP = ""
"""The section that is the whole document."""


class Login(NamedTuple):
    """Who somebody is at a server."""

    user: str
    password: str

    @property
    def auth(self) -> str:
        """The two as config.json has them."""
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


class Wanted(NamedTuple):
    """What we want in config.json, by server as image references name it. Docker Hub is docker.io there."""

    logins: Mapping[str, Login] = {}
    store: Optional[str] = None
    helpers: Mapping[str, str] = {}


def key_of(server: str) -> str:
    """The name of a server in config.json."""
    return HUB if server in ("docker.io", "index.docker.io") else server


def merge(path: str, base: Optional[bytes], wanted: Wanted) -> Tuple[bytes, Dict[str, Any], List[str]]:
    """The base with our values set, what of it is ours, and sentences about what of others' does not count meanwhile.

    Raises HostError where the command line could not read the base.
    """
    document = JsonText(path, base)
    _refuse_unreadable(document, [key_of(server) for server in wanted.logins])
    ours: Dict[str, Any] = {**document.origin, "sections": {}, "values": []}
    values = list(_values(document, wanted))
    notes = _notes(document, values)
    for section, key, value in values:
        if section and not document.values.get(section):
            ours["sections"].setdefault(section, document.source(section))
            document.set(section, {})
        place = document.inside(section) if section else document
        ours["values"].append({"section": section, "key": key, "set": value, "source": place.source(key)})
        place.set(key, value)
    return document.encoded(), ours, notes


def unmerge(path: str, current: bytes, ours: Dict[str, Any]) -> Tuple[Optional[bytes], List[str]]:
    """The current text without us (None: no file), and sentences about what somebody changed since."""
    document = JsonText(path, current)
    notes: List[str] = []
    for mine in reversed(ours["values"]):
        place, key, name = _section(document, mine["section"]), mine["key"], _name(mine)
        if place is None or key not in place.keys:
            notes.append(f"{path}: somebody has taken {name} out since")
        elif place.values[key] != mine["set"]:
            notes.append(f"{path}: somebody has changed {name} since; theirs stays")
        elif mine["source"] is None:
            place.delete(key)
        else:
            place.write(key, mine["source"])
    for section, source in ours["sections"].items():
        if document.values.get(section) != {}:
            continue
        if source is None:
            document.delete(section)
        else:
            document.write(section, source)
    return document.given_back(ours), notes


def drift(path: str, current: bytes, ours: Mapping[str, Any]) -> List[Difference]:
    """Which of our values are others. Raises HostError for a bad text."""
    document = JsonText(path, current)
    found = []
    for mine in ours["values"]:
        place = _section(document, mine["section"])
        now = place.values.get(mine["key"]) if place else None
        if now != mine["set"]:
            secret = mine["section"] == AUTHS and not isinstance(now, (dict, type(None)))
            found.append(Difference(_name(mine), mine["set"], MASK if secret else now))
    return found


def answer(path: str, text: bytes, server: str) -> Union[Login, str, None]:
    """What the command line goes by for a server: a login, a helper's name, or nothing.

    Raises HostError where no login of the file counts.
    """
    document = JsonText(path, text)
    _refuse_unreadable(document, [])
    values = document.values
    helpers, key = values.get(HELPERS) or {}, key_of(server)
    helper = helpers[key] if key in helpers else values.get(STORE)
    if helper:
        return str(helper)
    entry = (values.get(AUTHS) or {}).get(key)
    return decoded(entry["auth"]) if entry and entry.get("auth") else None


def shown(path: str, text: bytes) -> str:
    """The document without secrets, written anew; a text that is none is not shown, for nobody knows what is secret."""
    try:
        values = JsonText(path, text).values
    except HostError as unreadable:
        return f"not shown: {unreadable}\n"
    for section, value in values.items():
        if section.casefold() in SECTIONS_WITH_SECRETS:
            values[section] = _starred(value)
    return masked(json.dumps(values, indent=2)) + "\n"


def _starred(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: each if key.lower() in NO_SECRETS else _starred(each) for key, each in value.items()}
    return MASK


def _values(document: JsonText, wanted: Wanted) -> Iterator[Tuple[str, str, Any]]:
    """Section, key and value of what is to be set."""
    for server, login in wanted.logins.items():
        yield AUTHS, key_of(server), {"auth": login.auth}
    if wanted.store:
        yield TOP, STORE, wanted.store
    for server, helper in wanted.helpers.items():
        yield HELPERS, key_of(server), helper
    store = wanted.store or document.values.get(STORE)
    helpers = document.values.get(HELPERS) or {}
    for server in wanted.logins:
        if helpers.get(key_of(server), store):
            yield HELPERS, key_of(server), ""


def _notes(document: JsonText, values: List[Tuple[str, str, Any]]) -> List[str]:
    notes = []
    for section, key, value in values:
        place = _section(document, section)
        before = place.values.get(key) if place else None
        what = "login" if section == AUTHS else "helper"
        where = f" for {key}" if section else ""
        if before and before != value:
            notes.append(f"{document.path}: somebody's {what}{where} does not count until this is removed")
        elif value == "":
            notes.append(
                f"{document.path}: a credsStore goes on for others; {HELPERS} has no name for {key}, so that its login "
                "here counts; skopeo and podman read no login behind such an entry"
            )
    return notes


def _section(document: JsonText, section: str) -> Optional[JsonObject]:
    if section == TOP:
        return document
    return document.inside(section) if isinstance(document.values.get(section), dict) else None


def _name(mine: Mapping[str, Any]) -> str:
    return f"{mine['section']}.{mine['key']}".lstrip(".")


def _refuse_unreadable(document: JsonText, replaced: List[str]) -> None:
    """Refuse what keeps the command line from the file's logins, unless we replace it."""
    for key in document.keys:
        for ours in (AUTHS, STORE, HELPERS):
            if key != ours and key.casefold() == ours.casefold():
                raise document.error(key, f"counts as {ours} for docker; it must be written so")
    if not isinstance(document.values.get(STORE), (str, type(None))):
        raise document.error(STORE, "must be a string")
    for section in (AUTHS, HELPERS):
        if document.values.get(section) is None:
            continue
        place = document.inside(section)
        for server, value in place.values.items():
            if value is None or (section == AUTHS and server in replaced):
                continue
            if section == HELPERS and not isinstance(value, str):
                raise place.error(server, "must be a string")
            if section == AUTHS and not _is_readable(value):
                raise place.error(server, "must be an object whose auth is base64 of user:password; 'docker logout' it")


def _is_readable(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    auth = entry.get("auth")
    return not auth or (isinstance(auth, str) and decoded(auth) is not None)


def decoded(auth: str) -> Optional[Login]:
    """The login that `auth` is the base64 of, as in a Basic header; None where it is none."""
    try:
        text = base64.b64decode(auth.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = text.decode(errors="replace").partition(":")
    return Login(user, password) if user and colon else None
