"""Intervals of scores that are the same in all bootstrap samples, such as 1."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from functools import partial

import numpy as np
import pytest
from scipy.stats import binom, binomtest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyRegressor
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    make_scorer,
    mean_absolute_error,
    precision_score,
    r2_score,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import KFold

from skinest.metrics import (
    blob_f1_score,
    dice_score,
    iou_score,
    threshold_jaccard_score,
)
from skinest.model_selection import (
    bootstrap_interval,
    compare,
    cross_val_table,
    subgroup_report,
)

SAMPLES = "have a score below that of all images.*percentiles"
OPTIONS = {"n_resamples": 20, "random_state": 0}
Y = np.repeat([0, 1], [40, 10])
NAMES = np.array(["benign", "malignant"])[Y]
SCORE = np.where(Y, 0.9, 0.1)


def lowest_share(n_groups, confidence_level=0.95):
    """Return the lower limit of Clopper and Pearson if all groups are right."""
    limits = binomtest(n_groups, n_groups).proportion_ci(confidence_level)
    return limits.low


@pytest.mark.parametrize("labels", [Y, Y == 1, NAMES], ids=["0", "False", "benign"])
@pytest.mark.parametrize(
    ("metric", "rank", "n_images"),
    [
        (accuracy_score, None, 50),
        (recall_score, 1, 10),
        (recall_score, 0, 40),
        (precision_score, 1, 10),
        (precision_score, 0, 40),
    ],
    ids=["accuracy", "sensitivity", "specificity", "PPV", "NPV"],
)
def test_proportions_of_1_have_the_limit_of_clopper_and_pearson(
    metric, rank, n_images, labels
):
    if rank is not None:
        metric = partial(metric, pos_label=np.unique(labels)[rank])
    result = bootstrap_interval(metric, labels, labels, **OPTIONS)
    np.testing.assert_allclose(result, [1, lowest_share(n_images), 1])
    assert np.isnan(result.standard_error)


def test_a_proportion_of_0_has_the_limit_of_clopper_and_pearson():
    result = bootstrap_interval(recall_score, Y, np.zeros(50, dtype=int), **OPTIONS)
    np.testing.assert_allclose(result, [0, 0, binomtest(0, 10).proportion_ci().high])


@pytest.mark.parametrize("n_images", [50, 200])
def test_the_limit_follows_the_rule_of_three(n_images):
    y_true = np.arange(n_images) % 2
    result = bootstrap_interval(
        accuracy_score, y_true, y_true, confidence_level=0.9, **OPTIONS
    )
    # 95 % of the interval's two tails are above its lower limit.
    assert 1 - result.low == pytest.approx(3 / n_images, rel=0.04)


def test_intervals_of_a_good_classifier_contain_the_truth():
    n_images, truth = 20, 0.95
    coverage = 0.0
    for n_wrong in range(5):
        right = np.arange(n_images) >= n_wrong
        low, high = bootstrap_interval(
            *(accuracy_score, np.ones(n_images, dtype=bool), right),
            n_resamples=100,
            random_state=0,
        )[1:]
        is_covered = low <= truth <= high
        coverage += is_covered * binom.pmf(n_wrong, n_images, 1 - truth)
    assert coverage > 0.95


def test_groups_are_counted_instead_of_images():
    groups = np.arange(50) // 5
    result = bootstrap_interval(accuracy_score, Y, Y, groups=groups, **OPTIONS)
    assert result.low == pytest.approx(lowest_share(10))
    twice = bootstrap_interval(
        *(recall_score, np.tile(Y, 2), np.tile(Y, 2)),
        groups=np.tile(np.arange(50), 2),
        **OPTIONS,
    )
    assert twice.low == pytest.approx(lowest_share(10))


def test_scores_of_several_proportions():
    share = 1 - lowest_share(10)
    found = {
        metric: bootstrap_interval(metric, Y, Y, **OPTIONS)[1:]
        for metric in (f1_score, balanced_accuracy_score)
    }
    # F1 is 2 J / (1 + J) of the proportion J = TP / (TP + FP + FN).
    expected = 2 * (1 - share) / (2 - share)
    np.testing.assert_allclose(found[f1_score], [expected, 1])
    np.testing.assert_allclose(found[balanced_accuracy_score], [1 - share / 2, 1])


POINTS = np.where(Y, 7, 0) + np.arange(50) % 4  # of a checklist


@pytest.mark.parametrize(
    "y_score", [SCORE, 20 * SCORE - 10, Y.astype(float), POINTS, POINTS.astype(float)]
)
def test_perfect_ranks_have_the_limit_of_an_image_at_the_other_end(y_score):
    for given in (y_score, np.column_stack([-y_score, y_score])):
        result = bootstrap_interval("roc_auc", Y, given, **OPTIONS)
        np.testing.assert_allclose(result, [1, lowest_share(10), 1])
    # A fraction of the positive images is below all others, where 10 of 50 are found.
    precision = bootstrap_interval("average_precision", Y, y_score, **OPTIONS)
    assert 0.5 < precision.low <= lowest_share(10) + 0.2 * (1 - lowest_share(10))


def test_points_have_the_limits_of_other_scores():
    def find_sensitivity(y_true, y_score):
        return recall_score(y_true, y_score >= 7)

    for metric in (roc_auc_score, average_precision_score, find_sensitivity):
        for y_true in (Y, Y == 1):
            found, expected = (
                bootstrap_interval(metric, y_true, points, **OPTIONS)
                for points in (POINTS, POINTS.astype(float))
            )
            np.testing.assert_allclose(found, expected)
    found = bootstrap_interval(roc_auc_score, NAMES, POINTS, **OPTIONS)
    np.testing.assert_allclose(found, [1, lowest_share(10), 1])
    found = compare(roc_auc_score, Y, POINTS, SCORE, **OPTIONS)
    share = 1 - lowest_share(10)
    np.testing.assert_allclose(found, [0, -share, share])


def test_a_class_that_is_only_predicted_is_a_label():
    costs = 1 - np.eye(3)
    predicted = np.full(50, 2)
    highest = binomtest(0, 50).proportion_ci().high
    for metric in (accuracy_score, lambda y, p: accuracy_score(y, p)):
        found = bootstrap_interval(metric, Y, predicted, **OPTIONS)
        np.testing.assert_allclose(found, [0, 0, highest], atol=1e-3)
    found = bootstrap_interval(lambda y, p: costs[y, p].mean(), Y, predicted, **OPTIONS)
    np.testing.assert_allclose(found, [1, 1 - highest, 1], atol=1e-3)


def test_scores_without_discrimination_may_be_better_or_worse():
    result = bootstrap_interval(roc_auc_score, Y, np.full(50, 0.3), **OPTIONS)
    share = 1 - lowest_share(10)
    np.testing.assert_allclose(result, [0.5, 0.5 - share / 2, 0.5 + share / 2])
    loss = bootstrap_interval(log_loss, Y, np.full(50, 0.5), **OPTIONS)
    assert loss.low < np.log(2) < loss.high < np.inf


def test_several_classes():
    y_true = np.array(["a", "b", "c"])[np.arange(60) % 3]
    proba = np.eye(3)[np.arange(60) % 3] * 0.7 + 0.1
    share = 1 - lowest_share(20)
    result = bootstrap_interval("recall_macro", y_true, y_true, **OPTIONS)
    # All classes are wrong, or one of them.
    expected = min(lowest_share(60), 1 - share / 3)
    np.testing.assert_allclose(result, [1, expected, 1])
    result = bootstrap_interval("roc_auc_ovr", y_true, proba, **OPTIONS)
    assert result.low < 1 - share / 3


def test_one_class_and_several_labels():
    result = bootstrap_interval("accuracy", ["nevus"] * 20, ["nevus"] * 20, **OPTIONS)
    assert result.low == pytest.approx(lowest_share(20))
    labels = np.random.default_rng(0).integers(0, 2, (40, 2))
    result = bootstrap_interval("accuracy", labels, labels, **OPTIONS)
    np.testing.assert_allclose(result, [1, lowest_share(40), 1])


def test_functions_that_take_no_weights_have_nearly_the_same_limits():
    def agreement(y_true, y_score):
        return np.mean(y_true == y_score)

    result = bootstrap_interval(agreement, Y, Y, **OPTIONS)
    assert lowest_share(50) - 0.001 < result.low <= lowest_share(50)


def test_weights_count():
    weights = np.where(np.arange(50) < 20, 0.0, 2.0)
    result = bootstrap_interval(accuracy_score, Y, Y, sample_weight=weights, **OPTIONS)
    assert result.low == pytest.approx(lowest_share(30))


@pytest.mark.parametrize("metric", [dice_score, iou_score, threshold_jaccard_score])
def test_means_over_masks(metric):
    masks = np.random.default_rng(0).integers(0, 2, (30, 6, 6))
    groups = np.arange(30) // 2
    for predicted, expected in (
        (masks, [1, lowest_share(15), 1]),
        (1 - masks, [0, 0, 1 - lowest_share(15)]),
    ):
        result = bootstrap_interval(metric, masks, predicted, groups=groups, **OPTIONS)
        np.testing.assert_allclose(result, expected)
        loss = make_scorer(metric, greater_is_better=False)
        result = bootstrap_interval(loss, masks, predicted, groups=groups, **OPTIONS)
        estimate, low, high = expected
        np.testing.assert_allclose(result, [-estimate, -high, -low])
    share = 1 - lowest_share(15)
    for of_masks in (metric, loss):
        difference = compare(of_masks, masks, masks, masks, groups=groups, **OPTIONS)
        np.testing.assert_allclose(difference, [0, -share, share])


@pytest.mark.parametrize(
    ("metric", "y_true", "y_score"),
    [
        (mean_absolute_error, SCORE, SCORE + 0.5),
        (partial(dice_score, average="pooled"), *[np.ones((12, 4, 4), dtype=int)] * 2),
    ],
    ids=["numbers", "pooled masks"],
)
def test_limits_are_nan_if_other_predictions_are_not_known(metric, y_true, y_score):
    with pytest.warns(UserWarning, match="limits of its interval are NaN"):
        result = bootstrap_interval(metric, y_true, y_score, **OPTIONS)
    assert np.isnan([result.low, result.high, result.standard_error]).all()
    assert np.isfinite(result.estimate)


def test_a_difference_that_is_the_same_in_all_samples():
    share = 1 - lowest_share(50)
    perfect, inverse = Y, 1 - Y
    result = compare(accuracy_score, Y, perfect, inverse, **OPTIONS)
    np.testing.assert_allclose(result, [1, 1 - 2 * share, 1])
    reverse = compare(accuracy_score, Y, inverse, perfect, **OPTIONS)
    np.testing.assert_allclose(reverse, [-1, -1, 2 * share - 1])


class Copy(ClassifierMixin, BaseEstimator):
    """Classifier of numbers that are the labels."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.asarray(X)[:, 0]


