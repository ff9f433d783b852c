"""Decides that a password, a TLS key and an SSH key are each replaced by one config change and one `up`, while loops of
pulls go on that lose none; and that an SSH key that a host's sshd refuses goes back by itself and says why.

One host has a registry behind a proxy, the other logs in there. Only the first `up` has the admin's key.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lab import archive, docker, host
from lab.hosts import SSH_PORT
from lab.paths import work_dir
from ops import ssh_agent
from settings.ssh_key import openssh, public_half
from tests.checkout import Checkout, on_the_lab
from tests.lab.hosts import must, without_records
from tests.lab.spare.site import ADDRESS, PAIR, REGISTRY, RUNTIME

pytestmark = pytest.mark.lab

NAME = "rotation"
FOLDER = f"stacks/certificates/{NAME}"
KEYS = "/root/.ssh/authorized_keys"
IMAGE = f"{ADDRESS}/rotation/app:1"
STOP = "/run/rotation-stop"
DROP_IN = "/etc/ssh/sshd_config.d/rotation.conf"
STACK = f"""
config:
  http-registry:known_hosts: .work/lab/known_hosts
  http-registry:hosts:
    - {{name: {REGISTRY}, address: {ADDRESS}, ssh: {{host: {host(REGISTRY).ssh_address}, port: 2222}}}}
    - {{name: {RUNTIME}, address: {host(RUNTIME).address}, ssh: {{host: {host(RUNTIME).ssh_address}, port: 2222}}}}
  http-registry:image: {{reference: "registry:3", archive: .work/lab/registry.tar}}
  http-registry:registries:
    - {{kind: hosted, name: hosted, host: {REGISTRY}, port: 5000, keep_data: false}}
  http-registry:proxy:
    host: {REGISTRY}
    endpoints:
      - {{registry: hosted, port: 443, server_name: {ADDRESS}, tls: {{certificate: {FOLDER}/hosted.pem}}}}
    users:
      - {{name: pusher, role: push}}
      - {{name: puller, role: pull}}
  http-registry:authorities:
    - {{name: own, certificate: {FOLDER}/authority.pem, registries: [{ADDRESS}]}}
  http-registry:runtimes:
    - host: {RUNTIME}
      docker: {{}}
      cli: [{{user: root, logins: [{{registry: {ADDRESS}, user: puller}}]}}]
  http-registry:firewall:
    allow: [192.168.1.0/24]
    confirm_seconds: 10
"""
LOOPS = """
import base64, http.client, json, ssl, subprocess, sys, threading, time
from pathlib import Path
address, image, stop = sys.argv[1:]
pulls, lost = {"client": 0, "docker": 0}, []

def ask(path):
    # As any client does it: the login as it stands in the file now.
    auth = json.loads(Path("/root/.docker/config.json").read_text())["auths"][address]["auth"]
    there = http.client.HTTPSConnection(address, timeout=20, context=ssl.create_default_context())
    accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    there.request("GET", path, headers={"Authorization": "Basic " + auth, "Accept": accept})
    got = there.getresponse()
    body = got.read()
    there.close()
    assert got.status == 200, f"{path}: {got.status}"
    return body

def pull():
    manifest = json.loads(ask("/v2/rotation/app/manifests/1"))
    for each in [manifest["config"], *manifest["layers"]]:
        ask("/v2/rotation/app/blobs/" + each["digest"])

