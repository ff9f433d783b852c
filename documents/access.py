"""What a runtime needs, besides a URL, to get in at a server: a login, an authority to trust."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from hostctl.hosts_toml import Endpoint
from hostctl.masking import MASK
from settings.runtimes import Login


@dataclass(frozen=True)
class Access:
    """By the server's name as URLs have it (host, or host:port): an Authorization header, a CA's file on the host."""

    logins: Mapping[str, str] = field(default_factory=dict)
    cas: Mapping[str, str] = field(default_factory=dict)

    def endpoint(self, url: str, capabilities: tuple[str, ...] = ()) -> Endpoint:
        """The server as hosts.toml names it."""
        server = urlsplit(url).netloc
        ca = self.cas.get(server, "") if url.startswith("https://") else ""
        return Endpoint(url, capabilities, ca=ca, authorization=self.logins.get(server, ""))


def authorizations(logins: Iterable[Login], passwords: Mapping[str, str]) -> dict[str, str]:
    """The header's value by server; `passwords` are by the names of the secrets."""
    return {each.registry: basic(each.user, passwords[each.secret]) for each in logins}


def basic(user: str, password: str) -> str:
    """Basic auth (RFC 7617); masked where the password is."""
    return f"Basic {MASK if password == MASK else b64encode(f'{user}:{password}'.encode()).decode()}"
