"""Scores labels to find those that need a second look; gives reasons, worst first.

A label's score is the minimum of a shape score and model scores, each from 0 to 1:

* shape: 1, less 0.1 for each speck, hole and empty slice in between (at most 0.3 for each of the
  three), less 0.05 where a class is cut by the image's border, which crops do for good reasons;
* model: the mean Dice with the newest out-of-sample prediction (cross-fitted for labels that
  trained; see ``agreement``), and, where its entropy map was kept, the softmin of how much the
  model believes in each pixel of the label.

A label that looks inverted (its background drawn in place of its object) is told among the reasons
and leaves the score as it is: more than half of it is drawn, and all of the image's border, while
half of the other labels or more draw at most 5 % of theirs; with fewer than three others, at least
90 % is drawn.

The softmin is that of cleanlab, ``segmentation.rank.get_label_quality_scores`` (temperature 0.1;
Lad and Mueller, 2023, arXiv:2307.05080): s = Σ p·w / Σ w with w = exp((1 − p) / 0.1), over the
pixels' probabilities p of the given class. Cleanlab has these from the model. Here only the most
probable class and the entropy h of a pixel are kept, so p is derived for C classes (background
included) as if the other classes shared the rest equally: 1 − h·(1 − 1/C) where the prediction is
the given class, h/C where it is not. The first falls with h, the second rises; both are exact at h
= 0 and h = 1, and with two classes the error is at most 0.17.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError
from coldal_tui.files import atomic_write, read_json_object, sha256_file
from coldal_tui.imaging.entropyfile import read_entropy
from coldal_tui.imaging.labelfile import IGNORE_LABEL, read_label
from coldal_tui.imaging.labelshape import (
    ClassShape,
    class_shapes,
    coverage,
    slice_axis,
    small_size,
)
from coldal_tui.project.labels.agreement import Agreement, read_agreements
from coldal_tui.project.labels.files import checked_label
from coldal_tui.project.project import Project
from coldal_tui.project.runs import entropy_beside

CACHE_FILE = "label-check.json"
TEMPERATURE = 0.1
_FORMULA = 2
"""Part of the cache's keys: scores of another formula are not taken for this one's."""
_SURE = 128
"""Entropy, of 255, below which a prediction counts as sure."""
_EACH, _MOST, _CUT = 0.1, 0.3, 0.05
_HALF, _NEARLY_ALL, _NEAR_NOTHING, _OTHERS = 0.5, 0.9, 0.05, 3
"""Of a label that looks inverted: the drawn share beside at least ``_OTHERS`` others whose border
share is near nothing, and the drawn share beside fewer."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class LabelCheck:
    """One label: ``score`` 0 (look at it) to 1, the mean Dice ``agreement`` if known, reasons.

    ``compared`` is the kind of that Dice (see ``project.measuring``). Where it is empty, the label
    was compared with nothing, and the score is that of its shape alone.
    """

    scan_id: str
    score: float
    agreement: float | None
    findings: tuple[str, ...]
    compared: str = ""


@dataclass(frozen=True)
class _Covered:
    """The drawn shares of a label and of the image's border."""

    drawn: float
    border: float


@dataclass(frozen=True)
class _Case:
    """A label to check, and the files it is compared with."""

    row: dict[str, Any]
    label: Path
    agreement: Agreement | None
    entropy: Path | None
    names: tuple[str, ...]

    @property
    def spacing(self) -> tuple[float, ...] | None:
        text = self.row["spacing"]
        return tuple(json.loads(text)) if text else None

    def key(self) -> str:
        """The cache key, made from all inputs. Raises OSError when a file is missing."""
        predicted = sha256_file(self.agreement.prediction) if self.agreement else "-"
        entropy = sha256_file(self.entropy) if self.entropy else "-"
        rest = json.dumps([_FORMULA, self.names, self.row["spacing"]])
        return f"{self.row['sha256']} {predicted} {entropy} {rest}"


