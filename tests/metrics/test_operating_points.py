"""Operating points of two classes, against numbers computed by hand."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import roc_auc_score

from skinest.metrics import (
    find_threshold,
    partial_auc_score,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
)

# Five positive and five negative samples; one of each has the score .6.
POSITIVE = [0.9, 0.8, 0.6, 0.4, 0.2]
NEGATIVE = [0.7, 0.6, 0.3, 0.1, 0.0]
Y = np.repeat([1, 0], 5)
SCORES = np.array(POSITIVE + NEGATIVE)
# (threshold, sensitivity, specificity), by counting: no threshold divides the tie.
POINTS = [
    (np.inf, 0.0, 1.0),
    (0.9, 0.2, 1.0),
    (0.8, 0.4, 1.0),
    (0.7, 0.4, 0.8),
    (0.6, 0.6, 0.6),
    (0.4, 0.8, 0.6),
    (0.3, 0.8, 0.4),
    (0.2, 1.0, 0.4),
    (0.1, 1.0, 0.2),
    (0.0, 1.0, 0.0),
]
WANTED = np.linspace(0, 1, 21)


@pytest.mark.parametrize("wanted", WANTED)
def test_best_point_that_is_good_enough(wanted):
    """1 - 0.8 is below 0.2 in floating point, and counts as 0.2."""
    enough = [s for _, s, specificity in POINTS if specificity > wanted - 1e-6]
    found = sensitivity_at_specificity(Y, SCORES, specificity=wanted)
    assert_allclose(found, max(enough))
    enough = [s for _, sensitivity, s in POINTS if sensitivity > wanted - 1e-6]
    found = specificity_at_sensitivity(Y, SCORES, sensitivity=wanted)
    assert_allclose(found, max(enough))


@pytest.mark.parametrize("wanted", WANTED)
def test_threshold_is_the_one_of_that_point(wanted):
    enough = [t for t, sensitivity, _ in POINTS if sensitivity > wanted - 1e-6]
    assert find_threshold(Y, SCORES, sensitivity=wanted) == max(enough)
    enough = [t for t, _, specificity in POINTS if specificity > wanted - 1e-6]
    assert find_threshold(Y, SCORES, specificity=wanted) == min(enough)


def test_a_negative_with_the_highest_score_leaves_no_threshold_without_errors():
    y, scores = [0, 1, 0], [0.9, 0.8, 0.1]
    assert find_threshold(y, scores, specificity=1.0) == np.inf
    assert sensitivity_at_specificity(y, scores, specificity=1.0) == 0


def test_a_whole_weight_is_a_number_of_copies():
    weights = np.array([1, 3, 2, 0, 1, 2, 1, 4, 1, 1])
    copies = np.repeat(np.arange(10), weights)
    for metric, option in (
        (sensitivity_at_specificity, {"specificity": 0.7}),
        (specificity_at_sensitivity, {"sensitivity": 0.7}),
        (find_threshold, {"sensitivity": 0.7}),
        (partial_auc_score, {"min_sensitivity": 0.5}),
    ):
        weighted = metric(Y, SCORES, sample_weight=weights, **option)
        assert_allclose(weighted, metric(Y[copies], SCORES[copies], **option))
        of_many = metric(Y, SCORES, sample_weight=weights * 1e9, **option)
        assert_allclose(of_many, weighted)
        assert not np.isclose(weighted, metric(Y, SCORES, **option))


@pytest.mark.parametrize(
    ("labels", "pos_label"),
    [
        (np.array(["benign", "malignant"]), None),
        (np.array(["mel", "nv"]), "mel"),
        (np.array([2, 1]), 1),
        (np.array([False, True]), None),
    ],
)
def test_any_labels(labels, pos_label):
    is_second = pos_label in (None, labels[1])
    y = labels[Y if is_second else 1 - Y]
    options = {"specificity": 0.8, "pos_label": pos_label}
    assert sensitivity_at_specificity(y, SCORES, **options) == 0.4
    # Predicted labels of the threshold .7 are that point, or none.
    called = labels[(SCORES >= 0.7).astype(int) if is_second else (SCORES < 0.7) * 1]
    assert sensitivity_at_specificity(y, called, **options) == 0.4
    assert sensitivity_at_specificity(y, called, **options | {"specificity": 0.9}) == 0


def test_one_class_against_all_others():
    y = np.array(["nv", "bcc"])[np.arange(10) % 2]
    y = np.where(Y == 1, "mel", y)
    given = {"sensitivity": 0.8, "pos_label": "mel"}
    assert_allclose(specificity_at_sensitivity(y, SCORES, **given), 0.6)
    with pytest.raises(ValueError, match=r"y_true has 3 classes.*pos_label"):
        specificity_at_sensitivity(y, SCORES, sensitivity=0.8)


@pytest.mark.parametrize("class_", [0, 1])
@pytest.mark.parametrize(
    "metric",
    [
        lambda y, s: sensitivity_at_specificity(y, s, specificity=0.9),
        lambda y, s: specificity_at_sensitivity(y, s, sensitivity=0.9),
        partial_auc_score,
    ],
    ids=["sensitivity", "specificity", "area"],
)
def test_scores_of_one_class_are_nan_with_a_warning(metric, class_):
    name = ["positive", "negative"][class_]
    with pytest.warns(UndefinedMetricWarning, match=f"NaN: y_true has no {name} sam"):
        assert np.isnan(metric(np.full(4, class_), [0.1, 0.2, 0.3, 0.4]))


def test_a_threshold_cannot_be_nan():
    with pytest.raises(ValueError, match="no positive sample, so a threshold cannot"):
        find_threshold([0, 0], [0.1, 0.2], sensitivity=0.9)


# By hand: the curve above the line of .5 goes from (.4, .6) to (.4, .8), (.6, .8),
# (.6, 1) and (1, 1). It crosses the line at (.3, .5), in the middle of the step from
# (.2, .4) to (.4, .6) that the tie makes.
AREA_ABOVE_HALF = 0.1 * 0.1 / 2 + 0.2 * 0.3 + 0.4 * 0.5


@pytest.mark.parametrize(
    ("min_sensitivity", "area"),
    [(0.5, AREA_ABOVE_HALF), (0.8, 0.4 * 0.2), (0.9, 0.4 * 0.1)],
)
def test_partial_auc_is_the_area_between_curve_and_line(min_sensitivity, area):
    found = partial_auc_score(Y, SCORES, min_sensitivity=min_sensitivity)
    assert_allclose(found, area)


def test_partial_auc_of_known_classifiers():
    assert_allclose(partial_auc_score(Y, Y.astype(float)), 0.2)
    assert partial_auc_score(Y, -Y.astype(float)) == 0
    assert_allclose(partial_auc_score(Y, np.zeros(10)), 0.02)  # chance
    whole = partial_auc_score(Y, SCORES, min_sensitivity=0)
    assert_allclose(whole, roc_auc_score(Y, SCORES))


@pytest.mark.parametrize("min_sensitivity", [0.3, 0.8, 0.88])
def test_partial_auc_is_that_of_scikit_learn_with_exchanged_axes(min_sensitivity):
    """As the organisers of ISIC 2024 compute it: classes and scores are reversed.

    `max_fpr` of scikit-learn rescales an area A to (1 + (A - a) / (b - a)) / 2, where
    a is that of chance and b the greatest (McClish 1989).
    """
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    scores = np.round(y * 0.3 + rng.uniform(size=200), 1)  # with many ties
    width = 1 - min_sensitivity
    rescaled = roc_auc_score(1 - y, -scores, max_fpr=width)
    area = width**2 / 2 + (2 * rescaled - 1) * (width - width**2 / 2)
    found = partial_auc_score(y, scores, min_sensitivity=min_sensitivity)
    assert_allclose(found, area)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((Y, np.c_[1 - SCORES, SCORES]), r"y_score has 2 columns.*y_score\[:, 1\]"),
        ((Y, SCORES[:-1]), "inconsistent numbers of samples"),
        ((Y, np.append(SCORES[:-1], np.nan)), "y_score contains NaN"),
        ((np.append(Y[:-1] * 1.0, np.nan), SCORES), "y_true contains NaN"),
        (([], []), "y_true is empty"),
        ((["a"] * 10, SCORES), "only the class 'a'.*Pass pos_label"),
        ((Y, ["malignant"] * 10), "y_score holds.*labels of y_true are"),
    ],
)
def test_wrong_arguments(given, says):
    with pytest.raises(ValueError, match=says):
        sensitivity_at_specificity(*given, specificity=0.9)


@pytest.mark.parametrize("given", [{}, {"sensitivity": 0.9, "specificity": 0.9}])
def test_a_threshold_is_for_one_of_the_two(given):
    with pytest.raises(ValueError, match="pass exactly one of them"):
        find_threshold(Y, SCORES, **given)


def test_scores_may_be_objects():
    y, scores = [0, 1, 0, 1], [0.1, 0.9, 0.4, 1]
    expected = partial_auc_score(y, scores, min_sensitivity=0.5)
    objects = np.array(scores, dtype=object)
    assert partial_auc_score(y, objects, min_sensitivity=0.5) == expected
