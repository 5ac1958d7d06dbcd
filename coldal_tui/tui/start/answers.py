"""The words of the new-project wizard: what was found, what is doubtful, what would be made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coldal_tui.errors import ColdalError
from coldal_tui.minutes_words import minutes_words
from coldal_tui.project.queue.budget import first_queue_size
from coldal_tui.project.scans.folder_preview import FEW_PATIENTS, FolderPreview, PatientChoice
from coldal_tui.project.settings.config import BudgetSection
from coldal_tui.visible import counted, visible

Line = tuple[str, bool]
"""A line, and whether it warns."""
FEW_SCANS = 20
SHOWN = 3


def found_lines(found: FolderPreview) -> list[Line]:
    """What lies in the folder, then what is doubtful about it."""
    if not found.scans:
        words = "no image that can be a scan"
        if found.refused:
            words += f"; {counted(len(found.refused), 'image')} can't be read or are refused:"
        return [(words, True), *_refused(found)]
    kinds = " and ".join(
        counted(count, {2: "picture", 3: "volume"}.get(axes, "scan"))
        for axes, count in sorted(found.dimensions.items())
    )
    scans = found.scans
    shapes = {scan.header.shape for scan in scans}
    size = "×".join(map(str, scans[0].header.shape))
    lines: list[Line] = [(f"{kinds}, {'all' if len(shapes) == 1 else 'such as'} {size}", False)]
    if len(found.dimensions) > 1:
        lines.append(
            ("pictures and volumes in one folder: a model learns from one kind only. Name a "
             "folder with one kind, or make a project for each", True)
        )  # fmt: skip
    if found.masks:
        named = ", ".join(found.mask_patterns[:SHOWN])
        lines.append(
            (f"{counted(len(found.masks), 'file')} look like masks of the others "
             f"({visible(named)}): no scans; import them once their scans are queued", True)
        )  # fmt: skip
    if found.cases is not None:
        ends = ", ".join(f"…{end}" for end in found.cases.endings[:5])
        lines.append(
            (f"{counted(found.cases.count, 'case')} in several files ({visible(ends)}): each file "
             "is a scan of its own. For one scan of several channels leave here, and use "
             f"coldal-tui init --channels {','.join(found.cases.endings)}", True)
        )  # fmt: skip
    if len(scans) < FEW_SCANS:
        lines.append((f"only {counted(len(scans), 'scan')}: choosing pays with many", True))
    if found.refused:
        lines.append(
            (f"{counted(len(found.refused), 'image')} can't be read or are refused:", True)
        )
        lines += _refused(found)
    if found.others:
        lines.append((f"{counted(found.others, 'other file')} passed over", False))
    return lines


def _refused(found: FolderPreview) -> list[Line]:
    shown = [(f"  {visible(p.rel_path)}: {visible(p.reason)}", False) for p in found.refused]
    more = len(shown) - SHOWN
    return shown[:SHOWN] + ([(f"  … and {more:,} more", False)] if more > 0 else [])


def choice_words(choice: PatientChoice) -> str:
    """A rule in one line: its name and its patients."""
    return visible(f"{choice.name}: {counted(choice.patients, 'patient')}")


def patient_lines(choice: PatientChoice, scans: int) -> list[Line]:
    """An example of what a rule gives, and whether it can be right."""
    path, patient = choice.example
    lines: list[Line] = [(f"for example {visible(path)}: patient {visible(patient)}", False)]
    if choice.unmatched:
        lines.append(
            (f"{counted(choice.unmatched, 'scan')} without a patient by it: each counts as a "
             "patient of its own", True)
        )  # fmt: skip
    if choice.patients < FEW_PATIENTS:
        few = "one patient" if choice.patients == 1 else f"{choice.patients} patients"
        lines.append(
            (f"only {few}: a patient is in training or in validation, never in both, so a model "
             "can hardly be measured", True)
        )  # fmt: skip
    elif choice.patients == scans:
        lines.append(
            ("every scan has a patient of its own: right only if nobody was scanned twice", False)
        )
    return lines


def class_lines(names: Sequence[str], values: Sequence[int]) -> list[Line]:
    """What the masks' values will mean; ``values``: those in masks that were found."""
    said = ", ".join(f"{value} = {visible(name)}" for value, name in enumerate(names, 1))
    lines: list[Line] = [(f"in masks: 0 = background, {said}", False)]
    if values:
        held = ", ".join(map(str, values[:10])) + (", …" if len(values) > 10 else "")
        fits = set(values) <= set(range(1, len(names) + 1))
        lines.append((f"the masks found beside the images hold: {held}", not fits))
        if not fits and len(names) == len(values):
            lines.append(("the import asks once which value is which class", False))
        elif len(names) < len(values):
            named = counted(len(names), "class", "classes")
            lines.append((f"that is {counted(len(values), 'value')} for {named}", True))
    return lines


@dataclass(frozen=True)
class Budget:
    """Scans and, where they are limited, too, people's minutes."""

    scans: int
    minutes: int | None = None


_BUDGET = re.compile(r"(\d+)(?: *scans?)?(?: *[, ] *(\d+) *min(?:utes?)?\.?)?")


def read_budget(words: str) -> Budget:
    """``100``, or ``100, 600 min``; ColdalError for anything else."""
    found = _BUDGET.fullmatch(words.strip())
    if found is None or not all(int(one) for one in found.groups() if one):
        raise ColdalError("a whole number of scans, 1 or more; with minutes: 100, 600 min")
    return Budget(int(found[1]), int(found[2]) if found[2] else None)


def budget_lines(budget: Budget, scans: int, patients: int) -> list[Line]:
    """What a budget means for the first queue."""
    total = budget.scans
    first = first_queue_size(BudgetSection(total=total))
    lines: list[Line] = [
        (f"the first queue has {counted(min(first, scans), 'scan')}; each later one as many", False)
    ]
    if budget.minutes is not None:
        lines.append(
            (f"{minutes_words(budget.minutes)} of people's work may end it sooner: each queue has "
             "only as many scans as fit", False)
        )  # fmt: skip
    if total > scans:
        lines.append((f"there are only {counted(scans, 'scan')}: all would be labelled", True))
    elif patients < FEW_PATIENTS:
        lines.append((f"only {counted(patients, 'patient')} in all: see question 2", True))
    return lines


def default_root(images: Path, here: Path) -> Path:
    """Where a project is made when nobody says: here, or below if here are other things."""
    images, here = images.absolute(), here.absolute()
    free = not any(one for one in here.iterdir() if not one.name.startswith("."))
    return here if free else here / f"{images.name or 'images'}-labeling"
