"""Requests to hostctl on the lab's hosts, as the lab's stack makes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from documents import containerd_mirrors, docker_mirrors, firewall_rules, nginx_site
from ops.configuration import tier_of
from ops.proof import on
from ops.stack import Stack
from settings.firewall import Rule
from tests.lab.hosts import HOSTCTL

DOCKERS, CONTAINERDS = ("docker1", "docker2"), ("containerd1", "containerd2")
UNITS = {**dict.fromkeys(DOCKERS, "docker-mirrors"), **dict.fromkeys(CONTAINERDS, "containerd-mirrors")}
OWNER = "http-registry/lab/{}"


def wish(host: str) -> dict[str, Any]:
    """What the lab's stack wishes for the runtime of a host."""
    tier = tier_of("lab")
    runtime = next(each for each in tier.runtimes if each.host == host)
    if runtime.docker:
        return docker_mirrors.render(runtime.docker, tier.mirrors(), tier.hosted()).wish()
    assert runtime.containerd
    return containerd_mirrors.render(runtime.containerd, tier.mirrors(), tier.hosted()).wish()


def proxy_wish(stack: Stack, passwords: Mapping[str, str] | None = None, **cache: str) -> dict[str, Any]:
    """What the lab's stack wishes for the proxy, with other `passwords` by user and other settings of the cache."""
    tier = tier_of("lab")
    assert tier.proxy is not None
    proxy = tier.proxy.model_copy(update={"cache": tier.proxy.cache.model_copy(update=cache)})
    known = {
        each.name: stack.pulumi("config", "get", f"password-{each.name}", quiet=True).strip() for each in proxy.users
    } | dict(passwords or {})
    users = [{"name": each.name, "role": each.role, "password": known[each.name]} for each in proxy.users]
    return {**nginx_site.render(tier.model_copy(update={"proxy": proxy})).wish(), "users": users}


def firewall_wish(*more: Rule, **changed: Any) -> dict[str, Any]:
    """What the lab's stack wishes for the firewall of the registry host, with `more` rules and `changed` settings."""
    tier = tier_of("lab")
    assert tier.firewall is not None
    rules = [*tier.firewall_rules("registry"), *more]
    return firewall_rules.wish(rules, tier.firewall.model_copy(update=changed), tier.host("registry").ssh_port)


def request(host: str, unit: str, wanted: dict[str, Any] | None = None) -> str:
    """A request as the stack makes it on a host."""
    return json.dumps({"owner": OWNER.format(host), "unit": unit, "wish": wanted})


def hostctl(
    host: str, action: str, wanted: dict[str, Any] | None = None, *, unit: str | None = None, fails: bool = False
) -> dict[str, Any]:
    """The report of a request on a host, by default to the unit of its runtime; `seconds` is what it took there."""
    timed = f"began=$(date +%s%N); {HOSTCTL} {action} 2>/dev/null; status=$?; echo; echo $(( $(date +%s%N) - began ))"
    done = on(host, f"{timed}; exit $status", request(host, unit or UNITS[host], wanted))
    assert (done.returncode != 0) == fails, done.stdout
    report, _, nanoseconds = done.stdout.strip().rpartition("\n")
    return {**json.loads(report), "seconds": int(nanoseconds) / 1e9}
