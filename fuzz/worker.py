"""`python -m fuzz.worker MODULE TARGET FOLDER SECONDS`: one target under atheris, which sees what an input reaches.

A finding does not end the run: the shortest input of each (its exception and place) is kept in FOLDER/found, and
FOLDER/seen.json tells the rest. Only what hangs or eats all memory ends it.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
import traceback
from pathlib import Path

import atheris

from fuzz.mutation import mutated
from fuzz.target import FOUND, Target

OURS = (
    "doctor",
    "garbage_collection",
    "hostctl",
    "offline_sync",
    "ops",
    "origin",
    "pull_metrics",
    "registry_outputs",
    "settings",
)
SLOW = 1.0
"""Seconds that no input so short may take."""
HANGS = 30
LONGEST = 6000
"""Bytes of an input."""
MEMORY = 1500
"""MB that the whole process may have."""
EVERY = 2.0


class Watch:
    """What is seen of one target."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target, self.folder = target, folder
        self.count, self.slowest, self.began, self.written = 0, 0.0, time.monotonic(), 0.0
        self.findings: dict[str, str] = {}

    def one(self, data: bytes) -> None:
        """Run an input."""
        began = time.process_time()
        try:
            self.target.run(data)
        except Exception as found:
            self._keep(data, place_of(found), f"{type(found).__name__}: {str(found)[:200]}")
        took = time.process_time() - began
        self.count += 1
        self.slowest = max(self.slowest, took)
        if took > SLOW:
            self._keep(data, "slow", f"{took:.1f} s for {len(data)} bytes")
        if time.monotonic() - self.written > EVERY:
            self.write()

    def _keep(self, data: bytes, name: str, said: str) -> None:
        path = self.folder / "found" / name
        if not path.exists() or len(data) < path.stat().st_size:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if name not in self.findings:
            self.findings[name] = said
            self.write()

    def write(self) -> None:
        """For the table."""
        self.written = time.monotonic()
        seen = {
            "inputs": self.count,
            "seconds": round(self.written - self.began, 1),
            "slowest": round(self.slowest, 3),
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
            "findings": self.findings,
        }
        (self.folder / "seen.json").write_text(json.dumps(seen))


def place_of(found: BaseException) -> str:
    """The exception's kind, and the last line of ours that it came through."""
    frames = traceback.extract_tb(found.__traceback__)
    root = str(Path(__file__).parents[1])
    ours = [each for each in frames if each.filename.startswith(root) and "/.venv/" not in each.filename]
    last = (ours or frames)[-1]
    return f"{type(found).__name__}-{Path(last.filename).stem}-{last.lineno}"


def main(module: str, name: str, folder: Path, seconds: int) -> None:
    """Run it; does not return."""
    with atheris.instrument_imports(include=[*OURS]):
        targets: tuple[Target, ...] = importlib.import_module(module).TARGETS
    target = next(each for each in targets if each.name == name)
    corpus, seeds = folder / "corpus", folder / "seeds"
    for each in (corpus, seeds):
        each.mkdir(parents=True, exist_ok=True)
    known = sorted((FOUND / name).glob("*")) if (FOUND / name).is_dir() else []
    for number, seed in enumerate([*target.seeds, *(each.read_bytes() for each in known)]):
        (seeds / str(number)).write_bytes(seed)
    words = folder / "words"
    words.write_text("".join(f'"{_escaped(each)}"\n' for each in target.words))
    watch = Watch(target, folder)
    watch.write()

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        return mutated(data, seed)[:longest] if seed % 3 == 0 else atheris.Mutate(data, longest)

    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-timeout={HANGS}",
        f"-rss_limit_mb={MEMORY}",
        *([f"-dict={words}"] if target.words else []),
        f"-artifact_prefix={folder}/ended-",
        "-print_final_stats=0",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus), str(seeds)], watch.one, custom_mutator=mutate)
    atheris.Fuzz()


def _escaped(word: str) -> str:
    return "".join(
        chr(each) if 32 <= each < 127 and each not in b'"\\' else f"\\x{each:02x}"
        for each in word.encode("utf-8", "replace")
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
