"""Losses as objects with parameters."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops
from sklearn.base import BaseEstimator

from .._compat import DocLinkMixin, Interval, check_params
from ._functional import (
    compute_focal,
    crossentropy,
    dice,
    dice_crossentropy,
    jaccard,
    tversky,
)
from ._tensors import check_ignore_label, check_tensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import Tensor

_NOT_NEGATIVE = [Interval(Real, 0, None, closed="left")]
_register = keras.saving.register_keras_serializable(package="skinest")


def _check_class_weights(name, values):
    numbers = np.asarray(values)
    if (
        numbers.ndim != 1
        or len(numbers) < 2
        or numbers.dtype.kind not in "iuf"
        or not (np.isfinite(numbers) & (numbers > 0)).all()
    ):
        raise ValueError(
            f"{name}={values!r} must be a finite number above 0 for each of two or "
            "more classes, such as (1.0, 20.0)."
        )


class MaskLoss(DocLinkMixin, BaseEstimator, keras.losses.Loss):
    """Base class of losses: a function and its parameters, as a Keras loss.

    It is also an estimator, so that a search can set its parameters, as in
    ``segmenter__loss__smooth``.
    """

    _parameter_constraints: dict = {}

    def __init__(self, *, ignore_label: int | None = None) -> None:
        self.ignore_label = ignore_label
        super().__init__(name=type(self).__name__.lower(), dtype="float32")
        self._check()

    def _check(self):
        """Raise ValueError if a parameter is invalid."""
        check_params(self)
        check_ignore_label(self.ignore_label)

    # Keras' own writes a file.
    __reduce__ = object.__reduce__

    def __repr__(self) -> str:
        parameters = self.get_params(deep=False)
        if self.ignore_label is None:  # as for most losses
            del parameters["ignore_label"]
        listed = ", ".join(f"{name}={value!r}" for name, value in parameters.items())
        return f"{type(self).__name__}({listed})"

    def get_config(self) -> dict[str, Any]:
        """Return the parameters as numbers and lists that Keras can save."""
        config = self.get_params(deep=False)
        for name, value in config.items():
            if value is not None:
                dtype = int if name == "ignore_label" else float
                config[name] = np.asarray(value, dtype).tolist()
        return config

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Compute the loss of each image. Keras calls this method."""
        return self.per_image(y_true, y_pred)

    def per_image(
        self, y_true: Tensor, y_pred: Tensor, pixel_weight: Tensor | None = None
    ) -> Tensor:
        """Compute the loss of each image.

        Parameters
        ----------
        y_true, y_pred : tensor of shape (n_images, height, width, n_channels)
            Targets, 0 or 1 or `ignore_label`, and probabilities.

        pixel_weight : tensor of shape (n_images, height, width), default=None
            Weights of the pixels.

        Returns
        -------
        loss : tensor of shape (n_images,), dtype float32
        """
        return self._compute(y_true, y_pred, pixel_weight)

    def _compute(self, y_true, y_pred, pixel_weight=None, **parameters):
        """Compute the loss of each image, with tensors as some parameters."""
        parameters = {**self.get_params(deep=False), **parameters}
        return self._function(y_true, y_pred, pixel_weight=pixel_weight, **parameters)

    def _separate(self) -> tuple[dict, dict]:
        """Return what the computation depends on, and the numbers that it takes."""
        fixed, numbers = {}, {}
        for name, value in self.get_params(deep=False).items():
            if value is None or name == "ignore_label":
                fixed[name] = value
            else:
                numbers[name] = np.asarray(value, dtype=np.float32)
        return fixed, numbers


class _SmoothLoss(MaskLoss):
    """Base class of losses with the parameter `smooth` only."""

    _parameter_constraints: dict = {"smooth": _NOT_NEGATIVE}

    def __init__(self, smooth: float = 1.0, *, ignore_label: int | None = None) -> None:
        self.smooth = smooth
        super().__init__(ignore_label=ignore_label)


@_register
class Dice(_SmoothLoss):
    """Dice loss of each image, see :func:`dice`.

    Parameters
    ----------
    smooth : float, default=1.0
        Added to numerator and denominator; 0 or more.

    ignore_label : int, default=None
        Value in the targets, such as 255 or -1, of pixels that do not count. In
        :class:`~skinest.UNetSegmenter` set its own `ignore_label` instead.

    Examples
    --------
    >>> from skinest.losses import Dice
    >>> Dice(smooth=0.5)
    Dice(smooth=0.5)
    """

    _function = staticmethod(dice)


@_register
class Jaccard(_SmoothLoss):
    """Jaccard loss of each image, see :func:`jaccard`.

    Parameters
    ----------
    smooth : float, default=1.0
        Added to numerator and denominator; 0 or more.

    ignore_label : int, default=None
        Value in the targets, such as 255 or -1, of pixels that do not count. In
        :class:`~skinest.UNetSegmenter` set its own `ignore_label` instead.

    Examples
    --------
    >>> from skinest.losses import Jaccard
    >>> Jaccard(smooth=0.5)
    Jaccard(smooth=0.5)
    """

    _function = staticmethod(jaccard)


