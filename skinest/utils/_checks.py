"""Checks of arguments shared by several estimators."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted

MAX_SEED = np.iinfo(np.int32).max  # below which seeds are, from a `random_state`
_MAX_WEIGHT = 1e6  # gradients are float32


def check_installed(package, caller) -> None:
    """Raise ImportError if a package is missing, with the name of its caller."""
    try:
        import_module(package)
    except ImportError as error:
        raise ImportError(
            f"{caller} requires {package}. You can install it with `pip install "
            f"{package}`."
        ) from error


def check_fitted(estimator, before="the images") -> None:
    """Raise an error if an argument is not a fitted estimator.

    The message does not print the argument, as it can be an array of images.

    Parameters
    ----------
    estimator : object
        The first argument of a function.

    before : str or None, default="the images"
        What the next argument is. None means that no other one can be meant.

    Raises
    ------
    TypeError
        If it is not an estimator.
    NotFittedError
        If it is not fitted.
    """
    if not hasattr(estimator, "fit"):
        advice = f" first, then {before}" if before else ""
        raise TypeError(
            f"estimator is of type {type(estimator).__name__}. Pass the fitted "
            f"estimator{advice}."
        )
    check_is_fitted(estimator)


def choose_seed(random_state) -> int:
    """Return the seed that is given, or else one of a generator of random numbers."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(MAX_SEED))


def read_image_size(image_size) -> tuple[int, int]:
    """Return a size as (height, width); raise ValueError unless it is two integers."""
    try:
        sides = np.array(image_size)
    except ValueError:  # sequences of different lengths
        sides = np.empty(0)
    if sides.shape != (2,) or sides.dtype.kind not in "iu":
        raise ValueError(
            f"image_size={image_size!r} must be (height, width), two integers."
        )
    return int(sides[0]), int(sides[1])


def check_image_size(image_size, min_side):
    """Raise ValueError unless a size is two integers of at least a minimum."""
    if min(read_image_size(image_size)) < min_side:
        raise ValueError(
            f"image_size={image_size!r}: the network needs {min_side} pixels or more "
            "a side."
        )


def name_classes(classes, target_names) -> list[str]:
    """Return a name for each class.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        The classes of an estimator.

    target_names : array-like of str or None
        Their names. None means the classes as text.

    Returns
    -------
    names : list of str

    Raises
    ------
    ValueError
        If the names are not text, differ in number, or are not all different.
    """
    classes = np.asarray(classes).tolist()
    if target_names is None:
        return list(map(str, classes))
    is_list = np.ndim(target_names) == 1
    names = np.asarray(target_names).tolist() if is_list else []
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"target_names={target_names!r} must be a list of texts, one for each of "
            f"the classes {classes}, in this order."
        )
    if len(names) != len(classes):
        raise ValueError(
            f"target_names has {len(names)} names, but the classes of the estimator "
            f"are {classes}. Pass one name for each, in this order."
        )
    if len(set(names)) < len(names):
        raise ValueError(f"target_names={names} must all be different.")
    return names


def balance_weights(totals) -> np.ndarray:
    """Return the weight of each class so that all that are present count equally.

    As in :func:`~sklearn.utils.class_weight.compute_class_weight`, it is the total of
    all classes / (number of classes that are present * total of the class).

    Parameters
    ----------
    totals : ndarray of shape (n_classes,)
        How much each class has, such as its number of samples.

    Returns
    -------
    weights : ndarray of shape (n_classes,)
        1 for a class that is absent.
    """
    is_present = totals > 0
    balanced = totals.sum() / (is_present.sum() * np.where(is_present, totals, 1))
    return np.where(is_present, balanced, 1.0)


def check_groups(groups, n_images, name="groups"):
    """Return the groups of images as an array, or None."""
    if groups is None:
        return None
    groups = as_column(groups, name)
    if len(groups) != n_images:
        raise ValueError(
            f"{name} has {len(groups)} entries, but there are {n_images} images. Pass "
            "one group per image."
        )
    return groups


