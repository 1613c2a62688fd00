"""Classes of each image, from labels of all kinds or masks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import numpy as np
from sklearn.utils.multiclass import type_of_target

from .._reading._files import are_files
from ..masks import MaskCollection, check_masks
from ..utils._checks import as_column


class Contents(NamedTuple):
    """Classes of images: whether an image has each one, and the names."""

    columns: np.ndarray  # of shape (n_images, n_classes), dtype bool
    names: list[str]


def read_contents(y, n_images, *, name="y") -> Contents:
    """Return which classes each image has.

    Parameters
    ----------
    y : array-like of length n_images or None
        Labels; one column per label or output; or masks. None means no classes.

    n_images : int
        Number of images.

    name : str, default="y"
        Name of the argument in error messages.

    Returns
    -------
    contents : Contents
        Without classes that all images have.

    Raises
    ------
    ValueError
        If `y` has numbers that are not classes, a different string for each image, or
        invalid masks.
    """
    if y is None:
        return Contents(np.ones((n_images, 0), dtype=bool), [])
    if _are_masks(y):
        columns, names = _read_masks(y, name)
    else:
        table = _read_labels(y, name)
        are_many = table.shape[1] > 1
        parts = [_find_classes(each, name, are_many) for each in table.T]
        columns = np.concatenate([part.columns for part in parts], axis=1)
        names = [
            f"{each} in column {number}" if are_many else each
            for number, part in enumerate(parts)
            for each in part.names
        ]
    kept = np.flatnonzero(~columns.all(axis=0))
    return Contents(columns[:, kept], [names[column] for column in kept])


def _are_masks(y) -> bool:
    if isinstance(y, MaskCollection):
        return True
    if hasattr(y, "shape") and len(y.shape) != 1:
        return len(y.shape) > 2
    first = y.iloc[0] if hasattr(y, "iloc") else y[0]
    return np.ndim(first) > 1


def _read_masks(y, name) -> Contents:
    masks = check_masks(y, name=name)
    labels = [masks.read(index)[1] for index in range(len(masks))]
    found = np.unique(np.concatenate(labels))
    columns = [np.isin(found, each) for each in labels]
    return Contents(np.array(columns), [f"label {each}" for each in found])


def _read_labels(y, name) -> np.ndarray:
    """Return labels as a table with one column per output."""
    if np.ndim(y) == 2 and np.shape(y)[1] != 1:
        return np.asarray(y)
    column = as_column(y, name)
    if column.dtype.kind in "OU":
        are_different = len(np.unique(column)) == len(column) > 1
        if are_different or are_files(column.tolist()):
            what = "a different string for each image" if are_different else "paths"
            raise ValueError(
                f"{name} has {what}, so there are no classes to keep close. Pass "
                f"labels, or skinest.masks.check_masks({name}) if they are paths of "
                "masks."
            )
    return column[:, np.newaxis]


def _find_classes(labels, name, is_output) -> Contents:
    """Return the classes of a column; of an output that is 0 or 1, only the class 1."""
    if type_of_target(labels, input_name=name).startswith("continuous"):
        raise ValueError(
            f"{name} has numbers that are not classes, such as {labels[0]}. Pass "
            "classes, or intervals of these numbers, e.g. np.digitize."
        )
    classes = np.unique(labels)
    if is_output and classes.tolist() == [0, 1]:
        classes = classes[1:]
    columns = labels[:, np.newaxis] == classes
    return Contents(columns, [str(each) for each in classes.tolist()])
