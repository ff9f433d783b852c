"""Decides, for each unit, what a preview says will be reloaded; tests/lab/spare/test_preview.py asks hosts."""

from __future__ import annotations

from typing import Any

import pytest

from hostctl.files import FileState
from hostctl.nginx_conf import OPENSSL_CONF, SITE
from hostctl.unit import NONE, RELOAD, RESTART, Change, Unit
from hostctl.units import UNITS, authorities, unit_named

Texts = dict[str, str]
DAEMON, HUB = "/etc/docker/daemon.json", "/etc/docker/certs.d/docker.io/hosts.toml"
CONFIG, HOSTS = "/etc/containerd/config.toml", "/etc/containerd/certs.d/docker.io/hosts.toml"
RELAY, RELAY_UNIT = "/etc/http-registry/docker-relay.conf", "/etc/systemd/system/http-registry-docker-relay.service"
RULES, BOOT = "/etc/http-registry/firewall.v4", "/etc/systemd/system/http-registry-firewall.service"
PROMETHEUS = "/etc/http-registry/prometheus/prometheus.yml"
PROMETHEUS_UNIT = "/etc/systemd/system/http-registry-prometheus.service"
VRRP = "/etc/http-registry/keepalived.conf"
PEM = "/etc/http-registry/authorities/ours.pem"
BOTH = '# registry-mirrors: not on some.\n{"registry-mirrors": ["http://a"], "insecure-registries": ["a"]}\n'
OLD_DOCKER, LOSES, NEW_DOCKER = (
    {"engine": "20.10.24", "store": False},
    {"engine": "23.0.1", "store": False},
    {"engine": "29.4.0", "store": True},
)

