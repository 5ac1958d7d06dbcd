"""Makes the joint label of several people's drawings of a scan by a rule."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.incoming.consensus import MOST_RATERS, agreed, majority, staple
from coldal_tui.exchange.incoming.verdict import Verdict
from coldal_tui.exchange.masks.label_summary import Drawn
from coldal_tui.imaging.labelfile import read_label
from coldal_tui.project.labels.raters.drawings import Drawing
from coldal_tui.visible import counted


def joint_verdict(
    scan_id: str,
    rule: str,
    drawings: Sequence[tuple[Drawing, Path]],
    *,
    confirm_empty: bool = False,
) -> Verdict:
    """The joint label of drawings (with their files) as an accepted verdict that holds its pixels.

    Raises ColdalError: an unreadable or odd file (as ``read_label``; ``raters``), or a joint label
    that shows no class although somebody drew one (``empty``), unless ``confirm_empty``.
    """
    # One order for any order of arrival: STAPLE's sums depend on it in the last digit.
    ordered = sorted(drawings, key=lambda one: (one[0].author, one[0].sha256))
    people = ", ".join(one.author for one, _ in ordered)
    if len(ordered) > MOST_RATERS:
        raise ColdalError(
            f"a joint label takes at most {MOST_RATERS} people's drawings",
            where=scan_id,
            remedy="pick one person's: coldal-tui labels adjudicate",
            code="raters",
        )
    labels = [read_label(path) for _, path in ordered]
    if len({label.shape for label in labels}) != 1:
        raise ColdalError(
            f"the drawings of {people} have different sizes",
            where=scan_id,
            remedy="import them again: the image has changed since",
            code="raters",
        )
    label, note = join_labels(labels, rule)
    drawn = Drawn.of(label)
    if drawn.classes == 0 and not confirm_empty and any(Drawn.of(one).classes for one in labels):
        raise ColdalError(
            f"the {rule} of {people} shows no class",
            where=scan_id,
            remedy="pick one person's drawing: coldal-tui labels adjudicate SCAN --pick NAME",
            code="empty",
        )
    made = hashlib.sha256(rule.encode())
    for one, _ in ordered:
        made.update(f"\n{one.author} {one.sha256}".encode())
    return Verdict(
        "accepted",
        Path(f"{rule} of {people}"),
        made.hexdigest(),
        scan_id,
        label=label,
        drawn=drawn,
        geometry="match",
        key=rule,
        format=rule,
        tool=rule,
        source=f"{rule} of {people}",
        notes=(f"the {rule} of {counted(len(ordered), 'drawing')}: {people}", *note),
    )


def join_labels(
    labels: Sequence[NDArray[np.uint8]], rule: str
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Labels of one shape joined by ``majority``, ``staple`` or ``ignore``, and notes on it."""
    if rule == "staple":
        return staple(labels), ()
    if rule == "majority":
        label, count = majority(labels)
        return label, (f"{count} pixels had no majority: ignored",) if count else ()
    label, count = agreed(labels)
    return label, (f"{count} pixels were drawn differently: ignored",) if count else ()
