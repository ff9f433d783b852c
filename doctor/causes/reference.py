"""The causes that the step `reference` can name."""

from __future__ import annotations

from typing import Tuple

from doctor.finding import CONTROLLER, Cause

CAUSES: Tuple[Cause, ...] = (
    Cause(
        "reference-scheme",
        "invalid reference format: http:// or https:// before the image's name",
        "An image's name has no scheme. Whether a registry speaks HTTP or HTTPS is set in the runtime's configuration.",
        "Leave the scheme out: {instead}. A registry over HTTP belongs into the stack's settings.",
        ((CONTROLLER, "make doctor STACK={stack} IMAGE={instead}"),),
        (r"invalid reference format.*https?://", r"https?://[^ ]*: invalid reference format"),
    ),
    Cause(
        "reference-invalid",
        "invalid reference format",
        "This is not the name of an image: [registry[:port]/]repository[:tag][@digest]. No runtime takes it.",
        "Correct the name as the evidence says.",
        said=(r"invalid reference format", r"cannot specify 64-byte hexadecimal strings"),
    ),
)
