"""Decides the same of a stack with names, TLS, a bucket and a mirror that asks for a login, by what its user types.

It is brought up once, with a certificate that ends soon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from lab.services import S3
from ops.authority import SERVER_LIFE, Authority
from tests.checkout import Checkout, on_the_lab
from tests.lab.doctor.fault import Wave, waves
from tests.lab.doctor.site import Own
from tests.lab.doctor.table import tell
from tests.lab.doctor.trying import try_wave
from tests.lab.hosts import must, without_records
from tests.lab.spare.site import ADDRESS, CACHE, PAIR, REGISTRY, RUNTIME, SITE
from tests.lab.spare.two_hosts import NAME, lead_to

pytestmark = pytest.mark.lab
WAVES = waves(
    Path(__file__).with_name("doctor_faults.yaml"),
    {"<registry>": REGISTRY, "<registry-address>": ADDRESS, "<runtime>": RUNTIME},
)
STACK, PREFIX = "doctor", "doctor"
FOLDER = f"stacks/certificates/{STACK}"
MIRROR = f"{NAME}:5080"
BUCKET = {"endpoint": S3.endpoint, "region": S3.region, "bucket": S3.bucket, "prefix": PREFIX, "path_style": True}
SETTINGS: dict[str, Any] = {
    **SITE,
    "registries": [{"kind": "hosted", "name": "hosted", "host": REGISTRY, "storage": {"s3": BUCKET}}, CACHE],
    "proxy": {
        "host": REGISTRY,
        "endpoints": [
            {"registry": "hosted", "port": 443, "server_name": NAME, "tls": {"certificate": f"{FOLDER}/hosted.pem"}},
            {"registry": "hub-cache", "port": 5080, "server_name": NAME, "login": True},
        ],
        "users": [{"name": "puller", "role": "pull"}],
        "bcrypt_cost": 4,
    },
    "authorities": [{"name": "own", "certificate": f"{FOLDER}/authority.pem", "registries": [NAME]}],
    "runtimes": [
        {
            "host": RUNTIME,
            "docker": {"logins": [{"registry": MIRROR, "user": "puller"}]},
            "cli": [{"user": "root", "logins": [{"registry": NAME, "user": "puller"}]}],
        }
    ],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    """The stack when it is up; afterwards both hosts are as they were."""
    before = {name: without_records(name) for name in PAIR}
    with on_the_lab(tmp_path_factory.mktemp("doctor")) as checkout:
        config = {f"http-registry:{key}": each for key, each in SETTINGS.items()}
        checkout.write(STACK, yaml.safe_dump({"config": config}))
        checkout.pulumi("stack", "init", STACK)
        checkout.secret(STACK, "password-puller", "of-a-puller")
        checkout.secret(STACK, "s3-access-key-hosted", S3.access_key)
        checkout.secret(STACK, "s3-secret-key-hosted", S3.secret_key)
        checkout.make("certificates", STACK=STACK)
        _age(checkout)
        lead_to(REGISTRY)
        try:
            checkout.make("up", STACK=STACK)
            yield Own(checkout, STACK)
        finally:
            checkout.make("destroy", STACK=STACK)
            lead_to("")
            must("hub", f"rm -rf /var/lib/versitygw/{S3.bucket}/{PREFIX}")
    assert {name: without_records(name) for name in PAIR} == before


def _age(checkout: Checkout) -> None:
    """Have the server's certificate signed as if that had been 360 days ago."""
    folder = checkout.folder / FOLDER
    key = load_pem_private_key(checkout.pulumi("config", "get", "ca-key", "--stack", STACK).encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    authority = Authority(x509.load_pem_x509_certificate((folder / "authority.pem").read_bytes()), key)
    present = x509.load_pem_x509_certificate((folder / "hosted.pem").read_bytes())
    then = datetime.now(UTC) - SERVER_LIFE + timedelta(days=5)
    aged = authority.sign(present.public_key(), [NAME], then)
    (folder / "hosted.pem").write_bytes(aged.public_bytes(Encoding.PEM))


@pytest.mark.parametrize("wave", WAVES, ids=lambda wave: "+".join(each.cause for each in wave))
def test_it_is_named_and_healed(wave: Wave, site: Own, record_property: Callable[[str, object], None]) -> None:
    tried = try_wave(site, wave, [RUNTIME])
    tell(tried, record_property)
    for each in tried:
        assert each.named == each.expected, f"{each.fault.name}: {each.told}"
        assert not each.left, f"{each.fault.name}: {each.healed_by}"
        assert each.seconds < 10
