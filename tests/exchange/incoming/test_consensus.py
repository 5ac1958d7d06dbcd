"""Several people's labels as one, and how far they agree."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from coldal_compute.segmentation.metrics import measure_masks
from coldal_tui.exchange.incoming.consensus import agreed, collect_votes, estimate, majority, staple
from coldal_tui.exchange.incoming.rater_agreement import compare_labels, dice_of, hd95_of


def row(*values: int) -> np.ndarray:
    return np.array([values], np.uint8)


def raters(count: int, seed: int, classes: int = 1) -> list[np.ndarray]:
    """Noisy drawings of the same smooth shapes."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(classes, 40, 50)), (0, 5, 5))
    truth = np.where(smooth.max(axis=0) > 0.02, smooth.argmax(axis=0) + 1, 0)
    drawn = []
    for _ in range(count):
        noise = ndimage.gaussian_filter(rng.normal(size=truth.shape), 1.5)
        drawn.append(np.where(noise > 0.25, (truth + 1) % (classes + 1), truth).astype(np.uint8))
    return drawn


def test_the_majority_is_what_most_drew_and_a_tie_is_ignored():
    label, undecided = majority([row(1, 1, 0, 2, 1), row(1, 0, 0, 1, 1), row(1, 1, 2, 0, 0)])

    np.testing.assert_array_equal(label, row(1, 1, 0, 255, 1))
    assert undecided == 1


def test_of_two_raters_the_rim_on_which_they_differ_is_ignored_never_background():
    label, undecided = majority([row(1, 1, 0), row(1, 0, 0)])

    np.testing.assert_array_equal(label, row(1, 255, 0))
    assert undecided == 1


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("classes", [1, 3])
def test_the_majority_is_that_of_itk(count, classes):
    labels = raters(count, 11, classes)
    tool = sitk.LabelVotingImageFilter()
    tool.SetLabelForUndecidedPixels(255)
    voted = sitk.GetArrayFromImage(tool.Execute([sitk.GetImageFromArray(a) for a in labels]))

    label, undecided = majority(labels)

    np.testing.assert_array_equal(label, voted)
    assert undecided == np.count_nonzero(voted == 255)


def test_only_what_all_drew_alike_counts_where_disputed_pixels_are_ignored():
    label, disputed = agreed([row(1, 1, 0, 2), row(1, 0, 0, 255), row(1, 1, 0, 2)])

    np.testing.assert_array_equal(label, row(1, 255, 0, 255))
    assert disputed == 1


@pytest.mark.parametrize("combine", [lambda labels: majority(labels)[0], staple])
def test_what_one_rater_ignores_is_ignored(combine):
    labels = [row(1, 1, 0, 0), row(1, 255, 0, 0), row(1, 1, 255, 0)]

    np.testing.assert_array_equal(combine(labels), row(1, 255, 255, 0))


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_staple_weighs_raters_as_itk_does(count, seed):
    labels = raters(count, seed)
    tool = sitk.STAPLEImageFilter()
    tool.SetForegroundValue(1)
    tool.SetMaximumIterations(5000)
    weights = sitk.GetArrayFromImage(tool.Execute([sitk.GetImageFromArray(a) for a in labels]))

    votes = collect_votes(labels)
    ours = estimate(votes.answers == 1, votes.counts)[votes.where].reshape(weights.shape)

    np.testing.assert_allclose(ours, weights, atol=1e-5)
    np.testing.assert_array_equal(staple(labels) == 1, weights > 0.5)


def test_staple_of_several_classes_takes_the_likeliest():
    labels = raters(4, 9, classes=3)
    images = [sitk.GetImageFromArray(label) for label in labels]
    weights = []
    for value in (1, 2, 3):
        tool = sitk.STAPLEImageFilter()
        tool.SetForegroundValue(value)
        tool.SetMaximumIterations(5000)
        weights.append(sitk.GetArrayFromImage(tool.Execute(images)))
    likely = np.stack(weights)

    expected = np.where(likely.max(axis=0) > 0.5, likely.argmax(axis=0) + 1, 0)

    np.testing.assert_array_equal(staple(labels), expected)


def test_a_careless_rater_counts_less():
    good = [row(1, 1, 1, 1, 0, 0, 0, 0)] * 3
    careless = row(0, 1, 0, 1, 1, 0, 1, 0)

    np.testing.assert_array_equal(staple([*good, careless]), good[0])


def test_raters_who_agree_are_the_consensus():
    label = raters(1, 3, classes=2)[0]

    np.testing.assert_array_equal(staple([label, label]), label)
    np.testing.assert_array_equal(majority([label, label])[0], label)


def test_empty_labels_stay_empty():
    assert not staple([row(0, 0), row(0, 0)]).any()


def test_votes_name_every_combination_once():
    votes = collect_votes([row(1, 0, 1), row(2, 0, 2)])

    assert votes.answers.tolist() == [[0, 0], [1, 2]]
    assert votes.counts.tolist() == [1, 2]
    assert votes.where.tolist() == [1, 0, 1]


@pytest.mark.parametrize("spacing", [None, (0.7, 2.0)])
@pytest.mark.parametrize("seed", range(3))
def test_agreement_is_measured_as_runs_are(seed, spacing):
    a, b = (label == 1 for label in raters(2, seed))
    measured = measure_masks(a, b, spacing)

    assert dice_of(a, b) == pytest.approx(measured.dice)
    assert hd95_of(a, b, spacing) == pytest.approx(measured.hd95)


@pytest.mark.parametrize(("left", "right"), [(0, 0), (1, 0), (0, 1)])
def test_agreement_where_a_class_is_not_drawn(left, right):
    a, b = np.zeros((3, 4), bool), np.zeros((3, 4), bool)
    a[1, 1], b[1, 1] = left, right
    measured = measure_masks(a, b, (1.0, 2.0))

    assert (dice_of(a, b), hd95_of(a, b, (1.0, 2.0))) == (measured.dice, measured.hd95)


def test_every_pair_on_every_class_without_what_one_ignores():
    labels = [("anna", row(1, 1, 0, 2)), ("ben", row(1, 255, 0, 2)), ("carl", row(0, 1, 0, 2))]

    found = compare_labels("a", labels, ("lung", "heart"), None)

    told = {(one.first, one.second, one.name): one.dice for one in found}
    assert told[("anna", "ben", "lung")] == 1.0
    assert told[("anna", "carl", "lung")] == pytest.approx(2 / 3)
    assert told[("ben", "carl", "heart")] == 1.0
    assert len(told) == 6
    assert str(found[0]) == "anna and ben, lung: Dice 1.000, HD95 0.0 px"
