"""Hit every call that changes a file, in every command, with every kind of fault.

python scripts/soak_faults.py --out docs/soak/faults.md [--scenes import,export] [--every N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.faults.scenes import FAULTS, SCENES, Stage
from tests.faults.server import KILL_AFTER, KILL_BEFORE, Server, build


def main() -> int:
    """Run, write the figures, exit 1 where anything was lost, half done or untrue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--scenes", default=",".join(scene.name for scene in SCENES))
    parser.add_argument("--every", type=int, default=1, help="Only every Nth call.")
    asked = parser.parse_args()
    wanted = set(asked.scenes.split(","))
    lines = ["| command | calls | killed | disk errors | wrong |", "|---|---|---|---|---|"]
    problems: list[str] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="coldal-faults-") as made:
        folder = Path(made)
        library = build(folder)
        if library is None:
            print("this needs Linux and a C compiler (gcc)")
            return 2
        with Server(library, folder) as server:
            for scene in SCENES:
                if scene.name not in wanted:
                    continue
                stage = Stage(scene, folder / scene.name, server)
                kills, errors, before = 0, 0, len(problems)
                for how, error in FAULTS:
                    for at in range(1, stage.calls + 1, asked.every):
                        problems += stage.hit(how, at, error)
                        kills += how in (KILL_BEFORE, KILL_AFTER)
                        errors += how not in (KILL_BEFORE, KILL_AFTER)
                wrong = len(problems) - before
                lines.append(f"| {scene.name} | {stage.calls} | {kills} | {errors} | {wrong} |")
                print(lines[-1], flush=True)
    print("\n".join(problems))
    if asked.out is not None:
        share = "every call" if asked.every == 1 else f"one call in {asked.every}"
        text = [
            "# Faults",
            "",
            "Each command on a small project, its process killed before and after, and the disk",
            f"failing (ENOSPC, EIO; once, and from then on) at {share} that changes a file.",
            "Wrong: something acknowledged is lost, half of something is visible, the exit status",
            "is untrue, or the same command does not go on.",
            "",
            *lines,
            "",
            f"{time.monotonic() - began:.0f} s. `make soak`, or `python scripts/soak_faults.py`.",
            "",
        ]
        asked.out.write_text("\n".join(text), "utf-8")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
