"""Checks of the tensors that losses take, and pixels that do not count."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral

import numpy as np
from keras import ops

_TOLERANCE = 1e-3  # values can be outside of [0, 1] after resizing


def check_ignore_label(ignore_label):
    """Raise ValueError unless a label can mark pixels that do not count."""
    if ignore_label is None:
        return
    if not isinstance(ignore_label, Integral) or ignore_label in (0, 1):
        raise ValueError(
            f"ignore_label={ignore_label!r} must be None or an integer other than 0 "
            "and 1, which are targets."
        )


def check_tensors(y_true, y_pred, pixel_weight, ignore_label=None):
    """Return the three tensors in float32, after checks of shapes and values.

    Values cannot be seen while Keras compiles a model. Targets that are out of range
    are then replaced by NaN, which no one can mistake for a loss. With `ignore_label`,
    pixels that have it in a channel of `y_true` get targets of 0 and the weight 0.
    """
    y_true = ops.convert_to_tensor(y_true, "float32")
    y_pred = ops.convert_to_tensor(y_pred, "float32")
    true, found = tuple(y_true.shape), tuple(y_pred.shape)
    if not len(true) == len(found) == 4 or true[-1] != found[-1]:
        raise ValueError(
            f"y_true has shape {true} and y_pred {found}; both must be (n_images, "
            "height, width, n_channels)."
        )
    if pixel_weight is not None:
        pixel_weight = ops.convert_to_tensor(pixel_weight, "float32")
        if len(pixel_weight.shape) != 3:
            raise ValueError(
                f"pixel_weight has shape {tuple(pixel_weight.shape)}; it must be "
                "(n_images, height, width)."
            )
    check_ignore_label(ignore_label)
    if ignore_label is not None:
        y_true, pixel_weight = _ignore_pixels(y_true, pixel_weight, ignore_label)
    if _find_range(y_true) is None:
        is_target = (y_true >= -_TOLERANCE) & (y_true <= 1 + _TOLERANCE)
        y_true = ops.where(is_target, y_true, np.nan)
    _check_values(y_true, y_pred, pixel_weight)
    return y_true, y_pred, pixel_weight


def _ignore_pixels(y_true, pixel_weight, ignore_label):
    """Return targets and weights that are 0 where pixels do not count."""
    is_label = ops.all(y_true != float(ignore_label), axis=-1)
    y_true = ops.where(ops.expand_dims(is_label, -1), y_true, 0.0)
    counted = ops.cast(is_label, "float32")
    return y_true, counted if pixel_weight is None else counted * pixel_weight


def _check_values(y_true, y_pred, pixel_weight):
    """Raise ValueError if values are out of range, where they can be seen."""
    low, high = _find_range(y_true) or (0, 0)
    if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):
        raise ValueError(
            f"y_true has values from {low:g} to {high:g}, but targets must be in "
            "[0, 1]. For masks of 0 and 255 use masks == 255; for several labels use "
            "one channel for each. If a value marks pixels that are not labelled, pass "
            "it as ignore_label."
        )
    low, high = _find_range(y_pred) or (0, 0)
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:  # NaN makes the loss NaN
        raise ValueError(
            f"y_pred has values from {low:g} to {high:g}, but must have probabilities, "
            "in [0, 1]: apply a sigmoid or softmax."
        )
    if pixel_weight is not None:
        low, high = _find_range(pixel_weight) or (0, 0)
        if not (low >= 0 and high < np.inf):
            raise ValueError(
                f"pixel_weight has values from {low:g} to {high:g}; weights must be "
                "finite numbers of 0 or more."
            )


def _find_range(tensor) -> tuple[float, float] | None:
    """Return the smallest and largest value, or None if they cannot be seen."""
    try:
        values = ops.convert_to_numpy(tensor)
    except Exception:  # of another type in each backend, for tensors of a graph
        return None
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def average_pixels(values, pixel_weight):
    """Average values of shape (n_images, height, width) over pixels with a weight."""
    if pixel_weight is None:
        return ops.mean(values, axis=(1, 2))
    n_counted = ops.sum(ops.cast(pixel_weight != 0, "float32"), axis=(1, 2))
    return ops.sum(values * pixel_weight, axis=(1, 2)) / ops.maximum(n_counted, 1.0)
