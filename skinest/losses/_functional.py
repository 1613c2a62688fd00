"""Losses as functions of tensors."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import ops

from ._tensors import average_pixels, check_tensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import Tensor


def dice(
    y_true: Tensor,
    y_pred: Tensor,
    *,
    pixel_weight: Tensor | None = None,
    smooth: float = 1.0,
    ignore_label: int | None = None,
) -> Tensor:
    r"""Compute the Dice loss of each image.

    .. math:: 1 - \frac{2 \sum w t p + s}{\sum w t + \sum w p + s}

    The sums are over the pixels of an image, with targets t, probabilities p and
    weights w.

    Parameters
    ----------
    y_true, y_pred : tensor of shape (n_images, height, width, n_channels)
        Targets, 0 or 1, and probabilities. A single channel is the foreground. Of
        several channels, the first is the background and is left out; the losses of
        the others are averaged.

    pixel_weight : tensor of shape (n_images, height, width), default=None
        Weights w of the pixels.

    smooth : float, default=1.0
        The constant s. It has two effects for an empty mask: the loss of an empty
        prediction is 0, and the loss decreases if less foreground is predicted. Values
        below 1e-7 are replaced by 1e-7.

    ignore_label : int, default=None
        Value in `y_true`, such as 255 or -1, of pixels that are not labelled. They
        count nowhere. An image of such pixels only has a loss of 0.

    Returns
    -------
    loss : tensor of shape (n_images,), dtype float32
        From 0 to 1.

    Raises
    ------
    ValueError
        If shapes differ, targets or probabilities are not in [0, 1], or a weight is
        negative. In a compiled model of Keras, values can be checked only if it was
        compiled with ``run_eagerly=True``. Otherwise there is no error, but the loss is
        NaN if targets are not in [0, 1], as in masks of 0 and 255.

    See Also
    --------
    Dice : The same as an object, for `loss` of a segmenter.

    References
    ----------
    M. Drozdzal et al., "The importance of skip connections in biomedical image
    segmentation", DLMIA 2016, without s. The denominator has the sum of p, not of its
    square as in F. Milletari et al., "V-Net", 3DV 2016.

    Examples
    --------
    >>> from skinest.losses import dice
    >>> y_true = [[[[1.0], [1.0], [0.0]]]]
    >>> y_pred = [[[[1.0], [0.5], [0.5]]]]
    >>> loss = dice(y_true, y_pred, smooth=0.0)
    >>> round(float(loss[0]), 3)  # 1 - 2 * 1.5 / (2 + 2)
    0.25
    """
    return _region_loss(
        y_true, y_pred, pixel_weight, ignore_label, 0.5, 0.5, smooth / 2
    )


def jaccard(
    y_true: Tensor,
    y_pred: Tensor,
    *,
    pixel_weight: Tensor | None = None,
    smooth: float = 1.0,
    ignore_label: int | None = None,
) -> Tensor:
    r"""Compute the Jaccard loss of each image, 1 - intersection over union.

    .. math:: 1 - \frac{\sum w t p + s}{\sum w t + \sum w p - \sum w t p + s}

    Parameters
    ----------
    y_true, y_pred, pixel_weight : tensor
        As in :func:`dice`.

    smooth : float, default=1.0
        s, as in :func:`dice`.

    ignore_label : int, default=None
        Value in `y_true` of pixels that do not count, as in :func:`dice`.

    Returns
    -------
    loss : tensor of shape (n_images,), dtype float32
        From 0 to 1.

    Raises
    ------
    ValueError
        If shapes or values are invalid, as in :func:`dice`.

    See Also
    --------
    Jaccard : The same as an object, for `loss` of a segmenter.

    References
    ----------
    M. A. Rahman and Y. Wang, "Optimizing intersection-over-union in deep neural
    networks for image segmentation", ISVC 2016, without s.

    Examples
    --------
    >>> from skinest.losses import jaccard
    >>> y_true = [[[[1.0], [1.0], [0.0]]]]
    >>> y_pred = [[[[1.0], [0.5], [0.5]]]]
    >>> loss = jaccard(y_true, y_pred, smooth=0.0)
    >>> round(float(loss[0]), 3)  # 1 - 1.5 / (2 + 2 - 1.5)
    0.4
    """
    return _region_loss(y_true, y_pred, pixel_weight, ignore_label, 1.0, 1.0, smooth)


def tversky(
    y_true: Tensor,
    y_pred: Tensor,
    *,
    pixel_weight: Tensor | None = None,
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth: float = 1.0,
    ignore_label: int | None = None,
) -> Tensor:
    r"""Compute the Tversky loss of each image.

    .. math:: 1 - \frac{\sum w t p + s}
        {\sum w t p + \alpha \sum w (1 - t) p + \beta \sum w t (1 - p) + s}

    It is the Dice loss if `alpha` and `beta` are 1/2, and the Jaccard loss if both are
    1.

    Parameters
    ----------
    y_true, y_pred, pixel_weight : tensor
        As in :func:`dice`.

    alpha : float, default=0.3
        Weight of false positives.

    beta : float, default=0.7
        Weight of false negatives.

    smooth : float, default=1.0
        s, as in :func:`dice`.

    ignore_label : int, default=None
        Value in `y_true` of pixels that do not count, as in :func:`dice`.

    Returns
    -------
    loss : tensor of shape (n_images,), dtype float32
        From 0 to 1.

    Raises
    ------
    ValueError
        If shapes or values are invalid, as in :func:`dice`.

    See Also
    --------
    Tversky : The same as an object, for `loss` of a segmenter.

    Notes
    -----
    Some versions of Keras, such as 3.15, exchange `alpha` and `beta` in
    ``keras.losses.Tversky``.

    References
    ----------
    S. S. M. Salehi, D. Erdogmus and A. Gholipour, "Tversky loss function for image
    segmentation using 3D fully convolutional deep networks", MLMI 2017, equations
    2 and 3, without s.

    Examples
    --------
    >>> from skinest.losses import tversky
    >>> y_true = [[[[1.0], [1.0], [0.0]]]]
    >>> missed, added = [[[[1.0], [0.0], [0.0]]]], [[[[1.0], [1.0], [1.0]]]]
    >>> loss = [float(tversky(y_true, y, smooth=0.0)[0]) for y in (missed, added)]
    >>> [round(value, 3) for value in loss]  # 0.7 / 1.7 and 0.3 / 2.3
    [0.412, 0.13]
    """
    return _region_loss(y_true, y_pred, pixel_weight, ignore_label, alpha, beta, smooth)


def crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    *,
    pixel_weight: Tensor | None = None,
    ignore_label: int | None = None,
) -> Tensor:
    r"""Compute the cross entropy of each image, as Keras does.

    .. math:: - \frac{1}{n} \sum w \sum_c t_c \log p_c

    The outer sum is over the pixels of an image; n of them have a weight that is not 0.
    With one channel, the classes c are the foreground, with probability p, and the
    background, with probability 1 - p.

    Parameters
    ----------
    y_true, y_pred : tensor
        As in :func:`dice`, but the background is included.

    pixel_weight : tensor of shape (n_images, height, width), default=None
        Weights w of the pixels. The sum is divided by the number n of pixels whose
        weight is not 0, not by the sum of the weights.

    ignore_label : int, default=None
        Value in `y_true` of pixels that do not count, as in :func:`dice`.

    Returns
    -------
    loss : tensor of shape (n_images,), dtype float32
        0 or more. Keras clips p to [1e-7, 1 - 1e-7]. With the TensorFlow backend, if
        `y_pred` comes from a sigmoid or softmax in float32, Keras uses the logits
        instead and does not clip.

    Raises
    ------
    ValueError
        If shapes or values are invalid, as in :func:`dice`.

    See Also
    --------
    Crossentropy : The same as an object, for `loss` of a segmenter.

    Examples
    --------
    >>> from skinest.losses import crossentropy
    >>> loss = crossentropy([[[[1.0], [0.0]]]], [[[[0.5], [0.5]]]])
    >>> round(float(loss[0]), 3)  # log 2
    0.693
    """
    y_true, y_pred, pixel_weight = check_tensors(
        y_true, y_pred, pixel_weight, ignore_label
    )
    if y_pred.shape[-1] == 1:
        values = keras.losses.binary_crossentropy(y_true, y_pred)
    else:
        values = keras.losses.categorical_crossentropy(y_true, y_pred)
    return average_pixels(values, pixel_weight)


def focal(
    y_true: Tensor,
    y_pred: Tensor,
    *,
    pixel_weight: Tensor | None = None,
    gamma: float = 2.0,
    alpha: float | Sequence[float] | None = None,
    ignore_label: int | None = None,
) -> Tensor:
    r"""Compute the focal loss of each image, as Keras does.

    .. math:: - \frac{1}{n} \sum w \sum_c \alpha_c t_c (1 - p_c)^\gamma \log p_c

    The outer sum is over the pixels of an image; n of them have a weight that is not 0.
    With one channel, the classes c are the foreground, with probability p, and the
    background, with probability 1 - p.

    Parameters
    ----------
    y_true, y_pred, pixel_weight : tensor
        As in :func:`crossentropy`.

    gamma : float, default=2.0
        Focusing exponent. Larger values reduce the weight of pixels that are already
        predicted well. With 0, this is the cross entropy.

    alpha : float or sequence of float, default=None
        Weights of the classes. With one channel, a number from 0 to 1: `alpha` for the
        foreground, 1 - `alpha` for the background. With more channels, one number per
        channel or one for all. With None, all weights are 1.

    ignore_label : int, default=None
        Value in `y_true` of pixels that do not count, as in :func:`dice`.

    Returns
    -------
    loss : tensor of shape (n_images,), dtype float32
        0 or more.

    Raises
    ------
    ValueError
        If shapes or values are invalid, as in :func:`dice`.

    See Also
    --------
    Focal : The same as an object, for `loss` of a segmenter.

    References
    ----------
    T.-Y. Lin et al., "Focal loss for dense object detection", ICCV 2017, equation
    4, and 5 with `alpha`.

    Examples
    --------
    >>> from skinest.losses import focal
    >>> loss = focal([[[[1.0], [0.0]]]], [[[[0.5], [0.5]]]])
    >>> round(float(loss[0]), 3)  # (1 - 0.5) ** 2 * log 2
    0.173
    """
    return compute_focal(
        y_true, y_pred, pixel_weight, gamma, alpha, ignore_label, clips=gamma < 1
    )


def compute_focal(y_true, y_pred, pixel_weight, gamma, alpha, ignore_label, *, clips):
    """Compute the focal loss of each image.

    `gamma` and `alpha` may be tensors. `clips` is needed if `gamma` is below 1, because
    the power of 0 has no finite derivative.
    """
    y_true, y_pred, pixel_weight = check_tensors(
        y_true, y_pred, pixel_weight, ignore_label
    )
    n_channels = y_pred.shape[-1]
    shape = () if alpha is None else tuple(np.shape(alpha))
    if shape and (n_channels == 1 or shape != (n_channels,)):
        raise ValueError(
            f"alpha={alpha!r} must be one number, or one for each of two or more "
            f"channels; there are {n_channels}."
        )
    settings = {
        "alpha": ops.convert_to_tensor(1.0 if alpha is None else alpha, "float32"),
        "gamma": ops.convert_to_tensor(gamma, "float32"),
    }
    if n_channels > 1:
        values = keras.losses.categorical_focal_crossentropy(y_true, y_pred, **settings)
    else:
        if clips:
            y_pred = ops.clip(y_pred, 1e-7, 1 - 1e-7)
        values = keras.losses.binary_focal_crossentropy(
            y_true, y_pred, apply_class_balancing=alpha is not None, **settings
        )
    return average_pixels(values, pixel_weight)


def dice_crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    *,
    pixel_weight: Tensor | None = None,
    smooth: float = 1.0,
    ignore_label: int | None = None,
) -> Tensor:
    """Compute the sum of Dice loss and cross entropy of each image.

    Parameters
    ----------
    y_true, y_pred, pixel_weight : tensor
        As in :func:`dice` and :func:`crossentropy`.

    smooth : float, default=1.0
        As in :func:`dice`.

    ignore_label : int, default=None
        Value in `y_true` of pixels that do not count, as in :func:`dice`.

    Returns
    -------
    loss : tensor of shape (n_images,), dtype float32
        0 or more.

    Raises
    ------
    ValueError
        If shapes or values are invalid, as in :func:`dice`.

    See Also
    --------
    DiceCrossentropy : The same as an object, for `loss` of a segmenter.

    References
    ----------
    F. Isensee et al., "nnU-Net: a self-configuring method for deep learning-based
    biomedical image segmentation", Nature Methods 18, 2021.

    Examples
    --------
    >>> from skinest.losses import dice_crossentropy
    >>> loss = dice_crossentropy([[[[1.0], [0.0]]]], [[[[0.5], [0.5]]]])
    >>> round(float(loss[0]), 3)  # 1 - 2 / 3 + log 2
    1.026
    """
    options = {"pixel_weight": pixel_weight, "ignore_label": ignore_label}
    region = dice(y_true, y_pred, smooth=smooth, **options)
    return region + crossentropy(y_true, y_pred, **options)


def _region_loss(y_true, y_pred, pixel_weight, ignore_label, alpha, beta, smooth):
    """Compute 1 - Tversky index; Dice and Jaccard are special cases."""
    y_true, y_pred, pixel_weight = check_tensors(
        y_true, y_pred, pixel_weight, ignore_label
    )
    alpha, beta, smooth = (  # which may be of double precision
        ops.convert_to_tensor(number, "float32") for number in (alpha, beta, smooth)
    )
    if y_pred.shape[-1] > 1:
        y_true, y_pred = y_true[..., 1:], y_pred[..., 1:]

    both, added, missed = y_true * y_pred, (1 - y_true) * y_pred, y_true * (1 - y_pred)
    if pixel_weight is not None:
        weight = ops.expand_dims(pixel_weight, -1)
        both, added, missed = both * weight, added * weight, missed * weight
    overlap = ops.sum(both, axis=(1, 2)) + ops.maximum(smooth, 1e-7)
    wrong = alpha * ops.sum(added, axis=(1, 2)) + beta * ops.sum(missed, axis=(1, 2))
    return 1 - ops.mean(overlap / (overlap + wrong), axis=-1)
