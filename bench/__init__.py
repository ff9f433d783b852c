"""Measures the proxy beside what people use instead, on the lab's hosts: `make bench`.

Everything runs on the lab's registry host, beside the live stack and apart from it: an nginx of the bench's own with
the site as it is rendered for a tier, the origin service, and the rivals. Nothing of it stays.
"""
