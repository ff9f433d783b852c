"""Decides that a change of the proxy costs no client a request: 16 loops of pulls go on while it is changed.

The changes are reloads, other settings, and another password of a user who is not among the clients.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from ops.proof import MIRROR, PROXY_LOG, REGISTRY
from ops.stack import Stack
from tests.lab.asking import login, run
from tests.lab.hosts import must
from tests.lab.random_images import HOSTED, HUB, TAG, Image, random_image
from tests.lab.unit_requests import hostctl, proxy_wish
from tests.registry_client import MANIFEST

pytestmark = pytest.mark.lab

BIG = 50_000_000
"""Bytes of a blob: a download takes longer than a reload."""
RELOADS = 10
STOP = "/run/lab-loops-stop"
LOOPS = 8
REPOSITORY = "library/reload"


@contextmanager
def loops(clients: dict[str, tuple[str, list[Any]]]) -> Iterator[list[Future[list[dict[str, Any]]]]]:
    """Loops on each host, of an address and what is pulled there; they end with the context."""

    def on_host(host: str) -> list[dict[str, Any]]:
        address, requests = clients[host]
        return list(run(host, f"pull_in_loops({address!r}, {requests!r}, {LOOPS}, {STOP!r})"))

    with ThreadPoolExecutor() as threads:
        try:
            yield [threads.submit(on_host, each) for each in clients]
        finally:
            for host in clients:
                must(host, f"touch {STOP}")
    for host in clients:
        must(host, f"rm {STOP}")


def pulls(image: Image, headers: dict[str, str]) -> list[tuple[str, dict[str, str], str]]:
    """What a client asks for that pulls an image by its tag: paths, headers, digests."""
    named = [("manifests", TAG, image.manifest), ("manifests", image.manifest, image.manifest)]
    named += [("blobs", each, each) for each in (image.config, image.layer)]
    sent = {**headers, "Accept": MANIFEST}
    return [(f"/v2/{REPOSITORY}/{kind}/{name}", sent, digest) for kind, name, digest in named]


def test_no_request_is_lost(stack: Stack) -> None:
    usual = proxy_wish(stack)
    changed = [
        proxy_wish(stack, tag_lifetime="59s"),
        usual,
        proxy_wish(stack, {"pusher": "an0ther"}),
        usual,
    ]
    with random_image(HUB, REPOSITORY, BIG) as theirs, random_image(HOSTED, REPOSITORY, BIG) as own:
        mirrored, hosted = pulls(theirs, {}), pulls(own, login(stack, "puller"))
        clients = {"docker1": (MIRROR.removeprefix("http://"), mirrored), "containerd1": (REGISTRY, hosted)}
        with loops(clients) as running:
            for each in (theirs, own):
                must("registry", f"timeout 20 sh -c 'until grep -qF {each.config} {PROXY_LOG}; do sleep 0.1; done'")
            for _ in range(RELOADS):
                must("registry", "systemctl reload nginx")
                time.sleep(0.3)
            for wish in changed:
                assert hostctl("registry", "apply", wish, unit="nginx-proxy")["result"] == "changed"
    said = [line for each in running for line in each.result()]
    assert [wrong for line in said for wrong in line["wrong"]] == []
    assert len(said) == LOOPS * len(clients)
    assert min(line["requests"] for line in said) > 4
