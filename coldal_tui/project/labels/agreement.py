"""Agreement of labels and predictions as Dice, cached by the contents of both files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError
from coldal_tui.files import atomic_write, read_json_object, sha256_file
from coldal_tui.imaging.labelfile import IGNORE_LABEL, read_label
from coldal_tui.project.labels.files import checked_label
from coldal_tui.project.measuring import KINDS, TEST_THEN_TRAIN
from coldal_tui.project.project import Project
from coldal_tui.project.runs import out_of_sample, runs_newest_first

CACHE_FILE = "agreement.json"


@dataclass(frozen=True)
class Agreement:
    """One label compared with a prediction of ``run_id`` by a network that did not train on it.

    ``kind`` says by which: a network of its cross-fitting, the run itself on a frozen scan, or the
    run itself before the label was known (see ``project.measuring``).
    ``classes`` has the Dice of each class by name; ``mean`` is their mean.
    """

    run_id: str
    prediction: Path
    classes: dict[str, float]
    kind: str = KINDS[TEST_THEN_TRAIN]

    @property
    def mean(self) -> float:
        return sum(self.classes.values()) / len(self.classes)


def dice_of_classes(
    predicted: NDArray[np.uint8], label: NDArray[np.uint8], names: Sequence[str]
) -> dict[str, float]:
    """Dice of each class of one scan: 1 when both are empty; ignored pixels don't count.

    Parameters
    ----------
    predicted, label : label maps of one shape; class n of ``names`` is stored as n + 1.
    """
    counted = label != IGNORE_LABEL
    found = {}
    for number, name in enumerate(names, start=1):
        ours, theirs = (predicted == number) & counted, label == number
        both = np.count_nonzero(ours & theirs)
        total = np.count_nonzero(ours) + np.count_nonzero(theirs)
        found[name] = 2 * both / total if total else 1.0
    return found


def read_agreements(
    project: Project,
    *,
    keep: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Agreement]:
    """The agreement of each label with a run that did not train on it, by scan.

    Unreadable labels and predictions are left out, and labels that differ from the accepted file
    (``quality.check_labels`` reports those). Results are cached in ``.coldal/cache``; new ones are
    written there only with ``keep``.
    """
    names = project.config.classes.names
    file = project.layout.cache / CACHE_FILE
    known = _load(file)
    used: dict[str, dict[str, float]] = {}
    found: dict[str, Agreement] = {}
    pairs = _pairs(project)
    for done, (row, run_id, predicted, kind) in enumerate(pairs, start=1):
        classes = _measured(project, row, predicted, names, known, used)
        if classes is not None:
            found[row["scan_id"]] = Agreement(run_id, predicted, classes, kind)
        if progress is not None:
            progress(done, len(pairs))
    if keep and used != known:
        # Without the cache, the next call is only slower.
        with contextlib.suppress(ColdalError):
            atomic_write(file, lambda stream: stream.write(json.dumps(used).encode()))
    return found


def _pairs(project: Project) -> list[tuple[dict[str, Any], str, Path, str]]:
    """Each label with the newest run that predicted its scan out of sample, and how it did."""
    runs = runs_newest_first(project)
    rows = project.store.rows(
        "SELECT scan_id, version, file, sha256, state FROM labels WHERE state = 'active' "
        "ORDER BY scan_id"
    )
    pairs = []
    for row in rows:
        for run in runs:
            found = out_of_sample(project, run, row["scan_id"])
            if found is not None:
                predicted, split = found
                pairs.append((row, run["run_id"], predicted, KINDS[split]))
                break
    return pairs


def _measured(
    project: Project,
    row: dict[str, Any],
    predicted: Path,
    names: Sequence[str],
    known: dict[str, dict[str, float]],
    used: dict[str, dict[str, float]],
) -> dict[str, float] | None:
    try:
        label = checked_label(project, row)
        key = f"{row['sha256']} {sha256_file(predicted)} {json.dumps(list(names))}"
        classes = known.get(key)
        if classes is None:
            masks = read_label(predicted), read_label(label)
            if masks[0].shape != masks[1].shape:
                return None
            classes = dice_of_classes(*masks, names)
    except (ColdalError, OSError):
        return None
    used[key] = classes
    return classes


def _load(file: Path) -> dict[str, dict[str, float]]:
    """The content of the cache; empty when it is missing or invalid."""
    return {
        key: {name: float(value) for name, value in classes.items()}
        for key, classes in read_json_object(file).items()
        if isinstance(classes, dict)
        and all(isinstance(value, (int, float)) for value in classes.values())
    }
