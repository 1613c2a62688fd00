"""Random variants of training images and their masks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, overload

import numpy as np
from sklearn.base import BaseEstimator

from ._compat import DocLinkMixin, Interval, check_params

if TYPE_CHECKING:
    from ._typing import Image, Mask

__all__ = ["Augmentation"]


class Augmentation(DocLinkMixin, BaseEstimator):
    """Random flip, zoom, rotation, shift and change of light of an image.

    An object of parameters that can be searched, as in
    ``clf__augmentation__rotation``, and that is called with an image and a
    generator, and with the mask of the image where it has one. Each number below is
    drawn uniformly from its range, for each image.

    Parameters
    ----------
    rotation : float, default=10
        Largest angle in degrees, 0 to 180; drawn from [-rotation, rotation],
        counter-clockwise where positive.

    shift : float, default=0.1
        Largest shift as a fraction of the side, 0 to 1; drawn from
        [-shift, shift] for x and for y.

    zoom : float, default=0.0
        Largest change of size, at least 0 and below 1; the factor of both sides is
        drawn from [1 - zoom, 1 + zoom] and magnifies where above 1.

    horizontal_flip : bool, default=True
        Mirror left and right with probability 1/2.

    vertical_flip : bool, default=False
        Mirror top and bottom with probability 1/2.

    brightness : float, default=0.0
        Largest change as a fraction of the value range, 0 to 1; 255 times a number
        from [-brightness, brightness] is added to all channels.

    contrast : float, default=0.0
        Largest change of contrast, 0 to 1; the difference of each value from the
        mean of all values of the image is multiplied by a factor from
        [1 - contrast, 1 + contrast].

    Notes
    -----
    Flip, zoom, rotation and shift are applied in this order about the centre of the
    image as one affine warp, interpolated linearly once; pixels from beyond the
    border take the value of the nearest pixel of the edge. Contrast and then
    brightness follow in one table of the 256 values, rounded and clipped.

    A mask goes through the same warp: each pixel takes the label that has most of it
    by the same interpolation. Contrast and brightness leave it alone. The variant of
    the image is the same whether it comes with a mask or not.

    Eight numbers are drawn for each image whatever the settings are, so that a change
    of one setting leaves what is drawn for the others as it was.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.augmentation import Augmentation
    >>> from skinest.datasets import make_dermoscopy
    >>> image = make_dermoscopy(1, random_state=0).images[0]
    >>> augmentation = Augmentation(rotation=180, vertical_flip=True)
    >>> variant = augmentation(image, np.random.default_rng(0))
    >>> variant.shape == image.shape, variant.dtype
    (True, dtype('uint8'))

    A mask is augmented together with its image, and keeps its labels:

    >>> mask = np.where(image.mean(axis=2) < 128, 255, 0).astype(np.uint8)
    >>> again, mask = augmentation(image, np.random.default_rng(0), mask=mask)
    >>> np.array_equal(again, variant), np.unique(mask)
    (True, array([  0, 255], dtype=uint8))
    """

    _parameter_constraints: dict = {
        "rotation": [Interval(Real, 0, 180, closed="both")],
        "shift": [Interval(Real, 0, 1, closed="both")],
        "zoom": [Interval(Real, 0, 1, closed="left")],
        "horizontal_flip": ["boolean"],
        "vertical_flip": ["boolean"],
        "brightness": [Interval(Real, 0, 1, closed="both")],
        "contrast": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        *,
        rotation: float = 10,
        shift: float = 0.1,
        zoom: float = 0.0,
        horizontal_flip: bool = True,
        vertical_flip: bool = False,
        brightness: float = 0.0,
        contrast: float = 0.0,
    ) -> None:
        self.rotation = rotation
        self.shift = shift
        self.zoom = zoom
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip
        self.brightness = brightness
        self.contrast = contrast

    @overload
    def __call__(
        self, image: Image, random_state: np.random.Generator, mask: None = None
    ) -> Image: ...

    @overload
    def __call__(
        self, image: Image, random_state: np.random.Generator, mask: Mask
    ) -> tuple[Image, Mask]: ...

    def __call__(
        self,
        image: Image,
        random_state: np.random.Generator,
        mask: Mask | None = None,
    ) -> Image | tuple[Image, Mask]:
        """Draw a variant of an image and its mask.

        Parameters
        ----------
        image : ndarray of shape (height, width, 3), dtype uint8
            The image in RGB. It is not changed.

        random_state : numpy.random.Generator
            Where the numbers are drawn from. The same state gives the same variant.

        mask : ndarray of shape (height, width), dtype uint8, default=None
            The label of each pixel of the image. It is not changed.

        Returns
        -------
        variant : ndarray of shape (height, width, 3), dtype uint8
            A new array.

        mask_variant : ndarray of shape (height, width), dtype uint8
            A new array. Returned, in a tuple with `variant`, if `mask` is given.

        Raises
        ------
        ValueError
            If a parameter is outside its range or `image` or `mask` is not such an
            array.
        TypeError
            If `random_state` is not a generator.
        """
        check_params(self)
        _check_arguments(image, random_state, mask)
        matrix, brightness, contrast = self._draw(image.shape[:2], random_state)
        variant = _relight(_warp(image, matrix), brightness, contrast)
        if mask is None:
            return variant
        return variant, _warp_mask(mask, matrix)

    def _draw(self, shape, random_state):
        """Draw the matrix of the warp, brightness to add and factor of contrast."""
        numbers = random_state.random(8)
        angle, right, down, zoom, brightness, contrast = 2 * numbers[:6] - 1
        mirror, upend = numbers[6:] < 0.5
        matrix = _inverse_matrix(
            shape,
            flip=(self.horizontal_flip and mirror, self.vertical_flip and upend),
            scale=1 + self.zoom * zoom,
            angle=self.rotation * angle,
            shift=(self.shift * right, self.shift * down),
        )
        return matrix, self.brightness * brightness, 1 + self.contrast * contrast


def _check_arguments(image, random_state, mask):
    if not isinstance(random_state, np.random.Generator):
        raise TypeError(
            f"random_state is of type {type(random_state).__name__}; pass a "
            "generator, e.g. numpy.random.default_rng(0)."
        )
    shape, dtype = np.shape(image), getattr(image, "dtype", type(image).__name__)
    if dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise ValueError(
            f"image has shape {shape} and dtype {dtype}; pass an RGB image of shape "
            "(height, width, 3) and dtype uint8."
        )
    if mask is None:
        return
    of_mask, dtype = np.shape(mask), getattr(mask, "dtype", type(mask).__name__)
    if dtype != np.uint8 or of_mask != shape[:2]:
        raise ValueError(
            f"mask has shape {of_mask} and dtype {dtype}; pass a mask of the image's "
            f"height and width, {shape[:2]}, and dtype uint8."
        )


def _inverse_matrix(shape, flip, scale, angle, shift) -> np.ndarray:
    """Return the affine map, of shape (2, 3), from the variant into the image."""
    size = np.array(shape[::-1])
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    linear = np.array([[cos, -sin], [sin, cos]]) / scale
    linear[np.array(flip)] *= -1
    centre = (size - 1) / 2
    offset = centre - linear @ (centre + size * shift)
    return np.column_stack([linear, offset])


def _warp(image, matrix) -> np.ndarray:
    if np.array_equal(matrix, np.eye(2, 3)):
        return np.array(image, order="C")
    import cv2

    return cv2.warpAffine(
        image,
        matrix,
        image.shape[1::-1],
        flags=cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _warp_mask(mask, matrix) -> np.ndarray:
    """Give each pixel the label that has most of it, by the interpolation of images.

    The nearest label would be up to half a pixel off the image.
    """
    labels = np.flatnonzero(np.bincount(mask.ravel())).astype(np.uint8)
    shares = [_warp(np.uint8(255) * (mask == label), matrix) for label in labels]
    return labels[np.argmax(shares, axis=0)]


def _relight(image, brightness, contrast) -> np.ndarray:
    if brightness == 0 and contrast == 1:
        return image
    import cv2

    mean = np.mean(cv2.mean(image)[:3])
    values = mean + contrast * (np.arange(256) - mean) + 255 * brightness
    return cv2.LUT(image, np.rint(np.clip(values, 0, 255)).astype(np.uint8))
