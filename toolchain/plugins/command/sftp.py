"""Copying by SFTP as the login user: no sudo, no mode, no owner; files are overwritten in place.

Semantics of pulumi-command v1.2.1, `remote/copyController.go`:

    source | remote: a folder     | remote: absent | remote: a file
    dir    | remote/dir           | remote/dir     | error
    dir/   | its entries, beneath | the same       | error
    file   | remote/file          | remote         | overwritten

A link to a file is copied as the file; a folder with a link to a folder is an error.
"""

from __future__ import annotations

import posixpath
import stat
from pathlib import Path
from typing import Literal

import asyncssh

from toolchain.plugins.shared.resource import ProviderError


async def copy_text(sftp: asyncssh.SFTPClient, text: str, remote: str) -> None:
    """Write `text` to the file `remote`; its parents are created."""
    if await _kind(sftp, remote) == "folder":
        raise ProviderError(
            f"remote path {remote} is a directory; when using a text asset, remotePath must be a file path"
        )
    await _make_parents(sftp, remote)
    try:
        async with sftp.open(remote, "wb") as file:
            await file.write(text.encode())
    except asyncssh.SFTPError as failure:
        raise ProviderError(f"failed to create remote file {remote}: {failure.reason}") from None


async def copy_path(sftp: asyncssh.SFTPClient, source: str, remote: str) -> None:
    """Copy the file or folder `source`."""
    local = Path(source)
    if not local.exists():
        raise ProviderError(f"open {source}: no such file or directory")
    kind = await _kind(sftp, remote)
    if local.is_dir():
        if kind == "file":
            raise ProviderError(f"remote path {remote} exists but is not a directory")
        await _copy_folder(sftp, local, remote if source.endswith("/") else posixpath.join(remote, local.name))
        return
    target = posixpath.join(remote, local.name) if kind == "folder" else remote
    await _make_parents(sftp, target)
    await _copy_file(sftp, local, target)


async def _copy_folder(sftp: asyncssh.SFTPClient, local: Path, remote: str) -> None:
    await _make_folder(sftp, remote)
    for entry in sorted(local.iterdir()):
        target = posixpath.join(remote, entry.name)
        if entry.is_dir() and not entry.is_symlink():
            await _copy_folder(sftp, entry, target)
        else:
            await _copy_file(sftp, entry, target)


async def _copy_file(sftp: asyncssh.SFTPClient, local: Path, remote: str) -> None:
    try:
        await sftp.put(str(local), remote, follow_symlinks=True)
    except (asyncssh.SFTPError, OSError) as failure:
        reason = failure.reason if isinstance(failure, asyncssh.SFTPError) else failure.strerror
        raise ProviderError(f"failed to copy file {local} to remote path {remote}: {reason}") from None


async def _make_parents(sftp: asyncssh.SFTPClient, remote: str) -> None:
    parent = posixpath.dirname(remote)
    if parent and parent != "/":
        await _make_folder(sftp, parent)


async def _make_folder(sftp: asyncssh.SFTPClient, remote: str) -> None:
    """`remote` and its parents, those that are missing."""
    kind = await _kind(sftp, remote)
    if kind == "folder":
        return
    if kind == "file":
        raise ProviderError(f"remote path {remote} exists but is not a directory")
    await _make_parents(sftp, remote)
    try:
        await sftp.mkdir(remote)
    except asyncssh.SFTPError as failure:
        if await _kind(sftp, remote) != "folder":  # another copy may have made it meanwhile
            raise ProviderError(f"failed to create remote directory {remote}: {failure.reason}") from None


async def _kind(sftp: asyncssh.SFTPClient, remote: str) -> Literal["folder", "file"] | None:
    try:
        found = await sftp.stat(remote)
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
        return None
    except asyncssh.SFTPError as failure:
        raise ProviderError(f"failed to stat remote path {remote}: {failure.reason}") from None
    return "folder" if found.permissions is not None and stat.S_ISDIR(found.permissions) else "file"
