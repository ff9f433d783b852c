"""What a tier must keep. One source, run two ways: by the program always (settings/errors.py), and by the policy pack
(policy/) for teams that enforce it from outside the program.

Works on the raw data, as settings/contradictions.py does, so that these errors are listed together with all others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_args

from settings import known_hosts
from settings.peer_rules import hosted_peers
from settings.pieces import Pieces
from settings.predicates import METRICS_PORTS, holds_secret, is_pinned, is_public, is_world
from settings.secret_names import SECRET
from settings.tier import Tier, TierName

Error = tuple[str, str]
"""A key path, and the rest of the line: the value if it may be shown, the rule, the remedy."""
EVERY = frozenset(get_args(TierName))
LIKE_PROD = frozenset({"prod", "core"})
SECRET_FIELD = re.compile(r"(?i)(password|passwd|passphrase|secret([_-]?key)?|private[_-]?key|token)$")
"""Keys of other namespaces, such as a provider's, whose text is a secret."""


@dataclass(frozen=True)
class Given:
    """What is known of a stack. `data`: its settings in clear. `stack`: its name. `known_hosts`: the text of the file
    that the settings name, empty where they name none. `others`: what other namespaces have in clear. None: not at
    hand, and so not judged."""

    data: Mapping[str, Any]
    stack: str | None = None
    known_hosts: str | None = None
    others: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def pieces(self) -> Pieces:
        """The settings that are right by themselves, typed."""
        return Pieces(self.data)

    @property
    def tier(self) -> object:
        """The tier that the stack says it is; one that there is not has an error of its own."""
        return self.data.get("tier", Tier.model_fields["tier"].default)


@dataclass(frozen=True)
class TierRule:
    """A rule. `name` and `says` are for people and for the policy pack; `tiers` must keep it."""

    name: str
    says: str
    tiers: frozenset[str]
    errors: Callable[[Given], Iterator[Error]]

    def broken(self, given: Given) -> list[Error]:
        """An error for each place that breaks it; none where the stack is of another tier."""
        judged = self.tiers == EVERY or (isinstance(given.tier, str) and given.tier in self.tiers)
        return list(self.errors(given)) if judged else []


def broken(given: Given) -> list[Error]:
    """Every error, by whichever rule."""
    return [error for rule in RULES for error in rule.broken(given)]


def _named(given: Given) -> Iterator[Error]:
    named = given.stack is not None and (given.stack == "prod" or given.stack.startswith("prod-"))
    if named and given.tier != "prod":
        said = f" = {given.tier!r}" if "tier" in given.data else ""
        yield "tier", f"{said}: the stack {given.stack!r} is production by its name; say tier: prod, or rename it"


def _metrics(given: Given) -> Iterator[Error]:
    metrics = given.pieces.metrics
    for index, network in enumerate(metrics.scrapers if metrics else ()):
        if is_public(network):
            yield f"metrics.scrapers.{index}", f" = {network!r}: is public; only private networks may read metrics"
    firewall = given.pieces.firewall
    if firewall is None:
        return
    guarded = [("firewall.extra_ports", firewall.extra_ports, "firewall.allow", firewall.allow)]
    guarded += [
        (f"firewall.rules.{index}.ports", rule.ports, f"firewall.rules.{index}.allow", rule.allow)
        for index, rule in enumerate(firewall.rules)
    ]
    for path, ports, allow, networks in guarded:
        public = [each for each in networks if is_public(each)]
        for index, port in enumerate(ports):
            if port in METRICS_PORTS and public:
                yield (
                    f"{path}.{index}",
                    f" = {port}: is the port of {METRICS_PORTS[port]}, and {allow} opens it to public addresses "
                    f"({', '.join(public)}); give it an entry of its own in firewall.rules with private networks",
                )


def _image(given: Given) -> Iterator[Error]:
    image = given.pieces.image
    if image and image.archive is None and not is_pinned(image.reference):
        yield (
            "image.reference",
            f" = {image.reference!r}: may be another image tomorrow; name a digest (…@sha256:…) or a tag of three "
            "numbers such as registry:3.1.2, or give an archive, whose SHA-256 counts",
        )


