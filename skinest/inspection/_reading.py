"""Reading of images and masks for displays, each file once."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral

import numpy as np

from .._pixel_counts import (
    average_ratio,
    check_labels,
    count_labels,
    find_foreground,
    select_counts,
)
from ..images import check_images
from ..masks import check_mask_size
from ..utils._checks import select_items


def read_images(X):
    """Read images, and return them also in the form for an estimator.

    Parameters
    ----------
    X : array, list of arrays or paths
        The images.

    Returns
    -------
    images : list of ndarray of shape (height, width, 3), dtype uint8
        The images in RGB.

    for_estimator : list of ndarray, or same type as X
        `images` if `X` has paths, so that no file is decoded twice. Otherwise `X`.
    """
    return _read(check_images(X), X, None)


def _read(collection, X, n_images):
    images = list(collection[:n_images])
    if collection.from_files:
        return images, images
    return images, X if n_images is None else select_items(X, np.arange(len(images)))


def read_pairs(X, n_images, **masks):
    """Read the first images and their masks.

    Parameters
    ----------
    X : array, list of arrays or paths
        The images.

    n_images : int or None
        Number of images to read. None is all.

    **masks : MaskCollection
        Masks of the images. The keys are their names in error messages.

    Returns
    -------
    images : list of ndarray of shape (height, width, 3), dtype uint8

    for_estimator : list of ndarray, or same type as X
        `images` if `X` has paths, as in :func:`read_images`. Otherwise the first images
        of `X`, unchanged.

    read : dict of str to list of ndarray of shape (height, width)
        The masks.

    held : dict of str to set of int
        Their labels.

    Raises
    ------
    ValueError
        If the numbers or sizes of images and masks differ.
    """
    collection = check_images(X)
    _check_lengths(collection, masks)
    images, for_estimator = _read(collection, X, n_images)
    read, held = {name: [] for name in masks}, {name: set() for name in masks}
    for name, each in masks.items():
        for position, image in enumerate(images):
            mask, labels = each.read(position)
            check_mask_size(mask, image, each.where(position), f"X[{position}]")
            read[name].append(mask)
            held[name].update(labels.tolist())
    return images, for_estimator, read, held


def select_worst(X, masks, labels, n_images):
    """Select the images with the lowest Dice scores, the worst first.

    Parameters
    ----------
    X : array, list of arrays or paths
        The images.

    masks : dict of str to MaskCollection
        "y_true" and "y_pred".

    labels : array-like of int or None
        The foreground labels. None means all of all masks except the smallest.

    n_images : int or None
        Number of images to select. None is all.

    Returns
    -------
    X : same type as X
        The selected images.

    masks : dict of str to MaskCollection
        Their masks.

    labels : list of int or None
        The foreground labels. None if no mask has one.
    """
    _check_lengths(check_images(X), masks)
    labels = check_labels(labels, masks["y_true"].ignore_label)
    pixels, n_pixels = count_labels(masks["y_true"], masks["y_pred"], labels)
    labels = find_foreground(pixels, labels)
    counts = select_counts(pixels, n_pixels, labels)
    scores = average_ratio("Dice", counts, None, 1.0, None)
    worst = np.argsort(scores, kind="stable")[:n_images]  # NaN is last
    selected = {name: select_items(each, worst) for name, each in masks.items()}
    return select_items(X, worst), selected, labels or None


def check_choice(n_images, worst_first, has_truth):
    """Raise ValueError if there is no such choice of images."""
    if worst_first and not has_truth:
        raise ValueError("worst_first=True needs true masks to compare with.")
    is_number = isinstance(n_images, Integral) and n_images > 0
    if n_images is not None and not is_number:
        raise ValueError(f"n_images={n_images!r} must be an integer above 0, or None.")


def _check_lengths(collection, masks):
    for name, each in masks.items():
        if len(each) != len(collection):
            raise ValueError(
                f"X has {len(collection)} images, but {name} has {len(each)} masks. "
                "Pass one mask per image."
            )
