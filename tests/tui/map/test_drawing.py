"""What the map's colours, marks and lines of text mean; colours that can be read anywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.style import Style

from coldal_tui.maps import ScanIds
from coldal_tui.project.job_rows import JobState
from coldal_tui.project.project import Project
from coldal_tui.project.views.map_view import DICE, PATIENT, STATUSES, Column, MapView
from coldal_tui.project.views.snapshot import QueueItem, take_snapshot
from coldal_tui.tui.drawing.contrast import (
    blend,
    contrast,
    legible,
    luminance,
    nearest_of_256,
    rgb,
    scale,
)
from coldal_tui.tui.drawing.glyphs import ASCII, OKABE_ITO, UNICODE
from coldal_tui.tui.drawing.scatter import LEVELS
from coldal_tui.tui.drawing.scatter_cells import ink_of
from coldal_tui.tui.map.colouring import (
    CLUSTER,
    ENTROPY,
    GREY,
    STATUS,
    STEPS,
    by_cluster,
    by_name,
    by_number,
    by_status,
    colour_by,
    colouring_names,
    title_of,
)
from coldal_tui.tui.map.ink import Inks
from coldal_tui.tui.map.legend import (
    About,
    about_line,
    empty_lines,
    kind_entries,
    legend_line,
    map_subtitle,
    map_title,
    mark_entries,
    numbers,
)
from coldal_tui.tui.map.model import MARKS, MapModel
from coldal_tui.tui.map.selection import choices, counts_text, of_status

DARK, LIGHT = (18, 18, 18), (224, 224, 224)


def scene_of(
    xy: list[tuple[float, float]],
    cluster: list[int] | None = None,
    status: list[str] | None = None,
    entropy: list[float] | None = None,
    medoids: tuple[int, ...] = (),
) -> MapView:
    count = len(xy)
    names = status or ["candidate"] * count
    return MapView(
        map_id=1,
        scan_ids=ScanIds([f"s{n}" for n in range(count)]),
        xy=np.array(xy, np.float32).reshape(-1, 2),
        cluster=np.array(cluster or [-1] * count, np.int16),
        status=np.array([STATUSES.index(name) for name in names], np.uint8),
        entropy=np.array(entropy or [np.nan] * count, np.float32),
        medoids=np.array(medoids, np.int64),
        method="opentsne",
        encoder="enc",
    )


LINE = [(float(n), 0.0) for n in range(5)]


def text_of(parts: list) -> str:
    return "".join(text for text, _ in parts)


def words_of(entries: list) -> list[str]:
    return [text_of(entry) for entry in entries]


# Colourings


def test_clusters_have_their_glyph_word_and_count() -> None:
    colouring = by_cluster(scene_of(LINE, [0, 1, 0, -1, 0]), UNICODE)
    kinds = [(kind.glyph, kind.word, kind.count, kind.colour) for kind in colouring.kinds]
    assert kinds == [
        (UNICODE.cluster_glyph(0), "C1", 3, OKABE_ITO[0]),
        (UNICODE.cluster_glyph(1), "C2", 1, OKABE_ITO[1]),
        ("·", "in no cluster", 1, GREY),
    ]
    assert colouring.of.tolist() == [0, 1, 0, 2, 0]


def test_without_clusters_there_is_one_kind() -> None:
    colouring = by_cluster(scene_of(LINE), UNICODE)
    assert words_of(kind_entries(colouring, UNICODE, glyphs=False)) == ["· in no cluster 5"]


def test_statuses_are_counted() -> None:
    status = ["candidate", "queued", "labelled", "labelled", "skipped"]
    colouring = by_status(scene_of(LINE, status=status), UNICODE)
    assert words_of(kind_entries(colouring, UNICODE, glyphs=False)) == [
        "· candidate 1",
        "○ queued 1",
        "● labelled 2",
        "× skipped 1",
    ]


def test_a_scale_shows_its_ends_and_what_is_unknown() -> None:
    values = np.array([0.25, 0.25, 0.75, 0.75, np.nan], np.float32)
    colouring = by_number(ENTROPY, values, UNICODE)
    assert colouring.of.tolist() == [0, 0, STEPS - 1, STEPS - 1, STEPS]
    blocks = "█" * (2 * STEPS)
    assert words_of(kind_entries(colouring, UNICODE, glyphs=False)) == [
        f"entropy 0.25 {blocks} 0.75",
        "· unknown 1",
    ]
    assert words_of(kind_entries(colouring, ASCII, glyphs=True))[0] == (
        "entropy 0.25 0123456789 0.75"
    )


def test_the_rarer_names_share_a_colour() -> None:
    names = tuple("abcdefghi")
    codes = np.array([0, 5, 6, 8, -1], np.int32)
    colouring = by_name("meta:site", names, codes, UNICODE)
    assert colouring.of.tolist() == [0, 5, 6, 6, 7]
    assert [kind.word for kind in colouring.kinds] == [*"abcdef", "3 others", "unknown"]
    assert colouring.rest == 6
    assert colouring.codes is codes


def test_seven_names_have_a_colour_each() -> None:
    colouring = by_name("meta:site", tuple("abcdefg"), np.arange(5, dtype=np.int32), UNICODE)
    assert colouring.of.tolist() == [0, 1, 2, 3, 4]
    assert colouring.codes is None


def test_a_colouring_whose_column_is_not_there_yet_is_by_cluster() -> None:
    map_view = scene_of(LINE, [0, 0, 0, 1, 1])
    assert colour_by("meta:site", map_view, UNICODE, None).name == CLUSTER
    other = Column(PATIENT, ("p",), np.zeros(5, np.int32), None)
    assert colour_by("meta:site", map_view, UNICODE, other).name == CLUSTER
    assert colour_by(PATIENT, map_view, UNICODE, other).name == PATIENT


def test_what_is_unknown_throughout_is_not_offered() -> None:
    assert colouring_names(scene_of(LINE), (DICE,)) == (CLUSTER, STATUS, DICE)
    known = scene_of(LINE, entropy=[0.1, np.nan, 0.2, 0.3, 0.4])
    assert colouring_names(known, ()) == (CLUSTER, STATUS, ENTROPY)
    assert [title_of(name) for name in (DICE, "meta:site")] == ["Dice", "site"]


# Legend


MARKED = {"labelled": 2, "exported": 1, "queued": 1, "medoid": 1, "same": 1}


def test_marks_on_the_map_are_counted() -> None:
    map_view = scene_of(LINE, [0] * 5)
    assert words_of(mark_entries(MARKED | {"same": 3}, by_cluster(map_view, UNICODE), UNICODE)) == [
        "● labelled 2",
        "◐ exported 1",
        "○ queued 1",
        "◆ medoid 1",
        "✓ same cluster 3",
    ]


def test_marks_that_the_kinds_tell_are_not_told_twice() -> None:
    colouring = by_status(scene_of(LINE), UNICODE)
    assert words_of(mark_entries(MARKED, colouring, UNICODE)) == ["◆ medoid 1"]


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (40, "a one 10  b two 20  c three 30"),
        (30, "a one 10  b two 20  c three 30"),
        (29, "a one  b two  c three"),
        (21, "a one  b two  c three"),
        (20, "a one 10  … 2 more"),
        (17, ""),
    ],
)
def test_a_narrow_legend_loses_counts_then_entries(width: int, line: str) -> None:
    entries = [
        tuple((text, "muted" if text[-1] == "0" else "plain") for text in (glyph, word, count))
        for glyph, word, count in (
            ("a", " one", " 10"),
            ("b", " two", " 20"),
            ("c", " three", " 30"),
        )
    ]
    assert text_of(legend_line(entries, width, UNICODE)) == line


def about(name: str = "scan_1", **values: object) -> About:
    plain = About(name, 2, "candidate", None, (("H", "0.50"), ("patient", "p7")), 3)
    return replace(plain, **values)


def test_the_line_about_a_scan() -> None:
    glyph = UNICODE.cluster_glyph(2)
    assert text_of(about_line(about(), 90, UNICODE)) == (
        f"◎ scan_1  {glyph} C3  · candidate  H 0.50  patient p7  +3 in this cell"
    )


def test_the_line_about_a_queued_scan_says_its_role_and_rank() -> None:
    item = QueueItem(
        4, "scan_1", 1, "acquired", 2, "queued", None, None, None, "", None, False, None, {}
    )
    told = about(status="queued", item=item, facts=(), others=0, cluster=None)
    assert text_of(about_line(told, 90, UNICODE)) == "◎ scan_1  ○ queued, acquired, round 1, rank 4"


def test_a_long_name_gives_way_to_what_is_known() -> None:
    told = about("a" * 60, others=0)
    line = text_of(about_line(told, 70, UNICODE))
    assert len(line) == 70
    assert line.endswith("H 0.50  patient p7")
    assert text_of(about_line(told, 40, UNICODE)).startswith("◎ " + "a" * 19 + "…")


def test_names_are_shown_literally() -> None:
    line = text_of(about_line(about("x\x1b[31m[red]"), 90, UNICODE))
    assert line.startswith(r"◎ x\x1b[31m[red]")


def test_the_title_leaves_out_what_does_not_fit() -> None:
    map_view = scene_of(LINE)
    assert map_title(map_view, "", "cluster", 80) == "2 Map · t-SNE · enc · colour: cluster"
    assert map_title(map_view, "", "cluster", 38) == "2 Map · t-SNE · colour: cluster"
    assert map_title(map_view, "", "cluster", 30) == "2 Map · colour: cluster"
    assert map_title(map_view, "", "cluster", 12) == "2 Map"
    assert map_title(None, "enc", "cluster", 80) == "2 Map"


def test_a_map_that_is_no_embedding_by_neighbours_is_not_called_one() -> None:
    map_view = replace(scene_of(LINE), method="none", encoder="")
    assert map_title(map_view, "other", "status", 80) == "2 Map · other · colour: status"


def test_the_subtitle_says_what_is_out_of_view() -> None:
    assert map_subtitle(5, 5, 1.0, one_point=False) == ""
    assert map_subtitle(5, 3, 2.25, one_point=False) == "x2.2 · 3 of 5 scans in view"
    assert map_subtitle(4, 4, 1.0, one_point=True) == "all 4 scans lie on one point"
    assert map_subtitle(1, 1, 1.0, one_point=True) == ""


def test_numbers_have_as_many_decimals_as_they_need() -> None:
    assert numbers(0.0, 0.634) == ("0.00", "0.63")
    assert numbers(20.0, 79.0) == ("20", "79")
    assert numbers(0.5, 1234.0) == ("0", "1,234")


def test_before_there_is_a_map_it_says_what_to_press(project: Path) -> None:
    with Project(project) as opened:
        snapshot = take_snapshot(opened)
    lines = [text for text, _ in empty_lines(snapshot)]
    assert lines[0] == "no map yet"
    assert lines[-1] == "n  embed 6 scans and pick the first queue"
    job = JobState(1, "embed", "running", 0.25, "", None, "", None)
    assert empty_lines(replace(snapshot, jobs=(job,)))[-1][0] == "embed is running 25%"
    job = replace(job, kind="train")
    assert "after that press n" in empty_lines(replace(snapshot, jobs=(job,)))[-1][0]


# Selected scans


def test_a_selection_is_told_by_status() -> None:
    status = ["candidate", "candidate", "queued", "labelled", "excluded"]
    map_view = scene_of(LINE, status=status)
    rows = np.arange(5)
    assert counts_text(map_view, rows) == "5 scans: 2 candidates, 1 queued, 1 labelled, 1 excluded"
    assert counts_text(map_view, rows[:1]) == "1 scan: 1 candidate"
    assert of_status(map_view, rows, ("queued", "labelled")) == ["s2", "s3"]


def test_only_what_can_be_done_is_offered() -> None:
    status = ["candidate", "candidate", "queued", "labelled", "excluded"]
    map_view = scene_of(LINE, status=status)
    every = np.arange(5)
    assert choices(map_view, every, readonly=False) == [
        ("queue", "queue 2 scans by hand"),
        ("assign", "assign 1 scan to someone"),
        ("exclude", "exclude 3 scans from the pool"),
        ("show", "show only 2 scans in the queue"),
        ("zoom", "zoom in on 5 scans"),
    ]
    assert [key for key, _ in choices(map_view, every, readonly=True)] == ["show", "zoom"]
    assert [key for key, _ in choices(map_view, every[4:], readonly=False)] == ["zoom"]


# Colours


def test_contrast_is_that_of_the_web_guidelines() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("background", [DARK, LIGHT, (0, 0, 0), (255, 255, 255)])
@pytest.mark.parametrize("colour", OKABE_ITO)
def test_every_cluster_stands_out_on_every_background(
    colour: str, background: tuple[int, int, int]
) -> None:
    assert contrast(legible(colour, background), background) >= 3


def test_a_colour_that_stands_out_is_left_as_it_is() -> None:
    assert legible("#56B4E9", DARK) == rgb("#56B4E9") == (0x56, 0xB4, 0xE9)


@pytest.mark.parametrize("dark", [True, False])
def test_a_scale_gets_lighter_all_the_way(dark: bool) -> None:
    steps = [luminance(rgb(colour)) for colour in scale(10, dark)]
    assert steps == sorted(steps)
    assert len(set(steps)) == 10


def test_blending() -> None:
    assert blend((0, 100, 200), (100, 0, 200), 0.25) == (25, 75, 200)


@pytest.mark.parametrize(
    ("colour", "number"), [((255, 0, 0), 196), ((0, 95, 135), 24), ((88, 88, 88), 240)]
)
def test_a_fixed_colour_is_its_own_nearest(colour: tuple[int, int, int], number: int) -> None:
    assert nearest_of_256(colour) == number


def test_an_orange_stays_an_orange_when_there_are_256_colours() -> None:
    # Channel by channel it would be 178, (215, 175, 0): a yellow.
    assert nearest_of_256(rgb("#E69F00")) == 214  # (255, 175, 0)


def inks(map_view: MapView, **options: object) -> Inks:
    model = MapModel(UNICODE, map_view, by_cluster(map_view, UNICODE))
    model.resize(20, 5)
    named = {name: Style(bold=True) for name in ("plain", "muted", "mark", "here", "box")}
    return Inks(model.colouring, 1.0, model.canvas.marks, Style(), DARK, named, UNICODE, **options)


def test_lonely_points_fade_towards_the_background() -> None:
    made = inks(scene_of(LINE, [0, 0, 1, 1, 1]))
    lonely, crowded = (made.style(ink_of(0, level)).color for level in (0, LEVELS - 1))
    assert crowded is not None
    assert lonely is not None
    assert crowded.triplet == rgb("#56B4E9")
    # 68 % of the way from (86, 180, 233) to (18, 18, 18).
    assert tuple(lonely.triplet or ()) == (40, 70, 87)


def test_without_colours_density_is_dim_and_bold() -> None:
    made = inks(scene_of(LINE, [0, 0, 1, 1, 1]), colourless=True)
    styles = [made.style(ink_of(0, level)) for level in range(LEVELS)]
    assert [style.color for style in styles] == [None] * LEVELS
    assert [style.dim for style in styles] == [True, True, False, False, False, False]
    assert [style.bold for style in styles] == [False] * 5 + [True]


def test_names_of_clusters_have_their_colour() -> None:
    made = inks(scene_of(LINE, [0, 0, 1, 1, 1]))
    style = made.style(made.marks + len(MARKS) + 1)
    assert style.bold
    assert style.color is not None
    assert tuple(style.color.triplet or ()) == rgb(OKABE_ITO[1])
