"""What containerd itself says about its configuration: `config dump`, its plugins, its log. Pure text work.

`config dump` reads the file, not the process, and returns 0 for keys that it does not know and for `mirrors` beside
`config_path`. What it does not know it names in a log line, from 2.0 on ("Ignoring unknown key in TOML").
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, Mapping, Optional, Sequence, Tuple

from hostctl import toml_text
from hostctl.containerd_toml import Wanted
from hostctl.containerd_versions import IMAGES, PATH, Release
from hostctl.masking import masked_value

LOG_LINE = "time="
DEBUG_LINE = re.compile(r'\blevel"?[=:]"?debug\b')


def dump_complaint(dump: str, wanted: Wanted, release: Release) -> Optional[str]:
    """What `config dump` shows other than what is wanted, or None."""
    lines = dump.splitlines()
    # The dump comes with log lines, which containerd writes to standard error.
    text = "\n".join(line for line in lines if not line.startswith(LOG_LINE))
    document = toml_text.values(text, "containerd config dump")
    for path, value in wanted.settings(release.own):
        shown = (toml_text.find(document, path[:-1]) or {}).get(path[-1])
        if shown != value:
            used, asked = (masked_value(path[-1], each) for each in (shown, value))
            return (
                f"containerd would use {path[-1]} = {used!r} in place of {asked!r}; look for it in the files that it "
                "imports, and in a table that an older version had for it"
            )
    if wanted.downloads is not None and release.transfers and not wanted.logins:
        reason = _local_pull(toml_text.find(document, ("plugins", IMAGES)) or {})
        if reason:
            return (
                f"containerd would pull without its transfer service because of {reason}, and not use our "
                "max_concurrent_downloads; take that out, or max_concurrent_downloads of this host's runtimes"
            )
    return ignored_complaint(lines, wanted, release)


def ignored_complaint(lines: Iterable[str], wanted: Wanted, release: Release) -> Optional[str]:
    """Which key of ours containerd says that it does not know, or None."""
    ignored = [_ignored(line) for line in lines if "Ignoring unknown key" in line]
    for path, _ in wanted.settings(release.own):
        name = path[1:] if path[0] == "plugins" else path
        if any(words and name[: len(words)] == words for words in ignored):
            return f"containerd does not know our key {'.'.join(name)}; this program does not suit this containerd"
    return None


def plugin_states(listed: str) -> Dict[str, str]:
    """The state of each plugin in what `ctr plugins ls` prints."""
    rows = [line.split() for line in listed.splitlines() if line.startswith("io.containerd.")]
    return {f"{row[0]}.{row[1]}": row[-1] for row in rows if len(row) > 2}


def debug_complaint(lines: Sequence[str]) -> Optional[str]:
    """Whether a log since the start lacks the lines of level debug, which containerd writes when it is ready."""
    if lines and not any(DEBUG_LINE.search(line) for line in lines):
        return f"containerd does not log at level debug though {PATH} says so"
    return None


def _local_pull(images: Mapping[str, Any]) -> str:
    """Why images are not pulled by the transfer service (CheckLocalImagePullConfigs), or nothing."""
    registry = images.get("registry") or {}
    reasons = {
        "use_local_image_pull": images.get("use_local_image_pull"),
        "disable_snapshot_annotations = false": images.get("disable_snapshot_annotations") is False,
        "discard_unpacked_layers": images.get("discard_unpacked_layers"),
        "image_pull_with_sync_fs": images.get("image_pull_with_sync_fs"),
        "max_concurrent_downloads in the CRI's own table": images.get("max_concurrent_downloads", 3) != 3,
        **{f"registry.{key}": registry.get(key) for key in ("mirrors", "configs", "auths")},
    }
    return next((f"{reason} in {PATH}" for reason, given in reasons.items() if given), "")


def _ignored(line: str) -> Tuple[str, ...]:
    """The key that a log line (text or JSON) complains of: the plugin if it is one's, and the names below it."""
    plugin = re.search(r'\bplugin"?[=:]"?([\w.-]+)', line)
    key = re.search(r'\bkey"?[=:](?:"([^"]*)"|(\S+))', line)
    words = (key.group(1) or key.group(2) or "").split() if key else []
    return (*([plugin.group(1)] if plugin else []), *words)
