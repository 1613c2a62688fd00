"""Labels, their weights, and what is held out of them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, train_test_split
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_consistent_length

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
    y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    encoder = LabelEncoder()
    codes = encoder.fit_transform(y)
    if len(encoder.classes_) < 2:
        raise ValueError(
            f"y holds one class only, {encoder.classes_[0]!r}, in {len(y)} images. A "
            "classifier needs images of two classes or more."
        )
    return encoder.classes_, codes


def encode_known(y, classes, name="y_val"):
    """Position of each label among classes that are known."""
    y = column_or_1d(y, warn=True)
    unknown = [label for label in np.unique(y) if label not in classes]
    if unknown:
        raise ValueError(
            f"{name} holds {unknown}, which the training labels {list(classes)} do not."
        )
    return np.searchsorted(classes, y)


def as_outputs(codes, n_classes) -> np.ndarray:
    """Targets of the network: 0 and 1 for one sigmoid, one-hot rows for softmax."""
    if n_classes == 2:
        return codes[:, np.newaxis].astype(np.float32)
    return np.eye(n_classes, dtype=np.float32)[codes]


def output_bias(codes, n_classes) -> np.ndarray:
    """Bias with which the network starts at the classes' shares.

    The log odds of the second class where there are two, else the log shares.
    """
    shares = np.bincount(codes, minlength=n_classes) / len(codes)
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
        missing = [label for label in classes if label not in class_weight]
        unknown = [label for label in class_weight if label not in classes]
        if missing or unknown:
            raise ValueError(
                f"class_weight names {list(class_weight)}, y holds {list(classes)}: "
                f"{missing or unknown} {'is missing' if missing else 'is not in y'}."
            )
        weights = np.array([class_weight[label] for label in classes], dtype=float)
        if not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise ValueError(f"class_weight={class_weight} has weights below 0 or NaN.")
        return weights
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
        If a class or a group cannot stand on both sides.
    """
    counts = np.bincount(codes)
    if counts.min() < 2:
        rare = [str(label) for label in classes[counts < 2]]
        raise ValueError(
            f"{', '.join(rare)}: one image only, but validation_fraction={fraction} "
            "needs two of each class, one to train and one to validate on. Leave the "
            "class out, add images, or pass X_val and y_val."
        )
    if groups is not None:
        return _hold_out_groups(codes, fraction, groups, seed)
    try:
        parts = train_test_split(
            np.arange(len(codes)), test_size=fraction, stratify=codes, random_state=seed
        )
    except ValueError as error:
        raise ValueError(
            f"validation_fraction={fraction} of {len(codes)} images: {error}"
        ) from error
    return [np.sort(part) for part in parts]


def _hold_out_groups(codes, fraction, groups, seed):
    """Of many random splits by groups, the one nearest to fraction and shares."""
    check_consistent_length(codes, groups)
    groups = column_or_1d(groups)
    if len(np.unique(groups)) < 2:
        raise ValueError("groups holds one group only, which cannot be split.")
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
