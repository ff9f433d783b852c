"""A yes that nginx remembers without a file: of a kept answer it opens and reads one, each time, to tell whose it is.

Where a status of 300 or more is intercepted, and has a place to go on at (`error_page`), nginx keeps it as a number in
the zone's shared memory (ngx_http_upstream_intercept_errors, ngx_http_file_cache_free). So between the one who asks and
the answers that are kept in files stands an inner server, which says yes by such a status.

What is remembered has no stale-if-error, and nobody is answered by it while it is asked for anew. The answers behind it
have both, and so it is remembered for the shorter time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from documents.nginx_cache import kept_in
from documents.nginx_inner import inner, then
from documents.nginx_text import Directive, block, directive

SECONDS = 10
"""How long a yes is remembered, beyond the time for which the answer behind it is kept."""
YES = 418
ASK = "/.http-registry/ask"
"""Where the inner server asks whoever knows."""
SAID = "$http_registry_said"


def remembered(zone: str, key: str) -> list[Directive]:
    """What a location has that asks the server of `saying`; a yes goes on at `@yes`."""
    return [
        *kept_in(zone),
        directive("proxy_cache_key", f"yes {key}"),
        directive("proxy_cache_valid", YES, f"{SECONDS}s"),
        directive("proxy_intercept_errors", "on"),
        directive("error_page", YES, "=", "@yes"),
    ]


def saying(upstream: str, socket: str, ask: Sequence[Directive], body: Iterable[Directive] = ()) -> Sequence[Directive]:
    """The inner server. `ask`: how its own subrequest asks. That ends with 200 for a yes, with 401 or 403 for a no, and
    with 204 for a no that takes the place of a yes, which nginx keeps in a file: on the way past what is remembered
    (`proxy_cache_bypass`) it stores nothing else."""
    asked = [
        directive("auth_request", ASK),
        directive("auth_request_set", SAID, "$status"),
        *then(f"@said-{SAID}"),
    ]
    return inner(
        upstream,
        socket,
        [
            block("location", "/", body=asked),
            block("location", "@said-200", body=[directive("return", YES)]),
            block(
                "location",
                "@said-204",
                body=[directive("add_header", "X-Accel-Expires", SECONDS), directive("return", 204)],
            ),
            block("location", "=", ASK, body=[directive("internal"), *ask]),
            *body,
        ],
    )
