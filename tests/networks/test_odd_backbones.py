"""Networks of users with odd names, ends or sides."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest
from keras import layers

from skinest import BottleneckFeatureExtractor
from skinest.networks import KerasBackbone, build_transfer_network, build_unet

from .own_networks import IMAGES, SIDE, fill, make_functional


def test_a_model_can_have_the_name_of_a_layer_of_preprocessing():
    images = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, strides=2, name="hidden_1")(images)
    backbone = KerasBackbone(keras.Model(images, x, name="preprocessing_net"))
    network = build_transfer_network(backbone, image_size=(SIDE, SIDE), n_outputs=1)
    assert network.get_layer("of_preprocessing_net_hidden_1").filters == 4


def test_a_stage_begins_with_a_layer_above_the_images():
    with pytest.raises(ValueError, match=r"no layer 'images'\. Its layers are scale, "):
        KerasBackbone(make_functional(), stages={"whole": "images"})


def test_an_activation_with_weights_is_a_layer_of_its_own():
    convolution = layers.Conv2D(2, 3, activation=layers.PReLU(), name="c")
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), convolution])
    with pytest.raises(ValueError, match=r"activation of its layer 'c'.*PReLU"):
        KerasBackbone(model)


def test_the_cache_knows_which_layer_a_name_means(tmp_path):
    def make(first, second):
        pools = layers.MaxPooling2D(name=first), layers.MaxPooling2D(name=second)
        parts = layers.Conv2D(4, 3), *pools, layers.Conv2D(2, 1)
        images = keras.Input((SIDE, SIDE, 3))
        return KerasBackbone(fill(keras.Sequential([images, *parts], name="net")))

    def extract(backbone, memory):
        return BottleneckFeatureExtractor(
            backbone, layers=["b"], image_size=(SIDE, SIDE), memory=memory
        ).fit_transform(IMAGES)

    first, second = make("a", "b"), make("b", "c")
    extract(first, tmp_path)
    expected = extract(second, None)
    np.testing.assert_array_equal(extract(second, tmp_path), expected)
    files = set(tmp_path.rglob("*"))
    extract(make("another name", "b"), tmp_path)
    assert set(tmp_path.rglob("*")) == files


def make_vector():
    """A network whose last layers take maps of one size."""
    images = x = keras.Input((32, 32, 3))
    for name in ("low", "high"):
        x = layers.Conv2D(4, 3, strides=2, activation="relu", name=name)(x)
    x = layers.Dense(5, name="vector")(layers.Flatten(name="flat")(x))
    return fill(keras.Model(images, x, name="net"))


def test_layers_above_the_feature_maps_are_left_out_of_an_encoder():
    unet = build_unet(encoder=KerasBackbone(make_vector()), image_size=(32, 32))
    names = [layer.name for layer in unet.layers]
    assert "high" in names and not {"flat", "vector"} & set(names)
    expected = make_vector().get_layer("high").get_weights()
    for found, array in zip(
        unet.get_layer("high").get_weights(), expected, strict=True
    ):
        np.testing.assert_array_equal(found, array)


def test_a_function_of_keras_is_known():
    layer = layers.Lambda(keras.ops.abs)
    convolution = layers.Conv2D(2, 3, strides=2, name="c")
    images = keras.Input((SIDE, SIDE, 3))
    model = fill(keras.Sequential([images, layers.Rescaling(-1.0), layer, convolution]))
    found = BottleneckFeatureExtractor(
        KerasBackbone(model), image_size=(SIDE, SIDE), pooling="avg"
    ).fit_transform(IMAGES)
    expected = model.predict(IMAGES.astype(np.float32), verbose=0).mean(axis=(1, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def linear(x):
    """Double what Keras' function of this name leaves as it is."""
    return 2 * x


def test_functions_of_a_user_can_have_names_of_keras():
    images = keras.Input((SIDE, SIDE, 3))
    parts = layers.Conv2D(2, 3, strides=2), layers.Lambda(linear)
    model = fill(keras.Sequential([images, *parts]))
    assert KerasBackbone(model).row.definitions == {"linear": linear}


class Absolute(layers.Layer):
    """An activation of a user."""

    def call(self, x):
        return keras.ops.abs(x)


def test_an_activation_without_weights_can_be_a_layer():
    convolution = layers.Conv2D(2, 3, activation=Absolute())
    model = fill(keras.Sequential([keras.Input((SIDE, SIDE, 3)), convolution]))
    assert Absolute in KerasBackbone(model).row.definitions.values()


def make_with_shared_activation():
    images = keras.Input((32, 32, 3))
    relu = layers.ReLU(name="relu")
    x = keras.ops.multiply(images, 2)
    x = relu(layers.Conv2D(4, 3, strides=2, name="low")(x))
    x = relu(layers.Conv2D(4, 3, strides=2, name="high")(x))
    return fill(keras.Model(images, x, name="net"))


def test_the_last_layer_of_an_encoder_can_be_used_twice_and_operations_come_before():
    backbone = KerasBackbone(make_with_shared_activation())
    unet = build_unet(encoder=backbone, image_size=(32, 32), depth=2)
    parts = unet.get_config()["layers"]
    (up,) = (part for part in parts if part["name"] == "up_2_transposed")
    (tensor,) = up["inbound_nodes"][0]["args"]
    assert tensor["config"]["keras_history"][0] == "relu"


def test_a_stage_can_begin_in_the_part_that_an_encoder_leaves_out():
    backbone = KerasBackbone(make_vector(), stages={"top": "vector", "bottom": "high"})
    unet = build_unet(encoder=backbone, image_size=(32, 32), trainable="bottom")
    trained = [layer.name for layer in unet.layers if layer.trainable_weights]
    assert "high" in trained and "low" not in trained


class Nameless(layers.Layer):
    """A layer of a user without get_config()."""

    def __init__(self, **settings):
        super().__init__(**settings)

    def call(self, x):
        return x


def test_a_layer_of_a_user_needs_its_name_in_the_configuration():
    parts = layers.Conv2D(2, 3), Nameless(name="odd")
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *parts])
    with pytest.raises(ValueError, match=r"its layer 'odd' has no name.*get_config"):
        KerasBackbone(model)


def make_cropped():
    images = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same")(images)
    x = layers.Add()([layers.Cropping2D(1)(x), layers.Conv2D(4, 3)(x)])
    return keras.Model(images, layers.Conv2D(8, 3, strides=2)(x), name="cropped")


def make_of_odd_sides():
    images = keras.Input((75, 75, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same")(images)
    return keras.Model(images, x, name="odd")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (make_cropped, "cropped cannot be built with convolutions that are padded"),
        (make_of_odd_sides, r"odd takes images of \(75, 75\) pixels only"),
    ],
)
def test_a_network_that_cannot_be_an_encoder_is_refused_with_the_reason(make, says):
    with pytest.raises(ValueError, match=f"encoder: {says}"):
        build_unet(encoder=KerasBackbone(make()), image_size=(32, 32))
