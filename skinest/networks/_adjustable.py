"""Settings of a network that can be changed after it was compiled.

TensorFlow never frees tens of MB per model that has run, so a search over such a
setting must not build a model for each value. The settings are variables, and only the
kind of network depends on them: with or without dropout, with or without a penalty.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
from keras import ops

from ._backbones import KERNELS


class AdjustableDropout(keras.layers.Dropout):
    """Dropout whose rate is a variable.

    Parameters
    ----------
    rate : keras.Variable
        The rate.

    **settings : dict
        Other arguments of `keras.layers.Dropout`.
    """

    def __init__(self, rate, **settings):
        super().__init__(0.5, **settings)
        self._read_rate = lambda: rate  # as an attribute it would be a weight

    def call(self, inputs, training=False):
        """Set random inputs to 0 in training, and scale up the others."""
        if not training:
            return inputs
        rate = ops.cast(self._read_rate(), inputs.dtype)
        numbers = keras.random.uniform(
            ops.shape(inputs), dtype=inputs.dtype, seed=self.seed_generator
        )
        return ops.where(numbers >= rate, inputs / (1 - rate), ops.zeros_like(inputs))


def make_dropout(rate, **settings):
    """Return a dropout layer with a number or a variable as its rate."""
    is_variable = isinstance(rate, keras.Variable)
    layer = AdjustableDropout if is_variable else keras.layers.Dropout
    return layer(rate, seed=0, **settings)


class AdjustablePenalty(keras.regularizers.Regularizer):
    """L2 penalty whose strength is a variable.

    Parameters
    ----------
    strength : keras.Variable
        The strength.
    """

    def __init__(self, strength):
        self._strength = strength

    def __call__(self, kernel):
        """Return the penalty of a kernel."""
        return self._strength * ops.sum(ops.square(kernel))


def adjust_penalties(network, strength):
    """Let a variable be the strength of all L2 penalties of a Keras model."""
    for weight in network.weights:
        if weight.regularizer is not None:
            weight.regularizer = AdjustablePenalty(strength)


def share_layers(model, network=None):
    """Build a network of the layers of a model, but with dropout of Keras.

    Parameters
    ----------
    model : keras.Model
        The model.

    network : keras.Model, default=None
        A network that has layers of the same names as the model, and others below. None
        means the model itself.

    Returns
    -------
    network : keras.Model
    """
    own = {layer.name: layer for layer in model.layers}

    def share(layer):
        layer = own.get(layer.name, layer)
        if not isinstance(layer, AdjustableDropout):
            return layer
        plain = make_dropout(layer.rate, dtype=layer.dtype_policy, name=layer.name)
        plain.follows_settings = True
        return plain

    network = network or model
    # A compiled model would be compiled again.
    bare = keras.Model(network.input, network.output, name=network.name)
    return keras.models.clone_model(bare, clone_function=share)


def write_settings(network, settings):
    """Write settings into the layers of a network, so that its saved files have them.

    Parameters
    ----------
    network : keras.Model
        A network of :func:`share_layers`.

    settings : dict of str to float
        The values of "dropout" and "l2", as far as it has them.
    """
    for layer in network.layers:
        # A backbone can have dropout too, with rates of its own.
        if "dropout" in settings and getattr(layer, "follows_settings", False):
            layer.rate = settings["dropout"]
        if "l2" in settings:
            for kernel in KERNELS:
                if getattr(layer, f"{kernel}_regularizer", None) is not None:
                    penalty = keras.regularizers.L2(settings["l2"])
                    setattr(layer, f"{kernel}_regularizer", penalty)
