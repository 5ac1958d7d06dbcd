"""The embed step: one vector per scan from a frozen encoder, in shards, resumable.

On the CPU a vector depends on the scan alone, to the last bit: convolutions may add in another
order with other thread counts and batch sizes, so every scan is a batch of its own (the slices
of one volume) run on one torch thread, and the parallelism is scans side by side. On a GPU the
batches have one fixed shape, in float32 without TF32 unless the encoder's precision says otherwise.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coldal_compute import shards
from coldal_compute.encoders import rules
from coldal_compute.encoders.registry import Encoder, load_encoder
from coldal_tui.errors import ColdalError
from coldal_tui.imaging.image import ScanImage, ScanRef
from coldal_tui.imaging.reading import read_scan
from coldal_tui.jobs.spec import EmbedSpec, FailedScan, Reporter, ScanInput, StepResult
from coldal_tui.processors import usable_processors

Read = Callable[[ScanRef], ScanImage]
_T = TypeVar("_T")
_R = TypeVar("_R")

# Slices are gathered for this many GPU batches at a time: few of them are then padding.
_BATCHES_AT_ONCE = 4


@dataclass(frozen=True)
class Outcome:
    """A scan with its vector ``(dim,) float32``, or why there is none."""

    scan: ScanInput
    vector: NDArray[np.float32] | None
    reason: str = ""


@dataclass(frozen=True)
class _Prepared:
    """A scan with the network's input ``(S, C, H, W)``, or why there is none.

    ``foreground`` is (S,), the share of each slice that is foreground.
    """

    scan: ScanInput
    slices: Tensor | None
    foreground: NDArray[np.float64]
    reason: str = ""


class Embedder:
    """Computes vectors of scans with an encoder, in this process."""

    def __init__(self, encoder: Encoder, spec: EmbedSpec, read: Read = read_scan) -> None:
        self.device = encoder.device
        self._encoder = encoder
        self._read = read
        self._threads = spec.threads
        self._batch_size = max(1, spec.batch_size)

    def __call__(self, scans: Sequence[ScanInput]) -> Generator[Outcome]:
        """The outcome of each scan, in the order of the scans."""
        threads = max(1, min(self._threads or usable_processors(), len(scans)))
        if self.device == "cpu":
            return _one_by_one(scans, self._encoder, self._read, threads)
        return _batched(scans, self._encoder, self._read, threads, self._batch_size)


class VectorMaker(Protocol):
    """Computes vectors of scans with the encoder on ``device``, here or in other processes."""

    device: str

    def __call__(self, scans: Sequence[ScanInput]) -> Generator[Outcome]:
        """The outcome of each scan, in the order of the scans."""


def load_embedder(spec: EmbedSpec) -> Embedder:
    """The embedder that ``spec`` describes; its scans are not used.

    Raises
    ------
    ColdalError : no usable weights or device.
    """
    return Embedder(load_encoder(spec.encoder, _device(spec.device)), spec)


def embed(
    spec: EmbedSpec,
    folder: Path,
    report: Reporter,
    read: Read = read_scan,
    clock: Callable[[], float] = time.monotonic,
    elsewhere: VectorMaker | None = None,
) -> StepResult:
    """Embed ``spec.scans`` in ``folder``, except those that this same encoder embedded before.

    Shards of an earlier run of the same job that are still valid are kept; only the other scans are
    read. A scan that can't be read is reported as failed and stops nothing; it is tried again when
    the job runs again. With ``elsewhere``, other processes make the vectors.

    Returns
    -------
    StepResult : the shards and their sidecars; ``result`` has ``encoder``, ``encoder_hash``,
        ``dim``, ``record`` (how the vectors were made) and ``shards``
        (``file``, ``sha256``, ``scan_ids`` in row order).

    Raises
    ------
    ColdalError : no usable weights or device, or not one scan could be embedded.
    """
    encoder = load_encoder(spec.encoder, "cpu" if elsewhere else _device(spec.device))
    embedder: VectorMaker = elsewhere or Embedder(encoder, spec, read)
    known = set(spec.embedded) if encoder.hash == spec.expected_hash else set()
    scans = [scan for scan in spec.scans if scan.scan_id not in known]
    wanted = {scan.scan_id: scan.quick_hash for scan in scans}
    done, stale = shards.finished_shards(folder, encoder.hash, wanted)
    shards.discard(folder, stale)
    writer = shards.ShardWriter(folder, encoder.hash, spec.shard_size, done)
    embedded = {scan_id for shard in done for scan_id in shard.scan_ids}
    rest = [scan for scan in scans if scan.scan_id not in embedded]
    if embedded:
        report.log(f"{len(embedded)} scans were embedded before the interruption")
    failed = _embed_rest(len(scans), rest, embedder, writer, report, clock)
    if scans and not writer.shards and not known:
        raise ColdalError(
            f"not one of {len(scans)} scans could be embedded; the first: {failed[0].message}",
            where=failed[0].file,
            remedy="check that the images are where they were indexed, then run the job again",
            code="nothing-embedded",
        )
    return StepResult(
        files=tuple(name for shard in writer.shards for name in (shard.file, shard.sidecar)),
        result={
            "encoder": encoder.info.name,
            "encoder_hash": encoder.hash,
            "dim": encoder.info.dim,
            "record": _record(spec, encoder, embedder.device),
            "shards": [shards.summary(shard) for shard in writer.shards],
        },
        failed=tuple(failed),
    )


def _embed_rest(
    total: int,
    rest: list[ScanInput],
    embedder: VectorMaker,
    writer: shards.ShardWriter,
    report: Reporter,
    clock: Callable[[], float],
) -> list[FailedScan]:
    before, start = total - len(rest), clock()
    failed: list[FailedScan] = []
    report.progress(before, total, "embedding")
    with closing(embedder(rest)) as outcomes:
        for number, outcome in enumerate(outcomes, start=1):
            scan = outcome.scan
            if outcome.vector is None:
                failed.append(FailedScan(scan.scan_id, scan.ref.files[0], outcome.reason))
                report.log(f"{scan.scan_id} ({scan.ref.files[0]}): {outcome.reason}")
            else:
                writer.add(scan.scan_id, scan.quick_hash, outcome.vector)
            rate = number / max(clock() - start, 1e-9)
            report.progress(before + number, total, "embedding", rate=rate)
    writer.flush()
    return failed


def _one_by_one(
    scans: Iterable[ScanInput], encoder: Encoder, read: Read, threads: int
) -> Generator[Outcome]:
    """Outcomes in order; each scan is read and run by one thread, as a batch of its own."""

    def work(scan: ScanInput) -> Outcome:
        prepared = _prepare(scan, encoder, read)
        if prepared.slices is None:
            return Outcome(scan, None, prepared.reason)
        return _outcome(prepared, encoder, encoder.embed(prepared.slices))

    with _one_torch_thread():
        yield from _in_order(work, scans, threads)


def _batched(
    scans: Iterable[ScanInput], encoder: Encoder, read: Read, threads: int, size: int
) -> Generator[Outcome]:
    """Outcomes in order; scans are read by threads and run in batches of ``size`` slices."""
    group: list[_Prepared] = []
    with _one_torch_thread(), _gpu_arithmetic(tf32=encoder.precision == "tf32"):
        for prepared in _in_order(partial(_prepare, encoder=encoder, read=read), scans, threads):
            group.append(prepared)
            if sum(0 if p.slices is None else len(p.slices) for p in group) >= (
                size * _BATCHES_AT_ONCE
            ):
                yield from _run_group(group, encoder, size)
                group = []
        yield from _run_group(group, encoder, size)


def _run_group(group: list[_Prepared], encoder: Encoder, size: int) -> Iterator[Outcome]:
    inputs = [p.slices for p in group if p.slices is not None]
    vectors = iter(_split(_fixed_batches(inputs, encoder, size), inputs))
    for prepared in group:
        if prepared.slices is None:
            yield Outcome(prepared.scan, None, prepared.reason)
        else:
            yield _outcome(prepared, encoder, next(vectors))


def _fixed_batches(inputs: list[Tensor], encoder: Encoder, size: int) -> Tensor:
    """Vectors of all slices. The last batch is padded: one shape, so one choice of kernel."""
    if not inputs:
        return torch.empty(0, encoder.info.dim)
    slices = torch.cat(inputs)
    vectors = []
    try:
        for batch in torch.split(slices, size):
            padding = batch.new_zeros((size - len(batch), *batch.shape[1:]))
            vectors.append(encoder.run(torch.cat([batch, padding]))[: len(batch)])
        # The GPU is waited for once, so that it has the next batch when it is done with one.
        return torch.cat(vectors).cpu()
    except torch.OutOfMemoryError as error:
        raise ColdalError(
            f"the GPU has not enough free memory for a batch of {size}",
            where=encoder.device,
            remedy="lower the embedding batch size, or use device = cpu",
            code="out-of-memory",
        ) from error


def _split(vectors: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.split(vectors, [len(slices) for slices in inputs]) if inputs else ()


def _prepare(scan: ScanInput, encoder: Encoder, read: Read) -> _Prepared:
    try:
        seen = encoder.prepare(read(scan.ref))
        return _Prepared(scan, seen.slices, seen.foreground)
    except Exception as error:
        # Whatever is wrong with one file, the other scans are still embedded.
        reason = error.what if isinstance(error, ColdalError) else str(error)
        return _Prepared(scan, None, np.zeros(0), reason or type(error).__name__)


def _outcome(prepared: _Prepared, encoder: Encoder, vectors: Tensor) -> Outcome:
    """Pool the vectors of a scan's slices, ``(S, dim)``, into one."""
    pooled = encoder.pool(vectors.numpy(), prepared.foreground)
    if not np.isfinite(pooled).all():
        reason = "its vector is not finite: the pixels hold NaN or infinity"
        return Outcome(prepared.scan, None, reason)
    return Outcome(prepared.scan, pooled)


