"""Checks and calls of the parameter `augmentation`, for images and for pairs."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import inspect
import random
import sys
import threading
from contextlib import contextmanager

import numpy as np

from ._compat import check_params, list_seed_states, preserved_random_state
from .augmentation import Augmentation

# Keras layers store the state of their generators, so only one call at a time may set
# it.
_keras_lock = threading.Lock()

_IMAGE_CALL = "(image, random_state) -> image"
_PAIR_CALL = "(image, mask, random_state) -> (image, mask)"

# The mask value of pixels outside the image.
_OUTSIDE = 255

# Keras layers whose masks do not fit the images, with the reason.
_UNFIT_FOR_MASKS = {
    "AugMix": "blends several variants of a mask, so that labels become fractions",
    "CutMix": "mixes the images of a batch, but a pair is augmented alone",
    "MixUp": "blends masks, so that labels become fractions",
    "RandomElasticTransform": "distorts the mask and the image differently",
}

# Keras layers that mix the images of a batch with their labels.
_MIXING_LAYERS = ("CutMix", "MixUp")

# Keras layers that take no masks and do not move pixels.
_POINTWISE_LAYERS = (
    "ContrastLimitedAdaptiveHistogramEqualization",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Normalization",
    "RandomGrayscale",
    "Rescaling",
)


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
        If a parameter is outside its range, or a Keras layer cannot be copied or mixes
        images.
    TypeError
        If it is a class or not callable.
    """
    augmentation = _check_kind(augmentation, _IMAGE_CALL)
    if _is_keras_layer(augmentation):
        for part in _list_parts(augmentation):
            _check_channels(part)
            _check_mixes_nothing(part)
    return augmentation


def check_pair_augmentation(augmentation):
    """Check an `augmentation` of images and their masks.

    Parameters
    ----------
    augmentation : Augmentation, callable, keras.Layer or None
        A callable takes an image, its mask and a ``numpy.random.Generator`` and
        returns both. A Keras layer takes and returns
        ``{"images": ..., "segmentation_masks": ...}``, as the image preprocessing
        layers of Keras do. Layers that change each value separately get the image only.
        The layers of a ``keras.Sequential`` or ``keras.layers.Pipeline`` are called one
        by one. A layer of a user gets masks of shape (1, height, width, 1). Layers of
        Keras get masks with one channel per label.

    Returns
    -------
    augmentation : Augmentation, callable, keras.Layer or None
        The same object, but a copy of a Keras layer, for :func:`apply_to_pair`.

    Raises
    ------
    ValueError
        If a parameter is out of range, or a Keras layer cannot be copied, does not
        accept masks, or is known to transform masks differently from images.
    TypeError
        If it is a class or not callable, or cannot be called as above.
    """
    augmentation = _check_kind(augmentation, _PAIR_CALL)
    if _is_keras_layer(augmentation):
        for part in _list_parts(augmentation):
            _check_takes_masks(part)
    elif augmentation is not None:
        _check_signature(augmentation)
    return augmentation


def apply_augmentation(augmentation, image, random_state) -> np.ndarray:
    """Return an augmented copy of an image.

    Parameters
    ----------
    augmentation : Augmentation, callable, keras.Layer or None
        A value from :func:`check_augmentation`. The output of a Keras layer is rounded
        and clipped to 0 to 255. All its ``keras.random.SeedGenerator`` are seeded
        again.

    image : ndarray of shape (height, width, 3), dtype uint8
        The image in RGB. It is not changed.

    random_state : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    variant : ndarray of shape (height, width, 3), dtype uint8
        A new array, or `image` itself if `augmentation` is None.

    Raises
    ------
    ValueError
        If `augmentation` does not return an image of the same shape.
    """
    if augmentation is None:
        return image
    if _is_keras_layer(augmentation):
        variant = _call_layer(augmentation, image, random_state)
    else:
        variant = augmentation(image.copy(), random_state)
    fault = _find_fault(variant, image)
    if fault:
        raise ValueError(
            f"augmentation={augmentation!r} returned {fault}; it must return an array "
            f"of the image's shape {image.shape} and dtype uint8."
        )
    return variant


