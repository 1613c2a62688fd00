"""Scores as functions of how often each image counts, for the bootstrap."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import inspect
from functools import partial
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import get_scorer
from sklearn.utils.multiclass import type_of_target

from .._compat import read_scorer
from .._pixel_counts import (
    average_defined,
    check_labels,
    compute_ratio,
    count_labels,
    find_foreground,
    pool_counts,
    select_counts,
)
from ..masks import check_masks
from ..metrics import dice_score, iou_score
from ..utils._checks import check_sample_weight, select_items
from ._fast_scores import make_fast_score


def _find_ratio(function):
    """Return the ratio of pixels that a metric of masks computes, or None."""
    return (
        "Dice" if function is dice_score else "IoU" if function is iou_score else None
    )


class Metric(NamedTuple):
    """A function of true labels and predictions, as its caller wants it."""

    function: Any
    sign: int = 1
    options: dict[str, Any] = {}
    takes_labels: bool = True

    @property
    def name(self) -> str:
        function = self.function
        if isinstance(function, partial):
            function = function.func
        return getattr(function, "__name__", type(function).__name__)


def read_metric(metric) -> Metric:
    """Return a metric from a function, a scorer or the name of a scorer."""
    if isinstance(metric, str):
        metric = get_scorer(metric)
    if scorer := read_scorer(metric):
        function, sign, options, response_method = scorer
        return Metric(function, sign, options, response_method == "predict")
    if not callable(metric):
        raise TypeError(
            f"metric={metric!r} must be a function of y_true and y_score, such as "
            'sklearn.metrics.roc_auc_score, or the name of a scorer, such as "roc_auc".'
        )
    return Metric(metric)


def make_weighted_score(metric, y_true, y_score, sample_weight=None, name="y_score"):
    """Return a function from the number of times that each image counts to the score.

    Parameters
    ----------
    metric : Metric
        The metric.

    y_true, y_score : array-like of length n_images
        True labels or masks, and predictions.

    sample_weight : array-like of shape (n_images,), default=None
        Weights by which the numbers are multiplied.

    name : str, default="y_score"
        Name of `y_score` in error messages.

    Returns
    -------
    score : callable
        ``score(counts)`` returns a float.
    """
    y_true, y_score = _as_items(y_true), _as_items(y_score)
    if len(y_true) != len(y_score):
        raise ValueError(
            f"{name} has {len(y_score)} entries, but y_true has {len(y_true)}."
        )
    function, options = _split_partial(metric)
    weights = check_sample_weight(sample_weight, len(y_true))
    weights = weights * check_sample_weight(
        options.pop("sample_weight", None), len(y_true)
    )
    if ratio := _find_ratio(function):
        score = _of_masks(ratio, y_true, y_score, **options)
    elif _takes_weights(metric.function):
        y_score = _positive_column(metric, y_true, y_score)
        score = make_fast_score(function, options, y_true, y_score)
        score = score or _of_weights(metric, y_true, y_score)
    elif sample_weight is not None:
        raise ValueError(
            f"{metric.name} has no parameter sample_weight, so sample_weight cannot be "
            "used. Leave it out, or pass a metric that takes it."
        )
    else:
        y_score = _positive_column(metric, y_true, y_score)
        return _of_selections(metric, y_true, y_score)
    return lambda counts: metric.sign * _check_number(score(counts * weights), metric)


def count_images(y_true) -> int:
    """Return the number of labels or masks."""
    try:
        return len(y_true)
    except TypeError:
        raise TypeError(
            f"y_true is of type {type(y_true).__name__}. Pass a label or mask for each "
            "image."
        ) from None


def list_classes(metric, y_true):
    """Return which images are of which class, by its name in messages.

    There are no classes for masks and numbers that are not labels.
    """
    function, _ = _split_partial(metric)
    y_true = _as_items(y_true)
    if _find_ratio(function) or not isinstance(y_true, np.ndarray):
        return {}
    kind = type_of_target(y_true) if y_true.ndim <= 2 else "masks"
    if kind == "multilabel-indicator":
        return {
            f"Label {column} {'present' if value else 'absent'}": row == value
            for column, row in enumerate(y_true.T)
            for value in (0, 1)
        }
    if kind not in ("binary", "multiclass"):
        return {}
    y_true = y_true.ravel()
    return {f"Class {label!r}": y_true == label for label in np.unique(y_true).tolist()}


def _of_weights(metric, y_true, y_score):
    return lambda weights: metric.function(
        y_true, y_score, **{**metric.options, "sample_weight": weights}
    )


def _of_selections(metric, y_true, y_score):
    def score(counts):
        rows = np.repeat(np.arange(len(counts)), counts)
        value = metric.function(
            select_rows(y_true, rows), select_rows(y_score, rows), **metric.options
        )
        return metric.sign * _check_number(value, metric)

    return score


def _of_masks(
    ratio,
    y_true,
    y_pred,
    *,
    labels=None,
    average="imagewise",
    zero_division="warn",
    ignore_label=None,
    mask_threshold=None,
):
    """Return the function for a metric of masks, whose pixels are counted once."""
    if average is None:
        raise ValueError(
            'average=None is a score for each image. Pass average="imagewise" or '
            'average="pooled" for a score of all images.'
        )
    options = {"ignore_label": ignore_label, "mask_threshold": mask_threshold}
    y_true = check_masks(y_true, name="y_true", **options)
    y_pred = check_masks(y_pred, name="y_score", **options)
    labels = check_labels(labels, y_true.ignore_label)
    pixels, n_pixels = count_labels(y_true, y_pred, labels)
    counts = select_counts(pixels, n_pixels, find_foreground(pixels, labels))
    if average == "pooled":
        return lambda weights: average_defined(
            compute_ratio(ratio, pool_counts(counts, weights), zero_division)[0]
        )
    scores = average_defined(compute_ratio(ratio, counts, zero_division), axis=1)
    return lambda weights: average_defined(scores, weights=weights)


def _split_partial(metric):
    """Return the function of a metric, and the options of its partial and scorer."""
    function, options = metric.function, dict(metric.options)
    if isinstance(function, partial):
        function, options = function.func, {**function.keywords, **options}
    return function, options


def _takes_weights(function) -> bool:
    try:
        return "sample_weight" in inspect.signature(function).parameters
    except ValueError:  # of some functions in C
        return False


def _positive_column(metric, y_true, y_score):
    """Return the second of two columns of probabilities, as scorers do."""
    are_two = getattr(y_score, "ndim", 0) == 2 and y_score.shape[1] == 2
    if metric.takes_labels or not are_two or type_of_target(y_true) != "binary":
        return y_score
    return y_score[:, 1]


def _check_number(value, metric) -> float:
    if isinstance(value, Real) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return float(value)
    raise TypeError(
        f"{metric.name} returned {type(value).__name__}, but an interval needs one "
        "number. Pass a function that returns one, such as "
        'functools.partial(f1_score, average="macro").'
    )


def _as_items(values):
    """Return an array, or a sequence of masks as it is."""
    if isinstance(values, list | tuple) and np.ndim(values[:1]) > 2:
        return values
    return values if hasattr(values, "read") else np.asarray(values)


def select_rows(items, rows):
    if isinstance(items, list | tuple):
        return [items[row] for row in rows]
    return select_items(items, rows)


def join_items(parts):
    """Return the labels or masks of several parts in one array or list."""
    if all(isinstance(part, np.ndarray) for part in parts):
        shapes = {part.shape[1:] for part in parts}
        if len(shapes) == 1:
            return np.concatenate(parts)
    if np.ndim(parts[0][:1]) <= 1 and hasattr(parts[0], "__array__"):
        return np.concatenate([np.asarray(part) for part in parts])
    return [item for part in parts for item in part]
