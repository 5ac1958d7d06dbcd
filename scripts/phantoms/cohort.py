"""Who was scanned, where and when: the made-up patients behind the chest pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEED = 2601

SITES = {"standard": "north", "bedside": "east", "film": "south", "child": "west"}


@dataclass(frozen=True)
class ChestScan:
    """One chest picture to make. ``deep``: stored with 12 of 16 bits instead of 8."""

    filename: str
    patient: int
    patient_id: str
    style: str
    sex: str
    age: int
    scan: int
    deep: bool

    @property
    def site(self) -> str:
        """The name of the place whose pictures look this way."""
        return SITES[self.style]


_VISITS = (
    [("standard",)] * 16
    + [("standard", "standard")] * 3
    + [("standard", "bedside")] * 3
    + [("bedside",)] * 5
    + [("bedside", "bedside")] * 4
    + [("film",)] * 4
    + [("film", "film")] * 3
    + [("child",)] * 3
    + [("child", "child")] * 3
)


def chest_cohort() -> list[ChestScan]:
    """44 patients with 60 scans (25 standard, 16 bedside, 10 film, 9 child), by file name."""
    rng = np.random.default_rng([SEED, 0])
    scans: list[ChestScan] = []
    for number, visit in enumerate(rng.permutation(len(_VISITS)), start=1):
        styles = _VISITS[visit]
        sex = str(rng.choice(["F", "M"]))
        age = int(rng.integers(1, 7) if "child" in styles else rng.integers(19, 89))
        for scan, style in enumerate(styles, start=1):
            scans.append(
                ChestScan(
                    filename=f"cxr_p{number:03d}_{scan}.png",
                    patient=number,
                    patient_id=f"P{number:03d}",
                    style=style,
                    sex=sex,
                    age=age,
                    scan=scan,
                    deep=style == "standard" and number % 6 == 0,
                )
            )
    return scans
