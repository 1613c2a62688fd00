"""Calls of descriptors, and checks of their results."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from sklearn.base import clone

from ._descriptors import ColorPatchDescriptor, Descriptor, SIFTDescriptor


def copy_descriptor(descriptor):
    """Return a copy of a descriptor, so that later changes do not affect it.

    Parameters
    ----------
    descriptor : descriptor object, callable or None
        None is SIFT. An object that cannot be copied is returned itself.

    Raises
    ------
    ValueError
        If `descriptor` is a class, or a parameter of a descriptor of this package is
        invalid.
    """
    if isinstance(descriptor, type):
        raise ValueError(f"descriptor={descriptor!r} is a class. Pass an instance.")
    if descriptor is None:
        return SIFTDescriptor()
    if type(descriptor) in (SIFTDescriptor, ColorPatchDescriptor):
        descriptor._check_params()
    try:
        copy = clone(descriptor, safe=False)
    except Exception:  # copies raise errors of many classes
        return descriptor
    return copy if type(copy) is type(descriptor) else descriptor


def describe(descriptor, image, location):
    """Compute the descriptors of one image.

    Parameters
    ----------
    descriptor : descriptor object or callable
        If it is a plain callable, `points` is None.

    image : ndarray of shape (height, width, 3), dtype uint8
        The image in RGB.

    location : str
        Name of the image in error messages.

    Returns
    -------
    values : ndarray of shape (n_descriptors, n_dimensions)
        The descriptors as they are stored.

    points : ndarray of shape (n_descriptors, 2), dtype float32, or None
        Their places (x, y), in fractions of the width and height.

    Raises
    ------
    ValueError
        If the descriptor fails or returns something else.
    """
    try:
        if isinstance(descriptor, Descriptor):
            return descriptor.describe(image)
        if hasattr(descriptor, "describe"):
            described = descriptor.describe(image)
            if not isinstance(described, tuple) or len(described) != 2:
                raise ValueError(
                    f"descriptor={descriptor!r}: describe must return (values, points)."
                )
            values = _check_values(descriptor, described[0])
            return values, _check_points(descriptor, described[1], len(values))
        return _check_values(descriptor, descriptor(image)), None
    except Exception as error:  # a user's descriptor raises errors of all classes
        raise ValueError(
            f"{location} cannot be described: {type(error).__name__}: {error}"
        ) from error


def _check_values(descriptor, values) -> np.ndarray:
    fault = None
    if not isinstance(values, np.ndarray):
        fault = f"a {type(values).__name__}"
    elif values.ndim != 2 or values.shape[1] == 0 or values.dtype.kind not in "fiu":
        fault = f"an array of shape {values.shape} and dtype {values.dtype}"
    elif np.abs(values).max(initial=0) > np.finfo(np.float32).max:
        fault = "infinity or numbers beyond float32"
    elif not np.isfinite(values).all():
        fault = "NaN"
    if fault:
        raise ValueError(
            f"descriptor={descriptor!r} returned {fault}; it must return an array of "
            "numbers of shape (n_descriptors, n_dimensions), with n_descriptors = 0 "
            "if it finds nothing."
        )
    return values


def _check_points(descriptor, points, n_points) -> np.ndarray:
    points = np.asarray(points, dtype=np.float32)
    if points.shape != (n_points, 2) or not ((points >= 0) & (points <= 1)).all():
        raise ValueError(
            f"descriptor={descriptor!r}: the points of describe must be (x, y) for "
            f"each of {n_points} descriptors, in fractions of the width and height."
        )
    return points


def postprocess(descriptor, values) -> np.ndarray:
    """Convert stored descriptors to ``float32``, and apply `finish`."""
    values = values.astype(np.float32)
    return descriptor.finish(values) if hasattr(descriptor, "finish") else values