def apply_to_pair(augmentation, image, mask, random_state):
    """Return an augmented copy of an image and its mask.

    Parameters
    ----------
    augmentation : Augmentation, callable, keras.Layer or None
        A value from :func:`check_pair_augmentation`, used as in
        :func:`apply_augmentation`. If a layer of Keras fills pixels outside the image
        with a constant, the mask is 255 there.

    image : ndarray of shape (height, width, 3), dtype uint8
        The image in RGB. It is not changed.

    mask : ndarray of shape (height, width), dtype uint8
        A class index for each pixel, and 255 for pixels outside the image. It is not
        changed.

    random_state : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    variant : ndarray of shape (height, width, 3), dtype uint8
        A new array, or `image` itself if `augmentation` is None. It is the same as
        without a mask.

    mask_variant : ndarray of shape (height, width), dtype uint8
        A new array, or `mask` itself if `augmentation` is None. Its only values are
        those of `mask`, 0 and 255.

    Raises
    ------
    ValueError
        If `augmentation` does not return such a pair.
    """
    if augmentation is None:
        return image, mask
    if _is_keras_layer(augmentation):
        pair = _call_layer_with_mask(augmentation, image, mask, random_state)
    elif isinstance(augmentation, Augmentation):
        pair = augmentation(image, random_state, mask=mask)
    else:
        pair = augmentation(image.copy(), mask.copy(), random_state)
    fault = _find_pair_fault(pair, image, mask)
    if fault:
        raise ValueError(
            f"augmentation={augmentation!r} returned {fault}; for an image and its "
            f"mask it must return both, as arrays of shapes {image.shape} and "
            f"{mask.shape} and dtype uint8."
        )
    if not isinstance(augmentation, Augmentation):
        _check_class_indices(pair[1], mask, augmentation)
    return tuple(pair)


def _check_kind(augmentation, contract):
    if augmentation is None:
        return None
    if inspect.isclass(augmentation):
        name = augmentation.__name__
        raise TypeError(f"augmentation={name} is a class; pass an object: {name}(...).")
    if not callable(augmentation):
        raise TypeError(
            f"augmentation={augmentation!r} is of type {type(augmentation).__name__}; "
            f"pass an Augmentation, a callable {contract}, a Keras layer or None."
        )
    if _is_keras_layer(augmentation):
        return _copy_layer(augmentation, contract)
    if isinstance(augmentation, Augmentation):
        check_params(augmentation)
    return augmentation


def _check_signature(augmentation):
    """Raise TypeError unless a callable takes masks."""
    try:
        signature = inspect.signature(augmentation)
    except ValueError:  # some that are written in C have none
        return
    try:
        if isinstance(augmentation, Augmentation):
            signature.bind(None, None, mask=None)
            return
        signature.bind(None, None, None)
        misplaced = list(signature.parameters)[1:2] == ["random_state"]
    except TypeError:
        misplaced = True
    if misplaced:
        raise TypeError(
            f"augmentation={augmentation!r} takes {signature}, but masks must be "
            f"augmented with their images: pass a callable {_PAIR_CALL} that "
            "transforms both in the same way and keeps the labels, or an Augmentation."
        )


def _find_fault(variant, reference):
    """Return a description of the error in a user's result, or None."""
    if not isinstance(variant, np.ndarray):
        return f"a {type(variant).__name__}"
    if variant.shape != reference.shape or variant.dtype != np.uint8:
        return f"an array of shape {variant.shape} and dtype {variant.dtype}"
    return None


def _find_pair_fault(pair, image, mask):
    if not isinstance(pair, tuple | list):
        return _find_fault(pair, mask) or "an array"
    if len(pair) != 2:
        return f"a {type(pair).__name__} of {len(pair)}"
    for name, variant, reference in [
        ("image", pair[0], image),
        ("mask", pair[1], mask),
    ]:
        fault = _find_fault(variant, reference)
        if fault:
            return f"{fault} as {name}"
    return None


