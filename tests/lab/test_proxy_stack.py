"""Decides, on the lab's hosts, that the proxy does all at once what its settings promise: TLS with its key in a token,
two replicas over a bucket, renewal and the death of a replica under load, garbage collection. And that it goes away.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from documents import firewall_rules
from hostctl.units.garbage_collection import service
from lab import host
from ops.configuration import tier_of
from ops.proof import APP, REGISTRY, on, proxy_log
from ops.stack import Stack
from tests.lab import pull_loops, softhsm
from tests.lab.hosts import HOSTS, must, pulumi, without_records
from tests.lab.proxy_stack import ANONYMOUS, BUCKET, CERTIFICATES, FOLDER, HOSTED, MIRROR, REPLICAS, Proxy, proxy_stack
from tests.lab.unit_requests import hostctl

pytestmark = pytest.mark.lab

CLIENTS = ("docker1", "docker2", "containerd1", "containerd2")
IMAGE = "private/own:1"
LOAD = "load/images"
AUTHORITY = "/etc/http-registry/authorities/own.pem"
STOP = "/run/stop-pulling"
CLIENT = (Path(__file__).parents[1] / "registry_client.py").read_text()
LOOPS = Path(pull_loops.__file__).read_text().replace("from tests.registry_client import Client\n", "")
LOOPS = LOOPS.replace("from __future__ import annotations\n", "")
CACHE = "/var/cache/nginx/http-registry"
RUN = service("hosted")
STORE_LOG = "journalctl -u versitygw -o cat --no-pager"


def asked_the_store(since: str) -> set[str]:
    """Which of the stack's hosts have, by address: other stacks' tests use it as well."""
    asked = must("hub", f"{STORE_LOG} --since @{since}")
    return set(re.findall(r"\| (\d+\.\d+\.\d+\.\d+) \|", asked)) & {host(each).address for each in HOSTS}


def on_host(name: str) -> list[str]:
    """What is on a host, but for what the caches hold, and which containers there are at which addresses of Docker's:
    they are made anew."""
    lines = [line for line in without_records(name) if f"{CACHE}/" not in line]
    lines += must(name, "ls /var/lib/systemd/timers 2>/dev/null || true").splitlines()
    return [re.sub(r"^[0-9a-f]{12}$|\b172\.\d+\.\d+\.\d+", "a container", line) for line in lines]


def close_idle_ports() -> None:
    """A port that left the policy while somebody listened there is guarded until the policy is applied again."""
    tier = tier_of("lab")
    rules, ssh_port = tier.firewall_rules("registry"), tier.host("registry").ssh_port
    wish = firewall_rules.wish(rules, tier.firewall, ssh_port)
    hostctl("registry", "apply", wish, unit="firewall")


@pytest.fixture(scope="module")
def proxy(stack: Stack) -> Iterator[Proxy]:
    """The stack with all of it; the lab's own is there again afterwards, and nothing else."""
    close_idle_ports()
    before = {name: on_host(name) for name in HOSTS}
    documents = stack.outputs()
    with softhsm.token() as token, proxy_stack(stack, token) as up:
        yield up
    assert stack.outputs() == documents
    pulumi(stack, "preview", "--expect-no-changes")
    close_idle_ports()
    for name in HOSTS:
        assert "\n".join(sorted({*on_host(name)} ^ {*before[name]})) == ""


@pytest.fixture(scope="module")
def tags(proxy: Proxy) -> list[str]:
    """Those of many small images in the repository `LOAD`."""
    script = f"""
from concurrent.futures import ThreadPoolExecutor
def push(number):
    text = str(number).encode()
    client.push({LOAD!r}, str(number), b"config " + text, b"layer " + text * 5000)
with ThreadPoolExecutor(8) as pool:
    list(pool.map(push, range(40)))
"""
    must("docker1", "python3 -", with_client(proxy, script))
    return [str(number) for number in range(40)]


