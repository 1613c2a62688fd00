"""Labels, their weights, and what is held out of them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, train_test_split
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight

from ..utils._checks import as_column, weights_of_dict

_N_TRIES = 50  # random splits by groups, of which the most even is taken


def encode_labels(y):
    """Sorted classes, and the position of each label among them.

    Raises
    ------
    ValueError
        If `y` is None, not made of classes, or of one class only.
    """
    if y is None:
        raise ValueError("y is None. Pass y, the label of each image.")
    y = as_column(y, "y")
    check_classification_targets(y)
    encoder = LabelEncoder()
    codes = encoder.fit_transform(y)
    classes = encoder.classes_
    if len(classes) < 2:
        raise ValueError(
            f"y holds one class only, {classes.tolist()[0]!r}, in {len(y)} images. A "
            "classifier needs images of two classes or more."
        )
    return classes, codes


def encode_known(y, classes, name="y_val"):
    """Position of each label among classes that are known."""
    y = as_column(y, name)
    unknown = [label for label in np.unique(y).tolist() if label not in classes]
    if unknown:
        raise ValueError(
            f"{name} holds {unknown}, which the training labels {classes.tolist()} do "
            "not."
        )
    return np.searchsorted(classes, y)


def as_outputs(codes, n_classes) -> np.ndarray:
    """Targets of the network: 0 and 1 for one sigmoid, one-hot rows for softmax."""
    if n_classes == 2:
        return codes[:, np.newaxis].astype(np.float32)
    return np.eye(n_classes, dtype=np.float32)[codes]


def output_bias(codes, n_classes, weights) -> np.ndarray:
    """Bias with which the network starts at the classes' shares of the weights.

    The log odds of the second class where there are two, else the log shares.
    Training towards other shares would first have to move the bias, by as much as
    many steps of a low learning rate.
    """
    totals = np.bincount(codes, weights, minlength=n_classes)
    totals = np.maximum(totals, 1e-6 * max(totals.sum(), 1))  # a class may weigh 0
    shares = totals / totals.sum()
    if n_classes == 2:
        return np.log(shares[1:] / shares[:1]).astype(np.float32)
    return np.log(shares).astype(np.float32)


def weights_by_class(class_weight, classes, codes) -> np.ndarray:
    """Weight of each class.

    Raises
    ------
    ValueError
        If a class is missing from a dict, or the dict names another.
    """
    if isinstance(class_weight, dict):
        return weights_of_dict(class_weight, classes)
    numbers = np.arange(len(classes))
    return compute_class_weight(class_weight, classes=numbers, y=codes)


def weights_by_image(sample_weight, by_class, codes) -> np.ndarray:
    """Weight of each image in the loss: its own times that of its class."""
    own = _check_sample_weight(sample_weight, codes, ensure_non_negative=True)
    return (own * by_class[codes]).astype(np.float32)


def hold_out(codes, fraction, groups, seed, classes):
    """Positions to train on and to validate on: stratified, or by whole groups.

    Raises
    ------
    ValueError
        If there are too few images of a class or too few groups to be split.
    """
    n_images, counts = len(codes), np.bincount(codes)
    if counts.min() < 2:
        rare = classes[counts < 2].tolist()
        raise ValueError(
            f"y holds {rare} once only, but validation_fraction={fraction} needs two "
            "images of each class, one to train and one to validate on. Leave the "
            "class out, add images, or pass X_val and y_val."
        )
    if groups is not None:
        return _hold_out_groups(codes, fraction, groups, seed)
    n_held_out = int(np.ceil(fraction * n_images))
    if min(n_held_out, n_images - n_held_out) < len(classes):
        raise ValueError(
            f"validation_fraction={fraction} of {n_images} images holds {n_held_out} "
            f"out and leaves {n_images - n_held_out}: fewer than the {len(classes)} "
            "classes on one side. Change it, add images, or pass X_val and y_val."
        )
    train, held_out = train_test_split(
        np.arange(n_images), test_size=n_held_out, stratify=codes, random_state=seed
    )
    absent = np.setdiff1d(codes, codes[train])
    if len(absent):
        raise ValueError(
            f"validation_fraction={fraction} leaves no image of "
            f"{classes[absent].tolist()} to train on. Lower it, add images, or pass "
            "X_val and y_val."
        )
    return np.sort(train), np.sort(held_out)


def _hold_out_groups(codes, fraction, groups, seed):
    """Of many random splits by groups, the one nearest to fraction and shares."""
    n_groups = len(np.unique(groups))
    if np.ceil(fraction * n_groups) == n_groups:
        raise ValueError(
            f"validation_fraction={fraction} of the {n_groups} groups leaves none to "
            "train on. Lower it, or pass X_val and y_val."
        )
    counts = np.bincount(codes)
    best, best_distance = None, np.inf
    splitter = GroupShuffleSplit(_N_TRIES, test_size=fraction, random_state=seed)
    for train, held_out in splitter.split(codes, codes, groups):
        held_counts = np.bincount(codes[held_out], minlength=len(counts))
        if (held_counts == counts).any():  # nothing of a class is left to train on
            continue
        distance = np.abs(held_counts / counts - fraction).sum()
        if distance < best_distance:
            best, best_distance = (train, held_out), distance
    if best is None:
        raise ValueError(
            f"validation_fraction={fraction}: in none of {_N_TRIES} random splits by "
            "groups is every class left to train on. Pass X_val and y_val."
        )
    return best
