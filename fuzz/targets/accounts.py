"""Who may do what: passwords, keys, certificates."""

from __future__ import annotations

import ssl

from doctor import shown_certificate
from fuzz.target import Target, promised, texts
from hostctl import authorized_keys, certificates, htpasswd, sshd
from hostctl.errors import HostError
from hostctl.host import Finished, Host
from settings import SettingsError, ssh_key
from settings.certificates import certificates as settings_certificates
from settings.known_hosts import _looked_up

LINE = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ http-registry http-registry/prod"


def run_htpasswd(data: bytes) -> None:
    """Any file; a line of ours is found again in it."""
    known = htpasswd.hashes_in(data)
    htpasswd.replaced(known, {name: "x" for name in known})


def run_authorized_keys(data: bytes) -> None:
    """Our line goes in, and out again; of others nothing is lost but a line that bears our mark."""
    merged = authorized_keys.merge(data, LINE)
    assert authorized_keys.merge(merged, LINE) == merged, "merged twice"
    rest, ours = authorized_keys.without(merged, LINE)
    assert ours == [LINE], "ours is not there once"
    theirs, _ = authorized_keys.without(data, LINE)
    assert rest in (theirs, theirs + b"\n"), "a line of others is lost"
    for line in data.decode(errors="replace").splitlines():
        if authorized_keys.key_of(line):
            with promised(ValueError):  # base64, which the caller has checked of its own line
                authorized_keys.fingerprint(line)


class _Sshd(Host):
    """A host whose sshd says the data."""

    said = ""

    def has(self, program: str) -> bool:
        """Everything."""
        return True

    def run(self, *command: str, **_: object) -> Finished:
        """The data."""
        return Finished(0, self.said)


def run_sshd(data: bytes) -> None:
    """What `sshd -T` prints, and lines of its log."""
    host = _Sshd()
    object.__setattr__(host, "said", data.decode(errors="replace"))
    with promised(HostError):
        sshd.key_settings(host, "10.0.0.1 50000 10.0.0.2 22")
    sshd.refusals(host, 0.0, 1.0)


def run_known_hosts(data: bytes) -> None:
    """A key is two words, or none."""
    key = _looked_up(data.decode(errors="replace"), "192.168.1.11")
    assert key is None or len(key.split()) <= 2, key


def run_ssh_key(data: bytes) -> None:
    """A key that is none is a SettingsError."""
    with promised(SettingsError):
        ssh_key.openssh("ssh-key", data.decode(errors="replace"))


def run_pem(data: bytes) -> None:
    """Certificates among anything: as hosts see them, as the settings do, as doctor does."""
    text = data.decode(errors="replace")
    with promised(ValueError):
        settings_certificates(text)
    for der in certificates.held(data):
        certificates.complaint(der)
        shown_certificate.read(der)
    with promised(HostError):
        found = certificates.split(text, "here")
        assert certificates.split(certificates.text(found).decode(), "there") == found, "not found again"


def run_der(data: bytes) -> None:
    """A certificate that a server shows."""
    certificates.complaint(data)
    shown_certificate.read(data)
    if data:
        run_pem(ssl.DER_cert_to_PEM_cert(data).encode())


def _pem() -> tuple[bytes, ...]:
    from tests.certificates import authority

    made = authority("Fuzz").pem
    return (made.encode(), (made + made).encode())


def _der() -> tuple[bytes, ...]:
    from tests.certificates import authority, server

    signer = authority("Fuzz")
    return (signer.der, server("fuzz.example", signer, "10.0.0.1", ocsp="http://ocsp.example").der)


OPENSSH = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE\n-----END OPENSSH PRIVATE KEY-----\n"
)
TARGETS = (
    Target(
        "htpasswd",
        run_htpasswd,
        texts("# Managed by\nci:$2y$10$" + "a" * 53 + "\ndev:{SHA}x\n\n:x\n", "a:b:c\r\n"),
        (":", "$2y$", "#"),
    ),
    Target(
        "authorized-keys",
        run_authorized_keys,
        texts(f'no-pty,command="a b" {LINE.decode()}\n# x\nssh-rsa AAAAB3 me@here', f"{LINE.decode()}\r\n"),
        ("ssh-ed25519 ", "AAAA", " http-registry ", "http-registry/prod", "#", "\r\n"),
    ),
    Target(
        "sshd",
        run_sshd,
        texts(
            "pubkeyauthentication yes\nauthorizedkeysfile .ssh/authorized_keys /etc/ssh/%u %%x\n"
            "pubkeyacceptedalgorithms ssh-ed25519,rsa-sha2-512\n",
            "Authentication refused: bad ownership or modes for file /root/.ssh/authorized_keys [preauth]\n",
        ),
        ("authorizedkeysfile ", "none", "%h", "pubkeyauthentication no", "refusing "),
    ),
    Target(
        "known-hosts",
        run_known_hosts,
        texts("192.168.1.11,registry ssh-ed25519 AAAA comment\n|1|x=|y= ssh-rsa AAAA\n@cert-authority * ssh-rsa A\n"),
        ("192.168.1.11 ", "192.168.1.11", ",", "#"),
    ),
    Target("ssh-key", run_ssh_key, (OPENSSH.encode(), *texts(ssh_key.new_key())), ("-----BEGIN ", "PRIVATE KEY-----")),
    Target("pem", run_pem, _pem(), ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", "PRIVATE KEY", "\r\n")),
    Target("der", run_der, _der()),
)
