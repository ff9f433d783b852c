"""Proof on the lab that the stack does what it is for: pulls come through cache and proxy, and nobody else gets in.

Each claim asks the hosts themselves, and the logs of the hub and of the proxy, never an exit code alone.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from rich.console import Console
from rich.table import Table

from lab import docker, host
from lab.services import HUB_LOG
from ops.stack import Stack

APP = "library/app:1"
REGISTRY = "192.168.1.11"
MIRROR = f"http://{REGISTRY}:5080"
PRIVATE = f"{REGISTRY}/private/app:1"
PROXY_LOG = "/var/log/nginx/http-registry.access.log"
CLIENTS = ("docker1", "docker2", "containerd1", "containerd2")
LIMIT = 60.0
"""Seconds that one command on a host may take."""


class Unproved(Exception):
    """The claim doesn't hold; the text is what was seen instead."""


@dataclass(frozen=True)
class Claim:
    """One thing that must be so; `check` returns the evidence, or raises Unproved."""

    what: str
    check: Callable[[], str]


def prove(stack: Stack) -> bool:
    """Check every claim on the lab and print the table; returns whether all hold."""
    table = Table("", "claim", "evidence", title="Proof")
    proved = True
    for claim in claims(stack):
        try:
            sign, evidence = "[green]✓[/]", claim.check()
        except Unproved as seen:
            sign, evidence, proved = "[red]✗[/]", str(seen), False
        table.add_row(sign, claim.what, evidence)
    console = Console()
    console.width = console.width if console.is_terminal else 140
    console.print(table)
    return proved


def claims(stack: Stack) -> Iterator[Claim]:
    """What the lab's stack promises."""
    pusher, puller = (_secret(stack, f"password-{user}") for user in ("pusher", "puller"))
    ports = "80, 5000 and 5080"
    hub = len(_hub_log())
    for client in CLIENTS[:2]:
        yield Claim(
            f"{client}: docker pull {APP} comes through the proxy",
            partial(_pulled, client, f"docker pull -q {APP}", f"docker rmi -f {APP}"),
        )
    for client in CLIENTS[2:]:
        yield Claim(
            f"{client}: crictl pull docker.io/{APP} comes through the proxy",
            partial(_pulled, client, f"crictl pull docker.io/{APP}", f"crictl rmi docker.io/{APP}"),
        )
    yield Claim(f"hub: {APP} was asked for by the proxy only", partial(_hub_saw_the_proxy_only, hub))
    yield Claim("docker1: login, push and pull of a private image", partial(_pushed_and_pulled, pusher))
    yield Claim("docker2: root pulls the private image without docker login", _pulled_with_the_stack_s_login)
    yield Claim("docker1: no password: refused", partial(_answers, "docker1", f"http://{REGISTRY}/v2/", "401"))
    yield Claim("docker1: a push by a user who may only pull: refused", partial(_push_refused, puller))
    yield Claim("docker1: a push to the mirror: refused", _mirror_takes_no_push)
    yield Claim("docker1: the registry's own port: closed", partial(_closed, "docker1", [REGISTRY], [5000]))
    yield Claim(
        f"outsider: ports {ports}, at both addresses: closed",
        partial(_closed, "outsider", [REGISTRY, "192.168.2.11"], [80, 5000, 5080]),
    )


