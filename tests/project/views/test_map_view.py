"""The map as arrays: places, clusters, statuses and columns to colour by."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from coldal_tui.maps import load_cluster_array, save_clusters
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.queue.actions import exclude, skip
from coldal_tui.project.views.map_view import (
    DICE,
    FEW,
    PATIENT,
    STATUSES,
    Column,
    column_names,
    read_column,
    read_map_view,
)

HALVES = {f"s{n:02d}": int(n > 3) for n in range(8)}


def statuses(map_view) -> list[str]:
    return [STATUSES[code] for code in map_view.status.tolist()]


def names_of(column: Column) -> list[str | None]:
    return [column.text(n) for n in range(len(column))]


def set_meta(project, **values) -> None:
    for scan_id, meta in values.items():
        project.store.update("scans", {"scan_id": scan_id}, meta=meta)


def test_without_a_map_there_is_no_scene(lab):
    lab.pictures("a", "b")
    assert read_map_view(lab.start()) is None


def test_a_map_without_a_round_has_no_clusters(lab):
    lab.pictures("a", "b")
    project = lab.start()
    lab.embed(project)
    lab.map(project, {"a": (1.0, 2.0), "b": (3.0, 4.0)})
    map_view = read_map_view(project)
    assert list(map_view.scan_ids) == ["a", "b"]
    assert map_view.xy.tolist() == [[1, 2], [3, 4]]
    assert map_view.xy.dtype == np.float32
    assert map_view.cluster.tolist() == [-1, -1]
    assert len(map_view.medoids) == 0
    assert (map_view.method, map_view.encoder) == ("tsne", "e")


def test_clusters_medoids_and_places_of_the_newest_round(lab):
    project = lab.line(8, [("s01", "medoid"), ("s06", "medoid"), ("s07", "farthest-point")], HALVES)
    map_view = read_map_view(project)
    assert map_view.cluster.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert map_view.medoids.tolist() == [1, 6]
    assert map_view.index["s06"] == 6
    assert map_view.xy[6].tolist() == [6, 0]


def test_every_status_is_told(lab):
    picks = [("s00", "medoid"), ("s01", "farthest-point"), ("s02", "farthest-point")]
    project = lab.line(8, picks)
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    project.store.update("queue", {"scan_id": "s01"}, status="exported")
    skip(project, ["s02"], None, replace=False)
    exclude(project, ["s03"], None)
    project.store.update("scans", {"scan_id": "s04"}, state="missing")
    project.store.update("scans", {"scan_id": "s05"}, duplicate_of="s06")
    assert statuses(read_map_view(project)) == [
        "labelled",
        "exported",
        "skipped",
        "excluded",
        "excluded",
        "excluded",
        "candidate",
        "candidate",
    ]


def test_other_scans_of_a_validation_patient_are_no_candidates(lab):
    toml = '[images]\ndir = "../images"\npatients_pattern = "^s0([0-9])"\n'
    project = lab.line(4, [("s00", "validation")], toml=toml)
    project.store.update("scans", {"scan_id": "s02"}, patient_id="0")
    assert statuses(read_map_view(project)) == ["queued", "candidate", "excluded", "candidate"]


def test_a_label_counts_more_than_the_queue(lab):
    project = lab.line(3, [("s00", "medoid")])
    lab.mask("s02.png")
    import_masks(project, lab.masks)
    assert statuses(read_map_view(project)) == ["queued", "candidate", "labelled"]


def test_entropies_of_the_newest_run(lab):
    project = lab.line(3, [("s00", "medoid")])
    lab.mask("s00.png")
    import_masks(project, lab.masks)
    lab.train(project)
    lab.score(project, {"s01": 0.25, "s02": 0.75})
    entropy = read_map_view(project).entropy
    assert np.isnan(entropy[0])
    assert entropy[1:].tolist() == [0.25, 0.75]


def test_clusters_of_other_scans_than_the_maps(tmp_path):
    file = tmp_path / "clusters.npz"
    save_clusters(file, ("b", "d", "c"), np.array([1, 2, 0]), 3)
    assert load_cluster_array(file, ("a", "b", "c", "d", "e")).tolist() == [-1, 1, 0, 2, -1]
    assert load_cluster_array(file, ("b", "d", "c")).tolist() == [1, 2, 0]
    save_clusters(file, (), np.array([], int), 0)
    assert load_cluster_array(file, ("a",)).tolist() == [-1]


def test_patients_are_named_and_a_scan_alone_is_not(lab):
    lab.pictures("p1_a", "p1_b", "p2_a", "x")
    project = lab.start('[images]\ndir = "../images"\npatients_pattern = "^(p[0-9])"\n')
    lab.embed(project)
    lab.map(project, {name: (0.0, float(n)) for n, name in enumerate(("p1_a", "p1_b", "p2_a"))})
    column = read_column(project, read_map_view(project), PATIENT)
    assert column.names == ("p1", "p2")
    assert names_of(column) == ["p1", "p1", "p2"]


def test_a_scan_without_a_known_patient_has_no_name(lab):
    project = lab.line(2, [("s00", "medoid")])
    assert names_of(read_column(project, read_map_view(project), PATIENT)) == [None, None]


def test_metadata_are_names_the_most_frequent_first(lab):
    project = lab.line(4, [("s00", "medoid")])
    set_meta(project, s00={"site": "b"}, s01={"site": "a"}, s02={"site": "a"}, s03={"site": ""})
    column = read_column(project, read_map_view(project), "meta:site")
    assert column.names == ("a", "b")
    assert names_of(column) == ["b", "a", "a", None]
    assert column.codes.tolist() == [1, 0, 0, -1]


def test_many_numbers_are_numbers(lab):
    count = FEW + 1
    project = lab.line(count + 1, [("s00", "medoid")])
    set_meta(project, **{f"s{n:02d}": {"age": f"{20 + n}.0"} for n in range(count)})
    column = read_column(project, read_map_view(project), "meta:age")
    assert column.names == ()
    assert names_of(column) == [*(str(20 + n) for n in range(count)), None]


def test_few_numbers_are_told_apart_by_name(lab):
    project = lab.line(3, [("s00", "medoid")])
    set_meta(project, s00={"field": "1.5"}, s01={"field": "3.0"}, s02={"field": "3.0"})
    assert read_column(project, read_map_view(project), "meta:field").names == ("3.0", "1.5")


def test_a_word_among_numbers_makes_names_of_all(lab):
    project = lab.line(FEW + 2, [("s00", "medoid")])
    ages = {f"s{n:02d}": {"age": "old" if n == 0 else str(n)} for n in range(FEW + 2)}
    set_meta(project, **ages)
    assert read_column(project, read_map_view(project), "meta:age").values is None


def measured(project, run: str, split: str, **dices) -> None:
    for scan_id, values in dices.items():
        for name, dice in values.items():
            row = {"run_id": run, "split": split, "scan_id": scan_id, "class": name}
            project.store.insert("metrics", **row, dice=dice, hd=0.0, hd95=0.0, unit="px")


def test_dice_is_the_mean_over_classes_and_later_evaluations_overrule(lab):
    project = lab.line(5, [("s00", "medoid")])
    for number, run in enumerate(("old", "new", "unmeasured")):
        row = {"run_id": run, "round": 0, "seed": 0, "train_scans": [], "validation_scans": []}
        at = f"2026-01-0{number + 1}"
        project.store.insert("runs", **row, summary={}, created_at=at)
    measured(project, "old", "validation", s04={"a": 0.1})
    measured(project, "new", "validation", s00={"a": 0.5, "b": 1.0}, s01={"a": 0.2})
    measured(project, "new", "evaluation-9", s01={"a": 0.4}, s02={"a": 0.6})
    measured(project, "new", "evaluation-10", s02={"a": 0.8}, elsewhere={"a": 0.0})
    column = read_column(project, read_map_view(project), DICE)
    assert names_of(column) == ["0.75", "0.40", "0.80", None, None]


def test_columns_that_are_the_same_for_all_are_not_offered(lab):
    project = lab.line(3, [("s00", "medoid")])
    set_meta(
        project,
        s00={"format": "png", "site": "a", "note": "x"},
        s01={"format": "png", "site": "b"},
        s02={"format": "png", "site": "b"},
    )
    assert column_names(project) == ("meta:note", "meta:site")
    measured(project, "r", "validation", s00={"a": 1.0})
    project.store.update("scans", {"scan_id": "s01"}, patient_id="p")
    project.store.update("scans", {"scan_id": "s02"}, patient_id="p")
    assert column_names(project) == (DICE, PATIENT, "meta:note", "meta:site")


def test_keys_of_metadata_may_hold_anything(lab):
    project = lab.line(2, [("s00", "medoid")])
    key = "a.\"b'[0]$"
    set_meta(project, s00={key: "x"}, s01={key: "y"})
    assert column_names(project) == (f"meta:{key}",)
    assert names_of(read_column(project, read_map_view(project), f"meta:{key}")) == ["x", "y"]


def test_equal_columns_are_the_same_although_unknown_is_no_number():
    values = np.array([1.0, np.nan], np.float32)
    one = Column("a", (), None, values)
    assert one.same(Column("a", (), None, values.copy()))
    assert not one.same(Column("b", (), None, values))
    assert not one.same(Column("a", (), None, values[::-1]))
    assert not one.same(Column("a", ("x",), np.zeros(2, np.int32), None))
    assert not one.same(None)


def test_a_hundred_thousand_scans_are_read_in_a_moment(lab):
    project = lab.line(2, [("s00", "medoid")])
    count = 100_000
    names = tuple(f"scan_{n:06d}" for n in range(count))
    columns = [c for c in project.store.row("SELECT * FROM scans LIMIT 1") if c != "scan_id"]
    same = ", ".join(columns)
    with project.store.transaction():
        project.store.execute("DELETE FROM queue")
        project.store.execute(
            f"INSERT INTO scans (scan_id, {same}) SELECT j.value, {same} "
            "FROM (SELECT * FROM scans LIMIT 1), json_each(?) j",
            (json.dumps(names),),
        )
        project.store.execute(
            "INSERT INTO scores (run_id, scan_id, entropy) "
            "SELECT 'r', value, 0.5 FROM json_each(?)",
            (json.dumps(names),),
        )
    row = project.store.row("SELECT m.file, r.clusters FROM maps m, rounds r")
    np.savez(project.file_of(row["file"]), scan_ids=np.array(names), xy=np.zeros((count, 2)))
    save_clusters(project.file_of(row["clusters"]), names, np.arange(count) % 7, 7)
    run = {"run_id": "r", "round": 0, "seed": 0, "train_scans": [], "validation_scans": []}
    project.store.insert("runs", **run, summary={}, created_at="2026")
    taken = []
    for _ in range(3):
        began = time.process_time()
        map_view = read_map_view(project)
        taken.append(time.process_time() - began)
    assert len(map_view) == count
    assert map_view.cluster[-1] == (count - 1) % 7
    assert min(taken) < 2.0


def test_an_unreadable_map_is_told(lab):
    project = lab.line(2, [("s00", "medoid")])
    project.file_of(project.store.value("SELECT file FROM maps")).write_bytes(b"PK")
    with pytest.raises(Exception, match="can't be read"):
        read_map_view(project)
