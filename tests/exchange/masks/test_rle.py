"""Run-length codes: by hand, and against the answers of the labelers' own programs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from coldal_tui.errors import ImageError
from coldal_tui.exchange.masks.rle import decode_brush, decode_coco, decode_cvat, unpack_coco
from tests.support.places import ROOT

GOLDEN = json.loads((ROOT / "tests" / "exchange" / "golden" / "masks.json").read_text())


def pixels(case: dict) -> np.ndarray:
    """The golden mask: runs along the rows."""
    rows, columns = case["size"]
    flat = np.zeros(rows * columns, bool)
    for first, length in case["pixels"]:
        flat[first : first + length] = True
    return flat.reshape(rows, columns)


@pytest.mark.parametrize("case", GOLDEN["coco"], ids=lambda case: f"{case['size']}")
def test_cocos_compressed_code_as_pycocotools_reads_it(case):
    code = {"size": case["size"], "counts": case["counts"]}

    np.testing.assert_array_equal(decode_coco(code), pixels(case))


def test_cocos_plain_code_goes_down_the_columns():
    drawn = decode_coco({"size": [2, 3], "counts": [1, 2, 3]})

    np.testing.assert_array_equal(drawn, [[0, 1, 0], [1, 0, 0]])


def test_cvats_code_goes_along_the_rows():
    np.testing.assert_array_equal(decode_cvat("1, 2, 3", 2, 3), [[0, 1, 1], [0, 0, 0]])


@pytest.mark.parametrize("case", GOLDEN["brush"], ids=lambda case: f"{case['size']}")
def test_a_brush_as_label_studios_converter_writes_it(case):
    alpha = decode_brush(case["rle"], *case["size"])

    np.testing.assert_array_equal(alpha > 0, pixels(case))
    assert set(np.unique(alpha)) == {0, 255}


def bits(*parts: tuple[int, int]) -> list[int]:
    """Numbers packed with so many bits each, as bytes."""
    text = "".join(f"{value:0{size}b}" for value, size in parts)
    text += "0" * (-len(text) % 8)
    return [int(text[i : i + 8], 2) for i in range(0, len(text), 8)]


HEADER = ((16, 32), (7, 5), (2, 4), (3, 4), (7, 4), (15, 4))
"""16 words of 8 bits; lengths of 3, 4, 8 and 16 bits."""


def test_a_brush_of_literal_words_and_of_a_run():
    literal = ((0, 1), (0, 2), (6, 3), *((value, 8) for value in (9, 9, 9, 255, 0, 0, 0)))
    run = ((1, 1), (1, 2), (8, 4), (7, 8))

    alpha = decode_brush(bits(*HEADER, *literal, *run), 2, 2)

    # Words 3, 7, 11 and 15 are alpha: 255, then the run of 7.
    np.testing.assert_array_equal(alpha, [[255, 7], [7, 7]])


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ({"size": [2, 2], "counts": [1, 4]}, "longer than|cover 5 of 4"),
        ({"size": [2, 2], "counts": [5]}, "longer than the picture"),
        ({"size": [2, 2], "counts": [-1, 5]}, "negative"),
        ({"size": [2, 2], "counts": [1, 2]}, "cover 3 of 4 pixels"),
        ({"size": [2, 2], "counts": [2, 10**400]}, "no whole number"),
        ({"size": [2, 2], "counts": ["x"]}, "no whole number"),
        ({"size": [2, 2], "counts": 3}, "no list of numbers"),
        ({"size": [2, 2], "counts": "04o"}, "characters|cover|longer"),
        ({"size": [2, 2], "counts": "PPPPPPPPPPPPP0"}, "too large for any picture"),
        ({"size": [2], "counts": []}, "states no size"),
        ({"size": [0, 2], "counts": []}, "no size of a picture"),
        ({"size": ["a", 2], "counts": []}, "no size of a picture"),
        (None, "states no size"),
    ],
)
def test_a_code_that_does_not_fit_its_picture(code, reason):
    with pytest.raises(ImageError, match=reason) as caught:
        decode_coco(code)

    assert caught.value.code == "damaged"


def test_a_code_for_a_picture_beyond_all_memory():
    with pytest.raises(ImageError) as caught:
        decode_coco({"size": [10**5, 10**5], "counts": [10**10]})

    assert caught.value.code == "too-large"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ([0, 0], "ends in its header"),
        (bits(*HEADER), "ends too early|beyond its end"),
        (bits(*HEADER, (1, 1), (3, 2), (40, 16), (7, 8)), "beyond its end"),
        (bits(*HEADER, (0, 1), (3, 2), (15, 16), (7, 8)), "beyond its end"),
        (bits((17, 32), *HEADER[1:]), "17 words of 8 bits"),
        (bits((16, 32), (15, 5), *HEADER[2:]), "words of 16 bits"),
        ([300], "no bytes"),
        ("text", "no list of numbers"),
        (None, "no list of numbers"),
    ],
)
def test_a_brush_that_overruns_or_ends_too_early(code, reason):
    with pytest.raises(ImageError, match=reason):
        decode_brush(code, 2, 2)


def test_an_empty_code_has_no_runs():
    assert unpack_coco(b"").size == 0