def on(name: str, script: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a shell script on a lab host; output and errors together. Raises Unproved where it does not end."""
    try:
        return _run(name, script, stdin)
    except subprocess.TimeoutExpired:
        raise Unproved(f"{name}: no end after {LIMIT:g} s: {script}") from None


def _run(name: str, script: str, stdin: str | None) -> subprocess.CompletedProcess[str]:
    engine = docker.running()
    if engine is None:
        raise Unproved("the lab is down")
    return subprocess.run(  # what lab/host does, without the start of another Python
        ["docker", "exec", "--interactive", host(name).container, "sh", "-c", script],
        env=engine.env,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",  # a client that speaks TLS to a plain port leaves its bytes in the proxy's log
        timeout=LIMIT,
        check=False,
    )


@contextmanager
def proxy_log() -> Iterator[list[dict[str, str]]]:
    """What the lab's proxy logs of the block, an entry a request, known behind it. Raises Unproved."""
    entries: list[dict[str, str]] = []
    # Each worker writes its lines, so late (documents/nginx_log.py); the last may be seen while it is being written.
    written = "sleep 0.3"
    whole = f"timeout 5 sh -c 'until [ -z \"$(tail -c 1 {PROXY_LOG})\" ]; do sleep 0.1; done'"
    before = int(_must("registry", f"{written}; wc -l < {PROXY_LOG}"))
    yield entries
    logged = _must("registry", f"{written}; {whole} && tail -n +{before + 1} {PROXY_LOG}")
    entries += sorted(map(json.loads, logged.splitlines()), key=lambda entry: float(entry["at"]))


def _must(name: str, script: str, stdin: str | None = None) -> str:
    done = on(name, script, stdin)
    if done.returncode != 0:
        raise Unproved(f"{name}: {done.stdout.strip()[-300:]}")
    return done.stdout


def _secret(stack: Stack, key: str) -> str:
    return stack.pulumi("config", "get", key, quiet=True).strip()


def _pulled(client: str, pull: str, forget: str) -> str:
    with proxy_log() as log:
        on(client, forget)
        _must(client, pull)
    address = host(client).address
    ours = [entry for entry in log if entry["client"] == address and "/library/app/" in entry["request"]]
    if not any("/manifests/" in entry["request"] and entry["status"] == "200" for entry in ours):
        raise Unproved(f"pulled, but the proxy's log has no manifest for {address}: not through the mirror")
    hits = sum(entry["cache"] == "HIT" for entry in ours)
    return f"proxy log: {len(ours)} requests from {address}, {hits} of them from its cache"


def _hub_saw_the_proxy_only(before: int) -> str:
    """The origin service reaches the hub from the registry host's address. Hosts of other stacks may ask it as well."""
    ours = {REGISTRY, *(host(each).address for each in CLIENTS)}
    asked = [line for line in _hub_log()[before:] if re.match(r'^\S+ - .*"(GET|HEAD) /v2/library/app/', line)]
    lines = [line for line in asked if line.split()[0] in ours]
    strangers = {line.split()[0] for line in lines} - {REGISTRY}
    if strangers:
        raise Unproved(f"the hub's log shows requests from {', '.join(sorted(strangers))}")
    return f"hub log: {len(lines)} requests, none but from {REGISTRY}"


def _hub_log() -> list[str]:
    return _must("hub", f"cat {HUB_LOG}").splitlines()


def _pushed_and_pulled(password: str) -> str:
    _must("docker1", f"docker login -u pusher --password-stdin {REGISTRY}", stdin=password)
    try:
        _must("docker1", f"docker image inspect {APP} >/dev/null 2>&1 || docker pull -q {APP}")
        _must("docker1", f"docker tag {APP} {PRIVATE} && docker push -q {PRIVATE} && docker rmi {PRIVATE}")
        _must("docker1", f"docker pull -q {PRIVATE}")
    finally:
        on("docker1", f"docker logout {REGISTRY}; docker rmi {PRIVATE}")
    return f"as pusher: {PRIVATE} pushed, removed, pulled"


def _pulled_with_the_stack_s_login() -> str:
    """The stack has put the puller's login into root's config.json."""
    with proxy_log() as log:
        _must("docker2", f"docker pull -q {PRIVATE}; status=$?; docker rmi {PRIVATE}; exit $status")
    users = {
        entry["user"] for entry in log if "/private/app/manifests/" in entry["request"] and entry["status"] == "200"
    }
    if users != {"puller"}:
        raise Unproved(f"pulled as {', '.join(sorted(users)) or 'nobody'}")
    return f"{PRIVATE} pulled as puller"


def _push_refused(password: str) -> str:
    request = f'user = "puller:{password}"\n'
    url = f"http://{REGISTRY}/v2/private/app/blobs/uploads/"
    pulls = _must("docker1", f"curl -s -o /dev/null -w '%{{http_code}}' -K - http://{REGISTRY}/v2/", stdin=request)
    code = _must("docker1", f"curl -s -o /dev/null -w '%{{http_code}}' -K - -X POST {url}", stdin=request)
    if pulls != "200" or code not in ("401", "403"):
        raise Unproved(f"as puller: GET /v2/ {pulls}, POST {code}")
    return f"as puller: GET /v2/ {pulls}, POST {code}"


def _mirror_takes_no_push() -> str:
    url = f"{MIRROR}/v2/library/app/blobs/uploads/"
    code = _must("docker1", f"curl -s -o /dev/null -w '%{{http_code}}' -X POST {url}")
    if code not in ("403", "405"):
        raise Unproved(f"POST to the mirror: {code}")
    return f"POST to the mirror: {code}"


def _answers(client: str, url: str, wanted: str) -> str:
    code = on(client, f"curl -s -m 10 -o /dev/null -w '%{{http_code}}' {url}").stdout
    if code != wanted:
        raise Unproved(f"GET {url}: {code}")
    return f"GET {url}: {code}"


def _closed(client: str, addresses: list[str], ports: list[int]) -> str:
    """No TCP connection comes about, though somebody listens on every one of these ports."""
    idle = {f"127.0.0.1:{port}" for port in ports} - _connected("registry", ["127.0.0.1"], ports)
    if idle:
        raise Unproved(f"nobody listens on {', '.join(sorted(idle))} of the registry host")
    if reached := _connected(client, addresses, ports):
        raise Unproved(f"open: {', '.join(sorted(reached))}")
    return f"{len(addresses) * len(ports)} tried, no connection"


def _connected(client: str, addresses: list[str], ports: list[int]) -> set[str]:
    places = [f"{address}:{port}" for address in addresses for port in ports]
    ask = "curl -s -m 2 -o /dev/null -w '%{num_connects}'"
    script = " & ".join(f'[ "$({ask} http://{place}/v2/)" = 0 ] || echo {place}' for place in places)
    return set(_must(client, f"{script} & wait").split())
