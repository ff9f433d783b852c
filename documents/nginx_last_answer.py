"""What a hosted registry has last said to `/v2/` and of a tag counts on for a while, where it can't say anything now.

Each time the registry is asked, and what it says is kept. Only where that is an error of its own (5xx), or nothing, the
kept answer stands in: a refusal or "there is none" is as good an answer as any, and replaces the one before.
"""

from __future__ import annotations

from collections.abc import Sequence

from documents.nginx_cache import KEEPING, headers, kept_in
from documents.nginx_inner import then
from documents.nginx_text import Directive, block, directive

ASKED = "^/v2/(?:.+/manifests/[^/:]+)?$"
"""The ping, and manifests by tag; those by digest have their own place."""
PATIENCE = "10s"
"""How long the registry may think before its last answer stands in: with its bucket away it would for minutes."""
HOW = "$http_registry_how"
"""`reading` or `writing`."""
PARTICULAR = "$http_registry_particular"
"""1 where the answer may be one that only this client can read: distribution makes another manifest for whoever knows
no lists. (nginx before 1.23 knows the first of several Accept lines; those clients know all types.)"""
KNOWN = (200, 401, 403, 404)


def maps() -> Sequence[Directive]:
    """What `locations` asks for."""
    return (
        block(
            "map",
            "$request_method",
            HOW,
            body=[directive("default", "writing"), directive("GET", "reading"), directive("HEAD", "reading")],
        ),
        block(
            "map",
            "$uri $http_accept",
            PARTICULAR,
            body=[
                directive("default", 1),
                directive("~^/v2/ ", ""),
                directive(r"~application/(json|vnd\.(oci|docker)\.)", ""),
            ],
        ),
    )


def locations(
    zone: str, key: str, seconds: int, first: Sequence[Directive], token: str, backend: Sequence[Directive]
) -> Sequence[Directive]:
    """`key`: what may be shared by whom. `seconds`: how long an answer counts. `first`: whom it asks for a password."""
    asked = [
        *kept_in(zone),
        directive("proxy_cache_key", f"last {key} $uri $request_method"),
        directive("proxy_cache_convert_head", "off"),
        directive("proxy_cache_valid", *KNOWN, f"{seconds}s"),
        directive("proxy_ignore_headers", *KEEPING),
        directive("proxy_no_cache", PARTICULAR),
        directive("proxy_read_timeout", PATIENCE),
        directive("proxy_next_upstream", "error"),
        *headers(token),
        *backend,
    ]
    reading = [
        directive("proxy_cache_bypass", 1),
        directive("proxy_intercept_errors", "on"),
        directive("recursive_error_pages", "on"),
        directive("error_page", 500, 502, 503, 504, "=", "@last"),
        *asked,
    ]
    # Where nothing is kept the registry is asked once more, and has the word.
    last = [directive("proxy_cache_bypass", PARTICULAR), *asked]
    return (
        block("location", "~", ASKED, body=[*first, *then(f"@{HOW}")]),
        block("location", "@reading", body=reading),
        block("location", "@writing", body=[*headers(token), *backend]),
        block("location", "@last", body=last),
    )
