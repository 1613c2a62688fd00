"""The class and the lesion that each synthetic image shows."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np


def count_classes(n_images, shares):
    """Split a number of images into classes.

    Shares of `n_images` are rounded by the largest remainder, the earlier class
    first where remainders are equal. If there are enough images, a class of some
    share that would have none then takes one from the largest.

    Parameters
    ----------
    n_images : int
        Number of images.

    shares : ndarray of shape (n_classes,)
        Numbers of at least 0, not all of them 0, that classes are in proportion to.

    Returns
    -------
    counts : ndarray of shape (n_classes,), dtype int
        Numbers of images, `n_images` in all.
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
    """Give the images with the smallest random numbers the first label, and so on."""
    target = np.empty(len(rngs), dtype=int)
    target[np.argsort([rng.random() for rng in rngs])] = np.repeat(labels, counts)
    return target


def sample_lesions(rngs, target, images_per_lesion):
    """Sample the lesion of each image: the index of the first image of it.

    An image shows a lesion that was there before with the probability that makes
    the mean number of images of a lesion `images_per_lesion`. It is any of the
    earlier lesions of its class, all equally likely, so that the numbers of images
    of a lesion are geometrically distributed.

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
        Index of the first image of the same lesion: its own, if the lesion is new.
    """
    first = np.arange(len(target))
    for i, rng in enumerate(rngs):
        if rng.random() * images_per_lesion < 1:
            continue
        # Preferences do not depend on the other images, so that a class that
        # changes leaves the lesions of almost all other images as they are.
        known = (target[:i] == target[i]) & (first[:i] == np.arange(i))
        if known.any():
            first[i] = np.argmax(np.where(known, rng.random(i), -1.0))
    return first