def check_sample_weight(sample_weight, n_samples) -> np.ndarray:
    """Return a weight for each sample, with 1 for None.

    Raises
    ------
    ValueError
        If the number of weights is wrong, one is negative or not finite, or all are 0.
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
            "one per sample."
        )
    if not weights.any():
        raise ValueError("sample_weight is 0 for all samples. Raise one of them.")
    return weights


def check_training_weight(sample_weight, n_samples) -> np.ndarray:
    """Return a weight for each training image, with 1 for None.

    Raises
    ------
    ValueError
        As by :func:`check_sample_weight`, or if a weight is above 1e6.
    """
    weights = check_sample_weight(sample_weight, n_samples)
    if weights.max() > _MAX_WEIGHT:
        raise ValueError(
            f"sample_weight has values up to {weights.max():g}, so large that training "
            "would diverge. Divide all of them by their mean."
        )
    return weights


def select_items(items, positions):
    """Select images, labels or rows by an array of positions.

    They are returned in the same type, except that sequences that neither can be
    indexed by an array nor have a method `take`, as Arrow arrays do, become an array.
    """
    if isinstance(items, Sequence):
        if hasattr(items, "select"):  # images or masks that are checked already
            return items.select(positions)
        selected = [items[position] for position in positions]
        return tuple(selected) if isinstance(items, tuple) else selected
    items = getattr(items, "iloc", items)
    try:
        return items[positions]
    except TypeError:
        if type(items).__module__.startswith("tensorflow"):
            return sys.modules["tensorflow"].gather(items, positions)
        if hasattr(items, "take"):  # columns and tables of Arrow
            return items.take(positions)
        return np.asarray(items)[positions]


def select_params(params, positions, n_images) -> dict:
    """Select the entries of some images of those arguments that have one for each.

    Other arguments, and text, are returned as they are.
    """

    def has_images(value):
        if hasattr(value, "shape"):
            return tuple(value.shape[:1]) == (n_images,)
        is_sized = hasattr(value, "__len__") and not isinstance(value, str | Mapping)
        return is_sized and len(value) == n_images

    return {
        name: select_items(value, positions) if has_images(value) else value
        for name, value in params.items()
    }


def count_rows(X) -> int:
    """Return the number of images, or of the rows of a table, which can be sparse."""
    shape = getattr(X, "shape", ())
    if not (shape or hasattr(X, "__len__")):
        raise ValueError(
            f"X is of type {type(X).__name__}. Pass an array, a list or a table; "
            "a generator can be passed as list(generator)."
        )
    n_rows = shape[0] if shape else len(X)
    if not n_rows:
        raise ValueError("X is empty: pass at least one image.")
    return n_rows


def as_column(values, name):
    """Return one value per image as a 1-d array, after a check that all are known."""
    try:
        column = column_or_1d(values, warn=True)
    except ValueError as error:  # scikit-learn calls all of them y, or does not
        reason = str(error).removeprefix("y ")
        link = " " if reason.startswith("should") else ": "
        raise ValueError(f"{name}{link}{reason}") from None
    if column.dtype.kind in "OU":
        # NumPy converts None and NaN in a list of strings to strings.
        _check_one_type(values if isinstance(values, list | tuple) else column, name)
    is_nan = _find_nan(column)
    if is_nan.any():
        missing = "NaT" if column.dtype.kind in "Mm" else "NaN"
        raise ValueError(
            f"{name} contains {missing}, at position {is_nan.argmax()}. Pass a value "
            "for each image, or remove images without one."
        )
    if column.dtype.kind == "f" and np.isinf(column).any():
        raise ValueError(
            f"{name} contains infinity, at position {np.isinf(column).argmax()}. Pass "
            "a number or text for each image."
        )
    return column


def _check_one_type(items, name):
    """Raise ValueError if items have several types, or all are None."""
    # NumPy's scalars are of the same kind as those of Python.
    items = (v.item() if isinstance(v, np.generic) else v for v in items)
    kinds = {type(v).__name__ if not isinstance(v, str) else "str" for v in items}
    if kinds == {"NoneType"}:
        raise ValueError(f"{name} has no values, only None. Pass one per image.")
    if len(kinds) > 1:
        raise ValueError(
            f"{name} mixes values of types {', '.join(sorted(kinds))}. Pass one type, "
            "and remove images without a value."
        )


def is_missing(value) -> bool:
    """Return whether a value is None, NaN, NaT, or NA of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return bool(np.isscalar(value) and value != value)


def _find_nan(column) -> np.ndarray:
    """Return which values are NaN or NaT. An array of dtype object can have NaN too."""
    if column.dtype.kind == "O":
        items = column.tolist()
        return np.array([isinstance(v, Real) and v != v for v in items], dtype=bool)
    if column.dtype.kind in "fMm":
        return np.isnan(column)
    return np.zeros(len(column), dtype=bool)


def read_class_weight(class_weight, classes) -> np.ndarray:
    """Return the weights of classes, from a dict with exactly these classes.

    Raises
    ------
    ValueError
        If a class is missing or unknown, or a weight is invalid.
    """
    labels = classes.tolist()
    missing = [label for label in labels if label not in class_weight]
    unknown = [label for label in class_weight if label not in labels]
    if missing or unknown:
        raise ValueError(
            f"class_weight has {list(class_weight)}, but y has {labels}: "
            f"{missing or unknown} {'is missing' if missing else 'is not in y'}."
        )
    weights = [class_weight[label] for label in labels]
    are_fit = [isinstance(w, Real) and 0 <= float(w) < np.inf for w in weights]
    if not all(are_fit) or not any(weights):
        raise ValueError(
            f"class_weight={class_weight} must have finite numbers of 0 or more, and "
            "at least one above 0."
        )
    return np.array(weights, dtype=float)
