"""Caches whose upstream is another stack of this project: its URL, login and authority, from that stack's outputs."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from registry_outputs.contract import OUTPUTS_VERSION, ContractError, checked
from settings.registries import CacheRegistry
from settings.settings_error import SettingsError
from settings.tier import Tier

Login = tuple[str, str]
"""User and password."""


@dataclass(frozen=True)
class Resolved:
    """`tier`: with every upstream known. `passwords`: those of the upstreams' logins, by the names of their secrets.
    `authorities`: PEM texts by what the tier names as their files."""

    tier: Tier
    passwords: Mapping[str, str]
    authorities: Mapping[str, str]


@dataclass(frozen=True)
class _Upstream:
    """What a stack tells its edges. `servers`: a URL by the name that images have it under; `logins`: by server."""

    servers: Mapping[str, str]
    logins: Mapping[str, Login]
    authority: str | None


def stacks(tier: Tier) -> list[str]:
    """The stacks whose outputs are needed, as the settings name them."""
    names = (each.upstream_stack for each in tier.registries if isinstance(each, CacheRegistry))
    return list(dict.fromkeys(name for name in names if name))


def resolved(tier: Tier, outputs: Mapping[str, Mapping[str, Any]]) -> Resolved:
    """The tier with the upstreams that `outputs` name: all outputs of each stack of `stacks`, secrets in clear.

    A login or an authority of the cache's own settings comes before that stack's.

    Raises SettingsError with every error found; it holds no secret.
    """
    found: dict[str, _Upstream] = {}
    errors: list[str] = []
    for stack in stacks(tier):
        try:
            found[stack] = _told(stack, outputs.get(stack, {}))
        except ContractError as wrong:
            asked = [getattr(each, "upstream_stack", None) for each in tier.registries].index(stack)
            errors.append(f"registries.{asked}.upstream_stack = {stack!r}: {wrong}")
    passwords: dict[str, str] = {}
    registries = []
    for index, each in enumerate(tier.registries):
        if not (isinstance(each, CacheRegistry) and each.upstream_stack in found):
            registries.append(each)
            continue
        upstream = found[each.upstream_stack]
        url = upstream.servers.get(each.serves)
        if url is None:
            errors.append(
                f"registries.{index}.serves = {each.serves!r}: the stack {each.upstream_stack} has no mirror of it and "
                f"no registry of that name; take one that it has: {', '.join(upstream.servers) or 'none there'}"
            )
            continue
        changed: dict[str, Any] = {"upstream": url}
        login = upstream.logins.get(urlsplit(url).netloc)
        if login and not each.upstream_user:
            changed["upstream_user"] = login[0]
            passwords[f"upstream-password-{each.name}"] = login[1]
        if upstream.authority and url.startswith("https://") and not each.authority:
            changed["authority"] = _file(each.upstream_stack)
        registries.append(whole := each.model_copy(update=changed))
        if tier.tier == "edge" and whole.upstream_user and _open(tier, whole):
            errors.append(
                f"registries.{index}.upstream_stack = {each.upstream_stack!r}: {urlsplit(url).netloc} there asks who "
                "pulls, and in the tier edge so does what passes its images on; put the proxy before this cache, with "
                "login: true at its endpoint (proxy.endpoints)"
            )
    if errors:
        raise SettingsError(errors)
    texts = {_file(stack): each.authority for stack, each in found.items() if each.authority}
    return Resolved(tier.model_copy(update={"registries": tuple(registries)}), passwords, texts)


def _told(stack: str, outputs: Mapping[str, Any]) -> _Upstream:
    def output(name: str) -> Any:
        return checked(stack, name, outputs.get(OUTPUTS_VERSION), outputs.get(name))

    hosted = {urlsplit(url).netloc: url for url in output("endpoints").values()}
    auths = json.loads(output("dockerconfigjson"))["auths"]
    logins = {server: _login(each["auth"]) for server, each in auths.items()}
    return _Upstream({**hosted, **output("mirrors")}, logins, output("ca_certificate"))


def _login(auth: str) -> Login:
    user, _, password = b64decode(auth).decode().partition(":")
    return user, password


def _file(stack: str) -> str:
    """What stands for the file with the stack's authorities."""
    return f"ca_certificate of {stack}"


def _open(tier: Tier, cache: CacheRegistry) -> bool:
    """Whether it lets everybody pull."""
    endpoints = tier.proxy.endpoints if tier.proxy else ()
    return not any(each.registry == cache.name and each.login for each in endpoints)
