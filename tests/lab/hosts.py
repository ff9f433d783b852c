"""The lab's hosts as tests see them: what is on one, compared before and after."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from lab import docker, host, machines
from ops.proof import on
from ops.stack import PROJECT, Stack

HOSTS = ("registry", "docker1", "docker2", "containerd1", "containerd2")
"""Those that the lab's stack changes."""

HOSTCTL = "python3 -I -S $(ls -t /var/lib/http-registry/hostctl-*.pyz | head -n 1)"
"""The program that the stack has put on a host."""

FOLDERS = (
    "/etc/docker /etc/containerd /etc/buildkit /root/.docker /etc/nginx /etc/systemd/system /etc/http-registry"
    " /etc/iptables /etc/ssl /usr/local/share/ca-certificates /var/lib/http-registry /var/cache/nginx"
)
SNAPSHOT = f"""
for folder in {FOLDERS}; do
    [ -e $folder ] && find $folder -printf '%y %m %U:%G %p %l\\n' && find $folder -type f -exec sha256sum {{}} +
done | sort
ls /var/log/nginx
for program in iptables ip6tables; do
    for table in raw mangle nat filter; do echo "$program $table"; $program -w -t $table -S 2>/dev/null; done
done | grep -vF 127.0.0.11
for service in docker containerd buildkit nginx http-registry-firewall; do
    echo "$service $(systemctl is-enabled $service 2>/dev/null) $(systemctl is-active $service)"
done
if systemctl -q is-active docker; then
    docker ps --all --quiet; docker volume ls --quiet; docker network ls --format '{{{{.Name}}}}' | sort
fi
"""


def must(name: str, script: str, stdin: str | None = None) -> str:
    """What a shell script on a host prints; a failure fails the test."""
    done = on(name, script, stdin)
    assert done.returncode == 0, f"{name}: {script}\n{done.stdout}"
    return done.stdout


def snapshot(name: str) -> list[str]:
    """All on a host that this project may change, a line each: files with owner, mode and hash, rules, services.

    Without the rules of the resolver that the lab's own Docker puts into a host anew each time that it starts.
    """
    return must(name, f"{SNAPSHOT}\ntrue").splitlines()


def without_records(name: str) -> list[str]:
    """The same without hostctl's own records, which name each transaction."""
    return [line for line in snapshot(name) if "/var/lib/http-registry" not in line]


def restart(name: str) -> None:
    """Restart a host, and wait until it has booted: its files stay, what its kernel knew is gone."""
    engine = docker.running()
    assert engine is not None
    engine("restart", host(name).container)
    machines.wait(engine, host(name))


def await_answer(name: str, url: str) -> None:
    """Wait until an HTTP server answers a host with a success."""
    must(name, f"timeout 20 sh -c \"until curl -sf -o /dev/null --globoff '{url}'; do sleep 0.1; done\"")


@contextmanager
def hub_is_down_for(name: str, port: int) -> Iterator[None]:
    """A host finds nobody at a port of the hub, as if its server had stopped; others, whose tests run beside, do."""
    rule = f"INPUT -s {host(name).address} -p tcp --dport {port} -j REJECT --reject-with tcp-reset"
    must("hub", f"iptables -I {rule}")
    try:
        yield
    finally:
        must("hub", f"iptables -D {rule}")


def logins(name: str) -> int:
    """How often somebody has logged in by SSH."""
    return int(must(name, "journalctl -q -u ssh -o cat | grep -c '^Accepted' || true"))


def reaches(name: str, address: str, port: int, path: str = "/v2/") -> bool:
    """Whether an HTTP server answers a host at that address and port, whatever it says.

    No connection after a second is none: between the lab's hosts one comes about in a millisecond.
    """
    return on(name, f"curl -s --connect-timeout 1 -m 5 -o /dev/null http://{address}:{port}{path}").returncode == 0


def pulumi(stack: Stack, *arguments: str, fails: bool = False) -> str:
    """Pulumi's whole output; a failure fails the test, and so does a success where it `fails`."""
    done = subprocess.run(
        ["pulumi", *arguments, "--stack", stack.name, "--non-interactive", "--color", "never"],
        cwd=PROJECT, env=stack.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode != 0) == fails, done.stdout[-5000:]
    return done.stdout
