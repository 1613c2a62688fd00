"""Values of masks: their labels, and thresholds for grey masks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral, Real

import numpy as np

from ._pixel_values import FLOAT_TOLERANCE, MAX_DARK

MAX_LABELS = 32  # more of them are anti-aliasing or the noise of JPEG
_MAX_RANGE = 2**16


def check_mask_options(ignore_label, mask_threshold):
    """Raise ValueError unless the options of masks are valid together."""
    is_label = isinstance(ignore_label, Integral) and not isinstance(ignore_label, bool)
    if not (ignore_label is None or is_label):
        raise ValueError(
            f"ignore_label={ignore_label!r} must be an integer, the label of pixels "
            "that are not labelled, or None."
        )
    if mask_threshold is None:
        return
    if not (isinstance(mask_threshold, Real) and 0 < mask_threshold < 1):
        raise ValueError(
            f"mask_threshold={mask_threshold!r} must be a number between 0 and 1, a "
            "fraction of white, or None."
        )
    if ignore_label in (0, 1):
        raise ValueError(
            f"ignore_label={ignore_label} cannot be used with mask_threshold, because "
            "thresholded masks have the labels 0 and 1."
        )


def find_labels(mask, location, ignore_label=None) -> np.ndarray:
    """Return the sorted labels of a mask, without `ignore_label`.

    Raises
    ------
    ValueError
        If there are more than 32, if one is negative, or if there are several near 0
        and near 255.
    """
    low, high = mask.min(), mask.max()
    if ((mask == low) | (mask == high)).all():  # usual, and faster than counting
        labels = np.unique([low, high])
    elif int(high) - int(low) < _MAX_RANGE:  # counting is faster than sorting
        offsets = mask.astype(np.intp)
        offsets -= int(low)  # in place: a large mask needs 1 GB already
        offsets = np.flatnonzero(np.bincount(offsets.ravel())) + int(low)
        labels = offsets.astype(mask.dtype)
    else:
        labels = np.unique(mask)
    if ignore_label is not None:
        labels = labels[labels != ignore_label]
    if len(labels) > MAX_LABELS:
        raise ValueError(
            f"{location} has {len(labels)} different values from {labels[0]} to "
            f"{labels[-1]}, but a mask has at most {MAX_LABELS} labels. JPEG "
            "compression or smooth edges may be the cause: pass mask_threshold=0.5, or "
            "threshold the mask and save it as PNG."
        )
    if len(labels) and labels[0] < 0:
        raise ValueError(
            f"{location} has the label {labels[0]}, but labels are 0 or more. If it "
            f"marks pixels that are not labelled, pass ignore_label={labels[0]}; if it "
            "is the background, replace it by 0."
        )
    if len(labels) and _is_blurred(labels):
        raise ValueError(
            f"{location} has {len(labels)} different values near 0 and near 255, as "
            "caused by JPEG compression or smooth edges: pass mask_threshold=0.5, or "
            "threshold the mask, as in mask > 127, and save it as PNG."
        )
    return labels


def _is_blurred(labels) -> bool:
    """Return whether all labels are near 0 or near 255, several of each."""
    low, high = labels <= 64, (labels >= 191) & (labels <= 255)
    return min(low.sum(), high.sum()) > 1 and (low | high).all()


def threshold_mask(mask, location, threshold, ignore_label=None) -> np.ndarray:
    """Return a mask of the labels 0 and 1: 1 where it is brighter than a threshold.

    Parameters
    ----------
    mask : ndarray of shape (height, width)
        A mask of booleans, of uint8, of uint16, or of floats in [0, 1]. Booleans, and
        integers that are all 0 or 1, are returned unchanged.

    location : str
        Name of the mask in error messages.

    threshold : float
        Fraction of white, in (0, 1). White is 255, 65535 or 1.0, by the dtype.

    ignore_label : int, default=None
        Pixels with this value keep it.

    Returns
    -------
    mask : ndarray of shape (height, width), dtype bool or integer

    Raises
    ------
    ValueError
        If it is not known which value is white.
    """
    if mask.dtype == bool:
        return mask
    is_ignored = np.zeros(mask.shape, dtype=bool)
    if ignore_label is not None:
        is_ignored = mask == ignore_label
    values = mask[~is_ignored]
    is_integer = mask.dtype.kind in "iu"
    if is_integer and np.all((values == 0) | (values == 1)):
        return mask
    if values.size:
        _check_white_is_known(values, location)
    white = np.iinfo(mask.dtype).max if is_integer else 1.0
    labels = (mask > threshold * white).astype(np.uint8)
    if not is_ignored.any():
        return labels
    dtype = np.result_type(np.uint8, np.min_scalar_type(ignore_label))
    return np.where(is_ignored, dtype.type(ignore_label), labels)


def _check_white_is_known(values, location):
    """Raise ValueError if it is not known which value is white."""
    low, high, dtype = values.min(), values.max(), values.dtype
    advice = None
    if dtype.kind == "f":
        if not (low >= -FLOAT_TOLERANCE and high <= 1 + FLOAT_TOLERANCE):  # or NaN
            advice = "must be in [0, 1]. Divide by their largest possible value"
    elif dtype.kind != "u" or dtype.itemsize > 2:
        advice = (
            "must be uint8 (white is 255), uint16 (white is 65535) or floating point "
            "in [0, 1]. Use mask.astype(np.uint8) if white is 255"
        )
    elif dtype.itemsize == 2 and high <= MAX_DARK:
        advice = (
            "would all be background, because white is 65535. Use "
            "mask.astype(np.uint8) if white is 255, or multiply by 16 if it is 4095"
        )
    if advice is not None:
        raise ValueError(
            f"{location} is {dtype} with values from {low} to {high}. With "
            f"mask_threshold they {advice}."
        )
