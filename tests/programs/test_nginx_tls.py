"""Decides what clients meet at an endpoint with TLS: a real nginx with the rendered directives, real handshakes."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from documents import nginx_tls
from documents.nginx_text import block, directive
from hostctl import tls_connection
from hostctl.nginx_conf import MARKER
from hostctl.nginx_probe import Probe
from settings.tls import Tls
from tests.certificates import Signed, authority, intermediate, server
from tests.free_port import free_port
from tests.programs.served_site import Backend
from tests.programs.tls_server import NAME, Responder, Server, ask, serving, stapled

CA = authority("Test authority")
MIDDLE = intermediate(CA)
HERS = server(NAME, MIDDLE, "127.0.0.1")
CHAIN = HERS.pem + MIDDLE.pem
TLS = Tls(certificate="c.pem", hsts="365d")
OLD, MIDDLE_AGED, NEW = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tls")
    port = free_port()
    redirect = nginx_tls.redirect(f"https://{NAME}", NAME, port)
    with serving(folder, TLS, CHAIN, HERS.private, CA.pem, more=[redirect]) as running:
        (folder / "www" / "blob").write_bytes(b"x" * 3_000_000)
        running.http = port
        yield running


def test_each_version_and_nothing_older_or_weaker(live: Server) -> None:
    assert live.handshake(maximum_version=MIDDLE_AGED)[:2] == ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")
    assert live.handshake()[0] == "TLSv1.3"
    with pytest.warns(DeprecationWarning, match="TLSv1_1"), pytest.raises(OSError, match="alert protocol version"):
        live.handshake(minimum_version=OLD, maximum_version=OLD, ciphers="ALL:@SECLEVEL=0")
    for cipher in ("ECDHE-ECDSA-AES128-SHA256", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-SHA"):
        with pytest.raises(OSError, match="handshake failure"):
            live.handshake(maximum_version=MIDDLE_AGED, ciphers=f"{cipher}:@SECLEVEL=0")


def test_a_client_trusts_it_by_name_and_by_address_through_the_intermediate(live: Server) -> None:
    for name in (NAME, "127.0.0.1"):
        assert live.handshake(name)[2] == HERS.der
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        live.handshake("other.test")


def test_a_whole_blob_arrives(live: Server) -> None:
    assert live.get("/blob")[2] == b"x" * 3_000_000


@pytest.mark.parametrize("path", ["/blob", "/missing"])
def test_browsers_are_told_to_come_back_with_https(live: Server, path: str) -> None:
    assert live.get(path)[1]["Strict-Transport-Security"] == "max-age=31536000"


def test_http_is_sent_to_https_with_its_path_and_method(live: Server) -> None:
    with socket.create_connection(("127.0.0.1", live.http), timeout=10) as plain:
        status, headers, _ = ask(plain, "/v2/a/blobs/x?y=z%20&b")
    assert (status, headers["Location"]) == (308, f"https://{NAME}/v2/a/blobs/x?y=z%20&b")


def test_sessions_are_resumed_without_tickets(live: Server) -> None:
    context = live.context(maximum_version=MIDDLE_AGED)
    session = None
    for again in (False, True):
        with (
            socket.create_connection(("127.0.0.1", live.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=NAME, session=session) as wrapped,
        ):
            session = wrapped.session
            assert wrapped.session_reused is again
            assert session is not None
            assert not session.has_ticket


def test_hostctl_sees_which_certificate_is_shown(live: Server) -> None:
    fingerprint, reason = tls_connection.shown("127.0.0.1", live.port, NAME, 5)
    assert (fingerprint, reason) == (hashlib.sha256(HERS.der).hexdigest(), "")
    assert tls_connection.shown("127.0.0.1", live.http, NAME, 5)[0] == ""
    connection = tls_connection.TlsConnection("127.0.0.1", live.port, NAME, 5, "127.0.0.2")
    connection.request("GET", "/blob", headers={"Host": NAME})
    assert connection.getresponse().status == 200
    connection.close()
    for shown, answer in ((fingerprint, (404, True)), ("00", (0, "another certificate"))):
        status, said = Probe(live.port, NAME, fingerprint=shown).get(MARKER)
        assert (status, said if status == 0 else said != "") == answer
    assert Probe(live.http, NAME, fingerprint=fingerprint).get(MARKER)[0] == 0


def test_minimum_1_3_leaves_1_2_out(tmp_path: Path) -> None:
    with serving(tmp_path, TLS.model_copy(update={"minimum": "1.3"}), CHAIN, HERS.private, CA.pem) as strict:
        assert strict.handshake()[0] == "TLSv1.3"
        with pytest.raises(OSError, match="alert protocol version"):
            strict.handshake(maximum_version=MIDDLE_AGED)


@pytest.mark.parametrize("delegated", [False, True])
def test_the_status_of_the_certificate_is_stapled(tmp_path: Path, delegated: bool) -> None:
    """`delegated`: another key than the issuer's signs the status, as most authorities do it."""
    signer = server("responder.test", MIDDLE, use=ExtendedKeyUsageOID.OCSP_SIGNING) if delegated else None
    responder = Responder(signer)
    hers = server(NAME, MIDDLE, ocsp=responder.url)
    responder.knows(hers, MIDDLE)
    (tmp_path / "ca.pem").write_text(CA.pem)
    with serving(tmp_path, TLS, hers.pem + MIDDLE.pem, hers.private, CA.pem, staples=True) as live:
        said = ""
        for _ in range(50):
            said = stapled(live, tmp_path / "ca.pem")
            if "OCSP Response Status: successful" in said:
                break
            time.sleep(0.05)
        responder.end()
        assert "OCSP Response Status: successful (0x0)" in said, live.log()
        assert "Cert Status: good" in said
        assert "Verify return code: 0 (ok)" in said
        assert responder.asked <= 2  # one a worker


