"""Maps of the drop of a score when parts of an image are hidden.

Each function works on one image, of any size.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral, Real

import numpy as np

from .._cache import read_only

FILLS = ("mean", "blur")


class Patches:
    """Square patches that hide parts of an image.

    Parameters
    ----------
    patch_size, stride : int or float
        Side of a patch, and distance between patches: pixels, or a fraction of the
        shorter side of the image. `stride` may be None, for half of the patch.

    fill : {"mean", "blur"} or sequence of 3 int
        Colour of the patches.

    Raises
    ------
    ValueError
        If an argument is invalid.
    """

    def __init__(self, patch_size, stride, fill):
        _check_side("patch_size", patch_size)
        if stride is not None:
            _check_side("stride", stride)
        self.patch_size = patch_size
        self.stride = stride
        self.fill = _check_fill(fill)

    def measure(self, size, location):
        """Return the side of a patch and the distance between patches, in pixels.

        Parameters
        ----------
        size : tuple of (int, int)
            Height and width of the image.

        location : str
            Name of the image in error messages.

        Raises
        ------
        ValueError
            If a patch is larger than the image, or if there are gaps between patches.
        """
        patch = _to_pixels(self.patch_size, size)
        if patch > min(size):
            raise ValueError(
                f"patch_size={self.patch_size!r} is larger than {location}, an image "
                f"of {size[0]} x {size[1]} pixels. Pass a fraction of the shorter "
                "side, such as 0.2."
            )
        if self.stride is None:
            return patch, max(1, patch // 2)
        stride = _to_pixels(self.stride, size)
        if stride > patch:
            raise ValueError(
                f"stride={self.stride!r} is larger than patch_size="
                f"{self.patch_size!r}, so that there are gaps between patches. Lower "
                "stride, or pass None for half of patch_size."
            )
        return patch, stride

    def hide(self, image, patch) -> np.ndarray:
        """Return what is seen instead of each pixel in a patch.

        Parameters
        ----------
        image : ndarray of shape (height, width, 3), dtype uint8
            The image.

        patch : int
            Side of a patch in pixels.

        Returns
        -------
        hidden : ndarray of shape (height, width, 3), dtype uint8
        """
        if isinstance(self.fill, np.ndarray):
            return np.broadcast_to(self.fill, image.shape)
        if self.fill == "mean":
            mean = np.rint(image.mean(axis=(0, 1))).astype(np.uint8)
            return np.broadcast_to(mean, image.shape)
        import cv2

        return cv2.GaussianBlur(image, (0, 0), patch / 2)


def compute_occlusion(image, patches, predict, *, index, batch_size, location):
    """Compute the drop of the score of a class when a patch is hidden.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3), dtype uint8
        The image.

    patches : Patches
        The patches.

    predict : ClassScores
        Returns scores of shape (n, n_classes), for images of shape
        (n, height, width, 3).

    index : int or None
        Index of the class. None means the predicted class.

    batch_size : int
        Number of images in a call of `predict`.

    location : str
        Name of the image in error messages.

    Returns
    -------
    index : int
        Index of the class.

    score : float
        Score of the image itself.

    drops : ndarray of shape (height, width), dtype float64
        For each pixel, the mean drop over the patches that cover it.
    """
    size = image.shape[:2]
    patch, stride = patches.measure(size, location)
    hidden = patches.hide(image, patch)
    windows = _list_windows(size, patch, stride)
    steps = range(1 + len(windows))
    batches = (steps[k : k + batch_size] for k in steps[::batch_size])
    with read_only():  # `memory` would keep each copy
        scores = np.concatenate(
            [predict(_make_copies(image, hidden, windows, batch)) for batch in batches]
        )
        if index is None:
            index = predict.find_predicted(image[np.newaxis], scores[0])
    score, *occluded = scores[:, index]
    return index, score, _average(score - np.array(occluded), windows, size)


def _check_side(name, value):
    """Raise ValueError unless a value is 1 pixel or more, or a fraction of a side."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    is_pixels = isinstance(value, Integral) and value >= 1
    if not is_number or not (is_pixels or 0 < value <= 1):
        raise ValueError(
            f"{name}={value!r} must be an integer above 0, in pixels, or a fraction of "
            "the shorter side of the image, above 0 and up to 1.0."
        )


def _check_fill(fill):
    if isinstance(fill, str):
        if fill in FILLS:
            return fill
    else:
        color = np.array(fill, dtype=object)  # also of rows of different lengths
        if color.shape == (3,) and all(map(_is_pixel_value, color)):
            return color.astype(np.uint8)
    raise ValueError(
        f"fill={fill!r} must be 'mean', 'blur', or a colour of three integers from 0 "
        "to 255."
    )


def _is_pixel_value(value):
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    return is_integer and 0 <= value <= 255


def _to_pixels(side, size):
    if isinstance(side, Integral):
        return int(side)
    return max(1, round(side * min(size)))


def _list_windows(size, patch, stride):
    """Return the rows and columns of each patch; the last ones end at the border."""
    rows, columns = ([*range(0, side - patch, stride), side - patch] for side in size)
    return [
        (slice(top, top + patch), slice(left, left + patch))
        for top in rows
        for left in columns
    ]


def _make_copies(image, hidden, windows, numbers):
    """Return copies of an image: number k hides window k - 1, and 0 nothing."""
    copies = np.repeat(image[np.newaxis], len(numbers), axis=0)
    for copy, number in zip(copies, numbers, strict=True):
        if number:
            window = windows[number - 1]
            copy[window] = hidden[window]
    return copies


def _average(drops, windows, size):
    """Average the drops of all patches that cover a pixel."""
    total, count = np.zeros(size), np.zeros(size)
    for window, drop in zip(windows, drops, strict=True):
        total[window] += drop
        count[window] += 1
    return total / count
