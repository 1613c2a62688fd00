"""The class and the lesion that each synthetic image shows."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np


def count_classes(n_images, shares):
    """Return the number of images of each class.

    Numbers are rounded by the largest remainder; for equal remainders, the earlier
    class is first. If there are enough images, each class with a share above 0 has at
    least one image, taken from the largest class.

    Parameters
    ----------
    n_images : int
        Number of images.

    shares : ndarray of shape (n_classes,)
        Relative frequencies of the classes: at least 0, and not all 0.

    Returns
    -------
    counts : ndarray of shape (n_classes,), dtype int
        Numbers of images, with the sum `n_images`.
    """
    quotas = n_images * (shares / shares.sum())
    counts = np.floor(quotas).astype(int)
    order = np.argsort(counts - quotas, kind="stable")
    counts[order[: n_images - counts.sum()]] += 1
    if n_images >= np.count_nonzero(shares):
        for missing in np.flatnonzero((counts == 0) & (shares > 0)):
            counts[np.argmax(counts)] -= 1
            counts[missing] = 1
    return counts


def sample_target(rngs, labels, counts):
    """Assign the first label to images with the smallest random numbers, and so on."""
    target = np.empty(len(rngs), dtype=int)
    target[np.argsort([rng.random() for rng in rngs])] = np.repeat(labels, counts)
    return target


def sample_lesions(rngs, target, images_per_lesion):
    """Sample the lesion of each image, as the index of its first image.

    An image shows an earlier lesion with the probability for which the mean number of
    images per lesion is `images_per_lesion`. All earlier lesions of its class are
    equally likely, so the numbers of images per lesion have a geometric distribution.

    Parameters
    ----------
    rngs : list of Generator
        One for each image.

    target : ndarray of shape (n_images,)
        The class of each image.

    images_per_lesion : float
        Mean number of images of a lesion, at least 1.

    Returns
    -------
    first : ndarray of shape (n_images,), dtype int
        Index of the first image of the same lesion, or its own index if it is new.
    """
    first = np.arange(len(target))
    for i, rng in enumerate(rngs):
        if rng.random() * images_per_lesion < 1:
            continue
        # The random numbers do not depend on the other images. So if the class of
        # one image changes, the lesions of almost all others do not.
        known = (target[:i] == target[i]) & (first[:i] == np.arange(i))
        if known.any():
            first[i] = np.argmax(np.where(known, rng.random(i), -1.0))
    return first
