"""Removal of the colour of the light from images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from .._compat import DocLinkMixin, Interval, check_params, fit_context
from ..images import check_images
from ..utils._containers import ImagesOutputMixin, keep_index_of_images
from ..utils._tags import ImageInputMixin

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .._typing import ImagesLike

_VALUES = np.arange(256)


class ColorConstancy(
    ImageInputMixin,
    ImagesOutputMixin,
    DocLinkMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Remove the colour of the light from images, by "shades of grey".

    Cameras and lamps of clinics give images different colour casts. For each image, the
    colour of the light is estimated from the image itself, and the channels are scaled
    so that this colour becomes grey (Finlayson and Trezzi 2004). Use it as the first
    step of a Pipeline.

    Parameters
    ----------
    p : float, default=6
        Order of the Minkowski norm of each channel, 1 or more. 1 is "grey world", where
        the mean colour becomes grey. ``float("inf")`` is "max-RGB", where the largest
        value of each channel becomes the same.

    See Also
    --------
    skinest.Augmentation : Random colours of training images, by `channel_gain`.

    Notes
    -----
    The light in channel c is estimated as the norm
    :math:`e_c = \\left(\\frac{1}{n} \\sum I_c^p\\right)^{1/p}` over the n values I of
    the channel. The channel is multiplied by
    :math:`\\sqrt{(e_r^2 + e_g^2 + e_b^2) / 3} / e_c`, rounded and clipped. So a grey
    image does not change. A channel without any value above 0 does not change either.

    References
    ----------
    G. D. Finlayson and E. Trezzi, "Shades of gray and colour constancy", Color and
    Imaging Conference 2004.

    C. Barata, M. E. Celebi and J. S. Marques, "Improving dermoscopy image
    classification using color constancy", IEEE Journal of Biomedical and Health
    Informatics 19(3), 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.datasets import make_dermoscopy
    >>> from skinest.preprocessing import ColorConstancy
    >>> images = make_dermoscopy(2, random_state=0).images
    >>> corrected = ColorConstancy(p=1).fit_transform(images)
    >>> corrected.shape == images.shape
    True
    >>> bool(np.ptp(corrected.mean(axis=(1, 2)), axis=1).max() < 1)
    True
    """

    _parameter_constraints: dict = {"p": [Interval(Real, 1, None, closed="both")]}

    def __init__(self, *, p: float = 6) -> None:
        self.p = p

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ImagesLike, y: ArrayLike | None = None) -> Self:
        """Check the images and do nothing else.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`. Files are not opened.

        y : array-like of length n_images, default=None
            Not used; its length is checked.

        Returns
        -------
        self : ColorConstancy
            The transformer.
        """
        check_images(X, y)
        return self

    def transform(self, X: ImagesLike) -> NDArray[np.uint8] | NDArray[np.object_]:
        """Remove the colour of the light from each image.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`.

        Returns
        -------
        images : ndarray of shape (n_images, height, width, 3), dtype uint8, or object \
array of ndarray of shape (height, width, 3), dtype uint8
            RGB images. If `X` is a numeric array, this is one too; otherwise an object
            array with one entry per image, or a Series, see :meth:`set_output`.
        """
        check_params(self)
        images = check_images(X)
        corrected = np.empty(len(images), dtype=object)
        for position in range(len(images)):
            corrected[position] = correct(images[position], float(self.p))
        is_stack = isinstance(X, np.ndarray) and X.dtype.kind in "uif"
        if is_stack:
            return np.stack(list(corrected))
        return keep_index_of_images(self, X, corrected)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def correct(image, p) -> np.ndarray:
    """Return an image whose estimated light is grey.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3), dtype uint8
        The image in RGB.

    p : float
        Order of the norm.

    Returns
    -------
    corrected : ndarray of shape (height, width, 3), dtype uint8
    """
    import cv2

    channels = image.reshape(-1, 3).T
    counts = np.stack([np.bincount(channel, minlength=256) for channel in channels])
    light = _compute_norms(counts, p)
    is_lit = light > 0
    gains = np.sqrt(np.mean(light**2)) / np.where(is_lit, light, 1)
    values = np.where(is_lit, gains, 1) * _VALUES[:, np.newaxis]
    table = np.rint(np.minimum(values, 255)).astype(np.uint8)
    return cv2.LUT(image, table[np.newaxis])


def _compute_norms(counts, p):
    """Return the norm of each channel, from how often it has each value."""
    largest = np.array([np.flatnonzero(count)[-1] for count in counts])
    if p == np.inf:
        return largest.astype(float)
    # Relative to the largest value, so that powers do not overflow.
    relative = _VALUES / np.maximum(largest, 1)[:, np.newaxis]
    powers = np.where(counts > 0, relative, 0) ** p
    return largest * (np.sum(counts * powers, axis=1) / counts.sum(axis=1)) ** (1 / p)
