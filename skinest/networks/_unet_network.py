"""U-Net: a network from images to probabilities of each pixel."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral, Real
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

from .._compat import Interval, StrOptions, validate_params
from ..utils._checks import MAX_SEED
from ._scikeras import (
    check_rows_of_masks,
    check_values_in_fit,
    compile_network,
    resolve_image_size,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import keras

    from .._typing import ComputeDtype, ImageSize, RandomStateLike

# Keras' .99 would still hold a part of its start after a hundred steps.
_MOMENTUM = 0.9


@dataclass(frozen=True)
class UNetSpec:
    """Architecture of a U-Net."""

    depth: int
    base_filters: int
    image_size: tuple
    dropout: float
    batch_norm: bool
    n_outputs: int
    compute_dtype: str


MAX_DEPTH = 16  # sides are then multiples of 65,536 pixels


def check_unet_size(image_size, depth):
    """Raise ValueError unless both sides can be halved `depth` times."""
    step = 2**depth
    try:
        sides = np.array(image_size)
    except ValueError:  # sequences of different lengths
        sides = np.empty(0)
    if sides.shape != (2,) or sides.dtype.kind not in "iu":
        raise ValueError(
            f"image_size={image_size!r} must be (height, width), two integers."
        )
    nearest = np.maximum(1, np.rint(sides / step)).astype(int) * step
    if (sides < step).any() or (sides % step).any():
        raise ValueError(
            f"image_size={image_size!r}: a U-Net of depth={depth} halves images "
            f"{depth} times, so both sides must be multiples of {step}, such as "
            f"{tuple(nearest.tolist())}."
        )


@validate_params(
    {
        "depth": [Interval(Integral, 1, MAX_DEPTH, closed="both")],
        "base_filters": [Interval(Integral, 1, None, closed="left")],
        "image_size": [tuple, list, None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "batch_norm": ["boolean"],
        "n_outputs": [Interval(Integral, 1, None, closed="left")],
        "compute_dtype": [StrOptions({"float32", "bfloat16"})],
        "random_state": ["random_state"],
        "meta": [dict, None],
        "compile_kwargs": [dict, None],
    },
    prefer_skip_nested_validation=True,
)
def build_unet(
    *,
    depth: int = 4,
    base_filters: int = 64,
    image_size: ImageSize | None = None,
    dropout: float = 0.0,
    batch_norm: bool = True,
    n_outputs: int = 1,
    compute_dtype: ComputeDtype = "float32",
    random_state: RandomStateLike = None,
    meta: Mapping[str, Any] | None = None,
    compile_kwargs: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Build a U-Net as one flat Keras model.

    Use it if your code trains Keras models itself, or as `model=` of
    `scikeras.wrappers.KerasClassifier`. SciKeras needs masks of 0 and 1 as rows, with
    one label per pixel: ``y = (masks > 0).astype(int).reshape(len(masks), -1)``, and a
    loss of Keras. Otherwise use :class:`~skinest.UNetSegmenter`: it trains the same
    network, accepts images and masks of any size and form, and has losses for masks.

    Each level of the contracting path has two 3 x 3 convolutions with ReLU and 2 x 2
    max pooling. The bottom has twice as many filters as the last level, and no pooling.
    Each level of the expanding path has a transposed convolution (3 x 3, stride 2), the
    concatenation with the feature maps of the same level, and two 3 x 3 convolutions.
    All convolutions are padded, so that the output has the size of the image.

    Parameters
    ----------
    depth : int, default=4
        Number of times that the image size is halved, at most 16.

    base_filters : int, default=64
        Number of filters of the first level. It doubles at each further level.

    image_size : tuple of int, default=None
        (height, width) of the images in pixels, multiples of ``2 ** depth``. None means
        the size of the images in `meta` or, without `meta`, (128, 128).

    dropout : float, default=0.0
        Dropout rate at the bottom, in [0, 1).

    batch_norm : bool, default=True
        Whether to use batch normalisation before each ReLU of the contracting path.

    n_outputs : int, default=1
        1 for a sigmoid, which is the probability of the foreground; more for a softmax.

    compute_dtype : {"float32", "bfloat16"}, default="float32"
        Floating-point precision of the layers. Weights and outputs are always float32.

    random_state : int, RandomState instance or None, default=None
        Seed of the random weights. None uses NumPy's global generator, which SciKeras
        seeds.

    meta : dict, default=None
        Information about `X` and `y`. SciKeras passes it itself.

    compile_kwargs : dict, default=None
        Arguments of Keras' ``compile``. If they have no loss, the model is compiled
        with the cross entropy of its outputs. SciKeras passes them itself. None returns
        an uncompiled model.

    Returns
    -------
    model : keras.Model
        Model from RGB images of shape (n_images, height, width, 3), with values from 0
        to 255, to probabilities of shape (n_images, height, width, n_outputs), dtype
        float32. With `meta`, their shape is (n_images, height * width).

    Raises
    ------
    ValueError
        If an argument is invalid, or the network cannot be used for the images or masks
        in `meta`.

    See Also
    --------
    skinest.UNetSegmenter : The network as a scikit-learn estimator.

    References
    ----------
    O. Ronneberger, P. Fischer and T. Brox, "U-Net: convolutional networks for
    biomedical image segmentation", MICCAI 2015, arXiv:1505.04597.

    Examples
    --------
    >>> from skinest.networks import build_unet
    >>> build_unet().count_params()
    34521025
    """
    import keras

    size = resolve_image_size(image_size, meta, default=(128, 128))
    check_unet_size(size, depth)
    if meta is not None:
        check_rows_of_masks(size, n_outputs, meta)
    spec = UNetSpec(
        depth, base_filters, size, dropout, batch_norm, n_outputs, compute_dtype
    )
    network = build(spec)
    seed = check_random_state(random_state).randint(MAX_SEED)
    network.set_weights(make_random_weights(spec, np.zeros(n_outputs), seed))
    if meta is not None:
        rows = keras.layers.Reshape((-1,), dtype="float32", name="rows")(network.output)
        network = keras.Model(network.input, rows, name=network.name)
        check_values_in_fit(network)
    return compile_network(network, compile_kwargs)


