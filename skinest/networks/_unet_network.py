"""U-Net: a network from images to probabilities of each pixel."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral

import numpy as np

from .._compat import Interval, StrOptions
from ..utils._checks import read_image_size
from ._encoders import (
    EncoderSpec,
    build_encoder,
    find_levels,
    freeze_encoder,
    resolve_depth,
)

# Keras' .99 would still hold a part of its start after a hundred steps.
_MOMENTUM = 0.9
_MAX_DEPTH = 16  # sides are then multiples of 65,536 pixels
# Constraints of the parameters of these names.
DEPTH: list = [Interval(Integral, 1, _MAX_DEPTH, closed="both"), StrOptions({"auto"})]
BASE_FILTERS: list = [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})]
_LAST = {"data_format": "channels_last"}  # whatever the setting of Keras is


@dataclass(frozen=True)
class UNetSpec:
    """Architecture of a U-Net.

    With an `encoder`, `depth`, `base_filters` and `batch_norm` are those of the
    expanding path.
    """

    depth: int
    base_filters: int
    image_size: tuple
    dropout: float
    batch_norm: bool
    n_outputs: int
    compute_dtype: str
    encoder: EncoderSpec | None = None


def resolve_levels(encoder, depth, base_filters) -> tuple[int, int]:
    """Return the depth and the filters of the first level, which can be "auto".

    `encoder` is the name of a backbone, a KerasBackbone or None.
    """
    filters = 64 if encoder is None else 16
    if base_filters != "auto":
        filters = int(base_filters)
    if encoder is not None:
        return resolve_depth(encoder, depth), filters
    return 4 if depth == "auto" else int(depth), filters


def check_unet_size(image_size, depth):
    """Raise ValueError unless both sides can be halved `depth` times."""
    step = 2**depth
    sides = np.array(read_image_size(image_size))
    nearest = np.maximum(1, np.rint(sides / step)).astype(int) * step
    if (sides < step).any() or (sides % step).any():
        raise ValueError(
            f"image_size={image_size!r}: a U-Net of depth={depth} halves images "
            f"{depth} times, so both sides must be multiples of {step}, such as "
            f"{tuple(nearest.tolist())}."
        )


def build(spec, trainable="all", trains_norms=True, settings=None):
    """Build the Keras model of a specification, with kernels of 0.

    Parameters
    ----------
    spec : UNetSpec
        The architecture.

    trainable : str, default="all"
        The lowest part of an encoder that trains; "decoder" freezes all of it.

    trains_norms : bool, default=True
        Whether batch normalisation trains in this part of an encoder.

    settings : dict of str to keras.Variable, default=None
        Variable to use instead of "dropout", if there is any.
    """
    import keras

    from ._adjustable import make_dropout

    layers = keras.layers
    policy = _find_policy(spec)
    if spec.encoder is None:
        images, maps = _contract(spec)
    else:
        images, maps = _encode(spec, trainable, trains_norms)
    x = maps[spec.depth]
    if spec.dropout:
        rate = (settings or {}).get("dropout", spec.dropout)
        # An encoder can have a layer "dropout" of its own.
        name = "dropout" if spec.encoder is None else "dropout_1"
        x = make_dropout(rate, dtype=policy, name=name)(x)
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
            **_LAST,
        )(x)
        if level - 1 in maps:
            x = layers.Concatenate(dtype=policy, name=f"up_{level}_concatenate")(
                [maps[level - 1], x]
            )
        has_norm = spec.batch_norm and spec.encoder is not None
        x = _convolve_twice(x, filters, policy, f"up_{level}", has_norm)
    x = layers.Conv2D(
        spec.n_outputs,
        1,
        kernel_initializer="zeros",
        dtype="float32",
        name="logits",
        **_LAST,
    )(x)
    activation = "sigmoid" if spec.n_outputs == 1 else "softmax"
    x = layers.Activation(activation, dtype="float32", name="probabilities")(x)
    return keras.Model(images, x, name="unet")


def _find_policy(spec) -> str:
    return "mixed_bfloat16" if spec.compute_dtype == "bfloat16" else "float32"


def _encode(spec, trainable, trains_norms):
    """Return symbolic images, and the feature maps of each level of an encoder."""
    backbone = spec.encoder.backbone
    encoder = build_encoder(
        backbone, spec.image_size, spec.depth, spec.encoder.compute_dtype
    )
    freeze_encoder(encoder, backbone, trainable, trains_norms)
    return encoder.input, dict(
        zip(find_levels(backbone), encoder.outputs, strict=False)
    )


def _contract(spec):
    """Return symbolic images, and the feature maps of each level.

    The lowest level is the bottom of the U-Net.
    """
    import keras

    layers, policy = keras.layers, _find_policy(spec)
    images = keras.Input((*spec.image_size, 3), dtype="float32", name="images")
    x = layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name="preprocessing")(
        images
    )
    maps = {}
    for level in range(1, spec.depth + 1):
        filters = spec.base_filters * 2 ** (level - 1)
        x = _convolve_twice(x, filters, policy, f"down_{level}", spec.batch_norm)
        maps[level - 1] = x
        pool = f"down_{level}_pool"
        x = layers.MaxPooling2D(2, dtype=policy, name=pool, **_LAST)(x)
    filters = spec.base_filters * 2**spec.depth
    maps[spec.depth] = _convolve_twice(x, filters, policy, "bottom")
    return images, maps


def _convolve_twice(x, filters, policy, name, batch_norm=False):
    import keras

    layers = keras.layers
    for number in (1, 2):
        x = layers.Conv2D(
            filters,
            3,
            padding="same",
            kernel_initializer="zeros",
            dtype=policy,
            name=f"{name}_conv_{number}",
            **_LAST,
        )(x)
        if batch_norm:
            norm = f"{name}_norm_{number}"
            x = layers.BatchNormalization(momentum=_MOMENTUM, dtype=policy, name=norm)(
                x
            )
        x = layers.ReLU(dtype=policy, name=f"{name}_relu_{number}")(x)
    return x


def make_random_weights(spec, output_bias, seed, of_encoder=None) -> list[np.ndarray]:
    """Return random initial weights, in the order of the model's weights.

    Kernels are random as in He et al. 2015 (arXiv:1502.01852). The kernel of the output
    is random as in Glorot and Bengio 2010, so that initial outputs are near
    `output_bias`.

    Parameters
    ----------
    spec : UNetSpec
        The architecture.

    output_bias : ndarray of shape (n_outputs,)
        Bias of the output.

    seed : int
        Seed of the weights.

    of_encoder : dict of str to list of ndarray, default=None
        Weights of the layers of the encoder. Needed if there is one.
    """
    # The weights of the encoder may be random with the same seed.
    generator = np.random.default_rng(seed if spec.encoder is None else [seed, 1])
    known = {layer: iter(arrays) for layer, arrays in (of_encoder or {}).items()}
    arrays = []
    for layer, name, shape in _list_weights(spec):
        if layer in known:
            arrays.append(next(known[layer]))
        elif name == "kernel":
            arrays.append(_make_random_kernel(shape, layer, generator))
        elif layer == "logits":
            arrays.append(np.asarray(output_bias, dtype=np.float32))
        else:
            # Scale and variance of batch normalisation; biases, means and seeds.
            is_one = name in ("gamma", "moving_variance")
            arrays.append(np.full(shape, float(is_one), dtype=np.float32))
    return arrays


@lru_cache(maxsize=32)
def _list_weights(spec) -> list[tuple[str, str, tuple]]:
    """Return the layer, name and shape of each weight."""
    return [
        (layer.name, weight.name, tuple(weight.shape))
        for layer in build(spec).layers
        for weight in layer.weights
    ]


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
