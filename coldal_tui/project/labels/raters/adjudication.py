"""Disputes: scans whose drawings differ, by size, and a person's decision on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.exchange.incoming.verdict import Verdict
from coldal_tui.exchange.names import person_key
from coldal_tui.project.database.store import Row
from coldal_tui.project.labels.files import checked_label, tidy_label_files
from coldal_tui.project.labels.raters.comparing import Comparer, pairs_of
from coldal_tui.project.labels.raters.drawings import (
    BY_PERSON,
    DRAWN,
    RULES,
    SUPERSEDED,
    Standing,
    drawing_rows,
    newest_by_person,
    read_disputes,
    read_standings,
    standing_of,
)
from coldal_tui.project.labels.raters.joint_label import joint_verdict
from coldal_tui.project.labels.staging import LabelWriter, Stager
from coldal_tui.project.labels.targets import targets
from coldal_tui.project.project import Project
from coldal_tui.visible import counted, listed

CONSENSUS = "consensus"


@dataclass(frozen=True)
class Dispute:
    """A scan whose drawings differ.

    ``people`` in the order in which they came: the first is A, the second B. ``differing`` is the
    largest number of pixels or voxels on which two of them differ, ``dice`` the smallest mean Dice
    of two; both None when a file can't be read. ``label_by``: whose drawing is the label meanwhile,
    ``joint`` for one of several people, empty where there is none. ``sent_to``: people who are to
    draw it, too, and whose drawing is still out.
    """

    scan_id: str
    people: tuple[str, ...]
    differing: int | None
    dice: float | None
    label_by: str
    sent_to: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Waiting:
    """A scan of which drawings are back and others still out: ``back`` is such as 1 of 2 back."""

    scan_id: str
    back: str
    people: tuple[str, ...]
    missing: tuple[str, ...]


def list_disputes(project: Project, *, keep: bool = True) -> list[Dispute]:
    """The disputed scans, the largest dispute first; ``keep`` writes the comparisons' cache."""
    comparer = Comparer(project)
    found = [
        _dispute(project, comparer, scan_id, standing)
        for scan_id, standing in read_disputes(project.store).items()
    ]
    if keep:
        comparer.save()
    return sorted(found, key=lambda one: (-(one.differing or 0), one.scan_id))


def list_waiting(project: Project) -> list[Waiting]:
    """The scans that wait for further people, in ``scan_id`` order."""
    return [
        Waiting(scan_id, one.back, tuple(d.author for d in one.drawings), one.missing)
        for scan_id, one in read_standings(project.store).items()
        if one.waits
    ]


def _dispute(project: Project, comparer: Comparer, scan_id: str, standing: Standing) -> Dispute:
    rows = list(newest_by_person(drawing_rows(project.store, scan_id)).values())
    made = [comparer.compare(a, b) for a, b in pairs_of(rows)]
    pairs = [one for one in made if one is not None]
    label = standing.label
    return Dispute(
        scan_id,
        tuple(str(row["author"]) for row in rows),
        max((one.differing for one in pairs), default=None),
        min((one.dice for one in pairs), default=None),
        "" if label is None else label.author or "joint",
        standing.third,
    )


def drawings_of(project: Project, scan_id: str) -> dict[str, Row]:
    """The newest drawing of each person by name, in the order in which they came.

    Raises UsageError when nobody's drawing is stored.
    """
    project.scan(scan_id)
    found = newest_by_person(drawing_rows(project.store, scan_id))
    if not found:
        raise UsageError(
            "nobody's drawing of this scan is stored",
            where=scan_id,
            remedy="coldal-tui labels adjudicate lists the scans in dispute",
            code="no-drawing",
        )
    return {str(row["author"]): row for row in found.values()}


def chosen_person(drawings: Mapping[str, Row], pick: str, scan_id: str) -> str:
    """The person that ``pick`` names: a name, or A for the first who returned it, B, C, …

    Raises UsageError when there is none.
    """
    for name in drawings:
        if person_key(name) == person_key(pick):
            return name
    letter = ord(pick.upper()) - ord("A") if len(pick) == 1 else -1
    if 0 <= letter < len(drawings):
        return list(drawings)[letter]
    raise UsageError(
        f"{pick!r} drew nothing of this scan",
        where=scan_id,
        remedy=f"pick {lettered(drawings)}, or consensus",
        code="no-drawing",
    )


