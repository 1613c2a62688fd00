"""Files of predictions for the ISIC challenges."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from .._compat import StrOptions, validate_params
from .._reading._formats import EXTENSIONS
from ..utils._places import check_free, find_place

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .._typing import PathLike

_CLASSES = {
    "2016": (),  # one probability, without a header
    "2018": ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"),
    "2019": ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"),
}
_OPTIONAL = "UNK"  # without training images
_SEPARATORS = set(',"\\\r\n')  # of values, lines and, on Windows, folders
_N_NAMED = 3


@validate_params(
    {
        "challenge": [StrOptions(set(_CLASSES))],
        "classes": ["array-like", None],
        "overwrite": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def write_isic_submission(
    path: PathLike,
    images: Sequence[PathLike],
    y_proba: ArrayLike,
    *,
    challenge: Literal["2016", "2018", "2019"] = "2018",
    classes: ArrayLike | None = None,
    overwrite: bool = False,
) -> None:
    """Write predicted probabilities to the CSV file that an ISIC challenge asks for.

    Parameters
    ----------
    path : str or path
        The file to write.

    images : list of str or path
        Paths of the images, or their names, such as "ISIC_0024306". Also an array, or
        the column of a table. Folders and the endings of image files are left out.

    y_proba : array-like of shape (n_images, n_classes) or (n_images,)
        Probabilities, in [0, 1]. For "2016" they are those of malignant, of shape
        (n_images,).

    challenge : {"2016", "2018", "2019"}, default="2018"
        The year. "2016" is part 3: a line has the name and the probability of
        malignant, and there is no header. "2018" and "2019" are task 3 and task 1: a
        column for each diagnosis, and a header.

    classes : array-like of shape (n_classes,), default=None
        Names of the columns of `y_proba`, in any order and case: ``classes_`` of the
        classifier, or `target_names` of the data set if its labels are numbers. None
        means the names of the columns of a DataFrame, and else that the columns are in
        the order of the file. For "2019", "UNK" (none of the other diagnoses) may be
        absent; its column is then 0.

    overwrite : bool, default=False
        Whether to replace a file that exists.

    Raises
    ------
    FileExistsError
        If the file exists and `overwrite` is False, or if `path` is a folder.
    FileNotFoundError
        If its folder does not exist.
    ValueError
        If a probability is not in [0, 1], images and rows differ in number, there are
        no images, an image is there twice, a name is empty or has a character that
        separates values or lines, or a diagnosis is missing or unknown.

    Warns
    -----
    UserWarning
        If the greatest probability of an image is there twice. The scoring program then
        counts the image as wrong.

    Notes
    -----
    In 2018 and 2019 the predicted diagnosis is the one with the greatest probability,
    and the score is the balanced accuracy,
    :func:`~sklearn.metrics.balanced_accuracy_score`. Probabilities of an image need not
    sum to 1. In 2016 the score is :func:`~sklearn.metrics.average_precision_score`.

    Numbers are written with all their digits, because rounding can create ties.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skinest.metrics import write_isic_submission
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "submission.csv")
    ...     write_isic_submission(
    ...         file, ["test/ISIC_0000003.jpg"], [0.25], challenge="2016"
    ...     )
    ...     print(file.read_text())
    ISIC_0000003,0.25
    """
    file = find_place(path)
    check_free(file, overwrite)
    names = _name_images(images)
    columns = _CLASSES[challenge]
    if columns:
        header = [",".join(["image", *columns])]
        if classes is None:
            classes = _find_names_of_columns(y_proba)
        proba = _order_columns(_check_proba(y_proba, len(names), 2), columns, classes)
        _warn_of_ties(proba, names)
    else:
        header, proba = [], _check_proba(y_proba, len(names), 1)[:, None]
    rows = [
        ",".join([name, *map(repr, row)])
        for name, row in zip(names, proba.tolist(), strict=True)
    ]
    text = "\n".join([*header, *rows]) + "\n"
    file.write_text(text, encoding="utf-8", newline="\n")


def _name_images(images):
    """Return the name of each image, without folder and ending."""
    if isinstance(images, str | os.PathLike) or not len(images):
        raise ValueError(
            f"images={images!r} must be a list with the path of each image."
        )
    if not isinstance(images, list | tuple):  # a table is one of columns, not of rows
        images = np.asarray(images)
        images = (images[:, 0] if images.shape[1:] == (1,) else images).tolist()
    names = []
    for position, image in enumerate(images):
        if not isinstance(image, str | os.PathLike):
            raise ValueError(
                f"images[{position}] is of type {type(image).__name__}. Pass paths or "
                "names of the images, because the file has their names."
            )
        path = Path(image)
        is_file = path.suffix.lower() in EXTENSIONS
        name = path.stem if is_file else path.name
        is_empty = not name.strip() or name.lower() in EXTENSIONS
        is_utf8 = name == name.encode(errors="ignore").decode()
        if is_empty or name != name.strip() or _SEPARATORS & {*name} or not is_utf8:
            raise ValueError(
                f"images[{position}]={str(image)!r} has the name {name!r}, which a "
                "submission cannot have. Rename the image."
            )
        names.append(name)
    unique, counts = np.unique(names, return_counts=True)
    if twice := unique[counts > 1].tolist():
        raise ValueError(
            f"images has {len(twice)} names more than once, such as "
            f"{twice[:_N_NAMED]}. A submission has one line per image."
        )
    return names


def _find_names_of_columns(y_proba):
    """Return the names of the columns of a table, or None if it has only numbers."""
    names = getattr(y_proba, "columns", None)
    if names is None or not all(isinstance(name, str) for name in names):
        return None
    return list(names)


def _check_proba(y_proba, n_images, n_axes):
    proba = np.asarray(y_proba, dtype=np.float64)
    if proba.ndim != n_axes or len(proba) != n_images:
        shape = f"({n_images},)" if n_axes == 1 else f"({n_images}, n_classes)"
        raise ValueError(
            f"y_proba has shape {proba.shape}, but must be {shape}: "
            f"{'the probability of malignant' if n_axes == 1 else 'one row'} of each "
            "image."
        )
    is_wrong = ~((proba >= 0) & (proba <= 1))  # of NaN too
    if is_wrong.any():
        first = tuple(np.argwhere(is_wrong)[0].tolist())
        raise ValueError(
            f"y_proba has {is_wrong.sum()} values that are not in [0, 1]; the first is "
            f"{proba[first]} at {list(first)}. Pass probabilities."
        )
    return proba


def _order_columns(proba, columns, classes):
    """Return the probabilities in the order of the columns of the file."""
    names = list(columns)
    if classes is not None:
        names = [str(name).upper() for name in np.asarray(classes).tolist()]
    elif proba.shape[1] == len(columns) - 1 and _OPTIONAL in columns:
        names.remove(_OPTIONAL)
    missing = sorted({*columns} - {*names, _OPTIONAL})
    unknown = sorted({*names} - {*columns})
    if missing or unknown or len({*names}) < len(names):
        raise ValueError(
            f"classes={names} must be {', '.join(columns)}, in any order: "
            f"missing {missing}, unknown {unknown}."
        )
    if len(names) != proba.shape[1]:
        raise ValueError(
            f"y_proba has {proba.shape[1]} columns, but there are {len(names)} "
            f"classes: {', '.join(names)}."
        )
    ordered = np.zeros((len(proba), len(columns)))
    for name, column in zip(names, proba.T, strict=True):
        ordered[:, columns.index(name)] = column
    return ordered


def _warn_of_ties(proba, names):
    is_top = proba == proba.max(axis=1, keepdims=True)
    tied = np.flatnonzero(is_top.sum(axis=1) > 1)
    if tied.size:
        warnings.warn(
            f"{tied.size} images have their greatest probability twice, such as "
            f"{[names[i] for i in tied[:_N_NAMED]]}. The scoring program counts them "
            "as wrong.",
            UserWarning,
            stacklevel=2,
        )
