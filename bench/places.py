"""Where the bench keeps things on the lab's registry host, on which ports it listens there, and the tier it renders."""

from __future__ import annotations

from lab.hosts import host
from lab.services import HUB_URL
from settings import parse
from settings.tier import Tier

HOST, CLIENT, HUB = "registry", "docker1", "hub"
ADDRESS = host(HOST).address
NAME = "http-registry-bench"
"""What its units are called, its folder in /run, and the label of its containers."""
FOLDER = f"/var/lib/{NAME}"
RUN = f"/run/{NAME}"
WWW, CACHE, LOGS = f"{FOLDER}/www", f"{FOLDER}/cache", f"{FOLDER}/log"
PULL_THROUGH_DATA = f"{FOLDER}/pull-through"
PROGRAMS = f"{FOLDER}/programs"
PATHS = f"{FOLDER}/paths"
"""A line for each small thing: its path at a registry."""

REGISTRY_PORT, PULL_THROUGH_PORT = 5201, 5202
HOSTED, MIRROR, MIRROR_TLS, NEAR, NEAR_LOGIN = range(5211, 5216)
"""Endpoints of the product. The mirrors `near` have the bench's own registry as their upstream."""
STATIC, STATIC_TLS, LOCKED, PLAIN, PLAIN_LOCKED = range(5221, 5226)
"""Rivals: files; nginx's cache with a lock before distribution's; the cache of usual blog posts, and with a lock."""

USER, PASSWORD = "bench", "bench-of-the-lab"
BIG, SMALL = "library/big", "bench/small"
"""Repositories: of the lab's big image, and of the small things."""
ZONES = ("locked", "plain", "plain-locked")


def tier(certificate: str) -> Tier:
    """The product's side. `certificate`: the name of the certificate's file."""
    caches = {
        "mirror": ("docker.io", HUB_URL),
        "mirror-tls": ("tls.example.org", HUB_URL),
        "near": ("near.example.org", f"http://127.0.0.1:{REGISTRY_PORT}"),
        "near-login": ("login.example.org", f"http://127.0.0.1:{REGISTRY_PORT}"),
    }
    registries = [
        {"kind": "hosted", "name": "hosted", "host": HOST, "port": REGISTRY_PORT},
        *(
            {"kind": "cache", "name": name, "host": HOST, "port": 5301 + index, "serves": serves, "upstream": upstream}
            for index, (name, (serves, upstream)) in enumerate(caches.items())
        ),
    ]
    endpoints = [
        {"registry": "hosted", "port": HOSTED},
        {"registry": "mirror", "port": MIRROR},
        {"registry": "mirror-tls", "port": MIRROR_TLS, "tls": {"certificate": certificate}},
        {"registry": "near", "port": NEAR},
        {"registry": "near-login", "port": NEAR_LOGIN, "login": True},
    ]
    return parse(
        {
            "hosts": [{"name": HOST, "address": ADDRESS}],
            "image": {"reference": "registry:3.1.2"},
            "registries": registries,
            "proxy": {
                "host": HOST,
                "endpoints": [{**each, "server_name": ADDRESS} for each in endpoints],
                "users": [{"name": USER, "role": "pull"}],
            },
            "firewall": {"allow": ["192.168.1.0/24"]},
        }
    )
