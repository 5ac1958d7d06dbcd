"""What labelers' programs write on an export: by PIL, nibabel, pynrrd, highdicom and json alone.

A :class:`Drawing` is known by place: by row and column in a picture, by millimetres in a volume. So
every program can be handed its own grid of it, and what comes back is compared by place, too.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel as nib
import nrrd
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.sr.codedict import codes

CLASSES = ("organ", "tumour")
_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Drawing:
    """A mask as it should be: ``values`` on the scan's source grid; 0, 1 organ, 2 tumour.

    ``affine`` (RAS) is the source's; a picture, ``(rows, columns)``, has none.
    """

    values: NDArray[np.uint8]
    affine: NDArray[np.float64] | None = None

    def on(self, shape: tuple[int, ...], affine: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The drawing on another grid (i, j, k) with the same voxel centres."""
        if self.affine is None:
            flat = self.values.T
            assert shape[:2] == flat.shape
            return flat.reshape(shape)
        there = np.indices(shape).reshape(3, -1)
        points = affine[:3, :3] @ there + affine[:3, 3:]
        back = np.linalg.inv(self.affine)
        own = back[:3, :3] @ points + back[:3, 3:]
        index = np.rint(own).astype(int)
        assert np.abs(own - index).max() < 0.01
        return self.values[tuple(index)].reshape(shape)

    def plane(self, view: Mapping[str, Any], index: int) -> NDArray[np.uint8]:
        """A slice as the manifest says that its picture shows it, ``(rows, columns)``."""
        plane = np.take(self.values, index, axis=view["axis"])
        plane = plane.T if view["row_axis"] > view["column_axis"] else plane
        plane = plane[::-1] if view["flip_rows"] else plane
        return plane[:, ::-1] if view["flip_columns"] else plane


Write = Callable[[Path, Mapping[str, Any], Drawing], None]
"""Saves a drawing in a person's folder; the mapping is the scan's row of the manifest."""


def pictures(row: Mapping[str, Any], drawing: Drawing) -> dict[str, NDArray[np.uint8]]:
    """What is drawn on each exported picture of a scan, by file name."""
    view = row.get("slices")
    if not view:
        return {Path(row["image"]).name: drawing.values}
    return {Path(one["image"]).name: drawing.plane(view, one["index"]) for one in view["files"]}


def _png(values: NDArray[np.uint8], path: Path) -> None:
    Image.fromarray(np.ascontiguousarray(values)).save(path)


def _series_affine(folder: Path) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Shape and RAS affine of a DICOM series (i: columns, j: rows), from its headers (PS3.3)."""
    slices = [pydicom.dcmread(file) for file in folder.iterdir()]
    along, down = np.reshape([float(v) for v in slices[0].ImageOrientationPatient], (2, 3))
    normal = np.cross(along, down)
    slices.sort(key=lambda ds: float(normal @ np.array(ds.ImagePositionPatient, float)))
    first, last = (np.array(slices[at].ImagePositionPatient, float) for at in (0, -1))
    down_mm, along_mm = (float(v) for v in slices[0].PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = along * along_mm, down * down_mm
    affine[:3, 2], affine[:3, 3] = (last - first) / (len(slices) - 1), first
    return (slices[0].Columns, slices[0].Rows, len(slices)), _TO_LPS @ affine


def _nifti_like(image: Path, drawing: Drawing, path: Path) -> None:
    source = nib.load(image)
    shape = source.shape[:3]
    nib.save(nib.Nifti1Image(drawing.on(shape, source.affine), source.affine), path)


def _beside(image: Path, drawing: Drawing, folder: Path, stem: str) -> None:
    """A label file for an image: PNG for a picture, NIfTI for a volume."""
    if drawing.affine is None and image.suffix == ".png":
        _png(drawing.values, folder / f"{stem}.png")
    elif image.is_dir():
        shape, affine = _series_affine(image)
        mask = nib.Nifti1Image(drawing.on(shape, affine), affine)
        nib.save(mask, folder / f"{stem}.nii.gz")
    else:
        _nifti_like(image, drawing, folder / f"{stem}.nii.gz")


def write_folder(out: Path, row: Mapping[str, Any], drawing: Drawing) -> None:
    _beside(out / row["image"], drawing, out / "masks", row["scan_id"])


def write_nifti(out: Path, row: Mapping[str, Any], drawing: Drawing) -> None:
    """ITK-SNAP: the image's own header."""
    _nifti_like(out / row["image"], drawing, out / "masks" / f"{row['scan_id']}.nii.gz")


def write_seg_nrrd(out: Path, row: Mapping[str, Any], drawing: Drawing) -> None:
    """3D Slicer: named segments in LPS, numbered in an order of its own."""
    source = nib.load(out / row["image"])
    shape = source.shape[:3] if len(source.shape) > 2 else (*source.shape, 1)
    values = np.array([0, 2, 1], np.uint8)[drawing.on(shape, source.affine)]
    lps = _TO_LPS @ source.affine
    header = {
        "space": "left-posterior-superior",
        "space directions": lps[:3, :3].T,
        "space origin": lps[:3, 3],
        "kinds": ["domain"] * 3,
    }
    for number, (name, value) in enumerate((("tumour", 1), ("organ", 2))):
        header |= {
            f"Segment{number}_Name": name,
            f"Segment{number}_LabelValue": str(value),
            f"Segment{number}_Layer": "0",
        }
    nrrd.write(str(out / "masks" / f"{row['scan_id']}.seg.nrrd"), values, header)