def with_client(proxy: Proxy, script: str, more: str = "") -> str:
    """A program for a host that asks the hosted endpoint as pusher; it has `client`."""
    login = {"Authorization": "Basic " + base64.b64encode(f"pusher:{proxy.password['pusher']}".encode()).decode()}
    return f"{CLIENT}\n{more}\nclient = Client('https://{HOSTED}', {login!r}, {AUTHORITY!r})\n{script}\n"


@contextmanager
def pulling(proxy: Proxy, tags: list[str], loops: int) -> Iterator[dict[str, Any]]:
    """Loops of pulls on docker1 of both endpoints while the block runs; behind it, what they had."""
    must("docker1", f"rm -f {STOP}")
    mirror = f"(Client('https://{MIRROR}', None, {AUTHORITY!r}), 'library/app', ['1'])"
    call = f"pull_in_loops([(client, {LOAD!r}, {tags!r}), {mirror}], {loops}, {STOP!r})"
    found: dict[str, Any] = {}
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(must, "docker1", "python3 -", with_client(proxy, call, LOOPS))
        try:
            time.sleep(1)
            yield found
        finally:
            must("docker1", f"touch {STOP}")
            found.update(json.loads(running.result()))
            must("docker1", f"rm {STOP}")


def pull(name: str, image: str, credentials: str = "") -> list[dict[str, str]]:
    """By the host's runtime, which has nothing of it before or after; what the proxy logs of it."""
    tool = "docker" if name.startswith("docker") else "crictl"
    creds = f"--creds {credentials}" if credentials and tool == "crictl" else ""
    with proxy_log() as log:
        must(name, f"{tool} rmi {image} >/dev/null 2>&1; {tool} pull {creds} {image} && {tool} rmi {image}")
    assert log
    assert {entry["client"] for entry in log} == {host(name).address}
    return [entry for entry in log if entry["status"] == "200"]


@contextmanager
def logged_in(name: str, server: str, password: str) -> Iterator[None]:
    """The Docker of a host has a login, its own config.json is there again afterwards."""
    must(name, "cp -a /root/.docker /root/.docker-before 2>/dev/null; true")
    must(name, f"docker login -u pusher --password-stdin {server} 2>/dev/null", stdin=password)
    try:
        yield
    finally:
        must(name, "rm -rf /root/.docker; mv /root/.docker-before /root/.docker 2>/dev/null; true")


@pytest.fixture(scope="module")
def image(proxy: Proxy) -> str:
    """One that docker1 has pushed, and that no host has a layer of."""
    name = f"{HOSTED}/{IMAGE}"
    seen = must("hub", "date +%s").strip()
    with proxy_log() as log, logged_in("docker1", HOSTED, proxy.password["pusher"]):
        must("docker1", f"head -c 9000000 /dev/urandom > /root/own && tar -C /root -c own | docker import - {name}")
        must("docker1", f"rm /root/own; docker push -q {name} && docker rmi {name}")
    assert {entry["status"] for entry in log} <= {"200", "201", "202", "401", "404"}
    assert asked_the_store(seen) == {REGISTRY}
    return name


@pytest.mark.parametrize("name", CLIENTS)
def test_a_runtime_pulls_through_the_mirror(proxy: Proxy, name: str) -> None:
    log = pull(name, APP if name.startswith("docker") else f"docker.io/{APP}")
    assert any("/v2/library/app/manifests/" in entry["request"] for entry in log)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_runtime_pulls_what_was_pushed_to_the_bucket(proxy: Proxy, image: str, name: str) -> None:
    """Nobody but the registry's host ever asks the store; docker2 has its login of the stack."""
    seen = must("hub", "date +%s").strip()
    puller = f"puller:{proxy.password['puller']}"
    if name == "docker1":
        with logged_in(name, HOSTED, proxy.password["pusher"]):
            log = pull(name, image)
    else:
        log = pull(name, image, puller)
    assert sum(int(entry["bytes"]) for entry in log if "/blobs/" in entry["request"]) > 9_000_000
    assert asked_the_store(seen) == {REGISTRY}


