"""Hit every call that changes a file, in every command, with every kind of fault.

python scripts/soak_faults.py --out docs/soak/faults.md [--scenes "import;export"]
    [--kinds "power cut;disk errors"]   in this order; all without it
    [--minutes N]       ends by the clock; what was tried till then is spread evenly over the calls
    [--resume FILE]     results so far are kept in FILE, and not tried again
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.faults.scenes import FAULTS, KILLS, SCENES, Stage
from tests.faults.server import FAIL_ON, FAIL_ONCE, POWER_CUT, Server, build

MEMORY = Path("/dev/shm")
"""A file system in memory: an fsync there costs nothing."""
ROUNDS = 16
"""Each kind of fault hits one call in so many before any kind hits the next ones."""
HEAD = (
    "| command | calls | killed | power cut | disk errors | wrong |",
    "|---|---|---|---|---|---|",
)
CLASSES = (
    ("killed", frozenset(KILLS) - {POWER_CUT}),
    ("power cut", frozenset({POWER_CUT})),
    ("disk errors", frozenset({FAIL_ONCE, FAIL_ON})),
)


@dataclass
class Results:
    """What every fault came to, by command, kind of fault, error and call."""

    file: Path | None = None
    stages: dict[str, Stage] = field(default_factory=dict)
    wrong: dict[tuple[str, int, int, int], list[str]] = field(default_factory=dict)
    seconds: float = 0.0

    def load(self) -> None:
        if self.file is not None and self.file.exists():
            for line in self.file.read_text("utf-8").splitlines():
                scene, how, error, at, seconds, wrong = json.loads(line)
                self.wrong[scene, how, error, at] = wrong
                self.seconds += seconds

    def add(self, key: tuple[str, int, int, int], seconds: float, wrong: list[str]) -> None:
        self.wrong[key] = wrong
        self.seconds += seconds
        if self.file is not None:
            with self.file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps([*key, round(seconds, 3), wrong]) + "\n")

    def line(self, scene: str) -> str:
        stage = self.stages[scene]
        mine = [
            (how, bool(wrong)) for (name, how, _, _), wrong in self.wrong.items() if name == scene
        ]
        cells = [scene, str(stage.calls)]
        for _, kinds in CLASSES:
            wanted = sum(
                stage.hits(how, at)
                for how, _ in FAULTS
                if how in kinds
                for at in range(1, stage.calls + 1)
            )
            done = sum(how in kinds for how, _ in mine)
            cells.append(f"{done:,}" if done >= wanted else f"{done:,} of {wanted:,}")
        return "| " + " | ".join([*cells, str(sum(bad for _, bad in mine))]) + " |"

    def page(self) -> str:
        tried, bad = len(self.wrong), sum(bool(wrong) for wrong in self.wrong.values())
        text = [
            "# Faults",
            "",
            "Each command on a small project, with a fault at each call that changes a file:",
            "",
            "* killed: before the call, after it, and, where it writes, after half of it;",
            "* power cut: before it, on a disk that keeps only what an fsync has brought there;",
            "  names in a folder, too, are only kept by an fsync of the folder;",
            "* disk errors: ENOSPC, EIO, EROFS, EDQUOT, each once, and from then on.",
            "",
            "Wrong: something acknowledged is lost, half of something is visible, the exit status",
            "is untrue, or the same command does not go on. “Taken in”: the supervisor commits",
            "what a worker has finished. `index` stores scans in portions, so as not to delay",
            "others: where it was cut off, a portion may be there already, and the same command",
            "goes on. So do `index` after an `init` that was cut off late, and `restore` after",
            "itself. “Of”: the run was ended before it had tried the others.",
            "",
            *HEAD,
            *(self.line(scene) for scene in self.stages),
            "",
            f"{tried:,} faults, {bad} of them wrong; {self.seconds / 60:.0f} min. `make soak`, or",
            "`python scripts/soak_faults.py --resume FILE`, which goes on where it was ended.",
            "",
        ]
        return "\n".join(text)


def main() -> int:
    """Run, write the figures, exit 1 where anything was lost, half done or untrue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--scenes", default=";".join(scene.name for scene in SCENES))
    parser.add_argument("--kinds", default=";".join(name for name, _ in CLASSES))
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--resume", type=Path, help="Keeps the results of a run that ends early.")
    asked = parser.parse_args()
    wanted = set(asked.scenes.split(";"))
    end = time.monotonic() + 60 * asked.minutes
    results = Results(asked.resume)
    results.load()
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="coldal-faults-", dir=place) as made:
        folder = Path(made)
        library = build(folder)
        if library is None:
            print("this needs Linux and a C compiler (gcc)")
            return 2
        with Server(library, folder) as server:
            for scene in SCENES:
                if scene.name in wanted:
                    results.stages[scene.name] = Stage(scene, folder / scene.name, server)
            for stage, how, at, error in _turns(list(results.stages.values()), asked.kinds):
                if time.monotonic() > end:
                    break
                _hit(stage, how, at, error, results)
            if asked.out is not None:
                asked.out.write_text(results.page(), "utf-8")
    print("\n".join([*HEAD, *(results.line(name) for name in results.stages)]))
    problems = [one for wrong in results.wrong.values() for one in wrong]
    print("\n".join(problems))
    return 1 if problems else 0


def _turns(stages: Sequence[Stage], kinds: str) -> Iterator[tuple[Stage, int, int, int]]:
    """Every fault, so ordered that a run which ends early has hit all commands evenly."""
    for kind in kinds.split(";"):
        faults = [fault for fault in FAULTS if fault[0] in dict(CLASSES)[kind]]
        for turn in range(ROUNDS):
            # Each fault of a kind at other calls: eight disk errors have hit all in two rounds.
            for place, (how, error) in enumerate(faults):
                for stage in stages:
                    for at in range(1, stage.calls + 1):
                        if (at - 2 * place) % ROUNDS == turn:
                            yield stage, how, at, error


def _hit(stage: Stage, how: int, at: int, error: int, results: Results) -> None:
    key = stage.scene.name, how, error, at
    if stage.hits(how, at) and key not in results.wrong:
        began = time.monotonic()
        wrong = stage.hit(how, at, error)
        results.add(key, time.monotonic() - began, wrong)
        if wrong:
            print("\n".join(wrong), flush=True)


if __name__ == "__main__":
    sys.exit(main())