def test_a_renewed_certificate_is_shown_from_the_reload_on_and_no_download_is_cut(live: Server) -> None:
    renewed = server(NAME, MIDDLE, "127.0.0.1")
    outcomes: list[int] = []
    failures: list[BaseException] = []
    ended = threading.Event()

    def load() -> None:
        while not ended.is_set():
            try:
                outcomes.append(len(live.get("/blob")[2]))
            except BaseException as failure:
                failures.append(failure)

    clients = [threading.Thread(target=load) for _ in range(6)]
    for each in clients:
        each.start()
    try:
        for certificate in (renewed, HERS, renewed, HERS):
            time.sleep(0.2)
            live.install(certificate.pem + MIDDLE.pem, certificate.private, TLS)
            live.reload()
            deadline = time.monotonic() + 5
            while live.handshake()[2] != certificate.der:
                assert time.monotonic() < deadline
    finally:
        ended.set()
        for each in clients:
            each.join()
    assert failures == []
    assert len(outcomes) > 10
    assert set(outcomes) == {3_000_000}


@pytest.mark.parametrize(
    ("shows", "asked_for", "trusts", "status"),
    [
        (server("backend.test", CA), "backend.test", CA, 200),
        (server("backend.test", CA), "backend.test", authority("Stranger"), 502),
        (server("other.test", CA), "backend.test", CA, 502),
        (server("backend.test", CA, "10.0.0.1"), "10.0.0.1", CA, 502),
    ],
    ids=["right", "another authority", "another name", "an address"],
)
def test_a_registry_behind_it_must_prove_its_name(
    tmp_path: Path, shows: Signed, asked_for: str, trusts: Signed, status: int
) -> None:
    """By an address it can't: nginx compares names only."""
    backend = Backend()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (tmp_path / "backend.pem").write_text(shows.pem + shows.private)
    (tmp_path / "trusted.pem").write_text(trusts.pem)
    context.load_cert_chain(tmp_path / "backend.pem")
    backend.server.socket = context.wrap_socket(backend.server.socket, server_side=True)
    location = block(
        "location",
        "/v2/",
        body=[
            directive("proxy_pass", f"https://127.0.0.1:{backend.port}"),
            *nginx_tls.backend(asked_for, str(tmp_path / "trusted.pem")),
        ],
    )
    with ExitStack() as stack:
        stack.callback(backend.die)
        live = stack.enter_context(serving(tmp_path, TLS, CHAIN, HERS.private, CA.pem, body=[location]))
        assert live.get("/v2/")[0] == status, live.log()