@pytest.mark.parametrize("name", CLIENTS)
def test_anybody_pulls_at_the_anonymous_endpoint(image: str, name: str) -> None:
    log = pull(name, image.replace(HOSTED, ANONYMOUS))
    assert any("/blobs/" in entry["request"] for entry in log)
    assert {entry["user"] for entry in log} == {""}


def test_who_can_push_to_the_anonymous_endpoint(proxy: Proxy, image: str) -> None:
    """Where `/v2/` asks for no login, skopeo and Docker's older store never send one; the others do when refused."""
    there, password = image.replace(HOSTED, ANONYMOUS), proxy.password["pusher"]
    for name, can in (("docker1", False), ("docker2", True)):
        must(name, f"docker pull -q {there} && docker tag {there} {there}-{name}")
        with logged_in(name, ANONYMOUS, password):
            push = on(name, f"docker push {there}-{name}")
        must(name, f"docker rmi {there} {there}-{name}")
        assert (push.returncode == 0) == can, push.stdout
        assert can or "unauthorized: log in with a user of this registry" in push.stdout
    copy = f"skopeo copy -q docker://{there}"
    assert "unauthorized" in on("docker1", f"{copy} --dest-creds pusher:{password} docker://{there}-skopeo").stdout
    must("docker1", f"{copy} --dest-creds pusher:{password} docker://{image}-skopeo")
    must("docker1", f"skopeo inspect docker://{there}-skopeo")


def test_a_login_at_the_anonymous_endpoint_proves_nothing(proxy: Proxy) -> None:
    with logged_in("docker1", ANONYMOUS, "wrong"):
        pass
    ask = f"curl -s -o /dev/null -w '%{{http_code}}' -X POST https://{ANONYMOUS}/v2/private/own/blobs/uploads/"
    assert must("docker1", f"{ask} -u pusher:wrong") == "401"


def test_http_is_sent_to_https_and_only_tls_1_2_and_1_3_are_spoken(proxy: Proxy) -> None:
    ask = "curl -s -o /dev/null -w '%{http_code} %{redirect_url}'"
    assert (
        must("docker1", f"{ask} http://{HOSTED}/v2/x/manifests/1?a=b") == f"308 https://{HOSTED}/v2/x/manifests/1?a=b"
    )
    assert must("docker1", f"curl -sI https://{HOSTED}/v2/").count("Strict-Transport-Security: max-age=86400") == 1
    for endpoint in (HOSTED, ANONYMOUS, MIRROR):
        for version, spoken in (("1.1", False), ("1.2", True), ("1.3", True)):
            limits = f"--tlsv{version} --tls-max {version} --ciphers DEFAULT@SECLEVEL=0"
            answer = on("docker1", f"{ask} {limits} https://{endpoint}/v2/").stdout.split()[0]
            assert (answer in ("200", "401")) == spoken, (endpoint, version, answer)


def test_an_upload_crosses_the_replicas(tags: list[str]) -> None:
    """nginx takes them in turn, so a POST, a PATCH and a PUT of one upload come to both."""
    logs = {each: must("registry", f"docker logs {each} 2>&1") for each in REPLICAS}
    first, second = ({*re.findall(r"/blobs/uploads/([0-9a-f-]{36})", log)} for log in logs.values())
    assert first & second


def test_what_is_secret_stays_so(proxy: Proxy, stack: Stack) -> None:
    """The PIN of the token first of all: only root reads it, and it is in no command line and no environment."""
    secret = {**proxy.secret, **{f"password {user}": each for user, each in proxy.password.items()}}
    words = {name: value.splitlines()[1] if "\n" in value else value for name, value in secret.items()}
    state = json.dumps(stack.state())
    told = "".join(proxy.told) + json.dumps(stack.outputs())
    journal = must("registry", "journalctl -q --no-pager; cat /var/log/nginx/*")
    for name, word in words.items():
        assert word not in state + told + journal, name
    patterns = "\n".join(words.values())
    public = "find /etc /var/lib/http-registry /run /usr/local -xdev -type f -perm /044 -print0"
    running = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null"
    look = f"{public} | xargs -0 grep -slF -f /root/words; {running} | grep -caF -f /root/words"
    assert must("registry", f"umask 077; cat > /root/words; {look}; rm /root/words", stdin=patterns) == "0\n"
    pin = must("registry", f"grep -rlF '{proxy.secret['hsm-pin-hosted']}' /etc").split()
    assert pin == ["/etc/nginx/http-registry/tls/hosted.pin"]


