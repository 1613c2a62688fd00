"""DeLong's method: published numbers, and the sums over pairs that define it."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from skinest.model_selection import compare, delong_interval, delong_test

# Albumin, total protein, K-G score (higher is worse), and whether surgery helped, of
# ovarian cancer patients: the data of DeLong et al., in the manual of SAS/STAT, "The
# LOGISTIC Procedure", example "Comparing receiver operating characteristic curves".
PATIENTS = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0
2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1
4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1
3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1
3.6 6.6 5 1
"""
ALBUMIN, PROTEIN, KG, HELPED = np.array(PATIENTS.split(), float).reshape(-1, 4).T
KG = 10 - KG


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (ALBUMIN, (0.7366, 0.0927, 0.5549, 0.9182)),
        (KG, (0.7258, 0.1028, 0.5243, 0.9273)),
        (PROTEIN, (0.6478, 0.1000, 0.4518, 0.8439)),
    ],
    ids=["albumin", "K-G score", "total protein"],
)
def test_intervals_are_those_of_sas(score, expected):
    result = delong_interval(HELPED, score)
    numbers = result.estimate, result.standard_error, result.low, result.high
    np.testing.assert_allclose(numbers, expected, atol=6e-5)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (ALBUMIN, (0.0108, 0.0953, -0.1761, 0.1976, 0.0127, 0.9102)),
        (PROTEIN, (-0.0780, 0.1046, -0.2830, 0.1271, 0.5554, 0.4561)),
    ],
    ids=["albumin", "total protein"],
)
def test_comparisons_are_those_of_sas(score, expected):
    result = delong_test(HELPED, score, KG)
    numbers = (
        *(result.estimate, result.standard_error, result.low, result.high),
        *(result.statistic**2, result.pvalue),
    )
    np.testing.assert_allclose(numbers, expected, atol=6e-5)
    assert result.score_b == delong_interval(HELPED, KG).estimate


