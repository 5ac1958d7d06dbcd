"""A scan as the network of a plan takes it, read and resized once for all jobs."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import msgspec
import numpy as np
from numpy.typing import NDArray

from coldal_compute.segmentation.inputs.packs import KEY_BYTES, Packs, Told
from coldal_compute.segmentation.inputs.preprocessing import PREPROCESSING_RULE, preprocess
from coldal_compute.segmentation.plan import Plan
from coldal_tui.errors import ImageError
from coldal_tui.imaging.image import ScanHeader, ScanImage, ScanRef
from coldal_tui.imaging.indexing import can_tell_changes, is_as_indexed
from coldal_tui.jobs.spec import InputCache, ScanInput
from coldal_tui.version import __version__

ReadScan = Callable[[ScanRef], ScanImage]


class NetworkInputs:
    """Scans on the working grid of ``plan``; threads may share an instance.

    What was read is kept in ``cache`` for this job and others, as long as the scan's files have
    the size and the modification time that they had, and their content is that of the index. The
    inputs are the same as without a cache, to the bit.
    """

    def __init__(
        self,
        plan: Plan,
        read: ReadScan,
        cache: InputCache | None = None,
        told: Told = lambda words: None,
    ) -> None:
        self.plan = plan
        self.found = 0
        """How many scans came from the cache."""
        self._lock = Lock()
        self._read = read
        self._packs = None
        if cache is not None:
            folder = Path(cache.folder)
            _remove_single_files(folder.parent)
            self._packs = Packs(folder, _group(plan), cache.most_bytes, told)

    def close(self) -> None:
        """Give up the files of the cache; inputs that were returned stay usable."""
        if self._packs is not None:
            self._packs.close()

    def of(self, scan: ScanInput) -> NDArray[np.float16]:
        """The scan as ``(channels, *working grid)``; a volume from the cache is memory-mapped.

        Raises ImageError if it can't be read.
        """
        return self._of(scan, has_label=False)

    def of_labelled(self, scan: ScanInput) -> NDArray[np.float16]:
        """As ``of``, for a scan that has a label.

        A mask that was drawn on another image would teach nonsense without a word: ImageError
        (code ``changed``) where the scan's files are not those that the index knew.
        """
        return self._of(scan, has_label=True)

    def with_header(self, scan: ScanInput) -> tuple[ScanHeader, NDArray[np.float16]]:
        """The header from the scan's own file, and the scan as ``of`` has it."""
        key = self._key(scan)
        image = self._read(scan.ref)
        same = key is not None and is_as_indexed(scan.ref, scan.quick_hash)
        return image.header, self._made(scan, image, key if same else None)

    def _of(self, scan: ScanInput, *, has_label: bool) -> NDArray[np.float16]:
        key = self._key(scan)
        if key is not None and self._packs is not None:
            found = self._packs.get(key, mapped=self.plan.ndim > 2)
            if found is not None:
                with self._lock:
                    self.found += 1
                return found
        image = self._read(scan.ref)
        same = (has_label or key is not None) and is_as_indexed(scan.ref, scan.quick_hash)
        if has_label and not same:
            raise ImageError(
                "the image changed after the last index, so its label may not fit",
                where=Path(scan.ref.files[0]).name,
                remedy="coldal-tui index takes the change in, and asks about the label",
                code="changed",
            )
        return self._made(scan, image, key if same else None)

    def _made(self, scan: ScanInput, image: ScanImage, key: bytes | None) -> NDArray[np.float16]:
        """The input, kept under ``key``: None where these are not the pixels of the index."""
        array = preprocess(image, self.plan)
        if key is None or self._packs is None or key in self._packs:
            return array
        if self._key(scan) == key:  # the files did not change while they were read
            self._packs.put(key, array)
            if self.plan.ndim > 2:
                # A training of many volumes needs no more memory the first time than later.
                kept = self._packs.get(key, mapped=True)
                return array if kept is None else kept
        return array

    def _key(self, scan: ScanInput) -> bytes | None:
        """What the scan's input depends on beside the plan; None: it can't be known."""
        if self._packs is None or not can_tell_changes(scan.ref, scan.quick_hash):
            return None
        try:
            files = [Path(file).stat() for file in scan.ref.files]
        except OSError:
            return None
        shape = self.plan.working_shape(scan.shape, scan.spacing)
        facts = [(file.st_size, file.st_mtime_ns) for file in files]
        return _digest([scan.quick_hash, scan.modality, shape, scan.ref, facts])


def _group(plan: Plan) -> str:
    """What every input of a plan depends on. Readers may differ between versions."""
    grid = [plan.in_channels, plan.image_size, plan.spacing, plan.intensity]
    return _digest([PREPROCESSING_RULE, __version__, *grid]).hex()[:16]


def _digest(parts: list[object]) -> bytes:
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=KEY_BYTES).digest()


def _remove_single_files(folder: Path) -> None:
    """Remove what older versions kept: one file for each scan, named for a hash."""
    for file in folder.glob(f"{'[0-9a-f]' * 40}.npy"):
        with contextlib.suppress(OSError):
            file.unlink()
