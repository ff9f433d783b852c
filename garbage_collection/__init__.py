"""Removes from a registry's storage what no image uses any more. Runs on the registry's host.

Python 3.9 and its standard library only.

It does what `registry garbage-collect` (distribution v3.1.2) is for, which it can't use: that one removes the layers of
a push that has not put its manifest yet, and with --delete-untagged it can remove layers of tagged images
(tests/programs/test_garbage_runs.py shows both).
"""
