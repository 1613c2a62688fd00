"""Networks as users bring them: small, and with weights that nothing else has."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
from keras import layers

SIDE = 16
IMAGES = np.random.default_rng(0).integers(0, 256, (8, SIDE, SIDE, 3), dtype=np.uint8)
Y = np.array([0, 1] * 4)


def fill(model, seed=0):
    """Give a model weights that keep the scale of its inputs, and return it."""
    generator = np.random.default_rng(seed)
    arrays = []
    for weight in model.weights:
        shape = tuple(weight.shape)
        if len(shape) > 1:
            scale = np.sqrt(2 / np.prod(shape[:-1]))
            arrays.append(scale * generator.standard_normal(shape))
        else:
            is_near_1 = weight.name in ("gamma", "moving_variance")
            arrays.append(is_near_1 + generator.uniform(0, 0.2, shape))
    model.set_weights(arrays)
    return model


def make_layers():
    return [
        layers.Rescaling(1 / 255, name="scale"),
        layers.Conv2D(4, 3, strides=2, name="low"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(name="relu"),
        layers.Dropout(0.25, name="drop"),
        layers.Conv2D(6, 3, strides=2, activation="relu", name="high"),
    ]


def make_functional(seed=0, size=(SIDE, SIDE)):
    """A functional model from images to feature maps of 3 x 3 x 6."""
    images = x = keras.Input((*size, 3))
    for layer in make_layers():
        x = layer(x)
    return fill(keras.Model(images, x, name="small"), seed)


def make_sequential(seed=0):
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *make_layers()])
    return fill(model, seed)


def make_nested(seed=0):
    """A functional model with two inner models, whose layers have the same names."""
    images = keras.Input((SIDE, SIDE, 3))
    first = keras.Sequential(make_layers()[:4], name="first")
    inner = keras.Input((None, None, 4))
    x = layers.Conv2D(4, 3, padding="same", name="low")(inner)
    second = keras.Model(inner, layers.Add(name="add")([inner, x]), name="second")
    x = second(first(images), training=False)
    x = layers.Conv2D(6, 3, strides=2, activation="relu", name="high")(x)
    return fill(keras.Model(images, x, name="nested"), seed)


def make_embedding(seed=0):
    """A model from images to a vector."""
    x = keras.Input((None, None, 3))
    images = x
    for layer in make_layers():
        x = layer(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    # A name of the head's layers.
    x = layers.Dense(5, name="hidden_1")(x)
    return fill(keras.Model(images, x, name="embedding"), seed)


def make_with_operations(seed=0):
    """A model with operations that are no layers, and a layer that is used twice."""
    images = keras.Input((SIDE, SIDE, 3))
    x = keras.ops.multiply(images, 1 / 255) - 0.5
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    x = keras.ops.concatenate([shared(x), shared(shared(x))], axis=-1)
    left, right = keras.ops.split(x, 2, axis=-1)
    return fill(keras.Model(images, left * 2 + right, name="operations"), seed)


@keras.saving.register_keras_serializable("skinest_tests")
class Squared(layers.Layer):
    """A layer of a user, with a version for caches."""

    version = 1

    def call(self, x):
        return x * x


class Unversioned(layers.Layer):
    """A layer of a user that is not registered and has no version."""

    def __init__(self, n_channels, **settings):
        super().__init__(**settings)
        self.n_channels = n_channels
        self.inner = layers.Conv2D(n_channels, 1)
        self.norm = layers.BatchNormalization()

    def build(self, shape):
        self.inner.build(shape)
        self.norm.build((*shape[:-1], self.n_channels))

    def call(self, x):
        return self.norm(self.inner(x))

    def get_config(self):
        return {**super().get_config(), "n_channels": self.n_channels}


def make_adapted():
    """A network whose statistics of training images are weights."""
    normalization = layers.Normalization()
    normalization.adapt(IMAGES.astype(np.float32))
    inner = fill(keras.Sequential([keras.Input((SIDE, SIDE, 3)), *make_layers()[1:]]))
    return keras.Sequential([keras.Input((SIDE, SIDE, 3)), normalization, inner])


def halve(x):
    return x / 2


def make_custom(layer, seed=0):
    images = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 255)(images)
    x = layer(layers.Conv2D(4, 3, strides=4)(x))
    return fill(keras.Model(images, x, name="custom"), seed)


MODELS = {
    "functional": make_functional,
    "sequential": make_sequential,
    "nested": make_nested,
    "embedding": make_embedding,
    "operations": make_with_operations,
    "adapted": make_adapted,
    "registered layer": lambda: make_custom(Squared()),
    "function": lambda: make_custom(layers.Lambda(halve)),
    "other layer": lambda: make_custom(Unversioned(3)),
}
