"""Count the pixels of labels in pairs of masks, and compute ratios of counts."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from ._reading._mask_coding import FOREGROUNDS, CodingCheck

# Numerator and denominator, from the numbers of pixels in both masks, in the true one,
# in the predicted one, and of all pixels.
RATIOS = {
    "accuracy": lambda both, true, pred, n: (n - true - pred + 2 * both, n),
    "precision": lambda both, true, pred, n: (both, pred),
    "recall": lambda both, true, pred, n: (both, true),
    "IoU": lambda both, true, pred, n: (both, true + pred - both),
    "Dice": lambda both, true, pred, n: (2 * both, true + pred),
}


def check_labels(labels, ignore_label=None):
    """Return a list of int, or None."""
    if labels is None:
        return None
    try:
        array = np.asarray(labels)
    except ValueError:  # sequences of different lengths
        array = np.empty(0)
    is_list = array.ndim == 1 and array.size and array.dtype.kind in "biu"
    if not is_list or len(np.unique(array)) < array.size:
        raise ValueError(
            f"labels={labels!r} must be a list of different integers, e.g. [1]."
        )
    labels = array.astype(int).tolist()
    if ignore_label in labels:
        raise ValueError(
            f"labels={labels} has ignore_label={ignore_label}, whose pixels do not "
            "count. Remove it from labels."
        )
    return labels


def iterate_pairs(y_true, y_pred, labels=None):
    """Read one pair of masks at a time.

    Parameters
    ----------
    y_true, y_pred : MaskCollection
        The masks.

    labels : list of int, default=None
        The foreground labels.

    Yields
    ------
    true, pred : ndarray of shape (height, width)
        Two masks.
    is_labelled : ndarray of shape (height, width), dtype bool, or None
        Whether `true` has a label. None if all pixels have one.
    found : set of int
        Labels of either mask where `true` has a label.

    Raises
    ------
    ValueError
        If two masks differ in size, if a predicted one has `ignore_label` where the
        true one has a label, or if there are two codings of the foreground, unless both
        are in `labels`.

    Warns
    -----
    UndefinedMetricWarning
        If no pixel of all masks has a label.
    """
    codings = CodingCheck(), CodingCheck()
    has_labels, ignore_label = False, y_true.ignore_label
    for index in range(len(y_true)):
        true, true_labels = y_true.read(index)
        pred, pred_labels = y_pred.read(index)
        if true.shape != pred.shape:
            raise ValueError(
                f"{y_true.where(index)} has shape {true.shape}, {y_pred.where(index)} "
                f"{pred.shape}. A predicted mask must have the size of the true one."
            )
        is_labelled = None
        if ignore_label is not None:
            is_labelled = true != ignore_label
            inside = pred[is_labelled]
            pred_labels = np.array([x for x in pred_labels if (inside == x).any()])
            if (inside == ignore_label).any():
                raise ValueError(
                    f"{y_pred.where(index)} has ignore_label={ignore_label} where "
                    "y_true has a label. A prediction needs a label for each of these "
                    "pixels."
                )
        codings[0].add(true_labels, y_true.where(index))
        codings[1].add(pred_labels, y_pred.where(index))
        has_labels = has_labels or len(true_labels) > 0
        found = set(map(int, [*true_labels.tolist(), *pred_labels.tolist()]))
        yield true, pred, is_labelled, found
    if labels is None or len(FOREGROUNDS & set(labels)) < 2:
        for coding in codings:
            coding.finish()
    if not has_labels:
        warnings.warn(
            f"All pixels of y_true have ignore_label={ignore_label}, so the "
            "scores are NaN.",
            UndefinedMetricWarning,
            stacklevel=2,
        )


def count_labels(y_true, y_pred, labels=None):
    """Count pixels, reading one pair of masks at a time.

    Returns a dict from labels to arrays of shape (3, n_images): the pixels in both
    masks, in the true one and in the predicted one. Also returns the number of pixels
    of each image. Pixels of `y_true.ignore_label` are not counted. For errors see
    :func:`iterate_pairs`.
    """
    pixels, n_pixels = {}, np.zeros(len(y_true), dtype=np.int64)
    pairs = iterate_pairs(y_true, y_pred, labels)
    for index, (true, pred, is_labelled, found) in enumerate(pairs):
        if is_labelled is not None:
            true, pred = true[is_labelled], pred[is_labelled]
        n_pixels[index] = true.size
        for label in found:
            if label not in pixels:
                pixels[label] = np.zeros((3, len(y_true)), dtype=np.int64)
            # Comparing and counting bytes is faster than bincount of pairs of labels.
            is_true, is_pred = true == label, pred == label
            which = (is_true & is_pred, is_true, is_pred)
            pixels[label][:, index] = [np.count_nonzero(each) for each in which]
    return pixels, n_pixels


def measure_labels(y_true, y_pred, labels, measure) -> np.ndarray:
    """Measure the foreground of each label, reading one pair of masks at a time.

    Parameters
    ----------
    y_true, y_pred : MaskCollection
        The masks.

    labels : array-like of int or None
        The foreground labels.

    measure : callable
        Function of the pixels of a label in the true and in the predicted mask, two
        arrays of shape (height, width) and dtype bool, that returns one or more
        numbers.

    Returns
    -------
    values : ndarray of shape (n_images, n_labels, ...)
        NaN for an image without a labelled pixel. If there is no foreground, one label
        counts as absent.
    """
    labels = check_labels(labels, y_true.ignore_label)
    pixels: dict = {}
    values: dict = {}
    is_empty = np.zeros(len(y_true), dtype=bool)
    pairs = iterate_pairs(y_true, y_pred, labels)
    for index, (true, pred, is_labelled, found) in enumerate(pairs):
        is_empty[index] = is_labelled is not None and not is_labelled.any()
        for label in found:
            is_true, is_pred = true == label, pred == label
            if is_labelled is not None:
                is_pred &= is_labelled
            of_label = pixels.setdefault(label, np.zeros((3, len(y_true)), bool))
            of_label[1:, index] = is_true.any(), is_pred.any()
            # 0 is the smallest label, so that it is the background unless it is given.
            if label != 0 or labels is not None:
                values[index, label] = measure(is_true, is_pred)
    labels = find_foreground(pixels, labels)
    absent = np.asarray(measure(*np.zeros((2, 1, 1), bool)), dtype=float)
    rows = []
    for index in range(len(y_true)):
        of_image = [values.get((index, label), absent) for label in labels or [None]]
        rows.append(np.full_like(of_image, np.nan) if is_empty[index] else of_image)
    return np.array(rows, dtype=float)


def find_foreground(pixels, labels):
    """Return the labels that are foreground."""
    in_true = {label for label, (_, true, _) in pixels.items() if true.any()}
    in_pred = {label for label, (_, _, pred) in pixels.items() if pred.any()}
    _check_same_coding(in_true, in_pred, labels)
    return choose_foreground(pixels) if labels is None else labels


def choose_foreground(held):
    """Return the default foreground: all labels except the smallest, sorted."""
    held = sorted(held)
    return held if len(held) == 1 and held != [0] else held[1:]


def _check_same_coding(in_true, in_pred, labels):
    """Raise ValueError if 1 in one mask and 255 in the other seem to be the same."""
    sets = [set(each) - {0} for each in (in_true, in_pred, labels or ())]
    found = set.union(*sets)
    binary = found <= FOREGROUNDS and len(sets[0]) < 2 and len(sets[1]) < 2
    if not binary or len(found) < 2 or found == sets[2]:
        return
    small, large = sorted(found)[:2]
    raise ValueError(
        f"y_true has {sorted(in_true)}, but y_pred has {sorted(in_pred)}; "
        f"labels={labels}. If {small} and {large} are the same label, use one of them "
        f"in all masks, e.g. by [mask * {large // small} for mask in masks]; if not, "
        f"pass labels={sorted(found)}."
    )


def select_counts(pixels, n_pixels, labels):
    """Return counts of shape (4, n_images, n_labels); no labels count as absent."""
    nowhere = np.zeros((3, len(n_pixels)), dtype=np.int64)
    columns = [pixels.get(label, nowhere) for label in labels or [None]]
    return np.stack([np.vstack([each, n_pixels]) for each in columns], axis=-1)


def pool_counts(counts, weights=1):
    """Sum the counts over all images."""
    return np.sum(counts * np.reshape(weights, (-1, 1)), axis=1, keepdims=True)


def compute_ratio(name, counts, zero_division, title=None):
    """Compute a ratio for each image and label, and warn if it is ill-defined.

    Images without a labelled pixel have NaN.
    """
    numerator, denominator = RATIOS[name](*counts)
    has_pixels = counts[3] > 0
    if zero_division == "warn":
        zero_division = 0.0
        if not denominator[has_pixels].all():
            warnings.warn(
                f"{title or name} is ill-defined and set to 0.0 where a label has no "
                "pixels to divide by. Use the zero_division parameter to control this: "
                "1.0 counts an empty mask that is predicted empty as right.",
                UndefinedMetricWarning,
                stacklevel=2,
            )
    return np.where(has_pixels, _divide(numerator, denominator, zero_division), np.nan)


def _divide(numerator, denominator, zero_division):
    quotient = np.full(np.shape(denominator), zero_division, dtype=float)
    return np.divide(numerator, denominator, out=quotient, where=denominator != 0)


def average_ratio(name, counts, average, zero_division, weights, title=None):
    """Average a ratio over labels, and over images as `average` says."""
    if average == "pooled":
        counts, weights = pool_counts(counts, weights), 1.0
    ratios = compute_ratio(name, counts, zero_division, title)
    scores = average_defined(ratios, axis=1)
    if average is None:
        return scores
    return float(average_defined(scores, weights=weights))


def average_defined(values, axis=0, weights=1.0):
    """Return the mean without NaN, or NaN if there are no other values."""
    weights = weights * ~np.isnan(values)
    total = np.sum(weights * np.nan_to_num(values), axis=axis)
    return _divide(total, np.sum(weights, axis=axis), np.nan)
