"""Random splits that keep groups whole and class frequencies close."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import warnings
from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit
from sklearn.utils import check_random_state

from ..utils._checks import check_groups, select_items
from ..utils._choose_groups import choose_groups
from ._contents import Contents, read_contents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._typing import ArrayLike, NDArray, RandomStateLike, TargetLike


class StratifiedGroupShuffleSplit(GroupShuffleSplit):
    """Split images at random, with whole groups and nearly the same class frequencies.

    Each split is a random choice of groups, for example of lesions or patients. It is
    improved by adding, removing and exchanging groups until the test set has nearly
    `test_size` of all images and of the images of each class. Every class is on both
    sides if it has two groups and the sets are large enough; a class of one group is in
    the training set.

    Parameters
    ----------
    n_splits : int, default=5
        Number of splits. Their test sets overlap.

    test_size : float or int, default=None
        Fraction of the images to test on, or their number. Unlike in
        :class:`~sklearn.model_selection.GroupShuffleSplit`, images are counted and not
        groups. None means the rest of the training images, or 0.2 if `train_size` is
        None too.

    train_size : float or int, default=None
        Fraction of the images to train on, or their number. None means all that are
        not in the test set.

    random_state : int, RandomState instance or None, default=None
        Seed of the splits.

    See Also
    --------
    train_test_split : One split of images, labels and more.
    sklearn.model_selection.StratifiedGroupKFold : Folds, whose test sets do not
        overlap.

    Notes
    -----
    The distance from the wanted fractions is the difference of the fraction of all
    images, plus the mean difference of the classes. Rare classes count as much as
    frequent ones.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.model_selection import StratifiedGroupShuffleSplit
    >>> y = np.repeat([0, 1], [12, 4])
    >>> lesions = np.arange(16) // 2
    >>> split = StratifiedGroupShuffleSplit(1, test_size=0.25, random_state=0)
    >>> train, test = next(split.split(y, y, lesions))
    >>> np.bincount(y[test])
    array([2, 2])
    >>> np.intersect1d(lesions[train], lesions[test])
    array([], dtype=int64)
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        test_size: float | None = None,
        train_size: float | None = None,
        random_state: RandomStateLike = None,
    ) -> None:
        super().__init__(
            n_splits,
            test_size=test_size,
            train_size=train_size,
            random_state=random_state,
        )

    def split(
        self, X: Any, y: TargetLike | None = None, groups: ArrayLike | None = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Generate the positions of training and test images.

        Parameters
        ----------
        X : array-like of length n_images
            The images. Only their number is used.

        y : array-like of length n_images, default=None
            Labels of shape (n_images,); one column per label or output, of shape
            (n_images, n_outputs); or masks, which have the labels of their pixels.
            Masks in files are passed as :func:`~skinest.masks.check_masks` returns
            them. None splits without classes.

        groups : array-like of shape (n_images,)
            The group of each image.

        Yields
        ------
        train, test : ndarray of shape (n_train,) and (n_test,)
            Positions, in increasing order.

        Raises
        ------
        ValueError
            If `groups` is None or has one group only, if lengths differ, if `y` is not
            made of classes, or if a size is not possible.

        Warns
        -----
        UserWarning
            If a class is not in both sets.
        """
        if groups is None:
            raise ValueError(
                "groups is None. Pass the lesion or patient of each image as groups, "
                "or use StratifiedShuffleSplit if no image has another of its group."
            )
        n_images = _check_lengths(X=X, y=y, groups=groups)
        contents = read_contents(y, n_images)
        rng = check_random_state(self.random_state)
        sizes = _count_images(n_images, self.test_size, self.train_size, 0.2)
        for _ in range(self.n_splits):
            yield _split_once(groups, contents, sizes, rng)


def train_test_split(
    *arrays: Any,
    test_size: float | None = None,
    train_size: float | None = None,
    groups: ArrayLike | None = None,
    stratify: TargetLike | None = None,
    random_state: RandomStateLike = None,
) -> list[Any]:
    """Split images, labels, masks and more into training and test sets.

    Parameters
    ----------
    *arrays : sequence of length n_images
        Images in any form that skinest accepts, labels, masks, groups, tables or other
        sequences, all of the same length. The parts of None are None.

    test_size : float or int, default=None
        Fraction of the images to test on, or their number. None means the rest of the
        training images, or 0.25 if `train_size` is None too.

    train_size : float or int, default=None
        Fraction of the images to train on, or their number. None means all that are
        not in the test set.

    groups : array-like of shape (n_images,), default=None
        The group of each image, such as its lesion or patient. All images of a group
        are in one set. The sizes are then as near as whole groups allow.

    stratify : array-like of length n_images, default=None
        Labels or masks, as `y` of :class:`StratifiedGroupShuffleSplit`. Both sets have
        nearly the same fraction of each class.

    random_state : int, RandomState instance or None, default=None
        Seed of the split.

    Returns
    -------
    splitting : list of length 2 * len(arrays)
        The training and the test part of each array, in the types of the arrays, and
        in the order of the images. A range, and other sequences that are not indexed by
        an array, become a list or an array. Paths are not read.

    Raises
    ------
    ValueError
        If there are no arrays, if lengths differ, if there is one group only, if
        `stratify` is not made of classes, or if a size is not possible.
    TypeError
        If an array is not a sequence, such as a generator.

    Warns
    -----
    UserWarning
        If a class of `stratify` is not in both sets.

    See Also
    --------
    check_split : Search for leaks between the two sets.
    StratifiedGroupShuffleSplit : Repeated splits, for a search.

    Examples
    --------
    >>> from skinest.datasets import make_dermoscopy
    >>> from skinest.model_selection import train_test_split
    >>> data = make_dermoscopy(
    ...     40, image_size=(32, 32), images_per_lesion=2, random_state=0
    ... )
    >>> X_train, X_test, y_train, y_test = train_test_split(
    ...     data.images,
    ...     data.target,
    ...     groups=data.groups,
    ...     stratify=data.target,
    ...     random_state=0,
    ... )
    >>> X_train.shape, X_test.shape
    ((30, 32, 32, 3), (10, 32, 32, 3))
    """
    if all(array is None for array in arrays):
        raise ValueError("Pass at least one array to split.")
    named = {f"arrays[{number}]": array for number, array in enumerate(arrays)}
    n_images = _check_lengths(**named, groups=groups, stratify=stratify)
    sizes = _count_images(n_images, test_size, train_size, 0.25)
    contents = read_contents(stratify, n_images, name="stratify")
    rng = check_random_state(random_state)
    parts = _split_once(groups, contents, sizes, rng)
    return [
        None if array is None else select_items(array, part)
        for array in arrays
        for part in parts
    ]


def _check_lengths(**arrays) -> int:
    """Return the length of all arrays that are not None.

    Raises
    ------
    ValueError
        If lengths differ.
    TypeError
        If one has no length or no order.
    """
    lengths = {
        name: _count_items(name, array)
        for name, array in arrays.items()
        if array is not None
    }
    first, *others = lengths
    for name in others:
        if lengths[name] != lengths[first]:
            raise ValueError(
                f"{name} has {lengths[name]} entries, but {first} has "
                f"{lengths[first]}. Pass one entry per image."
            )
    return lengths[first]


def _count_items(name, array) -> int:
    if isinstance(array, Mapping | Set):
        is_sequence = False
    elif hasattr(array, "shape"):
        is_sequence = len(array.shape) > 0
    else:
        is_sequence = hasattr(array, "__len__")
    if not is_sequence:
        raise TypeError(
            f"{name} is of type {type(array).__name__}. Pass a list, an array or a "
            "table with one entry per image."
        )
    return array.shape[0] if hasattr(array, "shape") else len(array)


def _count_images(n_images, test_size, train_size, default) -> tuple[int, int]:
    """Return the numbers of training and test images, as scikit-learn counts them."""
    if test_size is None and train_size is None:
        test_size = default
    splitter = ShuffleSplit(
        1, test_size=test_size, train_size=train_size, random_state=0
    )
    train, test = next(splitter.split(np.empty(n_images)))
    return len(train), len(test)


def _split_once(groups, contents: Contents, sizes, rng):
    """Return the positions of the training and the test images of a random split."""
    n_train, n_test = sizes
    columns = contents.columns
    n_images = len(columns)
    groups = check_groups(groups, n_images)
    if groups is not None and len(np.unique(groups)) < 2:
        raise ValueError(
            f"groups has one group only, of all {n_images} images. A split needs two."
        )
    in_test = choose_groups(groups, columns, n_test / n_images, rng)
    train, test = np.flatnonzero(~in_test), np.flatnonzero(in_test)
    if n_train + n_test < n_images:
        rest = None if groups is None else groups[train]
        # What is left out is chosen, because every class must stay in training.
        surplus = 1 - n_train / (n_images - n_test)
        train = train[~choose_groups(rest, columns[train], surplus, rng)]
    _warn_of_absent(contents, train, test)
    return train, test


def _warn_of_absent(contents, train, test):
    """Warn of classes that are not in both sets."""
    for part, name in ((train, "training"), (test, "test")):
        is_absent = ~contents.columns[part].any(axis=0)
        absent = [contents.names[column] for column in np.flatnonzero(is_absent)]
        if absent:
            warnings.warn(
                f"There are no {name} images of {', '.join(absent)}. Such a class has "
                "one group only, or the set is too small.",
                UserWarning,
                stacklevel=4,
            )
