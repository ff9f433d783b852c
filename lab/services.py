"""What the hub serves, and the throwaway accounts and keys with which it is asked."""

from __future__ import annotations

from dataclasses import dataclass

from lab.hosts import HUB_PORT, host

ADDRESS = host("hub").address

HUB_URL = f"http://{ADDRESS}:{HUB_PORT}"
TOKEN_URL = f"{HUB_URL}/token"
"""On the port of the registry: distribution, as a pull-through cache, goes to no other one of an IP address."""

SERVICE = "hub"
"""What the hub's registry is called in tokens."""

HUB_LOG = "/var/log/nginx/hub.log"
"""The access log of HUB_PORT, on the hub, in the combined format."""

PUSH_PORT = 5001
"""The port on the hub's own 127.0.0.1 where its registry asks for no token; it is not in the log."""


@dataclass(frozen=True)
class Account:
    """A user of the hub."""

    user: str
    password: str


MEMBER = Account("member", "member-of-the-lab")
"""May pull what is private: `private/*`."""

PUBLISHER = Account("publisher", "publisher-of-the-lab")
"""May pull and push everything."""

PUBLIC = ("library/*", "http-registry/*")
"""What everybody may pull. Docker Hub has no name with a dash; the tests push a canary of their own there."""


@dataclass(frozen=True)
class ObjectStore:
    """A bucket of an S3 store that is addressed by path, over plain HTTP."""

    endpoint: str
    region: str
    bucket: str
    access_key: str
    secret_key: str


S3 = ObjectStore(f"http://{ADDRESS}:7070", "us-east-1", "registry", "lab-access-key", "lab-secret-key")
"""versitygw, as lab/programs/versitygw starts it. It sends all requests to its journal."""
