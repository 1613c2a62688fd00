"""Confidence intervals of scores, by a bootstrap of groups."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

from ..utils._checks import check_groups
from ._interval_result import IntervalResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from .._typing import RandomStateLike


def bootstrap_interval(
    metric: Callable[..., float],
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    random_state: RandomStateLike = None,
) -> IntervalResult:
    """Compute a score with its confidence interval, by a bootstrap of groups.

    Parameters
    ----------
    metric : callable
        Function of `y_true` and `y_score` that returns a number.

    y_true : array-like of shape (n_images,)
        True labels.

    y_score : array-like of shape (n_images,) or (n_images, n_classes)
        Predictions in the form that `metric` needs: labels, scores or probabilities.

    groups : array-like of shape (n_images,), default=None
        Lesion or patient of each image. Whole groups are sampled with replacement. None
        means that each image is a group.

    n_resamples : int, default=1000
        Number of bootstrap samples.

    confidence_level : float, default=0.95
        Confidence level of the interval.

    random_state : int, RandomState instance or None, default=None
        Seed of the bootstrap samples.

    Returns
    -------
    result : IntervalResult
        The score of all images, and the limits of its interval.

    Examples
    --------
    >>> from sklearn.metrics import roc_auc_score
    >>> from skinest.model_selection import bootstrap_interval
    >>> y_true = [0, 0, 1, 1, 0, 1, 0, 1]
    >>> y_score = [0.1, 0.4, 0.35, 0.8, 0.2, 0.9, 0.6, 0.7]
    >>> result = bootstrap_interval(
    ...     roc_auc_score, y_true, y_score, n_resamples=200, random_state=0
    ... )
    >>> result.estimate
    0.875
    """
    y_true, y_score = np.asarray(y_true), np.asarray(y_score)
    groups = check_groups(groups, len(y_true))
    if groups is None:
        groups = np.arange(len(y_true))
    members: list[Any] = [np.flatnonzero(groups == each) for each in np.unique(groups)]
    classes = np.unique(y_true)
    rng = check_random_state(random_state)
    values: list[float] = []
    while len(values) < n_resamples:
        chosen = rng.randint(len(members), size=len(members))
        rows = np.concatenate([members[each] for each in chosen])
        if len(np.unique(y_true[rows])) == len(classes):
            values.append(metric(y_true[rows], y_score[rows]))
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(values, (tail, 1 - tail))
    return IntervalResult(metric(y_true, y_score), low, high, confidence_level, values)
