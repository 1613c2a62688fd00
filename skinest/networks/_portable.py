"""Networks of operations that other libraries than Keras can run."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import math

import keras
import numpy as np
from keras import ops


def fix_for_predictions(network):
    """Return a functional model of the same layers that always computes predictions.

    If a call does not say whether it is for training, Keras' layers of random
    augmentation take it for training, and then the layers above them do so too.
    """

    def call(layer, *args, **kwargs):
        if isinstance(layer, keras.layers.Layer):  # others are operations
            kwargs["training"] = False
        return layer(*args, **kwargs)

    return keras.models.clone_model(
        network, clone_function=lambda layer: layer, call_function=call
    )


def make_portable(network):
    """Replace layers for which TensorFlow has operations that others lack.

    - TensorFlow runs grouped convolutions on a CPU by its compiler XLA. If each channel
      is a group, this is a depthwise convolution, which needs no compiler.
    - TensorFlow computes the exact GELU by the function erfc. Other libraries have only
      erf, which is 1 - erfc.
    - The mean and variance of a normalisation are tensors outside of the network, which
      tf2onnx takes for further inputs.

    Parameters
    ----------
    network : keras.Model
        A functional model.

    Returns
    -------
    network : keras.Model
        The model, or another one with the same outputs, up to rounding. Keras cannot
        load it from a `.keras` file.
    """
    if not any(map(_find_replacement, network.layers)):
        return network
    portable = keras.models.clone_model(network, clone_function=_convert)
    for layer in network.layers:
        arrays = layer.get_weights()
        if _is_depthwise(layer):
            arrays[0] = arrays[0].swapaxes(2, 3)
        if arrays and not _is_normalization(layer):
            portable.get_layer(layer.name).set_weights(arrays)
    return portable


def _convert(layer):
    replace = _find_replacement(layer)
    if replace is None:
        return type(layer).from_config(layer.get_config())
    return replace(layer, name=layer.name, dtype=layer.dtype_policy)


def _find_replacement(layer):
    """Return the function that makes another layer of this one, or None."""
    found = [make for is_needed, make in _REPLACEMENTS if is_needed(layer)]
    return found[0] if found else None


def _is_depthwise(layer) -> bool:
    """Return whether a layer is a convolution in which each channel is a group."""
    if not isinstance(layer, keras.layers.Conv2D) or layer.groups == 1:
        return False
    return layer.groups == layer.filters and layer.kernel.shape[2] == 1


def _make_depthwise(layer, **settings):
    return keras.layers.DepthwiseConv2D(
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        data_format=layer.data_format,
        dilation_rate=layer.dilation_rate,
        activation=layer.activation,
        use_bias=layer.use_bias,
        depthwise_initializer="zeros",
        **settings,
    )


def _is_gelu(layer) -> bool:
    is_activation = isinstance(layer, keras.layers.Activation)
    return is_activation and layer.activation is keras.activations.gelu


def _make_gelu(layer, **settings):
    def gelu(x):
        return 0.5 * x * (1 + ops.erf(x / math.sqrt(2)))

    return keras.layers.Activation(gelu, **settings)


def _is_normalization(layer) -> bool:
    return isinstance(layer, keras.layers.Normalization) and not layer.invert


def _make_normalization(layer, **settings):
    mean = ops.convert_to_numpy(layer.mean)
    deviation = np.sqrt(ops.convert_to_numpy(layer.variance))
    deviation = np.maximum(deviation, keras.config.epsilon())

    def normalize(x):
        return (x - mean) / deviation

    return keras.layers.Activation(normalize, **settings)


_REPLACEMENTS = (
    (_is_depthwise, _make_depthwise),
    (_is_gelu, _make_gelu),
    (_is_normalization, _make_normalization),
)
