"""Reads a host that was configured by hand, for settings that say the same: sent there for one answer, changes nothing.

`ops/adopt` asks, and makes the proposal of what is found.
"""
