"""Pure functions from a snapshot to text: what the screens show, testable without a terminal."""

from __future__ import annotations

from rich.text import Text

from coldal_tui.project.snapshot import Snapshot

BAR = 36
FILLED = (("labelled", "█"), ("exported", "▓"), ("queued", "▒"))
CLUSTER_GLYPHS = "■▲●◆▼★"


def head_text(snapshot: Snapshot, *, readonly: bool = False) -> Text:
    """Project, host, round, age of the data, running jobs."""
    text = Text(snapshot.name, style="bold")
    text.append(f" · {snapshot.host}")
    if snapshot.rounds:
        text.append(f" · round {snapshot.rounds[-1].round}")
    for job in snapshot.jobs:
        if job.status == "running":
            share = "" if job.fraction is None else f" {job.fraction:.0%}"
            text.append(f" · ▶ {job.kind}{share}")
    text.append(f" · as of {snapshot.at[11:16]} UTC")
    if readonly:
        text.append(" · read only", style="bold")
    return text


def budget_text(snapshot: Snapshot) -> Text:
    """A bar of the budget, and the counts behind it."""
    budget = snapshot.budget
    text = Text()
    drawn = 0
    for name, glyph in FILLED:
        cells = round(BAR * getattr(budget, name) / max(budget.total, budget.spent))
        text.append(glyph * cells)
        drawn += cells
    text.append("░" * max(0, BAR - drawn))
    text.append(
        f"\n{budget.labelled:,} labelled  {budget.exported:,} out  {budget.queued:,} queued"
        f"\n{budget.left:,} of {budget.total:,} left"
    )
    return text


def clusters_text(snapshot: Snapshot) -> Text:
    """Size and coverage of every cluster; before the first selection, how to get there."""
    if not snapshot.clusters:
        return Text("none yet: coldal-tui select")
    text = Text()
    first = snapshot.rounds[0]
    score = dict(first.silhouettes).get(first.k)
    text.append(f"k = {first.k}" + (f", silhouette {score:.2f}" if score is not None else ""))
    for cluster in snapshot.clusters:
        glyph = CLUSTER_GLYPHS[cluster.id % len(CLUSTER_GLYPHS)]
        out = cluster.queued + cluster.exported
        text.append(
            f"\nC{cluster.id + 1:<2} {glyph} {cluster.size:>7,}"
            f"  {cluster.labelled:>4} ●  {out:>4} ○"
        )
    return text


def next_text(snapshot: Snapshot) -> Text:
    text = Text("next: ", style="bold")
    text.append(snapshot.next.text)
    if snapshot.next.command:
        text.append(f"\n      {snapshot.next.command}", style="bold")
    return text


def queue_rows(snapshot: Snapshot) -> list[tuple[Text, ...]]:
    """One row of cells per scan in the queue, skipped ones left out."""
    rows = []
    for item in snapshot.queue:
        if item.status == "skipped":
            continue
        cluster = "–" if item.cluster is None else f"C{item.cluster + 1}"
        cells = (
            f"{item.round}.{item.rank}",
            item.scan_id,
            cluster,
            item.role,
            _two(item.entropy),
            _two(item.diversity),
            _two(item.score),
            item.status,
            item.assignee or "–",
        )
        rows.append(tuple(Text(cell) for cell in cells))
    return rows


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
