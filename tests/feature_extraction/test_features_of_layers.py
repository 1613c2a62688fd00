"""BottleneckFeatureExtractor: features of inner layers."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pickle

import keras
import numpy as np
import pytest
from keras import layers

from skinest import BottleneckFeatureExtractor
from skinest.networks import KerasBackbone

from ..networks.own_networks import IMAGES, SIDE, fill


def make_branches():
    """A network with two branches, of 3 and of 1 convolutions, that are added."""
    images = keras.Input((SIDE, SIDE, 3))
    start = layers.Conv2D(4, 3, strides=2, name="start")(images)
    x = layers.Conv2D(5, 1, activation="relu", name="long_1")(start)
    x = layers.Conv2D(5, 3, padding="same", name="long_2")(x)
    x = layers.Conv2D(6, 1, name="long_3")(x)
    short = layers.Conv2D(6, 1, name="short")(start)
    x = layers.Add(name="sum")([x, short])
    x = layers.Conv2D(7, 3, strides=2, name="end")(x)
    return fill(keras.Model(images, x, name="branches"))


@pytest.fixture(scope="module")
def network():
    return make_branches()


def extractor(network, **settings):
    backbone = KerasBackbone(network)
    return BottleneckFeatureExtractor(backbone, image_size=(SIDE, SIDE), **settings)


def run(network, name):
    """Return the outputs of a layer."""
    part = keras.Model(network.input, network.get_layer(name).output)
    return keras.ops.convert_to_numpy(part(IMAGES.astype(np.float32)))


@pytest.mark.parametrize(
    ("names", "pooling", "pool"),
    [
        (["long_2"], "avg", lambda maps: maps.mean(axis=(1, 2))),
        (("end", "short", "start"), "max", lambda maps: maps.max(axis=(1, 2))),
        (["sum", "long_1"], "flatten", lambda maps: maps.reshape(len(maps), -1)),
    ],
)
def test_features_are_the_pooled_outputs_of_the_layers_in_their_order(
    network, names, pooling, pool
):
    features = extractor(network, layers=names, pooling=pooling).fit(IMAGES)
    expected = np.hstack([pool(run(network, name)) for name in names])
    assert features.n_features_out_ == expected.shape[1]
    assert len(features.get_feature_names_out()) == expected.shape[1]
    found = features.transform(IMAGES)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_layers_share_a_memory_without_being_mixed(network, tmp_path):
    settings = [{}, {"layers": ["long_2"]}, {"layers": ["short", "long_2"]}]
    for _ in range(2):
        for each in settings:
            cached = extractor(network, memory=tmp_path, **each).fit(IMAGES)
            alone = extractor(network, **each).fit(IMAGES)
            np.testing.assert_array_equal(
                cached.transform(IMAGES), alone.transform(IMAGES)
            )


def test_a_pickle_has_the_weights_that_are_used_only():
    settings = {"weights": None, "image_size": (32, 32), "random_state": 0}
    features = BottleneckFeatureExtractor(
        "tiny", layers=["Conv1_relu"], **settings
    ).fit(IMAGES)
    stored = pickle.dumps(features)
    assert len(stored) < 20_000  # the last convolution has 80 kB
    restored = pickle.loads(stored).transform(IMAGES)
    np.testing.assert_array_equal(restored, features.transform(IMAGES))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["long_4"], r"'long_4' is not a layer of branches.*long_1"),
        ([], "names no layer"),
        ("long_1", "layers"),
        (["long_1", "long_1"], "names 'long_1' twice"),
    ],
)
def test_wrong_layers_are_refused(network, names, message):
    with pytest.raises((ValueError, TypeError), match=message):
        extractor(network, layers=names).fit(IMAGES)