def write_monai(out: Path, row: Mapping[str, Any], drawing: Drawing) -> None:
    """MONAI Label's server: a file in labels/final, and an entry in the datastore."""
    image = out / row["image"]
    name = image.name.partition(".")[0]
    _beside(image, drawing, out / "labels" / "final", name)
    ending = image.name[len(name) :]
    path = out / "datastore_v2.json"
    store = json.loads(path.read_text())
    final = {"ext": ending, "info": {"name": image.name, "client_id": "user-xyz"}}
    store["objects"][name]["labels"]["final"] = final
    path.write_text(json.dumps(store))


def write_nnunet(out: Path, row: Mapping[str, Any], drawing: Drawing) -> None:
    image = out / row["image"]
    case = image.name.partition(".")[0].removesuffix("_0000")
    _beside(image, drawing, out / "labelsTs", case)


def write_cvat(out: Path, row: Mapping[str, Any], drawing: Drawing) -> None:
    """CVAT for images 1.1: masks as run lengths, zeros first, along the rows of their box."""
    images = ""
    for number, (name, plane) in enumerate(pictures(row, drawing).items()):
        rows, columns = plane.shape
        drawn = ""
        for value, label in enumerate(CLASSES, start=1):
            if not (plane == value).any():
                continue
            runs = ", ".join(map(str, _runs((plane == value).ravel())))
            drawn += (
                f'<mask label="{label}" source="manual" occluded="0" rle="{runs}" left="0" top="0" '
                f'width="{columns}" height="{rows}" z_order="0"></mask>'
            )
        images += (
            f'<image id="{number}" name="{name}" width="{columns}" height="{rows}">{drawn}</image>'
        )
    text = f"<annotations><version>1.1</version><meta></meta>{images}</annotations>"
    (out / "returned" / "annotations.xml").write_text(text)


def write_label_studio(out: Path, row: Mapping[str, Any], drawing: Drawing) -> None:
    """Label Studio's JSON export of the tasks, drawn with its bit masks (PNG in a data URL)."""
    planes = pictures(row, drawing)
    tasks = json.loads((out / "tasks.json").read_text())
    for number, task in enumerate(tasks, start=1):
        plane = planes[task["data"]["image"].rpartition("/")[2]]
        regions = [
            {
                "id": f"r{value}",
                "type": "bitmasklabels",
                "from_name": "mask",
                "to_name": "image",
                "original_width": plane.shape[1],
                "original_height": plane.shape[0],
                "image_rotation": 0,
                "value": {"imageDataURL": _data_url(plane == value), "bitmasklabels": [label]},
            }
            for value, label in enumerate(CLASSES, start=1)
            if (plane == value).any()
        ]
        annotation = {"id": number + 7, "completed_by": 1, "result": regions}
        task |= {"id": number, "annotations": [annotation], "predictions": []}
    (out / "returned" / "project-1-at-2026.json").write_text(json.dumps(tasks))


def _data_url(drawn: NDArray[np.bool_]) -> str:
    pixels = np.zeros((*drawn.shape, 4), np.uint8)
    pixels[drawn] = 255
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def write_coco(out: Path, row: Mapping[str, Any], drawing: Drawing) -> None:
    """COCO with uncompressed counts, along the columns; categories numbered from 10."""
    images, annotations = [], []
    for number, (name, plane) in enumerate(pictures(row, drawing).items(), start=5):
        size = [int(v) for v in plane.shape]
        images.append({"id": number, "file_name": name, "height": size[0], "width": size[1]})
        for value in (1, 2):
            counts = _runs((plane == value).ravel(order="F"))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 9 + value,
                    "iscrowd": 1,
                    "segmentation": {"size": size, "counts": counts},
                }
            )
    categories = [{"id": 9 + n, "name": name} for n, name in enumerate(CLASSES, start=1)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (out / "returned" / "instances.json").write_text(json.dumps(document))


def write_dicom_seg(out: Path, row: Mapping[str, Any], drawing: Drawing) -> None:
    """highdicom: one binary segmentation of the exported series, tumour as its first segment."""
    files = [pydicom.dcmread(file) for file in sorted((out / row["image"]).iterdir())]
    segments = [
        hd.seg.SegmentDescription(
            number,
            name,
            codes.SCT.Tissue,
            codes.SCT.Tissue,
            hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, name in enumerate(("tumour", "organ"), start=1)
    ]
    shape, affine = _series_affine(out / row["image"])
    along_slices = [float(affine[:3, 2] @ (_TO_LPS[:3, :3] @ _place(ds))) for ds in files]
    order = np.argsort(np.argsort(along_slices))
    planes = drawing.on(shape, affine).transpose(2, 1, 0)[order]
    pixels = np.stack([planes == 2, planes == 1], axis=-1)
    seg = hd.seg.Segmentation(
        files,
        pixels,
        hd.seg.SegmentationTypeValues.BINARY,
        segments,
        hd.UID(),
        1,
        hd.UID(),
        1,
        "Acme",
        "Drawer",
        "1",
        "9",
    )
    seg.save_as(out / "masks" / "segmentation.dcm")


def _place(ds: pydicom.Dataset) -> NDArray[np.float64]:
    return np.array([float(v) for v in ds.ImagePositionPatient])


def _runs(flat: NDArray[np.bool_]) -> list[int]:
    """Run lengths, zeros first."""
    values = flat.astype(int)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], values, [2]))))
    return [int(n) for n in np.diff(np.concatenate(([0], edges)))]


WRITERS: Mapping[str, Write] = {
    "folder": write_folder,
    "nifti": write_nifti,
    "slicer": write_seg_nrrd,
    "monai-label": write_monai,
    "nnunet": write_nnunet,
    "cvat": write_cvat,
    "label-studio": write_label_studio,
    "coco": write_coco,
    "dicom-seg": write_dicom_seg,
}
