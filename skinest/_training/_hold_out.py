"""Images held out for validation."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import replace

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, train_test_split

_STOPPING_FRACTION = 0.1  # held out for early stopping by default
_N_TRIES = 50  # number of random splits by groups, to choose the best from


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
    n_units = n_images if groups is None else len(np.unique(groups))
    if int(np.ceil(fraction * n_units)) == n_units:
        raise ValueError(
            f"validation_fraction={fraction} of the {n_units} "
            f"{'images' if groups is None else 'groups'} leaves none for training. "
            "Lower it, add images, or pass X_val and y_val."
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


def split_data(data, fraction, groups, seed, contents, *, stratify=False):
    """Split images into a training and a validation set, with each class in both.

    A class is in one set only if it has one image or group, or if the sets are too
    small for all classes. Then it is in the training set, if possible.

    Parameters
    ----------
    data : Split
        All images.

    fraction : float or None
        Fraction to hold out. None holds out no images.

    groups : ndarray of shape (n_images,) or None
        Images of one group stay in one set. Of 50 random splits, the one nearest to
        `fraction` is used: of each class with `stratify`, otherwise of all images. An
        image counts by its weight in metrics.

    seed : int
        Seed of the split.

    contents : ndarray of shape (n_images, n_classes), dtype bool
        Which classes each image has.

    stratify : bool, default=False
        Whether to hold out the same fraction of each class. Each image must have one.

    Returns
    -------
    train : Split
    held_out : Split or None
        None without `fraction`.
    """
    n_images = len(data.positions)
    if fraction is None:
        return data, None
    if groups is None:
        units, is_held_out = np.arange(n_images), np.zeros(n_images, dtype=bool)
        _, held_out = train_test_split(
            units,
            test_size=int(np.ceil(fraction * n_images)),
            stratify=contents.argmax(axis=1) if stratify else None,
            random_state=seed,
        )
        is_held_out[held_out] = True
    else:
        units = np.unique(groups, return_inverse=True)[1].ravel()
        counted = contents if stratify else np.ones((n_images, 1), dtype=bool)
        weights = counted * data.metric_weight[:, np.newaxis]
        is_held_out = _hold_out_groups(units, fraction, seed, weights)
    of_units = np.zeros((len(is_held_out), contents.shape[1]), dtype=bool)
    np.logical_or.at(of_units, units, contents)
    rng = np.random.RandomState(seed)
    is_held_out = _put_classes_on_both_sides(is_held_out, of_units, rng)[units]
    return (
        replace(data, positions=data.positions[~is_held_out]),
        replace(data, positions=data.positions[is_held_out]),
    )


def _hold_out_groups(units, fraction, seed, weights):
    """Return which groups to hold out: the random split nearest to the fraction.

    `units` are the numbers of the images' groups; `weights`, of shape (n_images,
    n_classes), are the weights of the images in each class.
    """
    weights = weights[:, weights.any(axis=0)]
    totals = weights.sum(axis=0)
    best, best_distance = None, np.inf
    splitter = GroupShuffleSplit(_N_TRIES, test_size=fraction, random_state=seed)
    for train, held_out in splitter.split(units, groups=units):
        distance = np.abs(weights[held_out].sum(axis=0) / totals - fraction).sum()
        # A class without training images is worse than any distance.
        distance += len(totals) * np.count_nonzero(~weights[train].any(axis=0))
        if distance < best_distance:
            best, best_distance = units[held_out], distance
    is_held_out = np.zeros(units.max() + 1, dtype=bool)
    is_held_out[best] = True
    return is_held_out


def _put_classes_on_both_sides(is_held_out, contents, rng):
    """Exchange images or groups, so that each class is in both sets if possible.

    Parameters
    ----------
    is_held_out : ndarray of shape (n_units,), dtype bool
        A random split of the units: the images or groups.

    contents : ndarray of shape (n_units, n_classes), dtype bool
        Which classes each unit has.

    rng : RandomState
        Chooses what is exchanged.

    Returns
    -------
    is_held_out : ndarray of shape (n_units,), dtype bool
        Unchanged if no class is absent from a set. If a class has only one unit, this
        is put into the training set.
    """
    rarest_first = np.argsort(contents.sum(axis=0), kind="stable")
    for lacks in (False, True):  # training images, then those held out
        for index in rarest_first:
            is_here = is_held_out == lacks
            can_come = ~is_here & contents[:, index]
            if contents[is_here, index].any() or not can_come.any():
                continue
            if lacks:
                can_come &= _can_leave(~is_here, contents)
            if not can_come.any():
                continue
            changed = is_held_out.copy()
            comes = rng.choice(np.flatnonzero(can_come))
            changed[comes] = lacks
            can_go = _can_leave(changed == lacks, contents)
            can_go[comes] = False
            if can_go.any():
                changed[rng.choice(np.flatnonzero(can_go))] = not lacks
            if can_go.any() or (not lacks and changed.any()):
                is_held_out = changed
    return is_held_out


def _can_leave(is_here, contents):
    """Return which units a set can lose without losing a class."""
    counts = contents[is_here].sum(axis=0)
    return is_here & ~(contents & (counts == 1)).any(axis=1)
