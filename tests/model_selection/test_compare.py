"""Differences between two models on the same images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from functools import partial

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, roc_auc_score

from skinest.metrics import dice_score
from skinest.model_selection import bootstrap_interval, compare

RNG = np.random.default_rng(0)
GROUPS = np.repeat(np.arange(50), 2)
Y = (GROUPS % 3 == 0).astype(int)
A = Y + RNG.normal(size=50)[GROUPS]
B = A + RNG.normal(size=100)
OPTIONS = {"groups": GROUPS, "n_resamples": 200, "random_state": 0}


def test_the_difference_is_that_of_the_scores_in_the_same_samples():
    result = compare(roc_auc_score, Y, A, B, **OPTIONS)
    of_a, of_b = (bootstrap_interval(roc_auc_score, Y, s, **OPTIONS) for s in (A, B))
    assert (result.score_a, result.score_b) == (of_a.estimate, of_b.estimate)
    assert result.estimate == pytest.approx(of_a.estimate - of_b.estimate)
    expected = of_a.distribution - of_b.distribution
    np.testing.assert_allclose(result.distribution, expected)
    assert result.share_below_zero == np.mean(expected < 0)
    assert result.standard_error < np.hypot(of_a.standard_error, of_b.standard_error)


def test_exchanged_models_have_the_opposite_difference():
    result, exchanged = (
        compare(roc_auc_score, Y, *scores, **OPTIONS) for scores in ((A, B), (B, A))
    )
    np.testing.assert_allclose(exchanged, [-result[0], -result[2], -result[1]])


def test_equal_models_differ_by_what_is_not_seen():
    result = compare("accuracy", Y, A > 0.5, A > 0.5, **OPTIONS)
    # If 50 of 50 groups have equal predictions, others may have different ones.
    different = 1 - binomtest(50, 50).proportion_ci().low
    np.testing.assert_allclose(result, [0, -different, different])
    assert result.share_below_zero == 0 and np.isnan(result.standard_error)


def test_models_that_err_on_different_images():
    y_pred = np.where(GROUPS < 10, 1 - Y, Y), np.where(GROUPS >= 40, 1 - Y, Y)
    result = compare(accuracy_score, Y, *y_pred, **OPTIONS)
    assert result.estimate == pytest.approx(0)
    # 10 of 50 groups count 1, and 10 count -1.
    assert result.standard_error == pytest.approx(np.sqrt(0.4 / 50), rel=0.15)
    assert result.low < 0 < result.high and 0.3 < result.share_below_zero < 0.6


def test_masks_of_two_segmenters():
    y_true, a, b = RNG.random((3, 20, 6, 6)) < 0.5
    metric = partial(dice_score, zero_division=1.0)
    result = compare(metric, y_true, a, b, n_resamples=50, random_state=0)
    expected = metric(y_true, a) - metric(y_true, b)
    assert result.estimate == pytest.approx(expected)


def test_wrong_length_is_named():
    with pytest.raises(ValueError, match="score_b has 99 entries, but y_true has 100"):
        compare(roc_auc_score, Y, A, B[1:], **OPTIONS)
