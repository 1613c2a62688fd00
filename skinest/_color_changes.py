"""Changes of the colours and the sharpness of an image."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from functools import lru_cache
from statistics import NormalDist

import numpy as np


def make_color_matrix(hue, saturation, gains) -> np.ndarray:
    """Return the linear map of RGB colours of a change of saturation, hue and gains.

    Parameters
    ----------
    hue : float
        Turn about the axis of grey colours, in degrees, from red towards green.

    saturation : float
        Factor of the difference from grey, the mean of the channels.

    gains : ndarray of shape (3,)
        Factors of the channels, applied last.

    Returns
    -------
    matrix : ndarray of shape (3, 3)
    """
    grey = np.full((3, 3), 1 / 3)
    cos, sin = np.cos(np.deg2rad(hue)), np.sin(np.deg2rad(hue))
    # The cross product with the unit vector of the axis (Rodrigues' formula).
    across = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    turned = cos * (np.eye(3) - grey) + sin * across
    return np.asarray(gains)[:, np.newaxis] * (grey + saturation * turned)


def map_colors(image, matrix) -> np.ndarray:
    """Return an image with a linear map of its colours, rounded and clipped."""
    if np.array_equal(matrix, np.eye(3)):
        return image
    import cv2

    return cv2.transform(image, matrix)


def blur_image(image, deviation) -> np.ndarray:
    """Return an image after a Gaussian blur; the deviation is in pixels."""
    if deviation == 0:
        return image
    import cv2

    return cv2.GaussianBlur(image, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE)


def add_noise(image, deviation, random_state) -> np.ndarray:
    """Return an image with Gaussian noise of a standard deviation in grey values."""
    if deviation == 0:
        return image
    import cv2

    # Ten times as fast as normal numbers: each pixel gets one of 256 equally likely
    # ones, by a single random byte.
    steps = np.rint(deviation * _list_quantiles()).astype(np.int16)
    noise = steps[random_state.integers(256, size=image.shape, dtype=np.uint8)]
    return cv2.add(image, noise, dtype=cv2.CV_8U)


@lru_cache(maxsize=1)
def _list_quantiles() -> np.ndarray:
    """Return 256 equally likely values with the mean 0 and the variance 1."""
    values = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)])
    return values / values.std()