def shown(endpoint: str) -> str:
    """The fingerprint of the certificate that a client on docker1 is shown."""
    place = endpoint if ":" in endpoint else f"{endpoint}:443"
    script = f"openssl s_client -connect {place} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256"
    return must("docker1", script).partition("=")[2].strip().replace(":", "").lower()


def test_a_renewal_drops_no_request(proxy: Proxy, tags: list[str]) -> None:
    endpoints = {HOSTED: "hosted.pem", ANONYMOUS: "hosted.pem", MIRROR: "mirror.pem"}
    before = {each: shown(each) for each in endpoints}
    with pulling(proxy, tags, 8) as found:
        proxy.renew()
    for each, file in endpoints.items():
        made = x509.load_pem_x509_certificate((FOLDER / CERTIFICATES / file).read_bytes()).fingerprint(SHA256()).hex()
        assert shown(each) == made != before[each]
        assert f"{file}: until " in proxy.told[-1]
    assert found["lost"] == []
    assert found["pulls"] > 50
    print(f"{found['pulls']} pulls while the certificates were renewed")


def test_a_wrong_pin_changes_nothing(proxy: Proxy) -> None:
    before = on_host("registry")
    proxy.set_pin("wrong-4711")
    try:
        proxy.up(fails=True)
    finally:
        proxy.set_pin(proxy.secret["hsm-pin-hosted"])
    assert "nginx does not accept the configuration: cannot load certificate key" in proxy.told[-1]
    assert "4711" not in proxy.told[-1]
    assert on_host("registry") == before


def test_a_replica_that_is_killed_loses_no_pull(proxy: Proxy, tags: list[str]) -> None:
    """16 loops, half of them of the mirror; the cache is emptied all the time, so that much of it is cold."""
    empty = f"for i in $(seq 6); do find {CACHE} -type f -delete; sleep 0.25; done"
    for each in REPLICAS:
        with pulling(proxy, tags, 8) as found:
            must("registry", f"{empty}; docker kill {each}; {empty}")
            alive = must("registry", "docker ps -q | wc -l").strip()
            must("registry", f"docker start {each}; {empty}")
        assert alive == "1"
        assert found["lost"] == []
        assert found["pulls"] > 50
        print(f"{found['pulls']} pulls while {each} was killed and came back")


def test_garbage_collection_of_the_bucket_under_pulls(proxy: Proxy, tags: list[str]) -> None:
    def ask(script: str) -> str:
        return must("docker1", "python3 -", with_client(proxy, script)).strip()

    old, new = (
        ask(f"client.push({LOAD!r}, 'kept', b'config', {layer!r})\nprint(digest({layer!r}))")
        for layer in (b"old", b"new")
    )
    must("hub", f"find {BUCKET} -exec touch -h -d '2 days ago' {{}} +")
    with pulling(proxy, [*tags, "kept"], 4) as found:
        must("registry", f"systemctl start {RUN}")
    assert "removed 1 untagged manifests" in must("registry", f"journalctl -u {RUN} -o cat -q _COMM=python3")
    assert found["lost"] == []
    must("registry", f"find {CACHE} -type f -delete")
    answers = [ask(f"print(client.ask('HEAD', '/v2/{LOAD}/blobs/{each}').status)") for each in (old, new)]
    assert answers == ["404", "200"]
    assert ask(f"print(all(client.pull({LOAD!r}, tag) for tag in {[*tags, 'kept']!r}))") == "True"
