"""`make certificates`: certificates from an authority of the stack's own, for endpoints whose file is in its folder.

Certificates are files below `stacks/certificates/<stack>/`, to be committed. Private keys, the authority's too, are
secrets of the stack; they reach pulumi on its standard input.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from ops import authority
from ops.authority import Authority
from ops.stack import Stack, StackError
from settings import Tier
from settings.certificates import DAMAGED, pem
from settings.proxy import Endpoint
from settings.tls import Tls

CA_KEY = "ca-key"
"""The secret that is the authority's private key."""
AUTHORITY_FILE = "authority.pem"


@dataclass(frozen=True)
class Wanted:
    """A server's certificate: the endpoints that have it, their `tls` and their key's name."""

    file: str
    tls: Tls
    key: str
    endpoints: tuple[Endpoint, ...]

    @property
    def names(self) -> set[str]:
        """Whom it is for."""
        return {each.server_name for each in self.endpoints}


def folder_of(stack: str) -> str:
    """Where a stack's certificates are, below the project."""
    return f"stacks/certificates/{stack}"


def wanted(tier: Tier, stack: str) -> tuple[list[Wanted], list[str]]:
    """What the authority has to sign, and the files of others that it leaves alone."""
    found: dict[str, list[Endpoint]] = {}
    for each in tier.proxy.endpoints if tier.proxy else ():
        if each.tls:
            found.setdefault(each.tls.certificate, []).append(each)
    ours, others = [], []
    for file, endpoints in found.items():
        tls = endpoints[0].tls
        assert tls is not None
        if PurePosixPath(file).parent == PurePosixPath(folder_of(stack)):
            ours.append(Wanted(file, tls, tls.key_name(endpoints[0].registry), tuple(endpoints)))
        else:
            others.append(file)
    return ours, others


def certify(stack: Stack, tier: Tier, project: Path, *, renew: bool = False, now: datetime | None = None) -> list[str]:
    """Make what is missing, near its end or for other names; with `renew` every server's certificate. Returns a line
    for each file. Raises StackError with what is to be done where that can't be.
    """
    work = _Work(stack, project, now or datetime.now(UTC))
    ours, others = wanted(tier, stack.name)
    lines = [f"{file}: somebody else's, left as it is" for file in others]
    if not ours:
        return [*lines, f"nothing to sign: no endpoint's tls.certificate is in {folder_of(stack.name)}/"]
    signer, line = work.authority({name for each in ours for name in each.names})
    return [*lines, line, *(work.server(each, signer, renew) for each in ours), *_untrusted(tier, stack.name)]


def _untrusted(tier: Tier, stack: str) -> Iterator[str]:
    file = f"{folder_of(stack)}/{AUTHORITY_FILE}"
    if not any(each.certificate == file for each in tier.authorities):
        yield f"runtimes don't trust it yet: add an entry with certificate: {file} to authorities (docs/authorities.md)"


@dataclass(frozen=True)
class _Work:
    stack: Stack
    project: Path
    now: datetime

    def authority(self, names: set[str]) -> tuple[Authority, str]:
        """The authority that signs for these names, and what to say of it; a new one where the old one can't.

        Its file keeps those before it as long as they count, since servers may still show what they have signed.
        """
        file = f"{folder_of(self.stack.name)}/{AUTHORITY_FILE}"
        known = [each for each in self._certificates(file) if each.not_valid_after_utc > self.now]
        key = authority.key_of(self.stack.secrets().get(CA_KEY))
        reason: str | None = "there was none"
        if known and key is not None:
            current = Authority(known[0], key)
            reason = current.lacks(names, self.now)
            if reason is None:
                return current, f"{file}: unchanged"
        made = authority.make(self.stack.name, names, self.now)
        self.stack.set_secret(CA_KEY, authority.key_text(made.key))
        self._write(file, pem([made.certificate, *known]))
        before = "; the one before it stays in the file" if known else ""
        return made, f"{file}: a new authority ({reason}){before}"

    def server(self, each: Wanted, signer: Authority, renew: bool) -> str:
        """Make a server's certificate if it has to be; returns what to say of it."""
        there = next(iter(self._certificates(each.file)), None)
        secret = each.tls.secret(each.endpoints[0].registry)
        public_key: CertificatePublicKeyTypes | None
        if each.tls.hsm:
            public_key = self._requested(each.file, there)
        else:
            key = authority.key_of(self.stack.secrets().get(secret))
            public_key = key.public_key() if key else None
        trusted = self._certificates(f"{folder_of(self.stack.name)}/{AUTHORITY_FILE}")
        reason = authority.stale(there, public_key, each.names, trusted, self.now) if there else "there was none"
        if reason is None and not renew:
            return f"{each.file}: unchanged"
        if public_key is None or not each.tls.hsm:
            made = authority.new_key()
            self.stack.set_secret(secret, authority.key_text(made))
            public_key = made.public_key()
        self._write(each.file, pem([signer.sign(public_key, each.names, self.now)]))
        return f"{each.file}: signed for {', '.join(sorted(each.names))} ({reason or 'renewed'})"

    def _requested(self, file: str, there: x509.Certificate | None) -> CertificatePublicKeyTypes:
        """The public key of a token's private key, from a signing request or from the certificate that there is."""
        request = PurePosixPath(file).with_suffix(".csr")
        try:
            csr = x509.load_pem_x509_csr((self.project / request).read_bytes())
            if csr.is_signature_valid:
                return csr.public_key()
        except FileNotFoundError:
            if there is not None:
                return there.public_key()
        except DAMAGED:
            pass
        raise StackError(f"{request}: must be a signing request (PEM) for the key in the token; docs/tls.md says how")

    def _certificates(self, file: str) -> list[x509.Certificate]:
        try:
            return x509.load_pem_x509_certificates((self.project / file).read_bytes())
        except FileNotFoundError:
            return []
        except DAMAGED:
            raise StackError(f"{file}: is damaged; remove it and run this again") from None

    def _write(self, file: str, text: str) -> None:
        path = self.project / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
