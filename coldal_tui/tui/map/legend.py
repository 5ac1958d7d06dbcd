"""The lines below the map: the legend, and the facts about one scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from coldal_tui.project.views.map_view import MapView
from coldal_tui.project.views.snapshot import QueueItem, Snapshot
from coldal_tui.tui.drawing.glyphs import Look
from coldal_tui.tui.drawing.scatter import LEVELS
from coldal_tui.tui.drawing.scatter_cells import ink_of
from coldal_tui.tui.map.colouring import CLUSTER, STATUS, STEPS, Colouring, title_of
from coldal_tui.tui.map.model import MapModel
from coldal_tui.tui.map.selection import counts_text
from coldal_tui.visible import visible

PLAIN, MUTED, MARK, HERE = "plain", "muted", "mark", "here"
Part = tuple[str, int | str]
"""Text, and its ink on the map or the name of a style."""
Entry = tuple[Part, ...]
GAP = "  "
MAKING = ("index", "embed", "map", "select")
EVERYTHING = 1_000_000
"""Wide enough for any legend."""
SHORTEST = 20
"""Cells that a scan's name keeps."""
LONGEST = 24
"""Cells of a name in the legend."""
LEGEND_FROM, LEGENDS_FROM = 7, 14
"""Rows of the pane from which there is one line of legend, and two."""


@dataclass(frozen=True)
class About:
    """The facts about the scan under the cursor; ``facts`` are names with values."""

    scan_id: str
    cluster: int | None
    status: str
    item: QueueItem | None
    facts: tuple[tuple[str, str], ...]
    others: int


def kind_entries(colouring: Colouring, look: Look, glyphs: bool) -> list[Entry]:
    """Glyph, word and count of each kind; a scale as its two ends and steps."""
    top = LEVELS - 1
    entries: list[Entry] = []
    kinds = list(enumerate(colouring.kinds))
    if colouring.ends is not None:
        low, high = numbers(*colouring.ends)
        block = look.bar[-1] * 2
        steps = [(str(n) if glyphs else block, ink_of(n, top)) for n in range(STEPS)]
        entries.append(((f"{title_of(colouring.name)} {low} ", PLAIN), *steps, (f" {high}", PLAIN)))
        kinds = kinds[STEPS:]
    for n, kind in kinds:
        if kind.count:
            word = shorten(visible(kind.word), LONGEST, look)
            glyph, count = (kind.glyph, ink_of(n, top)), (f" {kind.count:,}", MUTED)
            entries.append((glyph, (f" {word}", PLAIN), count))
    return entries


def mark_entries(marked: Mapping[str, int], colouring: Colouring, look: Look) -> list[Entry]:
    """The marks on the map with their counts, without those that the kinds already show."""
    shown = () if colouring.name == STATUS else ("labelled", "exported", "queued")
    marks = [(look.state(name), name, marked[name]) for name in shown]
    marks.append((look.medoid, "medoid", marked["medoid"]))
    marks.append((look.mark, f"same {title_of(colouring.name)}", marked["same"]))
    return [
        ((glyph, MARK), (f" {name}", PLAIN), (f" {count:,}", MUTED))
        for glyph, name, count in marks
        if count > (glyph == look.mark)
    ]


def legend_groups(model: MapModel, width: int, height: int, look: Look) -> list[list[Entry]]:
    """The entries of each legend line that fits a pane of ``width`` by ``height``."""
    if height < LEGEND_FROM:
        return []
    kinds = kind_entries(model.colouring, look, not model.in_dots)
    marked = model.marked() if model.marks else {}
    marks = mark_entries(marked, model.colouring, look) if marked else []
    together = [*kinds, *marks]
    whole = length(fitting(together, EVERYTHING, look))
    if height < LEGENDS_FROM or whole <= width or not marks:
        return [together]
    return [kinds, marks]


def legend_line(entries: Sequence[Entry], width: int, look: Look) -> list[Part]:
    """Entries in one line; counts are left out if only then all entries fit."""
    bare = [tuple(part for part in entry if part[1] != MUTED) for entry in entries]
    for tried in (entries, bare):
        if length(fitting(tried, EVERYTHING, look)) <= width:
            return fitting(tried, width, look)
    return fitting(entries, width, look)


def fitting(entries: Sequence[Entry], width: int, look: Look, *, count: bool = True) -> list[Part]:
    """As many entries as fit into one line; ``count`` adds how many are left out."""
    for kept in range(len(entries), 0, -1):
        parts = [part for n, entry in enumerate(entries[:kept]) for part in _spaced(entry, n)]
        if count and kept < len(entries):
            parts.append((f"{GAP}{look.ellipsis} {len(entries) - kept:,} more", MUTED))
        if length(parts) <= width:
            return parts
    return []


