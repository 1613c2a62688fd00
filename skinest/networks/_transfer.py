"""Transfer networks: a backbone, and a head that classifies its features."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from ..utils._checks import check_image_size
from ._backbones import (
    BACKBONES,
    MIN_SIDE,
    build_backbone,
    first_layer_of,
    stage_names,
)


@dataclass(frozen=True)
class TrunkSpec:
    """What turns images to features: a backbone and the pooling of its maps."""

    backbone: str
    image_size: tuple
    pooling: str
    compute_dtype: str


@dataclass(frozen=True)
class HeadSpec:
    """What turns features to probabilities."""

    hidden_units: tuple
    dropout: float
    l2: float
    n_outputs: int


def build_trunk(spec, l2=0.0):
    """Keras model from images to one float32 vector of features for each."""
    import keras

    base = build_backbone(
        spec.backbone, spec.image_size, compute_dtype=spec.compute_dtype, l2=l2
    )
    pooling = {
        "flatten": keras.layers.Flatten,
        "avg": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
    }[spec.pooling]
    features = pooling(name="features", dtype="float32")(base.output)
    return keras.Model(base.input, features, name="trunk")


@lru_cache
def feature_width(spec) -> int:
    """How many features a trunk makes of an image."""
    return build_trunk(spec).output_shape[-1]


def build_head(spec, n_features):
    """Keras model from features to probabilities."""
    import keras

    features = keras.Input((n_features,), name="input_features")
    return keras.Model(features, _add_head(features, spec), name="head")


def build_network(trunk_spec, head_spec, *, trainable="head", l2=0.0):
    """Keras model from images to probabilities, in which the upper part trains.

    Weights come in the order of the trunk's, then the head's.
    """
    import keras

    trunk = build_trunk(trunk_spec, l2)
    probabilities = _add_head(trunk.output, head_spec)
    network = keras.Model(trunk.input, probabilities, name="transfer_network")
    set_trainable(network, trunk_spec.backbone, trainable)
    return network


@validate_params(
    {
        "backbone": [StrOptions(set(BACKBONES))],
        "image_size": [tuple, list],
        "hidden_units": [tuple, list],
        "pooling": [StrOptions({"flatten", "avg", "max"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "l2": [Interval(Real, 0, None, closed="left")],
        "n_outputs": [Interval(Integral, 1, None, closed="left")],
        "trainable": [str],
        "compute_dtype": [StrOptions({"float32", "bfloat16"})],
    },
    prefer_skip_nested_validation=True,
)
def build_transfer_network(
    backbone="vgg16",
    *,
    image_size=(224, 224),
    hidden_units=(512,),
    pooling="flatten",
    dropout=0.5,
    l2=0.0,
    n_outputs=1,
    trainable="head",
    compute_dtype="float32",
):
    """Build a transfer network, with weights of zero, as one flat Keras model.

    The layers are, in this order: the input ``images`` (RGB, values 0 to 255), the
    backbone's own preprocessing, its layers under the names that Keras gives them,
    ``features`` (the pooling), ``hidden_1``, ``dropout_1`` and so on, ``logits`` and
    ``probabilities``. Batch normalisation never trains.

    Parameters
    ----------
    backbone : {"vgg16", "vgg19", "mobilenetv2"}, default="vgg16"
        The network of `keras.applications` that the head stands on.

    image_size : tuple of int, default=(224, 224)
        (height, width) of the images in pixels, 32 or more.

    hidden_units : tuple of int, default=(512,)
        Units of each dense ReLU layer of the head.

    pooling : {"flatten", "avg", "max"}, default="flatten"
        How feature maps become a vector.

    dropout : float, default=0.5
        Rate of dropout after each hidden layer, or before the output where there is
        none.

    l2 : float, default=0.0
        L2 penalty on the kernels of the layers that train.

    n_outputs : int, default=1
        1 for one sigmoid, more for a softmax.

    trainable : str, default="head"
        The lowest part that trains: "head", a stage of the backbone, or "all".

    compute_dtype : {"float32", "bfloat16"}, default="float32"
        What the backbone computes in.

    Returns
    -------
    model : keras.Model
        Images of shape (n_images, height, width, 3) to probabilities of shape
        (n_images, n_outputs), dtype float32.

    Raises
    ------
    ValueError
        If an argument is wrong.

    Examples
    --------
    >>> from skinest.networks import build_transfer_network
    >>> model = build_transfer_network("vgg16")
    >>> model.count_params()
    27560769
    """
    check_image_size(image_size, MIN_SIDE)
    trunk = TrunkSpec(backbone, tuple(image_size), pooling, compute_dtype)
    head = HeadSpec(tuple(hidden_units), dropout, l2, n_outputs)
    return build_network(trunk, head, trainable=trainable, l2=l2)


def set_trainable(network, backbone, stage):
    """Let the layers from a stage's first on train, batch normalisation never."""
    import keras

    names = stage_names(backbone)
    if stage not in names:
        raise ValueError(
            f"trainable={stage!r} is no part of {backbone}: choose one of "
            f"{', '.join(names)}."
        )
    first = "features" if stage == "head" else first_layer_of(backbone, stage)
    trains = first is None
    for layer in network.layers:
        trains = trains or layer.name == first
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = trains and not is_norm


def _add_head(x, spec):
    import keras

    regularizer = keras.regularizers.L2(spec.l2) if spec.l2 else None

    def dense(units, name, activation=None):
        return keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer="zeros",
            kernel_regularizer=regularizer,
            dtype="float32",
            name=name,
        )

    def drop(x, number):
        if not spec.dropout:
            return x
        name = f"dropout_{number}"
        return keras.layers.Dropout(spec.dropout, seed=0, dtype="float32", name=name)(x)

    for number, units in enumerate(spec.hidden_units, start=1):
        x = drop(dense(units, f"hidden_{number}", "relu")(x), number)
    if not spec.hidden_units:
        x = drop(x, 1)
    x = dense(spec.n_outputs, "logits")(x)
    activation = "sigmoid" if spec.n_outputs == 1 else "softmax"
    layer = keras.layers.Activation(activation, dtype="float32", name="probabilities")
    return layer(x)
