"""Intervals and a test of areas under the ROC curve, without a bootstrap."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import warnings
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_auc_score
from sklearn.utils import check_array
from sklearn.utils.multiclass import type_of_target

from .._compat import Interval, validate_params
from ..utils._checks import as_column, check_groups
from ._constant_scores import (
    Part,
    find_limits,
    find_limits_of_difference,
    find_plausible_scores,
)
from ._group_bootstrap import has_no_width
from ._interval_result import DeLongResult, IntervalResult
from ._weighted_score import Metric

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_CONSTRAINTS = {
    "y_true": ["array-like"],
    "groups": ["array-like", None],
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
}


@validate_params(
    {**_CONSTRAINTS, "y_score": ["array-like"]}, prefer_skip_nested_validation=True
)
def delong_interval(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    confidence_level: float = 0.95,
) -> IntervalResult:
    r"""Compute the area under the ROC curve with its interval by DeLong's method.

    It takes no random samples and almost no time. But it is symmetric about the area,
    so it is too narrow if the area is near 1 or few images are positive. In a
    simulation with an area of .86 and 30 positive of 100 lesions, 95 % intervals
    contained the true area in 92 % of test sets, those of :func:`bootstrap_interval` in
    96 %.

    Parameters
    ----------
    y_true : array-like of shape (n_images,)
        True labels of two classes. The greater one is positive.

    y_score : array-like of shape (n_images,)
        Probabilities or decision values of the positive class.

    groups : array-like of shape (n_images,), default=None
        Lesion or patient of each image. Images of one group depend on each other, which
        the interval allows for as in [3]_. None means that all images are independent.

    confidence_level : float, default=0.95
        Confidence level of the interval, in (0, 1).

    Returns
    -------
    result : IntervalResult
        The area, the limits of its interval, which are within 0 and 1, and
        `standard_error`.

    Raises
    ------
    ValueError
        If `y_true` does not have two classes, or a class is in fewer than two groups.

    See Also
    --------
    bootstrap_interval : Intervals of any metric.
    delong_test : Compare two models.

    Notes
    -----
    Let :math:`V_i` be the fraction of the negative images with a lower score than the
    positive image :math:`i`, and :math:`W_j` the fraction of the positive images with a
    higher score than the negative image :math:`j`; ties count one half. The area is the
    mean of either. If all images are independent, its variance is
    :math:`\mathrm{var}(V) / m + \mathrm{var}(W) / n` for :math:`m` positive and
    :math:`n` negative images [1]_. They are computed from ranks, as in [2]_.

    If the area is 1, the estimated variance is 0, which does not mean that the area is
    certain. `standard_error` is NaN then, and the limits are those of
    :func:`bootstrap_interval`.

    References
    ----------
    .. [1] E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, "Comparing the areas
       under two or more correlated receiver operating characteristic curves: a
       nonparametric approach", Biometrics 44, 1988.
    .. [2] X. Sun and W. Xu, "Fast implementation of DeLong's algorithm for comparing
       the areas under correlated receiver operating characteristic curves", IEEE Signal
       Processing Letters 21, 2014.
    .. [3] N. A. Obuchowski, "Nonparametric analysis of clustered ROC curve data",
       Biometrics 53, 1997.

    Examples
    --------
    >>> from skinest.model_selection import delong_interval
    >>> y_true = [0, 0, 1, 1, 0, 1, 0, 1]
    >>> y_score = [0.1, 0.4, 0.35, 0.8, 0.2, 0.9, 0.6, 0.7]
    >>> print(f"{delong_interval(y_true, y_score):.3f}")
    0.875 [0.592, 1.000]
    """
    areas, covariance = _estimate_areas(y_true, {"y_score": y_score}, groups)
    error = np.sqrt(covariance[0, 0])
    low, high = _normal_limits(areas[0], error, confidence_level)
    if has_no_width(low, high):
        error = np.nan
        low, high = find_limits(
            _find_plausible_areas(y_true, y_score, groups, confidence_level)
        )
    return IntervalResult(
        areas[0],
        max(low, 0.0),
        min(high, 1.0),
        confidence_level=confidence_level,
        standard_error=float(error),
    )


@validate_params(
    {**_CONSTRAINTS, "score_a": ["array-like"], "score_b": ["array-like"]},
    prefer_skip_nested_validation=True,
)
def delong_test(
    y_true: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    confidence_level: float = 0.95,
) -> DeLongResult:
    """Test whether two models have the same area under the ROC curve, by DeLong's test.

    Both models predict the same images.

    Parameters
    ----------
    y_true : array-like of shape (n_images,)
        True labels of two classes. The greater one is positive.

    score_a, score_b : array-like of shape (n_images,)
        Probabilities or decision values of the positive class, by each model.

    groups : array-like of shape (n_images,), default=None
        Lesion or patient of each image, see :func:`delong_interval`.

    confidence_level : float, default=0.95
        Confidence level of the interval of the difference, in (0, 1).

    Returns
    -------
    result : DeLongResult
        The difference, the limits of its interval, `score_a`, `score_b`,
        `standard_error`, `statistic` and `pvalue`.

    Raises
    ------
    ValueError
        If `y_true` does not have two classes, or a class is in fewer than two groups.

    Warns
    -----
    UserWarning
        If the areas differ and the variance is 0, so that `pvalue` is NaN.

    See Also
    --------
    compare : Compare two models by any metric.
    delong_interval : The interval of one area.

    Notes
    -----
    The difference, divided by its standard error, is compared with the normal
    distribution. If both models rank all images equally, `pvalue` is 1, and the limits
    are those of :func:`compare`. See :func:`delong_interval` for the papers.

    The test is not for nested models on the images that they were trained on. Use test
    images.

    Examples
    --------
    >>> from skinest.model_selection import delong_test
    >>> y_true = [0, 0, 1, 1, 0, 1, 0, 1]
    >>> score_a = [0.1, 0.4, 0.35, 0.8, 0.2, 0.9, 0.6, 0.7]
    >>> score_b = [0.3, 0.4, 0.1, 0.7, 0.2, 0.5, 0.6, 0.8]
    >>> result = delong_test(y_true, score_a, score_b)
    >>> print(f"{result:+.3f}, p = {result.pvalue:.2f}")
    +0.188 [-0.077, +0.452], p = 0.16
    """
    areas, covariance = _estimate_areas(
        y_true, {"score_a": score_a, "score_b": score_b}, groups
    )
    difference = areas[0] - areas[1]
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    error = np.sqrt(max(variance, 0.0))
    low, high = _normal_limits(difference, error, confidence_level)
    if has_no_width(low, high):
        low, high = find_limits_of_difference(
            *(
                _find_plausible_areas(y_true, scores, groups, confidence_level)
                for scores in (score_a, score_b)
            )
        )
        error, statistic = np.nan, _find_statistic_without_error(difference)
    else:
        statistic = difference / error
    return DeLongResult(
        difference,
        low,
        high,
        score_a=areas[0],
        score_b=areas[1],
        statistic=statistic,
        pvalue=2 * norm.sf(abs(statistic)),
        confidence_level=confidence_level,
        standard_error=float(error),
    )


def _find_plausible_areas(y_true, y_score, groups, confidence_level):
    """Return the range of areas if all ranks are the same in each sample."""
    is_positive = _check_labels(y_true)
    groups = check_groups(groups, len(is_positive))
    if groups is None:
        groups = np.arange(len(is_positive))
    y_score = np.asarray(y_score, dtype=float)
    part = Part(Metric(roc_auc_score), is_positive, y_score, groups)
    return find_plausible_scores([part], confidence_level)


def _find_statistic_without_error(difference) -> float:
    """Return 0 for equal areas, otherwise NaN with a warning."""
    if np.isclose(difference, 0):
        return 0.0
    warnings.warn(
        "All positive images have the same rank among the negative ones, by both "
        "models, so the standard error of the difference is not known. The statistic "
        "and the p-value are NaN.",
        UserWarning,
        stacklevel=3,
    )
    return np.nan


def _normal_limits(estimate, error, confidence_level):
    width = norm.isf((1 - confidence_level) / 2) * error
    return estimate - width, estimate + width


def _estimate_areas(y_true, scores, groups):
    """Return the areas of several models, and their covariance over data sets."""
    is_positive = _check_labels(y_true)
    scores = np.stack(
        [_check_scores(*item, len(is_positive)) for item in scores.items()]
    )
    groups = check_groups(groups, len(is_positive))
    if groups is None:
        groups = np.arange(len(is_positive))
    codes = np.unique(groups, return_inverse=True)[1]
    parts = np.zeros(scores.shape)
    for row, values in zip(parts, scores, strict=True):
        row[is_positive], row[~is_positive] = _components(
            values[is_positive], values[~is_positive]
        )
    areas = parts[:, is_positive].mean(axis=1)
    return areas, _covariance(parts - areas[:, np.newaxis], is_positive, codes)


def _components(positive, negative):
    """Return the fraction of the other class that each image is on the right side of.

    The rank of an image among all images, minus its rank among those of its class, is
    the number of images of the other class with a lower score.
    """
    ranks = rankdata(np.concatenate([positive, negative]))
    below = ranks[: len(positive)] - rankdata(positive)
    positives_below = ranks[len(positive) :] - rankdata(negative)
    return below / len(negative), 1 - positives_below / len(positive)


def _covariance(deviations, is_positive, codes):
    """Return the covariance of the areas by sums over the images of each group.

    A group with images of both classes makes their parts depend on each other. If each
    image is a group, this is the covariance of DeLong et al.
    """
    n_groups = codes.max() + 1
    total, sums = 0.0, []
    for of_class, name in ((is_positive, "positive"), (~is_positive, "negative")):
        has_class = np.bincount(codes[of_class], minlength=n_groups) > 0
        n_with_class = np.count_nonzero(has_class)
        if n_with_class < 2:
            raise ValueError(
                f"All {name} images are of one group. The variance of the area needs "
                "at least 2 groups with each class."
            )
        each = [
            np.bincount(codes[of_class], row[of_class], minlength=n_groups)
            for row in deviations
        ]
        sums.append(np.array(each) / np.count_nonzero(of_class))
        total = total + n_with_class / (n_with_class - 1) * sums[-1] @ sums[-1].T
    cross = sums[0] @ sums[1].T
    return total + n_groups / (n_groups - 1) * (cross + cross.T)


def _check_labels(y_true):
    """Return which images are positive."""
    y_true = as_column(y_true, "y_true")
    if y_true.dtype == object:
        y_true = np.array(y_true.tolist())  # of True and False, for example
    classes = np.unique(y_true)
    if len(classes) != 2 or type_of_target(y_true) != "binary":
        raise ValueError(
            f"y_true has {len(classes)} different values, such as "
            f"{classes[:3].tolist()}. The area under the ROC curve is for two classes, "
            "as integers, True and False, or texts. Use bootstrap_interval for more."
        )
    return y_true == classes[1]


def _check_scores(name, scores, n_images):
    scores = check_array(scores, ensure_2d=False, dtype=float, input_name=name)
    if scores.shape != (n_images,):
        raise ValueError(
            f"{name} has the shape {scores.shape}, but must be ({n_images},): the "
            "score of the positive class for each image of y_true. Of probabilities "
            "with two columns, pass the second one."
        )
    return scores
