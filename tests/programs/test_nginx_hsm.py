"""Decides that nginx serves with a private key that stays in a PKCS#11 token: SoftHSM, libp11's engine, handshakes.

It installs both where they are missing. nginx's workers run as nobody, as they do not have root's rights on a host.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from documents import nginx_tls
from lab import packages
from settings.tls import Hsm, Tls
from tests.certificates import Signed, authority, server
from tests.programs.nginx import nginx
from tests.programs.served_site import wait_until
from tests.programs.tls_server import KEY, NAME, Server, serving

CA = authority("Test authority")
PIN = "918273"
ENGINE, MODULE = "engines-3/pkcs11.so", "/usr/lib/softhsm/libsofthsm2.so"


@dataclass(frozen=True)
class Token:
    """A token in `folder` that holds the key of `certificate`."""

    folder: Path
    certificate: Signed
    tls: Tls

    @property
    def environment(self) -> dict[str, str]:
        """What the service's environment has."""
        return {
            "OPENSSL_CONF": str(self.folder / "tls" / "openssl.cnf"),
            "SOFTHSM2_CONF": str(self.folder / "softhsm2.conf"),
        }

    def let_in(self, others: bool) -> None:
        """Whether accounts besides root may read the token."""
        mode = "a+rX" if others else "go-rwx"
        subprocess.run(["chmod", "-R", mode, self.folder / "tokens"], check=True)


@pytest.fixture
def token() -> Iterator[Token]:
    engine = next(Path("/usr/lib").glob(f"*/{ENGINE}"), Path("/", ENGINE))
    packages.need({"softhsm2-util": "softhsm2", str(engine): "libengine-pkcs11-openssl"})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "tokens").mkdir()
        (folder / "tls").mkdir()
        (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
        hsm = Hsm(module=MODULE, token="Our token; 1", object="web key")
        made = Token(folder, server(NAME, CA), Tls(certificate="c.pem", hsm=hsm))
        (folder / "key.pem").write_text(made.certificate.pkcs8)

        def util(*arguments: str) -> None:
            command = ["softhsm2-util", *arguments, "--pin", PIN]
            subprocess.run(command, env=made.environment | {"OPENSSL_CONF": ""}, check=True, capture_output=True)

        util("--init-token", "--free", "--label", hsm.token, "--so-pin", "1234")
        util("--import", f"{folder}/key.pem", "--token", hsm.token, "--label", hsm.object, "--id", "01")
        (folder / "key.pem").unlink()
        conf = nginx_tls.openssl_conf(hsm)
        (folder / "tls" / "openssl.cnf").write_text(conf.text)
        yield made


def running(token: Token) -> AbstractContextManager[Server]:
    return serving(
        token.folder,
        token.tls,
        token.certificate.pem,
        PIN,
        CA.pem,
        user="nobody nogroup",
        environment=token.environment,
    )


def test_every_worker_serves_with_the_key_in_the_token(token: Token) -> None:
    token.let_in(True)
    with running(token) as live:
        for _ in range(2):
            assert {live.handshake()[2] for _ in range(20)} == {token.certificate.der}
            before = live.workers()
            live.reload()
            deadline = time.monotonic() + 5
            while live.workers() & before:
                assert time.monotonic() < deadline
        assert "PRIVATE KEY" not in "".join(each.read_text() for each in (token.folder / "tls").iterdir())
        assert PIN not in live.log() + (token.folder / "nginx.conf").read_text()


def test_workers_that_may_not_read_the_token_serve_nobody(token: Token) -> None:
    token.let_in(False)
    with running(token) as live:
        with pytest.raises(OSError, match=r"internal error|EOF|reset"):
            live.handshake()
        # The client hears of it before it is logged.
        wait_until(lambda: "PKCS#11" in live.log())


def test_a_wrong_pin_is_an_error_before_it_serves_and_is_not_shown(token: Token) -> None:
    token.let_in(True)
    with running(token) as live:
        wrong = nginx_tls.secret(token.tls, KEY, "424242")
        Path(live.moved(wrong.path)).write_text(wrong.text)
        done = subprocess.run(
            [nginx(), "-t", "-c", token.folder / "nginx.conf", "-p", token.folder],
            env=token.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        assert "cannot load certificate key" in done.stderr
        assert "424242" not in done.stderr
        live.reload()
        time.sleep(0.3)
        assert live.handshake()[2] == token.certificate.der
