"""Random weights of backbones, which keep the scale of values from layer to layer."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
from functools import lru_cache
from math import prod, sqrt

import numpy as np

from ._backbones import IMAGENET_MEAN, IMAGENET_STD, get_backbone, make_config
from ._flat_configs import list_tensor_configs
from ._weight_files import list_weights

# Approximate standard deviation of the values of pixels; it is 58 in ImageNet.
_PIXEL_DEVIATION = 58.0
_LAYER_SCALE = 1e-6  # of Liu et al. 2022 (arXiv:2201.03545)


def _sigmoid(x):
    return (1 + np.tanh(x / 2)) / 2


_ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "hard_silu": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "gelu": lambda x: x * _sigmoid(1.702 * x),  # nearly
}
_ACTIVATIONS["swish"] = _ACTIVATIONS["silu"]
_ACTIVATIONS["hard_swish"] = _ACTIVATIONS["hard_silu"]
_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(32)
_NODE_WEIGHTS = _NODE_WEIGHTS / _NODE_WEIGHTS.sum()


def make_random_weights(backbone, seed) -> list[np.ndarray]:
    """Return random kernels of He et al. 2015 (arXiv:1502.01852).

    The first kernel also scales pixels to a standard deviation of 1. VGG has no
    normalisation; without this scaling its logits would be 58 times as large.

    In networks with sums of many branches or with gates, He's kernels alone do not keep
    the scale. There, the variances of batch normalisation are those that are expected
    for random inputs. In the other networks they are 1.

    The gates of EfficientNets multiply what differs between images from layer to layer.
    With random weights, the scale of their outputs depends on the image, unless batch
    normalisation uses the statistics of the batch, as in training.
    """
    generator = np.random.default_rng(seed)
    variances = _find_variances(backbone)
    scale = 1 / _find_pixel_scale(backbone)
    arrays = []
    for layer in list_weights(backbone):
        for name, shape in zip(layer.variables, layer.shapes, strict=True):
            if len(shape) == 1:
                value = _initial_value(layer, name, variances)
                arrays.append(np.full(shape, value, dtype=np.float32))
                continue
            is_depthwise = shape[-1] == 1
            fan_in = prod(shape[:2] if is_depthwise else shape[:-1])
            # No activation is between the two kernels of a separable convolution.
            gain = 1 if is_depthwise and layer.kind == "SeparableConv2D" else 2
            kernel = generator.standard_normal(shape, dtype=np.float32)
            arrays.append(kernel * np.float32(scale * np.sqrt(gain / fan_in)))
            scale = 1
    return arrays


def _initial_value(layer, name, variances):
    """Return the value of weights that are not kernels."""
    if layer.is_normalization:
        return IMAGENET_MEAN if name == "moving_mean" else np.square(IMAGENET_STD)
    if layer.kind == "LayerScale":
        return _LAYER_SCALE
    if name == "moving_variance":
        return variances.get(layer.name, 1.0)
    return float(name == "gamma")


def _find_pixel_scale(backbone) -> float:
    """Return the approximate standard deviation of preprocessed pixels."""
    side = get_backbone(backbone).min_side
    deviation = _PIXEL_DEVIATION
    for layer in json.loads(make_config(backbone, (side, side)))["layers"]:
        settings = layer["config"]
        if not layer["name"].startswith("preprocessing"):
            continue
        if layer["class_name"] == "Rescaling":
            deviation *= settings["scale"]
        else:
            # Without a variance, it is among the weights.
            variance = settings.get("variance", np.square(IMAGENET_STD))
            deviation /= np.mean(np.sqrt(variance))
    return float(deviation)


@lru_cache(maxsize=64)
def _find_variances(backbone) -> dict[str, float]:
    """Return the expected variance at each batch normalisation, where it is needed."""
    side = get_backbone(backbone).min_side
    layers = json.loads(make_config(backbone, (side, side)))["layers"]
    if 0.01 < sum(_Moments(layers, normalizes=False).last) < 100:
        return {}
    return _Moments(layers, normalizes=True).variances


class _Moments:
    """Expected mean and variance of the outputs of layers with random kernels.

    Parameters
    ----------
    layers : list of dict
        Configurations of the layers.

    normalizes : bool
        Whether batch normalisation divides by the expected deviation.
    """

    def __init__(self, layers, normalizes):
        self._normalizes = normalizes
        self._moments = {}
        self.variances = {}
        for layer in layers:
            tensors = list_tensor_configs(layer["inbound_nodes"])
            inputs = [self._moments[tensor["keras_history"][0]] for tensor in tensors]
            self._moments[layer["name"]] = self._compute(layer, inputs)
        mean, variance = self._moments[layers[-1]["name"]]
        self.last = mean**2, variance

    def _compute(self, layer, inputs):
        kind, settings = layer["class_name"], layer["config"]
        if not inputs or layer["name"].startswith("preprocessing"):
            return 0.0, 1.0
        means, variances = zip(*inputs, strict=True)
        mean, variance = means[0], variances[0]
        square = mean**2 + variance
        if kind == "Add":
            return sum(means), sum(variances)
        if kind == "Concatenate":
            mean = sum(means) / len(means)
            squares = [m**2 + v for m, v in inputs]
            return mean, sum(squares) / len(squares) - mean**2
        if kind == "Multiply":
            mean = prod(means)
            return mean, prod(m**2 + v for m, v in inputs) - mean**2
        if kind == "Rescaling":
            scale, offset = settings["scale"], settings["offset"]
            return scale * mean + offset, scale**2 * variance
        if kind == "LayerScale":
            return _LAYER_SCALE * mean, _LAYER_SCALE**2 * variance
        if kind == "LayerNormalization":
            return 0.0, 1.0
        if kind == "GlobalAveragePooling2D":
            return mean, 0.0
        if kind == "BatchNormalization":
            if self._normalizes:
                self.variances[layer["name"]] = square
                return mean / sqrt(square), variance / square
            return mean, variance
        if "Conv2D" in kind or kind == "Dense":
            mean, variance = 0.0, 2 * square
        if kind == "ReLU":
            name = "relu" if settings["max_value"] is None else "relu6"
            return _activate(name, mean, variance)
        if "activation" in settings:
            return _activate(settings["activation"], mean, variance)
        return mean, variance  # padding, pooling, dropout


def _activate(name, mean, variance):
    """Return the moments of an activation of normally distributed values."""
    values = _ACTIVATIONS[name](mean + sqrt(variance) * _NODES)
    mean = _NODE_WEIGHTS @ values
    return float(mean), float(_NODE_WEIGHTS @ np.square(values) - mean**2)
