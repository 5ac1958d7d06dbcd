"""Golden masks for the tests: shapes turned into pixels by the labelers' own programs.

    python -m venv /tmp/golden
    /tmp/golden/bin/pip install numpy pillow pycocotools==2.0.11 label-studio-converter==0.0.59
    /tmp/golden/bin/pip install --no-deps labelme==6.3.1
    /tmp/golden/bin/python tests/exchange/golden/make_masks.py tests/exchange/golden/masks.json

These programs are too heavy for the project's own environment, so their answers are kept.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from importlib.metadata import files, version
from pathlib import Path

import numpy as np

SEED = 20


def main(target: Path) -> None:
    rng = np.random.default_rng(SEED)
    golden = {
        "made_with": {n: version(n) for n in ("pycocotools", "label-studio-converter", "labelme")},
        "coco": [coco_case(rng, kind) for kind in range(4) for _ in range(12)],
        "brush": [brush_case(rng) for _ in range(4)],
        "labelme": [labelme_case(rng, kind) for kind in LABELME for _ in range(6)],
    }
    target.write_text(json.dumps(golden, separators=(",", ":")).replace("},{", "},\n{") + "\n")


def coco_case(rng: np.random.Generator, kind: int) -> dict:
    """Polygons with corners outside, on whole pixels, near the rim, and drawn twice."""
    from pycocotools import mask as coco

    rows, columns = (int(n) for n in rng.integers(3, 60, 2))
    points = {
        0: lambda: rng.uniform(-20, 80, (7, 2)),
        1: lambda: rng.integers(-5, 65, (5, 2)).astype(float),
        2: lambda: np.round(rng.uniform(0, 1, (9, 2)) * [columns, rows], 2),
        3: lambda: np.repeat(rng.integers(0, 100, (6, 2)) / 2, 2, axis=0),
    }[kind]()
    polygon = points.ravel().tolist()
    code = coco.frPyObjects([polygon], rows, columns)[0]
    pixels = np.flatnonzero(coco.decode(code)).tolist()
    return {
        "polygon": polygon,
        "size": [rows, columns],
        "counts": code["counts"].decode(),
        "pixels": runs(pixels),
    }


def brush_case(rng: np.random.Generator) -> dict:
    from label_studio_converter import brush

    rows, columns = (int(n) for n in rng.integers(5, 25, 2))
    mask = np.zeros((rows, columns), np.uint8)
    mask[1 : rows // 2, 2 : columns - 1] = 255
    mask[rng.random(mask.shape) < 0.05] = 255
    code = brush.mask2rle(mask)
    assert (brush.decode_rle(code).reshape(rows, columns, 4)[..., 3] == mask).all()
    pixels = np.flatnonzero(mask).tolist()
    return {"rle": [int(n) for n in code], "size": [rows, columns], "pixels": runs(pixels)}


LABELME = ("polygon", "rectangle", "circle", "oriented_rectangle")


def labelme_case(rng: np.random.Generator, kind: str) -> dict:
    shape = labelme_shapes()
    count = {"polygon": 8, "oriented_rectangle": 4}.get(kind, 2)
    points = np.round(rng.uniform(-5, 45, (count, 2)), 3).tolist()
    mask = shape.shape_to_mask((40, 45), points, kind)
    pixels = np.flatnonzero(mask).tolist()
    return {"shape_type": kind, "points": points, "size": [40, 45], "pixels": runs(pixels)}


def labelme_shapes() -> types.ModuleType:
    """labelme's module of shapes alone: its package asks for a window system."""
    file = next(f for f in files("labelme") or () if str(f) == "labelme/utils/shape.py")
    labels = types.ModuleType("labelme._label_file")
    labels.ShapeDict = dict
    sys.modules.setdefault("labelme", types.ModuleType("labelme"))
    sys.modules["labelme._label_file"] = labels
    spec = importlib.util.spec_from_file_location("labelme_shape", file.locate())
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def runs(pixels: list[int]) -> list[list[int]]:
    """Flat indices (along the rows) as [first, how many]."""
    found: list[list[int]] = []
    for pixel in pixels:
        if found and sum(found[-1]) == pixel:
            found[-1][1] += 1
        else:
            found.append([pixel, 1])
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
