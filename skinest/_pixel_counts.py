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


def count_labels(y_true, y_pred, labels=None):
    """Count pixels, reading one pair of masks at a time.

    Returns a dict from labels to arrays of shape (3, n_images): the pixels in both
    masks, in the true one and in the predicted one. Also returns the number of pixels
    of each image. Pixels of `y_true.ignore_label` are not counted. Raises ValueError if
    there are two codings of the foreground, unless both are in `labels`.
    """
    pixels, n_pixels = {}, np.zeros(len(y_true), dtype=np.int64)
    codings = CodingCheck(), CodingCheck()
    for index in range(len(y_true)):
        true, true_labels = y_true.read(index)
        pred, pred_labels = y_pred.read(index)
        if true.shape != pred.shape:
            raise ValueError(
                f"{y_true.where(index)} has shape {true.shape}, {y_pred.where(index)} "
                f"{pred.shape}. A predicted mask must have the size of the true one."
            )
        if y_true.ignore_label is not None:
            true, pred = _leave_out(y_true.ignore_label, true, pred, y_pred, index)
            pred_labels = np.array([x for x in pred_labels if (pred == x).any()])
        codings[0].add(true_labels, y_true.where(index))
        codings[1].add(pred_labels, y_pred.where(index))
        n_pixels[index] = true.size
        for label in map(int, {*true_labels.tolist(), *pred_labels.tolist()}):
            if label not in pixels:
                pixels[label] = np.zeros((3, len(y_true)), dtype=np.int64)
            # Comparing and counting bytes is faster than bincount of pairs of labels.
            is_true, is_pred = true == label, pred == label
            which = (is_true & is_pred, is_true, is_pred)
            pixels[label][:, index] = [np.count_nonzero(each) for each in which]
    if labels is None or len(FOREGROUNDS & set(labels)) < 2:
        for coding in codings:
            coding.finish()
    if not n_pixels.any():
        warnings.warn(
            f"All pixels of y_true have ignore_label={y_true.ignore_label}, so the "
            "scores are NaN.",
            UndefinedMetricWarning,
            stacklevel=2,
        )
    return pixels, n_pixels


def _leave_out(ignore_label, true, pred, y_pred, index):
    """Return the labelled pixels of two masks, in one row."""
    is_labelled = true != ignore_label
    true, pred = true[is_labelled], pred[is_labelled]
    if (pred == ignore_label).any():
        raise ValueError(
            f"{y_pred.where(index)} has ignore_label={ignore_label} where y_true has a "
            "label. A prediction needs a label for each of these pixels."
        )
    return true, pred


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


def average_defined(values, axis=0, weights=1.0):
    """Return the mean without NaN, or NaN if there are no other values."""
    weights = weights * ~np.isnan(values)
    total = np.sum(weights * np.nan_to_num(values), axis=axis)
    return _divide(total, np.sum(weights, axis=axis), np.nan)
