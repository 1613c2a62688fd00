"""Faster batch normalisation, with the outputs and the layers of Keras."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from collections import Counter
from types import MethodType

import keras
import numpy as np

from .._compat import compute_tensor, find_producer, list_inner_layers
from ._boundaries import list_tensors

_FUSED_DTYPES = "float32", "bfloat16", "float16"
_MIN_EPSILON = 1.001e-5  # TensorFlow replaces smaller ones by this
_OUTPUT_AXES = {  # of the kernel of a convolution
    keras.layers.Conv2D: 3,
    keras.layers.Conv2DTranspose: 2,
    keras.layers.DepthwiseConv2D: (2, 3),
}


def fuse_norms(model):
    """Let TensorFlow compute batch normalisation as one operation, where it is faster.

    Keras computes mean, variance and output one after the other, and converts bfloat16
    to float32 before. The operation of TensorFlow takes bfloat16, and has means and
    variances in float32. In float32 it is faster only in layers that train. The layers
    stay those of Keras, so a file of the model needs nothing else. On other backends,
    nothing changes.

    Parameters
    ----------
    model : keras.Model
        A functional model, whose layers are changed.

    Returns
    -------
    model : keras.Model
        The same model.
    """
    if keras.backend.backend() == "tensorflow":
        for layer in list_inner_layers(model):
            is_norm = _is_norm(layer) and layer.epsilon >= _MIN_EPSILON
            if is_norm and (layer.trainable or layer.compute_dtype != "float32"):
                layer.call = MethodType(_call_fused, layer)
    return model


def _is_norm(layer) -> bool:
    """Return whether a layer is a usual batch normalisation of feature maps."""
    if type(layer) is not keras.layers.BatchNormalization or not layer.built:
        return False
    # Keras before 3.14 has no renorm.
    is_usual = not (layer.synchronized or getattr(layer, "renorm", False))
    return is_usual and layer.input_spec.ndim == 4 and layer.axis in (-1, 3)


def _call_fused(layer, inputs, training=None, mask=None):
    """Replace `call` of a layer for batch normalisation."""
    import tensorflow as tf

    if mask is not None or inputs.dtype.name not in _FUSED_DTYPES:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    gamma, beta = layer.gamma, layer.beta
    shape = layer.moving_mean.shape
    settings = {
        "scale": tf.ones(shape) if gamma is None else gamma.value,
        "offset": tf.zeros(shape) if beta is None else beta.value,
        "epsilon": layer.epsilon,
    }
    compute = tf.compat.v1.nn.fused_batch_norm
    if not (training and layer.trainable):
        moving = {
            "mean": layer.moving_mean.value,
            "variance": layer.moving_variance.value,
        }
        return compute(inputs, **settings, **moving, is_training=False)[0]
    outputs, mean, variance = compute(inputs, **settings, is_training=True)
    # TensorFlow divides by n - 1, and Keras by n.
    n_values = tf.cast(tf.size(inputs) // shape[0], "float32")
    variance *= (n_values - 1) / n_values
    for moving, value in (
        (layer.moving_mean, mean),
        (layer.moving_variance, variance),
    ):
        moving.assign(moving * layer.momentum + value * (1 - layer.momentum))
    return outputs


def fold_norms(model):
    """Build a model for predictions in which convolutions do batch normalisation.

    With fixed means and variances, batch normalisation multiplies and shifts each
    channel. The convolution before it can do this by another kernel and bias (Jacob et
    al. 2018, arXiv:1712.05877, section 3.2).

    Parameters
    ----------
    model : keras.Model
        A functional model with one input and one output.

    Returns
    -------
    folded : keras.Model
        A model with the same outputs, up to rounding. It uses the layers of `model`,
        but for the convolutions that have changed.

    fold : callable
        Function from the weights of `model` to those of `folded`.
    """
    tensors = list_tensors(model.output)
    pairs = _find_pairs(tensors)
    norms = {id(norm) for norm, _ in pairs.values()}
    values = {}
    for tensor in tensors:
        operation, inputs = find_producer(tensor)
        if not inputs:
            values[id(tensor)] = tensor
        elif id(operation) in norms:
            values[id(tensor)] = values[id(inputs[0])]
        elif id(tensor) in pairs:
            config = {**operation.get_config(), "use_bias": True}
            convolution = type(operation).from_config(config)
            values[id(tensor)] = convolution(values[id(inputs[0])])
        else:
            values[id(tensor)] = compute_tensor(tensor, values)
    folded = keras.Model(model.input, values[id(model.output)], name=model.name)
    names = {convolution.name: norm for norm, convolution in pairs.values()}

    def fold(arrays):
        rest = iter(arrays)
        known = {
            layer.name: [next(rest) for _ in layer.weights] for layer in model.layers
        }
        for name, norm in names.items():
            layer = folded.get_layer(name)
            known[name] = _fold(layer, known[name], norm, known[norm.name])
        return [array for layer in folded.layers for array in known[layer.name]]

    return folded, fold


def _find_pairs(tensors) -> dict:
    """Return norm and convolution by the `id` of the tensor between them."""
    producers = list(map(find_producer, tensors))
    n_users = Counter(id(each) for _, inputs in producers for each in inputs)
    n_calls = Counter(id(operation) for operation, _ in producers)
    pairs = {}
    for norm, inputs in producers:
        if not (_is_norm(norm) and n_calls[id(norm)] == 1):
            continue
        convolution = find_producer(inputs[0])[0]
        if (
            type(convolution) in _OUTPUT_AXES
            and convolution.activation is keras.activations.linear
            and convolution.data_format == "channels_last"
            and convolution.compute_dtype == norm.compute_dtype
            and n_users[id(inputs[0])] == n_calls[id(convolution)] == 1
        ):
            pairs[id(inputs[0])] = norm, convolution
    return pairs


def _fold(convolution, arrays, norm, of_norm) -> list[np.ndarray]:
    """Return kernel and bias of a convolution with the normalisation after it."""
    rest = iter(np.asarray(of_norm, dtype=np.float64))
    scale = next(rest) if norm.scale else 1.0
    shift = next(rest) if norm.center else 0.0
    mean, variance = rest
    scale = scale / np.sqrt(variance + norm.epsilon)
    kernel, *biases = arrays
    bias = biases[0] if biases else 0.0
    axes = _OUTPUT_AXES[type(convolution)]
    shape = np.ones(4, dtype=int)
    shape[np.array(axes)] = np.array(kernel.shape)[np.array(axes)]
    folded = kernel * scale.reshape(shape), (bias - mean) * scale + shift
    return [array.astype(np.float32) for array in folded]
