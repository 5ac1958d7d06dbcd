"""MONAI Label's datastore: final labels count, proposals are told, no client's id is read."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from coldal_tui.exchange.candidate import Candidate, PassedOver, ScanTarget
from coldal_tui.exchange.importers.monai_label import IMPORTER
from coldal_tui.exchange.incoming.importing import examine, examine_file
from tests.support.import_plan import plan_import
from tests.support.places import DATA

SHAPE = (4, 5, 6)
AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])
CLASSES = ("liver", "spleen")
REAL = DATA / "labeler_exports"


def label_entry(name: str, **info) -> dict:
    listed = [{"name": "spleen", "idx": 2}]
    return {
        "ext": ".nii.gz",
        "info": {"label_info": listed, "client_id": "jane@clinic", "name": name, **info},
    }


@pytest.fixture
def store(tmp_path) -> Path:
    """Scan 1 has a final and an original label, 2 an original one, 3 a lost one, 4 another tag."""
    tags = {"1": ("final", "original"), "2": ("original",), "3": ("final",), "4": ("round-2",)}
    objects = {
        key: {
            "image": {"ext": ".nii.gz", "info": {"client_id": "jane@clinic", "name": key}},
            "labels": {tag: label_entry(f"{key}.nii.gz", ts=1649948982) for tag in found},
        }
        for key, found in tags.items()
    }
    root = tmp_path / "store"
    root.mkdir()
    content = {"name": "x", "images_dir": ".", "labels_dir": "labels", "objects": objects}
    (root / "datastore_v2.json").write_text(json.dumps(content))
    rng = np.random.default_rng(5)
    for key, found in tags.items():
        save(root / f"{key}.nii.gz", rng.normal(size=SHAPE).astype(np.float32))
        for number, tag in enumerate(found):
            if key != "3":
                save(root / "labels" / tag / f"{key}.nii.gz", drawn(int(key), number))
    return root


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, AFFINE), path)


def drawn(i: int, j: int) -> np.ndarray:
    values = np.zeros(SHAPE, np.uint8)
    values[i - 1, j] = 2
    return values


@pytest.fixture
def targets() -> list[ScanTarget]:
    affine = tuple(tuple(row) for row in AFFINE.tolist())
    return [ScanTarget(f"s{n}", SHAPE, (f"{n}.nii.gz",), affine) for n in range(1, 5)]


def test_only_final_labels_count(store, targets):
    plan = plan_import(store, targets, ("spleen",), None)

    assert [(v.scan_id, v.file) for v in plan.accepted] == [
        ("s1", store / "labels" / "final" / "1.nii.gz")
    ]
    assert (plan.quarantined, plan.unmatched) == ((), ())


def test_everything_else_is_told(store, targets):
    plan = plan_import(store, targets, ("spleen",), None)

    told = {v.file.relative_to(store).as_posix(): v.message for v in plan.ignored}
    proposal = "a model's proposal, not final (--format monai-label-original takes it)"
    assert told["labels/original/1.nii.gz"] == told["labels/original/2.nii.gz"] == proposal
    assert told["labels/final/3.nii.gz"] == "the datastore lists it, and it is not there"
    assert told["labels/round-2/4.nii.gz"] == "its tag is 'round-2', not 'final'"


def test_proposals_are_taken_where_they_are_asked_for(store, targets):
    plan = plan_import(store, targets, ("spleen",), None, format="monai-label-original")

    assert sorted(v.scan_id for v in plan.accepted) == ["s1", "s2"]
    assert {v.file.parent.name for v in plan.accepted} == {"original"}


@pytest.mark.parametrize("source", ["labels", "labels/final", "labels/final/1.nii.gz"])
def test_a_part_of_the_datastore_will_do(store, targets, source):
    plan = plan_import(store / source, targets, ("spleen",), None)

    assert [v.scan_id for v in plan.accepted] == ["s1"]


def test_values_have_the_datastore_s_names(store, targets):
    verdict = examine_file(store / "labels/final/1.nii.gz", targets[0], CLASSES, None)

    np.testing.assert_array_equal(verdict.label, drawn(1, 0))
    renamed = examine_file(store / "labels/final/1.nii.gz", targets[0], ("spleen", "liver"), None)
    np.testing.assert_array_equal(renamed.label, drawn(1, 0) // 2)


def test_who_submitted_a_label_is_nowhere(store, targets):
    plan = plan_import(store, targets, ("spleen",), None)

    assert "jane" not in repr(plan)
    assert "jane" not in repr(list(IMPORTER.candidates(store / "labels/final/1.nii.gz")))


def test_the_time_of_a_label_is_known(store):
    (candidate,) = IMPORTER.candidates(store / "labels/final/1.nii.gz")

    assert candidate.updated == 1649948982


def test_a_path_out_of_the_folder_is_not_followed(store, targets, tmp_path):
    save(tmp_path / "secret.nii.gz", drawn(1, 0))
    content = json.loads((store / "datastore_v2.json").read_text())
    content["objects"] = {
        "../../../secret": {"image": {}, "labels": {"final": label_entry("secret")}}
    }
    (store / "datastore_v2.json").write_text(json.dumps(content))

    plan = plan_import(store, targets, ("spleen",), None)

    assert all(v.file != tmp_path / "secret.nii.gz" for v in plan.accepted)


@pytest.mark.parametrize("text", ["", "[1, 2]", '{"objects": 3}', '{"objects": {"1": 5}}', "{"])
def test_a_broken_datastore_names_nothing(tmp_path, targets, text):
    (tmp_path / "datastore_v2.json").write_text(text)
    save(tmp_path / "labels" / "final" / "1.nii.gz", drawn(1, 0) // 2)

    plan = plan_import(tmp_path, targets, ("spleen",), None)

    assert [v.scan_id for v in plan.accepted] == ["s1"]


@pytest.mark.real
def test_a_real_datastore_lists_its_final_labels(tmp_path):
    path = REAL / "monailabel_datastore" / "datastore_v2.json"
    if not path.is_file():
        pytest.skip(f"the real data is not here: {path}")
    objects = json.loads(path.read_text())["objects"]
    (tmp_path / path.name).write_bytes(path.read_bytes())
    final = {key for key, entry in objects.items() if "final" in entry["labels"]}
    for key in sorted(final)[:3]:
        save(tmp_path / "labels" / "final" / f"{key}.nii.gz", drawn(1, 0))

    found = list(IMPORTER.candidates(tmp_path / path.name))

    lost = {one.file.name.removesuffix(".nii.gz") for one in found[1:]}
    assert all(isinstance(one, PassedOver) for one in found)
    assert lost == final - set(sorted(final)[:3])
    (candidate,) = IMPORTER.candidates(tmp_path / "labels" / "final" / f"{sorted(final)[0]}.nii.gz")
    assert isinstance(candidate, Candidate)
    assert candidate.load().names == {2: "spleen"}


@pytest.mark.parametrize(
    "info",
    [
        {"params": {"label_info": [{"name": "spleen", "idx": 1}, {"name": "liver", "idx": 2}]}},
        {"label_names": {"background": 0, "spleen": 1, "liver": 2}},
        {"params": {"label_names": {"spleen": 1, "liver": 2}}},
    ],
)
def test_names_of_values_are_read_wherever_they_were_put(store, targets, info):
    """The project lists the liver first: by number, 2 would be the spleen."""
    path = store / "datastore_v2.json"
    document = json.loads(path.read_text())
    document["objects"]["1"]["labels"]["final"]["info"] = info
    path.write_text(json.dumps(document))

    (found,) = [v for v in examine(store, targets, CLASSES, None) if v.scan_id == "s1"]

    np.testing.assert_array_equal(found.label, drawn(1, 0) // 2)


@pytest.mark.parametrize("info", [{"user": "ana"}, {"params": {"user": "ana"}}])
def test_the_user_who_submitted_a_label_drew_it_and_not_a_proposal(store, targets, info):
    file = store / "datastore_v2.json"
    content = json.loads(file.read_text())
    for label in content["objects"]["1"]["labels"].values():
        label["info"] |= info
    file.write_text(json.dumps(content))

    (final,) = plan_import(store, targets, ("spleen",), None).accepted
    proposals = plan_import(store, targets, ("spleen",), None, format="monai-label-original")

    assert final.author == "ana"
    assert {one.author for one in proposals.accepted} == {None}
