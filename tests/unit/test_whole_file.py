"""Decides that who reads a file while it is written anew finds the old text or the new one, whole."""

from __future__ import annotations

import threading
from pathlib import Path

from hostctl.whole_file import write_whole

TEXTS = (b"old\n" * 100_000, b"new\n" * 100_000)


def test_a_reader_never_finds_a_part(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    write_whole(file, TEXTS[0])
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            for text in TEXTS:
                write_whole(file, text)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for each in writers:
        each.start()
    try:
        found = {file.read_bytes() for _ in range(300)}
    finally:
        over.set()
        for each in writers:
            each.join()
    assert found <= set(TEXTS)
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_there_already_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    write_whole(file, TEXTS[0])
    before = file.stat().st_ino
    write_whole(file, TEXTS[0])
    assert file.stat().st_ino == before
