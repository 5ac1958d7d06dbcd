"""Scans as the network takes them: the same with a cache as without, and never outdated."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from coldal_compute.evaluate_step import evaluate
from coldal_compute.score_step import score
from coldal_compute.segmentation.data import Readers, file_readers, load_samples
from coldal_compute.segmentation.inputs.network_inputs import NetworkInputs
from coldal_compute.segmentation.inputs.preprocessing import preprocess
from coldal_compute.segmentation.plan import Plan, make_plan
from coldal_compute.train_step import train
from coldal_tui.errors import ImageError
from coldal_tui.imaging.image import ScanImage, ScanRef
from coldal_tui.imaging.indexing import index_folder
from coldal_tui.imaging.intensity_choice import IntensityChoice
from coldal_tui.imaging.reading import read_scan
from coldal_tui.jobs.spec import (
    EvaluateSpec,
    InputCache,
    LabelledScan,
    ScanInput,
    ScoreSpec,
    TrainOptions,
    TrainSpec,
)


class Counted:
    """Reads scans, and knows which."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, ref: ScanRef) -> ScanImage:
        self.names.append(Path(ref.files[0]).name)
        return read_scan(ref)

    def take(self) -> list[str]:
        names, self.names = self.names, []
        return sorted(names)


@pytest.fixture
def read() -> Counted:
    return Counted()


@pytest.fixture
def cache(tmp_path: Path) -> InputCache:
    return InputCache(str(tmp_path / "cache" / "inputs"), 10**9)


def picture(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 32)).astype(np.uint8)
    Image.fromarray(pixels).save(path, compress_level=0)


def indexed(folder: Path) -> ScanInput:
    (found,) = index_folder(folder).scans
    h = found.header
    return ScanInput("a", found.ref, h.shape, h.channels, h.spacing, h.modality, found.quick_hash)


@pytest.fixture
def scan(tmp_path: Path) -> ScanInput:
    (tmp_path / "images").mkdir()
    picture(tmp_path / "images" / "a.png", 0)
    return indexed(tmp_path / "images")


def plan_for(scan: ScanInput, **options: Any) -> Plan:
    return make_plan([scan], ["thing"], TrainOptions(steps=1, **options))


def input_of(
    scan: ScanInput,
    cache: InputCache | None,
    read: Any,
    plan: Plan | None = None,
    label: bool = False,
) -> np.ndarray:
    with closing(NetworkInputs(plan or plan_for(scan), read, cache)) as inputs:
        return inputs.of_labelled(scan) if label else inputs.of(scan)


def fresh(scan: ScanInput, plan: Plan | None = None) -> np.ndarray:
    return preprocess(read_scan(scan.ref), plan or plan_for(scan))


@pytest.mark.parametrize("label", [False, True])
def test_a_scan_is_read_once_and_the_same_to_the_bit(
    scan: ScanInput, cache: InputCache, read: Counted, label: bool
) -> None:
    once = input_of(scan, cache, read)
    assert read.take() == ["a.png"]
    again = input_of(scan, cache, read, label=label)
    assert read.take() == []
    np.testing.assert_array_equal(once, fresh(scan))
    np.testing.assert_array_equal(again, once)


def test_a_volume_is_mapped_and_the_same(tmp_path: Path, cache: InputCache, read: Counted) -> None:
    values = np.random.default_rng(0).integers(0, 900, (20, 18, 12)).astype(np.int16)
    folder = tmp_path / "volumes"
    folder.mkdir()
    nib.Nifti1Image(values, np.diag([2.0, 2.0, 3.0, 1.0])).to_filename(folder / "v.nii.gz")
    scan = indexed(folder)
    once, again = (input_of(scan, cache, read) for _ in range(2))
    assert read.take() == ["v.nii.gz"]
    np.testing.assert_array_equal(again, once)
    np.testing.assert_array_equal(once, fresh(scan))
    assert all(isinstance(one, np.memmap) for one in (once, again))


@pytest.mark.parametrize(
    "changed",
    [
        {"image_size": 24},
        {"intensity": IntensityChoice(window="lung")},
        {"intensity": IntensityChoice(modality=("ct",))},
    ],
)
def test_other_settings_read_anew(
    scan: ScanInput, cache: InputCache, read: Counted, changed: dict[str, Any]
) -> None:
    input_of(scan, cache, read)
    plan = plan_for(scan, **changed)
    found = input_of(scan, cache, read, plan)
    assert len(read.take()) == 2
    np.testing.assert_array_equal(found, fresh(scan, plan))


def test_another_modality_reads_anew(scan: ScanInput, cache: InputCache, read: Counted) -> None:
    input_of(scan, cache, read)
    input_of(msgspec.structs.replace(scan, modality="CT"), cache, read)
    assert len(read.take()) == 2


def test_networks_of_other_length_share(scan: ScanInput, cache: InputCache, read: Counted) -> None:
    input_of(scan, cache, read)
    input_of(scan, cache, read, msgspec.structs.replace(plan_for(scan), steps=77, features=(4, 8)))
    assert len(read.take()) == 1


def test_a_changed_file_is_seen_at_once(scan: ScanInput, cache: InputCache, read: Counted) -> None:
    input_of(scan, cache, read)
    picture(Path(scan.ref.files[0]), 1)
    np.testing.assert_array_equal(input_of(scan, cache, read), fresh(scan))
    with pytest.raises(ImageError, match="changed after the last index"):
        input_of(scan, cache, read, label=True)
    # Nothing of it was kept as what the index knew, however often it is asked.
    with pytest.raises(ImageError, match="changed after the last index"):
        input_of(scan, cache, read, label=True)
    again = indexed(Path(scan.ref.files[0]).parent)
    np.testing.assert_array_equal(input_of(again, cache, read, label=True), fresh(again))


