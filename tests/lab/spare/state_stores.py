"""Where a team can keep its state: the lab's bucket, and a PostgreSQL of a test's own on this machine's loopback."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import packages
from lab.services import S3
from tests.certificates import authority, server
from tests.free_port import free_port
from tests.lab.hosts import must

PREFIX = "state-of-a-test"
OBJECTS = f"/var/lib/versitygw/{S3.bucket}/{PREFIX}"
PROGRAMS = Path("/usr/lib/postgresql/15/bin")
PACKAGE = "postgresql-15"
OWNER, USER, PASSWORD = "nobody", "pulumi", "a-databases-password"
AUTHORITY, CERTIFICATE, KEY = "authority.pem", "server.pem", "server.key"
AS_OWNER = ("setpriv", f"--reuid={OWNER}", "--regid=nogroup", "--clear-groups", "--")
"""PostgreSQL does not run as root."""


@dataclass(frozen=True)
class Store:
    """`url`: for PULUMI_BACKEND_URL. `environment`: what pulumi needs besides. `secret`: what opens the store.
    `contents`: all that is kept there."""

    url: str
    environment: Mapping[str, str]
    secret: str
    contents: Callable[[], str]


@contextmanager
def bucket() -> Iterator[Store]:
    """A prefix in the lab's versitygw, gone afterwards."""
    url = f"s3://{S3.bucket}/{PREFIX}?endpoint={S3.endpoint}&region={S3.region}&s3ForcePathStyle=true&disableSSL=true"
    keys = {"AWS_ACCESS_KEY_ID": S3.access_key, "AWS_SECRET_ACCESS_KEY": S3.secret_key}
    try:
        yield Store(url, keys, S3.secret_key, lambda: must("hub", f"find {OBJECTS} -type f -exec cat {{}} +"))
    finally:
        must("hub", f"rm -rf {OBJECTS}")


@contextmanager
def database() -> Iterator[Store]:
    """A PostgreSQL over TLS: its certificate is verified, its password is in the environment."""
    packages.need({str(PROGRAMS / "pg_ctl"): PACKAGE})
    folder = Path(tempfile.mkdtemp(prefix="postgresql-of-a-test."))
    try:
        control: list[str | Path] = [*AS_OWNER, PROGRAMS / "pg_ctl", "--wait", "--silent", "-D", _made(folder)]
        port = free_port()
        options = f"-p {port} -k {folder} -c ssl=on -c ssl_cert_file={CERTIFICATE} -c ssl_key_file={KEY}"
        subprocess.run([*control, "-l", folder / "log", "-o", options, "start"], check=True)
        try:
            url = f"postgres://{USER}@127.0.0.1:{port}/postgres?sslmode=verify-full&sslrootcert={folder / AUTHORITY}"
            yield Store(url, {"PGPASSWORD": PASSWORD}, PASSWORD, lambda: _contents(url))
        finally:
            subprocess.run([*control, "--mode", "fast", "stop"], check=True)
    finally:
        shutil.rmtree(folder)


def _made(folder: Path) -> Path:
    """A new database in `folder`, beside the authority's certificate."""
    ca = authority()
    signed = server("127.0.0.1", ca)
    shutil.chown(folder, OWNER)
    (folder / AUTHORITY).write_text(ca.pem)
    (folder / "password").write_text(PASSWORD)
    data = folder / "data"
    login: list[str | Path] = ["-U", USER, "--pwfile", folder / "password", "--auth", "scram-sha-256"]
    made: list[str | Path] = [*AS_OWNER, PROGRAMS / "initdb", "-D", data, *login, "--no-sync"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
    for name, text in ((CERTIFICATE, signed.pem), (KEY, signed.private)):
        (data / name).touch(0o600)
        shutil.chown(data / name, OWNER)
        (data / name).write_text(text)
    return data


def _contents(url: str) -> str:
    """What the rows hold: JSON with the bytes in base64 (pulumi, pkg/backend/diy/postgres/bucket.go)."""
    done = subprocess.run(
        [PROGRAMS / "psql", "--no-psqlrc", "-At", "-c", "select key, data from pulumi_state", url],
        env={"PGPASSWORD": PASSWORD}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = [line.partition("|") for line in done.stdout.splitlines()]
    return "".join(f"{key}\n{base64.b64decode(json.loads(data)['data']).decode()}\n" for key, _, data in rows)