@pytest.mark.parametrize("average", ["foldwise", "pooled"])
def test_tables_of_folds(average):
    y = np.repeat([0, 1], 12)
    table = cross_val_table(
        {"first": Copy(), "second": Copy()},
        y[:, np.newaxis],
        y,
        scoring=["accuracy", "recall"],
        cv=3,
        average=average,
        **OPTIONS,
    )
    for name, n_images in (("accuracy", 24), ("recall", 12)):
        row, lowest = table.loc[name, "second"], lowest_share(n_images)
        np.testing.assert_allclose(row[["estimate", "low", "high"]], [1, lowest, 1])
        limits = row[["difference_low", "difference_high"]]
        np.testing.assert_allclose(limits, [lowest - 1, 1 - lowest])


def test_reports_of_subgroups():
    sex = np.where(np.arange(50) % 2, "f", "m")
    report = subgroup_report(
        *(recall_score, Y, Y, {"sex": sex}), min_per_class=5, **OPTIONS
    )
    lows = [lowest_share(n_positive) for n_positive in (10, 5, 5)]
    np.testing.assert_allclose(report["low"], lows)
    assert (report["high"] == 1).all()


MASKS = np.zeros((100, 6, 6), dtype=int)
MASKS[:5, 2:4, 2:4] = 1


