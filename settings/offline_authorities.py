"""The certificates that the logins of bundles name: read and checked before any host is touched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from settings.certificates import certificates, pem, refuse_out_of_time, text_of
from settings.errors import SettingsError
from settings.tier import Tier


def offline_authorities(tier: Tier, read: Callable[[str], str], now: datetime | None = None) -> dict[str, str]:
    """The certificates that the logins name, as PEM by the files' names.

    `read` gives the text of a file below the project folder. Raises SettingsError with every error found.
    """
    found: dict[str, str] = {}
    errors = []
    sync = tier.offline_sync
    for key, entries in (("sources", sync.sources), ("into", sync.into)) if sync else ():
        for index, each in enumerate(entries):
            if each.authority is None:
                continue
            try:
                held = certificates(text_of(read, each.authority))
                for one in held:
                    refuse_out_of_time(one, now or datetime.now(UTC))
                found[each.authority] = pem(held)
            except ValueError as wrong:
                errors.append(f"offline_sync.{key}.{index}.authority = {each.authority!r}: {wrong}")
    if errors:
        raise SettingsError(errors)
    return found