@_register
class Tversky(MaskLoss):
    """Tversky loss of each image, see :func:`tversky`.

    Parameters
    ----------
    alpha : float, default=0.3
        Weight of false positives; 0 or more.

    beta : float, default=0.7
        Weight of false negatives; 0 or more.

    smooth : float, default=1.0
        Added to numerator and denominator; 0 or more.

    ignore_label : int, default=None
        Value in the targets, such as 255 or -1, of pixels that do not count. In
        :class:`~skinest.UNetSegmenter` set its own `ignore_label` instead.

    Examples
    --------
    >>> from skinest.losses import Tversky
    >>> Tversky(alpha=0.1, beta=0.9)
    Tversky(alpha=0.1, beta=0.9, smooth=1.0)
    """

    _parameter_constraints: dict = dict.fromkeys(
        ("alpha", "beta", "smooth"), _NOT_NEGATIVE
    )
    _function = staticmethod(tversky)

    def __init__(
        self,
        alpha: float = 0.3,
        beta: float = 0.7,
        smooth: float = 1.0,
        *,
        ignore_label: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.beta = beta
        self.smooth = smooth
        super().__init__(ignore_label=ignore_label)


@_register
class Crossentropy(MaskLoss):
    """Cross entropy of each image, see :func:`crossentropy`.

    Parameters
    ----------
    ignore_label : int, default=None
        Value in the targets, such as 255 or -1, of pixels that do not count. In
        :class:`~skinest.UNetSegmenter` set its own `ignore_label` instead.

    Examples
    --------
    >>> from skinest.losses import Crossentropy
    >>> Crossentropy()
    Crossentropy()
    """

    _function = staticmethod(crossentropy)


@_register
class WeightedCrossentropy(MaskLoss):
    """Cross entropy of each image, with weights of the classes.

    Parameters
    ----------
    weights : sequence of float
        A finite number above 0 for each class. With one channel, the weights of
        background and foreground; with more, one weight per channel. They are
        multiplied with any `pixel_weight`.

    ignore_label : int, default=None
        Value in the targets, such as 255 or -1, of pixels that do not count. In
        :class:`~skinest.UNetSegmenter` set its own `ignore_label` instead.

    See Also
    --------
    crossentropy : The formula, and how the sum is normalised.

    Examples
    --------
    >>> from skinest.losses import WeightedCrossentropy
    >>> WeightedCrossentropy((1.0, 20.0))
    WeightedCrossentropy(weights=(1.0, 20.0))
    """

    def __init__(
        self, weights: Sequence[float], *, ignore_label: int | None = None
    ) -> None:
        self.weights = weights
        super().__init__(ignore_label=ignore_label)

    def _check(self):
        """Raise ValueError if a parameter is invalid."""
        super()._check()
        _check_class_weights("weights", self.weights)

    def _function(self, y_true, y_pred, *, pixel_weight, weights, ignore_label):
        y_true, y_pred, pixel_weight = check_tensors(
            y_true, y_pred, pixel_weight, ignore_label
        )
        n_classes = max(y_pred.shape[-1], 2)
        if np.shape(weights)[0] != n_classes:
            raise ValueError(f"weights={weights!r} must be {n_classes}, one per class.")
        classes = y_true
        if y_pred.shape[-1] == 1:
            classes = ops.concatenate([1 - y_true, y_true], axis=-1)
        of_class = ops.convert_to_tensor(weights, "float32")
        class_weight = ops.sum(classes * of_class, axis=-1)
        if pixel_weight is not None:
            class_weight = class_weight * pixel_weight
        return crossentropy(y_true, y_pred, pixel_weight=class_weight)


@_register
class Focal(MaskLoss):
    """Focal loss of each image, see :func:`focal`.

    Parameters
    ----------
    gamma : float, default=2.0
        Focusing exponent, 0 or more. Larger values reduce the weight of pixels that are
        already predicted well.

    alpha : float or sequence of float, default=None
        Weights of the classes: a number from 0 to 1, or for two or more channels a
        finite number above 0 per channel. With None, all weights are 1.

    ignore_label : int, default=None
        Value in the targets, such as 255 or -1, of pixels that do not count. In
        :class:`~skinest.UNetSegmenter` set its own `ignore_label` instead.

    Examples
    --------
    >>> from skinest.losses import Focal
    >>> Focal(alpha=0.75)
    Focal(alpha=0.75, gamma=2.0)
    """

    _parameter_constraints: dict = {
        "gamma": _NOT_NEGATIVE,
        "alpha": [Interval(Real, 0, 1, closed="both"), "array-like", None],
    }

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | Sequence[float] | None = None,
        *,
        ignore_label: int | None = None,
    ) -> None:
        self.gamma = gamma
        self.alpha = alpha
        super().__init__(ignore_label=ignore_label)

    def _check(self):
        """Raise ValueError if a parameter is invalid."""
        super()._check()
        if self.alpha is not None and not isinstance(self.alpha, Real):
            _check_class_weights("alpha", self.alpha)

    def _function(self, y_true, y_pred, *, pixel_weight, gamma, alpha, ignore_label):
        clips = self.gamma < 1
        return compute_focal(
            y_true, y_pred, pixel_weight, gamma, alpha, ignore_label, clips=clips
        )

    def _separate(self) -> tuple[dict, dict]:
        """Return what the computation depends on, and the numbers that it takes."""
        fixed, numbers = super()._separate()
        return {**fixed, "clips": bool(self.gamma < 1)}, numbers


@_register
class DiceCrossentropy(_SmoothLoss):
    """Sum of Dice loss and cross entropy, see :func:`dice_crossentropy`.

    Parameters
    ----------
    smooth : float, default=1.0
        Added to numerator and denominator of the Dice loss; 0 or more.

    ignore_label : int, default=None
        Value in the targets, such as 255 or -1, of pixels that do not count. In
        :class:`~skinest.UNetSegmenter` set its own `ignore_label` instead.

    Examples
    --------
    >>> from skinest.losses import DiceCrossentropy
    >>> DiceCrossentropy()
    DiceCrossentropy(smooth=1.0)
    """

    _function = staticmethod(dice_crossentropy)
