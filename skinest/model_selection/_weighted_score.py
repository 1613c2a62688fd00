"""Scores as functions of how often each image counts, for the bootstrap."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections import Counter
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
from .._reading._files import are_files
from ..masks import check_masks
from ..metrics import (
    blob_f1_score,
    dice_score,
    iou_score,
    threshold_jaccard_score,
)
from ..utils._checks import check_sample_weight, is_missing, select_items
from ._fast_scores import make_fast_score


def _find_ratio(function):
    """Return the ratio of pixels that a metric of masks computes, or None."""
    return (
        "Dice" if function is dice_score else "IoU" if function is iou_score else None
    )


def average_scores(y_true, y_score, sample_weight=None) -> float:
    """Return the mean of scores of images in [0, 1], in the form of a metric.

    Images whose score is NaN do not count, as in the metrics of masks.
    """
    weights = 1.0 if sample_weight is None else np.asarray(sample_weight)
    return float(average_defined(np.asarray(y_score), weights=weights))


_MEANS = average_scores, dice_score, iou_score, threshold_jaccard_score, blob_f1_score
_N_LABELS = 2  # that are left out one by one, to compare ways to compute a score


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
    y_true, y_score = as_items(y_true), as_items(y_score)
    if len(y_true) != len(y_score):
        raise ValueError(
            f"{name} has {len(y_score)} entries, but y_true has {len(y_true)}."
        )
    function, options = split_partial(metric)
    weights = check_sample_weight(sample_weight, len(y_true))
    weights = weights * check_sample_weight(
        options.pop("sample_weight", None), len(y_true)
    )
    if sample_weight is not None and not _find_weight(metric.function):
        raise ValueError(
            f"{metric.name} has no parameter sample_weight, so sample_weight cannot be "
            "used. Leave it out, or pass a metric that takes it."
        )
    if ratio := _find_ratio(function):
        score = _of_masks(ratio, y_true, y_score, **options)
        return lambda counts: metric.sign * score(counts * weights)
    y_score = positive_column(metric, y_true, y_score)
    try:
        score = _find_fastest(metric, y_true, y_score, weights)
    except ValueError as error:
        advice = _explain(error, metric, y_true, y_score, weights, name)
        raise ValueError(f"{metric.name} of y_true and {name}: {advice}") from error
    return lambda counts: metric.sign * score(counts)


def _explain(error, metric, y_true, y_score, weights, name) -> str:
    """Return an error, with advice if a metric takes one of two columns only."""
    if getattr(y_score, "shape", ())[1:] == (2,) and np.ndim(y_true) == 1:
        with contextlib.suppress(*_REFUSED):
            _find_fastest(metric, y_true, y_score[:, 1], weights)
            advice = f"Pass the column of the positive class, as in {name}[:, 1]."
            return f"{error}".rstrip(".") + f". {advice}"
    return f"{error}"


def _find_fastest(metric, y_true, y_score, weights):
    """Return the function from counts to the score that takes the least time.

    Those that are faster than repeated images are used only if they have the same
    result: a metric may ignore its weights, or understand them in another way.
    """
    by_rows = _of_selections(metric, y_true, y_score, weights)
    if has_labels(y_true):
        if getattr(y_score, "ndim", 1) > 1:  # an error has the shape that was passed
            by_rows(np.ones(len(y_true), dtype=np.int64))
        found = _of_weights(metric, y_true, y_score, weights)
    else:
        found = _of_each_mask(metric, y_true, y_score, weights)
    if found is None:
        return by_rows
    for step in (2, 3):
        counts = np.arange(len(y_true)) % step + 1
        if not _is_same(found, by_rows(counts), counts):
            return by_rows
    if not has_labels(y_true):
        return found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of labels that are never predicted
        for counts in _leave_out_some(metric, y_true, y_score, weights):
            try:
                expected = by_rows(counts)
            except _REFUSED:  # it is not for so few images
                continue
            if not _is_same(found, expected, counts):
                return by_rows
    return found


# What a metric can raise for samples that it cannot score.
_REFUSED = ValueError, TypeError, ArithmeticError, LookupError


def _is_same(score, expected, counts):
    """Return whether a function of counts has the expected result."""
    try:
        return np.isclose(score(counts), expected, equal_nan=True)
    except _REFUSED:  # some options are not for weights
        return False


def _leave_out_some(metric, y_true, y_score, weights):
    """Yield counts of samples that have all classes, but not all images.

    A metric still sees images with a weight of 0, and may use their values: the
    greatest one, or the labels that it averages over. So each half of the images is
    left out, and the images with labels that a sample may lack.
    """
    classes = list(list_classes(metric, y_true, weights).values())
    halves = np.arange(len(y_true)) % 2 == [[0], [1]]
    for is_member in classes:
        halves[:, np.argmax(is_member)] = True
    for is_kept in (*halves, *_leave_out_labels(y_true, y_score, weights)):
        if is_kept.any() and all((is_kept & each).any() for each in classes):
            yield is_kept.astype(np.int64)


def _leave_out_labels(y_true, y_score, weights):
    """Yield which images do not have the rarest labels that a sample may lack.

    They are in predictions, but not among the true labels, which all samples have.
    """
    is_column = isinstance(y_score, np.ndarray) and y_score.size == len(y_true)
    if not is_column or y_true.size != len(y_true):
        return
    if y_score.dtype.kind == "f" and np.any(y_score != np.round(y_score)):
        return
    if y_score.dtype.kind == "O" and not all(map(np.isscalar, y_score.flat)):
        return
    pairs = [{*pair} for pair in zip(y_true.flat, y_score.flat, strict=True)]
    required = {*y_true.ravel()[weights > 0].tolist()}
    numbers = Counter(label for pair in pairs for label in pair - required)
    rarest = sorted(numbers, key=numbers.__getitem__)[:_N_LABELS]
    for labels in {frozenset(numbers), *(frozenset([label]) for label in rarest)}:
        if labels:
            yield np.array([labels.isdisjoint(pair) for pair in pairs])


def count_images(y_true) -> int:
    """Return the number of labels or masks."""
    try:
        n_images = len(y_true)
    except TypeError:
        raise TypeError(
            f"y_true is of type {type(y_true).__name__}. Pass a label or mask for each "
            "image."
        ) from None
    if not n_images:
        raise ValueError("y_true is empty. Pass a label or mask for each image.")
    return n_images


def is_mean_of_fractions(metric) -> bool:
    """Return whether a score is the mean over images of numbers in [0, 1]."""
    function, options = split_partial(metric)
    return function in _MEANS and options.get("average", "imagewise") == "imagewise"


def has_labels(y_true) -> bool:
    """Return whether these are labels or numbers, not masks or paths of masks."""
    y_true = as_items(y_true)
    if not isinstance(y_true, np.ndarray) or y_true.ndim > 2:
        return False
    if y_true.ndim == 2 or y_true.dtype.kind not in "OU":
        return True
    return np.ndim(y_true[0]) == 0 and not are_files(y_true.tolist())


def list_classes(metric, y_true, sample_weight=None):
    """Return which images are of which class, by its name in messages.

    There are no classes for masks and numbers that are not labels. Images with the
    weight 0 are of no class, and a class without images is left out.

    Raises
    ------
    ValueError
        If a label is missing.
    """
    function, _ = split_partial(metric)
    if _find_ratio(function) or not has_labels(y_true):
        return {}
    y_true = as_items(y_true)
    _check_present(y_true)
    has_weight = check_sample_weight(sample_weight, len(y_true)) > 0
    kind = type_of_target(y_true, input_name="y_true")
    if kind == "multilabel-indicator":
        classes = {
            f"Label {column} {'present' if value else 'absent'}": row == value
            for column, row in enumerate(y_true.T)
            for value in (0, 1)
        }
    elif kind in ("binary", "multiclass"):
        y_true = y_true.ravel()
        labels = np.unique(y_true).tolist()
        classes = {f"Class {label!r}": y_true == label for label in labels}
    else:
        return {}
    return {
        name: is_member & has_weight
        for name, is_member in classes.items()
        if (is_member & has_weight).any()
    }


def _check_present(y_true):
    """Raise ValueError if a label is None or NaN."""
    if y_true.dtype.kind not in "fO":
        return
    are_missing = list(map(is_missing, y_true.ravel().tolist()))
    if any(are_missing):
        row = are_missing.index(True) // (y_true.size // len(y_true))
        raise ValueError(
            f"y_true has no value at position {row}. Leave out images without a label."
        )


def _of_weights(metric, y_true, y_score, weights):
    """Return the function for a metric that takes weights, or None."""
    if not _find_weight(metric.function):
        return None
    function, options = split_partial(metric)
    options.pop("sample_weight", None)
    fast = make_fast_score(function, options, y_true, y_score)
    if fast is not None:
        return lambda counts: fast(counts * weights)

    def score(counts):
        given = {**metric.options, "sample_weight": counts * weights}
        return _check_number(metric.function(y_true, y_score, **given), metric)

    return score


def _of_each_mask(metric, y_true, y_score, weights):
    """Return the mean of the scores of all masks, or None for other metrics."""
    values = []
    for row in range(len(y_true)):
        rows = [select_rows(each, np.array([row])) for each in (y_true, y_score)]
        options = {**metric.options}
        options.pop("sample_weight", None)
        try:
            value = metric.function(*rows, **options)
        except ValueError:  # of a metric that needs several masks
            return None
        values.append(_check_number(value, metric))
    values = np.array(values)
    return lambda counts: average_defined(values, weights=counts * weights)


def _of_selections(metric, y_true, y_score, weights):
    """Return the function that repeats images."""
    parameter = _find_weight(metric.function)
    is_required = parameter is not None and parameter.default is parameter.empty
    is_given = "sample_weight" in split_partial(metric)[1] or np.any(weights != 1)

    def score(counts):
        if counts.dtype.kind == "f":  # fractions of images: repeat 1,000 of each
            counts = np.ceil(1000 * counts).astype(np.int64)
        rows = np.repeat(np.arange(len(counts)), counts)
        options = metric.options
        if is_required or is_given:
            options = {**options, "sample_weight": weights[rows]}
        value = metric.function(
            select_rows(y_true, rows), select_rows(y_score, rows), **options
        )
        return _check_number(value, metric)

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


def split_partial(metric):
    """Return the function of a metric, and the options of its partial and scorer."""
    function, options = metric.function, dict(metric.options)
    if isinstance(function, partial):
        function, options = function.func, {**function.keywords, **options}
    return function, options


def _find_parameter(function, name) -> inspect.Parameter | None:
    """Return a parameter of a function."""
    try:
        return inspect.signature(function).parameters.get(name)
    except ValueError:  # of some functions in C
        return None


def _find_weight(function) -> inspect.Parameter | None:
    """Return the parameter `sample_weight` of a function."""
    return _find_parameter(function, "sample_weight")


def positive_column(metric, y_true, y_score):
    """Return the column of the positive class of two columns, as scorers do."""
    are_two = getattr(y_score, "ndim", 0) == 2 and y_score.shape[1] == 2
    if metric.takes_labels or not are_two or type_of_target(y_true) != "binary":
        return y_score
    return y_score[:, find_positive(metric, np.unique(y_true))]


def find_positive(metric, classes) -> int:
    """Return the position of the positive class of a scorer among two classes.

    It is that of `pos_label` of the scorer or, as its default, of the metric.
    Otherwise it is the second one.

    Raises
    ------
    ValueError
        If `pos_label` is not a class, or if it is given and there is one class only, so
        that its column is not known.
    """
    function, options = split_partial(metric)
    parameter = _find_parameter(function, "pos_label")
    pos_label = options.get("pos_label", parameter and parameter.default)
    if len(classes) < 2 and options.get("pos_label") is not None:
        raise ValueError(
            f"y_true has only the labels {classes.tolist()}, so the column of "
            f"pos_label={pos_label!r} is not known. Pass only the column of the "
            "positive class."
        )
    if pos_label is None or len(classes) < 2:
        return 1
    if pos_label not in classes.tolist():
        raise ValueError(
            f"{metric.name} has pos_label={pos_label!r}, which is not one of "
            f"the labels {classes.tolist()}. Pass one of them to make_scorer."
        )
    return classes.tolist().index(pos_label)


def _check_number(value, metric) -> float:
    if isinstance(value, Real) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return float(value)
    raise TypeError(
        f"{metric.name} returned {type(value).__name__}, but an interval needs one "
        "number. Pass a function that returns one, such as "
        'functools.partial(f1_score, average="macro").'
    )


def as_items(values):
    """Return an array, without objects if it has numbers, or masks as they are."""
    if isinstance(values, list | tuple) and np.ndim(values[:1]) > 2:
        return values
    if hasattr(values, "read"):
        return values
    values = np.asarray(values)
    if values.dtype == object and values.size and np.isscalar(values.flat[0]):
        plain = np.array(values.tolist())
        if plain.dtype.kind in "biuf":  # True and False, or numbers, as objects
            return plain
    return values


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
