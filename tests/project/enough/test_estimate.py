"""The answer to "Enough?" of small projects whose runs and measures are put in by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pytest

from coldal_tui.project.enough.estimate import Enough, read_enough
from coldal_tui.project.enough.estimate_words import (
    enough_words,
    gain_words,
    raters_words,
    signed,
    stop_words,
)
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.measuring import CROSS_FITTED, FROZEN, TEST_THEN_TRAIN
from coldal_tui.project.minutes.time_model import Total
from coldal_tui.simulation.expected_gain import Gain, RunFigures, expected_gain

SCANS = tuple("abcdefgh")


@pytest.fixture
def project(lab):
    lab.pictures(*SCANS)
    return lab.start()


def _add_run(
    project,
    number: int,
    trained: Sequence[str],
    measured: Mapping[str, tuple[str, Mapping[str, float | tuple[float, str]]]],
    **summary,
) -> None:
    with project.store.transaction():
        project.store.insert(
            "runs",
            run_id=f"run-{number}",
            round=number,
            seed=0,
            created_at=f"2026-01-{number:02}",
            train_scans=list(trained),
            validation_scans=[],
            summary=summary,
        )
        for scan, (split, classes) in measured.items():
            for name, value in classes.items():
                dice, note = value if isinstance(value, tuple) else (value, "")
                key = {"run_id": f"run-{number}", "split": split, "scan_id": scan, "class": name}
                project.store.insert(
                    "metrics", **key, dice=dice, hd=1, hd95=1, unit="px", note=note
                )


def _crossed(*dice: float) -> dict[str, tuple[str, dict[str, float]]]:
    return {scan: (CROSS_FITTED, {"lung": value}) for scan, value in zip(SCANS, dice, strict=False)}


def _three_runs(project) -> None:
    """3, 4 and 6 labels; what came after a run was measured by it before it trained."""
    _add_run(
        project,
        1,
        SCANS[:3],
        _crossed(0.5, 0.6, 0.55) | {"d": (TEST_THEN_TRAIN, {"lung": 0.4})},
    )
    _add_run(
        project,
        2,
        SCANS[:4],
        _crossed(0.6, 0.66, 0.6, 0.5)
        | {"e": (TEST_THEN_TRAIN, {"lung": 0.6}), "f": (TEST_THEN_TRAIN, {"lung": 0.7})},
    )
    _add_run(project, 3, SCANS[:6], _crossed(0.65, 0.7, 0.65, 0.6, 0.66, 0.72))


def test_nothing_is_said_before_a_run_is_measured(project) -> None:
    assert read_enough(project) is None
    _add_run(project, 1, SCANS[:3], {})
    assert read_enough(project) is None


def test_it_says_what_is_missing(project) -> None:
    _add_run(project, 1, SCANS[:3], _crossed(0.5, 0.6, 0.55))
    found = read_enough(project)
    assert (found.gain, found.stop) == (None, False)
    assert gain_words(found) == (
        "can't say yet: it takes measured runs with 3 different label counts, there is 1"
    )
    # Another run on as many labels is no further round.
    _add_run(project, 2, SCANS[:3], _crossed(0.5, 0.6, 0.55))
    _add_run(project, 3, SCANS[:4], _crossed(0.5, 0.6, 0.55, 0.6))
    assert "there are 2" in read_enough(project).missing


def test_runs_without_a_common_scan_are_not_compared(project) -> None:
    """By test-then-train alone, each run is measured on other scans."""
    for number, (labels, scan) in enumerate([(2, "c"), (3, "d"), (4, "e")], start=1):
        _add_run(project, number, SCANS[:labels], {scan: (TEST_THEN_TRAIN, {"lung": 0.5})})
    found = read_enough(project)
    assert found.gain is None
    assert "3 measured runs, but no scan" in found.missing
    assert "coldal-tui crossfit --run RUN" in found.missing


def test_few_patients_are_too_few(project) -> None:
    for number, labels in enumerate((2, 3, 4), start=1):
        _add_run(project, number, SCANS[:labels], _crossed(0.5, 0.6))
    assert read_enough(project).missing == "it takes 3 measured patients, there are 2"


def test_the_gain_is_that_of_cross_fitted_and_test_then_train_figures(project) -> None:
    """Networks of a cross-fitting in 5 folds (3 of 3 labels) had 2, 3 and 4.8 of 3, 4, 6 labels."""
    _three_runs(project)
    found = read_enough(project)
    runs = [
        RunFigures(3, {"a": (0.5, 2), "b": (0.6, 2), "c": (0.55, 2), "d": (0.4, 3)}),
        RunFigures(
            4,
            {"a": (0.6, 3), "b": (0.66, 3), "c": (0.6, 3), "d": (0.5, 3), "e": (0.6, 4)}
            | {"f": (0.7, 4)},
        ),
        RunFigures(
            6,
            dict(
                zip("abcdef", [(d, 4.8) for d in (0.65, 0.7, 0.65, 0.6, 0.66, 0.72)], strict=True)
            ),
        ),
    ]
    wanted = expected_gain(runs, {scan: scan for scan in SCANS}, found.gain.more)
    assert asdict(found.gain) == pytest.approx(asdict(wanted))
    assert found.gain.more == 20  # a fifth of the budget of 100
    assert (found.run_id, found.since, found.minutes, found.raters) == ("run-3", 0, None, None)
    assert found.gain.low < 0.01 < found.gain.high
    assert not found.stop
    assert stop_words(found) == ""
    document = json.loads(json.dumps(found.as_json()))
    assert document["gain"]["labels"] == 6
    assert document["stop"] is False


def test_runs_of_other_models_and_other_classes_are_left_out(project) -> None:
    _three_runs(project)
    before = read_enough(project).gain
    other = {scan: (CROSS_FITTED, {"lung": 0.9, "heart": 0.9}) for scan in SCANS[:3]}
    _add_run(project, 0, SCANS[:2], other)
    with project.store.transaction():
        project.store.execute("UPDATE runs SET created_at = '2025' WHERE run_id = 'run-0'")
    assert read_enough(project).gain == before
    _add_run(project, 4, SCANS[:7], _crossed(*[0.9] * 7), imported="nnunet")
    assert "there is 1" in read_enough(project).missing


def test_a_class_that_no_label_holds_is_in_no_mean(project) -> None:
    _three_runs(project)
    plain = read_enough(project).gain
    with project.store.transaction():
        for row in project.store.rows("SELECT * FROM metrics"):
            project.store.insert(
                "metrics", **row | {"class": "rare", "dice": 1.0, "note": "both-empty"}
            )
    assert read_enough(project).gain == plain


def test_damaged_and_absent_figures_are_left_out(project) -> None:
    _three_runs(project)
    plain = read_enough(project).gain
    with project.store.transaction():
        key = {"run_id": "run-1", "scan_id": "h", "class": "lung", "split": FROZEN}
        project.store.insert("metrics", **key, dice=float("inf"), hd=1, hd95=1, unit="px", note="")
    assert read_enough(project).gain == plain


def test_minutes_are_shown_where_something_says_them(project, lab) -> None:
    _three_runs(project)
    lab.configure("[budget]\nminutes_per_scan = 4\nbatch = 5\n")
    project.reload_config()
    found = read_enough(project)
    assert (found.gain.more, found.minutes.scans) == (5, 5)
    assert found.minutes.minutes == pytest.approx(20)
    assert gain_words(found).endswith(", 20 min")


def test_the_agreement_of_people_stands_beside_it(project, lab) -> None:
    """Ana drew columns 0 to 2, ben 0 and 1: Dice 2 · 2 / (3 + 2). It is only read here."""
    _three_runs(project)
    assert read_enough(project).raters is None
    with project.store.transaction():
        project.store.insert(
            "queue", scan_id="h", round=0, rank=1, role="medoid", terms={}, status="exported",
            assignee="ana,ben",
        )  # fmt: skip
    for person, columns in (("ana", slice(0, 3)), ("ben", slice(0, 2))):
        drawn = lab.mask(f"{person}/h.png", columns)
        import_masks(project, drawn, match="{annotator}/{stem}")
    found = read_enough(project)
    assert (found.raters.scans, found.raters.dice) == (1, pytest.approx(0.8))
    assert raters_words(found) == "two people agree to 0.800 on 1 scan"
    (project.layout.cache / "raters.json").unlink()
    assert read_enough(project).raters is None


def _enough(**values) -> Enough:
    gain = Gain(40, 10, 0.0042, -0.0017, 0.0112, 0.9, 40, 38, 4)
    return Enough(**{"gain": gain, "missing": "", "worth": 0.01, "run_id": "run-4"} | values)


def test_words() -> None:
    found = _enough(minutes=Total(10, 95.4, 60, 140))
    assert gain_words(found) == "next 10: +0.004 Dice (−0.002 to +0.011), 95 min"
    assert enough_words(_enough()) == "next 10: +0.004 Dice (−0.002 to +0.011)"
    assert [signed(v) for v in (0.0004, -0.0004, 0.0006, -0.0006)] == [
        "0.000",
        "0.000",
        "+0.001",
        "−0.001",
    ]
    assert raters_words(_enough()) == ""


def test_the_stop_line_comes_only_when_the_interval_says_so() -> None:
    assert not _enough(worth=0.0112).stop
    found = _enough(worth=0.02)
    assert found.stop
    assert stop_words(found) == (
        "in 19 of 20 cases the next 10 gain less than 0.02 Dice ([budget] enough)"
    )
    assert not _enough(gain=None, worth=1.0).stop
