"""Files that are probably of one person, by their names, and the pattern that joins them."""

from __future__ import annotations

import re

import pytest

from coldal_tui.project.scans.same_person import find_same_person

TOLD = {
    "eyes": (["Image_01L.jpg", "Image_01R.jpg", "Image_02L.jpg", "Image_02R.jpg"], 2),
    "sides in words": (["a/7_left.png", "a/7_right.png", "b/7_left.png", "b/7_right.png"], 2),
    "visits": ([f"p{n}_v{v}.nii.gz" for n in (1, 2, 3) for v in (1, 2, 10)], 3),
    "views": ([f"c{n}-{view}.png" for n in (1, 2) for view in ("PA", "lateral")], 2),
    "breasts": ([f"m{n}_{v}.png" for n in (1, 2) for v in ("L_CC", "R_CC", "L_MLO")], 2),
    "visit and side": ([f"k{n}_visit{n}_{s}.png" for n in (1, 2) for s in ("L", "R")], 2),
    "BIDS": ([f"sub-{n}/ses-{s}/anat/sub-{n}_ses-{s}_T1w.nii.gz" for n in "ab" for s in "12"], 2),
    "names with dots": ([f"1.2.{n}_{s}.png" for n in (1, 2) for s in ("OD", "OS")], 2),
}


@pytest.mark.parametrize("what", TOLD)
def test_names_that_differ_in_a_side_a_view_or_a_visit(what: str) -> None:
    paths, persons = TOLD[what]
    found = find_same_person(paths)
    assert found is not None
    assert (found.files, found.persons) == (len(paths), persons)
    matches = [re.search(found.pattern, path) for path in paths]
    assert len({match[1] for match in matches if match}) == persons
    assert set(found.example) < set(paths)


@pytest.mark.parametrize(
    "paths",
    [
        [f"scan_{n}.png" for n in range(20)],
        [f"liver.png/{n}.png" for n in range(9)],
        ["XL.png", "XR.png", "all.png", "alr.png"],  # a letter that ends a word tells no side
        ["left.png", "right.png"],
        ["1_L.png", "1_R.png", "2_L.png"],  # one pair may be chance
        [f"sub-{n}_T1w.nii.gz" for n in range(5)],
    ],
    ids=["numbers", "folder", "words", "sides alone", "one pair", "one scan of each subject"],
)
def test_other_names_say_nothing(paths: list[str]) -> None:
    assert find_same_person(paths) is None
