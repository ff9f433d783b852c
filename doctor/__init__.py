"""Why a pull fails: walks, on a host, the way that a pull goes, and stops at the first break.

It is sent to the host for one answer (ops/from_memory.py), changes nothing there and leaves nothing behind. Like
hostctl, whose modules it uses, it runs on Python 3.9 with the standard library.
"""
