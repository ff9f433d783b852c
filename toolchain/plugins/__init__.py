"""Offline stand-ins for official Pulumi plugins; see README.md."""
