"""The files with the passwords' hashes: there, read by nginx's workers, and each hash a bcrypt."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from pathlib import Path
from typing import Iterator, Optional

from doctor.finding import Finding
from doctor.server import log_tail
from doctor.server.served import Served, endpoints
from hostctl import htpasswd, nginx_conf
from hostctl.host import Host
from hostctl.nginx_workers import worker_group, worker_user

BCRYPT = re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}")


def look(host: Host, served: Served) -> Iterator[Finding]:
    """The first file that is wrong."""
    values = {"endpoints": endpoints(served, nginx=True, passwords=True)}
    if not values["endpoints"]:
        return
    main, build = nginx_conf.main_text(host), host.must("nginx", "-V")
    user, group = worker_user(host, main, build), worker_group(host, main, build)
    for file in nginx_conf.PASSWORD_FILES:
        path = host.path(file)
        if not path.exists():
            said = log_tail.newest(log_tail.nginx_errors(host), rf"{re.escape(file)}\" failed \(2")
            yield Finding("htpasswd-missing", file, said or f"{file}: No such file or directory", values)
            return
        obstacle = _obstacle(path, user, group)
        if obstacle:
            said = log_tail.newest(log_tail.nginx_errors(host), rf"{re.escape(file)}\" failed \(13")
            mode = f"{obstacle}: mode {obstacle.stat().st_mode & 0o7777:04o}, owner {_owner(obstacle)}"
            mend = f"chown root:{group} {obstacle} && chmod 640 {obstacle}"
            if obstacle.is_dir():
                mend = f"chmod a+x {obstacle}"
            yield Finding("htpasswd-unreadable", file, said or mode, {**values, "user": user, "mend": mend})
            return
        odd = {name: each for name, each in htpasswd.hashes_in(path.read_bytes()).items() if not BCRYPT.fullmatch(each)}
        if odd:
            begins = ", ".join(f"that of {name} {_kind(each)}" for name, each in odd.items())
            yield Finding("htpasswd-not-bcrypt", file, f"{file}: {begins}", {**values, "users": ", ".join(odd)})
            return


def _obstacle(path: Path, user: str, group: int) -> Optional[Path]:
    """What keeps an account from reading a file: a folder above it, or the file. Tried with the account's rights."""
    for each in [*reversed(path.parents), path]:
        if not _may("-x" if each != path else "-r", each, user, group):
            return each
    return None


def _may(what: str, path: Path, user: str, group: int) -> bool:
    account = pwd.getpwnam(user)
    groups = os.getgrouplist(user, group)
    asked = subprocess.run(
        ["test", what, str(path)], user=account.pw_uid, group=group, extra_groups=groups, check=False, cwd="/"
    )
    return asked.returncode == 0


def _kind(hashed: str) -> str:
    """How a hash begins, which is no secret; of a password in clear nothing."""
    found = re.match(r"\$[a-z0-9]{1,8}\$|\{[A-Z0-9]{1,8}\}", hashed)
    return f"begins with {found[0]}" if found else "has no known form"


def _owner(path: Path) -> str:
    return f"{path.owner()}:{path.group()}"
