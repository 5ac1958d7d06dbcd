"""Reads exports with other programs and writes down what they saw: read.py EXPORTS OUT PROGRAM…

Volumes are told as the places of their voxels in LPS mm, pictures as rows and columns, per class.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

Seen = dict[str, Any]


def places(mask: np.ndarray, affine: np.ndarray) -> list[list[float]]:
    """Where the voxels of ``mask`` lie, sorted; ``affine`` leads from indices to mm."""
    at = np.argwhere(mask)
    points = at @ affine[:3, :3].T + affine[:3, 3]
    return sorted(np.round(points, 2).tolist())


def pixels(mask: np.ndarray) -> list[list[int]]:
    return np.argwhere(mask).tolist()


def by_slicerio(exports: Path) -> Seen:
    import slicerio

    found = slicerio.read_segmentation(str(exports / "slicer/prelabels/brain.seg.nrrd"))
    affine = np.asarray(found["ijkToLPS"])
    return {
        one["name"]: places(found["voxels"] == one["labelValue"], affine)
        for one in found["segments"]
    }


def by_highdicom(exports: Path) -> Seen:
    import highdicom

    found = highdicom.seg.segread(exports / "dicom-seg/prelabels/ct.seg.dcm")
    seen = {}
    for number in found.segment_numbers:
        volume = found.get_volume(segment_numbers=[number], combine_segments=True)
        name = found.get_segment_description(number).segment_label
        seen[name] = places(volume.array > 0, volume.affine)
    return seen


def by_dcmqi(exports: Path) -> Seen:
    import SimpleITK

    with tempfile.TemporaryDirectory() as folder:
        command = ["segimage2itkimage", "--inputDICOM"]
        command += [str(exports / "dicom-seg/prelabels/ct.seg.dcm"), "--outputDirectory", folder]
        command += ["--outputType", "nrrd", "--prefix", "ct", "--mergeSegments"]
        subprocess.run(command, check=True, capture_output=True)
        image = SimpleITK.ReadImage(f"{folder}/ct-1.nrrd")
        groups = json.loads(Path(folder, "ct-meta.json").read_text())["segmentAttributes"]
    affine = np.eye(4)
    directions = np.reshape(image.GetDirection(), (3, 3))
    affine[:3, :3], affine[:3, 3] = directions * np.array(image.GetSpacing()), image.GetOrigin()
    voxels = SimpleITK.GetArrayFromImage(image).T
    return {
        one["SegmentLabel"]: places(voxels == one["labelID"], affine)
        for group in groups
        for one in group
    }


def by_pycocotools(exports: Path) -> Seen:
    from pycocotools.coco import COCO

    found = COCO(str(exports / "coco/annotations/instances_default.json"))
    names = {one["id"]: one["name"] for one in found.dataset["categories"]}
    seen: Seen = {image["file_name"]: {} for image in found.dataset["images"]}
    for one in found.dataset["annotations"]:
        mask = found.annToMask(one)
        assert mask.sum() == one["area"]
        file = found.imgs[one["image_id"]]["file_name"]
        seen[file][names[one["category_id"]]] = pixels(mask)
    return seen


def by_datumaro(exports: Path) -> Seen:
    import datumaro

    seen: Seen = {}
    for fmt in ("coco", "cvat"):
        found = datumaro.Dataset.import_from(str(exports / fmt), fmt)
        names = [one.name for one in found.categories()[datumaro.AnnotationType.label].items]
        seen[fmt] = {
            f"{item.id}.png": {
                names[one.label]: pixels(one.image)
                for one in item.annotations
                if one.type.name == "mask"
            }
            for item in found
        }
    return seen


def by_cvat_sdk(exports: Path) -> Seen:
    """The masks of the XML as CVAT's own client decodes them; it reads no files by itself."""
    from cvat_sdk.masks import decode_mask

    seen: Seen = {}
    for image in ElementTree.parse(exports / "cvat/annotations.xml").iter("image"):
        drawn = seen.setdefault(image.get("name"), {})
        for one in image.iter("mask"):
            runs = [int(run) for run in one.get("rle").split(",")]
            left, top, width, height = (
                int(one.get(key)) for key in ("left", "top", "width", "height")
            )
            mask = decode_mask(
                [*runs, left, top, left + width - 1, top + height - 1],
                image_width=int(image.get("width")),
                image_height=int(image.get("height")),
            )
            drawn[one.get("label")] = pixels(mask)
    return seen


def by_label_studio(exports: Path) -> Seen:
    from label_studio_sdk.converter import brush

    seen: Seen = {}
    for task in json.loads((exports / "label-studio/tasks.json").read_text()):
        drawn = seen.setdefault(task["data"]["image"].rpartition("/")[2], {})
        for one in task["predictions"][0]["result"]:
            size = one["original_height"], one["original_width"], 4
            mask = brush.decode_rle(one["value"]["rle"]).reshape(size)[..., 3]
            drawn[one["value"]["brushlabels"][0]] = pixels(mask == 255)
    return seen


def by_monailabel(exports: Path) -> Seen:
    from monailabel.datastore.local import LocalDatastore

    store = LocalDatastore(str(exports / "monai-label"), auto_reload=False)
    images = sorted(store.list_images())
    return {
        "images": images,
        "unlabelled": sorted(store.get_unlabeled_images()),
        "proposals": {image: Path(store.get_label_uri(image, "original")).name for image in images},
        "final": [image for image in images if store.get_label_by_image_id(image, "final")],
        "names": store.get_label_info("brain", "original")["label_info"],
    }


def by_dicom_anonymizer(exports: Path) -> Seen:
    """Attributes of a file that says too much which the Basic Profile takes out or changes."""
    import pydicom
    from dicomanonymizer import anonymize_dataset

    source = pydicom.dcmread(exports / "sources" / "telling.dcm")
    before = {element.keyword: str(element.value) for element in source if element.keyword}
    anonymize_dataset(source, delete_private_tags=True)
    after = {element.keyword: str(element.value) for element in source if element.keyword}
    return {
        "removed": sorted(before.keys() - after.keys()),
        "changed": sorted(key for key in before.keys() & after.keys() if before[key] != after[key]),
        "kept": sorted(key for key in before.keys() & after.keys() if before[key] == after[key]),
    }


READERS: dict[str, Callable[[Path], Seen]] = {
    "slicerio": by_slicerio,
    "highdicom": by_highdicom,
    "dcmqi": by_dcmqi,
    "pycocotools": by_pycocotools,
    "datumaro": by_datumaro,
    "cvat-sdk": by_cvat_sdk,
    "label-studio-sdk": by_label_studio,
    "monailabel": by_monailabel,
    "dicom-anonymizer": by_dicom_anonymizer,
}


def main(exports: Path, out: Path, programs: Iterable[str]) -> None:
    seen = {name: {"version": version(name), "saw": READERS[name](exports)} for name in programs}
    out.write_text(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
