"""Inner servers: the same nginx on sockets, where one of its own servers needs a second opinion."""

from __future__ import annotations

from collections.abc import Iterable

from documents.nginx_cache import KEEPING
from documents.nginx_text import Directive, block, directive
from hostctl.nginx_conf import RUN


def inner(upstream: str, socket: str, body: Iterable[Directive]) -> tuple[Directive, Directive]:
    """The upstream block by which it is asked, and the server. `socket`: its name in the folder of sockets."""
    place = f"unix:{RUN}/{socket}.sock"
    always = [directive("listen", place), directive("server_tokens", "off"), directive("access_log", "off")]
    return (
        block("upstream", upstream, body=[directive("server", place), directive("keepalive", 8)]),
        block("server", body=[*always, *body]),
    )


def question(method: str) -> list[Directive]:
    """What a question about a request is asked with: nothing of that request."""
    return [
        directive("proxy_method", method),
        directive("proxy_pass_request_headers", "off"),
        directive("proxy_pass_request_body", "off"),
        directive("proxy_set_header", "Content-Length", ""),
    ]


def then(location: str) -> list[Directive]:
    """Where a request goes on once it was allowed to: a location has but one auth_request."""
    # No file is meant; without the cache nginx would look for one each time.
    return [directive("open_file_cache", "max=4"), directive("try_files", "", location)]


def fresh(lifetime: int, stale: int) -> list[Directive]:
    """What an inner server adds to an answer so that it is kept for `lifetime` seconds, and `stale` more while nothing
    better is to be had. (nginx has no directive for the latter, but heeds RFC 5861 of what it is told.)"""
    bound = f"max-age={lifetime}" + (f", stale-if-error={stale}" if stale else "")
    return [
        *(directive("proxy_hide_header", each) for each in KEEPING),
        directive("add_header", "Cache-Control", bound),
    ]


def definite_or_silent(*definite: int) -> list[Directive]:
    """What an inner server makes of errors, so that nginx before it lets an older answer stand in only for silence.

    nginx 1.22 heeds stale-if-error where there is no answer at all, so one that says nothing about the thing asked for
    becomes none. Later ones heed it with `definite` statuses too, which is wrong of these: they become 410.
    """
    return [
        directive("proxy_intercept_errors", "on"),
        directive("error_page", *definite, "@definite"),
        directive("error_page", 429, 500, 502, 503, 504, "@silent"),
        block("location", "@definite", body=[directive("return", 410)]),
        block("location", "@silent", body=[directive("return", 444)]),
    ]
