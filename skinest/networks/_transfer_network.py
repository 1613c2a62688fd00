"""Transfer networks: a backbone and a head that classifies its features."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache, partial
from numbers import Integral

import numpy as np

from .._compat import InvalidParameterError, StrOptions
from ._backbone_stages import resolve_batch_norm, set_trainable
from ._backbone_table import BACKBONES
from ._backbones import build_backbone
from ._keras_backbone import KerasBackbone, UserBackbone
from ._trained_part import TrainedPart
from ._weights import Weights


class BackboneNames(StrOptions):
    """Constraint of a parameter that names a backbone.

    Its error suggests similar names. Otherwise the error lists the names by alphabet.

    Parameters
    ----------
    parameter : str
        Name of the parameter.
    """

    def __init__(self, parameter: str) -> None:
        super().__init__(set(BACKBONES))
        self.parameter = parameter

    def is_satisfied_by(self, val: object) -> bool:
        """Return whether a value is a name of a backbone.

        Parameters
        ----------
        val : object
            The value.

        Returns
        -------
        is_satisfied : bool
            Whether it is a name.

        Raises
        ------
        InvalidParameterError
            If it is a string that is similar to a name.
        """
        if super().is_satisfied_by(val):
            return True
        if isinstance(val, str):
            plain = re.sub("[^a-z0-9]", "", val.lower())
            similar = [plain]
            if plain not in self.options:
                similar = get_close_matches(plain, sorted(self.options), 3, 0.8)
            if similar:
                raise InvalidParameterError(
                    f"The {self.parameter!r} parameter is {val!r}, which is not the "
                    "name of a backbone. Did you mean "
                    f"{' or '.join(map(repr, similar))}?"
                )
        return False

    def __str__(self) -> str:
        """Return a description that is the same in every process."""
        return f"a str among {{{', '.join(map(repr, sorted(self.options)))}}}"


# Constraints of the parameters `backbone` and `encoder`.
BACKBONE: list = [BackboneNames("backbone"), KerasBackbone]
ENCODER: list = [BackboneNames("encoder"), KerasBackbone, None]
BATCH_NORM: list = ["boolean", StrOptions({"auto"})]
OUTPUT_L2 = 0.1  # of l2="auto", see benchmarks/README.md


@dataclass(frozen=True)
class BackboneSpec:
    """Specification of a backbone with pooling, from images to features.

    Parameters
    ----------
    backbone : str
        Its name.

    image_size : tuple of int
        (height, width) of the images.

    pooling : {"avg", "max", "flatten"}
        The pooling.

    compute_dtype : {"float32", "bfloat16"}
        Floating-point precision.

    layers : tuple of str, default=()
        Layers whose outputs are pooled, one after the other. Empty means the last one.
    """

    backbone: str | UserBackbone
    image_size: tuple
    pooling: str
    compute_dtype: str
    layers: tuple = ()


@dataclass(frozen=True)
class HeadSpec:
    """Specification of a head, from features to probabilities."""

    hidden_units: tuple
    dropout: float
    l2: float | str
    n_outputs: int

    def split_settings(self) -> tuple[HeadSpec, dict]:
        """Return a head that is the same for all settings, and the values of these."""
        settings: dict[str, float] = {}
        head = self
        if self.dropout:
            settings["dropout"] = self.dropout
            head = replace(head, dropout=0.5)
        if self.l2 and self.l2 != "auto":
            settings["l2"] = float(self.l2)
            head = replace(head, l2=1.0)
        return head, settings


@dataclass(frozen=True)
class TransferNetwork:
    """A transfer network: its architecture and weights.

    Parameters
    ----------
    backbone_spec, head_spec : BackboneSpec, HeadSpec
        The architecture.

    backbone : Weights
        Weights of the backbone.

    head : tuple of ndarray
        Weights of the head.

    n_given : int, default=None
        Number of arrays of the backbone, from the first on, that have never been
        trained. None means all.

    is_from_scratch : bool, default=False
        Whether its initial weights were random.

    train_batch_norm : bool or "auto", default="auto"
        Whether batch normalisation is trained in the part that trains. "auto" trains it
        only if the whole network trains from scratch.
    """

    backbone_spec: BackboneSpec
    head_spec: HeadSpec
    backbone: Weights
    head: tuple
    n_given: int | None = None
    is_from_scratch: bool = False
    train_batch_norm: bool | str = "auto"

    def is_given_below(self, boundary=None) -> bool:
        """Return whether what is below a boundary has never been trained.

        Parameters
        ----------
        boundary : Boundary, default=None
            None means that between backbone and head.
        """
        if self.n_given is None:
            return True
        n_below = None if boundary is None else boundary.n_weights
        return n_below is not None and n_below <= self.n_given

    def trains_norms(self, trainable) -> bool:
        """Return whether batch normalisation trains from the part `trainable` up."""
        return resolve_batch_norm(
            self.train_batch_norm, trainable, self.is_from_scratch
        )

    def describe_training(self, trainable, boundary) -> TrainedPart:
        """Return what :func:`train_network` trains from the part `trainable` up.

        Parameters
        ----------
        trainable : str
            The lowest part that trains.

        boundary : Boundary or None
            The boundary below it, at which the inputs of the training are. None trains
            on images.
        """
        from ._adjustable import share_layers
        from ._norms import fuse_norms

        head, settings = self.head_spec.split_settings()
        kind = trainable, self.trains_norms(trainable)
        specs = self.backbone_spec, head

        def build(settings=None):
            return fuse_norms(build_network(*specs, *kind, settings))

        part = TrainedPart(
            key=("network", *specs, *kind),
            build=build,
            settings=settings,
            weights=(*self.backbone.arrays, *self.head),
            build_whole=share_layers,
        )
        if boundary is None:
            return part
        arrays, n_weights = self.backbone.arrays, boundary.n_weights
        part = replace(
            part,
            key=("upper part", *specs, *kind),
            build=partial(boundary.build_upper, build),
            build_whole=lambda model: share_layers(model, build()),
            base=arrays[:n_weights],
            weights=(*arrays[n_weights:], *self.head),
        )
        if trainable != "head":
            return part
        n_features = boundary.n_features
        return replace(
            part,
            key=("head", head, n_features),  # one model for all backbones
            build=partial(build_head, head, n_features),
            weights=self.head,
            whole_key=(self.backbone_spec,),
            has_convolutions=False,
        )

    def describe_prediction(self) -> dict:
        """Return what :func:`share_model` predicts with, from features."""
        head = replace(self.head_spec, dropout=0.0, l2=0.0)
        n_features = count_features(self.backbone_spec)
        return {
            "key": ("head", head, n_features),
            "build": partial(build_head, head, n_features),
            "arrays": self.head,
        }

    def replace_weights(self, arrays) -> TransferNetwork:
        """Return the network with other weights, of its last layers, of all or none."""
        if not arrays:
            return self
        n_head, n_backbone = len(self.head), len(self.backbone.arrays)
        n_kept = n_head + n_backbone - len(arrays)
        if n_kept == n_backbone:
            return replace(self, head=arrays)
        upper, head = arrays[:-n_head], arrays[-n_head:]
        return replace(
            self,
            backbone=Weights.freeze((*self.backbone.arrays[:n_kept], *upper)),
            head=head,
            n_given=n_kept if self.n_given is None else min(n_kept, self.n_given),
        )

    def build(self, trainable):
        """Build one Keras model, in which the part from `trainable` up trains."""
        network = build_network(
            self.backbone_spec, self.head_spec, trainable, self.trains_norms(trainable)
        )
        network.set_weights([*self.backbone.arrays, *self.head])
        return network

    def build_for_export(self):
        """Build one Keras model in float32, without dropout and penalties."""
        network = replace(
            self,
            backbone_spec=replace(self.backbone_spec, compute_dtype="float32"),
            head_spec=replace(self.head_spec, dropout=0.0, l2=0.0),
        )
        return network.build("head")


def build_pooled_backbone(spec, l2=0.0):
    """Build a Keras model from images to one float32 vector of features for each."""
    import keras

    base = build_backbone(
        spec.backbone, spec.image_size, compute_dtype=spec.compute_dtype, l2=l2
    )
    return keras.Model(base.input, _pool(base, spec), name="pooled_backbone")


def _pool(base, spec):
    import keras

    kinds = {
        "flatten": keras.layers.Flatten,
        "avg": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
    }
    settings = {"dtype": "float32", "data_format": "channels_last"}

    def pool(maps, name):
        kind = "flatten" if len(maps.shape) == 2 else spec.pooling
        return kinds[kind](name=name, **settings)(maps)

    if not spec.layers:
        return pool(base.output, "features")
    parts = [
        pool(base.get_layer(name).output, f"features_{number}")
        for number, name in enumerate(spec.layers)
    ]
    join = keras.layers.Concatenate(name="features", dtype="float32")
    return join(parts) if len(parts) > 1 else parts[0]


@lru_cache
def find_used_weights(spec) -> list[int]:
    """Return which weights of a backbone its features depend on, in their order."""
    import keras

    base = build_backbone(spec.backbone, spec.image_size)
    pooled = keras.Model(base.input, _pool(base, spec))
    positions = {id(weight): number for number, weight in enumerate(base.weights)}
    return [positions[id(weight)] for weight in pooled.weights]


@lru_cache
def count_features(spec) -> int:
    """Count the features that a backbone makes of an image."""
    return build_pooled_backbone(spec).output_shape[-1]


def build_head(spec, n_features, settings=None):
    """Build a Keras model from features to probabilities.

    Parameters
    ----------
    spec : HeadSpec
        The head.

    n_features : int
        The number of features.

    settings : dict of str to keras.Variable, default=None
        Variables to use instead of "dropout" and "l2" of the head, if it has them.
    """
    import keras

    features = keras.Input((n_features,), name="input_features")
    probabilities = _add_head(features, spec, settings)
    head = keras.Model(features, probabilities, name="head")
    return _adjust(head, settings)


def build_network(backbone_spec, head_spec, trainable, trains_norms, settings=None):
    """Build a Keras model from images to probabilities, in which the upper part trains.

    Weights come in the order of the backbone's, then the head's. For `settings` see
    :func:`build_head`.
    """
    import keras

    l2 = 0.0 if head_spec.l2 == "auto" else head_spec.l2
    backbone = build_pooled_backbone(backbone_spec, l2)
    probabilities = _add_head(backbone.output, head_spec, settings)
    network = keras.Model(backbone.input, probabilities, name="transfer_network")
    set_trainable(network, backbone_spec.backbone, trainable, trains_norms)
    return _adjust(network, settings)


def check_hidden_units(hidden_units):
    """Raise ValueError unless `hidden_units` is a tuple of numbers of units."""
    for units in hidden_units:
        is_number = isinstance(units, Integral) and not isinstance(units, bool)
        if not is_number or units < 1:
            raise ValueError(
                f"hidden_units={hidden_units!r} must be a tuple of integers from 1, "
                "such as (512,) or ()."
            )


def make_random_head(n_features, units, seed) -> list[np.ndarray]:
    """Return Glorot-uniform kernels and zero biases of the dense layers, in order."""
    generator = np.random.default_rng(seed)
    arrays = []
    for n_units in units:
        limit = np.sqrt(6 / (n_features + n_units))
        kernel = generator.random((n_features, n_units), dtype=np.float32)
        arrays += [np.float32(limit) * (2 * kernel - 1), np.zeros(n_units, np.float32)]
        n_features = n_units
    return arrays


def _adjust(network, settings):
    from ._adjustable import adjust_penalties

    if settings and "l2" in settings:
        adjust_penalties(network, settings["l2"])
    return network


def _add_head(x, spec, settings):
    import keras

    from ._adjustable import make_dropout

    rate = (settings or {}).get("dropout", spec.dropout)

    def dense(units, name, activation=None):
        l2 = spec.l2
        if l2 == "auto":
            l2 = OUTPUT_L2 if name == "logits" else 0.0
        return keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer="zeros",
            kernel_regularizer=keras.regularizers.L2(l2) if l2 else None,
            dtype="float32",
            name=name,
        )

    for number, units in enumerate(spec.hidden_units or (None,), start=1):
        if units is not None:
            x = dense(units, f"hidden_{number}", "relu")(x)
        if spec.dropout:
            x = make_dropout(rate, dtype="float32", name=f"dropout_{number}")(x)
    x = dense(spec.n_outputs, "logits")(x)
    activation = "sigmoid" if spec.n_outputs == 1 else "softmax"
    layer = keras.layers.Activation(activation, dtype="float32", name="probabilities")
    return layer(x)
