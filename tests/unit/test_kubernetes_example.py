"""Decides that the manifests are what the Kubernetes API takes, and that nodes get what containerd needs. No cluster.

The API's own schemas are asked, strictly; real clients use the login and the files in tests/lab/spare.
"""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from examples.kubernetes.manifests import manifests
from registry_outputs.contract import Outputs
from tests.checkout import REAL

API = "1.37"
AUTH = {"auth": "YmVuOmdlaGVpbQ=="}
OUTPUTS = Outputs(
    endpoint="https://registry.test:8443",
    endpoints={"own": "https://registry.test:8443", "old": "http://old.test"},
    mirrors={"docker.io": "https://registry.test:5443", "quay.io": "http://registry.test:5081"},
    pull_prefix="registry.test:8443",
    ca_certificate="PEM\n",
    pull_credentials={"server": "registry.test:8443", "username": "ben", "password": "geheim"},
    dockerconfigjson=json.dumps({"auths": {"registry.test:8443": AUTH, "registry.test:5443": AUTH}}),
    metrics_endpoint=None,
)
CERTS = "nodes/etc/containerd/certs.d"


def run(folder: Path, outputs: str, status: int = 0) -> str:
    """What the program prints; a line for each file, or what is wrong."""
    command = [sys.executable, "-m", "examples.kubernetes", str(folder), "--namespace", "apps"]
    done = subprocess.run(command, input=outputs, cwd=REAL, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run(tmp_path, json.dumps({"outputs_version": 1, **OUTPUTS, "documents": {}}))
    return tmp_path


def accepted(manifest: Any) -> None:
    kubernetes_validate.validate(manifest, API, strict=True)


def test_the_api_s_schemas_take_the_manifests(folder: Path) -> None:
    found = [yaml.safe_load(each.read_text()) for each in (folder / "manifests").iterdir()]
    for each in found:
        accepted(each)
    secret, account = sorted(found, key=lambda each: str(each["kind"]))
    assert {secret["metadata"]["namespace"], account["metadata"]["namespace"]} == {"apps"}
    assert account["imagePullSecrets"] == [{"name": secret["metadata"]["name"]}]
    assert b64decode(secret["data"][".dockerconfigjson"]).decode() == OUTPUTS["dockerconfigjson"]


def test_the_schemas_refuse_what_is_wrong() -> None:
    for manifest in manifests(OUTPUTS, "apps").values():
        with pytest.raises(kubernetes_validate.ValidationError):
            accepted({**manifest, "imagePullSecret": [{"name": "x"}]})


def test_nodes_get_mirrors_scheme_authority_and_a_mirror_s_login(folder: Path) -> None:
    found = {str(each.relative_to(folder / CERTS)): each for each in (folder / CERTS).rglob("*") if each.is_file()}
    assert found.keys() == {
        "http-registry-ca.crt",
        *(f"{each}/hosts.toml" for each in ("docker.io", "quay.io", "registry.test_8443_", "old.test")),
    }
    hub, own = (found[f"{each}/hosts.toml"].read_text() for each in ("docker.io", "registry.test_8443_"))
    ca = 'ca = "/etc/containerd/certs.d/http-registry-ca.crt"'
    assert ca in hub
    assert ca in own
    assert f"Basic {AUTH['auth']}" in hub
    assert "Authorization" not in own + found["quay.io/hosts.toml"].read_text()
    assert found["http-registry-ca.crt"].read_text() == "PEM\n"


def test_only_their_writer_reads_them(folder: Path) -> None:
    modes = {stat.S_IMODE(each.stat().st_mode) for each in folder.rglob("*") if each.is_file()}
    assert modes == {0o600}


@pytest.mark.parametrize("outputs", ["", "{}", json.dumps({"outputs_version": 1, **OUTPUTS, "mirrors": "geheim"})])
def test_other_outputs_are_refused_and_not_shown(tmp_path: Path, outputs: str) -> None:
    said = run(tmp_path, outputs, status=1)
    assert said.startswith("kubernetes: ")
    assert "Traceback" not in said
    assert "geheim" not in said
    assert not list(tmp_path.iterdir())
