"""Runs on a proxy's host, standard library only, Python 3.9: whether nginx and what is behind it answer."""