def check_labels(
    project: Project,
    *,
    progress: Progress | None = None,
    agreements: Mapping[str, Agreement] | None = None,
    keep: bool = True,
    stop: Callable[[], bool] = lambda: False,
) -> list[LabelCheck]:
    """Check every active label; the worst first, equal scores by scan.

    A label that is missing, unreadable or was changed by hand scores 0, with the remedy; an
    unreadable prediction or entropy map is left out. Results are cached in ``.coldal/cache``; new
    ones are written there only with ``keep``. ``agreements``: the result of ``read_agreements``, if
    known. ``stop`` is called before each label; when it returns true, only the labels checked so
    far are returned.
    """
    if agreements is None:
        agreements = read_agreements(project, keep=keep)
    file = project.layout.cache / CACHE_FILE
    known = _load(file)
    used: dict[str, dict[str, Any]] = {}
    rows = project.store.rows(
        "SELECT l.scan_id, l.version, l.file, l.sha256, l.state, s.spacing FROM labels l "
        "JOIN scans s ON s.scan_id = l.scan_id WHERE l.state = 'active' ORDER BY l.scan_id"
    )
    found = []
    covered: dict[str, _Covered] = {}
    for done, row in enumerate(rows, start=1):
        if stop():
            used = known | used
            break
        agreement = agreements.get(row["scan_id"])
        found.append(_checked(project, row, agreement, known, used, covered))
        if progress is not None:
            progress(done, len(rows))
    if keep and used != known:
        # Without the cache, the next call is only slower.
        with contextlib.suppress(ColdalError):
            atomic_write(file, lambda stream: stream.write(json.dumps(used).encode()))
    found = _with_inverted(found, covered)
    return sorted(found, key=lambda check: (check.score, check.scan_id))


def _checked(
    project: Project,
    row: dict[str, Any],
    agreement: Agreement | None,
    known: Mapping[str, dict[str, Any]],
    used: dict[str, dict[str, Any]],
    covered: dict[str, _Covered],
) -> LabelCheck:
    scan_id = row["scan_id"]
    try:
        label = checked_label(project, row)
    except ColdalError as error:
        return LabelCheck(scan_id, 0.0, None, (f"{error.what}: {error.remedy}",))
    entropy = entropy_beside(agreement.prediction, scan_id) if agreement else None
    case = _Case(row, label, agreement, entropy, project.config.classes.names)
    try:
        key = case.key()
        kept = known.get(key)
        if kept is None:
            score, findings, (drawn, border) = _examine(case)
            kept = {"score": score, "findings": list(findings), "drawn": drawn, "border": border}
    except ColdalError as error:
        return LabelCheck(scan_id, 0.0, None, (error.what,))
    except OSError as error:
        return LabelCheck(scan_id, 0.0, None, (f"it can't be read: {error.strerror}",))
    used[key] = kept
    covered[scan_id] = _Covered(kept["drawn"], kept["border"])
    mean, kind = (agreement.mean, agreement.kind) if agreement else (None, "")
    return LabelCheck(scan_id, kept["score"], mean, tuple(kept["findings"]), kind)


def _with_inverted(
    checks: Sequence[LabelCheck], covered: Mapping[str, _Covered]
) -> list[LabelCheck]:
    """The checks, with a further reason for labels that look inverted."""
    low = sorted(one.border for one in covered.values() if one.drawn)
    found = []
    for check in checks:
        own = covered.get(check.scan_id)
        words = None if own is None else _inverted(own, low)
        found.append(replace(check, findings=(*check.findings, words)) if words else check)
    return found


