"""Pure functions from a snapshot to text: what the screens show, testable without a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from coldal_tui.project.pool import Budget
from coldal_tui.project.snapshot import Snapshot
from coldal_tui.visible import visible

BAR = 36
SHORT_BAR = 20
FILLED = (("labelled", "█"), ("exported", "▓"), ("queued", "▒"))
LEFT = "░"
CLUSTER_GLYPHS = "■▲●◆▼★"
SCORE_COLUMNS = ("H", "D", "S")


def head_text(snapshot: Snapshot, *, readonly: bool = False, stale: bool = False) -> Text:
    """Project, host, round, running jobs; ``stale``: since when nothing could be read."""
    text = Text(visible(snapshot.name), style="bold")
    text.append(f" · {snapshot.host}")
    if snapshot.rounds:
        text.append(f" · round {snapshot.rounds[-1].round}")
    for job in snapshot.jobs:
        if job.status == "running":
            share = "" if job.fraction is None else f" {job.fraction:.0%}"
            text.append(f" · ▶ {job.kind}{share}")
    at = snapshot.at[11:16]
    if stale:
        text.append(f" · can't be read; as of {at} UTC", style="bold reverse")
    else:
        text.append(f" · last change seen {at} UTC")
    if readonly:
        text.append(" · read only", style="bold")
    return text


def budget_cells(budget: Budget, width: int) -> list[int]:
    """Cells of the bar for labelled, out, queued and left; they add up to ``width``.

    Ends are rounded, not lengths, so that no sum of roundings overflows; what is there at all
    gets a cell as long as there is one to give.
    """
    total = max(budget.total, budget.spent)
    counts = [getattr(budget, name) for name, _ in FILLED]
    cells, end, seen = [], 0, 0
    for count in counts:
        seen += count
        reach = round(width * seen / total)
        cells.append(min(max(reach - end, 1 if count else 0), width - end))
        end += cells[-1]
    return [*cells, width - end]


def budget_bar(budget: Budget, width: int) -> str:
    glyphs = [glyph for _, glyph in FILLED] + [LEFT]
    cells = budget_cells(budget, width)
    return "".join(glyph * count for glyph, count in zip(glyphs, cells, strict=True))


def budget_text(snapshot: Snapshot) -> Text:
    """A bar of the budget, and the counts behind it with the glyphs that stand for them."""
    budget = snapshot.budget
    counts = "  ".join(
        f"{glyph} {getattr(budget, name):,} {'out' if name == 'exported' else name}"
        for name, glyph in FILLED
    )
    return Text(
        f"{budget_bar(budget, BAR)}\n{counts}\n{LEFT} {budget.left:,} of {budget.total:,} left"
    )


def budget_line(snapshot: Snapshot) -> Text:
    """The budget in one line, for a narrow screen."""
    budget = snapshot.budget
    return Text(
        f"{budget_bar(budget, SHORT_BAR)} {budget.labelled:,} labelled, {budget.exported:,} out, "
        f"{budget.queued:,} queued, {budget.left:,} of {budget.total:,} left"
    )


def clusters_text(snapshot: Snapshot) -> Text:
    """Size and coverage of every cluster; before the first selection, how to get there."""
    if not snapshot.clusters:
        return Text("none yet: coldal-tui select")
    first = snapshot.rounds[0]
    score = dict(first.silhouettes).get(first.k)
    lines = [f"k = {first.k}" + (f", silhouette {score:.2f}" if score is not None else "")]
    lines.append("         size  labelled  out  queued")
    for cluster in snapshot.clusters:
        glyph = CLUSTER_GLYPHS[cluster.id % len(CLUSTER_GLYPHS)]
        lines.append(
            f"{f'C{cluster.id + 1}':<3} {glyph} {cluster.size:>7,}"
            f"  {cluster.labelled:>8,}  {cluster.exported:>3}  {cluster.queued:>6}"
        )
    return Text("\n".join(lines))


def runs_text(snapshot: Snapshot) -> Text:
    """Dice of every run on the frozen validation scans, the newest last."""
    if not snapshot.runs:
        return Text("none yet")
    lines = ["run         labels    Dice  HD95"]
    for run in snapshot.runs:
        mean = run.mean or {}
        unit = next((values["unit"] for values in run.classes.values()), "")
        dice, distance = _fixed(mean.get("dice"), 3), _fixed(mean.get("hd95"), 1)
        lines.append(f"{run.run_id:<10} {run.labels:>7,}  {dice:>6} {distance:>5} {unit}".rstrip())
    return Text("\n".join(lines))


def next_text(snapshot: Snapshot) -> Text:
    text = Text("next: ", style="bold")
    text.append(snapshot.next.text)
    if snapshot.next.command:
        text.append(f"\n      {snapshot.next.command}", style="bold")
    return text


def queue_columns(snapshot: Snapshot) -> tuple[str, ...]:
    """The table's columns: no scores before the first scored round, no names before the first."""
    items = [item for item in snapshot.queue if item.status != "skipped"]
    scores = SCORE_COLUMNS if any(item.score is not None for item in items) else ()
    people = ("to",) if any(item.assignee for item in items) else ()
    return ("#", "scan", "cluster", "role", *scores, "status", *people)


def queue_rows(snapshot: Snapshot, columns: Sequence[str]) -> dict[str, tuple[Text, ...]]:
    """``scan_id → cells`` of ``columns`` for every scan in the queue, skipped ones left out."""
    rows = {}
    for item in snapshot.queue:
        if item.status == "skipped":
            continue
        cells = {
            "#": f"{item.round}.{item.rank}{'↑' if item.pinned else ''}",
            "scan": item.scan_id,
            "cluster": "–" if item.cluster is None else f"C{item.cluster + 1}",
            "role": item.role,
            "H": _fixed(item.entropy, 2),
            "D": _fixed(item.diversity, 2),
            "S": _fixed(item.score, 2),
            "status": item.status,
            "to": item.assignee or "–",
        }
        rows[item.scan_id] = tuple(Text(visible(cells[column])) for column in columns)
    return rows


def _fixed(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
