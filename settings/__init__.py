"""What a tier wants: typed, frozen, validated, free of Pulumi and of secrets."""

from settings.errors import SettingsError, check, parse
from settings.tier import Tier
from settings.tier_rules import Given

__all__ = ["Given", "SettingsError", "Tier", "check", "parse"]
