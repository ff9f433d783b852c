"""Drift in a stack's state, so that a plain `pulumi preview` shows it and a plain `pulumi up` repairs it. Pure data.

What a unit's Command was given on stdin becomes a plain request that tells the drift. The program's own is another
one, so the engine plans an update of just that resource; a destroy gives it to `hostctl remove`, which reads the owner
and the unit only. In the output `documents` stands what was found. A mark holds the texts that stood there before;
once the drift is gone by itself, they come back, and the update that is still planned finds nothing to do on the host.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hostctl import ISOLATED
from hostctl.masking import masked
from hostctl.unit import HEADER
from hostctl.units import UNITS
from ops.deployment import COMMAND, hosts_of, name_of, resources_of, stack_of

Drift = Mapping[str, Any]
"""What `hostctl drift` reports of one unit: `files` by path, and perhaps `live`."""
Found = Mapping[str, Mapping[str, Drift]]
"""Drift by host and unit, for each unit that was asked for."""

APPLY = re.compile(rf"python3 (?:{ISOLATED} )?(\S+) apply")


@dataclass(frozen=True)
class Place:
    """A unit on a host, and the hostctl there that has applied it."""

    host: str
    unit: str
    program: str


def places(deployment: Mapping[str, Any]) -> list[Place]:
    """Every unit that the state has on a host."""
    return [place for _, place in _placed(deployment)]


def is_drift(drift: Drift) -> bool:
    """Whether anything in a unit's report has drifted."""
    return bool(drift["files"] or "live" in drift)


def wanted(deployment: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The texts that the program has rendered, by host and path, without what earlier marks have put there."""
    outputs = stack_of(deployment).get("outputs") or {}
    documents = {host: dict(texts) for host, texts in _plain(outputs.get("documents")).items()}
    for resource, place in _placed(deployment):
        _put(documents.setdefault(place.host, {}), _rendered_before(_mark(resource)))
    return documents


def with_drift(deployment: Mapping[str, Any], found: Found, owner: str) -> dict[str, Any]:
    """The deployment with what was found. `owner`: `project/stack`; units that were not asked for stay as they are."""
    rendered = wanted(deployment)
    outputs = stack_of(deployment).get("outputs") or {}
    documents = {host: dict(texts) for host, texts in _plain(outputs.get("documents")).items()}
    changed = {}
    for resource, place in _placed(deployment):
        drift = found.get(place.host, {}).get(place.unit)
        earlier = _mark(resource)
        if drift is None or not (earlier or is_drift(drift)):
            continue
        texts = documents.setdefault(place.host, {})
        _put(texts, _rendered_before(earlier))
        now = _shown(place.unit, drift, rendered.get(place.host, {}))
        hidden = {path: texts[path] for path in now if path in texts}
        mark = {"owner": f"{owner}/{place.host}", "unit": place.unit, "drift": drift, "documents": hidden}
        _put(texts, now)
        changed[resource["urn"]] = _with_stdin(resource, json.dumps(mark, sort_keys=True))
    stack = stack_of(deployment)
    if changed and "documents" in stack.get("outputs", {}):
        changed[stack["urn"]] = {**stack, "outputs": {**stack["outputs"], "documents": documents}}
    if not changed:  # a stack that has never been up has no resources at all
        return dict(deployment)
    return {**deployment, "resources": [changed.get(each["urn"], each) for each in deployment["resources"]]}


def _placed(deployment: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Place]]:
    hosts = hosts_of(deployment)
    for resource in resources_of(deployment):
        create = (resource.get("inputs") or {}).get("create")
        called = APPLY.fullmatch(create) if isinstance(create, str) else None
        if resource["type"] != COMMAND or called is None or resource.get("delete"):
            continue
        for host in hosts:
            unit = name_of(resource["urn"]).removeprefix(f"{host}-")
            if unit in UNITS:
                yield resource, Place(host, unit, called[1])


def _plain(documents: object) -> Mapping[str, Mapping[str, str]]:
    """The output, empty where the program has never come so far as to give it."""
    return documents if isinstance(documents, dict) else {}


def _mark(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """The mark of an earlier drift, or nothing."""
    stdin = resource["inputs"].get("stdin")
    mark = json.loads(stdin) if isinstance(stdin, str) else {}
    return mark if "drift" in mark else {}


def _rendered_before(mark: Mapping[str, Any]) -> dict[str, str | None]:
    """What stood in `documents` where a mark has put something."""
    shown = _shown(mark["unit"], mark["drift"], {}) if mark else {}
    return {path: mark["documents"].get(path) for path in shown}


def _with_stdin(resource: Mapping[str, Any], stdin: str) -> dict[str, Any]:
    return {**resource, **{end: {**(resource.get(end) or {}), "stdin": stdin} for end in ("inputs", "outputs")}}


def _put(texts: dict[str, str], some: Mapping[str, str | None]) -> None:
    """Set some of the texts; None takes one away."""
    for path, text in some.items():
        if text is None:
            texts.pop(path, None)
        else:
            texts[path] = text


def _shown(unit: str, drift: Drift, rendered: Mapping[str, str]) -> dict[str, str | None]:
    """What `documents` has to say beside and in place of what was rendered: a mark is gone with the next `up`.

    Keys stand in an entry of their own, as JSON, since a preview shows that key by key, and of a file in YAML or JSON
    no comments.
    """
    texts: dict[str, str | None] = {}
    for path, file in drift["files"].items():
        if "text" in file:
            texts[path] = found_text(file["text"], rendered.get(path, ""))
        keys = {each["key"]: f"found {_value(each['found'])}, wanted {_value(each['wanted'])}" for each in file["keys"]}
        if "why" in file:
            keys = {"file": file["why"], **keys}
        if keys:
            texts[f"{path}, changed"] = json.dumps(keys, indent=2) + "\n"
    return {**texts, f"{unit}, running": drift["live"]} if "live" in drift else texts


def found_text(found: str | None, rendered: str) -> str | None:
    """A file of ours as it was found, in the form that `rendered` has for it; None where it is gone."""
    if found is None:
        return None
    forms = {masked(line): line for line in rendered.splitlines(keepends=True)}
    return preface(rendered) + "".join(forms.get(line, line) for line in found.splitlines(keepends=True))


def preface(rendered: str) -> str:
    """What `documents` says of a file before the file's own first line."""
    before, header, _ = rendered.partition(f"# {HEADER}")
    return before if header else ""


def _value(value: object) -> str:
    return "nothing" if value is None else value if isinstance(value, str) else json.dumps(value)
