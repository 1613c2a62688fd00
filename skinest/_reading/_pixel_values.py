"""Checks of pixel values, and their conversion to RGB of 8 bits."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings

import numpy as np

FLOAT_TOLERANCE = 1e-3  # values can be outside of [0, 1] after resizing
MAX_DARK = 4095  # a photograph of 16 bits always has larger values
_CHANNELS_FIRST = " If channels come first, use np.moveaxis(image, 0, -1)."


def check_pixels(image, location):
    if image.ndim < 2 or image.shape[2:] not in ((), (1,), (3,), (4,)):
        raise ValueError(
            f"{location} has shape {image.shape}. An image is (height, width) for "
            "grey, (height, width, 3) for RGB or (height, width, 4) for RGB and alpha."
            f"{_CHANNELS_FIRST if image.ndim == 3 and image.shape[0] in (1, 3) else ''}"
        )
    if image.size == 0:
        raise ValueError(f"{location} has shape {image.shape}: it has no pixels.")
    check_values(image, location)


def check_values(image, location):
    if image.dtype.kind == "f":
        _check_unit_range(image, location)
    elif image.dtype.kind != "u" or image.dtype.itemsize > 2:
        hint = _conversion_hint(image)
        raise ValueError(f"{location} is of dtype {image.dtype}. {hint}")


def _check_unit_range(image, location):
    low, high = image.min(), image.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(
            f"{location} has NaN or infinite values. Replace them, e.g. by "
            "np.nan_to_num, or remove the image."
        )
    if low < -FLOAT_TOLERANCE:
        raise ValueError(
            f"{location} is {image.dtype} with values from {low:g} to {high:g}; "
            "floating point images must be in [0, 1]. Pass the images from before they "
            "were standardised: the estimator does the preprocessing itself."
        )
    if high > 1 + FLOAT_TOLERANCE:
        raise ValueError(
            f"{location} is {image.dtype} with values from {low:g} to {high:g}; "
            "floating point images must be in [0, 1]. Divide by their largest possible "
            "value, or for 0 to 255 use X.astype(np.uint8)."
        )


def _conversion_hint(image):
    if image.dtype.kind == "b":
        return "Use X.astype(np.uint8) * 255."
    if image.dtype.kind in "iu":
        return (
            f"Values are from {image.min()} to {image.max()}: use X.astype(np.uint8) "
            "for 0 to 255, X.astype(np.uint16) for 0 to 65535."
        )
    return "Pass uint8 (0 to 255), uint16 (0 to 65535) or floating point in [0, 1]."


def to_rgb(image) -> np.ndarray:
    """Return checked pixels as uint8 of shape (height, width, 3)."""
    if image.ndim == 2:
        image = image[..., np.newaxis]
    n_colours = 1 if image.shape[2] < 3 else 3  # the rest is alpha
    image = _to_uint8(image[..., :n_colours])
    return np.repeat(image, 3, axis=2) if n_colours == 1 else image


def _to_uint8(image) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    out = np.empty(image.shape, np.uint8)
    for row, scaled in zip(image, out, strict=True):  # whole images need much memory
        if image.dtype.kind == "f":
            scaled[:] = np.rint(np.clip(row, 0, 1) * np.float32(255))
        else:
            scaled[:] = (
                row if image.itemsize == 1 else (row.astype(np.uint32) + 128) // 257
            )
    return out


def warn_if_dark(name, lows, highs):
    """Warn if 16-bit images use a small part of their range, and would be black."""
    if not highs or not 0 < max(highs) <= MAX_DARK:
        return
    warnings.warn(
        f"{name} is uint16 with values from {min(lows)} to {max(highs)}. White is "
        "65535, so it is read as nearly black. If its white is 255, use "
        "astype(np.uint8); if its white is 4095 (12 bits), multiply by 16.",
        stacklevel=2,
    )
