"""Training and validation pairs of a segmenter."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from dataclasses import dataclass

import numpy as np

from .._training._batches import Split
from .._training._hold_out import (
    check_fraction,
    resolve_validation_fraction,
    split_data,
)
from ..networks._unet_network import resolve_levels
from ..utils._checks import check_groups, check_training_weight
from ._pairs import Letterbox, PairCollection, leave_out_unlabelled, read_pairs


@dataclass(frozen=True)
class TrainingPairs:
    """Checked arguments of `fit`; no pair has been read.

    Parameters
    ----------
    pairs : PairCollection
        All pairs.

    positions : ndarray of shape (n_chosen,)
        Positions of the pairs whose weight is not 0.

    weights : ndarray of shape (n_chosen,)
        Weights of these pairs.

    groups : ndarray of shape (n_chosen,) or None
        Groups of these pairs.

    fraction : float or None
        Fraction of these pairs to hold out.

    given : PairCollection or None
        `X_val` and `y_val`.
    """

    pairs: PairCollection
    positions: np.ndarray
    weights: np.ndarray
    groups: np.ndarray | None
    fraction: float | None
    given: PairCollection | None


def check_pairs(segmenter, X, y, sample_weight, groups, X_val, y_val) -> TrainingPairs:
    """Check the arguments of `fit`, as far as this is possible without reading."""
    size = tuple(map(int, segmenter.image_size))
    letterbox = Letterbox(size, segmenter.pad_to_aspect_ratio)
    depth, _ = resolve_levels(
        segmenter.encoder, segmenter.depth, segmenter.base_filters
    )
    pairs, given = segmenter._pair(X, y, letterbox, 2**depth), None
    weights = check_training_weight(sample_weight, len(pairs.images))
    groups = check_groups(groups, len(pairs.images))
    positions = np.flatnonzero(weights)
    if groups is not None:
        groups = groups[positions]
    fraction = resolve_validation_fraction(segmenter, X_val)
    check_fraction(fraction, len(positions), groups)
    if X_val is not None:
        names = "X_val", "y_val"
        given = segmenter._pair(X_val, y_val, letterbox, 2**depth, names)
    return TrainingPairs(pairs, positions, weights[positions], groups, fraction, given)


def read_and_split(checked, fitting):
    """Read all pairs, and split them for training and validation.

    Returns
    -------
    pairs : Pairs
        Training pairs, and those that are held out.
    train : Split
    validation : Split or None
        With the class indices of `pairs`.

    Warns
    -----
    UserWarning
        If the validation masks lack a label of the foreground.
    """
    pairs = read_pairs(checked.pairs, fitting, checked.positions)
    n_classes = len(pairs.classes)
    train, validation = split_data(
        _make_split(pairs, checked.weights),
        checked.fraction,
        checked.groups,
        fitting.seeds["hold_out"],
        find_labels(pairs.masks, n_classes)[:, 1:],
    )
    if checked.given is not None:
        given = read_pairs(checked.given, fitting)
        given.encode_by(pairs.classes)
        validation = _make_split(given, np.ones(len(given.masks)))
    if checked.pairs.masks.ignore_label is not None:
        train = leave_out_unlabelled(train, "training")
        if validation is not None:
            validation = leave_out_unlabelled(validation, "validation")
    if validation is not None:
        masks = map(validation.targets.__getitem__, validation.positions)
        is_there = find_labels(masks, n_classes).any(axis=0)
        _warn_of_absent_labels(pairs.classes[1:], is_there[1:])
        validation = validation.scale_weights()
    return pairs, train.scale_weights(), validation


def _make_split(pairs, weights):
    return Split(pairs.images, pairs.masks, weights, weights, np.arange(len(weights)))


def find_labels(masks, n_classes) -> np.ndarray:
    """Return which class indices each mask has, as array (n_masks, n_classes)."""
    counts = [np.bincount(mask.ravel(), minlength=256)[:n_classes] for mask in masks]
    return np.array(counts) > 0


def _warn_of_absent_labels(labels, is_there):
    """Warn of labels of the foreground that no validation mask has."""
    absent = labels[~is_there].tolist()
    if absent:
        what = f"the labels {absent}" if is_there.any() else "any foreground"
        warnings.warn(
            f"No validation mask has {what}. If the model predicts nothing of it, "
            "val_precision, val_recall, val_iou and val_dice count it as 1, so a model "
            "that finds nothing looks good. Raise validation_fraction, or pass X_val "
            "and y_val.",
            UserWarning,
            stacklevel=2,
        )


def find_median_shape(shapes, weights) -> tuple[int, ...]:
    """Return the median height and width; an image of weight 2 counts as two."""
    medians = []
    for sides in shapes.T:
        order = np.argsort(sides)
        shares = np.cumsum(weights[order]) / np.sum(weights)
        # The two in the middle, which are often the same.
        middle = np.searchsorted(shares, 0.5 + np.array([-1e-6, 1e-6]))
        medians.append(sides[order[middle]].mean())
    return tuple(np.rint(medians).astype(int).tolist())
