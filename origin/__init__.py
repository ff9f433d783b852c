"""The origin service: fetches what nginx asks for from the registries themselves. Runs on the registry's host.

Python 3.9 and its standard library only.
"""
