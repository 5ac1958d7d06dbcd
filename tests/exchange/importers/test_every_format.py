"""One drawing in every format: two classes, a hole; flat, in slices, in space; and one on another.

The files are written here by hand or with the programs' own libraries, never by our exporters.
"""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from coldal_tui.exchange.exporters import exporter
from coldal_tui.exchange.incoming.importing import examine
from tests.exchange.exporters.test_export_returns import drawn_slices, target_of
from tests.support import labelled_scans as scans

CLASSES = scans.META.classes
FLAT = (7, 9)
COLOURS = {"organ": (0, 128, 0), "tumour": (255, 20, 147)}
BOX = {"organ": (slice(1, 6), slice(1, 6)), "tumour": (slice(4, 7), slice(4, 9))}

Drawn = Sequence[tuple[str, np.ndarray]]
Writer = Callable[[Path, Mapping[str, Drawn]], None]


def parts(label: np.ndarray) -> Drawn:
    return [(name, label == value) for value, name in enumerate(CLASSES, start=1)]


def merged(drawn: Drawn) -> np.ndarray:
    label = np.zeros(drawn[0][1].shape, np.uint8)
    for name, mask in drawn:
        label[mask] = CLASSES.index(name) + 1
    return label


def png(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def stem(file: str) -> str:
    return file.removesuffix(".png")


# --- flat pictures, one or many


def raster_png(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    for file, one in drawn.items():
        Image.fromarray(merged(one)).save(folder / file)


def raster_tiff(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    for file, one in drawn.items():
        tifffile.imwrite(folder / f"{stem(file)}.tif", merged(one))


def coco(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    """Uncompressed counts, down the columns."""
    images, annotations = [], []
    for number, (file, one) in enumerate(drawn.items(), start=1):
        rows, columns = one[0][1].shape
        images.append({"id": number, "file_name": file, "height": rows, "width": columns})
        for name, mask in one:
            flat = mask.ravel(order="F").astype(int)
            edges = np.flatnonzero(np.diff(np.concatenate(([0], flat, [2]))))
            counts = np.diff(np.concatenate(([0], edges))).tolist()
            code = {"size": [rows, columns], "counts": counts}
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": CLASSES.index(name) + 5,
                    "segmentation": code,
                }
            )
    categories = [{"id": n + 5, "name": name} for n, name in enumerate(CLASSES)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(document))


def cvat(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    """Runs along the rows of the whole picture, unset first."""
    images = []
    for number, (file, one) in enumerate(drawn.items()):
        rows, columns = one[0][1].shape
        masks = ""
        for name, mask in one:
            if not mask.any():
                continue
            flat = mask.ravel().astype(int)
            edges = np.flatnonzero(np.diff(np.concatenate(([0], flat, [2]))))
            runs = ", ".join(map(str, np.diff(np.concatenate(([0], edges)))))
            place = f'left="0" top="0" width="{columns}" height="{rows}"'
            masks += f'<mask label="{name}" rle="{runs}" {place} z_order="0"/>'
        size = f'width="{columns}" height="{rows}"'
        images.append(f'<image id="{number}" name="{file}" {size}>{masks}</image>')
    text = f"<annotations><version>1.1</version>{''.join(images)}</annotations>"
    (folder / "annotations.xml").write_text(text)


def cvat_masks(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    lines = [f"{name}:{','.join(map(str, rgb))}::" for name, rgb in COLOURS.items()]
    text = "\n".join(("# label:color_rgb:parts:actions", "background:0,0,0::", *lines))
    (folder / "labelmap.txt").write_text(f"{text}\n")
    (folder / "SegmentationClass").mkdir()
    for file, one in drawn.items():
        picture = np.zeros((*one[0][1].shape, 3), np.uint8)
        for name, mask in one:
            picture[mask] = COLOURS[name]
        Image.fromarray(picture).save(folder / "SegmentationClass" / file)


def mots(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    """As datumaro writes it: 1,000 × (1 + label) + track; the labels in an order of their own."""
    order = list(reversed(CLASSES))
    (folder / "instances").mkdir(parents=True)
    (folder / "instances" / "labels.txt").write_text("\n".join(order))
    for file, one in drawn.items():
        picture = np.zeros(one[0][1].shape, np.uint16)
        for name, mask in one:
            picture[mask] = 1000 * (1 + order.index(name)) + 7
        Image.fromarray(picture).save(folder / "instances" / file)


def label_studio(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    tasks = []
    for number, (file, one) in enumerate(drawn.items(), start=1):
        rows, columns = one[0][1].shape
        result = [
            {
                "id": f"r{n}",
                "type": "bitmasklabels",
                "original_width": columns,
                "original_height": rows,
                "value": {
                    "imageDataURL": "data:image/png;base64,"
                    + base64.b64encode(png(mask.astype(np.uint8) * 255)).decode(),
                    "bitmasklabels": [name],
                },
            }
            for n, (name, mask) in enumerate(one)
            if mask.any()
        ]
        annotations = [{"id": number, "completed_by": 1, "result": result}]
        tasks.append({"id": number, "data": {"image": file}, "annotations": annotations})
    (folder / "project-1.json").write_text(json.dumps(tasks))


def label_studio_masks(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    tasks = []
    for number, (file, one) in enumerate(drawn.items(), start=1):
        tasks.append({"id": number, "data": {"image": file}, "annotations": []})
        for name, mask in one:
            path = folder / f"task-{number}-annotation-{number}-by-ada-tag-{name}-0.png"
            Image.fromarray(mask.astype(np.uint8) * 255).save(path)
    (folder / "tasks.json").write_text(json.dumps(tasks))


def labelme(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    for file, one in drawn.items():
        rows, columns = one[0][1].shape
        shapes = [
            {
                "label": name,
                "points": [[0, 0], [columns - 1, rows - 1]],
                "shape_type": "mask",
                "mask": base64.b64encode(png(mask)).decode(),
            }
            for name, mask in one
            if mask.any()
        ]
        document = {"shapes": shapes, "imagePath": file, "flags": {}}
        document |= {"imageHeight": rows, "imageWidth": columns}
        (folder / f"{stem(file)}.json").write_text(json.dumps(document))


def runs_of(mask: np.ndarray) -> list[list[tuple[int, int]]]:
    """A mask as rectangles, one for each run of a row: a hole is what they leave out."""
    found = []
    for row, line in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], line.astype(int), [0]))))
        for left, right in edges.reshape(-1, 2).tolist():
            found.append([(left, row), (right, row), (right, row + 1), (left, row + 1)])
    return found


def darwin(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    """Version 2, as https://docs.v7labs.com/reference/darwin-json describes it."""
    for file, one in drawn.items():
        rows, columns = one[0][1].shape
        annotations = [
            {
                "id": f"a{n}",
                "name": name,
                "slot_names": ["0"],
                "bounding_box": {"x": 0, "y": 0, "w": columns, "h": rows},
                "polygon": {
                    "paths": [[{"x": x, "y": y} for x, y in path] for path in runs_of(mask)]
                },
            }
            for n, (name, mask) in enumerate(one)
            if mask.any()
        ]
        slot = {"slot_name": "0", "width": columns, "height": rows}
        slot |= {"source_files": [{"file_name": file}]}
        document = {"version": "2.0", "item": {"name": file, "slots": [slot]}}
        document |= {"annotations": annotations}
        (folder / f"{stem(file)}.json").write_text(json.dumps(document))


def datumaro(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    items = []
    for file, one in drawn.items():
        rows, columns = one[0][1].shape
        annotations = []
        for name, mask in one:
            flat = mask.ravel(order="F").astype(int)
            edges = np.flatnonzero(np.diff(np.concatenate(([0], flat, [2]))))
            counts = np.diff(np.concatenate(([0], edges))).tolist()
            code = {"counts": counts, "size": [rows, columns]}
            annotations.append(
                {"type": "mask", "label_id": CLASSES.index(name), "rle": code, "z_order": 0}
            )
        image = {"path": file, "size": [rows, columns]}
        items.append({"id": stem(file), "annotations": annotations, "image": image})
    labels = [{"name": name, "parent": "", "attributes": []} for name in CLASSES]
    document = {"info": {}, "categories": {"label": {"labels": labels}}, "items": items}
    (folder / "annotations").mkdir(parents=True)
    (folder / "annotations" / "default.json").write_text(json.dumps(document))


def labelme_xml(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    (folder / "Masks").mkdir(parents=True)
    for file, one in drawn.items():
        rows, columns = one[0][1].shape
        told = ""
        for n, (name, mask) in enumerate(one):
            picture = f"{stem(file)}_mask_{n}.png"
            Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "Masks" / picture)
            told += (
                f"<object><name>{name}</name><deleted>0</deleted><id>{n}</id>"
                f"<segm><username>ada</username><mask>{picture}</mask></segm></object>"
            )
        size = f"<imagesize><nrows>{rows}</nrows><ncols>{columns}</ncols></imagesize>"
        text = f"<annotation><filename>{file}</filename><folder/>{size}{told}</annotation>"
        (folder / f"{stem(file)}.xml").write_text(text)


def qupath(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    for file, one in drawn.items():
        features = [
            {
                "type": "Feature",
                "id": f"id-{n}",
                "geometry": {
                    "type": "MultiPolygon",
                    "coordinates": [[[*path, path[0]]] for path in runs_of(mask)],
                },
                "properties": {
                    "objectType": "annotation",
                    "classification": {"name": name, "color": [1, 2, 3]},
                },
            }
            for n, (name, mask) in enumerate(one)
            if mask.any()
        ]
        document = {"type": "FeatureCollection", "features": features}
        (folder / f"{stem(file)}.geojson").write_text(json.dumps(document))


def via(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    entries = {}
    for file, one in drawn.items():
        regions = [
            {
                "shape_attributes": {
                    "name": "polygon",
                    "all_points_x": [x for x, _ in path],
                    "all_points_y": [y for _, y in path],
                },
                "region_attributes": {"tissue": name},
            }
            for name, mask in one
            for path in runs_of(mask)
        ]
        entries[f"{file}123"] = {"filename": file, "size": 123, "regions": regions} | {
            "file_attributes": {}
        }
    folder.mkdir(exist_ok=True)
    project = {"_via_settings": {}, "_via_img_metadata": entries, "_via_attributes": {}}
    (folder / "via_project.json").write_text(json.dumps(project))


def supervisely(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    (folder / "ann").mkdir()
    for file, one in drawn.items():
        rows, columns = one[0][1].shape
        objects = []
        for name, mask in one:
            image = Image.fromarray(mask.astype(np.uint8))
            image.putpalette([0, 0, 0, 255, 255, 255])
            stream = io.BytesIO()
            image.save(stream, "PNG", transparency=0)
            data = base64.b64encode(zlib.compress(stream.getvalue())).decode()
            bitmap = {"data": data, "origin": [0, 0]}
            objects.append({"classTitle": name, "geometryType": "bitmap", "bitmap": bitmap})
        document = {"size": {"height": rows, "width": columns}, "objects": objects}
        (folder / "ann" / f"{file}.json").write_text(json.dumps(document))


def nnunet(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    values = {"background": 0} | {name: n for n, name in enumerate(CLASSES, start=1)}
    fields = {"channel_names": {"0": "x"}, "labels": values, "numTraining": len(drawn)}
    (folder / "dataset.json").write_text(json.dumps(fields | {"file_ending": ".png"}))
    (folder / "labelsTr").mkdir()
    raster_png(folder / "labelsTr", drawn)


def monai_label(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    (folder / "labels" / "final").mkdir(parents=True)
    raster_png(folder / "labels" / "final", drawn)
    datastore(folder, {stem(file): ".png" for file in drawn})


def datastore(folder: Path, endings: Mapping[str, str]) -> None:
    """``datastore_v2.json`` with a final label for each of these."""
    named = [{"name": name, "idx": n} for n, name in enumerate(CLASSES, start=1)]
    objects = {
        key: {
            "image": {"ext": ending, "info": {"name": f"{key}{ending}"}},
            "labels": {
                "final": {"ext": ending, "info": {"name": f"{key}{ending}", "label_info": named}}
            },
        }
        for key, ending in endings.items()
    }
    content = {"name": "x", "images_dir": ".", "labels_dir": "labels", "objects": objects}
    (folder / "datastore_v2.json").write_text(json.dumps(content))


def one_slice(folder: Path, drawn: Mapping[str, Drawn]) -> None:
    for file, one in drawn.items():
        image = sitk.GetImageFromArray(merged(one)[np.newaxis])
        # A square one would need a header to be told apart; this one is not square.
        sitk.WriteImage(image, str(folder / f"{stem(file)}.nii.gz"))


FLAT_WRITERS: dict[str, Writer] = {
    "raster": raster_png,
    "raster (TIFF)": raster_tiff,
    "coco": coco,
    "cvat": cvat,
    "cvat-masks": cvat_masks,
    "labelstudio": label_studio,
    "labelstudio-masks": label_studio_masks,
    "labelme": labelme,
    "labelme-xml": labelme_xml,
    "darwin": darwin,
    "datumaro": datumaro,
    "qupath": qupath,
    "supervisely": supervisely,
    "via": via,
    "mots": mots,
    "nnunet": nnunet,
    "monai-label": monai_label,
    "nifti": one_slice,
}
SLICED = [
    name for name in FLAT_WRITERS if name not in ("nifti", "nnunet", "monai-label", "raster (TIFF)")
]
OVERLAPPING = (
    "coco",
    "cvat",
    "labelstudio",
    "labelstudio-masks",
    "labelme",
    "labelme-xml",
    "darwin",
    "datumaro",
    "qupath",
    "supervisely",
    "via",
)


def imported(source: Path, targets: list, classes: Sequence[str] = CLASSES) -> list:
    verdicts = list(examine(source, targets, classes, None))
    bad = [v for v in verdicts if v.status in ("quarantined", "unmatched")]
    assert not bad, [(v.file.name, v.message) for v in bad]
    return [v for v in verdicts if v.status == "accepted"]


@pytest.mark.parametrize("name", FLAT_WRITERS)
def test_a_picture_with_two_classes_and_a_hole(tmp_path, name):
    source = tmp_path / "drawn"
    source.mkdir()
    FLAT_WRITERS[name](source, {"photo.png": parts(scans.ring(FLAT))})
    (verdict,) = imported(source, [target_of(scans.picture(tmp_path))])
    assert verdict.format == name.partition(" ")[0]
    np.testing.assert_array_equal(verdict.label, scans.ring(FLAT))


@pytest.mark.parametrize("name", SLICED)
def test_slices_of_a_volume_come_back(tmp_path, name):
    item = scans.volume(tmp_path)
    meta = replace(scans.META, classes=CLASSES)
    out = exporter("coco")(tmp_path / "out", [item], meta).folder
    planes = drawn_slices(out, item, scans.ring(scans.SHAPE))
    FLAT_WRITERS[name](out / "returned", {file: parts(one) for file, one in planes.items()})
    targets = [target_of(item)]
    verdicts = list(examine(out / "returned", targets, CLASSES, None))
    (verdict,) = [v for v in verdicts if v.status == "accepted"]
    seen = scans.ring(scans.SHAPE)
    np.testing.assert_array_equal(np.where(verdict.label == 255, 0, verdict.label), seen)
    # What is drawn is there; only a slice without any drawing may be undecided.
    assert not (verdict.label[:, :, seen.any(axis=(0, 1))] == 255).any()


@pytest.mark.parametrize("name", OVERLAPPING)
def test_of_drawings_that_overlap_the_later_class_wins(tmp_path, name):
    drawn, expected = [], np.zeros(FLAT, np.uint8)
    for value, (title, place) in enumerate(BOX.items(), start=1):
        mask = np.zeros(FLAT, bool)
        mask[place] = True
        expected[mask] = value
        drawn.append((title, mask))
    source = tmp_path / "drawn"
    source.mkdir()
    # The drawing that loses comes last: the order of the file does not decide.
    FLAT_WRITERS[name](source, {"photo.png": drawn[::-1]})
    (verdict,) = imported(source, [target_of(scans.picture(tmp_path))])
    np.testing.assert_array_equal(verdict.label, expected)
    assert any("4 pixels were claimed twice" in note for note in verdict.notes)


# --- volumes


def space(label: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(label.T))
    image.CopyInformation(scans.oblique())
    return image


def written_by_itk(ending: str, folder: str = ".") -> Callable[[Path, np.ndarray], None]:
    def write(source: Path, label: np.ndarray) -> None:
        (source / folder).mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(space(label), str(source / folder / f"brain{ending}"))

    return write


def seg_nrrd(source: Path, label: np.ndarray) -> None:
    image = scans.oblique()
    directions = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    header: dict[str, object] = {
        "space": "left-posterior-superior",
        "space directions": directions.T,
        "space origin": np.array(image.GetOrigin()),
        "kinds": ["domain", "domain", "domain"],
    }
    for number, name in enumerate(CLASSES):
        header |= {
            f"Segment{number}_ID": f"Segment_{number + 1}",
            f"Segment{number}_Name": name,
            f"Segment{number}_Layer": "0",
            f"Segment{number}_LabelValue": str(number + 1),
        }
    nrrd.write(str(source / "brain.seg.nrrd"), label, header)


def mitk(source: Path, label: np.ndarray) -> None:
    image = scans.oblique()
    directions = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    labels = [{"name": name, "value": n} for n, name in enumerate(CLASSES, start=1)]
    header = {
        "space": "left-posterior-superior",
        "space directions": directions.T,
        "space origin": np.array(image.GetOrigin()),
        "kinds": ["domain", "domain", "domain"],
        "modality": "org.mitk.multilabel.segmentation",
        "org.mitk.multilabel.segmentation.labelgroups": json.dumps([{"labels": labels}]),
    }
    nrrd.write(str(source / "brain.nrrd"), label, header)


def nnunet_volume(source: Path, label: np.ndarray) -> None:
    nnunet(source, {})
    written_by_itk(".nii.gz", "labelsTr")(source, label)


def monai_label_volume(source: Path, label: np.ndarray) -> None:
    written_by_itk(".nii.gz", "labels/final")(source, label)
    datastore(source, {"brain": ".nii.gz"})


VOLUMES = {
    "nifti": written_by_itk(".nii.gz"),
    "nrrd": written_by_itk(".nrrd"),
    "metaimage": written_by_itk(".mha"),
    "seg-nrrd": seg_nrrd,
    "mitk": mitk,
    "nnunet": nnunet_volume,
    "monai-label": monai_label_volume,
}


@pytest.mark.parametrize("name", VOLUMES)
def test_a_volume_with_two_classes_and_a_hole(tmp_path, name):
    source = tmp_path / "drawn"
    source.mkdir()
    VOLUMES[name](source, scans.ring(scans.SHAPE))
    (verdict,) = imported(source, [target_of(scans.volume(tmp_path))])
    assert verdict.format == name
    np.testing.assert_array_equal(verdict.label, scans.ring(scans.SHAPE))


# --- what we write, read by others


def pre_label(fmt: str, folder: Path, item, name: str) -> Path:
    out = exporter(fmt)(folder / "out", [item], scans.META).folder
    (found,) = [path for path in out.rglob(name) if path.parent.name in ("prelabels", "original")]
    return found


@pytest.mark.parametrize("fmt", ["folder", "nifti", "monai-label", "nnunet"])
def test_nibabel_sees_every_voxel_where_it_belongs(tmp_path, fmt):
    item = scans.volume(tmp_path, ".nrrd")
    out = exporter(fmt)(tmp_path / "out", [item], scans.META).folder
    (path,) = [p for p in out.rglob("brain*.nii.gz") if p.parent.name in ("prelabels", "original")]
    image = nib.load(path)
    source, label = scans.oblique(), scans.ring(scans.SHAPE)
    for value in (1, 2):
        at = np.argwhere(np.asarray(image.dataobj) == value)
        seen = at @ image.affine[:3, :3].T + image.affine[:3, 3]
        wanted = [
            np.array(source.TransformIndexToPhysicalPoint([int(n) for n in one])) * (-1, -1, 1)
            for one in np.argwhere(label == value)
        ]
        assert set(map(tuple, np.round(seen, 2) + 0.0)) == set(
            map(tuple, np.round(wanted, 2) + 0.0)
        )


@pytest.mark.parametrize("fmt", ["folder", "monai-label", "nnunet"])
def test_pillow_sees_the_pre_label_of_a_picture(tmp_path, fmt):
    path = pre_label(fmt, tmp_path, scans.picture(tmp_path), "photo.png")
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), scans.ring(FLAT))


def test_pynrrd_sees_the_segments_of_a_picture(tmp_path):
    path = pre_label("slicer", tmp_path, scans.picture(tmp_path), "photo.seg.nrrd")
    voxels, header = nrrd.read(str(path))
    np.testing.assert_array_equal(voxels[..., 0].T, scans.ring(FLAT))
    assert [header[f"Segment{n}_Name"] for n in (0, 1)] == list(CLASSES)
