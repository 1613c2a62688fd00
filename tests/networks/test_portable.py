"""Networks of operations that other libraries have too."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest

from skinest.networks._portable import make_portable


def build(*layers):
    """Build a network of layers, with random biases, for images of 8 x 8 pixels."""
    x = images = keras.Input((8, 8, 6))
    for layer in layers:
        x = layer(x)
    network, generator = keras.Model(images, x), np.random.default_rng(0)
    network.set_weights([generator.normal(size=w.shape) for w in network.weights])
    return network


def compute(network):
    images = np.random.default_rng(1).normal(size=(2, 8, 8, 6)).astype(np.float32)
    return keras.ops.convert_to_numpy(network(images))


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Conv2D(6, 3, groups=6, padding="same"),
        keras.layers.Conv2D(6, 5, groups=6, strides=2, use_bias=False),
        keras.layers.Activation("gelu"),
        keras.layers.Normalization(mean=range(6), variance=[4, 1, 9, 2, 0, 3]),
    ],
    ids=["grouped", "grouped with strides", "gelu", "normalization"],
)
def test_a_replaced_layer_computes_the_same(layer):
    network = build(layer, keras.layers.Conv2D(2, 1))
    portable = make_portable(network)
    assert portable is not network
    assert type(portable.layers[1]) in (
        keras.layers.Activation,
        keras.layers.DepthwiseConv2D,
    )
    np.testing.assert_allclose(
        compute(portable), compute(network), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Conv2D(6, 3),
        keras.layers.Conv2D(6, 3, groups=2),
        keras.layers.Conv2D(12, 3, groups=6),
        keras.layers.Activation("relu"),
    ],
    ids=["convolution", "two groups", "two filters a group", "relu"],
)
def test_other_networks_stay_as_they_are(layer):
    network = build(layer)
    assert make_portable(network) is network