def test_a_file_put_back_is_what_it_was(scan: ScanInput, cache: InputCache, read: Counted) -> None:
    file = Path(scan.ref.files[0])
    content, facts = file.read_bytes(), file.stat()
    once = input_of(scan, cache, read)
    picture(file, 1)
    input_of(scan, cache, read)
    file.write_bytes(content)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    read.take()
    np.testing.assert_array_equal(input_of(scan, cache, read, label=True), once)
    assert read.take() == []


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    scan: ScanInput, cache: InputCache, read: Counted
) -> None:
    def changing(ref: ScanRef) -> ScanImage:
        image = read_scan(ref)
        picture(Path(ref.files[0]), 1)
        return image

    input_of(scan, cache, changing)
    input_of(scan, cache, read)
    assert read.take() == ["a.png"]


def test_a_file_that_is_gone_is_not_made_up(
    scan: ScanInput, cache: InputCache, read: Counted
) -> None:
    input_of(scan, cache, read)
    Path(scan.ref.files[0]).unlink()
    with pytest.raises(ImageError):
        input_of(scan, cache, read)


def test_a_header_beside_its_pixels_is_read_each_time(
    tmp_path: Path, cache: InputCache, read: Counted
) -> None:
    """Nobody knows whether its pixels are those of the index."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    header = "NRRD0004\ntype: uint8\ndimension: 2\nsizes: 8 6\nencoding: raw\ndata file: p.raw\n"
    (folder / "p.nhdr").write_text(header)
    (folder / "p.raw").write_bytes(bytes(range(48)))
    scan = indexed(folder)
    input_of(scan, cache, read)
    (folder / "p.raw").write_bytes(bytes(range(48))[::-1])
    found = input_of(scan, cache, read)
    assert len(read.take()) == 2
    np.testing.assert_array_equal(found, fresh(scan))


def test_files_of_older_versions_go(scan: ScanInput, cache: InputCache, read: Counted) -> None:
    folder = Path(cache.folder).parent
    folder.mkdir()
    (folder / f"{'0123456789' * 4}.npy").write_bytes(b"one scan")
    for name in ("raters.json", "mine.npy"):
        (folder / name).write_text("{}")
    input_of(scan, cache, read)
    assert {path.name for path in folder.iterdir()} == {"inputs", "raters.json", "mine.npy"}


@pytest.fixture
def counting(read: Counted) -> Readers:
    return Readers(read, file_readers().label)


def test_training_scoring_and_measuring_share_one_cache(
    discs: Callable[..., tuple[LabelledScan, ...]],
    cache: InputCache,
    read: Counted,
    counting: Readers,
    report: Any,
    tmp_path: Path,
) -> None:
    cases = discs(6)
    options = TrainOptions(steps=2, batch_size=2, device="cpu", threads=1)
    spec = TrainSpec("run-001", ("disc", "ring"), cases[:3], cases[3:4], options, 0, cache)
    run = tmp_path / "run"
    run.mkdir()
    train(spec, run, report, counting)
    assert len(read.take()) == 4
    scans = tuple(case.scan for case in cases)
    first = _scored(run, scans, cache, counting, report, tmp_path / "first")
    assert len(read.take()) == 2
    second = _scored(run, scans, cache, counting, report, tmp_path / "second")
    assert read.take() == []
    without = _scored(run, scans, None, counting, report, tmp_path / "without")
    assert len(read.take()) == 6
    assert first == second == without
    evaluated = EvaluateSpec(str(run), cases, device="cpu", threads=1, inputs=cache)
    found = evaluate(evaluated, tmp_path, report, counting).result
    assert read.take() == []
    plain = msgspec.structs.replace(evaluated, inputs=None)
    (tmp_path / "plain").mkdir()
    assert evaluate(plain, tmp_path / "plain", report, counting).result == found


def _scored(
    run: Path,
    scans: tuple[ScanInput, ...],
    cache: InputCache | None,
    readers: Readers,
    report: Any,
    folder: Path,
) -> dict[str, bytes]:
    folder.mkdir()
    spec = ScoreSpec(str(run), scans, device="cpu", threads=1, inputs=cache)
    score(spec, folder, report, readers)
    names = ("entropies.json", "scores.json", "features.npy")
    return {name: (folder / name).read_bytes() for name in names}


def test_scans_read_by_several_threads_are_those_of_one(
    discs: Callable[..., tuple[LabelledScan, ...]], cache: InputCache
) -> None:
    cases = discs(9)
    Path(cases[4].scan.ref.files[0]).write_bytes(b"no picture")
    readers, plan = file_readers(), plan_for(cases[0].scan)
    found = []
    for threads, kept in ((1, None), (4, cache), (4, cache)):
        told: list[int] = []
        inputs = NetworkInputs(plan, readers.scan, kept)
        with closing(inputs):
            samples, failed = load_samples(cases, inputs, readers, told.append, threads)
        assert told == list(range(1, 10))
        assert [one.scan_id for one in failed] == ["disc04"]
        found.append(samples)
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert one.scan_id == other.scan_id
            np.testing.assert_array_equal(one.image, other.image)
            np.testing.assert_array_equal(one.label, other.label)
