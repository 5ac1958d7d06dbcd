"""The embed step: shards, resuming, failures kept apart, and vectors that repeat to the bit."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from coldal_compute import embedding
from coldal_compute.embedding import _gpu_arithmetic, embed
from coldal_compute.encoders import preprocess
from coldal_compute.encoders.registry import load_encoder
from coldal_tui.errors import ColdalError, ImageError
from coldal_tui.imaging.image import ScanHeader, ScanImage, ScanRef
from coldal_tui.jobs.spec import EmbedSpec, EncoderChoice, ScanInput, StepResult

LITE = EncoderChoice("efficientnet-lite0")
BROKEN = "broken.png"


@pytest.fixture(autouse=True, scope="module")
def _load_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding, "load_encoder", cache(load_encoder))
        yield


@dataclass
class Report:
    """Keeps what a step reports; ``stop_after`` ends it like a kill after so many scans."""

    stop_after: float = float("inf")
    done: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def progress(self, done: float, total: float, message: str = "", **metrics: float) -> None:
        self.done.append(done)
        self.rates.extend(metrics.values())
        if done >= self.stop_after:
            raise KeyboardInterrupt

    def log(self, message: str) -> None:
        self.lines.append(message)


class Reader:
    """Makes a small random scan out of a file name, and remembers what was read."""

    def __init__(self, broken: bool = True) -> None:
        self.read: list[str] = []
        self._broken = broken
        self._lock = threading.Lock()

    def __call__(self, ref: ScanRef) -> ScanImage:
        name = Path(ref.files[0]).name
        with self._lock:
            self.read.append(name)
        if self._broken and name == BROKEN:
            raise ImageError("the file ends in the middle of its pixel data", where=name)
        volume = name.startswith("volume")
        shape = (20, 24, 12) if volume else (40, 30)
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        array = np.random.default_rng(seed).random((*shape, 1), dtype=np.float32)
        spacing = (1.0, 1.0, 2.0) if volume else None
        return ScanImage(ScanHeader(shape, 1, "float32", spacing), array)


def _scan(name: str, quick_hash: str = "q") -> ScanInput:
    return ScanInput(
        scan_id=name.split(".", 1)[0],
        ref=ScanRef("raster", (f"/images/{name}",)),
        shape=(40, 30),
        channels=1,
        spacing=None,
        modality=None,
        quick_hash=quick_hash,
    )


def _spec(*names: str, **options: object) -> EmbedSpec:
    scans = tuple(_scan(name) for name in names)
    return EmbedSpec(scans, LITE, **{"device": "cpu", "shard_size": 2, **options})  # type: ignore[arg-type]


def _vectors(result: StepResult, folder: Path) -> dict[str, NDArray[np.float32]]:
    found = {}
    for shard in result.result["shards"]:
        rows = np.load(folder / shard["file"], allow_pickle=False)
        found.update(zip(shard["scan_ids"], rows, strict=True))
    return found


NAMES = ("a.png", "b.png", "c.png", "d.png", "e.png")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[StepResult, Path]:
    folder = tmp_path_factory.mktemp("whole")
    return embed(_spec(*NAMES, threads=1), folder, Report(), Reader()), folder


def test_shards_hold_at_most_their_size_in_the_order_of_the_scans(
    whole: tuple[StepResult, Path],
) -> None:
    shards = whole[0].result["shards"]
    assert [shard["scan_ids"] for shard in shards] == [["a", "b"], ["c", "d"], ["e"]]


def test_a_shard_is_float32_with_the_hash_that_the_result_names(
    whole: tuple[StepResult, Path],
) -> None:
    result, folder = whole
    shard = result.result["shards"][0]
    rows = np.load(folder / shard["file"])
    assert (rows.dtype, rows.shape) == (np.float32, (2, 1280))
    content = (folder / shard["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == shard["sha256"]


def test_every_output_is_listed_and_there(whole: tuple[StepResult, Path]) -> None:
    result, folder = whole
    assert sorted(result.files) == sorted(path.name for path in folder.iterdir())


def test_the_result_says_how_the_vectors_came_about(whole: tuple[StepResult, Path]) -> None:
    result = whole[0].result
    encoder = load_encoder(LITE)
    assert (result["encoder"], result["dim"]) == ("efficientnet-lite0", 1280)
    assert result["encoder_hash"] == encoder.hash
    assert result["record"]["weights_sha256"] == encoder.weights_sha256
    assert result["record"]["volume"].startswith("volume: 9 slices evenly spaced")


@pytest.mark.parametrize("threads", [2, 3])
def test_vectors_do_not_depend_on_the_number_of_threads(
    whole: tuple[StepResult, Path], tmp_path: Path, threads: int
) -> None:
    again = embed(_spec(*NAMES, threads=threads), tmp_path, Report(), Reader())
    expected = _vectors(*whole)
    found = _vectors(again, tmp_path)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_vectors_do_not_depend_on_the_other_scans_of_the_job(
    whole: tuple[StepResult, Path], tmp_path: Path
) -> None:
    part = embed(_spec("d.png", "b.png", threads=2), tmp_path, Report(), Reader())
    expected = _vectors(*whole)
    found = _vectors(part, tmp_path)
    assert all(np.array_equal(found[name], expected[name]) for name in ("b", "d"))


def test_the_number_of_torch_threads_is_put_back(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        embed(_spec("a.png"), tmp_path, Report(), Reader())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_volume_is_the_mean_of_its_slices(tmp_path: Path) -> None:
    result = embed(_spec("volume.nii"), tmp_path, Report(), Reader())
    encoder = load_encoder(LITE)
    slices = encoder.prepare(Reader()(_scan("volume.nii").ref)).slices
    each = np.stack([encoder.embed(one[None])[0].numpy() for one in slices])
    assert len(each) == 9
    np.testing.assert_allclose(
        _vectors(result, tmp_path)["volume"], each.mean(axis=0), rtol=1e-4, atol=1e-5
    )


def test_a_volume_may_be_weighed_by_its_foreground(tmp_path: Path) -> None:
    volume = ScanRef("nifti", ("half.nii",))
    pixels = np.zeros((16, 16, 2, 1), np.float32)
    pixels[:, :, 0] = np.linspace(1, 2, 16)[:, None, None]
    pixels[:4, :, 1] = 2.0
    header = ScanHeader((16, 16, 2), 1, "float32", (1.0, 1.0, 4.0))
    choice = EncoderChoice("efficientnet-lite0", pooling="foreground")
    plain, weighed = load_encoder(LITE), load_encoder(choice)
    assert plain.hash != weighed.hash
    seen = plain.prepare(ScanImage(header, pixels))
    # All of the first slice but its darkest column is above a tenth, of the second a quarter.
    np.testing.assert_allclose(seen.foreground, [14 / 16, 4 / 16], atol=1 / 16)
    each = plain.embed(seen.slices).numpy()
    a, b = seen.foreground
    expected = (a * each[0] + b * each[1]) / (a + b)
    spec = EmbedSpec((replace_ref(_scan("volume.nii"), volume),), choice)
    result = embed(spec, tmp_path, Report(), lambda ref: ScanImage(header, pixels))
    np.testing.assert_allclose(_vectors(result, tmp_path)["volume"], expected, rtol=1e-4, atol=1e-5)
    assert "weighted by the share of foreground" in result.result["record"]["volume"]


def replace_ref(scan: ScanInput, ref: ScanRef) -> ScanInput:
    return msgspec.structs.replace(scan, ref=ref)


def test_after_a_kill_only_the_scans_without_a_shard_are_read(
    whole: tuple[StepResult, Path], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        embed(_spec(*NAMES, threads=1), tmp_path, Report(stop_after=3), Reader())
    reader = Reader()
    resumed = embed(_spec(*NAMES, threads=1), tmp_path, Report(), reader)
    assert reader.read == ["c.png", "d.png", "e.png"]
    expected, found = _vectors(*whole), _vectors(resumed, tmp_path)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("damage", ["no sidecar", "other bytes", "cut sidecar"])
def test_a_shard_that_does_not_hold_is_made_again(tmp_path: Path, damage: str) -> None:
    embed(_spec(*NAMES), tmp_path, Report(), Reader())
    array, sidecar = tmp_path / "shard-00001.npy", tmp_path / "shard-00001.json"
    if damage == "no sidecar":
        sidecar.unlink()
    elif damage == "other bytes":
        array.write_bytes(array.read_bytes()[:-1] + b"\x40")
    else:
        sidecar.write_bytes(sidecar.read_bytes()[:40])
    reader = Reader()
    result = embed(_spec(*NAMES), tmp_path, Report(), reader)
    assert sorted(reader.read) == ["c.png", "d.png"]
    assert _vectors(result, tmp_path).keys() == {"a", "b", "c", "d", "e"}


def test_a_scan_whose_file_changed_since_is_read_again(tmp_path: Path) -> None:
    embed(_spec("a.png", "b.png", shard_size=1), tmp_path, Report(), Reader())
    reader = Reader()
    scans = (_scan("a.png"), _scan("b.png", quick_hash="changed"))
    embed(EmbedSpec(scans, LITE, shard_size=1, device="cpu"), tmp_path, Report(), reader)
    assert reader.read == ["b.png"]


def test_progress_counts_scans_from_where_the_last_run_ended(tmp_path: Path) -> None:
    embed(_spec("a.png", "b.png"), tmp_path, Report(), Reader())
    report = Report()
    embed(_spec("a.png", "b.png", "c.png", "d.png"), tmp_path, report, Reader())
    assert report.done == [2, 3, 4]


def test_the_rate_is_scans_per_second(tmp_path: Path) -> None:
    seconds = iter([0.0, 0.5, 1.0])
    report = Report()
    embed(_spec("a.png", "b.png"), tmp_path, report, Reader(), clock=lambda: next(seconds))
    assert report.rates == [2.0, 2.0]


def test_a_broken_scan_is_reported_with_its_reason_and_stops_nothing(tmp_path: Path) -> None:
    result = embed(_spec("a.png", BROKEN, "b.png"), tmp_path, Report(), Reader())
    assert [(f.scan_id, f.file, f.message) for f in result.failed] == [
        ("broken", "/images/broken.png", "the file ends in the middle of its pixel data")
    ]
    assert result.result["shards"][0]["scan_ids"] == ["a", "b"]


def test_a_failed_scan_is_tried_again_in_the_next_run(tmp_path: Path) -> None:
    embed(_spec("a.png", BROKEN), tmp_path, Report(), Reader())
    result = embed(_spec("a.png", BROKEN), tmp_path, Report(), Reader(broken=False))
    assert result.failed == ()
    assert _vectors(result, tmp_path).keys() == {"a", "broken"}


def test_a_vector_that_is_not_finite_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = preprocess.prepare

    def poisoned(image: ScanImage, *how: Any) -> preprocess.Prepared:
        seen = real(image, *how)
        is_volume = image.header.shape == (20, 24, 12)
        return replace(seen, slices=seen.slices * torch.nan) if is_volume else seen

    monkeypatch.setattr(preprocess, "prepare", poisoned)
    result = embed(_spec("a.png", "volume.nii"), tmp_path, Report(), Reader())
    assert [(f.scan_id, "not finite" in f.message) for f in result.failed] == [("volume", True)]


def test_when_every_scan_fails_the_step_fails_with_the_first_reason(tmp_path: Path) -> None:
    with pytest.raises(ColdalError, match="ends in the middle of its pixel data") as error:
        embed(_spec(BROKEN), tmp_path, Report(), Reader())
    assert error.value.code == "nothing-embedded"


def test_gpu_batches_give_the_same_vectors_in_the_same_order() -> None:
    names = ("a.png", "volume.nii", BROKEN, "b.png", "c.png")
    scans, encoder = [_scan(name) for name in names], load_encoder(LITE)
    single = list(embedding._one_by_one(scans, encoder, Reader(), threads=1))
    batched = list(embedding._batched(scans, encoder, Reader(), threads=2, size=2))
    assert [o.scan.scan_id for o in batched] == ["a", "volume", "broken", "b", "c"]
    assert [o.vector is None for o in batched] == [False, False, True, False, False]
    for one, other in zip(single, batched, strict=True):
        if one.vector is not None and other.vector is not None:
            np.testing.assert_allclose(other.vector, one.vector, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("device", ["cuda:99", "tpu"])
def test_a_device_that_is_not_there_is_refused(tmp_path: Path, device: str) -> None:
    with pytest.raises(ColdalError) as error:
        embed(_spec("a.png", device=device), tmp_path, Report(), Reader())
    assert error.value.code == "no-device"


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_a_lower_precision_is_another_encoder(tmp_path: Path, precision: str) -> None:
    choice = EncoderChoice("efficientnet-lite0", precision=precision)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    plain = embed(_spec("chest.png", "volume.nii"), tmp_path / "a", Report(), Reader())
    lower = msgspec.structs.replace(_spec("chest.png", "volume.nii"), encoder=choice)
    found = embed(lower, tmp_path / "b", Report(), Reader())
    assert found.result["encoder_hash"] != plain.result["encoder_hash"]
    assert found.result["record"]["precision"] == precision
    assert plain.result["record"]["precision"] == "float32"
    exact, rounded = _vectors(plain, tmp_path / "a"), _vectors(found, tmp_path / "b")
    for name, one in exact.items():
        other = rounded[name]
        near = float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
        # A CPU has no TF32: it computes in float32.
        assert 0.99 < near < 1 - 1e-6 if precision == "bf16" else (one == other).all()


@pytest.mark.parametrize("tf32", [False, True])
def test_the_arithmetic_of_the_gpu_is_put_back(tf32: bool) -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    with _gpu_arithmetic(tf32=tf32):
        assert torch.backends.cudnn.allow_tf32 is tf32
        assert torch.get_float32_matmul_precision() == ("high" if tf32 else "highest")
        assert torch.backends.cudnn.deterministic
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before
