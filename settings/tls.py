"""TLS of a proxy's endpoint: its certificate, where its private key is, and what clients are told."""

from __future__ import annotations

from typing import Annotated, Literal

from settings.values import Duration, File, Name, Port, Settings, matching

Label = Annotated[str, matching(r"[ -~]{1,32}", "1 to 32 printable characters, as 'pkcs11-tool -L' and '-O' print it")]
"""The label of a token or of an object in it."""


class Hsm(Settings):
    """A private key in a PKCS#11 token, which it never leaves. The PIN is the secret `hsm-pin-<key>`.

    nginx's workers open the token too, after they have left root's rights: their account must be let in.
    """

    module: File
    """The token's PKCS#11 module on the host, such as /usr/lib/softhsm/libsofthsm2.so; one for all endpoints."""
    token: Label
    """The label of the token."""
    object: Label
    """The label of the private key."""


class Tls(Settings):
    """HTTPS at an endpoint: TLS 1.2 and 1.3, forward secrecy, and OCSP stapling where the certificate names a responder
    and its file holds who has signed it."""

    certificate: str
    """A PEM file below the project folder: the server's certificate first, then who has signed it, in order."""
    key: Name | None = None
    """Whose private key it is: the secret `tls-key-<key>`, or `hsm-pin-<key>` with `hsm`; the endpoint's registry if
    absent. Two endpoints with one certificate name one key."""
    hsm: Hsm | None = None
    """Where the private key is, if it is not the secret."""
    minimum: Literal["1.2", "1.3"] = "1.2"
    """The oldest TLS that is spoken, one for all endpoints of a port. Go before 1.12 and OpenSSL before 1.1.1 have no
    1.3."""
    hsts: Duration | None = None
    """How long browsers use HTTPS only, for this name and any of its ports; they don't heed it for an IP address."""
    redirect_from: Port | None = None
    """A port that sends HTTP requests for this name here."""

    def key_name(self, registry: str) -> str:
        """The key's name, at the endpoint of this registry."""
        return self.key or registry

    def secret(self, registry: str) -> str:
        """The name of the secret that goes with it, at the endpoint of this registry."""
        return f"{'hsm-pin' if self.hsm else 'tls-key'}-{self.key_name(registry)}"
