"""The targets, a file for each kind of text."""
