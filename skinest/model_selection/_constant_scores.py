"""Limits of scores that are the same in all bootstrap samples, such as 1.

If all groups are right, some groups of the same source may still be wrong. If a
fraction p of them is, a sample of n groups has none of these with the probability
(1 - p)^n. The limits are the scores with the greatest p at which this probability is
that of a tail of the interval. For a proportion, they are those of Clopper and Pearson.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.multiclass import type_of_target

from ..utils._checks import check_sample_weight
from ._weighted_score import (
    Metric,
    as_items,
    has_labels,
    is_mean_of_fractions,
    make_weighted_score,
    positive_column,
    split_partial,
)

_ALL = "all images"


class Part(NamedTuple):
    """Predictions of some images, and what they are compared with.

    Parameters
    ----------
    metric : Metric
        The metric.

    y_true, y_score : array-like of length n_images
        True labels or masks, and predictions.

    groups : ndarray of shape (n_images,)
        The group of each image.

    sample_weight : array-like of shape (n_images,), default=None
        Weights of the images.
    """

    metric: Metric
    y_true: Any
    y_score: Any
    groups: np.ndarray
    sample_weight: Any = None


class _Change(NamedTuple):
    """Other labels and predictions of all images, and images that may have them.

    For a mean of scores of images, these are the mean and the score of a changed image.
    """

    y_true: Any
    y_score: Any
    images: dict[str, np.ndarray]


def find_plausible_scores(parts, confidence_level):
    """Return the range of scores that may be true, by which images are changed.

    Parameters
    ----------
    parts : list of Part
        The score is the mean of the scores of these parts.

    confidence_level : float
        Confidence level of an interval, in (0, 1).

    Returns
    -------
    ranges : dict of str to tuple of (float, float)
        The lowest and the highest score, by the images that are changed: all, or those
        of a class. It is empty if it is not known how predictions can be wrong.
    """
    parts = [_unify(part) for part in parts]
    labels = _find_labels(parts)
    changes = [_list_changes(part, labels) for part in parts]
    scores: dict[str, list[float]] = {}
    for kind in changes[0]:
        of_kind = [each[kind] for each in changes if kind in each]
        if len(of_kind) < len(parts):
            continue
        try:
            for scope, score in _change_parts(parts, of_kind, confidence_level):
                scores.setdefault(scope, []).append(score)
        except ValueError:  # the metric is not for such predictions
            continue
    return {scope: (min(each), max(each)) for scope, each in scores.items()}


def find_limits(ranges):
    """Return the limits of a score from its ranges; NaN with a warning if unknown."""
    if not ranges:
        warnings.warn(
            "The score is the same in all bootstrap samples, and it is not known what "
            "it would be with other predictions. The limits of its interval are NaN.",
            UserWarning,
            stacklevel=4,
        )
        return np.nan, np.nan
    lows, highs = zip(*ranges.values(), strict=True)
    return min(lows), max(highs)


def find_limits_of_difference(ranges_a, ranges_b):
    """Return the limits of the difference of two scores if the same images change."""
    return find_limits(
        {
            scope: (low - ranges_b[scope][1], high - ranges_b[scope][0])
            for scope, (low, high) in ranges_a.items()
            if scope in ranges_b
        }
    )


def _unify(part):
    """Return a part with all weights in `sample_weight`, and labels as arrays."""
    function, options = split_partial(part.metric)
    weights = [
        check_sample_weight(each, len(part.groups))
        for each in (part.sample_weight, options.pop("sample_weight", None))
    ]
    metric = part.metric._replace(function=function, options=options)
    part = part._replace(metric=metric, sample_weight=weights[0] * weights[1])
    if is_mean_of_fractions(metric) or not has_labels(part.y_true):
        return part
    y_true, y_score = as_items(part.y_true), as_items(part.y_score)
    if y_true.shape[1:] == (1,):
        y_true = y_true.ravel()
    y_score = positive_column(metric, y_true, y_score)
    return part._replace(y_true=y_true, y_score=y_score)


def _find_labels(parts):
    """Return all labels, at least two, or None if there are none."""
    found = []
    for part in parts:
        if is_mean_of_fractions(part.metric) or not has_labels(part.y_true):
            return None
        if type_of_target(part.y_true) not in ("binary", "multiclass"):
            return None
        found.append(part.y_true)
        is_column = part.y_score.ndim == 1 and part.y_score.dtype.kind != "f"
        if is_column and not _are_points(part):
            found.append(part.y_score)
    labels = np.unique(np.concatenate(found))
    if len(labels) > 1:
        return labels
    (label,) = labels.tolist()
    other = f"not {label}" if isinstance(label, str) else int(not label)
    return np.unique([label, other])


def _are_points(part):
    """Return whether integers are scores, such as points of a list, and not labels.

    Points are greater or lower than others. They can all be a quarter greater, or a
    quarter lower, so that none crosses a threshold. Labels cannot.
    """
    metric, y_true, y_score, _, weights = part
    if y_score.dtype.kind not in "iu" or np.isin(y_score, y_true).all():
        return False
    if not metric.takes_labels:
        return True
    weights = {"sample_weight": weights} if np.any(weights != 1) else {}
    options = {**metric.options, **weights}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            score, *shifted = (
                metric.function(y_true, y_score + shift, **options)
                for shift in (0, 0.25, -0.25)
            )
        except (ValueError, TypeError, LookupError):  # it is not for such numbers
            return False
        return score in shifted


def _list_changes(part, labels):
    """Return changes by their kind."""
    has_weight = part.sample_weight > 0
    if is_mean_of_fractions(part.metric):
        estimate, has_score = _score_images(part)
        images = {_ALL: has_score}
        sign = part.metric.sign
        return {value: _Change(estimate, sign * value, images) for value in (0, 1)}
    if labels is not None:
        return _list_changes_of_classes(part, labels, has_weight)
    if has_labels(part.y_true) and part.y_true.ndim == 2:
        return _list_changes_of_several_labels(part, has_weight)
    return {}


def _score_images(part):
    """Return the mean score, and which images have one: others do not count."""
    counts = np.zeros(len(part.groups))
    has_score = np.ones(len(counts), dtype=bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of images without foreground
        score = make_weighted_score(*part[:3], part.sample_weight)
        for row in range(len(counts)):
            counts[row] = 1
            has_score[row] = not np.isnan(score(counts))
            counts[row] = 0
        return score(counts + 1), has_score


def _list_changes_of_classes(part, labels, has_weight):
    codes, n_labels = np.searchsorted(labels, part.y_true), len(labels)
    images = {_ALL: has_weight}
    images |= {f"true {k}": has_weight & (codes == k) for k in range(n_labels)}
    changes = {}
    for kind, predictions in _list_predictions(part.y_score, labels).items():
        for shift in (0, 1):  # right, and wrong
            changed = predictions[(codes + shift) % n_labels]
            changes[kind, shift] = _Change(part.y_true, changed, images)
    if ("labels", 0) in changes:  # other images may have these predictions
        found = np.searchsorted(labels, part.y_score)
        images = {f"found {k}": has_weight & (found == k) for k in range(n_labels)}
        for shift in (0, 1):
            changed = labels[(found + shift) % n_labels]
            changes["truth", shift] = _Change(changed, part.y_score, images)
    return changes


def _list_changes_of_several_labels(part, has_weight):
    images = {_ALL: has_weight}
    for column, values in enumerate(part.y_true.T):
        images[f"with {column}"] = has_weight & (values == 1)
        images[f"without {column}"] = has_weight & (values == 0)
    predictions = {"right": part.y_true, "wrong": 1 - part.y_true}
    return {
        kind: _Change(part.y_true, changed, images)
        for kind, changed in predictions.items()
    }


def _list_predictions(y_score, labels):
    """Return the predictions of each label that are the most certain, by their kind."""
    if y_score.ndim == 2:
        is_known = y_score.shape[1] == len(labels)
        return {"columns": np.eye(len(labels))} if is_known else {}
    kinds = {}
    if np.isin(y_score, labels).all():
        kinds["labels"] = labels
    if y_score.dtype.kind in "iuf" and len(labels) == 2:
        low, high = y_score.min(), y_score.max()
        kinds["beyond all others"] = np.array([low - 1.0, high + 1.0])
        if low >= 0 and high <= 1:  # some metrics take probabilities only
            kinds["probabilities"] = np.array([0.0, 1.0])
    return kinds


def _change_parts(parts, changes, confidence_level):
    """Yield names of images, and the mean score of the parts if some are changed."""
    scores = [_make_score(*pair) for pair in zip(parts, changes, strict=True)]
    for scope in changes[0].images:
        chosen = [change.images[scope] for change in changes]
        pairs = zip(parts, chosen, strict=True)
        n_groups = len(np.unique(np.concatenate([p.groups[rows] for p, rows in pairs])))
        if not n_groups:
            continue
        share = 1 - ((1 - confidence_level) / 2) ** (1 / n_groups)
        pairs = zip(scores, chosen, strict=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of labels that are never predicted
            mean = np.mean([score(share * rows) for score, rows in pairs])
        if np.isfinite(mean):
            yield scope, float(mean)


def _make_score(part, change):
    """Return the function from the changed fraction of each image to the score.

    An image counts 1 - p, and a changed copy of it counts p.
    """
    if is_mean_of_fractions(part.metric):
        estimate = change.y_true
        return lambda shares: estimate + shares.max() * (change.y_score - estimate)
    weights = np.tile(part.sample_weight, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        score = make_weighted_score(
            part.metric,
            np.concatenate([part.y_true, change.y_true]),
            np.concatenate([part.y_score, change.y_score]),
            weights if np.any(weights != 1) else None,
        )
    return lambda shares: score(np.concatenate([1 - shares, shares]))