def _clear(given: Given) -> Iterator[Error]:
    for key in given.data:
        if SECRET.fullmatch(key):
            yield key, f": stands in clear in the stack's file; choose another and 'pulumi config set --secret {key}'"
    for path, _, text in _texts(given.data):
        if holds_secret(text):
            yield path, ": holds a password or a private key in clear; take it out, choose another, and set it secret"
    for path, key, text in _texts(given.others):
        if holds_secret(text) or (text and SECRET_FIELD.search(key)):
            yield path, ": stands in clear in the stack's file; choose another and 'pulumi config set --secret' it"


def _host_keys(given: Given) -> Iterator[Error]:
    file = given.data.get("known_hosts")
    if given.known_hosts is not None:
        yield from known_hosts.unknown(given.pieces.hosts, file, given.known_hosts)


def _pushers(given: Given) -> Iterator[Error]:
    for path, registry in given.pieces.reached:
        if registry.name in given.pieces.hosted and not getattr(registry, "token", None):
            yield (
                path,
                f": in the tier {given.tier} who pushes says who he is; put the proxy before it (proxy.endpoints), or "
                "give it token auth",
            )


def _asks(given: Given) -> Iterator[Error]:
    yield from _pushers(given)
    for path, endpoint in given.pieces.endpoints:
        if endpoint.anonymous_pull and endpoint.registry in given.pieces.hosted:
            yield f"{path}.anonymous_pull", f" = True: in the tier {given.tier} who pulls says who he is; remove it"
    for path, name in hosted_peers(given.pieces):
        yield path, f" = {name!r}: in the tier {given.tier} who pulls says who he is, and peers ask nobody; remove it"


def _tls(given: Given) -> Iterator[Error]:
    for path, registry in given.pieces.reached:
        if registry.scheme != "https":
            yield (
                path,
                f": in the tier {given.tier} nothing is served in clear; put the proxy before it with an endpoint that "
                "has tls (proxy.endpoints)",
            )
    for path, endpoint in given.pieces.endpoints:
        if endpoint.tls is None:
            yield f"{path}.tls", f": is required in the tier {given.tier}, where nothing is served in clear; add it"


def _world(given: Given) -> Iterator[Error]:
    firewall = given.pieces.firewall
    if firewall is None:
        return
    allowed = [("firewall.allow", firewall.allow)]
    allowed += [
        (f"firewall.rules.{index}.allow", rule.allow)
        for index, rule in enumerate(firewall.rules)
        if given.pieces.ports & {*rule.ports}
    ]
    for path, networks in allowed:
        for index, network in enumerate(networks):
            if is_world(network):
                yield (
                    f"{path}.{index}",
                    f" = {network!r}: is the world, not an allowlist; name your own networks (public ones of "
                    "/16 or longer, in IPv6 /32 or longer)",
                )


def _texts(value: object, path: str = "", key: str = "") -> Iterator[tuple[str, str, str]]:
    """Each text with its key path and the last key on it that is a name."""
    if isinstance(value, str):
        yield path, key, value
    entries: list[tuple[str, object, str]] = []
    if isinstance(value, Mapping):
        entries = [(str(name), each, str(name)) for name, each in value.items()]
    elif isinstance(value, list):
        entries = [(str(index), each, key) for index, each in enumerate(value)]
    for step, each, name in entries:
        yield from _texts(each, f"{path}.{step}" if path else step, name)


RULES = (
    TierRule("prod-by-name", "A stack named prod or prod-… is of the tier prod.", EVERY, _named),
    TierRule(
        "no-public-metrics", "A port of metrics or of a profiler is open to private networks only.", EVERY, _metrics
    ),
    TierRule(
        "pinned-image", "An image is named by digest, by an exact version, or comes as an archive.", EVERY, _image
    ),
    TierRule("no-clear-secret", "No password and no private key stands in clear in a stack's file.", EVERY, _clear),
    TierRule("host-keys", "Every host's SSH key is known before anything is sent to it.", EVERY, _host_keys),
    TierRule("who-asks", "A hosted registry asks who pulls and who pushes.", LIKE_PROD | {"staging", "edge"}, _asks),
    TierRule("who-pushes", "A hosted registry asks who pushes.", frozenset({"offline"}), _pushers),
    TierRule("tls", "Every endpoint and every registry that clients reach speaks TLS.", LIKE_PROD, _tls),
    TierRule("allowlist", "The firewall lets in chosen networks, not the world.", LIKE_PROD, _world),
)
"""Every rule, in the order in which their errors are told."""