CASES: tuple[tuple[str, Texts, Texts, dict[str, Any], tuple[str, ...]], ...] = (
    ("docker-mirrors", {DAEMON: '{"debug": true}'}, {DAEMON: "{}"}, {}, (RELOAD, RESTART)),
    ("docker-mirrors", {DAEMON: '{"debug": true}'}, {DAEMON: "{}"}, OLD_DOCKER, (RELOAD,)),
    ("docker-mirrors", {}, {DAEMON: BOTH}, OLD_DOCKER, (RELOAD,)),
    ("docker-mirrors", {}, {DAEMON: BOTH}, LOSES, (RESTART,)),
    ("docker-mirrors", {}, {DAEMON: BOTH}, {"engine": "29.1.0", "store": False}, (RELOAD, RESTART)),
    ("docker-mirrors", {DAEMON: BOTH}, {DAEMON: BOTH.replace('"http://a"', '"http://b"')}, NEW_DOCKER, (NONE,)),
    ("docker-mirrors", {DAEMON: BOTH}, {DAEMON: BOTH.replace('["a"]', '["b"]')}, NEW_DOCKER, (RELOAD,)),
    ("docker-mirrors", {DAEMON: BOTH}, {DAEMON: BOTH.replace("http://a", "http://b")}, {}, (NONE, RELOAD, RESTART)),
    ("docker-mirrors", {HUB: "a"}, {HUB: "b"}, {}, (NONE,)),
    ("docker-mirrors", {HUB: "a"}, {HUB: "a"}, {}, (NONE,)),
    ("containerd-mirrors", {CONFIG: "a", HOSTS: "a"}, {CONFIG: "a", HOSTS: "b"}, {}, (NONE,)),
    ("containerd-mirrors", {CONFIG: "a", HOSTS: "a"}, {CONFIG: "b", HOSTS: "a"}, {}, (RESTART,)),
    ("containerd-mirrors", {CONFIG: "a"}, {CONFIG: "a"}, {}, (NONE,)),
    ("containerd-mirrors", {CONFIG: "a.auth: me"}, {CONFIG: "a.auth: me"}, {}, (NONE, RESTART)),
    ("buildkit-mirrors", {"/etc/buildkit/buildkitd.toml": "a"}, {}, {}, (RESTART,)),
    ("docker-cli", {"~root/.docker/config.json": "a"}, {"~root/.docker/config.json": "b"}, {}, (NONE,)),
    ("ssh-access", {"~root/.ssh/authorized_keys": "a"}, {"~root/.ssh/authorized_keys": "b"}, {}, (NONE,)),
    ("docker-relay", {RELAY: "a", RELAY_UNIT: "a"}, {RELAY: "b", RELAY_UNIT: "a"}, {}, (NONE, RELOAD)),
    ("docker-relay", {RELAY: "a", RELAY_UNIT: "a"}, {RELAY: "b", RELAY_UNIT: "a"}, {"needed": True}, (RELOAD,)),
    ("docker-relay", {RELAY: "a", RELAY_UNIT: "a"}, {RELAY: "a", RELAY_UNIT: "b"}, {"needed": True}, (RESTART,)),
    ("docker-relay", {RELAY: "a", RELAY_UNIT: "a"}, {RELAY: "a", RELAY_UNIT: "a"}, {"needed": True}, (RELOAD,)),
    ("docker-relay", {}, {RELAY: "a", RELAY_UNIT: "a"}, {"needed": False}, (NONE,)),
    ("nginx-proxy", {SITE: "a"}, {SITE: "b"}, {}, (RELOAD,)),
    ("nginx-proxy", {SITE: "a"}, {SITE: "a"}, {}, (RELOAD,)),
    ("nginx-proxy", {SITE: "a"}, {SITE: "b", OPENSSL_CONF: "a"}, {}, (RESTART,)),
    ("nginx-proxy", {}, {SITE: "b"}, {}, (RELOAD, RESTART)),
    ("origin", {"/etc/http-registry/origin.json": "a"}, {"/etc/http-registry/origin.json": "b"}, {}, (RESTART,)),
    ("floating-address", {}, {VRRP: "a"}, {}, (RESTART,)),
    ("floating-address", {VRRP: " fall 2\n"}, {VRRP: " fall 3\n"}, {}, (RELOAD, RESTART)),
    ("floating-address", {VRRP: " virtual_router_id 1\n"}, {VRRP: " virtual_router_id 2\n"}, {}, (RESTART,)),
    ("floating-address", {VRRP: "a"}, {}, {}, (RESTART,)),
    ("garbage-collection", {}, {"/etc/http-registry/garbage-collection/a.json": "a"}, {}, (RESTART,)),
    ("offline-sync", {}, {"/etc/http-registry/offline-sync.json": "a"}, {}, (NONE,)),
    ("pull-metrics", {}, {"/etc/http-registry/pull-metrics.json": "a"}, {}, (RESTART,)),
    ("prometheus", {PROMETHEUS: "a"}, {PROMETHEUS: "b"}, {}, (RELOAD, RESTART)),
    ("prometheus", {}, {PROMETHEUS: "a", PROMETHEUS_UNIT: "a"}, {}, (RESTART,)),
    ("prometheus", {PROMETHEUS: "a", PROMETHEUS_UNIT: "a"}, {}, {}, (RESTART,)),
    ("docker-image", {}, {}, {}, (NONE,)),
    ("authorities", {PEM: "a"}, {PEM: "b"}, {}, (NONE,)),
    ("authorities", {PEM: "a"}, {PEM: f"{authorities.IN_SYSTEM}b"}, {}, (RELOAD,)),
    ("authorities", {PEM: f"{authorities.IN_SYSTEM}b"}, {}, {}, (RELOAD,)),
    ("firewall", {RULES: "a", BOOT: "a"}, {RULES: "b", BOOT: "a"}, {}, (RELOAD,)),
    ("firewall", {RULES: "a", BOOT: "a"}, {}, {}, (RELOAD,)),
    ("firewall", {RULES: "a"}, {RULES: "a"}, {}, (NONE,)),
)  # fmt: skip


def change(before: Texts, after: Texts) -> Change:
    paths = {**before, **after}
    old, new = (
        {path: FileState(end[path].encode()) if path in end else None for path in paths} for end in (before, after)
    )
    return Change(old, new)


@pytest.mark.parametrize(("unit", "before", "after", "known", "levels"), CASES)
def test_the_levels_that_a_change_may_have(
    unit: str, before: Texts, after: Texts, known: dict[str, Any], levels: tuple[str, ...]
) -> None:
    assert unit_named(unit).foresee(change(before, after), known).levels == levels


def test_the_firewall_says_for_how_long_it_is_on_trial() -> None:
    seen = unit_named("firewall").foresee(change({RULES: "a"}, {RULES: "b"}), {"confirm_seconds": 77})
    assert "77 s" in seen.text


@pytest.mark.parametrize("unit", UNITS)
def test_each_unit_has_a_foresight_of_its_own(unit: str) -> None:
    assert type(unit_named(unit)).foresee is not Unit.foresee