def _check_class_indices(class_indices, mask, augmentation):
    """Raise ValueError if a mask has new class indices after augmentation."""
    known = np.bincount(mask.ravel(), minlength=256) > 0
    known[[0, _OUTSIDE]] = True
    with np.errstate(invalid="ignore"):
        nearest = class_indices.astype(np.uint8)
    strange = (nearest != class_indices) | ~known[nearest]
    if strange.any():
        values = np.unique(class_indices[strange])[:5].tolist()
        raise ValueError(
            f"augmentation={augmentation!r} returned a mask with new values, such as "
            f"{values}. Labels must not be interpolated: use the nearest pixel, and "
            "fill with 0 or 255."
        )


def _is_keras_layer(augmentation) -> bool:
    # If there is a Keras layer, Keras has been imported. Do not import it otherwise.
    return isinstance(augmentation, getattr(sys.modules.get("keras"), "Layer", ()))


@contextmanager
def _python_random(seed):
    """Seed Python's generator, which Keras uses, and restore its state at the end.

    Inside of a training the state is that of its callbacks, so it is restored at once,
    and not only when the training ends.
    """
    with preserved_random_state():
        state = random.getstate()
        try:
            random.seed(seed)
            yield
        finally:
            random.setstate(state)


def _copy_layer(layer, contract):
    keras = sys.modules["keras"]
    scope = keras.saving.custom_object_scope(_collect_classes(layer))
    try:
        # Unlike from_config, this copies weights and supports Lambda layers. A model's
        # own methods for copying are changed when SciKeras is imported.
        with _keras_lock, _python_random(0), scope:
            rebuild, arguments = keras.layers.Layer.__reduce__(layer)
            return rebuild(*arguments)
    except Exception as error:
        raise ValueError(
            f"augmentation={layer!r} cannot be copied: {_find_reason(error)} Add a "
            "complete get_config to a class of yours, choose other arguments, or pass "
            f"a callable {contract}."
        ) from error


def _find_reason(error) -> str:
    """Return the innermost reason why Keras cannot make a layer, as one sentence."""
    reason = str(error).rpartition("Exception encountered: ")[2].strip()
    line = reason.partition("\n")[0] or type(error).__name__
    return f"{line.rstrip('.:')}."


def _collect_classes(layer) -> dict:
    """Return the classes of a layer and its inner layers, which may be unregistered."""
    found = {type(layer).__name__: type(layer)}
    for inner in getattr(layer, "layers", ()):
        found.update(_collect_classes(inner))
    return found


def _call_seeded(layer, built, call, random_state):
    """Call a layer with all its random states set from a generator."""
    seed = int(random_state.integers(2**63))
    with _keras_lock, _python_random(seed):
        if not built:
            call()  # may make seed generators
            random.seed(seed)
        for variable in list_seed_states(layer):
            # 30 bits, as some backends hold the state in signed 32.
            variable.assign([random.getrandbits(30), random.getrandbits(30)])
        return call()


def _call_layer(layer, image, random_state) -> np.ndarray:
    batch = image[np.newaxis].astype(np.float32)

    def call():
        return layer(batch, training=True)

    return _as_image(_call_seeded(layer, layer.built, call, random_state), layer, batch)


def _as_image(values, layer, batch) -> np.ndarray:
    values = sys.modules["keras"].ops.convert_to_numpy(values).astype(np.float32)
    if values.shape != batch.shape or not np.isfinite(values).all():
        raise ValueError(
            f"augmentation={layer!r} returned values of shape {values.shape}; a Keras "
            f"layer must return finite values of the shape of its input, {batch.shape}."
        )
    return np.rint(np.clip(values[0], 0, 255)).astype(np.uint8)


# Keras layers with masks


def _list_parts(layer) -> list:
    """List the layers that a layer calls one after the other, in this order.

    A Sequential that is built does not accept pairs, although its layers do.
    """
    keras = sys.modules["keras"]
    containers = (keras.Sequential, keras.layers.Pipeline)
    if type(layer).call not in [container.call for container in containers]:
        return [layer]
    return [part for inner in layer.layers for part in _list_parts(inner)]