def lettered(people: Mapping[str, Any] | Sequence[str]) -> str:
    """People with their letters: ``A (ana) or B (ben)``."""
    return " or ".join(f"{chr(ord('A') + n)} ({name})" for n, name in enumerate(people))


def adjudicate(
    project: Project,
    scan_ids: Sequence[str],
    pick: str,
    *,
    rule: str = "",
    confirm_empty: bool = False,
) -> dict[str, str]:
    """Decide on scans: ``pick`` is a person, a letter, or ``consensus``; one undoable action.

    The chosen drawing, or the joint label by ``rule`` (default: the project's, else majority),
    becomes the label; no drawing is deleted. Returns what counts now, in words, by scan.

    Raises UsageError or ColdalError when one of the scans can't be decided: nothing is changed.
    """
    wanted = list(dict.fromkeys(scan_ids))
    by_scan = {scan_id: drawings_of(project, scan_id) for scan_id in wanted}
    if person_key(pick) == CONSENSUS:
        own = project.config.raters.consensus
        return _jointly(
            project, by_scan, rule or (own if own in RULES else "majority"), confirm_empty
        )
    chosen = {s: chosen_person(drawings, pick, s) for s, drawings in by_scan.items()}
    for scan_id, name in chosen.items():
        checked_label(project, by_scan[scan_id][name])
    with project.store.action("adjudicate", scans=wanted, pick=pick) as action:
        writer = LabelWriter(project)
        for scan_id, name in chosen.items():
            _check_same(project, scan_id, by_scan[scan_id])
            writer.let_count(scan_id, by_scan[scan_id][name]["version"], BY_PERSON)
            close(project, scan_id)
        names = listed(list(dict.fromkeys(chosen.values())))
        action.summary = f"decided on {counted(len(wanted), 'scan')}: {names}"
    tidy_label_files(project)
    return {scan_id: f"the drawing of {name}" for scan_id, name in chosen.items()}


def _jointly(
    project: Project, by_scan: Mapping[str, Mapping[str, Row]], rule: str, confirm_empty: bool
) -> dict[str, str]:
    scans = [target for target in targets(project) if target.scan_id in by_scan]
    with Stager(project, scans) as stager:
        made: dict[str, Verdict] = {}
        for scan_id, drawings in by_scan.items():
            standing = standing_of(project.store, scan_id)
            pairs = [
                (one, checked_label(project, drawings[one.author])) for one in standing.drawings
            ]
            if len(pairs) < 2:
                raise UsageError(
                    "a consensus needs two people's drawings",
                    where=scan_id,
                    remedy=f"pick {lettered(drawings)}",
                    code="raters",
                )
            verdict = joint_verdict(scan_id, rule, pairs, confirm_empty=confirm_empty)
            made[scan_id] = replace(verdict, label=None, stored=stager.stage(verdict))
        stager.sync()
        with project.store.action("adjudicate", scans=list(by_scan), pick=rule) as action:
            writer = LabelWriter(project)
            for scan_id, verdict in made.items():
                _check_same(project, scan_id, by_scan[scan_id])
                writer.let_count(scan_id, writer.join(verdict, verdict.stored), rule)
                close(project, scan_id)
            writer.sync()
            action.summary = f"decided on {counted(len(made), 'scan')}: {rule}"
    tidy_label_files(project)
    return {scan_id: verdict.origin for scan_id, verdict in made.items()}


def _check_same(project: Project, scan_id: str, seen: Mapping[str, Row]) -> None:
    """ColdalError (``stale``) when a drawing has come since the person looked."""
    now = newest_by_person(drawing_rows(project.store, scan_id)).values()
    if [row["version"] for row in now] != [row["version"] for row in seen.values()]:
        raise ColdalError(
            "another drawing of this scan has come meanwhile",
            where=scan_id,
            remedy="look at it, then decide again",
            code="stale",
        )


def close(project: Project, scan_id: str) -> None:
    """Nothing is open about a scan's drawings any more (inside an action)."""
    project.store.update(
        "labels", {"scan_id": scan_id, "state": DRAWN, "purpose": ""}, state=SUPERSEDED
    )


def drawing_files(project: Project, scan_id: str) -> list[tuple[str, Path]]:
    """Everybody's drawing of a scan with its file, checked, in the order in which they came."""
    return [
        (name, checked_label(project, row)) for name, row in drawings_of(project, scan_id).items()
    ]
