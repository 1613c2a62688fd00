"""Images whose labels are in a table."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from numbers import Number
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import Bunch

from .._compat import validate_params
from ..utils._checks import is_missing
from ._class_names import join_counts, name_label, order_classes, warn_of_similar
from ._image_names import advise_on_missing, count_files, find_images
from ._tables import advise_on_separators, check_all_known, read_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import PathLike

_STACKLEVEL = 4  # the caller of load_image_table, which is decorated

# What R, pandas and databases write into a table for a missing value.
_MISSING_TEXTS = frozenset(("#N/A", "<NA>", "N/A", "NA", "NULL", "NaN", "nan", "null"))
_DESCR = """\
Images of {place}
{line}

{n_images} images of {n_classes} classes: {counts}.

Folders: {folders}. They have {n_ignored} images that the table does not name.
"""


@validate_params(
    {
        "table": [str, os.PathLike, dict, "array-like"],
        "folder": [str, os.PathLike, list, tuple],
        "name_column": [str],
        "target_column": [str],
        "group_column": [str, None],
        "target_names": ["array-like", None],
        "allowed_extensions": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def load_image_table(
    table: PathLike | Any,
    folder: PathLike | Sequence[PathLike],
    *,
    name_column: str,
    target_column: str,
    group_column: str | None = None,
    target_names: Sequence[str] | None = None,
    allowed_extensions: Sequence[str] | None = None,
) -> Bunch:
    r"""Find the images that a table names, and read their labels from it.

    Use it if there is a CSV file or DataFrame with one row per image, beside one or
    several folders of images, as clinics and archives export them. Images are not
    decoded. For HAM10000 in the form that Kaggle has::

        load_image_table(
            "HAM10000_metadata.csv",
            ["HAM10000_images_part_1", "HAM10000_images_part_2"],
            name_column="image_id",
            target_column="dx",
            group_column="lesion_id",
        )

    Parameters
    ----------
    table : str, path-like, DataFrame or dict of columns
        A CSV file in UTF-8 with a header and commas between columns, or the columns.
        ``~`` is the user's home. All columns of a file are read as text. To keep
        numbers, such as ages, pass ``pd.read_csv(file, dtype={name_column: str})``;
        names then keep the zeros that they begin with.

    folder : str, path-like or list of them
        The folders with the images; folders inside are searched too.

    name_column : str
        The column with the names of the image files, with or without extension. If
        files in several folders have the same name, use paths of files in `folder`:
        relative to it, such as ``"visit_1/a.jpg"`` (or with ``\``), relative to the
        working folder, or absolute.

    target_column : str
        The column with the labels.

    group_column : str, default=None
        The column that tells which images must stay together in a split, such as the
        lesion or the patient.

    target_names : list of str, default=None
        All labels, in the order of their numbers. None sorts them. With two classes,
        metrics of scikit-learn take class 1, the second name, as the positive one.

    allowed_extensions : list of str, default=None
        Extensions of the image files, such as ``[".jpg"]``. None means those of all
        formats that :func:`skinest.images.read_image` reads.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        paths : ndarray of shape (n_images,), dtype object
            Absolute paths (str) of the images, in the order of the table.
        target : ndarray of shape (n_images,), dtype int
            The class of each image, as an index into `target_names`.
        target_names : list of str
            The labels, in the order of their numbers.
        groups : ndarray of shape (n_images,), dtype object, or None
            The group of each image.
        columns : dict of ndarray of shape (n_images,)
            All columns of the table, for ``pandas.DataFrame(data.columns)``. They are
            text if `table` is a file. Missing values stay missing, and empty texts are
            None.
        n_ignored : int
            The number of images that the table does not name. A file of several names,
            which are links, counts once, and not if the table has one of them.
        DESCR : str
            The table and the folders, and the numbers of images of each class and of
            those that the table does not name.

    Raises
    ------
    OSError
        If the table or a folder does not exist.
    TypeError
        If `table` is neither a path nor has columns, as a list of rows.
    ValueError
        If the table cannot be read, lacks a column, has no rows, names an image twice
        or has an empty label or group, or ``"NA"`` or the like in a file, if images are
        missing, or if a name fits several files.

    Warns
    -----
    UserWarning
        If there is one class only, or if two labels differ only in upper or lower case,
        in spaces around them or in how a number is written, and `target_names` does not
        have both.

    See Also
    --------
    load_image_folder : Images in a folder for each class.
    join_sources : Join the images of several tables.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import cv2
    >>> from skinest.datasets import load_image_table, make_dermoscopy
    >>> images, _ = make_dermoscopy(3, random_state=0, return_X_y=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for i, image in enumerate(images):
    ...         _ = cv2.imwrite(f"{folder}/{i}.png", image)
    ...     table = {"image": ["2", "0", "1"], "dx": ["nv", "mel", "nv"]}
    ...     data = load_image_table(
    ...         table,
    ...         folder,
    ...         name_column="image",
    ...         target_column="dx",
    ...         target_names=["nv", "mel"],
    ...     )
    >>> [Path(path).name for path in data.paths], data.target.tolist()
    (['2.png', '0.png', '1.png'], [0, 1, 0])
    """
    columns, place = _read_table(table, name_column)
    wanted = [name_column, target_column, group_column]
    missing = [name for name in wanted if name is not None and name not in columns]
    if missing:
        raise ValueError(
            f"{place} has no column {missing[0]!r}. Its columns are {list(columns)}."
            f"{advise_on_separators(list(columns), name_column)}"
        )
    names = [str(name) for name in columns[name_column]]
    if not names:
        raise ValueError(
            f"{place} has no rows. Pass a table with one row for each image."
        )
    _check_different(names, place)
    # In a table that is a file, they are texts like others.
    texts = _MISSING_TEXTS if isinstance(table, str | os.PathLike) else frozenset()
    expected = set(map(name_label, target_names or ()))
    _check_filled(names, columns, target_column, place, texts - expected)
    if group_column is not None:
        _check_filled(names, columns, group_column, place, texts)
    folders = [folder] if isinstance(folder, str | os.PathLike) else list(folder)
    path_of, forms_of = find_images(folders, names, allowed_extensions)
    _check_different_files(names, path_of, place)
    searched = ", ".join(map(str, folders))
    kinds = ("image", f" in {place}"), ("file", f" in {searched}")
    unknown = [name for name in names if name not in path_of]
    if unknown:
        advice = advise_on_missing(unknown, forms_of, name_column)
        check_all_known(names, path_of, *kinds, advice)
    labels = list(map(name_label, columns[target_column]))
    images_of = _list_images(labels, names)
    if target_names is None:
        warn_of_similar(images_of, place)
    first_of = {label: images[0] for label, images in images_of.items()}
    target_names = order_classes(first_of, target_names, place)
    _check_several_classes(target_names, place)
    number_of = {name: number for number, name in enumerate(target_names)}
    target = np.array([number_of[label] for label in labels], dtype=int)
    n_ignored = count_files(forms_of) - count_files(path_of.values())
    return Bunch(
        paths=np.array([path_of[name] for name in names], dtype=object),
        target=target,
        target_names=target_names,
        groups=None
        if group_column is None
        else np.array(columns[group_column], object),
        columns={name: _as_array(values) for name, values in columns.items()},
        n_ignored=n_ignored,
        DESCR=_DESCR.format(
            place=place,
            line="-" * len(f"Images of {place}"),
            n_images=len(names),
            n_classes=len(target_names),
            counts=join_counts(zip(target_names, np.bincount(target), strict=True)),
            folders=searched,
            n_ignored=n_ignored,
        ),
    )


def _read_table(table, name_column):
    """Return the columns of a table, and its name in error messages."""
    if isinstance(table, str | os.PathLike):
        file = Path(os.path.abspath(os.path.expanduser(table)))
        if not file.exists():
            raise FileNotFoundError(f"There is no file {file}.")
        return read_columns(file, name_column), str(file)
    if not isinstance(table, Mapping) and not hasattr(table, "columns"):
        raise TypeError(
            f"table is of type {type(table).__name__}. Pass a DataFrame, a dict of "
            "columns or the path of a CSV file."
        )
    names = list(map(str, table))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"The table has two columns {twice!r}. Rename one of them.")
    columns = {str(name): list(table[name]) for name in table}
    if len({len(values) for values in columns.values()}) > 1:
        raise ValueError("The columns of the table must have the same length.")
    return columns, "the table"


def _check_different(names, place):
    """Raise ValueError if an image is named twice."""
    seen: set[str] = set()
    for row, name in enumerate(names):
        if name in seen:
            raise ValueError(f"{place} names {name!r} a second time, in row {row}.")
        seen.add(name)


def _check_different_files(names, path_of, place):
    """Raise ValueError if two names, with and without extension, are of one image."""
    name_of: dict[str, str] = {}
    for name in names:
        first = name_of.setdefault(path_of.get(name, name), name)
        if first != name:
            raise ValueError(
                f"{place} names {path_of[name]} twice, as {first!r} and {name!r}."
            )


def _list_images(labels, names) -> dict[str, list[str]]:
    """Return the images of each label, as error messages describe them."""
    images_of: dict[str, list[str]] = {}
    for row, (label, name) in enumerate(zip(labels, names, strict=True)):
        images_of.setdefault(label, []).append(f"{name!r}, in row {row}")
    return images_of


def _check_several_classes(target_names, place):
    """Warn of a table with one class, from which nothing can be learnt."""
    if len(target_names) == 1:
        warnings.warn(
            f"{place} has one class only, {target_names[0]!r}. If it is not a class, "
            "pass the column that contains the classes.",
            stacklevel=_STACKLEVEL,
        )


def _as_array(values):
    """Return a column as an array, of objects if its values are of several kinds."""
    values = [
        None if isinstance(value, str) and not value else value for value in values
    ]
    is_numeric = all(isinstance(value, Number | np.bool_) for value in values)
    are_texts = all(isinstance(value, str) for value in values)
    are_dates = all(isinstance(value, np.datetime64) for value in values)
    if is_numeric or are_texts or are_dates:
        return np.array(values)
    column = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        column[row] = value
    return column


def _check_filled(names, columns, column, place, missing_texts):
    """Raise ValueError if an image has no value, which would be one of its own."""
    for row, (name, value) in enumerate(zip(names, columns[column], strict=True)):
        if is_missing(value) or str(value) == "":
            raise ValueError(
                f"{place} has no {column!r} for {name!r}, in row {row}. Add it, or "
                "remove the row."
            )
        if value in missing_texts:
            raise ValueError(
                f"{place} has the {column!r} {value!r} for {name!r}, in row {row}, as "
                "programs write a missing value. Add it, or remove the row. If it is "
                "a value, pass pd.read_csv(file, dtype=str, keep_default_na=False)."
            )