@pytest.mark.parametrize(
    "metric", [dice_score, iou_score, threshold_jaccard_score, blob_f1_score]
)
def test_masks_without_a_score_are_no_evidence(metric):
    without = partial(metric, zero_division=np.nan)
    result = bootstrap_interval(without, MASKS, MASKS, **OPTIONS)
    np.testing.assert_allclose(result, [1, lowest_share(5), 1])
    unknown = np.where(np.arange(100)[:, None, None] < 5, MASKS, 255)
    ignoring = partial(metric, zero_division=1.0, ignore_label=255)
    result = bootstrap_interval(ignoring, unknown, MASKS, **OPTIONS)
    np.testing.assert_allclose(result, [1, lowest_share(5), 1])
    change = compare(without, MASKS, MASKS, MASKS, **OPTIONS)
    few = compare(without, MASKS[:5], MASKS[:5], MASKS[:5], **OPTIONS)
    np.testing.assert_allclose(change, few)


# Scores that vary, but never to one side.


def test_a_score_that_no_sample_can_exceed_has_percentiles_as_limits():
    values = np.random.default_rng(0).normal(size=60)
    data = values, np.full(60, values.mean())  # R² is 0, and below it in samples
    options = {"n_resamples": 200, "random_state": 0}
    with pytest.warns(UserWarning, match=SAMPLES):
        score, low, high = result = bootstrap_interval(r2_score, *data, **options)
    assert score == high == 0
    lowest = np.quantile(result.distribution, 0.025, method="weibull")
    assert low == pytest.approx(lowest)
    with pytest.warns(UserWarning, match=SAMPLES):
        difference, low, high = compare(r2_score, values, data[1], values, **options)
    assert difference == pytest.approx(-1)
    assert low < -1 and high == pytest.approx(-1)


def test_an_interval_of_several_folds_contains_its_score():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)), rng.normal(size=40)
    # These folds have nearly the same mean, so R² is nearly 0.
    options = {"scoring": "r2", "cv": KFold(2, shuffle=True, random_state=2)}
    options |= {"n_resamples": 100, "random_state": 2}
    with pytest.warns(UserWarning, match=SAMPLES):
        table = cross_val_table({"mean": DummyRegressor()}, X, y, **options)
    score, low, high = table.iloc[0, :3]
    assert -1e-3 < score < 0
    assert low <= score <= high
