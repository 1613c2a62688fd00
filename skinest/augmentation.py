"""Random variants of training images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import inspect
import random
import sys
import threading
from contextlib import contextmanager
from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval

__all__ = ["Augmentation"]

# Keras layers hold the state of their generators, one call at a time may set it.
_keras_lock = threading.Lock()


class Augmentation(BaseEstimator):
    """Random flip, zoom, rotation, shift and change of light of an image.

    An object of parameters that can be searched, as in
    ``clf__augmentation__rotation``, and that is called with an image and a
    generator. Each number below is drawn uniformly from its range, for each image.

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
        rotation=10,
        shift=0.1,
        zoom=0.0,
        horizontal_flip=True,
        vertical_flip=False,
        brightness=0.0,
        contrast=0.0,
    ):
        self.rotation = rotation
        self.shift = shift
        self.zoom = zoom
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip
        self.brightness = brightness
        self.contrast = contrast

    def __call__(self, image, random_state) -> np.ndarray:
        """Draw a variant of an image.

        Parameters
        ----------
        image : ndarray of shape (height, width, 3), dtype uint8
            The image in RGB. It is not changed.

        random_state : numpy.random.Generator
            Where the numbers are drawn from. The same state gives the same variant.

        Returns
        -------
        variant : ndarray of shape (height, width, 3), dtype uint8
            A new array.

        Raises
        ------
        ValueError
            If a parameter is outside its range or `image` is not such an array.
        TypeError
            If `random_state` is not a generator.
        """
        self._validate_params()
        _check_arguments(image, random_state)
        matrix, brightness, contrast = self._draw(image.shape[:2], random_state)
        return _relight(_warp(image, matrix), brightness, contrast)

    def _draw(self, shape, random_state):
        """Matrix of the warp, brightness to add and factor of contrast."""
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


def _check_arguments(image, random_state):
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


def _inverse_matrix(shape, flip, scale, angle, shift) -> np.ndarray:
    """Affine map of shape (2, 3) from each (x, y) of the variant into the image."""
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
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _relight(image, brightness, contrast) -> np.ndarray:
    if brightness == 0 and contrast == 1:
        return image
    import cv2

    mean = np.mean(cv2.mean(image)[:3])
    values = mean + contrast * (np.arange(256) - mean) + 255 * brightness
    return cv2.LUT(image, np.rint(np.clip(values, 0, 255)).astype(np.uint8))


def check_augmentation(augmentation):
    """Check what a user passed as `augmentation`, before long work begins.

    Parameters
    ----------
    augmentation : Augmentation, callable, keras.Layer or None
        A callable takes an image and a ``numpy.random.Generator`` and returns an
        image. A Keras layer, or a ``keras.Sequential`` of them, takes and returns
        batches of values from 0 to 255. None changes nothing.

    Returns
    -------
    augmentation : Augmentation, callable, keras.Layer or None
        The same object, but a copy of a Keras layer, for :func:`apply_augmentation`.

    Raises
    ------
    ValueError
        If a parameter is outside its range or a Keras layer cannot be copied.
    TypeError
        If it is a class or not callable.
    """
    if augmentation is None:
        return None
    if inspect.isclass(augmentation):
        name = augmentation.__name__
        raise TypeError(f"augmentation={name} is a class; pass an object: {name}(...).")
    if not callable(augmentation):
        raise TypeError(
            f"augmentation={augmentation!r} is of type {type(augmentation).__name__}; "
            "pass an Augmentation, a callable (image, random_state) -> image, a Keras "
            "layer or None."
        )
    if _is_keras_layer(augmentation):
        return _copy_layer(augmentation)
    if isinstance(augmentation, Augmentation):
        augmentation._validate_params()
    return augmentation


def apply_augmentation(augmentation, image, random_state) -> np.ndarray:
    """Draw a variant of an image.

    Parameters
    ----------
    augmentation : Augmentation, callable, keras.Layer or None
        From :func:`check_augmentation`. What a Keras layer returns is rounded and
        clipped to 0 to 255; all its ``keras.random.SeedGenerator`` are set anew.

    image : ndarray of shape (height, width, 3), dtype uint8
        The image in RGB. It is not changed.

    random_state : numpy.random.Generator
        Where all that is random comes from.

    Returns
    -------
    variant : ndarray of shape (height, width, 3), dtype uint8
        A new array, or `image` itself if `augmentation` is None.

    Raises
    ------
    ValueError
        If `augmentation` returns anything but an image of the same shape.
    """
    if augmentation is None:
        return image
    if _is_keras_layer(augmentation):
        variant = _call_layer(augmentation, image, random_state)
    else:
        variant = augmentation(image.copy(), random_state)
    fault = None
    if not isinstance(variant, np.ndarray):
        fault = f"a {type(variant).__name__}"
    elif variant.shape != image.shape or variant.dtype != np.uint8:
        fault = f"an array of shape {variant.shape} and dtype {variant.dtype}"
    if fault:
        raise ValueError(
            f"augmentation={augmentation!r} returned {fault}; it must return an array "
            f"of the image's shape {image.shape} and dtype uint8."
        )
    return variant


def _is_keras_layer(augmentation) -> bool:
    # Who passes a layer has imported Keras; nobody else needs it.
    return isinstance(augmentation, getattr(sys.modules.get("keras"), "Layer", ()))


@contextmanager
def _python_random(seed):
    """Seed Python's generator, which Keras draws from, and put it back at the end."""
    state = random.getstate()
    try:
        random.seed(seed)
        yield
    finally:
        random.setstate(state)


def _copy_layer(layer):
    scope = sys.modules["keras"].saving.custom_object_scope(_classes(layer))
    try:
        # Unlike from_config, this keeps weights and takes Lambda layers.
        with _keras_lock, _python_random(0), scope:
            return copy.deepcopy(layer)
    except Exception as error:
        raise ValueError(
            f"augmentation={layer!r} cannot be copied: give it a complete get_config, "
            "or pass a callable (image, random_state) -> image."
        ) from error


def _classes(layer) -> dict:
    """Classes of a layer and of those in it, so that none need be registered."""
    found = {type(layer).__name__: type(layer)}
    for inner in getattr(layer, "layers", ()):
        found.update(_classes(inner))
    return found


def _call_layer(layer, image, random_state) -> np.ndarray:
    batch = image[np.newaxis].astype(np.float32)
    seed = int(random_state.integers(2**63))
    with _keras_lock, _python_random(seed):
        if not layer.built:
            layer(batch, training=True)  # may make seed generators
            random.seed(seed)
        for variable in layer.variables:
            if variable.name == "seed_generator_state":
                # 30 bits, as some backends hold the state in signed 32.
                variable.assign([random.getrandbits(30), random.getrandbits(30)])
        values = sys.modules["keras"].ops.convert_to_numpy(layer(batch, training=True))
    values = values.astype(np.float32)
    if values.shape != batch.shape or not np.isfinite(values).all():
        raise ValueError(
            f"augmentation={layer!r} returned values of shape {values.shape}; a Keras "
            f"layer must return finite values of the shape of its input, {batch.shape}."
        )
    return np.rint(np.clip(values[0], 0, 255)).astype(np.uint8)
