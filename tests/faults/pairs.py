"""Two imports, and two exports, that start in the same moment; nothing may be lost or doubled.

python -m tests.faults.pairs FOLDER ROUNDS    prints what is wrong, and exits with 1 then
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from coldal_tui.project.labels.files import checked_labels
from coldal_tui.project.project import Project
from tests.faults.crowd import call, load
from tests.faults.scenes import visible_wrong
from tests.support.lab import SIZE, Lab

PICKED = ("s00", "s01", "s02", "s03")
OURS, THEIRS = ("s00", "s01"), ("s01", "s02")
"""Whose masks each of two people imports; of one scan both have one."""
MEANWHILE = "another export has handed out"


def at_once(*calls: Sequence[str]) -> list[tuple[int, str]]:
    """Call the commands in a process each, all let off together; status and stderr of each."""
    gate, opener = os.pipe()
    children = []
    for words in calls:
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(opener)
                os.read(gate, 1)
                os.write(tell, json.dumps(call(words)).encode())
            finally:
                os._exit(0)
        os.close(tell)
        children.append((pid, told))
    os.close(gate)
    os.close(opener)
    ended = []
    for pid, told in children:
        with os.fdopen(told, "rb") as stream:
            status, err = json.loads(stream.read() or '[-1, "it ended without a word"]')
        os.waitpid(pid, 0)
        ended.append((status, err))
    return ended


class Pairs:
    """One project, and what is wrong with it after each pair."""

    def __init__(self, folder: Path) -> None:
        self.lab = Lab(folder)
        project = self.lab.line(6, [(name, "medoid") for name in PICKED])
        project.close()
        self.lab.close()
        self.root = self.lab.root

    def imports(self, number: int) -> Iterator[str]:
        """Two people import at once: every mask becomes a label's version, once."""
        drawn = {
            (who, name): self._draw(number, who, name)
            for who, names in (("a", OURS), ("b", THEIRS))
            for name in names
        }
        words = ["import-masks", str(self.root)]
        folders = [str(self.lab.folder / f"masks-{number}-{who}") for who in "ab"]
        ended = at_once([*words, folders[0]], [*words, folders[1]])
        for status, err in ended:
            if status != 0:
                yield f"an import ended with {status}: {err}"
        versions = Counter({"s00": number + 1, "s01": 2 * (number + 1), "s02": number + 1})
        with Project(self.root) as project:
            rows = project.store.rows("SELECT * FROM labels")
            active = {row["scan_id"]: row for row in rows if row["state"] == "active"}
            checked_labels(project, list(active.values()))
            if Counter(row["scan_id"] for row in rows) != versions:
                yield f"versions: {Counter(row['scan_id'] for row in rows)}, not {versions}"
            if sum(row["state"] == "active" for row in rows) != len(active):
                yield "two active labels of one scan"
            for name in sorted({*OURS, *THEIRS}):
                wanted = [mask for (_, scan), mask in drawn.items() if scan == name]
                with Image.open(project.file_of(active[name]["file"])) as found:
                    pixels = np.asarray(found)
                if not any(np.array_equal(pixels, mask) for mask in wanted):
                    yield f"the label of {name} is neither mask of this pair"
            noted = project.store.value("SELECT count(*) FROM audit WHERE action = 'import'")
            if noted != 2 * (number + 1):
                yield f"{noted} imports in the audit trail"
        yield from self._nothing_left()

    def _draw(self, number: int, who: str, name: str) -> np.ndarray:
        mask = np.zeros(SIZE, np.uint8)
        mask[0, 0] = 1
        mask[1 + "ab".index(who)] = [(number + 1) >> bit & 1 for bit in range(SIZE[1])]
        folder = self.lab.folder / f"masks-{number}-{who}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(mask).save(folder / f"{name}.png")
        return mask

    def exports(self) -> Iterator[str]:
        """Two people export at once: each scan is handed out once; again, each gets them all."""
        words = ["export-queue", str(self.root)]
        before = self._exports()
        ended = at_once(words, words)
        made = self._exports()[len(before) :]
        yield from self._as_told(ended, made)
        scans = Counter(scan for _, names in made for scan in names)
        if scans != Counter(self._waiting()):
            yield f"handed out: {scans}"
        again = at_once([*words, "--again"], [*words, "--again"])
        both = self._exports()[len(before) + len(made) :]
        yield from self._as_told(again, both)
        if [status for status, _ in again] != [0, 0]:
            yield f"exports again ended with {again}"
        yield from self._nothing_left()
        for _ in (*made, *both):
            status, err = call(["undo", str(self.root), "--yes"])
            if status != 0:
                yield f"undo of an export: {status}: {err}"

    def _as_told(
        self, ended: Sequence[tuple[int, str]], made: Sequence[tuple[str, list[str]]]
    ) -> Iterator[str]:
        if sum(status == 0 for status, _ in ended) != len(made):
            yield f"{ended} was told, and recorded are {made}"
        for status, err in ended:
            # Exit 2: nothing was queued any more; 1: what it was about to hand out is out.
            if status not in (0, 2) and not (status == 1 and MEANWHILE in err):
                yield f"an export ended with {status}: {err}"
        if len({folder for folder, _ in made}) != len(made):
            yield f"two exports have one folder: {made}"

    def _exports(self) -> list[tuple[str, list[str]]]:
        with Project(self.root) as project:
            rows = project.store.rows("SELECT folder, scans FROM exports ORDER BY export_id")
        return [(row["folder"], json.loads(row["scans"])) for row in rows]

    def _waiting(self) -> list[str]:
        with Project(self.root) as project:
            rows = project.store.rows("SELECT scan_id FROM queue WHERE status != 'labelled'")
        return [row["scan_id"] for row in rows]

    def _nothing_left(self) -> Iterator[str]:
        yield from visible_wrong(self.root)
        left = [*self.root.glob("labels/*staged*"), *self.root.glob("exports/.*")]
        if left:
            yield f"left behind: {left}"


def main(folder: Path, rounds: int) -> int:
    load()
    pairs, found = Pairs(folder), 0
    for number in range(rounds):
        for what, problems in (("exports", pairs.exports()), ("imports", pairs.imports(number))):
            for problem in problems:
                sys.stdout.write(f"{what}, pair {number}: {problem}\n")
                sys.stdout.flush()
                found += 1
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
