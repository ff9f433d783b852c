"""Every parser of text that others wrote, fed with what nobody would write: `make fuzz`; docs/reliability.md."""