def _is_pointwise(part) -> bool:
    layers = sys.modules["keras"].layers
    return type(part) in [getattr(layers, name, None) for name in _POINTWISE_LAYERS]


def _check_channels(part):
    """Raise ValueError if a Keras layer expects the channels in the first axis."""
    if getattr(part, "data_format", None) == "channels_first":
        raise ValueError(
            f"augmentation has {part!r} with data_format='channels_first', but the "
            "last axis of images has the channels. Pass data_format='channels_last' to "
            "the layer, or set keras.config.set_image_data_format('channels_last')."
        )


def _check_mixes_nothing(part):
    """Raise ValueError if a Keras layer would mix an image with itself."""
    layers = sys.modules["keras"].layers
    if type(part) in [getattr(layers, name, None) for name in _MIXING_LAYERS]:
        raise ValueError(
            f"augmentation has {part!r}, which mixes the images and labels of a "
            "batch, but each image is augmented alone. Use layers such as RandomFlip, "
            "RandomRotation or RandomErasing, or an Augmentation of skinest."
        )


def _check_takes_masks(part):
    layers = sys.modules["keras"].layers
    for name, reason in _UNFIT_FOR_MASKS.items():
        if isinstance(part, getattr(layers, name, ())):
            raise ValueError(
                f"augmentation has {part!r}, which cannot augment masks: it "
                f"{reason}. Use layers such as RandomFlip, RandomRotation, RandomZoom, "
                "RandomTranslation or RandomContrast, or an Augmentation of skinest."
            )
    _check_channels(part)
    image, mask = np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32), np.uint8)
    try:
        with _keras_lock, _python_random(0):
            _call_part(part, image[np.newaxis].astype(np.float32), mask)
    except Exception as error:
        raise ValueError(
            f"augmentation has {part!r}, which cannot augment masks: it must take and "
            'return {"images": ..., "segmentation_masks": ...}, as the image '
            f"preprocessing layers of Keras do, but raises {type(error).__name__}. "
            f"Pass a callable {_PAIR_CALL} instead."
        ) from error


def _call_layer_with_mask(layer, image, mask, random_state):
    batch, parts = image[np.newaxis].astype(np.float32), _list_parts(layer)

    def call():
        images, class_indices = batch, mask
        for part in parts:
            images, class_indices = _call_part(part, images, class_indices)
        return images, class_indices

    built = all(part.built for part in parts)
    images, class_indices = _call_seeded(layer, built, call, random_state)
    return _as_image(images, layer, batch), class_indices


def _call_part(part, images, mask):
    """Return images and mask after one layer, the mask as an array of uint8."""
    if _is_pointwise(part):
        return part(images, training=True), mask
    ops = sys.modules["keras"].ops
    own = type(part).__module__.startswith("keras.")
    labels, planes = _make_planes(mask) if own else (None, mask[..., np.newaxis])
    pair = {
        "images": ops.convert_to_tensor(images),
        "segmentation_masks": ops.convert_to_tensor(planes[np.newaxis], "float32"),
    }
    pair = part(pair, training=True)
    planes = ops.convert_to_numpy(pair["segmentation_masks"])[0].astype(np.float32)
    if own:
        return pair["images"], labels[planes.argmax(axis=-1)]
    _check_class_indices(planes[..., 0], mask, part)
    return pair["images"], planes[..., 0].astype(np.uint8)


def _make_planes(mask):
    """Return the class indices of a mask, and one binary plane for each.

    Keras before 3.14 interpolates masks, and it fills masks with the same value as
    images. Planes avoid both problems: the class of a pixel is the plane with the
    largest value, and if all planes are filled with the same value, it is the first
    plane.
    """
    held = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
    class_indices = np.array([_OUTSIDE, *held[held != _OUTSIDE]], dtype=np.uint8)
    return class_indices, mask[..., np.newaxis] == class_indices
