"""The files that containerd's config.toml imports, and which of our keys they say already.

containerd takes a plugin's table of an imported file in place of that of config.toml, as a whole (`mergeConfig` in its
server's config, 1.6 and newer). So what one says need not be said in config.toml, and would not count there.
"""

from __future__ import annotations

import posixpath
import re
from typing import Iterable, List

from hostctl import containerd_toml, toml_text
from hostctl.containerd_toml import Wanted
from hostctl.containerd_versions import PATH, Release
from hostctl.errors import HostError
from hostctl.host import Host

_IMPORTS = re.compile(rb"^\s*imports\s*=\s*\[[^\]]*[\"']", re.M)
"""Whether there may be any: reading TOML takes its time."""


def imported(host: Host) -> List[str]:
    """The files, in their order; none where config.toml can't be read, which others tell."""
    state = host.read(PATH)
    if state is None or not _IMPORTS.search(state.content):
        return []
    try:
        patterns = toml_text.parsed(toml_text.decoded(state.content, PATH), PATH).unwrap().get("imports") or []
    except HostError:
        return []
    return [path for each in patterns for path in matching(host, posixpath.join(posixpath.dirname(PATH), str(each)))]


def matching(host: Host, pattern: str) -> List[str]:
    """The files that one import names, without config.toml itself."""
    folder, name = posixpath.split(pattern)
    found = [f"{folder}/{each.name}" for each in sorted(host.path(folder).glob(name or "*"))]
    return [each for each in found if each != PATH]


def beside(wanted: Wanted, contents: Iterable[bytes], release: Release) -> Wanted:
    """What is wanted of config.toml itself, where the imported files have these contents. Pure."""
    said = {index for each in contents for index in containerd_toml.said_by(each, wanted, release)}
    return wanted._replace(said=tuple(sorted(said)))
