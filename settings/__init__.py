"""What a tier wants: typed, frozen, validated, free of Pulumi and of secrets."""

from settings.errors import SettingsError, check, parse
from settings.tier import Tier

__all__ = ["SettingsError", "Tier", "check", "parse"]