def make_scores(seed=0, n_groups=15):
    """Return labels, scores of two models with ties, and groups with both classes."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(n_groups, size=50)
    y_true = (rng.random(50) < 0.2 + 0.5 * (groups % 2)).astype(int)
    common = y_true + rng.normal(size=n_groups)[groups]
    a, b = np.round(common + rng.normal(size=(2, 50)), 1)
    return y_true, a, b, groups


def covariance_by_pairs(y_true, scores, groups):
    """Return the areas and their covariance as Obuchowski (1997) defines them."""
    positive, negative = np.flatnonzero(y_true), np.flatnonzero(1 - y_true)
    m, n = len(positive), len(negative)
    areas, sums_positive, sums_negative = [], [], []
    names = sorted(set(groups.tolist()))
    for score in scores:
        wins = {
            (i, j): 0.5 * (score[i] == score[j]) + (score[i] > score[j])
            for i in positive
            for j in negative
        }
        areas.append(sum(wins.values()) / (m * n))
        v10 = {i: sum(wins[i, j] for j in negative) / n for i in positive}
        v01 = {j: sum(wins[i, j] for i in positive) / m for j in negative}
        for sums, parts in ((sums_positive, v10), (sums_negative, v01)):
            sums.append(
                [
                    sum(parts[k] - areas[-1] for k in parts if groups[k] == name)
                    for name in names
                ]
            )
    n_all = len(names)
    n_10, n_01 = len(set(groups[positive])), len(set(groups[negative]))
    covariance = np.zeros((2, 2))
    for r in range(2):
        for s in range(2):
            p, q = np.array(sums_positive), np.array(sums_negative)
            s10 = n_10 / ((n_10 - 1) * m) * sum(p[r] * p[s])
            s01 = n_01 / ((n_01 - 1) * n) * sum(q[r] * q[s])
            s11 = n_all / (n_all - 1) * (sum(p[r] * q[s]) + sum(p[s] * q[r]))
            covariance[r, s] = s10 / m + s01 / n + s11 / (m * n)
    return np.array(areas), covariance


@pytest.mark.parametrize("is_grouped", [False, True])
def test_variances_are_those_of_sums_over_pairs(is_grouped):
    y_true, a, b, groups = make_scores()
    groups = groups if is_grouped else None
    areas, covariance = covariance_by_pairs(
        y_true, (a, b), np.arange(50) if groups is None else groups
    )
    for position, score in enumerate((a, b)):
        result = delong_interval(y_true, score, groups=groups)
        assert result.estimate == pytest.approx(areas[position])
        assert result.estimate == pytest.approx(roc_auc_score(y_true, score))
        expected = np.sqrt(covariance[position, position])
        assert result.standard_error == pytest.approx(expected)
    result = delong_test(y_true, a, b, groups=groups)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert result.statistic == pytest.approx((areas[0] - areas[1]) / np.sqrt(variance))


def test_images_that_are_twice_in_their_group_tell_nothing_new():
    y_true, a, b, groups = make_scores()
    once = delong_test(y_true, a, b, groups=groups)
    twice = delong_test(
        *(np.tile(each, 2) for each in (y_true, a, b)), groups=[*groups] * 2
    )
    np.testing.assert_allclose(twice, once)
    assert twice.pvalue == pytest.approx(once.pvalue)


def test_it_agrees_with_the_bootstrap():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(150), 2)
    y_true = (groups % 3 == 0).astype(int)
    a, b = y_true + rng.normal(size=150)[groups] + rng.normal(size=(2, 300))
    delong = delong_test(y_true, a, b, groups=groups)
    bootstrap = compare(
        roc_auc_score, y_true, a, b, groups=groups, n_resamples=400, random_state=0
    )
    assert delong.standard_error == pytest.approx(bootstrap.standard_error, rel=0.15)


def test_limits_are_between_0_and_1():
    labels = np.array(["benign", "malignant"])[[0, 0, 0, 1, 1, 1]]
    assert delong_interval(labels, [1, 2, 4, 3, 5, 6]).high == 1


def test_perfect_and_equal_scores_have_the_limits_of_what_is_not_seen():
    y_true = np.repeat([0, 0, 0, 1], 10)
    # The positive image that was not seen is below all negative images.
    lowest = binomtest(10, 10).proportion_ci().low
    perfect = delong_interval(y_true, y_true)
    np.testing.assert_allclose(perfect, [1, lowest, 1])
    assert np.isnan(perfect.standard_error)
    in_pairs = delong_interval(y_true, y_true, groups=np.arange(40) // 2)
    assert in_pairs.low == pytest.approx(binomtest(5, 5).proportion_ci().low)
    same = delong_test(y_true, y_true, 2 * y_true)
    np.testing.assert_allclose(same, [0, lowest - 1, 1 - lowest])
    assert same.pvalue == 1 and np.isnan(same.standard_error)


def test_a_difference_without_a_standard_error_has_no_p_value():
    y_true = [0, 0, 1, 1]
    with pytest.warns(UserWarning, match="the p-value are NaN"):
        result = delong_test(y_true, y_true, np.zeros(4))
    assert result.estimate == 0.5 and result.low < 0.5
    assert np.isnan([result.statistic, result.pvalue]).all()


def test_labels_of_any_type_of_two_classes():
    y_true, score, _, _ = make_scores()
    expected = delong_interval(y_true, score)
    is_positive = y_true == max(y_true)
    for labels in (
        is_positive,
        is_positive.astype(object),
        np.where(is_positive, "malignant", "benign").tolist(),
    ):
        assert delong_interval(labels, score) == expected


def test_equal_models_have_a_p_value_of_1():
    y_true, a, _, _ = make_scores()
    result = delong_test(y_true, a, 3 * a)
    assert (result.statistic, result.pvalue) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "groups", "message"),
    [
        (([0, 1, 2], [1, 2, 3]), None, "y_true has 3 different values"),
        (([0, 0, 0], [1, 2, 3]), None, "y_true has 1 different values"),
        (([0.2, 0.5, 0.2], [1, 2, 3]), None, r"such as \[0\.2, 0\.5\]"),
        (([0, 1, 1], [1, 2]), None, r"y_score has the shape \(2,\)"),
        (([0, 1, 1], [[0, 1]] * 3), None, "pass the second one"),
        (([0, 1, 1], [0, 1, np.nan]), None, "y_score contains NaN"),
        (([0, 0, 1], [1, 2, 3]), None, "All positive images are of one group"),
        (([0, 0, 1, 1], [1, 2, 3, 4]), [1, 1, 2, 3], "All negative images"),
        (([0, 0, 1, 1], [1, 2, 3, 4]), [1, 2, 3], "groups has 3 entries"),
    ],
)
def test_wrong_arguments_are_named(arguments, groups, message):
    with pytest.raises(ValueError, match=message):
        delong_interval(*arguments, groups=groups)
