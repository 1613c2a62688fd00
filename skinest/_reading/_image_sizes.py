"""Checks before an image is resized."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import operator

import numpy as np


def check_sides(name, value, sides, n_sides=1):
    """Return sides as a tuple of int, or raise ValueError that names the argument."""
    try:
        checked = tuple(map(operator.index, sides))
    except TypeError:
        checked = ()
    if len(checked) != n_sides or not all(1 <= side < 2**31 for side in checked):
        what = (
            "two whole numbers, (height, width)," if n_sides == 2 else "a whole number"
        )
        raise ValueError(f"{name}={value!r} must be {what} of at least 1 pixel.")
    return checked


def check_resizable(image):
    """Raise ValueError unless OpenCV can resize an image."""
    if isinstance(image, np.ma.MaskedArray):
        raise ValueError(
            "image is a masked array. Pass image.filled(value), without a mask."
        )
    if not isinstance(image, np.ndarray) or image.ndim not in (2, 3) or not image.size:
        what = getattr(image, "shape", type(image).__name__)
        raise ValueError(f"image is not an array of pixels: {what}.")
    if image.dtype not in (np.uint8, np.uint16, np.float32, np.float64):
        raise ValueError(f"image is of dtype {image.dtype}. Pass uint8.")
