"""Conformance tests for plug-ins, one for each kind, to be called from pytest.

Each function raises AssertionError with a sentence that says what the plug-in did wrong, and what
coldal-tui expects instead. None of them needs a project or the network.

    from coldal_tui.testing import check_strategy
    from my_package import STRATEGY

    def test_conformance():
        check_strategy(STRATEGY)
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from coldal_tui.errors import ColdalError, ImageError

if TYPE_CHECKING:
    from coldal_tui.encoders.catalogue import EncoderPlugin
    from coldal_tui.exchange.candidate import Candidate
    from coldal_tui.exchange.exporters import Exporter
    from coldal_tui.exchange.importers import Importer
    from coldal_tui.jobs.backend import Backend, JobHandle
    from coldal_tui.jobs.folder import JobFolder
    from coldal_tui.selection.pool import Pool
    from coldal_tui.selection.strategies import Strategy


def check_strategy(strategy: Strategy) -> None:
    """Runs a strategy on small pools: with and without labels, patients, and scores of all scans.

    It must pick candidates alone, each once, as many as asked where there are so many that it can
    score; the same seed must give the same picks; the pool must stay as it was; terms must fit
    into JSON, and ``explain`` must make sentences of them.
    """
    from coldal_tui.selection.pool import wrong_picks
    from coldal_tui.selection.strategies import as_strategy

    as_strategy(strategy)
    for said, pool, batch, fewest in _pools(strategy):
        before = {name: array.copy() for name, array in _arrays(pool)}
        picks = list(strategy.select(pool, batch, seed=3, alpha=0.5))
        problem = wrong_picks(picks, pool, batch)
        assert not problem, f"{said}: {problem}"
        assert len(picks) >= fewest, f"{said}: {len(picks)} picks, where {fewest} could be made"
        again = list(strategy.select(pool, batch, seed=3, alpha=0.5))
        assert again == picks, f"{said}: another answer to the same question with the same seed"
        changed = [name for name, array in _arrays(pool) if not _same(array, before[name])]
        assert not changed, f"{said}: it changed {', '.join(changed)} of the pool"
        for pick in picks:
            _check_words(strategy, dict(pick.terms), said)


def _check_words(strategy: Strategy, terms: dict[str, Any], said: str) -> None:
    json.dumps(terms, allow_nan=False)
    if strategy.explain is None:
        return
    words = strategy.explain(terms)
    assert isinstance(words, list), f"{said}: explain must return a list of sentences"
    assert words, f"{said}: explain has nothing to say"
    assert all(isinstance(one, str) and one for one in words), f"{said}: explain must return texts"


def _pools(strategy: Strategy) -> Iterator[tuple[str, Pool, int, int]]:
    """Pools with what they show, how many to pick, and how many a strategy must find."""
    import numpy as np

    from coldal_tui.selection.pool import Pool

    rng = np.random.default_rng(7)
    count = 24
    none = np.zeros(count, np.bool_)
    known = np.arange(count) % 4 == 0
    scores = rng.random(count)
    whole = Pool(
        points=rng.normal(size=(count, 2)),
        clusters=np.arange(count) % 3,
        candidate=~none,
        covered=none,
        labelled=none,
        entropy=scores,
        embeddings=rng.normal(size=(count, 6)).astype(np.float32),
        bald=scores / 2,
        class_entropy=np.column_stack([scores, 1 - scores]),
        foreground_entropy=scores,
        boundary_entropy=scores,
        features=rng.normal(size=(count, 5)),
        clusters_by=strategy.name if strategy.clusterer is not None else "map",
    )
    if strategy.clusterer is not None:
        assert whole.embeddings is not None
        labels = strategy.clusterer(whole.embeddings, 4, 0).labels
        assert labels.shape == (count,), "the clusterer must give each scan a cluster"
        whole = replace(whole, clusters=labels)
    some = replace(whole, candidate=~known, covered=known, labelled=known, round=1)
    if "cold" in strategy.rounds:
        yield "the first round", _only(whole, strategy), 8, 8
    if "active" in strategy.rounds:
        yield "a later round", _only(some, strategy), 6, 6
    usual = whole if "cold" in strategy.rounds else some
    left = int(usual.candidate.sum())
    yield "a batch larger than the pool", _only(usual, strategy), left + 5, left
    yield "a batch of none", _only(usual, strategy), 0, 0
    nobody = replace(usual, candidate=none)
    yield "a pool without candidates", _only(nobody, strategy), 3, 0
    same = replace(usual, points=np.zeros((count, 2)), clusters=np.zeros(count, np.int64))
    yield "a map whose scans lie at one place", _only(same, strategy), 4, 4
    gaps: dict[str, Any] = {
        name: np.where(_rows(array, known), np.nan, array)
        for name, array in _arrays(usual)
        if name in strategy.needs and name != "embeddings"
    }
    if gaps:
        yield "scans that nobody scored", _only(replace(usual, **gaps), strategy), 4, 4


def _rows(array: Any, rows: Any) -> Any:
    return rows if array.ndim == 1 else rows[:, None]


def _only(pool: Pool, strategy: Strategy) -> Pool:
    """The pool with those measures alone that the strategy says it needs."""
    from coldal_tui.selection.needs import Need

    without: dict[str, Any] = {n: None for n in get_args(Need) if n not in strategy.needs}
    return replace(pool, **without)


def _arrays(pool: Pool) -> list[tuple[str, Any]]:
    found = [(one.name, getattr(pool, one.name)) for one in fields(pool)]
    return [(name, value) for name, value in found if hasattr(value, "dtype")]


def _same(one: Any, other: Any) -> bool:
    import numpy as np

    return bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))


def check_encoder(encoder: EncoderPlugin, weights: Path | None = None) -> None:
    """Loads an encoder and embeds a few images; needs torch.

    It must give ``dim`` finite numbers for each image, the same whatever else is in the batch and
    every time that it is loaded. ``weights`` is the file of one that needs a file.
    """
    import torch

    from coldal_tui.encoders.catalogue import as_encoder

    info = as_encoder(encoder).info
    assert info.needs_file == (weights is not None), "name its file of weights, if it needs one"
    network = encoder.network(weights)
    assert isinstance(network, torch.nn.Module), "network must return a torch.nn.Module"
    channels = 1 if info.channels == "L" else 3
    shape = (3, channels, info.input_size, info.input_size)
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    scale = [torch.tensor(one[:channels]).view(channels, 1, 1) for one in (info.mean, info.std)]
    images = (images - scale[0]) / scale[1]
    with torch.inference_mode():
        vectors = network.eval()(images)
        alone = network(images[1:2])
        again = encoder.network(weights).eval()(images)
    assert tuple(vectors.shape) == (3, info.dim), (
        f"it gives {tuple(vectors.shape)} for 3 images, and says (3, {info.dim})"
    )
    assert bool(torch.isfinite(vectors).all()), "a number in its vectors is not finite"
    close = torch.allclose(alone[0], vectors[1], rtol=1e-4, atol=1e-5)
    assert close, "the vector of an image depends on what else is in the batch"
    assert torch.equal(again, vectors), "loaded anew it gives other vectors: fix its random weights"


def check_importer(importer: Importer, files: Sequence[Path]) -> None:
    """Reads sample ``files`` of the format, then the same cut short and with a byte changed.

    Each sample must be recognised by its content and give a mask. Damaged files must be refused
    with ``ImageError``, or read: no other exception may leave the importer.
    """
    from coldal_tui.exchange.candidate import Candidate
    from coldal_tui.exchange.importers import HEAD_BYTES, as_importer

    found = as_importer(importer)
    assert found.name, "a mask format needs a name for --format"
    assert found.name == found.name.lower(), f"the name {found.name!r} must be lower case"
    for ending in found.endings:
        assert ending == ending.lower(), f"the ending {ending!r} must be lower case"
    assert files, "give at least one sample file"
    other = Path("something-else.bin")
    for head in (b"", b"\0" * 64, b"{}", bytes(range(256))):
        title = found.recognise(other, head)
        assert title is None, f"it takes any file of {head[:8]!r}… for its own ({title})"
    for sample in files:
        title = found.recognise(sample, sample.read_bytes()[:HEAD_BYTES])
        assert isinstance(title, str), f"{sample.name} is not recognised by its content"
        assert isinstance(found.belongings(sample), frozenset), "belongings must be a frozenset"
        masks = [one for one in found.candidates(sample) if isinstance(one, Candidate)]
        assert masks, f"no mask was found in {sample.name}"
        for one in masks:
            _check_mask(one, sample)
    with tempfile.TemporaryDirectory() as folder:
        for sample in files:
            content = sample.read_bytes()
            for cut in sorted({0, 1, len(content) // 2, max(0, len(content) - 1)}):
                _check_damaged(found, Path(folder) / sample.name, content[:cut])
            for place in range(0, len(content), max(1, len(content) // 16)):
                changed = bytearray(content)
                changed[place] ^= 0xFF
                _check_damaged(found, Path(folder) / sample.name, bytes(changed))


def _check_mask(candidate: Candidate, sample: Path) -> None:
    pixels = candidate.load()
    array = pixels.array
    ranks = (2,) if pixels.axes == "rows" else (2, 3)
    assert array.ndim in ranks, f"{sample.name}: a mask of {array.ndim} axes as {pixels.axes!r}"
    assert array.dtype.kind in "uib", f"{sample.name}: values must be whole, not {array.dtype}"
    assert array.size, f"{sample.name}: the mask has no pixels"
    if pixels.affine is not None:
        assert pixels.affine.shape == (4, 4), f"{sample.name}: the affine must be 4 × 4"


def _check_damaged(importer: Importer, path: Path, content: bytes) -> None:
    from coldal_tui.exchange.candidate import Candidate

    path.write_bytes(content)
    try:
        for one in importer.candidates(path):
            if isinstance(one, Candidate):
                one.load()
    except ImageError as error:
        said = error.what
    except Exception as error:
        raise AssertionError(
            f"of a damaged {path.name} it raises {type(error).__name__}: {error}; "
            "raise ImageError with what, where and remedy"
        ) from error
    else:
        return
    assert said, "an error must say what is wrong"


def check_exporter(exporter: Exporter, folder: Path) -> None:
    """Exports two small pictures, one with a pre-label, below ``folder`` (empty, such as tmp_path).

    All files that it writes must be in its result with their SHA-256; a folder that is there
    already must be refused and stay as it is; an image that can't be read must leave nothing.
    """
    from coldal_tui.exchange.exporters import as_exporter
    from coldal_tui.files import sha256_file

    export = as_exporter(exporter)
    items, meta = _two_scans(folder / "images")
    out = folder / "export"
    told: list[tuple[int, int, str]] = []
    result = export(out, items, meta, lambda done, total, name: told.append((done, total, name)))
    assert result.folder == out, f"its result names {result.folder}, not {out}"
    there = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert there == set(result.files), (
        f"files and result differ: {', '.join(sorted(there ^ set(result.files)))}"
    )
    for name, digest in result.files.items():
        assert sha256_file(out / name) == digest, f"the SHA-256 of {name} is another"
    scans = {one.scan_id for one in items}
    assert set(result.images) == scans, "result.images must name each scan's image"
    assert result.prelabels <= scans, "result.prelabels must name scans"
    assert told, "it never told its progress"
    assert told[-1][:2] == (2, 2), f"its last progress is {told[-1][:2]}, not (2, 2)"
    _check_refuses(lambda: export(out, items, meta, None), "an export folder that is there already")
    after = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert after == there, "it changed an export that was there already"
    gone = [
        replace(
            items[0], ref=msgspec.structs.replace(items[0].ref, files=(str(folder / "gone.png"),))
        ),
        items[1],
    ]
    _check_refuses(lambda: export(folder / "half", gone, meta, None), "an image that is gone")
    assert not (folder / "half").exists(), "an export that failed must leave no folder"


def _two_scans(folder: Path) -> tuple[list[Any], Any]:
    import numpy as np
    from PIL import Image

    from coldal_tui.exchange.exporters import ExportItem, ExportMeta
    from coldal_tui.imaging.image import ScanRef
    from coldal_tui.imaging.labelfile import write_label
    from coldal_tui.imaging.reading import read_header

    folder.mkdir(parents=True)
    items = []
    for rank, name in enumerate(("a", "b"), start=1):
        path = folder / f"{name}.png"
        Image.fromarray(np.full((8, 12), 60 * rank, np.uint8)).save(path)
        ref = ScanRef("raster", (str(path),))
        items.append(ExportItem(name, rank, ref, read_header(ref), "acquired", 1))
    label = np.zeros((8, 12), np.uint8)
    label[2:5, 3:9] = 1
    drawn = folder / "a.label.png"
    write_label(drawn, label, items[0].header.affine)
    items[0] = replace(items[0], prelabel=drawn)
    meta = ExportMeta("conformance", "2026-01-01T00:00:00+00:00", ("lesion",))
    return items, meta


def _check_refuses(call: Callable[[], object], what: str) -> None:
    try:
        call()
    except ColdalError:
        return
    except Exception as error:
        raise AssertionError(
            f"of {what} it raises {type(error).__name__}: {error}; raise ColdalError"
        ) from error
    raise AssertionError(f"{what} must be refused with a ColdalError")


def check_backend(
    backend: Backend,
    folder: Path,
    settings: dict[str, Any] | None = None,
    patience_s: float = 600.0,
) -> None:
    """Runs two small jobs below ``folder``, which the backend's machines must see; needs numpy.

    The first must leave a receipt and be seen to end. The second waits for ever: its handle must
    survive JSON, and ``cancel`` must leave nothing of it, twice the same. ``settings`` is the table
    ``[backend]`` for ``Ask``; ``patience_s`` is how long anything may take.
    """
    from coldal_tui.jobs.backend import Ask, JobHandle, as_backend

    found = as_backend(backend)
    assert isinstance(found.name, str), "a backend needs a name for [backend] name"
    assert found.name, "a backend needs a name for [backend] name"
    ask = Ask("select", settings=settings or {})
    until = _Patience(patience_s).until
    quick = _quick_job(folder / "quick")
    handle = _launched(found, quick, ask, until)
    until(lambda: not found.alive(handle), "the job to be seen to end")
    assert quick.error() is None, f"the job failed: {quick.error()}"
    assert quick.receipt() is not None, "the job ended without a receipt"
    endless = _endless_job(folder / "endless")
    handle = _launched(found, endless, ask, until)
    kept = msgspec.json.decode(msgspec.json.encode(handle), type=JobHandle)
    assert kept == handle, "its handle does not survive JSON"
    until(endless.heartbeat.exists, "the worker to begin")
    assert found.alive(kept), "a running job is not seen to be alive"
    assert found.waits(kept) is None, "a running job is said to wait"
    assert found.find(endless.path) in (None, kept), "find gives another job's handle"
    found.cancel(kept, 10.0)
    until(lambda: not found.alive(kept), "a cancelled job to be gone")
    assert not endless.worker_running(), "cancel returned, and the worker still runs"
    found.cancel(kept, 0.0)


class _Patience:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def until(self, happened: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self._seconds
        while not happened():
            assert time.monotonic() < deadline, f"waited {self._seconds:g} s in vain for {what}"
            time.sleep(0.05)


def _launched(
    backend: Backend, job: JobFolder, ask: Any, until: Callable[[Callable[[], bool], str], None]
) -> JobHandle:
    from coldal_tui.jobs.backend import JobHandle

    until(lambda: backend.room(ask, ()) is None, "room for a job")
    handle = backend.launch(job.path, ask, ())
    assert isinstance(handle, JobHandle), f"there was room, and launch says: {handle}"
    return handle


def _quick_job(folder: Path) -> JobFolder:
    """The selection of one of three scans."""
    import numpy as np

    from coldal_tui.jobs.folder import JobFolder
    from coldal_tui.jobs.spec import SelectSpec
    from coldal_tui.maps import save_map
    from coldal_tui.selection.rows import PoolRow

    folder.mkdir(parents=True)
    names = ("a", "b", "c")
    save_map(folder / "map.npz", names, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 5.0]]))
    pool = tuple(PoolRow(name, name, True, False, False) for name in names)
    job = JobFolder(folder / "job")
    job.prepare(SelectSpec(0, "coldstart", 1, 0, seed=0, map=str(folder / "map.npz"), pool=pool))
    return job


def _endless_job(folder: Path) -> JobFolder:
    """A selection that waits for ever: its map is a pipe that nobody writes to."""
    from coldal_tui.jobs.folder import JobFolder
    from coldal_tui.jobs.spec import SelectSpec

    folder.mkdir(parents=True)
    os.mkfifo(folder / "map.npz")
    job = JobFolder(folder / "job")
    job.prepare(SelectSpec(0, "coldstart", 1, 0, seed=0, map=str(folder / "map.npz"), pool=()))
    return job
