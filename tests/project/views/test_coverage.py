"""Coverage of the map by labels, on maps small enough to work out by hand."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest

from coldal_tui.maps import ScanIds
from coldal_tui.project.views.coverage import (
    Coverage,
    coverage_by,
    first_picks,
    map_coverage,
    near_radius,
)
from coldal_tui.project.views.map_view import STATUSES, MapView
from coldal_tui.project.views.snapshot import QueueItem


def map_view(
    xs: Sequence[float], labelled: Sequence[int] = (), clusters: Sequence[int] | None = None
) -> MapView:
    """Scans s0, s1, … on a line at ``xs``."""
    status = np.zeros(len(xs), np.uint8)
    status[list(labelled)] = STATUSES.index("labelled")
    return MapView(
        map_id=1,
        scan_ids=ScanIds(sorted(f"s{n}" for n in range(len(xs)))),
        xy=np.array([(x, 0.0) for x in xs], np.float32),
        cluster=np.array(clusters or [0] * len(xs), np.int16),
        status=status,
        entropy=np.full(len(xs), np.nan, np.float32),
        medoids=np.array([], np.int64),
    )


def item(scan_id: str, number: int, status: str = "queued") -> QueueItem:
    return QueueItem(
        1, scan_id, number, "medoid", 0, status, None, None, None, "", None, False, None, {}
    )


def test_the_radius_is_the_median_distance_to_the_first_queue() -> None:
    # From s0 (x = 0) and s4 (x = 10): 0, 1, 3, 4, 0.
    assert near_radius(map_view([0, 1, 3, 6, 10]), ["s0", "s4"]) == 1.0


def test_the_first_queue_all_labelled_covers_at_least_half() -> None:
    found = map_coverage(map_view([0, 1, 3, 6, 10], labelled=[0, 4]), ["s0", "s4"], 1)
    # Within 1 of a label: s0, s1, s4.
    assert found == Coverage(1.0, 0.6, (0.6,))


def test_every_cluster_has_its_own_share() -> None:
    line = map_view([0, 1, 2, 10, 11, 13], labelled=[0], clusters=[0, 0, 0, 1, 1, 1])
    # Distances to s1 and s4: 1, 0, 1, 1, 0, 2; median 1. Only s0 is labelled: s0 and s1.
    assert map_coverage(line, ["s1", "s4"], 2) == Coverage(1.0, 2 / 6, (2 / 3, 0.0))


def test_a_label_reaches_into_other_clusters() -> None:
    line = map_view([0, 1, 2, 3], labelled=[1], clusters=[0, 0, 1, 1])
    # Distances to s0: 0, 1, 2, 3; median 1.5: s1 covers all but s3.
    found = map_coverage(line, ["s0"], 2)
    assert found is not None
    assert found.clusters == (1.0, 0.5)


def test_labels_of_any_role_count() -> None:
    """Not only picks: a label of a scan that nobody queued covers its surroundings too."""
    found = map_coverage(map_view([0, 1, 2, 3, 4], labelled=[4]), ["s0"], 1)
    # Radius 2: s2, s3, s4.
    assert found == Coverage(2.0, 0.6, (0.6,))


def test_no_label_covers_nothing() -> None:
    assert map_coverage(map_view([0, 1, 2]), ["s0"], 1) == Coverage(1.0, 0.0, (0.0,))


def test_a_cluster_that_is_not_on_the_map_has_no_share() -> None:
    found = map_coverage(map_view([0, 1], labelled=[0]), ["s0"], 2)
    assert found is not None
    # Distances to s0: 0, 1; median 0.5: s1 is not near.
    assert found.clusters == (0.5, None)


def test_there_is_no_coverage_before_the_first_queue() -> None:
    assert map_coverage(map_view([0, 1]), [], 1) is None
    assert coverage_by(map_view([0, 1]), ["elsewhere"], [["s0"]]) is None


def test_sets_of_labels_are_measured_with_one_radius() -> None:
    line = map_view(list(range(10)))
    # Distances to s0: 0 to 9, median 4.5.
    assert coverage_by(line, ["s0"], [["s0"], ["s0", "s9"], ["s4"]]) == [0.5, 1.0, 0.9]


def test_growing_sets_give_the_same_as_each_alone() -> None:
    rng = np.random.default_rng(3)
    cloud = map_view(list(rng.normal(size=200)))
    names = list(cloud.scan_ids)
    sets = [names[:3], names[:9], names[:30], names[5:8]]
    together = coverage_by(cloud, names[:3], sets)
    assert together == [share for one in sets for share in coverage_by(cloud, names[:3], [one])]


def test_the_first_queue_leaves_out_what_was_skipped() -> None:
    queue = [item("a", 0), item("b", 0, "skipped"), item("c", 0, "labelled"), item("d", 1)]
    assert first_picks(queue) == ("a", "c")


def test_the_first_queue_is_the_oldest_round_there_is() -> None:
    assert first_picks([item("d", 2), item("e", 3)]) == ("d",)
    assert first_picks([]) == ()


@pytest.mark.timeout(1800)
def test_a_hundred_thousand_scans_take_about_a_second() -> None:
    rng = np.random.default_rng(0)
    count = 100_000
    big = MapView(
        map_id=1,
        scan_ids=ScanIds([f"{n:06d}" for n in range(count)]),
        xy=rng.normal(size=(count, 2)).astype(np.float32),
        cluster=rng.integers(0, 8, count).astype(np.int16),
        status=np.where(np.arange(count) < 1000, STATUSES.index("labelled"), 0).astype(np.uint8),
        entropy=np.zeros(count, np.float32),
        medoids=np.array([], np.int64),
    )
    began = time.process_time()
    found = map_coverage(big, big.scan_ids[:20], 8)
    # Five times what it takes, for slow machines.
    assert time.process_time() - began < 4.0
    assert found is not None
    assert found.overall > 0.9
