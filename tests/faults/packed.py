"""Processes that share one cache of packs: some are killed, files are damaged in between.

python -m tests.faults.packed FOLDER SEED     one process, until it is killed; prints what is wrong
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from coldal_compute.segmentation.inputs import packs
from coldal_compute.segmentation.inputs.packs import KEY_BYTES, Packs
from tests.support.places import ROOT

KEYS, GROUPS = 300, "abc"
PACK_BYTES, MOST_BYTES = 20_000, 60_000
_EXPECTED = ("takes no more: its", "was damaged")


@dataclass
class Told:
    """What was seen. ``wrong``: arrays that were others than those kept, or failures."""

    processes: int = 0
    killed: int = 0
    damaged: int = 0
    found: int = 0
    made: int = 0
    wrong: list[str] = field(default_factory=list)


def run(folder: Path, seconds: float, processes: int, seed: int) -> Told:
    """Let processes fill and read a cache, and kill one now and then, for so many seconds."""
    rng, told = random.Random(seed), Told()
    folder.mkdir(parents=True, exist_ok=True)
    cache, end = folder / "inputs", time.monotonic() + seconds
    running: list[subprocess.Popen[str]] = []
    while time.monotonic() < end:
        for _ in range(rng.randint(2, 8)):
            while len(running) < processes:
                told.processes += 1
                running.append(_start(folder, seed * 100_000 + told.processes))
            time.sleep(rng.uniform(0.2, 1.5))
            told.killed += 1
            _end(running.pop(rng.randrange(len(running))), told)
        for process in running:
            _end(process, told)
        running.clear()
        told.damaged += _damage(cache, rng)
    for file in folder.glob("*.txt"):
        found, made = map(int, file.read_text("ascii").split())
        told.found += found
        told.made += made
    return told


def _start(folder: Path, seed: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tests.faults.packed", str(folder), str(seed)]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _end(process: subprocess.Popen[str], told: Told) -> None:
    """Kill a process that is to run until then; one that ended by itself has a reason."""
    early = process.poll()
    process.kill()
    said = process.communicate()[0]
    if early is not None or said:
        told.wrong.append(said or f"ended with {early}")


def _damage(cache: Path, rng: random.Random) -> int:
    """Change a byte of some files, or cut one off."""
    files = [path for path in sorted(cache.rglob("*")) if path.is_file() and path.stat().st_size]
    some = rng.sample(files, min(len(files), rng.randint(0, 3)))
    for path in some:
        size = path.stat().st_size
        if rng.random() < 0.3:
            os.truncate(path, rng.randrange(size))
            continue
        with path.open("r+b") as stream:
            stream.seek(rng.randrange(size))
            byte = stream.read(1)[0] ^ (1 << rng.randrange(8))
            stream.seek(-1, os.SEEK_CUR)
            stream.write(bytes([byte]))
    return len(some)


def _array(number: int) -> np.ndarray:
    return np.random.default_rng(number).standard_normal((1, 16, 16)).astype(np.float16)


def _work(folder: Path, seed: int) -> None:
    packs.PACK_BYTES = PACK_BYTES
    rng, found, made = random.Random(seed), 0, 0
    counts = folder / f"{seed}.txt"
    while True:
        said: list[str] = []
        with closing(
            Packs(folder / "inputs", rng.choice(GROUPS), MOST_BYTES, said.append)
        ) as cache:
            held = []
            for _ in range(rng.randint(1, 200)):
                number = rng.randrange(KEYS)
                key = str(number).encode().ljust(KEY_BYTES, b"-")
                array = cache.get(key, mapped=rng.random() < 0.3)
                if array is None:
                    made += 1
                    cache.put(key, _array(number))
                else:
                    found += 1
                    held.append((number, array))
            for number, array in held:
                if not np.array_equal(array, _array(number)):
                    _say(f"array {number} is another")
        for words in said:
            if not any(expected in words for expected in _EXPECTED):
                _say(words)
        whole = counts.with_suffix(".new")
        whole.write_text(f"{found} {made}", "ascii")
        whole.replace(counts)


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _work(Path(sys.argv[1]), int(sys.argv[2]))
