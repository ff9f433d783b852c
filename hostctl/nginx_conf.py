"""Reading nginx configuration text: just enough to find who the workers are and where a file is included."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import Iterator, List, Optional, Tuple

from hostctl.errors import HostError
from hostctl.host import Host

FOLDER = "/etc/nginx"
MAIN = f"{FOLDER}/nginx.conf"
SITE = f"{FOLDER}/conf.d/http-registry.conf"
OURS = f"{FOLDER}/http-registry"
PULLERS, PUSHERS = f"{OURS}/pull.htpasswd", f"{OURS}/push.htpasswd"
"""The password files, which are made on the host."""
PULLERS_BEFORE, PUSHERS_BEFORE = f"{OURS}/pull-before.htpasswd", f"{OURS}/push-before.htpasswd"
"""The passwords that are taken as well, as long as a new one is on its way to who uses it."""
PASSWORD_FILES = (PULLERS, PUSHERS, PULLERS_BEFORE, PUSHERS_BEFORE)
PASSWORDS_CONF = f"{OURS}/passwords.conf"
"""Sets $http_registry_passwords to a digest of them; made on the host."""
RIGHT = f"{OURS}/right"
"""What is answered to a right password."""
RUN = "/run/http-registry-nginx"
"""Sockets of the inner servers, and what is kept in memory only; made and taken away with the service nginx."""
DROP_IN = "/etc/systemd/system/nginx.service.d/http-registry.conf"
OPEN_FILES = 16384
"""How many files a worker may have open: its connections, and what it keeps open of the caches."""
TLS = f"{OURS}/tls"
"""Certificates, and what root alone may read: private keys and PINs."""
OPENSSL_CONF = f"{TLS}/openssl.cnf"
"""Where a key is in a token: what nginx, and `nginx -t`, must have in the environment by this name."""
MARKER = "/.http-registry/generation"
"""What answers which site is live."""

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<mark>[;{}])|(?P<word>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:[^\s;{}\\]|\\.)+)"""
)


def main_text(host: Host) -> str:
    """The main file's text."""
    try:
        return host.path(MAIN).read_text(errors="replace")
    except FileNotFoundError as missing:
        raise HostError(f"{MAIN}: there is none; reinstall nginx") from missing


def error_log(host: Host) -> str:
    """Where the main process logs its errors."""
    return (first(main_text(host), "error_log") or ("/var/log/nginx/error.log",))[0]


@dataclass(frozen=True)
class Statement:
    """One directive. `blocks`: the names of the blocks around it. `start`, `end`: where it stands in the text."""

    words: Tuple[str, ...]
    blocks: Tuple[str, ...]
    start: int
    end: int


def statements(text: str) -> Iterator[Statement]:
    """The directives without a block, in order. What can't be read is skipped: `nginx -t` has the word on it."""
    words: List[str] = []
    blocks: List[str] = []
    start = place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            place += 1
            continue
        place = found.end()
        if found["word"]:
            start = start if words else found.start()
            words.append(_unquoted(found["word"]))
        elif found["mark"] == ";":
            yield Statement(tuple(words), tuple(blocks), start, place)
            words = []
        elif found["mark"] == "{":
            blocks.append(words[0] if words else "")
            words = []
        elif found["mark"] == "}":
            del blocks[-1:]
            words = []


def include_of(text: str, path: str) -> Optional[Statement]:
    """The include in the http block of the main file that takes in the file at `path`."""
    for each in statements(text):
        if each.blocks == ("http",) and each.words[:1] == ("include",) and fnmatch.fnmatchcase(path, pattern(each)):
            return each
    return None


def pattern(include: Statement) -> str:
    """The absolute pattern of an include: nginx takes a relative one from the main file's folder."""
    return include.words[1] if include.words[1].startswith("/") else f"{FOLDER}/{include.words[1]}"


def first(text: str, name: str) -> Tuple[str, ...]:
    """The arguments of a directive outside of all blocks; none where it is not there."""
    return next((each.words[1:] for each in statements(text) if not each.blocks and each.words[:1] == (name,)), ())


def _unquoted(word: str) -> str:
    inner = word[1:-1] if word[0] in "\"'" else word
    return re.sub(r"\\([\"'\\])", r"\1", inner)
