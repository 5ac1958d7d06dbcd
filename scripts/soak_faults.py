"""Hit every call that changes a file, in every command, with every kind of fault.

python scripts/soak_faults.py --out docs/soak/faults.md [--scenes "import;export"] [--every N]
    [--resume FILE]     results so far are kept in FILE, and not tried again
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.faults.scenes import FAULTS, KILLS, SCENES, Stage
from tests.faults.server import POWER_CUT, Server, build

MEMORY = Path("/dev/shm")
"""A file system in memory: an fsync there costs nothing."""
HEAD = (
    "| command | calls | killed | power cut | disk errors | wrong |",
    "|---|---|---|---|---|---|",
)


@dataclass
class Results:
    """What every fault came to, by command, kind of fault, error and call."""

    file: Path | None = None
    calls: dict[str, int] = field(default_factory=dict)
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
        found = {key[1:]: wrong for key, wrong in self.wrong.items() if key[0] == scene}
        cuts = sum(how == POWER_CUT for how, _, _ in found)
        kills = sum(how in KILLS for how, _, _ in found) - cuts
        errors = len(found) - kills - cuts
        bad = sum(bool(wrong) for wrong in found.values())
        return f"| {scene} | {self.calls[scene]} | {kills} | {cuts} | {errors} | {bad} |"

    def page(self, every: int) -> str:
        share = "every call" if every == 1 else f"one call in {every}"
        tried, bad = len(self.wrong), sum(bool(wrong) for wrong in self.wrong.values())
        text = [
            "# Faults",
            "",
            f"Each command on a small project, with a fault at {share} that changes a file:",
            "",
            "* killed: before it, after it, and, where it writes, after half of it;",
            "* power cut: before it, on a disk that keeps only what an fsync has brought there;",
            "  names in a folder, too, are only kept by an fsync of the folder;",
            "* disk errors: ENOSPC, EIO, EROFS, EDQUOT, each once, and from then on.",
            "",
            "Wrong: something acknowledged is lost, half of something is visible, the exit status",
            "is untrue, or the same command does not go on. “Taken in”: the supervisor commits",
            "what a worker has finished.",
            "",
            *HEAD,
            *(self.line(scene) for scene in self.calls),
            "",
            f"{tried:,} faults, {bad} of them wrong; {self.seconds / 60:.0f} min. `make soak`, or",
            "`python scripts/soak_faults.py`.",
            "",
        ]
        return "\n".join(text)


def main() -> int:
    """Run, write the figures, exit 1 where anything was lost, half done or untrue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--scenes", default=";".join(scene.name for scene in SCENES))
    parser.add_argument("--every", type=int, default=1, help="Only every Nth call.")
    parser.add_argument("--resume", type=Path, help="Keeps the results of a run that ends early.")
    asked = parser.parse_args()
    wanted = set(asked.scenes.split(";"))
    results = Results(asked.resume)
    results.load()
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="coldal-faults-", dir=place) as made:
        folder = Path(made)
        library = build(folder)
        if library is None:
            print("this needs Linux and a C compiler (gcc)")
            return 2
        print("\n".join(HEAD))
        with Server(library, folder) as server:
            for scene in SCENES:
                if scene.name in wanted:
                    stage = Stage(scene, folder / scene.name, server)
                    results.calls[scene.name] = stage.calls
                    _hit_all(stage, asked.every, results)
                    print(results.line(scene.name), flush=True)
                    if asked.out is not None:
                        asked.out.write_text(results.page(asked.every), "utf-8")
    problems = [one for wrong in results.wrong.values() for one in wrong]
    print("\n".join(problems))
    return 1 if problems else 0


def _hit_all(stage: Stage, every: int, results: Results) -> None:
    for how, error in FAULTS:
        for at in range(1, stage.calls + 1, every):
            key = stage.scene.name, how, error, at
            if stage.hits(how, at) and key not in results.wrong:
                began = time.monotonic()
                wrong = stage.hit(how, at, error)
                results.add(key, time.monotonic() - began, wrong)


if __name__ == "__main__":
    sys.exit(main())
