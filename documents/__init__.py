"""Pure renderers: from settings to the texts of configuration files. No I/O, no Pulumi."""
