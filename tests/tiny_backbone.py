"""A backbone of few layers, in which Keras compiles each model in a second.

Tests use it where any backbone would do. Its outputs have the shapes of MobileNetV2's,
and its stages have the same names.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import h5py
import numpy as np

from skinest.networks._backbone_table import BACKBONES
from skinest.networks._backbones import Backbone


class TinyBackbone(Backbone):
    """Three convolutions, a depthwise one and batch normalisation."""

    def build(self, *, weights, input_tensor=None, input_shape=None):
        from keras import Input, Model, layers, utils

        assert weights is None, "nobody has trained this network"

        def normalise(x, name):
            x = layers.BatchNormalization(momentum=0.999, name=f"{name}_BN")(x)
            return layers.ReLU(6.0, name=f"{name}_relu")(x)

        pixels = Input(input_shape) if input_tensor is None else input_tensor
        start = {"strides": 4, "padding": "same", "use_bias": False}
        x = normalise(layers.Conv2D(8, 5, name="Conv1", **start)(pixels), "Conv1")
        x = layers.Conv2D(16, 1, use_bias=False, name="block_16_expand")(x)
        x = normalise(x, "block_16_expand")
        start["strides"] = 8
        x = layers.DepthwiseConv2D(8, name="block_16_depthwise", **start)(x)
        x = normalise(x, "block_16_depthwise")
        x = layers.Conv2D(1280, 1, use_bias=False, name="Conv_1")(x)
        return Model(utils.get_source_inputs(pixels), normalise(x, "Conv_1"))


# Importing this module adds the row, before the estimators list the names of the table.
_STAGES = {"stage5": "block_16_expand", "stage1": "Conv1"}
_BLOCKS = r"(block_16|Conv_1|Conv1)(?:_|$)"
BACKBONES["tiny"] = TinyBackbone("TinyBackbone", "tf", _STAGES, _BLOCKS)


def write_bare(source, target):
    """Copy weights to a file whose norms have random offsets, but no statistics."""
    target.write_bytes(source.read_bytes())
    rng = np.random.default_rng(0)
    with h5py.File(target, "r+") as archive:
        for layer in archive["layers"].values():
            if len(layer["vars"]) == 4:  # gamma, beta, means and variances
                beta, means, variances = (layer["vars"][place] for place in "123")
                beta[...] = rng.normal(0, 0.5, beta.shape)
                means[...], variances[...] = 0.0, 1.0
    return target
