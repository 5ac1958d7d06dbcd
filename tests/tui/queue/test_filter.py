"""The filter language: what each term lets through, what is refused, how fast."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from coldal_tui.errors import UsageError
from coldal_tui.project.views.queue_table import ScanTable, Words
from coldal_tui.tui.queue.filter import complete, matching, parse

NAN = np.nan


def table() -> ScanTable:
    """Six scans a to f."""
    return ScanTable(
        scope="all",
        version=1,
        scan_id=["a_01", "b_02", "c_03", "d_04", "e_05", "Ä_06"],
        path=["x/A.png", "x/b two.png", "y/c.png", "y/d.png", "z/e.nii.gz", "z/ä.png"],
        round=np.array([0, 0, 1, 1, -1, -1], np.int32),
        rank=np.array([1, 2, 1, 2, -1, -1], np.int32),
        cluster=np.array([0, 1, 2, 2, 9, -1], np.int32),
        pinned=np.array([False, False, True, False, False, False]),
        role=Words.of(["medoid", "farthest-point", "acquired", "acquired", "", ""]),
        status=Words.of(["labelled", "skipped", "queued", "exported", "candidate", "held out"]),
        assignee=Words.of(["ana", "", "ben", "Ana Maria", "", ""]),
        reason=Words.of(["", "motion artefact", "", "", "", ""]),
        patient=Words.of(["P01", "P01", "P2", "", "P02", "P3"]),
        entropy=np.array([NAN, NAN, 0.7, 0.2, 0.6, NAN]),
        diversity=np.array([NAN, NAN, 0.1, 0.9, NAN, NAN]),
        score=np.array([NAN, NAN, 0.4, 0.55, NAN, NAN]),
        meta={
            "age": Words.of(["61", "55.0", "", "7", "80", "unknown"]),
            "Sex": Words.of(["F", "M", "F", "", "M", "F"]),
            "status": Words.of(["x", "y", "x", "x", "x", "x"]),
        },
    )


LETS_THROUGH = {
    "": "abcdeä",
    "cluster:3": "cd",
    "cluster:C3": "cd",
    "c:1,2": "ab",
    "cluster:1 cluster:10": "ae",
    "cluster:none": "ä",
    "cluster>2": "cde",
    "-cluster:3": "abeä",
    "role:medoid": "a",
    "role:farthest": "b",
    "role:none": "eä",
    "role:acquired status:queued": "c",
    "status:queued,exported": "cd",
    "status:queued status:exported": "cd",
    'status:"held out"': "ä",
    "STATUS:Queued": "c",
    "-status:skipped": "acdeä",
    "to:ana": "a",
    'to:"ana maria"': "d",
    "to:ben": "c",
    "to:nobody": "beä",
    "entropy>0.6": "c",
    "entropy>=.6": "ce",
    "H<.6": "d",
    "score<=.4": "c",
    "score=.55": "d",
    "entropy>0.1 entropy<0.65": "de",
    "-entropy>0.5": "abdä",
    "entropy:none": "abä",
    "rank:1": "ac",
    "rank<=1": "ac",
    "round:1": "cd",
    "round:none": "eä",
    "patient:P01": "ab",
    "patient:P0": "abe",
    "patient:P2": "c",
    "reason:motion": "b",
    "age>60": "ae",
    "age:55": "b",
    "age:unknown": "ä",
    "age=7": "d",
    "sex:f": "acä",
    "Sex=F": "acä",
    "meta.status:y": "b",
    "is:pinned": "c",
    "is:open": "cd",
    "scan:C_0": "c",
    "path:.nii": "e",
    "a.png": "a",
    "Ä": "ä",
    "two": "b",
    '"b two"': "b",
    "-png": "e",
    "y/ -d_04": "c",
    "0": "abcdeä",
    "cluster:3 d_": "d",
    '"cluster:3"': "",
    "zzz": "",
}


SHARED = {"to:ana": "ac", "to:ben": "ab", "to:car": "c", "to:ana,ben": "abc", "to:nobody": "deä"}


def test_a_scan_of_several_people_is_found_by_each_of_them() -> None:
    shared = replace(table(), assignee=Words.of(["ana,ben", "ben", "carla, Ana", "", "", ""]))
    for text, expected in SHARED.items():
        mask = matching(shared, text)
        assert "".join(np.array(list("abcdeä"))[mask]) == expected, text


@pytest.mark.parametrize("text", LETS_THROUGH)
def test_what_a_filter_lets_through(text: str) -> None:
    rows = table()
    found = "".join(rows.scan_id[n][0].lower() for n in np.flatnonzero(matching(rows, text)))
    assert found == LETS_THROUGH[text]


REFUSED = {
    "foo:1": (
        "there is no column 'foo'",
        "there is: cluster, role, status, to, patient, reason, entropy, diversity, score, rank, "
        "round, scan, path, is, age, Sex",
    ),
    "cluster:7": ("no cluster '7'", "there is: C1, C2, C3, C10"),
    "cluster:x": ("no cluster 'x'", "there is: C1, C2, C3, C10"),
    "role:medium": ("no role 'medium'", "there is: medoid, acquired, farthest-point"),
    "to:eve": ("no to 'eve'", "there is: ana, ben, Ana Maria"),
    "entropy>high": (
        "entropy is compared with a number, not with 'high'",
        "for example entropy>0.5",
    ),
    "is:nice": ("no is 'nice'", "there is: open, pinned"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_unknown_names_say_what_there_is(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        matching(table(), text)
    assert (caught.value.what, caught.value.remedy) == REFUSED[text]


def test_many_values_are_not_all_listed() -> None:
    rows = table()
    many = Words.of([f"P{n:03d}" for n in range(500)])
    object.__setattr__(rows, "patient", Words(many.codes[:6], many.names))
    with pytest.raises(UsageError) as caught:
        matching(rows, "patient:Q")
    assert caught.value.remedy is not None
    assert caught.value.remedy.endswith("P010, P011 and 488 more")


UNFINISHED = ("cluster:", "entropy>", "clus", "role:medoid stat", "-role:", "cluster:3 sex:")


@pytest.mark.parametrize("text", UNFINISHED)
def test_a_term_that_is_being_typed_hides_nothing_more(text: str) -> None:
    finished = " ".join(text.split()[:-1])
    assert (matching(table(), text, typing=True) == matching(table(), finished)).all()


def test_a_finished_filter_takes_an_unknown_word_at_its_word() -> None:
    assert not matching(table(), "clus").any()


def test_quotes_may_be_left_open() -> None:
    assert [term.value for term in parse('role:"farthest poi')] == ["farthest poi"]


COMPLETED = {
    "clu": "cluster:",
    "role:medoid sta": "role:medoid status:",
    "status:q": "status:queued",
    "-status:sk": "-status:skipped",
    "status:queued,ex": "status:queued,exported",
    "ent": "entropy>",
    "Se": "Sex:",
    "sex:": None,
    "": None,
    "zzz": None,
    "to:b": "to:ben",
}


@pytest.mark.parametrize("text", COMPLETED)
def test_completion(text: str) -> None:
    assert complete(table(), text) == COMPLETED[text]


def test_a_million_numbers_are_compared_in_a_moment() -> None:
    count = 1_000_000
    drawn = np.random.default_rng(0)
    few = Words(drawn.integers(0, 3, count).astype(np.int32), ("queued", "labelled", "skipped"))
    none = Words(np.zeros(count, np.int32), ("",))
    numbers = drawn.random(count)
    rows = ScanTable(
        scope="all",
        version=1,
        scan_id=range(count),  # type: ignore[arg-type]
        path=range(count),  # type: ignore[arg-type]
        round=np.zeros(count, np.int32),
        rank=np.arange(count, dtype=np.int32),
        cluster=drawn.integers(0, 5, count).astype(np.int32),
        pinned=np.zeros(count, np.bool_),
        role=none,
        status=few,
        assignee=none,
        reason=none,
        patient=none,
        entropy=numbers,
        diversity=numbers,
        score=numbers,
    )
    start = time.process_time()
    found = matching(rows, "entropy>0.6 score<=.9 status:queued")
    assert time.process_time() - start < 1.0
    assert found.sum() == ((numbers > 0.6) & (numbers <= 0.9) & (few.codes == 0)).sum()
