"""Projects that build on a registry's outputs."""
