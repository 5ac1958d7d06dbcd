"""Collects what a data card says of a project: the flow of scans, the rounds, who drew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from coldal_tui.exchange.release.data_card import FlowStep, RoundFacts
from coldal_tui.project.project import Project
from coldal_tui.project.queue.candidates import CANDIDATE, HELD_OUT, scan_statuses

_ON_THE_WAY = {
    "excluded": "excluded by a person",
    "missing": "with an image that is gone",
    "duplicate": "copies of another scan",
}
_NOT_LABELLED = {
    CANDIDATE: "never chosen for labelling",
    HELD_OUT: "of validation patients, not chosen",
    "queued": "chosen, not handed out yet",
    "exported": "handed out, not back yet",
    "skipped": "skipped",
}


def read_flow(project: Project, released: Sequence[str]) -> tuple[FlowStep, ...]:
    """From the files to the released scans: what went on, and what dropped out where.

    Each step is the one before less what is left out between them.
    """
    statuses = scan_statuses(project)
    counts = Counter(statuses.values())
    reasons = _exclusions(project)
    files = [
        FlowStep(f"files: {words}", count, left_out=True)
        for words, count in _file_problems(project)
    ]
    before = [
        FlowStep(words + (f" ({reasons})" if status == "excluded" and reasons else ""), n, True)
        for status, words in _ON_THE_WAY.items()
        if (n := counts[status])
    ]
    after = [
        FlowStep(words, counts[status], left_out=True)
        for status, words in _NOT_LABELLED.items()
        if counts[status]
    ]
    labelled = counts["labelled"]
    lost = labelled - len(released)
    usable = len(statuses) - sum(step.scans for step in before)
    return (
        FlowStep("scans found", len(statuses)),
        *files,
        *before,
        FlowStep("usable scans", usable),
        *after,
        FlowStep("scans with a label", labelled),
        *([FlowStep("labelled, but excluded or gone since", lost, left_out=True)] if lost else []),
        FlowStep("scans released", len(released)),
    )


def _exclusions(project: Project) -> str:
    rows = project.store.rows(
        "SELECT excluded, count(*) AS n FROM scans WHERE excluded IS NOT NULL AND excluded != '' "
        "AND scan_id NOT IN (SELECT scan_id FROM labels WHERE state = 'active') "
        "GROUP BY excluded ORDER BY n DESC, excluded"
    )
    return "; ".join(f"{row['excluded']}: {row['n']}" for row in rows[:5])


def _file_problems(project: Project) -> Iterator[tuple[str, int]]:
    """Files that became no scan. They are no part of the scans found."""
    rows = project.store.rows(
        "SELECT kind, count(*) AS n FROM problems GROUP BY kind ORDER BY kind"
    )
    for row in rows:
        yield str(row["kind"]).replace("-", " "), row["n"]


def read_rounds(project: Project, released: Sequence[str]) -> tuple[RoundFacts, ...]:
    """The rounds that have been picked, oldest first."""
    here = set(released)
    queue = project.store.rows("SELECT scan_id, round FROM queue")
    picked = Counter(row["round"] for row in queue)
    kept = Counter(row["round"] for row in queue if row["scan_id"] in here)
    return tuple(
        RoundFacts(
            row["round"],
            row["strategy"],
            row["seed"],
            row["alpha"],
            picked[row["round"]],
            kept[row["round"]],
        )
        for row in project.store.rows("SELECT round, strategy, seed, alpha FROM rounds ORDER BY 1")
    )


def read_encoder(project: Project) -> str | None:
    """The encoder of the map that the first round was picked on."""
    value = project.store.value(
        "SELECT e.name FROM rounds r JOIN maps m ON m.map_id = r.map_id "
        "JOIN encoders e ON e.encoder_hash = m.encoder_hash ORDER BY r.round"
    )
    return None if value is None else str(value)


def named_raters(authors: Sequence[str | None]) -> dict[str, str]:
    """A neutral name for each author: ``rater-1``, ``rater-2``, … in the order of their names."""
    names = sorted({name for name in authors if name})
    return {name: f"rater-{number}" for number, name in enumerate(names, start=1)}


def count_raters(raters: Sequence[str | None]) -> dict[str, int]:
    """Labels per rater; those without an author as ``unknown``, last."""
    counts: Mapping[str, int] = Counter(name or "unknown" for name in raters)
    return dict(sorted(counts.items(), key=lambda one: (one[0] == "unknown", one[0])))
