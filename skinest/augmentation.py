"""Random augmentation of training images and their masks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, overload

import numpy as np
from sklearn.base import BaseEstimator

from ._color_changes import add_noise, blur_image, make_color_matrix, map_colors
from ._compat import DocLinkMixin, Interval, check_params

if TYPE_CHECKING:
    from ._typing import Image, Mask

__all__ = ["Augmentation"]


class Augmentation(DocLinkMixin, BaseEstimator):
    """Random changes of the geometry, light, colour and sharpness of an image.

    Call it with an image, a generator of random numbers and, if the image has one, its
    mask. You can search its parameters, as in ``clf__augmentation__rotation``. For each
    image, each value is sampled uniformly from its range.

    Parameters
    ----------
    rotation : float, default=10
        Largest angle in degrees, from 0 to 180. The angle is sampled from
        [-rotation, rotation]; positive angles are counter-clockwise.

    shift : float, default=0.1
        Largest shift as a fraction of the side length, from 0 to 1. The shifts in x and
        y are sampled from [-shift, shift].

    zoom : float, default=0.0
        Largest relative change of size, at least 0 and below 1. The factor is sampled
        from [1 - zoom, 1 + zoom]; above 1 it enlarges the image.

    horizontal_flip : bool, default=True
        Whether to swap left and right with probability 1/2.

    vertical_flip : bool, default=False
        Whether to swap top and bottom with probability 1/2.

    brightness : float, default=0.0
        Largest change of brightness as a fraction of the value range, from 0 to 1. A
        number sampled from [-brightness, brightness], times 255, is added to all
        channels.

    contrast : float, default=0.0
        Largest relative change of contrast, from 0 to 1. The difference of each value
        from the mean of the image is multiplied by a factor sampled from
        [1 - contrast, 1 + contrast].

    hue : float, default=0.0
        Largest turn of all hues in degrees, from 0 to 180. At 120, red becomes green or
        blue.

    saturation : float, default=0.0
        Largest relative change of saturation, from 0 to 1. The difference of each
        channel from the mean of the three is multiplied by a factor sampled from
        [1 - saturation, 1 + saturation].

    channel_gain : float, default=0.0
        Largest relative change of each channel, at least 0 and below 1, as by light of
        another colour. Red, green and blue are multiplied by three factors, each
        sampled from [1 - channel_gain, 1 + channel_gain].

    blur : float, default=0.0
        Largest standard deviation of a Gaussian blur as a fraction of the shorter side,
        from 0 to 1. The standard deviation is sampled from [0, blur].

    noise : float, default=0.0
        Largest standard deviation of Gaussian noise as a fraction of the value range,
        from 0 to 1. The standard deviation is sampled from [0, noise]. Each channel of
        each pixel has noise of its own.

    Notes
    -----
    Flip, zoom, rotation and shift are applied in this order, about the centre of the
    image. They are one affine warp with a single linear interpolation. Pixels from
    outside the image get the value of the nearest pixel at the border. Contrast and
    then brightness are applied to the 256 possible values, rounded and clipped. Blur
    comes next, then one linear map of the colours (saturation, hue, gains, in this
    order), and noise at the end. Values are rounded and clipped after each of them.

    Hues turn about the axis of grey colours: grey stays grey, and the mean of the three
    channels does not change.

    The same warp is applied to a mask: each pixel gets the label with the largest
    weight in the same interpolation. Nothing else changes a mask. The augmented image
    is the same with and without a mask.

    Eight random numbers are always sampled for each image, and seven more with any of
    `hue`, `saturation`, `channel_gain`, `blur` and `noise`. So a change of one
    parameter does not change what the others do to an image.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest import Augmentation
    >>> from skinest.datasets import make_dermoscopy
    >>> image = make_dermoscopy(1, random_state=0).images[0]
    >>> augmentation = Augmentation(rotation=180, vertical_flip=True)
    >>> augmented = augmentation(image, np.random.default_rng(0))
    >>> augmented.shape == image.shape, augmented.dtype
    (True, dtype('uint8'))

    A mask is augmented together with its image and keeps its labels:

    >>> mask = np.where(image.mean(axis=2) < 128, 255, 0).astype(np.uint8)
    >>> again, mask = augmentation(image, np.random.default_rng(0), mask=mask)
    >>> np.array_equal(again, augmented), np.unique(mask)
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
        "hue": [Interval(Real, 0, 180, closed="both")],
        "saturation": [Interval(Real, 0, 1, closed="both")],
        "channel_gain": [Interval(Real, 0, 1, closed="left")],
        "blur": [Interval(Real, 0, 1, closed="both")],
        "noise": [Interval(Real, 0, 1, closed="both")],
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
        hue: float = 0.0,
        saturation: float = 0.0,
        channel_gain: float = 0.0,
        blur: float = 0.0,
        noise: float = 0.0,
    ) -> None:
        self.rotation = rotation
        self.shift = shift
        self.zoom = zoom
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip
        self.brightness = brightness
        self.contrast = contrast
        self.hue = hue
        self.saturation = saturation
        self.channel_gain = channel_gain
        self.blur = blur
        self.noise = noise

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
        """Return an augmented copy of an image and its mask.

        Parameters
        ----------
        image : ndarray of shape (height, width, 3), dtype uint8
            The image in RGB. It is not changed.

        random_state : numpy.random.Generator
            Source of the random numbers. The same state gives the same result.

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
            If a parameter is out of range, or `image` or `mask` has another shape or
            dtype.
        TypeError
            If `random_state` is not a generator.
        """
        check_params(self)
        _check_arguments(image, random_state, mask)
        matrix, brightness, contrast = self._draw(image.shape[:2], random_state)
        variant = _relight(_warp(image, matrix), brightness, contrast)
        variant = self._recolor(variant, random_state)
        if mask is None:
            return variant
        return variant, _warp_mask(mask, matrix)

    def _draw(self, shape, random_state):
        """Sample the matrix of the warp, the brightness and the contrast factor."""
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

    def _recolor(self, image, random_state):
        """Blur an image, change its colours, and add noise."""
        strengths = self.hue, self.saturation, self.channel_gain, self.blur, self.noise
        if not any(strengths):
            return image
        numbers = random_state.random(7)
        hue, saturation, *gains = 2 * numbers[:5] - 1
        blur, noise = numbers[5:]
        colors = make_color_matrix(
            hue=self.hue * hue,
            saturation=1 + self.saturation * saturation,
            gains=1 + self.channel_gain * np.array(gains),
        )
        image = blur_image(image, self.blur * blur * min(image.shape[:2]))
        image = map_colors(image, colors)
        return add_noise(image, 255 * self.noise * noise, random_state)


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
    """Return the affine map, of shape (2, 3), from the augmented image to `image`."""
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
    """Warp a mask; each pixel gets the label with the largest interpolation weight.

    With the nearest label, the mask could be shifted by half a pixel from the image.
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
