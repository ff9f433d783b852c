"""Basic auth: who may ask. bcrypt takes a core 60 ms at cost 10, so what it found is kept for a minute.

`auth_request` asks an inner server on a socket, whose answers are kept on a tmpfs that only nginx's workers can read:
their keys hold the credentials. The files' digest is in the key, so a changed password is heeded at once. Checks are
limited by client before bcrypt runs. A yes is remembered before that (nginx_remembered).

A password that has just been replaced is taken as well, until whoever uses it has the new one: it stands in a file of
its own, which a second location asks, since nginx looks at the first line of a user only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from documents import nginx_remembered
from documents.nginx_cache import kept_in, one_fetch, zone
from documents.nginx_errors import answer, returned
from documents.nginx_inner import inner, question
from documents.nginx_remembered import remembered
from documents.nginx_text import Directive, block, directive
from hostctl.nginx_conf import OURS, PASSWORDS_CONF, PULLERS, PULLERS_BEFORE, PUSHERS, PUSHERS_BEFORE, RIGHT, RUN
from settings.proxy import Limits

CHECK = "/.http-registry/password"
FOLDER = f"{RUN}/passwords"
ZONE, LOGINS, UPSTREAM = "http-registry-passwords", "http-registry-logins", "http-registry-passwords"
SAID = "$http_registry_password"
"""The status of the check."""
GUESSING = "too many wrong passwords from your address; wait a little"
KEPT_SECONDS, WRONG_KEPT = 60, "10s"


def shared(limits: Limits) -> Iterable[Directive]:
    """What stands once in the site: the zones, the maps, the inner server."""
    yield zone(ZONE, FOLDER, "max_size=16m", "inactive=60s", keys="1m")
    yield directive("limit_req_zone", "$http_x_real_ip", f"zone={LOGINS}:1m", f"rate={limits.logins_per_second}r/s")
    yield directive("include", PASSWORDS_CONF)
    yield block(
        "map",
        "$request_method",
        "$http_registry_role",
        body=[directive("default", "push"), directive("GET", "pull"), directive("HEAD", "pull")],
    )
    yield block(
        "map",
        "$http_registry_role$http_authorization",
        "$http_registry_anonymous_pull",
        body=[directive("default", 0), directive("pull", 1)],
    )
    for role, users, before in (("pull", PULLERS, PULLERS_BEFORE), ("push", PUSHERS, PUSHERS_BEFORE)):
        yield from _checking(role, users, before, 10 * limits.logins_per_second)
    yield from _said()


def _checking(role: str, users: str, before: str, burst: int) -> Iterable[Directive]:
    """The inner server for one role. It answers with a file: `return` would come before the password is looked at."""
    right = directive("rewrite", "^", f"/{PurePosixPath(RIGHT).name}", "break")
    body = [
        directive("limit_req", f"zone={LOGINS}", f"burst={burst}", "nodelay"),
        directive("limit_req_status", 429),
        directive("auth_basic", "http-registry"),
        directive("auth_basic_user_file", users),
        directive("root", OURS),
        directive("error_page", 401, "=", "@before"),
        block("location", "/", body=[right]),
        block("location", "@before", body=[directive("auth_basic_user_file", before), right]),
    ]
    return inner(f"{UPSTREAM}-{role}", f"passwords-{role}", body)


def _said() -> Sequence[Directive]:
    """The inner server that says what those have found, for the role that it is asked about."""
    ask = [
        *_asking("$http_x_real_ip"),
        *kept_in(ZONE),
        directive("proxy_cache_key", "$http_role $http_registry_passwords $http_authorization"),
        directive("proxy_cache_valid", 200, f"{KEPT_SECONDS - nginx_remembered.SECONDS}s"),
        directive("proxy_cache_valid", 401, WRONG_KEPT),
        *one_fetch("5s"),
        # Nobody waits while a password that was right is checked again.
        directive("proxy_cache_use_stale", "updating"),
        directive("proxy_cache_background_update", "on"),
        directive("proxy_pass", f"http://{UPSTREAM}-$http_role"),
    ]
    guessing = block("if", f"({nginx_remembered.SAID}", "=", "429)", body=[directive("return", 429)])
    unchecked = [
        directive("error_page", 500, "=", "@unchecked"),
        block("location", "@unchecked", body=[guessing, directive("return", 503)]),
    ]
    return nginx_remembered.saying(f"{UPSTREAM}-said", "passwords-said", ask, unchecked)


def _asking(client: str) -> list[Directive]:
    """How a password is asked about."""
    return [
        *question("GET"),
        directive("proxy_set_header", "Connection", ""),
        directive("proxy_set_header", "X-Real-IP", client),
        directive("proxy_set_header", "Authorization", "$http_authorization"),
    ]


def required() -> list[Directive]:
    """What a location has that asks for a password."""
    return [directive("auth_request", CHECK), directive("auth_request_set", SAID, "$status")]


def locations(*, anonymous_pull: bool) -> Sequence[Directive]:
    """Where a server asks, where a yes that is remembered goes on, and what a client hears that is not asked about any
    more."""
    nobody = [block("if", "($http_registry_anonymous_pull)", body=[directive("return", 204)])]
    return (
        block(
            "location",
            "=",
            CHECK,
            body=[
                directive("internal"),
                *(nobody if anonymous_pull else []),
                *_asking("$remote_addr"),
                directive("proxy_set_header", "Role", "$http_registry_role"),
                *remembered(ZONE, "$http_registry_role $http_registry_passwords $http_authorization"),
                directive("proxy_pass", f"http://{UPSTREAM}-said/"),
            ],
        ),
        block("location", "@yes", body=[directive("return", 200)]),
        directive("error_page", 500, "=", "@unchecked"),
        block(
            "location",
            "@unchecked",
            body=[
                block("if", f"({SAID}", "=", "429)", body=[returned("429", "TOOMANYREQUESTS", GUESSING)]),
                *answer("503", "UNAVAILABLE", "this proxy can't check passwords now"),
            ],
        ),
    )
