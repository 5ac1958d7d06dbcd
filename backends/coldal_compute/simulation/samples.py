"""The scans that the cells of a simulation share: read, decoded and resized once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from coldal_compute.segmentation.data import (
    Readers,
    Sample,
    load_samples,
    read_native_label,
)
from coldal_compute.segmentation.inputs.network_inputs import NetworkInputs
from coldal_compute.segmentation.metrics import IGNORE
from coldal_tui.jobs.spec import FailedScan, LabelledScan, ScanInput, SimulatedScan

_KEPT_BYTES = 1024**3
Value = TypeVar("Value")


class Samples:
    """The scans of one simulation on the working grid of its plan.

    Resized scans come from the cache that all jobs share; up to 1 GiB each of training
    samples and of labels stay in memory, the rest is read again when it is asked for.
    """

    def __init__(
        self, scans: Iterable[SimulatedScan], inputs: NetworkInputs, readers: Readers
    ) -> None:
        self.scans = {one.scan.scan_id: one for one in scans}
        self._inputs = inputs
        self._readers = readers
        self._samples: _Kept[Sample] = _Kept(_KEPT_BYTES)
        self._labels: _Kept[NDArray[np.uint8]] = _Kept(_KEPT_BYTES)
        self._foreground: dict[str, int] = {}

    def training(self, scan_ids: Iterable[str]) -> tuple[list[Sample], list[FailedScan]]:
        """Training samples in the given order; a scan that can't be read is listed, not fatal."""
        samples: list[Sample] = []
        failed: list[FailedScan] = []
        for scan_id in scan_ids:
            sample = self._samples.get(scan_id)
            if sample is None:
                found, bad = load_samples([self._labelled(scan_id)], self._inputs, self._readers)
                failed += bad
                samples += found
                for one in found:
                    self._samples.put(scan_id, one, one.image.nbytes + one.label.nbytes)
            else:
                samples.append(sample)
        return samples, failed

    def image(self, scan_id: str) -> NDArray[np.float16]:
        """The preprocessed scan; ImageError if it can't be read."""
        sample = self._samples.get(scan_id)
        if sample is not None:
            return sample.image
        return self._inputs.of(self.scan(scan_id))

    def label(self, scan_id: str) -> NDArray[np.uint8]:
        """The label on the scan's own grid; ImageError if it can't be read."""
        label = self._labels.get(scan_id)
        if label is None:
            label = read_native_label(self._labelled(scan_id), self._readers)
            self._labels.put(scan_id, label, label.nbytes)
        return label

    def foreground(self, scan_ids: Iterable[str]) -> int:
        """Foreground pixels or voxels, summed over scans; an unreadable scan counts 0."""
        return sum(self._foreground_of(scan_id) for scan_id in scan_ids)

    def scan(self, scan_id: str) -> ScanInput:
        return self.scans[scan_id].scan

    def _foreground_of(self, scan_id: str) -> int:
        if scan_id not in self._foreground:
            try:
                label = self.label(scan_id)
            except Exception:
                # The cell that trains on it or measures it records the reason.
                return 0
            self._foreground[scan_id] = int(np.count_nonzero((label > 0) & (label != IGNORE)))
        return self._foreground[scan_id]

    def _labelled(self, scan_id: str) -> LabelledScan:
        one = self.scans[scan_id]
        return LabelledScan(one.scan, one.label, one.sha256)


class _Kept(Generic[Value]):
    """A cache that keeps the first values that fit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._values: dict[str, Value] = {}

    def get(self, key: str) -> Value | None:
        return self._values.get(key)

    def put(self, key: str, value: Value, size: int) -> None:
        if key not in self._values and self._bytes + size <= self._limit:
            self._values[key] = value
            self._bytes += size
