"""Fuzz readers, importers, coldal.toml, filters and receipts, guided by coverage (atheris).

python scripts/soak_fuzz.py --seconds 600 --out docs/soak/fuzz.md [--targets "config;filter"]

Needs atheris, which has wheels for Linux: ``make fuzz`` installs it in an environment of its own.
Inputs that reach new code go to ``tests/faults/corpus``, within a limit; what broke something is
printed, and left in the folder that is named.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

LARGEST, KEPT_BYTES = 1 << 12, 6_000
"""Of an input, and of all that the corpus keeps of a target."""
SLOW_S, MEMORY_MB = 25, 2500
HEAD = (
    "| target | calls | calls a second | branches | inputs kept | broke |",
    "|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Found:
    """What one target came to."""

    name: str
    calls: int
    seconds: float
    covered: int
    kept: int
    broke: tuple[str, ...]

    def line(self) -> str:
        speed = self.calls / max(self.seconds, 1e-9)
        cells = (self.name, f"{self.calls:,}", f"{speed:,.0f}", self.covered, self.kept)
        return f"| {' | '.join(map(str, cells))} | {len(self.broke)} |"


def main() -> int:
    """Run each target for its share of the time; 1 where anything broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="For all targets together.")
    parser.add_argument("--targets", default="", help="Only these, with ; between.")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--left", type=Path, help="Where inputs that broke something are put.")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked, rest = parser.parse_known_args()
    if asked.one:
        return _fuzz(asked.one, rest)
    try:
        import atheris  # noqa: F401
    except ImportError:
        print("fuzzing is skipped: atheris is not installed here (make fuzz)")
        return 0
    from tests.faults.fuzzing import TARGETS

    names = asked.targets.split(";") if asked.targets else list(TARGETS)
    left = asked.left or Path(tempfile.mkdtemp(prefix="coldal-fuzz-left-"))
    left.mkdir(parents=True, exist_ok=True)
    found = [_run(name, max(asked.seconds // len(names), 1), left) for name in names]
    text = page(found, asked.seconds)
    print(text)
    if asked.out is not None:
        asked.out.write_text(text, "utf-8")
    return int(any(one.broke for one in found))


def page(found: Sequence[Found], seconds: int) -> str:
    """The figures as a page."""
    calls, broke = sum(one.calls for one in found), sum(len(one.broke) for one in found)
    rows = "\n".join([*HEAD, *(one.line() for one in found)])
    return f"""# Fuzzing

Bytes that a fuzzer changes, guided by the branches that they reach (atheris), through everything
that reads what others wrote. A target may refuse an input with words; another exception, {SLOW_S} s
for one input, or {MEMORY_MB:,} MB of memory would be in the last column.

{rows}

{calls:,} calls in {seconds / 60:.0f} min, {broke} of them broke something. What reached new
branches is kept in `tests/faults/corpus` and tried by every run of the tests. `make fuzz`.
"""


def _run(name: str, seconds: int, left: Path) -> Found:
    from tests.faults.fuzzing import TARGETS, inputs

    TARGETS[name].seeds()
    with tempfile.TemporaryDirectory(prefix="coldal-corpus-") as made:
        folder = Path(made)
        for data in inputs(name):
            (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
        first = {path.name for path in folder.iterdir()}
        broke: list[str] = []
        calls, covered, began = 0, 0, time.monotonic()
        while (rest := seconds - int(time.monotonic() - began)) > 0:
            said, status = _child(name, folder, rest, left)
            calls += max([int(n) for n in re.findall(r"^#(\d+)\t", said, re.MULTILINE)], default=0)
            covered = max([covered, *(int(n) for n in re.findall(r" cov: (\d+) ", said))])
            if status == 0:
                break
            broke.append(said[-3000:])
            print(f"{name} broke:\n{said[-3000:]}", flush=True)
            if len(broke) >= 3:
                break
        kept = _keep(folder, first, name)
        return Found(name, calls, time.monotonic() - began, covered, kept, tuple(broke))


def _child(name: str, folder: Path, seconds: int, left: Path) -> tuple[str, int]:
    words = [sys.executable, __file__, "--one", name, str(folder)]
    words += [f"-max_total_time={seconds}", f"-max_len={LARGEST}", f"-timeout={SLOW_S}"]
    words += [
        f"-rss_limit_mb={MEMORY_MB}",
        f"-artifact_prefix={left}/{name}-",
        "-print_final_stats=1",
    ]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", cwd=ROOT)
    return done.stdout + done.stderr, done.returncode


def _keep(folder: Path, first: set[str], name: str) -> int:
    """Add the smallest new inputs to the corpus, as long as it stays small; how many it holds."""
    from tests.faults.fuzzing import CORPUS, read_corpus, write_corpus

    kept = read_corpus(CORPUS, name)
    room = KEPT_BYTES - sum(map(len, kept))
    new = [path.read_bytes() for path in folder.iterdir() if path.name not in first]
    for data in sorted(new, key=len):
        if len(data) > room:
            break
        kept.append(data)
        room -= len(data)
    write_corpus(CORPUS, name, kept)
    return len(kept)


def _fuzz(name: str, rest: list[str]) -> int:
    import atheris

    with atheris.instrument_imports(include=["coldal_tui"]):
        from tests.faults.fuzzing import call

        call(name, b"")  # what it imports late, too
    atheris.Setup([name, *rest], lambda data: call(name, data))
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