def by_docker():
    for command in ("pull", "rmi"):
        done = subprocess.run(["docker", command, image], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

def loop(name, work):
    while not Path(stop).exists():
        try:
            work()
            pulls[name] += 1
        except Exception as why:
            lost.append(f"{time.time():.2f} {name}: {type(why).__name__} {why}"[:300])

threads = [threading.Thread(target=loop, args=each) for each in [("client", pull)] * 4 + [("docker", by_docker)]]
for each in threads: each.start()
for each in threads: each.join()
print(json.dumps({"pulls": pulls, "lost": lost}))
"""


@dataclass(frozen=True)
class Team:
    """The checkout after the first `up`, without any key but the stack's own."""

    checkout: Checkout
    told: list[str]

    def up(self, *, status: int = 0) -> str:
        self.told.append(self.checkout.make("up", STACK=NAME, status=status))
        return self.told[-1]

    def secret(self, key: str) -> str:
        """What a secret is set to."""
        return self.checkout.pulumi("config", "get", key, "--stack", NAME).strip()

    def opens(self, name: str, key: str) -> bool:
        """Whether a private key opens a host."""
        with ssh_agent.holding(openssh("ssh-key", key)) as socket:
            options = ("IdentityFile=none", "BatchMode=yes", f"UserKnownHostsFile={work_dir() / 'known_hosts'}")
            command = ["ssh", "-F", "none", *(word for each in options for word in ("-o", each))]
            done = subprocess.run(
                [*command, "-p", str(SSH_PORT), f"root@{host(name).ssh_address}", "true"],
                env={**self.checkout.environment, "SSH_AUTH_SOCK": socket},
                capture_output=True,
                check=False,
            )
        return done.returncode == 0


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    keys = {each: must(each, f"cat {KEYS}") for each in PAIR}
    before = {each: without_records(each) for each in PAIR}
    with on_the_lab(tmp_path_factory.mktemp("rotation")) as checkout:
        checkout.write(NAME, STACK)
        checkout.pulumi("stack", "init", NAME)
        for user in ("pusher", "puller"):
            checkout.secret(NAME, f"password-{user}", f"first of {user}")
        checkout.make("certificates", STACK=NAME)
        checkout.make("ssh-key", STACK=NAME)
        try:
            told = [checkout.make("up", STACK=NAME)]
            push(tmp_path_factory.mktemp("image"))
            alone = {key: each for key, each in checkout.environment.items() if key != "SSH_AUTH_SOCK"}
            yield Team(replace(checkout, environment=alone), told)
        finally:
            checkout.make("destroy", STACK=NAME)
            must(RUNTIME, f"rm -f {STOP}")
    assert {each: without_records(each) for each in PAIR} == before
    assert {each: must(each, f"cat {KEYS}") for each in PAIR} == keys


def push(folder: Path) -> None:
    """An image of one layer of 4 MB, from the runtime."""
    layer = archive.write_layer(folder / "layer", {"noise": os.urandom(4 << 20)})
    archive.write_archive(folder / "image.tar", archive.Image(IMAGE), [layer])
    engine = docker.running()
    assert engine is not None
    engine("cp", str(folder / "image.tar"), f"{host(RUNTIME).container}:/root/image.tar")
    must(
        RUNTIME,
        f"docker load -q -i /root/image.tar; rm /root/image.tar; mkdir -p /tmp/pusher;"
        f" echo first of pusher | docker --config /tmp/pusher login -u pusher --password-stdin {ADDRESS} 2>/dev/null"
        f" && docker --config /tmp/pusher push -q {IMAGE}; status=$?;"
        f" docker rmi {IMAGE}; rm -r /tmp/pusher; exit $status",
    )


@contextmanager
def pulling() -> Iterator[None]:
    """Loops of pulls on the runtime while the block runs, with its own login as it is at each moment; none is lost."""
    must(RUNTIME, f"rm -f {STOP}")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(must, RUNTIME, f"python3 - {ADDRESS} {IMAGE} {STOP}", LOOPS)
        try:
            time.sleep(1)
            yield
        finally:
            must(RUNTIME, f"touch {STOP}")
            told = json.loads(running.result())
    print(told["pulls"])
    assert told["lost"] == []
    assert min(told["pulls"].values()) > 3


def login(user: str, password: str) -> str:
    """The status of a GET with this password."""
    return must(
        RUNTIME, f"curl -s -o /dev/null -w '%{{http_code}}' -K - https://{ADDRESS}/v2/", f'user = "{user}:{password}"'
    )


def served() -> str:
    """The certificate that the proxy shows."""
    return must(RUNTIME, f"openssl s_client -connect {ADDRESS}:443 </dev/null 2>/dev/null | openssl x509")


def test_a_password_that_a_runtime_logs_in_with(team: Team) -> None:
    team.checkout.secret(NAME, "password-puller", "second of puller")
    with pulling():
        team.up()
    assert (login("puller", "first of puller"), login("puller", "second of puller")) == ("401", "200")
    assert "second of puller" not in "".join(team.told)


def test_a_tls_key_and_its_certificate(team: Team) -> None:
    key, shown = team.secret("tls-key-hosted"), served()
    with pulling():
        team.checkout.make("certificates", STACK=NAME, RENEW="--renew")
        team.up()
    assert team.secret("tls-key-hosted") != key
    assert served() != shown
    assert served().strip() in (team.checkout.folder / FOLDER / "hosted.pem").read_text()


def test_an_ssh_key(team: Team) -> None:
    first = team.secret("ssh-key")
    assert team.opens(REGISTRY, first)
    with pulling():
        team.checkout.make("ssh-key", STACK=NAME)
        said = team.up()
    second = team.secret("ssh-key")
    assert said.count("ssh-access: confirmed by a new connection") >= 2
    assert "every host has the ssh-key; 'pulumi config rm ssh-key-before" in said
    for each in PAIR:
        assert team.opens(each, second)
        assert not team.opens(each, first)
    team.checkout.pulumi("config", "rm", "ssh-key-before", "--stack", NAME)
    assert " unchanged" in team.up()
    for file in (team.checkout.folder / "state").rglob("*.*"):
        text = file.read_text() if file.is_file() else ""
        assert not [line for key in (first, second) for line in key.splitlines()[1:-1] if line in text]


def test_an_ssh_key_that_a_host_refuses_goes_back_by_itself_and_the_next_up_mends_it(team: Team) -> None:
    """What sshd's files say is asked before; a sshd that runs with others is found out by the trial."""
    now = team.secret("ssh-key")
    made = rsa.generate_private_key(65537, 3072).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    team.checkout.secret(NAME, "ssh-key", made.decode())
    team.checkout.secret(NAME, "ssh-key-before", now)
    try:
        must(RUNTIME, f"echo PubkeyAcceptedAlgorithms ssh-ed25519 > {DROP_IN} && systemctl reload ssh")
        said = team.up(status=1)
        assert "would refuse the new SSH key, a ssh-rsa: PubkeyAcceptedAlgorithms is ssh-ed25519" in said
        must(RUNTIME, f"rm {DROP_IN}")
        began = time.monotonic()
        said = team.up(status=1)
        print(f"{time.monotonic() - began:.0f} s", said[-1500:])
        assert "what was in force before the change came back at" in said
        assert "not in PubkeyAcceptedAlgorithms" in said
        assert public_half("ssh-key", now) in must(RUNTIME, f"cat {KEYS}")
        assert team.opens(RUNTIME, now)
        assert "opens it" in team.checkout.make("ssh-key", STACK=NAME, status=1)
        must(RUNTIME, "systemctl reload ssh")
        assert "applied again" in team.up()
        assert team.opens(RUNTIME, made.decode())
        assert not team.opens(RUNTIME, now)
    finally:
        must(RUNTIME, f"rm -f {DROP_IN}; systemctl reload ssh")
