"""Backbones that users bring, as Keras models."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

import joblib
import numpy as np

from .._compat import list_inner_layers, preserved_random_state
from .._identity import identify_definitions
from ._backbones import Backbone, build_backbone, make_config
from ._model_config import (
    find_definitions,
    find_ends,
    find_reason,
    flatten,
    hide_names,
    is_of_keras,
    load_model,
    restore_model,
    serialize_model,
)
from ._weights import Weights

if TYPE_CHECKING:
    import keras

    from .._typing import PathLike, Preprocessing

_SIDE = 224  # of the images of a check, if a network takes any size
# Largest difference of two computations, relative to the largest output.
_TOLERANCE = {True: 1e-3, False: 0.1}  # in float32, in lower precision
_lock = Lock()  # Python's own generator is seeded


@dataclass(frozen=True, eq=False, kw_only=True)
class UserBackbone(Backbone):
    """A network of the user without its weights, like a row of the table.

    Parameters
    ----------
    config : str
        Configuration of the user's model, as JSON.

    definitions : dict of str to class or function
        What it needs beside Keras.

    size : tuple of int or None
        (height, width) of its images; None means any number of pixels.

    digest : str
        Digest of `config` without the names of layers, which Keras counts.

    names : tuple of str
        The names of layers.
    """

    config: str
    definitions: dict
    size: tuple
    digest: str
    names: tuple

    @property
    def sample_size(self) -> tuple:
        """A size of images that the network takes."""
        return tuple(side or _SIDE for side in self.size)

    @property
    def row(self) -> Self:
        """Itself."""
        return self

    def _key(self):
        # A cell of a notebook that runs again defines another class of the same name.
        definitions = tuple(self.definitions.values())
        names = self.application, *self.names, *self.stages.items()
        return self.digest, self.preprocessing, names, definitions

    def __eq__(self, other) -> bool:
        return isinstance(other, UserBackbone) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        return self.application

    def get_definitions(self) -> dict:
        """Return the classes and functions that Keras does not know."""
        return self.definitions

    def identify(self) -> str | None:
        """Return a digest for caches; None if code of the user has no version."""
        own = [
            each
            for each in self.definitions.values()
            if not is_of_keras(each.__module__)
        ]
        code = identify_definitions(own, "backbone")
        return code and joblib.hash((self.digest, self.preprocessing, code))

    def check_image_size(self, image_size):
        """Raise ValueError unless the network takes images of this size."""
        super().check_image_size(image_size)
        pairs = zip(self.size, image_size, strict=True)
        if any(side not in (None, given) for side, given in pairs):
            raise ValueError(
                f"image_size={tuple(image_size)}, but the network {self.application!r} "
                f"takes images of {self.size} pixels. Set image_size={self.size}."
            )
        try:
            make_config(self, tuple(map(int, image_size)))
        except ValueError as error:
            raise ValueError(
                f"image_size={tuple(image_size)}: the network {self.application!r} "
                f"cannot be built for it: {error}"
            ) from error

    def build(self, *, input_tensor, weights=None):
        """Build the network after a symbolic tensor, as one flat Keras model."""
        import keras

        model = restore_model(self.config, self.definitions)
        (images,) = keras.utils.get_source_inputs(input_tensor)
        return keras.Model(images, flatten(model, input_tensor))

    def copy_weights(self, model) -> list[np.ndarray]:
        """Return the weights of a model of the user, in the order of `build_backbone`.

        The model may get other names of layers.
        """
        import keras

        weights = _list_weights(self._flatten(model))
        for weight in weights:
            if not str(weight.dtype).startswith(("float", "bfloat")):
                raise ValueError(
                    f"{weight.path} are weights of dtype {weight.dtype}, but they must "
                    "be floating point."
                )
        arrays = [
            np.array(keras.ops.convert_to_numpy(weight.value), dtype=np.float32)
            for weight in weights
        ]
        if not all(np.isfinite(array).all() for array in arrays):
            raise ValueError("there are weights that are NaN or infinite.")
        return arrays

    def make_random_weights(self, seed) -> list[np.ndarray]:
        """Return what the initializers of the layers make."""
        with _lock, preserved_random_state():
            random.seed(seed)  # from which initializers without a seed get one
            model = restore_model(self.config, self.definitions)
        return self.copy_weights(model)

    def read_weights(self, path) -> list[np.ndarray]:
        """Return the weights of a file that Keras can load into the user's model."""
        model = restore_model(self.config, self.definitions)
        try:
            model.load_weights(path)
            return self.copy_weights(model)
        except Exception as error:  # Keras and h5py raise errors of many classes
            raise ValueError(
                f"weights={path!r} cannot be loaded as weights of the network "
                f"{self.application!r}: {error}"
            ) from error

    def build_with_weights(self, arrays):
        """Build the user's model, with weights in the order of `build_backbone`."""
        model = restore_model(self.config, self.definitions)
        weights = _list_weights(self._flatten(model))
        for weight, array in zip(weights, arrays, strict=True):
            weight.assign(array)
        return model

    def _flatten(self, model):
        import keras

        images = keras.Input((*self.sample_size, 3), dtype="float32")
        return keras.Model(images, flatten(model, images))