def build(spec, settings=None):
    """Build the Keras model of a specification, with kernels of 0.

    `settings` may have a variable to use instead of "dropout", if there is any.
    """
    import keras

    from ._adjustable import make_dropout

    rate = (settings or {}).get("dropout", spec.dropout)
    layers = keras.layers
    last = {"data_format": "channels_last"}  # whatever the setting of Keras is
    policy = "mixed_bfloat16" if spec.compute_dtype == "bfloat16" else "float32"

    def convolve(x, filters, name, batch_norm=False):
        for number in (1, 2):
            x = layers.Conv2D(
                filters,
                3,
                padding="same",
                kernel_initializer="zeros",
                dtype=policy,
                name=f"{name}_conv_{number}",
                **last,
            )(x)
            if batch_norm:
                norm = f"{name}_norm_{number}"
                x = layers.BatchNormalization(
                    momentum=_MOMENTUM, dtype=policy, name=norm
                )(x)
            x = layers.ReLU(dtype=policy, name=f"{name}_relu_{number}")(x)
        return x

    images = keras.Input((*spec.image_size, 3), dtype="float32", name="images")
    x = layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name="preprocessing")(
        images
    )
    skipped = []
    for level in range(1, spec.depth + 1):
        filters = spec.base_filters * 2 ** (level - 1)
        x = convolve(x, filters, f"down_{level}", spec.batch_norm)
        skipped.append(x)
        pool = f"down_{level}_pool"
        x = layers.MaxPooling2D(2, dtype=policy, name=pool, **last)(x)
    x = convolve(x, spec.base_filters * 2**spec.depth, "bottom")
    if spec.dropout:
        x = make_dropout(rate, dtype=policy, name="dropout")(x)
    for level in range(spec.depth, 0, -1):
        filters = spec.base_filters * 2 ** (level - 1)
        x = layers.Conv2DTranspose(
            filters,
            3,
            strides=2,
            padding="same",
            kernel_initializer="zeros",
            dtype=policy,
            name=f"up_{level}_transposed",
            **last,
        )(x)
        x = layers.Concatenate(dtype=policy, name=f"up_{level}_concatenate")(
            [skipped[level - 1], x]
        )
        x = convolve(x, filters, f"up_{level}")
    x = layers.Conv2D(
        spec.n_outputs,
        1,
        kernel_initializer="zeros",
        dtype="float32",
        name="logits",
        **last,
    )(x)
    activation = "sigmoid" if spec.n_outputs == 1 else "softmax"
    x = layers.Activation(activation, dtype="float32", name="probabilities")(x)
    return keras.Model(images, x, name="unet")


def make_random_weights(spec, output_bias, seed) -> list[np.ndarray]:
    """Return random initial weights, in the order of the model's weights.

    Kernels are random as in He et al. 2015 (arXiv:1502.01852). The kernel of the output
    is random as in Glorot and Bengio 2010, so that initial outputs are near
    `output_bias`.
    """
    generator = np.random.default_rng(seed)
    arrays = []
    for path, shape in _list_weights(spec):
        layer, name = path.split("/")[-2:]
        if name == "kernel":
            arrays.append(_make_random_kernel(shape, layer, generator))
        elif layer == "logits":
            arrays.append(np.asarray(output_bias, dtype=np.float32))
        else:
            # Scale and variance of batch normalisation; biases, means and seeds.
            is_one = name in ("gamma", "moving_variance")
            arrays.append(np.full(shape, float(is_one), dtype=np.float32))
    return arrays


@lru_cache(maxsize=32)
def _list_weights(spec) -> list[tuple[str, tuple]]:
    """Return the path and shape of each weight."""
    weights = build(spec).weights
    shapes = map(tuple, map(attrgetter("shape"), weights))
    return list(zip(map(attrgetter("path"), weights), shapes, strict=True))


def _make_random_kernel(shape, layer, generator) -> np.ndarray:
    height, width, n_in, n_out = shape
    if layer.endswith("transposed"):  # has inputs last, and stride 2 both ways
        n_in, n_out = n_out, n_in
        fan_in = height * width * n_in / 4
    else:
        fan_in = height * width * n_in
    variance = 1 / (n_in + n_out) if layer == "logits" else 2 / fan_in
    if layer.endswith("transposed"):
        variance /= 2  # no ReLU follows
    return generator.standard_normal(shape, dtype=np.float32) * np.float32(
        np.sqrt(variance)
    )
