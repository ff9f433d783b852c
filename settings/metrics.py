"""What is measured, and where it is shown."""

from __future__ import annotations

from settings.values import Settings


class Metrics(Settings):
    """Off as a whole if absent."""

    status_page: bool = False
    """Whether the proxy serves a page at /status/, at its first endpoint that asks each reader for a password
    (docs/status-page.md)."""
