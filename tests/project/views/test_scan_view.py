"""What a screen shows of one scan: pixels made small, overlays, facts, history, troubles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from coldal_tui.errors import UsageError
from coldal_tui.imaging.entropyfile import write_entropy
from coldal_tui.imaging.image import ScanHeader, ScanImage
from coldal_tui.imaging.labelfile import write_label
from coldal_tui.project.labels.importing import reject_labels
from coldal_tui.project.project import Project
from coldal_tui.project.queue import actions
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.project.views.scan_facts import newest_prediction, read_history, read_scan_facts
from coldal_tui.project.views.scan_pixels import Boxed, ViewCache, boxed, pixels_of
from coldal_tui.project.views.scan_view import read_scan_view
from tests.support.overlays import add_masks, add_run, square
from tests.support.places import DATA

LUNG = '[classes]\nnames = ["lung"]\n'
LEFT = square(rows=(2, 6), columns=(0, 4))
RIGHT = square(rows=(2, 6), columns=(4, 8))


def image(array: np.ndarray, modality: str | None = None) -> ScanImage:
    header = ScanHeader(array.shape[:-1], array.shape[-1], str(array.dtype), modality=modality)
    return ScanImage(header, array)


@pytest.fixture
def eights(lab) -> Project:
    """Two scans of 8 × 8 pixels."""
    for name in ("a", "b"):
        lab.picture(f"{name}.png", (8, 8))
    return lab.start(LUNG)


def test_pixels_of_8_and_16_bits_stay_as_they_are() -> None:
    for kind in (np.uint8, np.int16, np.uint16):
        array = np.arange(12).reshape(3, 4, 1).astype(kind)
        kept = pixels_of(image(array))
        assert kept.array.dtype == kind
        assert (kept.scale, kept.offset, kept.strides) == (1.0, 0.0, (1, 1))
        np.testing.assert_array_equal(kept.array, array)


def test_wider_pixels_become_16_bits_that_lead_back_to_the_stored_values() -> None:
    array = np.random.default_rng(0).normal(500, 200, (10, 11, 12, 1)).astype(np.float32)
    kept = pixels_of(image(array))
    assert kept.array.dtype == np.uint16
    back = kept.array * kept.scale + kept.offset
    assert abs(back - array).max() <= kept.scale / 2 + 1e-3


def test_one_wild_voxel_does_not_cost_the_others_their_shades() -> None:
    array = np.random.default_rng(0).normal(0, 1, (20, 20, 20, 1)).astype(np.float32)
    array[0, 0, 0], array[1, 1, 1] = 1e9, np.nan
    kept = pixels_of(image(array))
    values = kept.array[2:] * kept.scale + kept.offset
    assert abs(values - array[2:]).max() < 0.01


def test_a_window_is_told_in_the_units_of_the_kept_pixels() -> None:
    array = np.linspace(-1000, 1000, 64, dtype=np.float32).reshape(4, 4, 4, 1)
    kept = pixels_of(image(array, "CT"))
    assert kept.limits == ((-160.0, 240.0),)
    low, high = kept.in_units_of_array(-160.0, 240.0)
    assert (low * kept.scale + kept.offset) == pytest.approx(-160)
    assert (high - low) * kept.scale == pytest.approx(400)


def test_a_scan_that_is_too_large_loses_shades_and_then_voxels() -> None:
    array = np.arange(10 * 20 * 20).reshape(10, 20, 20, 1).astype(np.int16)
    assert pixels_of(image(array), 8000).array.dtype == np.int16
    assert pixels_of(image(array), 4000).array.dtype == np.uint8
    thin = pixels_of(image(array), 1000)
    assert thin.strides == (1, 2, 2)
    assert thin.array.shape == (10, 10, 10, 1)


def test_a_map_is_kept_where_it_holds_something() -> None:
    labels = np.zeros((5, 6, 7), np.uint8)
    labels[1:3, 4, 2:5] = 3
    labels[2, 4, 3] = 1
    kept = boxed(labels)
    assert kept.box.shape == (2, 1, 3)
    np.testing.assert_array_equal(kept.whole(), labels)
    for axis in range(3):
        for index in range(labels.shape[axis]):
            np.testing.assert_array_equal(kept.plane(axis, index), labels.take(index, axis))
    assert kept.counts(2).tolist() == [0, 0, 2, 2, 2, 0, 0]
    assert kept.present == (1, 3)


def test_an_empty_map_is_kept_as_nothing() -> None:
    kept = boxed(np.zeros((3, 4, 5), np.uint8))
    assert kept.nbytes == 0
    assert not kept.plane(1, 2).any()
    assert not kept.counts(0).any()


def test_the_cache_reads_a_file_once_and_again_when_it_changes(tmp_path: Path) -> None:
    file, calls = tmp_path / "a", []

    def make() -> Boxed:
        calls.append(1)
        return boxed(np.ones((2, 2), np.uint8))

    cache = ViewCache()
    file.write_bytes(b"1")
    first = cache.read("label", [file], make)
    assert cache.read("label", [file], make) is first
    file.write_bytes(b"22")
    cache.read("label", [file], make)
    assert len(calls) == 2


def test_the_cache_forgets_the_oldest_beyond_its_bytes(tmp_path: Path) -> None:
    cache, calls = ViewCache(most_bytes=200), []

    def make() -> Boxed:
        calls.append(1)
        return boxed(np.ones((10, 10), np.uint8))

    for name in ("a", "b", "c", "b", "a"):
        cache.read("label", [tmp_path / name], make)
    assert len(calls) == 4
    assert cache.nbytes == 200


def test_a_view_has_pixels_label_prediction_and_entropy(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": LEFT})
    entropy = np.full((8, 8), 50, np.uint8)
    add_run(eights, "run-001", {"a": RIGHT}, entropy={"a": entropy})
    view = read_scan_view(eights, "a", ViewCache())
    assert view.trouble is None
    assert view.pixels is not None
    assert view.pixels.array.shape == (8, 8, 1)
    found = {
        layer.name: layer.values.whole()
        for layer in (view.mask, view.prediction)
        if layer is not None and layer.values is not None
    }
    np.testing.assert_array_equal(found["v1"], LEFT)
    np.testing.assert_array_equal(found["run-001"], RIGHT)
    assert view.entropy is not None
    assert view.entropy.values is not None
    np.testing.assert_array_equal(view.entropy.values.whole(), entropy)


def test_overlays_of_volumes_lie_on_the_voxels_that_are_kept(lab) -> None:
    lab.volume("v.nii.gz", np.eye(4))
    project = lab.start()
    labels = np.zeros((5, 6, 7), np.uint8)
    labels[2, 3, 4] = 1
    add_run(project, "run-001", {"v": labels}, entropy={"v": labels * 255})
    view = read_scan_view(project, "v", ViewCache())
    for layer in (view.prediction, view.entropy):
        assert layer is not None
        assert layer.values is not None
        assert layer.values.whole().nonzero() == (2, 3, 4)


def test_without_label_and_runs_there_are_only_pixels(eights: Project) -> None:
    view = read_scan_view(eights, "b", ViewCache())
    assert (view.mask, view.prediction, view.entropy) == (None, None, None)


def test_a_damaged_scan_is_told_with_what_to_do(eights: Project, lab) -> None:
    (lab.images / "a.png").write_bytes(b"\x89PNG no picture")
    view = read_scan_view(eights, "a", ViewCache())
    assert view.pixels is None
    assert view.trouble is not None
    assert view.trouble.what
    assert view.trouble.remedy


def test_a_scan_that_changed_its_size_is_not_shown_under_old_masks(eights: Project, lab) -> None:
    lab.picture("a.png", (8, 12))
    view = read_scan_view(eights, "a", ViewCache())
    assert view.trouble is not None
    assert view.trouble.code == "changed"
    assert "8 × 12" in view.trouble.what


def test_a_damaged_overlay_does_not_hide_the_picture(eights: Project, lab) -> None:
    add_run(eights, "run-001", {"a": LEFT})
    (eights.layout.runs / "run-001" / "predictions" / "a.png").write_bytes(b"nothing")
    view = read_scan_view(eights, "a", ViewCache())
    assert view.pixels is not None
    assert view.prediction is not None
    assert view.prediction.values is None
    assert view.prediction.trouble is not None


def test_an_overlay_of_another_size_is_refused(eights: Project) -> None:
    add_run(eights, "run-001", {"a": np.zeros((4, 4), np.uint8)})
    view = read_scan_view(eights, "a", ViewCache())
    assert view.prediction is not None
    assert view.prediction.trouble is not None
    assert view.prediction.trouble.code == "grid"


def test_a_label_whose_file_is_gone_is_told(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": LEFT})
    (eights.layout.labels / "a.png").unlink()
    view = read_scan_view(eights, "a", ViewCache())
    assert view.mask is not None
    assert view.mask.trouble is not None


def test_a_scan_that_does_not_exist_is_an_error(eights: Project) -> None:
    with pytest.raises(UsageError):
        read_scan_view(eights, "c", ViewCache())


def test_the_newest_run_with_a_prediction_counts(eights: Project) -> None:
    add_run(eights, "run-001", {"a": LEFT, "b": LEFT}, at="2026-01-01T00:00:00+00:00")
    add_run(eights, "run-002", {"a": LEFT}, trained=["a"], at="2026-01-02T00:00:00+00:00")
    newest, older = newest_prediction(eights, "a"), newest_prediction(eights, "b")
    assert newest is not None
    assert (newest.run_id, newest.trained) == ("run-002", True)
    assert older is not None
    assert (older.run_id, older.trained) == ("run-001", False)
    untrained = newest_prediction(eights, "a", untrained=True)
    assert untrained is not None
    assert untrained.run_id == "run-001"


def test_facts_say_where_the_scan_stands(lab) -> None:
    project = lab.line(4, [("s00", "medoid"), ("s01", "farthest-point")], {"s00": 0, "s01": 1})
    actions.assign(project, ["s01"], "ana")
    add_run(project, "run-001", {}, scores={"s01": 0.25})
    facts = read_scan_facts(project, "s01")
    assert facts.place is not None
    assert (facts.place.rank, facts.place.role, facts.place.assignee) == (
        2,
        "farthest-point",
        "ana",
    )
    assert facts.scored == ("run-001", 0.25)
    assert facts.label is None
    assert read_scan_facts(project, "s03").place is None


def test_masks_in_quarantine_are_named(eights: Project, lab) -> None:
    add_masks(eights, lab.masks, {"a": np.zeros((8, 8), np.uint8)})
    (number, reason), *others = read_scan_facts(eights, "a").waiting
    assert number == 1
    assert "empty" in reason
    assert others == []


def test_history_tells_what_happened_in_order(lab) -> None:
    project = lab.line(4, [("s00", "medoid"), ("s01", "farthest-point")])
    actions.assign(project, ["s00"], "ana")
    size = json.loads(project.store.value("SELECT shape FROM scans WHERE scan_id = 's00'"))
    add_masks(project, lab.masks, {"s00": np.ones(size, np.uint8)})
    reject_labels(project, ["s00"], "blurred")
    words = [event.what for event in read_history(project, "s00")]
    assert words[0] == "indexed"
    assert "picked: round 0, #1, medoid" in words
    assert "assigned to ana" in words
    assert "label v1 from s00.png (rejected)" in words
    assert words[-1] == "label rejected: blurred"
    assert not any("assigned" in event.what for event in read_history(project, "s01"))


def test_history_knows_what_was_undone(lab) -> None:
    project = lab.line(4, [("s00", "medoid"), ("s01", "farthest-point")])
    actions.assign(project, ["s00"], "ana")
    project.store.undo_last()
    assert "assigned to ana (undone)" in [e.what for e in read_history(project, "s00")]


def test_volumes_with_an_affine_keep_it(lab) -> None:
    lab.volume("v.nii.gz", np.diag([-2.0, 2.0, 3.0, 1.0]))
    project = lab.start()
    view = read_scan_view(project, "v", ViewCache())
    assert view.header.spacing == (2.0, 2.0, 3.0)
    assert nib.aff2axcodes(np.asarray(view.header.affine)) == ("L", "A", "S")


def test_entropy_maps_of_a_score_job_are_found_beside_its_predictions(lab) -> None:
    project = lab.line(4, [("s00", "medoid"), ("s01", "farthest-point")], toml=LUNG)
    lab.mask("s00.png")
    add_masks(project, lab.masks, {})
    run = lab.train(project)
    entropy = np.full((6, 9), 100, np.uint8)

    def write(folder: Path, spec: Any) -> tuple[dict[str, Any], list[str]]:
        assert spec.predict == ("s01",)
        (folder / "predictions" / "entropy").mkdir(parents=True)
        (folder / "entropies.json").write_text("{}")
        files = ["predictions/s01.png", "predictions/entropy/s01.png"]
        write_label(folder / files[0], np.zeros((6, 9), np.uint8), None)
        write_entropy(folder / files[1], entropy, None)
        return {"entropies": "entropies.json"}, ["entropies.json", *files]

    lab.run_job(project, "score", write)
    view = read_scan_view(project, "s01", ViewCache())
    assert view.entropy is not None
    assert view.entropy.values is not None
    assert view.entropy.name == run
    np.testing.assert_array_equal(view.entropy.values.whole(), entropy)


@pytest.mark.real
@pytest.mark.parametrize("folder", ["dicom", "hippocampus/images", "retina_chasedb1/images"])
def test_every_real_scan_is_shown_or_told_about(folder: str, tmp_path: Path) -> None:
    source = DATA / folder
    if not source.is_dir():
        pytest.skip(f"no real data at {source}")
    with Project.create(tmp_path / "project", source) as project:
        reindex(project)
        scans = [scan for scan in project.scans() if scan.usable]
        assert len(scans) > 10
        cache = ViewCache()
        for scan in scans:
            view = read_scan_view(project, scan.scan_id, cache)
            if view.pixels is None:
                assert view.trouble is not None
                assert view.trouble.what
                assert view.trouble.remedy
            else:
                assert view.pixels.array.shape[:-1] == scan.shape
                assert view.pixels.array.dtype.itemsize <= 2
