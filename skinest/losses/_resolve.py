"""Conversion of all losses that users can pass to one form."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import FunctionType

import joblib
import keras
import numpy as np
from keras import ops

from ._classes import (
    Crossentropy,
    Dice,
    DiceCrossentropy,
    Focal,
    Jaccard,
    MaskLoss,
    Tversky,
    WeightedCrossentropy,
)
from ._tensors import average_pixels, check_tensors

# Class weights become pixel weights, also for "weighted_crossentropy".
LOSSES = {
    "binary_crossentropy": Crossentropy,
    "dice": Dice,
    "dice_crossentropy": DiceCrossentropy,
    "focal": Focal,
    "jaccard": Jaccard,
    "tversky": Tversky,
    "weighted_crossentropy": Crossentropy,
}
# Classes whose configuration says all.
_COMPLETE = {*LOSSES.values(), WeightedCrossentropy}


@dataclass(frozen=True)
class ResolvedLoss:
    """Loss in the form that training uses.

    Parameters
    ----------
    per_image : callable
        ``per_image(y_true, y_pred, pixel_weight=None)``, see
        :meth:`Dice.per_image`. If `weighs_pixels` is False, it takes no weights.

    key : str
        Two losses have the same key only if they compute the same. It is valid within
        a process, as long as `per_image` exists.

    weighs_pixels : bool
        Whether pixels can be weighted.

    parameters : dict of str to ndarray, default={}
        Parameters that `per_image` also takes as tensors, by name. The key does not
        depend on their values.
    """

    per_image: Callable
    key: str
    weighs_pixels: bool
    parameters: dict = field(default_factory=dict)


def resolve_loss(loss, has_class_weight=False, n_channels=1) -> ResolvedLoss:
    """Convert the parameter `loss` to a function with one value per image.

    Parameters
    ----------
    loss : str, keras.losses.Loss or callable
        A name from ``LOSSES``, an instance from `skinest.losses`, or a loss of Keras:
        its name, an instance, or a function of `y_true` and `y_pred`. The reduction of
        Keras instances is ignored. A loss that sums over a batch is called with one
        image at a time.

    has_class_weight : bool, default=False
        Whether pixels will be weighted.

    n_channels : int, default=1
        Number of channels of the predictions.

    Returns
    -------
    resolved : ResolvedLoss

    Raises
    ------
    TypeError
        If `loss` is a class.
    ValueError
        If the name is unknown or a parameter is out of range, if the loss takes logits,
        cannot be computed for masks or does not depend on the predictions, or if
        pixels will be weighted and the loss does not support it or already has weights.
    """
    passed, loss = loss, _find_loss(loss)
    if isinstance(loss, MaskLoss):
        loss = copy.deepcopy(loss)  # the user may change its parameters later
        loss._check()
        loss.ignore_label = None  # such pixels already have the weight 0
        if has_class_weight and isinstance(loss, WeightedCrossentropy):
            raise ValueError(
                f"loss={passed!r} already weights the classes. Remove either its "
                "weights or class_weight."
            )
        _probe(loss.per_image, passed, n_channels)
        if type(loss) not in _COMPLETE:
            return ResolvedLoss(loss.per_image, _make_key(loss), True)
        fixed, numbers = loss._separate()
        key = type(loss).__name__ + json.dumps(fixed, sort_keys=True)
        return ResolvedLoss(loss._compute, key, True, numbers)
    if getattr(loss, "from_logits", False):
        raise ValueError(
            f"loss={passed!r} takes logits, but predictions are probabilities. Remove "
            "from_logits."
        )
    function = loss.call if isinstance(loss, keras.losses.Loss) else loss
    shape, masks = _probe(function, passed, n_channels)
    weighs_pixels = len(shape) in (3, 4) and shape[:3] == masks[:3]
    if has_class_weight and not weighs_pixels:
        raise ValueError(
            f"class_weight cannot be used with loss={passed!r}, which sums over "
            f"pixels. Use one of {sorted(LOSSES)} or a loss with one value per pixel."
        )
    if weighs_pixels:
        per_image = partial(_compute_pixelwise, function)
    elif shape[:1] == masks[:1]:
        per_image = partial(_compute_imagewise, function)
    else:
        per_image = partial(_compute_each_alone, function)
    return ResolvedLoss(per_image, _make_key(loss), weighs_pixels)


def _find_loss(loss):
    """Return the loss as an instance or function."""
    if isinstance(loss, str):
        if loss in LOSSES:
            return LOSSES[loss]()
        try:
            return keras.losses.get(loss)
        except ValueError as error:
            raise ValueError(
                f"loss={loss!r} is neither one of {sorted(LOSSES)} nor the name of a "
                "Keras loss."
            ) from error
    if isinstance(loss, type):
        name = loss.__name__
        raise TypeError(f"loss={name} is a class; pass an object: {name}(...).")
    return loss


def _probe(function, loss, n_channels):
    """Return the shapes of values and masks, from a call with rectangular masks."""
    shape = (n_channels + 1, n_channels + 7, n_channels + 5, n_channels)
    generator = np.random.default_rng(0)
    labels = generator.integers(max(n_channels, 2), size=shape[:3])
    y_true = labels[..., np.newaxis] == np.arange(1, n_channels + 1)
    if n_channels > 1:
        y_true = np.eye(n_channels)[labels]
    truth, results = ops.convert_to_tensor(y_true, "float32"), []
    for _ in range(2):
        y_pred = generator.uniform(0.1, 0.9, size=shape)
        if n_channels > 1:
            y_pred /= y_pred.sum(axis=-1, keepdims=True)
        try:
            values = function(truth, ops.convert_to_tensor(y_pred, "float32"))
            results.append(ops.convert_to_numpy(values))
        except Exception as error:
            raise ValueError(
                f"loss={loss!r} cannot be computed for masks and probabilities of "
                f"shape {shape}: {textwrap.shorten(str(error), 300)}"
            ) from error
    if not np.isfinite(results).all() or np.allclose(*results, rtol=1e-4, atol=0):
        raise ValueError(
            f"loss={loss!r} is not finite or is the same for all predictions of "
            f"{n_channels} channel(s), so the network cannot learn from it."
        )
    return results[0].shape, shape


def _compute_pixelwise(function, y_true, y_pred, pixel_weight=None):
    y_true, y_pred, pixel_weight = check_tensors(y_true, y_pred, pixel_weight)
    values = ops.convert_to_tensor(function(y_true, y_pred), "float32")
    if len(values.shape) == 4:
        values = ops.mean(values, axis=-1)
    return average_pixels(values, pixel_weight)


def _compute_imagewise(function, y_true, y_pred, pixel_weight=None):
    y_true, y_pred = _check_unweighted(y_true, y_pred, pixel_weight)
    values = ops.convert_to_tensor(function(y_true, y_pred), "float32")
    return ops.mean(ops.reshape(values, (ops.shape(y_pred)[0], -1)), axis=-1)


def _compute_each_alone(function, y_true, y_pred, pixel_weight=None):
    def alone(image):
        y_true, y_pred = (ops.expand_dims(values, 0) for values in image)
        return ops.mean(ops.convert_to_tensor(function(y_true, y_pred), "float32"))

    return ops.map(alone, _check_unweighted(y_true, y_pred, pixel_weight))


def _check_unweighted(y_true, y_pred, pixel_weight):
    if pixel_weight is not None:
        raise ValueError("This loss sums over pixels and accepts no pixel weights.")
    return check_tensors(y_true, y_pred, None)[:2]


def _make_key(loss) -> str:
    """Return a text that two existing losses share only if they compute the same."""
    is_code = isinstance(loss, type | FunctionType)
    kind = loss if is_code else type(loss)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if is_code:
        return f"{name}@{id(loss)}"
    if kind in _COMPLETE or getattr(keras.losses, kind.__name__, None) is kind:
        config = {**loss.get_config(), "name": None}
        return name + json.dumps(config, sort_keys=True, default=joblib.hash)
    state = id(loss)
    if isinstance(loss, keras.losses.Loss):
        try:
            values = {**loss.__getstate__(), "name": None}.items()
            state = joblib.hash(
                {
                    key: _make_key(value) if callable(value) else value
                    for key, value in values
                }
            )
        except Exception:
            pass  # some attributes cannot be pickled
    return f"{name}@{id(kind)}:{state}"