def _in_order(work: Callable[[_T], _R], items: Iterable[_T], threads: int) -> Iterator[_R]:
    """Run ``work`` on each item in ``threads`` threads, in order, holding only a few at a time."""
    ahead = 2 * threads
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    running: deque[Future[_R]] = deque()
    try:
        for item in items:
            running.append(pool.submit(work, item))
            if len(running) >= ahead:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _gpu_arithmetic(*, tf32: bool) -> Iterator[None]:
    """Convolutions and matrix products of the GPU with the same algorithm each time."""
    flags = torch.backends.cudnn.flags
    # Since torch 2.9 a second setting says the same, and must not contradict the first.
    named = "fp32_precision" in signature(flags).parameters
    newer = {"fp32_precision": "tf32" if tf32 else "ieee"} if named else {}
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        with flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=tf32, **newer):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def _device(wanted: str) -> str:
    """Resolve ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` to a device that exists."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        return "cuda" if count else "cpu"
    there = {"cpu", *(f"cuda:{n}" for n in range(count)), *(["cuda"] if count else [])}
    if wanted not in there:
        raise ColdalError(
            f"there is no device {wanted!r} here",
            remedy=f"use device = auto or one of {', '.join(sorted(there))}",
            code="no-device",
        )
    return wanted


def _record(spec: EmbedSpec, encoder: Encoder, device: str) -> dict[str, Any]:
    """How the vectors were made, for the project's provenance."""
    info = encoder.info
    return {
        "title": info.title,
        "source": info.source,
        "licence": info.licence,
        "layer": info.layer,
        "input_size": info.input_size,
        "preprocessing": info.preprocessing,
        "preprocessing_version": rules.PREPROCESSING_VERSION,
        "intensity": rules.INTENSITY_RULE,
        "channels": rules.CHANNEL_RULE,
        "resize": rules.RESIZE_RULE,
        "volume": f"{rules.VOLUME_RULE}; {rules.POOLING_RULES[encoder.pooling]}",
        "window": encoder.window,
        "modality": " + ".join(encoder.modality),
        "precision": encoder.precision,
        "weights_sha256": encoder.weights_sha256,
        "weights_file": Path(spec.encoder.weights).name if spec.encoder.weights else "packaged",
        "device": device,
        "torch": str(torch.__version__),
        **encoder.details,
    }
