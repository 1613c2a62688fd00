"""Intervals of scores: what is sampled, and which metrics and data they take."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    make_scorer,
    mean_absolute_error,
    precision_score,
    recall_score,
    roc_auc_score,
)

from skinest.metrics import dice_score, dice_scorer, iou_score
from skinest.model_selection import bootstrap_interval
from skinest.model_selection._group_bootstrap import bca_limits, find_degrees_of_freedom

RNG = np.random.default_rng(0)
GROUPS = np.repeat(np.arange(40), 3)
Y = (GROUPS % 4 == 0).astype(int)
SCORE = Y + RNG.normal(size=40)[GROUPS] + 0.3 * RNG.normal(size=120)
LABELS = (SCORE > 0.5).astype(int)
OPTIONS = {"n_resamples": 15, "random_state": 0}
BY_GROUP = {**OPTIONS, "groups": GROUPS}


def unweighted(metric):
    """Return the metric as a function that takes no weights."""
    return lambda y_true, y_score: metric(y_true, y_score)


def sampled_counts(y_true, groups, n_resamples=50):
    """Return how often each image is in each sample."""
    seen = []

    def metric(y_true, y_score, sample_weight):
        seen.append(sample_weight)
        return 0.5

    bootstrap_interval(
        metric,
        y_true,
        np.zeros(len(y_true)),
        groups=groups,
        n_resamples=n_resamples,
        random_state=0,
    )
    # Before, it is compared with repeated images, and computed for all images once.
    once = np.ones(len(y_true))
    start = next(at for at, each in enumerate(seen) if np.array_equal(each, once)) + 1
    return np.array(seen[start : start + n_resamples])


# What is sampled


def test_whole_groups_are_sampled_as_many_as_there_are():
    shuffled = np.random.default_rng(0).permutation(GROUPS)
    counts = sampled_counts(Y, shuffled)
    for group in range(40):
        of_group = counts[:, shuffled == group]
        assert (of_group == of_group[:, :1]).all()
    firsts = np.unique(shuffled, return_index=True)[1]
    np.testing.assert_array_equal(counts[:, firsts].sum(axis=1), 40)
    assert len(np.unique(counts, axis=0)) == 50


def test_groups_may_be_names():
    names = np.array([f"lesion {group}" for group in GROUPS])
    expected = sampled_counts(Y, names.tolist())
    np.testing.assert_array_equal(expected, sampled_counts(Y, pd.Series(names)))


@pytest.mark.parametrize("score", [SCORE, Y])
def test_labels_may_be_objects(score):
    """As a column of True and False that had missing values before."""
    metric = roc_auc_score if score is SCORE else accuracy_score
    expected = bootstrap_interval(metric, Y, score, **BY_GROUP)
    for labels in (Y.astype(object), Y.astype(bool).astype(object)):
        found = bootstrap_interval(metric, pd.Series(labels), score, **BY_GROUP)
        assert tuple(found) == tuple(expected)


@pytest.mark.parametrize("labels", [[0, 1], ["benign", "malignant"], [0, 1, 2]])
def test_each_sample_has_all_classes(labels):
    y_true = np.repeat(labels, [30, *[2] * (len(labels) - 1)])
    with pytest.warns(UserWarning, match="is in 2 of"):
        counts = sampled_counts(y_true, None, n_resamples=200)
    for label in labels:
        assert counts[:, y_true == label].any(axis=1).all()


def test_each_sample_has_images_with_and_without_each_of_several_labels():
    y_true = np.zeros((40, 2), dtype=int)
    y_true[:5, 0] = y_true[3:35, 1] = 1
    counts = sampled_counts(y_true, None, n_resamples=200)
    for column in y_true.T:
        assert (counts @ column > 0).all() and (counts @ (1 - column) > 0).all()


def test_a_class_in_few_groups_is_warned_of():
    y_true = (GROUPS < 4).astype(int)
    with pytest.warns(UserWarning, match="Class 1 is in 4 of 40 groups"):
        bootstrap_interval(roc_auc_score, y_true, SCORE, **BY_GROUP)


# Numbers


def test_limits_are_those_of_scipy():
    # Its tails are short, so that only the number of groups limits the quantiles.
    data = np.random.default_rng(0).beta(1, 3, size=25)
    reference = stats.bootstrap(
        (data,), np.mean, n_resamples=999, method="BCa", random_state=1
    )
    left_out = [np.delete(data, index).mean() for index in range(25)]
    data_of_25 = data.mean(), reference.bootstrap_distribution, np.array(left_out)
    # If there are many groups, the quantiles of Student's t are those of a normal.
    limits = bca_limits(*data_of_25, n_groups=10**9, confidence_level=0.95)
    # scipy takes other quantiles of the samples, at the same levels.
    values = np.sort(reference.bootstrap_distribution)
    levels = np.interp(reference.confidence_interval, values, np.linspace(0, 1, 999))
    expected = np.quantile(values, levels, method="weibull")
    np.testing.assert_allclose(limits, expected, rtol=1e-6)
    np.testing.assert_allclose(limits, reference.confidence_interval, rtol=0.01)
    low, high = bca_limits(*data_of_25, n_groups=25, confidence_level=0.95)
    assert low < limits[0] and limits[1] < high


@pytest.mark.parametrize(("n_groups", "share"), [(100, 0.04), (40, 0.1), (400, 0.2)])
def test_degrees_of_freedom_are_those_of_the_variance_of_a_share(n_groups, share):
    n_errors = np.arange(n_groups + 1)
    probability = stats.binom.pmf(n_errors, n_groups, share)
    variance = n_errors * (1 - n_errors / n_groups) / (n_groups - 1)
    mean = probability @ variance
    expected = 2 * mean**2 / (probability @ (variance - mean) ** 2)
    is_error = np.arange(n_groups) < round(share * n_groups)
    found = find_degrees_of_freedom(is_error - share, n_groups)
    assert found == pytest.approx(expected)
    assert found < n_groups - 1


def test_blocks_of_groups_have_the_degrees_of_freedom_of_groups():
    rng = np.random.default_rng(0)
    by_group = (rng.random(40_000) < 0.01) - 0.01
    blocks = by_group.reshape(200, 200).sum(axis=0)
    found, expected = (
        find_degrees_of_freedom(each - each.mean(), len(by_group))
        for each in (blocks, by_group)
    )
    assert found == pytest.approx(expected, rel=0.5)
    assert found < 2_000


def test_equal_or_balanced_groups_have_the_usual_degrees_of_freedom():
    for deviations in (np.zeros(50), np.tile([-1.0, 1.0], 25), np.zeros(0)):
        assert find_degrees_of_freedom(deviations, 50) == pytest.approx(49)


def test_standard_error_of_a_mean_is_that_of_the_means_of_groups():
    correct = np.random.default_rng(0).random(40)[GROUPS] < 0.7
    y_true = np.tile([0, 1], 60)
    y_pred = np.where(correct, y_true, 1 - y_true)
    by_group, by_image = (
        bootstrap_interval(
            accuracy_score, y_true, y_pred, groups=groups, random_state=0
        )
        for groups in (GROUPS, None)
    )
    expected = np.std(correct[::3]) / np.sqrt(40)
    assert by_group.standard_error == pytest.approx(expected, rel=0.1)
    assert by_group.high - by_group.low == pytest.approx(3.92 * expected, rel=0.15)
    # Three images of a group are the same, so they seem to be three times as many.
    ratio = by_group.standard_error / by_image.standard_error
    assert ratio == pytest.approx(np.sqrt(3), rel=0.1)


def test_a_higher_confidence_level_is_wider_and_a_seed_gives_the_same():
    narrow, wide, again = (
        bootstrap_interval(
            roc_auc_score, Y, SCORE, confidence_level=level, random_state=0
        )
        for level in (0.5, 0.95, 0.95)
    )
    assert wide.low < narrow.low < wide.estimate < narrow.high < wide.high
    assert wide == again != narrow
    assert wide.confidence_level == 0.95 and wide.distribution.shape == (1000,)


def mean_score(y_true, y_score, sample_weight=None):
    return float(np.average(y_score, weights=sample_weight))


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("n_failures", [1, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_intervals_of_one_bad_image_among_good_ones_are_nested(n_failures, sign):
    score = np.random.default_rng(1).normal(0.9, 0.03, 60)
    score[:n_failures] = 0
    found = [
        bootstrap_interval(
            mean_score, score, sign * score, confidence_level=level, random_state=0
        )
        for level in (0.9, 0.95, 0.98, 0.985, 0.99, 0.999)
    ]
    assert all(each.low < each.estimate < each.high for each in found)
    for inner, outer in pairwise(found):
        assert outer.low <= inner.low and inner.high <= outer.high


def test_many_groups_are_left_out_in_blocks():
    n_calls = 0

    def metric(y_true, y_score, sample_weight):
        nonlocal n_calls
        n_calls += 1
        return np.average(y_true == y_score, weights=sample_weight)

    y_true = np.arange(3000) % 2
    bootstrap_interval(metric, y_true, y_true * (np.arange(3000) > 99), **OPTIONS)
    assert n_calls <= 8 + 1 + 15 + 200


# Metrics


@pytest.mark.parametrize(
    ("metric", "y_score"),
    [
        (roc_auc_score, np.round(SCORE, 1)),
        (average_precision_score, np.round(SCORE, 1)),
        (accuracy_score, LABELS),
        (balanced_accuracy_score, LABELS),
        (partial(recall_score, pos_label=0), LABELS),
        (partial(precision_score, zero_division=0), LABELS),
        (partial(f1_score, average="binary"), LABELS),
        (partial(f1_score, average="macro"), LABELS),
        (log_loss, 1 / (1 + np.exp(-SCORE))),
    ],
    ids=[
        *("AUC", "average precision", "accuracy", "balanced accuracy", "specificity"),
        *("precision", "F1", "macro F1", "log loss"),
    ],
)
def test_weights_have_the_effect_of_repeated_images(metric, y_score):
    fast, slow = (
        bootstrap_interval(each, Y, y_score, **BY_GROUP)
        for each in (metric, unweighted(metric))
    )
    assert fast.estimate == pytest.approx(metric(Y, y_score))
    np.testing.assert_allclose(fast.distribution, slow.distribution)
    np.testing.assert_allclose(fast, slow)


def test_names_of_scorers_and_scorers_are_metrics():
    probability = 1 / (1 + np.exp(-SCORE))
    both = np.column_stack([1 - probability, probability])
    auc = bootstrap_interval("roc_auc", Y, both, **OPTIONS)
    assert auc == bootstrap_interval(roc_auc_score, Y, probability, **OPTIONS)
    loss = bootstrap_interval("neg_log_loss", Y, both, **OPTIONS)
    assert loss.estimate == pytest.approx(-log_loss(Y, both))
    accuracy = bootstrap_interval("accuracy", Y, SCORE > 0.5, **OPTIONS)
    assert accuracy.estimate == accuracy_score(Y, SCORE > 0.5)


@pytest.mark.parametrize("positive", ["mel", "nev"])
def test_a_scorer_takes_the_column_of_its_positive_class(positive):
    y_true = np.array(["nev", "mel"])[Y]
    of_mel = 1 / (1 + np.exp(-SCORE))
    both = np.column_stack([of_mel, 1 - of_mel])
    scorer = make_scorer(
        average_precision_score, response_method="predict_proba", pos_label=positive
    )
    result = bootstrap_interval(scorer, y_true, both, **OPTIONS)
    column = both[:, ["mel", "nev"].index(positive)]
    assert result.estimate == pytest.approx(
        average_precision_score(y_true == positive, column)
    )


def test_several_classes_with_probabilities():
    groups = np.repeat(np.arange(15), 2)
    y_true = np.array(["a", "b", "c"])[groups % 3]
    y_score = np.random.default_rng(0).dirichlet([1, 1, 1], size=30)
    metric = partial(roc_auc_score, multi_class="ovr")
    result = bootstrap_interval(
        *("roc_auc_ovr", pd.Series(y_true), y_score), groups=groups, **OPTIONS
    )
    assert result.estimate == pytest.approx(metric(y_true, y_score))
    assert result.low < result.estimate < result.high


def test_numbers_that_are_not_labels_have_no_classes():
    result = bootstrap_interval(mean_absolute_error, SCORE, SCORE**2, **OPTIONS)
    assert result.estimate == pytest.approx(np.mean(abs(SCORE - SCORE**2)))
    assert result.low < result.estimate < result.high


def test_sample_weight_has_the_effect_of_repeated_images():
    weights = np.where(GROUPS < 20, 2, 1)
    rows = np.repeat(np.arange(120), weights)
    weighted = bootstrap_interval(
        roc_auc_score, Y, SCORE, groups=GROUPS, sample_weight=weights, **OPTIONS
    )
    repeated = bootstrap_interval(
        roc_auc_score, Y[rows], SCORE[rows], groups=GROUPS[rows], **OPTIONS
    )
    in_partial = bootstrap_interval(
        partial(roc_auc_score, sample_weight=weights),
        Y,
        SCORE,
        groups=GROUPS,
        **OPTIONS,
    )
    np.testing.assert_allclose(weighted, repeated)
    np.testing.assert_allclose(weighted, in_partial)


# Masks


def make_masks(n_images=24, seed=0):
    rng = np.random.default_rng(seed)
    shapes = [(5, 6), (8, 4)]
    return [
        (rng.random(shapes[index % 2]) < 0.4).astype(np.uint8)
        for index in range(n_images)
    ]


@pytest.mark.parametrize("score", [dice_score, iou_score])
@pytest.mark.parametrize("average", ["imagewise", "pooled"])
def test_masks_are_counted_once_with_the_result_of_repeated_masks(score, average):
    y_true, y_pred = make_masks(), make_masks(seed=1)
    metric = partial(score, average=average, zero_division=1.0)
    groups = np.arange(24) // 2
    fast, slow = (
        bootstrap_interval(each, y_true, y_pred, groups=groups, **OPTIONS)
        for each in (metric, unweighted(metric))
    )
    assert fast.estimate == pytest.approx(metric(y_true, y_pred))
    np.testing.assert_allclose(fast.distribution, slow.distribution)


def test_masks_may_be_arrays_and_their_metric_a_scorer_with_options():
    y_true, y_pred = np.zeros((2, 12, 4, 4), dtype=int)
    y_true[:6, :2] = y_pred[:, :2] = 1
    y_true[:, 3] = 255
    metric = partial(dice_score, zero_division=1.0, ignore_label=255)
    result = bootstrap_interval(metric, y_true, y_pred, **OPTIONS)
    assert result.estimate == 0.5  # the other images are empty
    plain = np.where(y_true == 255, 0, y_true)
    assert result == bootstrap_interval(dice_scorer, plain, y_pred, **OPTIONS)


def test_weights_of_masks_count():
    y_true, y_pred = make_masks(), make_masks(seed=1)
    weights = np.arange(24) % 3
    metric = partial(dice_score, zero_division=1.0)
    result = bootstrap_interval(
        metric, y_true, y_pred, sample_weight=weights, **OPTIONS
    )
    expected = metric(y_true, y_pred, sample_weight=weights)
    assert result.estimate == pytest.approx(expected)


# Wrong arguments


@pytest.mark.parametrize(
    ("arguments", "changes", "error", "message"),
    [
        ((roc_auc_score, Y, SCORE[1:]), {}, ValueError, "y_score has 119 entries"),
        ((roc_auc_score, Y, SCORE), {"groups": GROUPS[1:]}, ValueError, "groups has"),
        ((roc_auc_score, Y, SCORE), {"groups": 0 * Y}, ValueError, "of one group"),
        ((3, Y, SCORE), {}, TypeError, "metric=3 must be a function"),
        (("sharpness", Y, SCORE), {}, ValueError, "sharpness"),
        (
            (partial(f1_score, average=None), Y, Y),
            {},
            TypeError,
            "f1_score returned ndarray",
        ),
        (
            (unweighted(accuracy_score), Y, Y),
            {"sample_weight": Y + 1},
            ValueError,
            "has no parameter sample_weight",
        ),
        ((lambda y, p: np.nan, Y, Y), {}, ValueError, "is NaN"),
        (
            (partial(dice_score, average=None), Y, Y),
            {},
            ValueError,
            "average=None is a score for each image",
        ),
        ((roc_auc_score, Y, SCORE), {"n_resamples": 5}, ValueError, "n_resamples"),
        (
            (roc_auc_score, Y, SCORE),
            {"confidence_level": 95},
            ValueError,
            "confidence_level",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments, changes, error, message):
    with pytest.raises(error, match=message):
        bootstrap_interval(*arguments, **{**OPTIONS, **changes})


def test_undefined_scores_of_samples_are_warned_of():
    def mean_of_first(y_true, y_score):
        return np.mean(y_score[y_score > 0]) if (y_score > 2).any() else np.nan

    y_score = np.r_[np.zeros(119), 3.0]
    with pytest.warns(UserWarning, match=r"is NaN or infinite in \d+ of 15"):
        bootstrap_interval(mean_of_first, Y, y_score, **OPTIONS)
