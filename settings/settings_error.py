"""What is raised where settings can't be used."""

from __future__ import annotations


class SettingsError(ValueError):
    """The settings can't be used. `errors` has a line for each thing that is wrong."""

    def __init__(self, errors: list[str]) -> None:
        count = f"{len(errors)} error{'s' if len(errors) > 1 else ''}"
        super().__init__(f"settings: {count}, nothing was touched:\n" + "\n".join(f"  {line}" for line in errors))
        self.errors = errors
