"""What lab/up, lab/down, lab/status and lab/host do."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from lab import (
    binaries,
    cache,
    cgroups,
    daemon,
    docker,
    hostimage,
    hub,
    images,
    machines,
    networks,
    packages,
    ssh,
    traces,
)
from lab.hosts import HOSTS, SSH_PORT, host
from lab.paths import lab_dir, work_dir
from lab.process import LabError
from lab.progress import say

DOWN = "The lab is not running. Start it with: lab/up"
BUILT_WITH = {
    "mmdebstrap": "mmdebstrap",
    "gpg": "gpg",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}


def main(command: Callable[[Sequence[str]], int]) -> None:
    """Run a command; a failure is told in words, without a traceback."""
    try:
        sys.exit(command(sys.argv[1:]))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("lab: interrupted; run the same command again to go on", file=sys.stderr)
        sys.exit(130)


@contextmanager
def alone() -> Iterator[None]:
    """One `up` or `down` at a time for this lab. A test that has a host stand still holds it: `up` would start it."""
    try:
        lab_dir().mkdir(parents=True, exist_ok=True)
        lock = (lab_dir() / "lock").open("w")
    except PermissionError as error:
        raise LabError(f"{lab_dir()} is not writable: run as root, or set HTTP_REGISTRY_LAB_DIR.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another lab/up or lab/down is at work; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _building(names: Iterable[str]) -> Iterator[Callable[[str], Path]]:
    """Build programs of lab/go, one after the other, beside the caller's work; gives what waits for a program's folder.

    When the caller fails, those that have not begun are dropped.
    """
    pool = ThreadPoolExecutor(1)
    builds = {name: pool.submit(binaries.build, binaries.PROGRAMS[name]) for name in dict.fromkeys(names)}
    try:
        yield lambda name: builds[name].result()
    finally:
        pool.shutdown(cancel_futures=True)


def up(arguments: Sequence[str]) -> int:
    """Start the lab, or what is missing of it."""
    argparse.ArgumentParser("lab/up", description=up.__doc__).parse_args(arguments)
    with alone():
        packages.need({"ip": "iproute2", "ssh-keygen": "openssh-client"})
        ssh.private_key()
        engine = daemon.ensure()
        found = machines.containers(engine)
        new = machines.missing(found)
        with _building(["crictl", "registry", *(name for each in new for name in each.programs)]) as built:

            def crictl() -> Path:
                return built("crictl") / "crictl"

            unloaded = bool(new) and not hostimage.loaded(engine)
            if unloaded or not images.registry_target().exists():
                if not hostimage.target().exists():
                    packages.need(BUILT_WITH)
                rootfs = hostimage.rootfs(crictl)
                if unloaded:
                    hostimage.load(engine, rootfs)
            networks.ensure(engine)
            machines.ensure(engine, found, built)
            ssh.publish()
            tar = images.registry(built("registry") / "registry", hostimage.target() / hostimage.ROOTFS)
        cache.place(tar, work_dir() / "registry.tar")
        if not hub.ready(engine):
            hub.fill(engine, tar, lambda: images.tests(hostimage.rootfs(crictl)))
    say(f"the lab {machines.lab_id()} is up: {', '.join(h.name for h in HOSTS)}")
    return 0


def reinstall(arguments: Sequence[str]) -> int:
    """Make one host anew, as if somebody had installed it from scratch: empty disks, another host key."""
    parser = argparse.ArgumentParser("lab/reinstall", description=reinstall.__doc__)
    parser.add_argument("name", choices=[each.name for each in HOSTS])
    chosen = host(parser.parse_args(arguments).name)
    with alone():
        engine = docker.running()
        if engine is None:
            raise LabError(DOWN)
        with _building(chosen.programs) as built:
            machines.reinstall(engine, chosen, built)
        ssh.publish()
    say(f"{chosen.name} is new")
    return 0


def down(arguments: Sequence[str]) -> int:
    """Stop the lab and take back everything it did to the machine; images are kept for the next time."""
    parser = argparse.ArgumentParser("lab/down", description=down.__doc__)
    parser.add_argument("--purge", action="store_true", help="remove the images and the SSH key as well")
    purge = parser.parse_args(arguments).purge
    with alone():
        engine = docker.running()
        if engine is None and traces.file().exists():
            daemon.start()
            engine = docker.running()
        if engine:
            machines.remove(engine)
            if engine.own:
                others = engine("ps", "--all", "--quiet").split()
                if others:
                    engine("rm", "--force", "--volumes", *others)
                engine("network", "prune", "--force")
            networks.remove(engine)
            cgroups.sweep()
            if purge:
                hostimage.unload(engine)
            if engine.own:
                daemon.stop()
        elif not daemon.other_labs():
            networks.remove_guard()
        ssh.withdraw()
        if purge:
            shutil.rmtree(lab_dir())
            shutil.rmtree(work_dir(), ignore_errors=True)
    say("the lab is down")
    return 0


def status(arguments: Sequence[str]) -> int:
    """Show each host, its address, where its sshd is published and its container's state."""
    argparse.ArgumentParser("lab/status", description=status.__doc__).parse_args(arguments)
    engine = docker.running()
    found = machines.containers(engine) if engine else {}
    print(f"lab {machines.lab_id() or '-'}   docker {f'unix://{engine.socket}' if engine else 'not running'}")
    for each in HOSTS:
        second = each.second[1] if each.second else ""
        where = f"{each.ssh_address}:{SSH_PORT}"
        container = found.get(each.name)
        state = container.state if container else "missing"
        note = " (made by another version of the lab)" if container and container.outdated else ""
        print(f"{each.name:12} {each.address:14} {second:14} {where:18} {state}{note}")
    running = [name for name, container in found.items() if container.state == "running"]
    return 0 if len(running) == len(HOSTS) else 1


def on_host(arguments: Sequence[str]) -> int:
    """Run a command on a host, past its sshd and firewall; without a command, open a shell."""
    parser = argparse.ArgumentParser("lab/host", description=on_host.__doc__)
    parser.add_argument("name", choices=[each.name for each in HOSTS])
    parser.add_argument("command", nargs=argparse.REMAINDER)
    parsed = parser.parse_args(arguments)
    engine = docker.running()
    if engine is None:
        raise LabError(DOWN)
    container = host(parsed.name).container
    terminal = ["--tty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    command = parsed.command or ["bash", "-l"]
    sys.stdout.flush()
    os.execvpe("docker", ["docker", "exec", "--interactive", *terminal, container, *command], engine.env)  # noqa: S606
