"""Reads a DICOM scan: one file, or the files of a stack in order along the slice normal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldal_tui.errors import ImageError
from coldal_tui.imaging.affines import lps_affine, spacing_of
from coldal_tui.imaging.dicom.frames import even_step, frame_stack
from coldal_tui.imaging.dicom.object import DicomObject, read_object
from coldal_tui.imaging.dicom.pixels import decoded_frames
from coldal_tui.imaging.image import ScanHeader, ScanRef
from coldal_tui.imaging.readers.limits import MAX_VOLUME_BYTES, decoding


def read_header(ref: ScanRef) -> ScanHeader:
    """Header of a DICOM scan from the headers of all its files. Raises ImageError."""
    objects = [read_object(path) for path in ref.files]
    if len(objects) == 1:
        return objects[0].header
    return stack_header(objects, Path(ref.files[0]).name)


def read_pixels(ref: ScanRef, header: ScanHeader) -> NDArray[np.generic]:
    """Pixels ``header.shape + (channels,)`` in ``header.dtype``."""
    if len(ref.files) == 1:
        return _one_file(ref.files[0], header)
    out = np.empty((*header.shape, header.channels), dtype=header.dtype)
    for k, path in enumerate(ref.files):
        _, frames = decoded_frames(path)
        if frames.shape[0] != 1 or frames[0].shape != (
            header.shape[1],
            header.shape[0],
            out.shape[3],
        ):
            raise ImageError(
                f"its pixels {frames.shape[1:]} do not fit the stack's grid {header.shape}",
                where=Path(path).name,
                remedy="index the folder again",
                code="damaged",
            )
        out[:, :, k] = frames[0].swapaxes(0, 1)
    return out


def stack_header(objects: Sequence[DicomObject], where: str) -> ScanHeader:
    """Header of slices of one stack, in order along the normal (two or more).

    Raises ImageError ``missing-slice`` if they are not evenly spaced.
    """
    first = objects[0]
    if (
        any(o.position is None or o.orientation is None for o in objects)
        or len(first.header.shape) != 2
    ):
        raise ImageError(
            "the slices carry no position, so their order can't be known",
            where=where,
            remedy="export the series again with its geometry",
            code="no-position",
        )
    points = np.asarray([o.position for o in objects], dtype=np.float64)
    orientation = np.asarray(first.orientation, dtype=np.float64)
    along, down = orientation[:3], orientation[3:]
    normal = np.cross(along, down)
    step, problem = even_step(points, points @ normal)
    if problem:
        raise ImageError(
            problem,
            where=where,
            remedy="export the series again, complete",
            code="missing-slice",
        )
    rows, columns = first.header.shape
    dtype = np.result_type(*{np.dtype(o.header.dtype) for o in objects})
    spacing = first.header.spacing
    affine = None
    if spacing is not None:
        affine = lps_affine([along * spacing[1], down * spacing[0], step], points[0])
    if rows * columns * len(objects) * first.header.channels * dtype.itemsize > MAX_VOLUME_BYTES:
        raise ImageError(
            f"the series holds more than {MAX_VOLUME_BYTES:,} bytes of pixels",
            where=where,
            remedy="crop or downsample it",
            code="too-large",
        )
    meta = dict(first.header.meta)
    tilt = float(np.degrees(np.arccos(np.clip(abs(step @ normal) / np.linalg.norm(step), 0, 1))))
    if tilt > 0.1:
        meta["gantry_tilt"] = f"{tilt:.1f} degrees"
    return ScanHeader(
        shape=(columns, rows, len(objects)),
        channels=first.header.channels,
        dtype=dtype.name,
        spacing=spacing_of(affine, 3) if affine else None,
        affine=affine,
        modality=first.header.modality,
        patient_id=first.header.patient_id,
        meta=meta,
    )


def _one_file(path: str, header: ScanHeader) -> NDArray[np.generic]:
    dataset, frames = decoded_frames(path)
    frames = frames.astype(header.dtype, copy=False)
    if len(header.shape) == 2:
        return np.ascontiguousarray(frames[0])
    with decoding(path):
        order = _frame_order(path, dataset, len(frames))
    slices: NDArray[Any] = frames[order]  # (k, extra channels, rows, columns, samples)
    array = slices.transpose(3, 2, 0, 1, 4)
    return array.reshape(*array.shape[:3], -1)


def _frame_order(path: str, dataset: Any, frames: int) -> NDArray[np.intp]:
    if "PerFrameFunctionalGroupsSequence" in dataset:
        return frame_stack(path, dataset, frames).order
    return np.arange(frames)[:, None]
