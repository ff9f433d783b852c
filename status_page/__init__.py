"""The status page: HTML, CSS and JavaScript that nginx serves, without a request to anybody else.

It reads `status.json` (pull_metrics writes it) and `findings.json` (`make doctor` leaves it) from where it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

INDEX = "index.html"
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
"""What the files are, by suffix."""


def files() -> Mapping[str, str]:
    """The files' texts by their names."""
    here = Path(__file__).parent
    return {each.name: each.read_text() for each in sorted(here.iterdir()) if each.suffix[1:] in TYPES}
