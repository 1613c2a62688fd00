"""A check of training and test images for leaks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..images import check_images
from ..utils._checks import as_column, check_groups
from ._near_duplicates import NearDuplicates, find_near_duplicates

if TYPE_CHECKING:
    from .._typing import ArrayLike, ImagesLike, NDArray

_MAX_SHOWN = 5  # positions or groups that the text lists


@dataclass(frozen=True)
class SplitCheck:
    """Images, groups and near-duplicates that training and test images share.

    :func:`check_split` returns it. Its text, ``print(check)``, is a summary.

    Parameters
    ----------
    n_train, n_test : int
        Numbers of images.

    shared_positions : ndarray of shape (n_shared,)
        Positions that are in both sets.

    shared_groups : ndarray of shape (n_shared_groups,) or None
        Groups that have images in both sets. None if groups were not given.

    n_test_in_shared_groups : int or None
        Number of test images of these groups.

    near_duplicates : NearDuplicates or None
        Pairs of a training and a test image, as positions in `X`. None if images were
        not given.

    Examples
    --------
    >>> from skinest.model_selection import check_split
    >>> check = check_split([0, 1, 2], [2, 3])
    >>> check.has_leak, check.shared_positions
    (True, array([2]))
    """

    n_train: int
    n_test: int
    shared_positions: NDArray[np.intp]
    shared_groups: NDArray[Any] | None = None
    n_test_in_shared_groups: int | None = None
    near_duplicates: NearDuplicates | None = None

    @property
    def has_leak(self) -> bool:
        """Return whether anything was found."""
        found = (self.shared_positions, self.shared_groups, self.near_duplicates)
        return any(each is not None and len(each) > 0 for each in found)

    def __str__(self) -> str:
        lines = [
            f"{self.n_train} training and {self.n_test} test images",
            _describe("images in both sets", self.shared_positions),
        ]
        if self.shared_groups is None:
            lines.append("groups: not checked, because groups was not passed")
        else:
            line = _describe("groups in both sets", self.shared_groups)
            if self.n_test_in_shared_groups:
                line += f"; {self.n_test_in_shared_groups} test images are of them"
            lines.append(line)
        if self.near_duplicates is None:
            lines.append("near-duplicates: not checked, because X was not passed")
        else:
            pairs = map(tuple, self.near_duplicates.pairs.tolist())
            lines.append(_describe("near-duplicates (training, test)", list(pairs)))
        return "\n".join(lines)


def check_split(
    train: ArrayLike,
    test: ArrayLike,
    groups: ArrayLike | None = None,
    X: ImagesLike | None = None,
    *,
    on_leak: Literal["report", "warn", "raise"] = "report",
    **options: Any,
) -> SplitCheck:
    """Search for leaks between training and test images.

    Parameters
    ----------
    train, test : array-like of shape (n_train,) and (n_test,)
        Positions of the images of both sets in `groups` and `X`, as splitters return
        them, or boolean arrays of length n_images.

    groups : array-like of shape (n_images,), default=None
        The group of each image, such as its lesion or patient. Missing values (None or
        NaN) are not allowed.

    X : array, list of arrays or paths, default=None
        All images, to search for near-duplicates. This reads each image of both sets.

    on_leak : {"report", "warn", "raise"}, default="report"
        What to do if there is a leak: only return it, warn, or raise an error.

    **options : object
        Parameters of :func:`find_near_duplicates`.

    Returns
    -------
    check : SplitCheck
        What was found. ``check.has_leak`` is True if there is anything.

    Raises
    ------
    ValueError
        If an argument is invalid, or if there is a leak and `on_leak` is "raise".

    Warns
    -----
    UserWarning
        If there is a leak and `on_leak` is "warn".

    See Also
    --------
    train_test_split : Split images by groups.
    duplicate_groups : Groups for splits, with near-duplicates together.

    Examples
    --------
    >>> from skinest.model_selection import check_split
    >>> lesions = ["a", "a", "b", "c", "c", "d"]
    >>> print(check_split([0, 1, 2, 3], [4, 5], groups=lesions))
    4 training and 2 test images
    images in both sets: none
    groups in both sets: 1 (c); 1 test images are of them
    near-duplicates: not checked, because X was not passed
    """
    if on_leak not in ("report", "warn", "raise"):
        raise ValueError(f"on_leak={on_leak!r} must be 'report', 'warn' or 'raise'.")
    if options and X is None:
        raise ValueError(f"Pass X, the images, to use {', '.join(options)}.")
    if "Y" in options:
        raise ValueError(
            "check_split compares images of X only. Leave out Y, or pass all images as "
            "X."
        )
    images = None if X is None else check_images(X)
    n_images = None if images is None else len(images)
    if groups is not None:
        groups = as_column(groups, "groups")
        n_images = len(groups) if n_images is None else n_images
        groups = check_groups(groups, n_images)
    elif n_images is None and _is_boolean(train) and _is_boolean(test):
        n_images = np.size(train)
    train = _read_positions(train, "train", n_images)
    test = _read_positions(test, "test", n_images)
    shared = n_of_shared = None
    if groups is not None:
        shared = np.intersect1d(groups[train], groups[test])
        n_of_shared = int(np.isin(groups[test], shared).sum())
    found = None
    if images is not None:
        found = _find_between(images, train, test, options)
    both = np.intersect1d(train, test)
    check = SplitCheck(len(train), len(test), both, shared, n_of_shared, found)
    if check.has_leak and on_leak == "raise":
        raise ValueError(f"The training and the test images share data.\n{check}")
    if check.has_leak and on_leak == "warn":
        warnings.warn(
            f"The training and the test images share data.\n{check}",
            UserWarning,
            stacklevel=2,
        )
    return check


def _find_between(images, train, test, options) -> NearDuplicates:
    """Return near-duplicates as positions in all images, without shared images."""
    found = find_near_duplicates(images.select(train), images.select(test), **options)
    pairs = np.column_stack([train[found.pairs[:, 0]], test[found.pairs[:, 1]]])
    kept = pairs[:, 0] != pairs[:, 1]
    similar = found.feature_similarities
    return NearDuplicates(
        pairs[kept],
        found.scores[kept],
        found.views[kept],
        None if similar is None else similar[kept],
        (len(images),),
    )


def _is_boolean(part) -> bool:
    part = np.asarray(part)
    return part.dtype == bool and part.ndim == 1


def _read_positions(part, name, n_images) -> np.ndarray:
    """Return positions from positions or a boolean array."""
    part = np.asarray(part)
    if part.dtype == bool:
        if n_images is not None and part.shape != (n_images,):
            raise ValueError(
                f"{name} has {part.size} entries, but there are {n_images} images. "
                "Pass positions, or True or False for each image."
            )
        part = np.flatnonzero(part)
    if part.ndim != 1 or (part.size and part.dtype.kind not in "iu"):
        raise ValueError(
            f"{name} is not a list of positions. Pass the integers that a splitter "
            "returns, or True or False for each image. For two lists of images, pass "
            "range(n), range(n, n + m) and X=[*first, *second], whose lengths are n "
            "and m."
        )
    if not part.size:
        raise ValueError(f"{name} is empty. Pass the positions of its images.")
    highest = np.iinfo(np.intp).max if n_images is None else n_images - 1
    for position in (part.min(), part.max()):
        if not 0 <= position <= highest:
            raise ValueError(
                f"{name} has the position {position}. Positions are from 0 to the "
                "number of images - 1."
            )
    return part.astype(np.intp)


def _describe(what, items) -> str:
    if not len(items):
        return f"{what}: none"
    shown = ", ".join(map(str, items[:_MAX_SHOWN]))
    more = ", ..." if len(items) > _MAX_SHOWN else ""
    return f"{what}: {len(items)} ({shown}{more})"
