"""Groups and images that are both in training and in test."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..model_selection import NearDuplicates, find_near_duplicates


@dataclass(frozen=True)
class Leaks:
    """Groups and images that training and test have in common.

    Parameters
    ----------
    groups : ndarray or None
        The groups that are in both. None if they are not known.

    n_images : int
        Number of test images of these groups.

    duplicates : NearDuplicates or None
        Pairs of a training and a test image. None if they were not searched.
    """

    groups: np.ndarray | None
    n_images: int
    duplicates: NearDuplicates | None


def find_leaks(train, test, near_duplicates) -> Leaks:
    """Search for groups and images that are in both sets.

    Parameters
    ----------
    train, test : ImageSet
        The two sets.

    near_duplicates : bool
        Whether to search for images that look the same.

    Returns
    -------
    leaks : Leaks
    """
    groups, n_images = None, 0
    if train.groups is not None and test.groups is not None:
        groups = np.intersect1d(train.groups, test.groups)
        n_images = int(np.isin(test.groups, groups).sum())
    duplicates = None
    if near_duplicates:
        duplicates = find_near_duplicates(train.images, test.images)
    return Leaks(groups, n_images, duplicates)
