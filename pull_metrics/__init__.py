"""Figures of how well pulls go, from nginx's access log. Runs on the proxy's host.

Python 3.9 and its standard library only.
"""
