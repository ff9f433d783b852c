"""Decides on real hosts that the status page shows what is, and that what it tells about pulling is true.

The stack is on one spare host; the other is none of its runtimes, and is set up by hand as the page says.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from documents.nginx_status import FINDINGS_FOLDER
from documents.pull_instructions import HUB_IMAGE, IMAGE
from hostctl.containerd_versions import CRI, IMAGES
from hostctl.waiting import wait_until
from ops.proof import on
from tests.lab.hosts import must
from tests.lab.spare.registry_stack import SETTINGS, STACK, Registry, registry_stack
from tests.lab.spare.site import ADDRESS, REGISTRY, RUNTIME

pytestmark = pytest.mark.lab

PAGE = f"http://{ADDRESS}/status/"
OPEN = [{key: each for key, each in endpoint.items() if key != "login"} for endpoint in SETTINGS["proxy"]["endpoints"]]
"""Its mirror asks for no login, so that any Docker can use it."""
FILES = "/etc/docker /etc/containerd /root/.docker"


class Step(NamedTuple):
    path: str
    text: str


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    changed = {"proxy": {**SETTINGS["proxy"], "endpoints": OPEN}, "runtimes": [], "metrics": {"status_page": True}}
    with registry_stack(tmp_path_factory.mktemp("registry"), **changed) as up:
        yield up
    assert on(REGISTRY, f"test -e {FINDINGS_FOLDER}").returncode == 1


def asked(registry: Registry, name: str = "") -> str:
    """A file of the page, as the other host gets it; an error is JSON without what is looked for."""
    return must(RUNTIME, f"curl -s -K - {PAGE}{name}", f'user = "puller:{registry.passwords["puller"]}"\n')


def told(registry: Registry, runtime: str) -> tuple[list[Step], list[Step]]:
    """What the page tells about a runtime: how a host is set up, and what is typed then."""
    panel = asked(registry).partition(f'id="{runtime}"')[2].partition('class="panel"')[0]
    pull, _, setup = panel.partition("<details>")
    return steps(setup), steps(pull)


def steps(text: str) -> list[Step]:
    found = re.findall(r"<p>[^<]*(?:<code>(.*?)</code>)?</p>.*?<pre><code>(.*?)</code>", text, re.DOTALL)
    return [Step(path, html.unescape(typed).replace(HUB_IMAGE, "app:1")) for path, typed in found]


@contextmanager
def set_up_by_hand(made: list[Step]) -> Iterator[None]:
    """The host with those steps; afterwards it is as it was."""
    must(RUNTIME, f"cd / && tar -cf /root/before.tar $(ls -d {FILES} 2>/dev/null)")
    try:
        for step in made:
            if not step.path:
                must(RUNTIME, step.text)
                continue
            must(RUNTIME, f"mkdir -p $(dirname {step.path}) && touch {step.path}")
            there = must(RUNTIME, f"cat {step.path}")
            if step.path.endswith(".json"):
                text = json.dumps({**json.loads(there or "{}"), **json.loads(step.text)})
            else:  # the hosts' containerd is 1.6, and has a config.toml with other tables
                text = f"{there}\n{step.text.replace(IMAGES, CRI)}\n"
            must(RUNTIME, f"cat > {step.path}", text)
        yield
    finally:
        must(RUNTIME, f"rm -rf {FILES} && tar -xf /root/before.tar -C / && rm /root/before.tar")
        must(RUNTIME, "systemctl restart containerd docker")


def typed(registry: Registry, line: str) -> None:
    """Type a line of the page; a password that it asks for comes by a pipe."""
    if " login " in line:
        must(RUNTIME, f"{line} -u puller --password-stdin", registry.passwords["puller"])
    else:
        must(RUNTIME, line)


def pulled(registry: Registry, since: int) -> set[tuple[str, str]]:
    """What the other host has got of the proxy, and as whom."""
    names = {IMAGE: IMAGE.split(":")[0], "library/app:1": "library/app"}
    return {
        (image, each["user"])
        for image, name in names.items()
        for each in registry.log()[since:]
        if f"/v2/{name}/manifests/" in each["request"] and each["status"] == "200"
    }


def test_it_shows_what_is(registry: Registry) -> None:
    assert on(RUNTIME, f"curl -s -o /dev/null -w '%{{http_code}}' {PAGE}").stdout == "401"
    assert "How to pull from here" in asked(registry)
    wait_until(lambda: None if '"up"' in asked(registry, "status.json") else asked(registry, "status.json"), 20)
    shown: dict[str, Any] = json.loads(asked(registry, "status.json"))
    assert shown["stack"] == STACK
    assert {each["state"] for each in shown["parts"]} == {"up"}, shown["parts"]
    assert set(shown["figures"]) == {"pull_success_rate", "pull_seconds", "storage_bytes", "cache_hit_rate"}


def test_make_up_says_where_it_is(registry: Registry) -> None:
    assert f"status page: {PAGE}" in registry.up().splitlines()


def test_docker_pulls_as_the_page_says(registry: Registry) -> None:
    registry.push(*IMAGE.split(":"))
    setup, pull = told(registry, "docker")
    before = len(registry.log())
    assert [each.path for each in setup] == ["/etc/docker/daemon.json", ""]
    with set_up_by_hand(setup):
        # Docker takes what it reloads a moment later; a person is no faster.
        must(RUNTIME, f"timeout 10 sh -c 'until docker info 2>/dev/null | grep -qw {ADDRESS}; do sleep 0.1; done'")
        for step in pull:
            typed(registry, step.text)
        must(RUNTIME, f"docker rmi {ADDRESS}/{IMAGE} app:1")
    assert pulled(registry, before) == {(IMAGE, "puller"), ("library/app:1", "")}


def test_containerd_pulls_as_the_page_says(registry: Registry) -> None:
    setup, pull = told(registry, "containerd")
    before = len(registry.log())
    assert [each.text.split()[0] for each in pull] == ["nerdctl", "nerdctl", "crictl"]
    with set_up_by_hand(setup):
        must(
            RUNTIME,
            "systemctl restart containerd"
            " && timeout 20 sh -c 'until crictl images >/dev/null 2>&1; do sleep 0.1; done'",
        )
        typed(registry, pull[-1].text)
        # Debian has no nerdctl; crictl is given what `nerdctl login` keeps.
        image = pull[1].text.split()[-1]
        login = f"puller:{registry.passwords['puller']}"
        must(RUNTIME, f'read -r login; CRICTL_AUTH=$(printf %s "$login" | base64) crictl pull {image}', f"{login}\n")
        must(RUNTIME, f"crictl rmi {image} docker.io/library/app:1")
    assert pulled(registry, before) == {(IMAGE, "puller"), ("library/app:1", "")}


def test_skopeo_copies_as_the_page_says(registry: Registry) -> None:
    _, pull = told(registry, "skopeo")
    try:
        for step in pull:
            typed(registry, f"cd /root && {step.text}")
        assert int(must(RUNTIME, "stat -c %s /root/app.tar")) > 10_000
    finally:
        must(RUNTIME, f"skopeo logout {ADDRESS}; rm -f /root/app.tar")


def test_what_doctor_finds_is_shown(registry: Registry) -> None:
    assert on(RUNTIME, f"curl -s -o /dev/null -w '%{{http_code}}' {PAGE}findings.json").stdout == "401"
    registry.checkout.make("doctor", STACK=STACK)
    shown = json.loads(asked(registry, "findings.json"))
    assert (shown["stack"], shown["findings"]) == (STACK, [])
    assert {each["host"] for each in shown["hosts"]} >= {REGISTRY}
    container = must(REGISTRY, "docker ps --quiet --filter label=http-registry.stack").split()[0]
    must(REGISTRY, f"docker stop -t 1 {container}")
    try:
        registry.checkout.make("doctor", STACK=STACK, status=1)
        shown = json.loads(asked(registry, "findings.json"))
        assert [each["cause"] for each in shown["findings"]] == ["registry-down"]
        assert all(each["commands"] and each["title"] and each["evidence"] for each in shown["findings"])
    finally:
        must(REGISTRY, f"docker start {container}")