def _list_weights(network) -> list:
    """List the weights of a flat network, in the order of `build_backbone`."""
    import keras

    weights = []
    for layer in network.layers:
        is_adapted = isinstance(layer, keras.layers.Normalization)
        # Its third weight is a count, which no output depends on.
        weights += layer.weights[:2] if is_adapted else layer.weights
    return weights


class KerasBackbone:
    """A network of your own as the backbone of an estimator.

    Pass it as `backbone` to :class:`~skinest.TransferClassifier`,
    :class:`~skinest.BottleneckFeatureExtractor` or
    :func:`~skinest.networks.build_transfer_network`, or as `encoder` to
    :class:`~skinest.UNetSegmenter` or :func:`~skinest.networks.build_unet`. It holds a
    copy of the network and its weights: it does not change when the model is trained
    further, and it can be pickled, searched and cached without the file.

    Parameters
    ----------
    model : keras.Model or path
        A network whose layers are connected: a functional or sequential model, or a
        backbone of KerasHub. Or the path of a file that Keras has saved, such as
        ``"network.keras"``. It takes RGB images, of any or of one size. Its output is
        either feature maps, of shape (n_images, rows, columns, channels), or one vector
        for each image. Cut off a classifier that it ends in.

    preprocessing : {"none", "tf", "torch", "caffe"}, default="none"
        Preprocessing of images with values from 0 to 255, in front of the network.
        "none" passes them on as they are. The other ones are those of
        :mod:`keras.applications`: "tf" scales values to [-1, 1]; "torch" scales them to
        [0, 1], then subtracts the mean colour of ImageNet and divides by its standard
        deviation; "caffe" converts RGB to BGR and subtracts the mean colour.

    stages : dict of str to str, default=None
        Names for parts of the network, from the top down, and the first layer of each:
        ``{"top": "conv_7", "middle": "conv_4"}``. You can pass them as `trainable` and
        `fine_tune`, beside "head" or "decoder", "all" and the name of any layer.

    name : str, default=None
        Name of the network in messages, and in the names of features. None means that
        of the model.

    Attributes
    ----------
    name : str
        The name.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If `model` is neither a Keras model nor a path.
    ValueError
        If the model cannot be used or copied, or an argument is invalid.

    See Also
    --------
    skinest.TransferClassifier : Classifier with a backbone.
    skinest.BottleneckFeatureExtractor : Features of a backbone.
    skinest.UNetSegmenter : Segmenter with an encoder.

    Notes
    -----
    Two objects are equal if they have the same configuration, which includes the names
    of layers, and the same weights.

    Layers of inner models become layers of the network, so that you can pass their
    names as `layer` to :class:`~skinest.inspection.GradCAMDisplay`, or as `fine_tune`.
    If two layers have the same name, or one has a name of the head's layers, it gets
    the name of the model as a prefix. ``clf.model_.summary()`` shows all names.

    A layer of your own class needs ``get_config()``. To unpickle the object in another
    process, its module must be importable there. Features are cached in `memory` only
    if the class has an attribute `version`, see :ref:`own-code`.

    Random layers, such as dropout, are active only in a training, and only if they are
    in the part that is trained. In an encoder, those that move or mix images, such as
    `RandomFlip`, are never active, because masks would not change with the images: use
    `augmentation` of the segmenter. If you save and load a built network, or clone it,
    these layers are active in a training again, as usual in Keras.

    If the network needs other preprocessing, put a layer in front, as below.

    Examples
    --------
    >>> from skinest import BottleneckFeatureExtractor
    >>> from skinest.datasets import make_dermoscopy
    >>> from skinest.networks import KerasBackbone
    >>> import keras  # after skinest, which lets TensorFlow use oneDNN
    >>> trained = keras.Sequential(
    ...     [
    ...         keras.Input((32, 32, 3)),
    ...         keras.layers.Rescaling(1 / 255),
    ...         keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
    ...         keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
    ...     ]
    ... )
    >>> backbone = KerasBackbone(trained, name="mine")
    >>> backbone
    KerasBackbone('mine')
    >>> images = make_dermoscopy(4, random_state=0).images
    >>> extractor = BottleneckFeatureExtractor(
    ...     backbone, image_size=(32, 32), pooling="avg"
    ... )
    >>> extractor.fit_transform(images).shape
    (4, 16)
    """

    row: UserBackbone
    weights: Weights

    def __init__(
        self,
        model: keras.Model | PathLike,
        *,
        preprocessing: Preprocessing = "none",
        stages: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> None:
        if preprocessing not in ("none", "tf", "torch", "caffe"):
            raise ValueError(
                f"preprocessing={preprocessing!r} must be 'none', 'tf', 'torch' or "
                "'caffe'. For another one, put a layer such as keras.layers.Rescaling "
                "in front of the model."
            )
        model = load_model(model)
        images, _ = find_ends(model)
        model, config = serialize_model(model)
        name = model.name if name is None else name
        if not isinstance(name, str) or not name or "/" in name:
            raise ValueError(f"name={name!r} must be a string without '/'.")
        hidden, names = hide_names(config)
        if not isinstance(stages, Mapping | None):
            raise ValueError(
                f"stages={stages!r} must be a dict of names and first layers."
            )
        stages = dict(stages or {})
        row = UserBackbone(
            application=name,
            preprocessing={"none": "inside"}.get(preprocessing, preprocessing),
            stages=stages,
            blocks="",
            min_side=1,
            config=json.dumps(config),
            definitions=find_definitions(model, config),
            size=tuple(images.shape[1:3]),
            digest=joblib.hash(hidden),
            names=tuple(names),
        )
        network = _copy(row, model)
        _check_stages(stages, network)
        weights = Weights.freeze(network.get_weights())
        vars(self).update(row=row, weights=weights)

    @property
    def name(self) -> str:
        """Name of the network."""
        return self.row.application

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"{self!r} cannot be changed. Create another KerasBackbone."
        )

    def __repr__(self) -> str:
        return f"KerasBackbone({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KerasBackbone) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __deepcopy__(self, memo: dict) -> Self:
        return self

    def _key(self):
        return self.row, self.weights.digest


