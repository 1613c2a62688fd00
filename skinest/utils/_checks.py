"""Checks of arguments that several estimators have."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral


def check_image_size(image_size, min_side):
    """Raise ValueError unless a size is two integers, neither below a minimum."""
    sides = list(image_size)
    if len(sides) != 2 or not all(isinstance(side, Integral) for side in sides):
        raise ValueError(
            f"image_size={image_size!r} must be (height, width), two integers."
        )
    if min(sides) < min_side:
        raise ValueError(
            f"image_size={image_size!r}: the network needs {min_side} pixels or more "
            "a side."
        )
