"""`nginx -t` on what is to come, through a temporary main file, leaving nothing behind.

The temporary main file stands beside the real one, since nginx takes relative includes from the main file's folder.
The test opens logs and makes cache folders and the pid file: what was not there before is removed again.
"""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, List, Mapping

from hostctl import files, nginx_conf, nginx_service
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.nginx_conf import DROP_IN, FOLDER, MAIN, OURS, SITE
from hostctl.unit import Change

TRIAL_MAIN = f"{FOLDER}/.http-registry-trial.conf"
TRIAL = f"{FOLDER}/.http-registry-trial"


def refuse_bad_configuration(host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
    """Raise HostError, with nginx's own words, where nginx would not start with the change, or not serve its names."""
    facts = change.facts or change.facts_before
    variables = nginx_service.environment(change.after.get(DROP_IN))
    pairs = [f"{name}={value.replace(OURS, f'{host.path(TRIAL)}/ours')}" for name, value in variables.items()]
    nginx = ["env", *pairs, host.find("nginx") or "nginx"] if pairs else ["nginx"]
    with _trial_files(host, change, candidates), _nothing_left(host, facts):
        done = host.run(*nginx, "-t", "-c", str(host.path(TRIAL_MAIN)))
    said = done.output.replace(f"{TRIAL}/{Path(SITE).name}", SITE).replace(f"{TRIAL}/ours", OURS)
    said = said.replace(TRIAL_MAIN, MAIN)
    if not done.ok:
        lines = re.findall(r"\[(?:emerg|alert)\] (?:\d+#\d+: )?(.*)", said)
        raise HostError(f"nginx does not accept the configuration: {' | '.join(lines) or said.strip()}")
    names = {name for _, name, *_ in change.facts.get("probes", [])}
    taken = [pair for pair in re.findall(r'conflicting server name "(.*)" on (.*), ignored', said) if pair[0] in names]
    if taken:
        raise HostError(
            f"another site of this nginx has the server_name {taken[0][0]} on {taken[0][1]} as well; "
            "change that site, or the endpoint's server_name or port"
        )


@contextmanager
def _trial_files(host: Host, change: Change, candidates: Mapping[str, Path]) -> Iterator[None]:
    folder, main = host.path(TRIAL), host.path(TRIAL_MAIN)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        includes = _others(host)
        for path, state in change.after.items():
            if state is None or not (path == SITE or path.startswith(f"{OURS}/")):
                continue
            trial = f"{TRIAL}/{Path(path).name}" if path == SITE else path.replace(OURS, f"{TRIAL}/ours")
            includes += [trial] if path == SITE else []
            content = candidates[path].read_bytes() if path in candidates else state.content
            content = content.replace(f"{OURS}/".encode(), f"{TRIAL}/ours/".encode())
            files.write(host.path(trial), state.with_content(content))
        text = nginx_conf.main_text(host)
        include = nginx_conf.include_of(text, SITE)
        if include is not None:
            lines = "".join(f'include "{each}"; ' for each in includes)
            text = text[: include.start] + lines + text[include.end :]
        main.write_text(text)
        yield
    finally:
        main.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def _others(host: Host) -> List[str]:
    """What the include that takes in our site takes in besides."""
    include = nginx_conf.include_of(nginx_conf.main_text(host), SITE)
    pattern = Path(nginx_conf.pattern(include)) if include else Path(SITE)
    return [
        str(each) for each in sorted(pattern.parent.glob(pattern.name)) if str(each) != SITE and each.name[0] != "."
    ]


@contextmanager
def _nothing_left(host: Host, facts: Mapping[str, Any]) -> Iterator[None]:
    caches = [host.path(each) for each in facts.get("caches", [])]
    made = [str(each) for cache in caches for each in files.make_folders(cache.parent)]
    pid = (nginx_conf.first(nginx_conf.main_text(host), "pid") or ("/run/nginx.pid",))[0]
    fresh = [path for path in [*caches, *map(host.path, [*facts.get("logs", []), pid])] if not path.exists()]
    try:
        yield
    finally:
        for path in fresh:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        files.remove_empty_folders(made)
