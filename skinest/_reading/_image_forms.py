"""Forms of `X`: arrays, lists of arrays, images of other libraries, and paths."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os

import numpy as np

from ._files import to_path
from ._warning_filters import without_pillow_warnings

_PATH_KINDS = "OUT"  # dtypes of arrays of str: object, fixed and variable length
_MAX_SHOWN = 100  # characters of a wrong element that an error shows
_MAX_REASON = 200  # characters of the error of another library
# Others are not RGB or grey. Pillow would cut values of "I" off at 255.
_PILLOW_MODES = ("L", "RGB", "RGBA", "I", "I;16", "I;16B", "I;16L", "F")


def list_items(X, name):
    """Return a sequence of single images, and whether they are paths."""
    if isinstance(X, (str, bytes, bytearray, os.PathLike)):
        raise name_single(X, name)
    if not isinstance(X, (list, tuple, np.ndarray)):
        X = _as_array(X, name)
    if isinstance(X, np.ma.MaskedArray):
        raise ValueError(
            f"{name} is a masked array. Pass {name}.filled(value), without a mask."
        )
    if isinstance(X, np.ndarray) and X.dtype.kind == "S":
        raise ValueError(f"{name} holds bytes. Pass paths as str: {name}.astype(str).")
    if isinstance(X, np.ndarray) and X.dtype.kind not in _PATH_KINDS:
        if X.shape == (0,):  # an array of no paths has the dtype of numbers
            return [], False
        return _check_stack(X, name), False
    if isinstance(X, np.ndarray):
        if X.ndim == 2 and X.shape[1] == 1:
            X = X[:, 0]
        if X.ndim != 1:
            raise ValueError(
                f"{name} is an array of dtype {X.dtype} and shape {X.shape}. Pass "
                "paths or images of different sizes as a list, and images of one size "
                "as a numeric array, e.g. np.stack(list_of_images)."
            )
    return _check_elements(X, name)


def name_single(X, name) -> ValueError:
    """Return the error for one path, folder or content instead of a list."""
    if isinstance(X, (bytes, bytearray)) and (len(X) > _MAX_SHOWN or 0 in X):
        return ValueError(
            f"{name} is of type {type(X).__name__}, {len(X)} long: the content of a "
            "file? Pass a list of paths, or of arrays of decoded pixels."
        )
    path = to_path(bytes(X) if isinstance(X, bytearray) else X)
    if os.path.isdir(path):
        return ValueError(
            f"{name} is a folder, {path!r}. Pass the list of its files, e.g. "
            "sorted(map(str, Path(folder).glob('*.jpg'))), or use "
            "skinest.datasets.load_image_folder, which also returns labels."
        )
    return ValueError(
        f"{name} is a single path, {path!r}. Pass a list of paths: [path]."
    )


def _as_array(X, name):
    """Convert a Series, DataFrame column or other array-like to an ndarray."""
    if not hasattr(X, "__array__"):
        raise ValueError(
            f"{name} is of type {type(X).__name__}. Pass an array, a list of arrays, "
            "or a list of paths; a generator can be passed as list(generator)."
        )
    array = np.asarray(X)
    if array.dtype.kind in _PATH_KINDS and array.ndim == 2 and array.shape[1] != 1:
        raise ValueError(
            f"{name} is a table of {array.shape[1]} columns. Pass only the column of "
            f"paths, e.g. {name}['path'] or {name}[['path']]."
        )
    return array


def _check_stack(X, name):
    if X.ndim == 3 and X.shape[-1] in (1, 3, 4):
        raise ValueError(
            f"{name} has shape {X.shape}: one colour image or a stack of very narrow "
            f"grey ones? Pass one image as {name}[np.newaxis] or [image], grey ones as "
            f"{name}[..., np.newaxis]."
        )
    if X.ndim == 2:
        raise ValueError(
            f"{name} has shape {X.shape}: one grey image or a table of features? Pass "
            "images as (n_images, height, width[, 3]), one image as "
            f"{name}[np.newaxis]."
        )
    if X.ndim not in (3, 4):
        raise ValueError(
            f"{name} has shape {X.shape}. Pass images as (n_images, height, "
            "width[, 3])."
        )
    return X


def _check_elements(X, name):
    """Return a list of single images, and whether they are paths."""
    if len(X) and all(isinstance(item, (str, os.PathLike)) for item in X):
        return [to_path(item) for item in X], True  # no np.str_ in errors
    are_paths = len(X) and isinstance(X[0], (str, os.PathLike))
    items = list(X)
    for position, item in enumerate(items):
        if not are_paths:
            items[position] = item = to_array(item, f"{name}[{position}]")
        if isinstance(item, np.ma.MaskedArray):
            raise ValueError(
                f"{name}[{position}] is a masked array. Pass image.filled(value), "
                "without a mask."
            )
        if not isinstance(item, (str, os.PathLike) if are_paths else np.ndarray):
            raise ValueError(
                f"{name}[{position}] is of type {type(item).__name__}{_show(item)}. "
                "Pass either arrays of shape (height, width[, 3]) or paths, not both."
            )
    return items, False


def to_array(item, location, as_labels=False):
    """Convert an image of Pillow or a tensor to an array; return others unchanged.

    With `as_labels`, an image with a palette gives the indices of its colours.

    Raises
    ------
    ValueError
        If it cannot be converted, as the image of a closed or truncated file.
    """
    if isinstance(item, (np.ndarray, np.generic)):
        return item
    try:
        return _convert(item, as_labels)
    except Exception as error:  # other libraries raise errors of all types
        reason = " ".join(str(error).split())[:_MAX_REASON] or type(error).__name__
        raise ValueError(
            f"{location} is of type {type(item).__name__} and cannot be converted to "
            f"an array: {reason!r}. Remove or replace it."
        ) from error


def _convert(item, as_labels):
    if type(item).__module__.startswith("PIL."):
        with without_pillow_warnings():
            item.load()  # Pillow may not have read the file yet
            if item.mode not in _PILLOW_MODES and not as_labels:
                item = item.convert("L" if item.mode == "1" else "RGB")
            return np.asarray(item)
    # Some libraries convert when they are asked for these attributes.
    is_array_like = hasattr(item, "__array__") or hasattr(item, "__array_interface__")
    return np.asarray(item) if is_array_like else item


def _show(item) -> str:
    """Return the text of a short element for an error message, or an empty text."""
    shown = f" ({item!r})" if item is None or np.isscalar(item) else ""
    return shown if len(shown) <= _MAX_SHOWN else ""
