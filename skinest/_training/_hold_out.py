"""Images held out for validation."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import replace

import numpy as np

from ..utils._choose_groups import choose_groups

_STOPPING_FRACTION = 0.1  # held out for early stopping by default


def resolve_validation_fraction(estimator, X_val):
    """Return the fraction of the training images to hold out, or None.

    As in scikit-learn's estimators, `early_stopping` alone holds out a tenth.
    """
    if X_val is not None:
        return None
    looks_at_held_out = estimator.early_stopping and estimator.monitor[:4] == "val_"
    if estimator.validation_fraction is None and looks_at_held_out:
        return _STOPPING_FRACTION
    return estimator.validation_fraction


def check_fraction(fraction, n_images, groups):
    """Raise ValueError if holding out this fraction leaves no image for training."""
    if fraction is None:
        return
    if groups is None and int(np.ceil(fraction * n_images)) == n_images:
        raise ValueError(
            f"validation_fraction={fraction} of the {n_images} images leaves none for "
            "training. Lower it, add images, or pass X_val and y_val."
        )
    if groups is not None and len(np.unique(groups)) == 1:
        raise ValueError(
            f"validation_fraction={fraction} needs two groups, but all {n_images} "
            "images are of one. Add images of others, or pass X_val and y_val."
        )


def check_classes_can_be_split(class_indices, fraction, groups, classes):
    """Raise ValueError if a class has too few images to be in both sets."""
    n_images = len(class_indices)
    counts = np.bincount(class_indices, minlength=len(classes))
    if (counts == 1).any():
        raise ValueError(
            f"y has only one image of {classes[counts == 1].tolist()}, but "
            f"validation_fraction={fraction} needs two images of each class, one for "
            "training and one for validation. Remove the class, add images, or pass "
            "X_val and y_val."
        )
    n_held_out, n_classes = int(np.ceil(fraction * n_images)), np.count_nonzero(counts)
    if groups is None and min(n_held_out, n_images - n_held_out) < n_classes:
        raise ValueError(
            f"validation_fraction={fraction} of {n_images} images gives {n_held_out} "
            f"for validation and {n_images - n_held_out} for training, but both need "
            f"at least one image of the {n_classes} classes. Change it, add images, "
            "or pass X_val and y_val."
        )


def split_data(data, fraction, groups, seed, contents):
    """Split images into a training and a validation set, with each class in both.

    A class is in one set only if it has one image or group, or if the sets are too
    small for all classes. Then it is in the training set, if possible.

    Parameters
    ----------
    data : Split
        All images.

    fraction : float or None
        Fraction to hold out, of all images and of each class. None holds out no images.

    groups : ndarray of shape (n_images,) or None
        Images of one group stay in one set. If there are groups, an image counts by its
        weight in metrics.

    seed : int
        Seed of the split.

    contents : ndarray of shape (n_images, n_classes), dtype bool
        Which classes each image has.

    Returns
    -------
    train : Split
    held_out : Split or None
        None without `fraction`.
    """
    if fraction is None:
        return data, None
    weights = data.metric_weight
    if groups is None:
        n_images, weights = len(contents), None
        fraction = np.ceil(fraction * n_images) / n_images
    rng = np.random.RandomState(seed)
    is_held_out = choose_groups(groups, contents, fraction, rng, weights)
    return (
        replace(data, positions=data.positions[~is_held_out]),
        replace(data, positions=data.positions[is_held_out]),
    )
