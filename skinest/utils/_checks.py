"""Checks of arguments that several estimators have."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from importlib import import_module
from numbers import Real

import numpy as np
from sklearn.utils import check_array, column_or_1d

MAX_SEED = np.iinfo(np.int32).max  # below which seeds are, from a `random_state`


def check_installed(package, caller) -> None:
    """Raise ImportError, which names what needs the package, if it is not there."""
    try:
        import_module(package)
    except ImportError as error:
        raise ImportError(
            f"{caller} requires {package}. You can install it with `pip install "
            f"{package}`."
        ) from error


def check_image_size(image_size, min_side):
    """Raise ValueError unless a size is two integers, neither below a minimum."""
    sides = np.array(image_size)
    if sides.shape != (2,) or sides.dtype.kind not in "iu":
        raise ValueError(
            f"image_size={image_size!r} must be (height, width), two integers."
        )
    if sides.min() < min_side:
        raise ValueError(
            f"image_size={image_size!r}: the network needs {min_side} pixels or more "
            "a side."
        )


def check_groups(groups, n_images):
    """Return groups of images as an array; None stays None."""
    if groups is None:
        return None
    groups = as_column(groups, "groups")
    if len(groups) != n_images:
        raise ValueError(
            f"groups has {len(groups)} entries, but there are {n_images} images. Pass "
            "one for each image."
        )
    if groups.dtype.kind == "f" and np.isnan(groups).any():
        first = np.flatnonzero(np.isnan(groups))[0]
        raise ValueError(
            f"groups contains NaN, at position {first}. Give each image a group."
        )
    return groups


def check_sample_weight(sample_weight, n_samples) -> np.ndarray:
    """Return a weight for each sample, 1 where None is given.

    Raises
    ------
    ValueError
        If there are not as many, one is below 0 or not finite, or all are 0.
    """
    if sample_weight is None:
        return np.ones(n_samples)
    weights = check_array(
        sample_weight,
        dtype=[np.float64, np.float32],
        ensure_2d=False,
        ensure_non_negative=True,
        input_name="sample_weight",
    )
    if weights.shape != (n_samples,):
        raise ValueError(
            f"sample_weight has the shape {weights.shape}, but must be ({n_samples},): "
            "one for each sample."
        )
    if not weights.any():
        raise ValueError("sample_weight is 0 for all samples. Raise one of them.")
    return weights


def select_items(items, indices):
    """Select items of an array, list, series or table by their positions."""
    return getattr(items, "iloc", items)[indices]


def as_column(values, name):
    """Return one value for each image as a 1-d array, none missing or of other type."""
    try:
        column = column_or_1d(values, input_name=name, warn=True)
    except ValueError as error:  # scikit-learn calls all of them y
        raise ValueError(str(error).replace("y should", f"{name} should")) from None
    if column.dtype.kind in "OU":
        # NumPy makes strings of None and NaN in a list of them.
        items = values if isinstance(values, list | tuple) else column
        kinds = {type(v).__name__ if not isinstance(v, str) else "str" for v in items}
        if len(kinds) > 1:
            raise ValueError(
                f"{name} mixes values of types {', '.join(sorted(kinds))}. Pass one "
                "type, and leave out images without a value."
            )
    return column


def read_class_weight(class_weight, classes) -> np.ndarray:
    """Return weights of classes, from a dict that names each of them and no other.

    Raises
    ------
    ValueError
        If a class is missing from the dict, it names another, or a weight is none.
    """
    labels = classes.tolist()
    missing = [label for label in labels if label not in class_weight]
    unknown = [label for label in class_weight if label not in labels]
    if missing or unknown:
        raise ValueError(
            f"class_weight names {list(class_weight)}, but y holds {labels}: "
            f"{missing or unknown} {'is missing' if missing else 'is not in y'}."
        )
    weights = [class_weight[label] for label in labels]
    are_fit = [isinstance(w, Real) and 0 <= float(w) < np.inf for w in weights]
    if not all(are_fit) or not any(weights):
        raise ValueError(
            f"class_weight={class_weight} must hold finite numbers, none below 0 and "
            "one above."
        )
    return np.array(weights, dtype=float)


weights_of_dict = read_class_weight  # the old name, until its callers have the new one
