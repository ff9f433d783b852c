"""Decides that a tcp:// host with TLS material is reached with it, and a daemon of another CA is not."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from toolchain.plugins.docker.daemon import Daemon, DaemonError
from toolchain.plugins.docker.settings import Settings


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def cert_pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()


def pair(name: str, issuer: Pair | None = None) -> Pair:
    """Signed by `issuer`, else a CA that signed itself; good for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signer = issuer.key if issuer else key
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return Pair(certificate, key)


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        return

    def do_GET(self) -> None:
        body = json.dumps({"ApiVersion": "1.43", "Name": "v"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def authority() -> Pair:
    return pair("ca")


@pytest.fixture
def host(authority: Pair, tmp_path: Path) -> Iterator[str]:
    """A daemon that lets in who has a certificate of the CA."""
    server_pair = pair("daemon", authority)
    (tmp_path / "server.pem").write_text(server_pair.cert_pem + server_pair.key_pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=authority.cert_pem)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(tmp_path / "server.pem")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        server.daemon_threads = True
        server.block_on_close = False
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield f"tcp://127.0.0.1:{server.server_port}"
        server.shutdown()


def reach(settings: Settings) -> str:
    with closing(Daemon(settings)) as daemon:
        return str(asyncio.run(daemon.call(lambda client: client.inspect_volume("v")))["Name"])


def test_material_is_used(host: str, authority: Pair) -> None:
    client = pair("client", authority)
    assert reach(Settings(host=host, ca=authority.cert_pem, cert=client.cert_pem, key=client.key_pem)) == "v"
    assert reach(Settings(host=host, cert=client.cert_pem, key=client.key_pem)) == "v"


def test_a_folder_of_material_is_used(host: str, authority: Pair, tmp_path: Path) -> None:
    client = pair("client", authority)
    for name, text in {"ca": authority.cert_pem, "cert": client.cert_pem, "key": client.key_pem}.items():
        (tmp_path / f"{name}.pem").write_text(text)
    assert reach(Settings(host=host, cert_path=str(tmp_path))) == "v"


def test_a_daemon_of_another_ca_is_refused(host: str, authority: Pair) -> None:
    client = pair("client", authority)
    with pytest.raises(DaemonError, match="certificate verify failed"):
        reach(Settings(host=host, ca=pair("other").cert_pem, cert=client.cert_pem, key=client.key_pem))