def _spaced(entry: Entry, n: int) -> Entry:
    return ((GAP, PLAIN), *entry) if n else entry


def length(entry: Sequence[Part]) -> int:
    return sum(cell_len(text) for text, _ in entry)


def about_line(about: About, width: int, look: Look) -> list[Part]:
    """The line about a scan, most important first: what does not fit is cut from the end."""
    facts = about_entries(about, look)
    over = length(fitting([_who(about, EVERYTHING, look), *facts], EVERYTHING, look)) - width
    room = max(SHORTEST, cell_len(visible(about.scan_id)) - max(0, over))
    return fitting([_who(about, room, look), *facts], width, look, count=False)


def _who(about: About, room: int, look: Look) -> Entry:
    return ((look.here, HERE), (f" {shorten(visible(about.scan_id), room, look)}", MARK))


def about_entries(about: About, look: Look) -> list[Entry]:
    """The facts about a scan, without its name."""
    entries: list[Entry] = []
    if about.cluster is not None:
        name = f" C{about.cluster + 1}"
        glyph = look.cluster_glyph(about.cluster)
        entries.append(((glyph, f"cluster:{about.cluster}"), (name, PLAIN)))
    status = about.status
    if about.item is not None and about.item.status == status:
        status = f"{status}, {about.item.role}, round {about.item.round}, rank {about.item.rank}"
    entries.append(((look.state(about.status), MARK), (f" {status}", PLAIN)))
    entries += [((f"{word} ", MUTED), (visible(value), PLAIN)) for word, value in about.facts]
    if about.others:
        entries.append(((f"+{about.others:,} in this cell", MUTED),))
    return entries


def shorten(text: str, width: int, look: Look) -> str:
    """The text in at most ``width`` cells, with a mark where it was cut."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + look.ellipsis


def numbers(*values: float) -> tuple[str, ...]:
    """Numbers with two decimals if one of them has any and none is large."""
    whole = all(value.is_integer() for value in values) or max(map(abs, values)) >= 100
    return tuple(f"{value:,.{0 if whole else 2}f}" for value in values)


def map_titles(model: MapModel | None, encoder: str, width: int) -> tuple[str, str]:
    """Title and subtitle of the pane; ``encoder`` is shown before there is a map."""
    map_view = None if model is None else model.map_view
    colour = CLUSTER if model is None else model.colouring.name
    title = map_title(map_view, encoder, title_of(colour), width)
    if model is None or not width:
        return title, ""
    if model.box is not None:
        return title, counts_text(model.map_view, model.boxed())
    count, shown = len(model.map_view), model.in_view()
    return title, map_subtitle(count, shown, model.zoom, one_point=model.bounds.empty)


def map_title(map_view: MapView | None, encoder: str, colouring: str, width: int) -> str:
    """The title of the map, shorter on a narrow pane."""
    if map_view is None:
        return "2 Map"
    method = ("t-SNE",) if map_view.method not in ("", "none") else ()
    parts: tuple[str, ...] = (
        "2 Map",
        *method,
        visible(map_view.encoder or encoder),
        f"colour: {colouring}",
    )
    for kept in (parts, (parts[0], *method, parts[-1]), (parts[0], parts[-1])):
        title = " · ".join(part for part in kept if part)
        if len(title) + 6 <= width:
            return title
    return parts[0]


def map_subtitle(count: int, shown: int, zoom: float, *, one_point: bool) -> str:
    """How many of ``count`` scans are in view; empty if all are."""
    if count > 1 and one_point:
        return f"all {count:,} scans lie on one point"
    if zoom == 1 and shown == count:
        return ""
    return f"x{zoom:.1f} · {shown:,} of {count:,} scans in view"


def empty_lines(snapshot: Snapshot) -> list[Part]:
    """The text before there is a map: what a map shows, and how to make one."""
    job = next((job for job in snapshot.jobs if job.status == "running"), None)
    lines: list[Part] = [
        ("no map yet", MARK),
        ("", PLAIN),
        ("every scan becomes a point here;", PLAIN),
        ("scans that look alike lie together", PLAIN),
        ("", PLAIN),
    ]
    if job is not None and job.kind in MAKING:
        share = "" if job.fraction is None else f" {job.fraction:.0%}"
        return [*lines, (f"{job.kind} is running{share}", HERE)]
    if job is not None:
        return [*lines, (f"{job.kind} is running; after that press n", MUTED)]
    return [*lines, (f"n  {visible((snapshot.then or snapshot.next).text)}", MARK)]