def _inverted(own: _Covered, borders: Sequence[float]) -> str | None:
    """Why a label looks inverted, or None.

    ``borders`` are the border shares of all labels with a drawing, ascending, its own among them.
    """
    if own.border < 1 or own.drawn <= _HALF:
        return None
    words = f"it looks inverted: {own.drawn:.0%} of it is drawn, and the image's whole border"
    # Its own is the largest there can be, so the last.
    others = borders[:-1]
    if len(others) < _OTHERS:
        return words if own.drawn >= _NEARLY_ALL else None
    if others[(len(others) - 1) // 2] > _NEAR_NOTHING:
        return None
    return f"{words}, which other labels leave free"


def _examine(case: _Case) -> tuple[float, tuple[str, ...], tuple[float, float]]:
    """The score, the reasons, and the drawn shares (see ``coverage``).

    Raises ImageError when the label can't be read.
    """
    label = read_label(case.label)
    axis = slice_axis(label.shape, case.spacing)
    shapes = class_shapes(label, len(case.names), axis)
    findings = [
        words for number, shape in shapes.items() for words in told(case.names[number - 1], shape)
    ]
    score = shape_score(list(shapes.values()))
    if case.agreement is not None:
        score = min(score, case.agreement.mean)
        counts = _believed(case, label)
        if counts is not None:
            score = min(score, softmin(*counts, classes=len(case.names) + 1))
            doubted = int(counts[1][:_SURE].sum())
            if doubted >= small_size(0, label.ndim):
                run = case.agreement.run_id
                findings.append(f"{run} surely sees something else on {doubted:,} {_unit(label)}")
    return score, tuple(findings), coverage(label)


def _unit(label: NDArray[np.uint8]) -> str:
    return "pixels" if label.ndim == 2 else "voxels"


def shape_score(shapes: list[ClassShape]) -> float:
    """The shape score: 1 less the deductions for all classes."""
    counts = [sum(getattr(s, kind) for s in shapes) for kind in ("specks", "holes", "gaps")]
    lost = sum(min(_EACH * count, _MOST) for count in counts)
    cut = any(shape.cut for shape in shapes)
    return float(1 - lost - _CUT * cut)


def told(name: str, shape: ClassShape) -> list[str]:
    """The findings about a class in words."""

    def count(number: int, one: str, many: str) -> str:
        return f"{name}: {number:,} {one if number == 1 else many}"

    found = []
    if shape.gaps:
        found.append(count(shape.gaps, "empty slice in between", "empty slices in between"))
    if shape.specks:
        found.append(count(shape.specks, "speck", "specks"))
    if shape.holes:
        found.append(count(shape.holes, "small hole", "small holes"))
    if shape.cut:
        found.append(f"{name}: {shape.border:.0%} of the outline is the image's border")
    return found


def _believed(
    case: _Case, label: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Histograms of entropy: of the pixels predicted as labelled, and of the others.

    None without an entropy map that fits. Entropy has 256 values, so the softmin needs only these
    counts, and memory does not grow with the volume.
    """
    if case.agreement is None or case.entropy is None:
        return None
    try:
        predicted, entropy = read_label(case.agreement.prediction), read_entropy(case.entropy)
    except ColdalError:
        return None
    if not predicted.shape == entropy.shape == label.shape:
        return None
    counted = label != IGNORE_LABEL
    same = predicted == label
    return (
        np.bincount(entropy[counted & same], minlength=256),
        np.bincount(entropy[counted & ~same], minlength=256),
    )


def softmin(same: NDArray[np.int64], other: NDArray[np.int64], *, classes: int) -> float:
    """Cleanlab's softmin of the given classes' probabilities; 1 when there are no pixels.

    Parameters
    ----------
    same, other : (256,) pixels by entropy (0 to 255 for 0 to 1): those whose prediction is the
        given class, and the others.
    classes : C, with the background.
    """
    entropy = np.arange(256) / 255
    given = np.concatenate([1 - entropy * (1 - 1 / classes), entropy / classes])
    weights = np.concatenate([same, other]) * np.exp((1 - given) / TEMPERATURE)
    total = weights.sum()
    return float((given * weights).sum() / total) if total else 1.0


def _load(file: Path) -> dict[str, dict[str, Any]]:
    """The content of the cache; empty when it is missing or invalid."""
    return {key: value for key, value in read_json_object(file).items() if _is_kept(value)}


def _is_kept(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(key), (int, float)) for key in ("score", "drawn", "border"))
        and isinstance(value.get("findings"), list)
        and all(isinstance(words, str) for words in value["findings"])
    )
