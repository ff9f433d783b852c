"""What nginx answers itself, in the registry's JSON form (OCI distribution-spec, "Error Codes")."""

from __future__ import annotations

from collections.abc import Iterable

from documents.nginx_text import Directive, block, directive

ERRORS = {
    "401": ("unauthorized", "UNAUTHORIZED", "log in with a user of this registry that may do this"),
    "403": ("denied", "DENIED", "your address is not in the allowlist of this registry"),
    "404": ("unknown", "NAME_INVALID", "only plain paths below /v2/ are served here, without percent signs and dots"),
    "405": ("unsupported", "UNSUPPORTED", "this endpoint can be pulled from, not pushed to"),
    "410": ("gone", "MANIFEST_UNKNOWN", "the upstream has no such manifest"),
    "429": ("too-many", "TOOMANYREQUESTS", "too many requests from your address; wait a little"),
    "502 504": ("unavailable", "UNAVAILABLE", "the registry behind this proxy does not answer"),
}
"""By status: the location's name, the code, the message."""
SHOWN_AS = {"410": "404"}
"""410 is between nginx and itself: a 404 that no kept answer may stand in for."""


def error_pages() -> Iterable[Directive]:
    """Where a server goes with its own errors."""
    for status, (name, _, _) in ERRORS.items():
        yield directive(
            "error_page", *status.split(), *([f"={SHOWN_AS[status]}"] if status in SHOWN_AS else []), f"@{name}"
        )


def error_locations() -> Iterable[Directive]:
    """Those places."""
    for status, (name, code, message) in ERRORS.items():
        yield block("location", f"@{name}", body=answer(SHOWN_AS.get(status, status.split()[0]), code, message))


def answer(status: str, code: str, message: str) -> list[Directive]:
    """A status with a body that clients of registries can read."""
    return [directive("default_type", "application/json"), returned(status, code, message)]


def returned(status: str, code: str, message: str) -> Directive:
    """The same, where the type is known already."""
    return directive("return", status, f'{{"errors":[{{"code":"{code}","message":"{message}"}}]}}')