def _copy(row, model):
    """Return a flat copy of a model, which is checked to compute the same."""
    import keras

    try:
        copy = restore_model(row.config, row.definitions)
        copy.set_weights(model.get_weights())
        arrays = row.copy_weights(copy)
        bare = replace(row, preprocessing="inside")
        network = build_backbone(bare, row.sample_size)
        network.set_weights(arrays)
    except Exception as error:  # of a layer of the user
        raise ValueError(f"model cannot be copied: {find_reason(error)}") from error
    # Whole numbers, as in images: some models convert their input to uint8.
    images = np.random.default_rng(0).integers(0, 256, (1, *row.sample_size, 3))
    images = images.astype(np.float32)
    expected, found = (
        np.asarray(keras.ops.convert_to_numpy(each(images, training=False)), float)
        for each in (model, network)
    )
    layers = list_inner_layers(model)
    is_exact = all(layer.compute_dtype == "float32" for layer in layers)
    tolerance = _TOLERANCE[is_exact] * np.abs(expected).max()
    if not np.allclose(expected, found, rtol=0, atol=tolerance, equal_nan=True):
        raise ValueError(
            "model cannot be copied: a copy with the same configuration and weights "
            "has other outputs. Look for a layer that has a state beside these."
        )
    return network


def _check_stages(stages, network):
    """Raise ValueError unless each stage has a new name and begins with a layer."""
    import keras

    kind = keras.layers.InputLayer
    names = [layer.name for layer in network.layers if not isinstance(layer, kind)]
    for stage, first in stages.items():
        if stage in ("head", "decoder", "all"):
            raise ValueError(f"stages has {stage!r}, which every network has.")
        if first not in names:
            raise ValueError(
                f"stages: the network has no layer {first!r}. Its layers are "
                f"{', '.join(names)}."
            )
