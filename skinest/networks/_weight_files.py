"""Files of weights, as Keras 2 and Keras 3 write them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np

from ._backbones import (
    IMAGENET_STD,
    build_backbone,
    get_backbone,
    is_preprocessing,
    make_config,
)

_N_NAMED = 3  # how many differences an error names
_N_TOP = 3  # how many layers of a classifier a file may have


@dataclass(frozen=True)
class LayerWeights:
    """Weights of a layer, and where Keras stores them.

    Parameters
    ----------
    name : str
        The layer.

    kind : str
        Its class.

    variables : tuple of str
        Names of the weights.

    shapes : tuple of tuple of int
        Their shapes.

    outer_name : str
        Name of the layer, or of the nested model that it is in, in files of Keras 2.

    group : str
        Group in files of Keras 3, which number the layers of each class.
    """

    name: str
    kind: str
    variables: tuple
    shapes: tuple
    outer_name: str
    group: str

    @property
    def is_normalization(self) -> bool:
        """Return whether Keras has a `Normalization` layer here: it has a count too."""
        return is_preprocessing(self.name)

    @property
    def stored_shapes(self) -> list:
        """Return the shapes of the arrays in a file."""
        return [*self.shapes, ()] if self.is_normalization else [*self.shapes]


@lru_cache(maxsize=64)
def list_weights(backbone) -> list[LayerWeights]:
    """Return the layers with weights, in the order of :func:`build_backbone`."""
    side = get_backbone(backbone).min_side
    config = json.loads(make_config(backbone, (side, side)))
    places = {layer["name"]: layer["stored_as"] for layer in config["layers"]}
    return [
        LayerWeights(
            layer.name,
            type(layer).__name__,
            tuple(weight.name for weight in layer.weights),
            tuple(tuple(weight.shape) for weight in layer.weights),
            *places[layer.name],
        )
        for layer in build_backbone(backbone, (side, side)).layers
        if layer.weights
    ]


def from_application(backbone, arrays) -> list[np.ndarray]:
    """Convert the weights of Keras' network to those of :func:`build_backbone`."""
    remaining = iter(arrays)
    converted = []
    for layer in list_weights(backbone):
        own = [next(remaining) for _ in layer.stored_shapes]
        if layer.is_normalization:
            mean, variance, _ = own
            # Keras' ImageNet weights have the deviation here, and Keras adds a layer
            # for the difference: https://github.com/tensorflow/tensorflow/issues/49930
            if np.allclose(variance, IMAGENET_STD, atol=1e-3):
                variance = np.square(variance)
            own = [mean, variance]
        converted += own
    return converted


def to_application(backbone, arrays) -> list[np.ndarray]:
    """Convert weights of :func:`build_backbone` to those of Keras' network."""
    remaining = iter(arrays)
    converted: list[np.ndarray] = []
    for layer in list_weights(backbone):
        converted += [next(remaining) for _ in layer.shapes]
        if layer.is_normalization:
            converted.append(np.zeros(()))  # images that it was fitted to
    return converted


def read_file(backbone, path, parameter="backbone") -> list[np.ndarray]:
    """Read the weights of a backbone from a file.

    `parameter` is the name of the parameter for the backbone, in messages.

    Raises
    ------
    ValueError
        If they are not weights of this network; the error says of which they seem to
        be.
    """
    import h5py

    layers = list_weights(backbone)
    if not h5py.is_hdf5(path):
        raise ValueError(
            f"weights={path!r} is not an HDF5 file as written by Keras' save_weights. "
            "Load a '.keras' archive by Keras, and save its weights."
        )
    try:
        with h5py.File(path) as file:
            stored, needed, keys = _find_layers(file, layers)
            for item in chain.from_iterable(stored.values()):
                if not isinstance(item, h5py.Dataset) or item.shape is None:
                    raise ValueError(f"{item.name} is not an array")
            problems = _differences(needed, stored, keys)
            found = [] if problems else [stored[key] for key in keys]
            arrays = [
                np.asarray(array, dtype=np.float32)
                for layer in found
                for array in layer
            ]
            owner = _guess_owner(stored) if problems else None
    except Exception as error:  # h5py raises errors of many classes
        raise ValueError(
            f"weights={path!r} is damaged: {type(error).__name__}: {error}"
        ) from error
    if not stored:
        raise ValueError(
            f"weights={path!r} has no layers with weights in the format of Keras. If "
            "the network is nested in another one, save the weights of the inner one."
        )
    if problems:
        named = "; ".join(problems[:_N_NAMED])
        left = len(problems) - _N_NAMED
        advice = f"Pass a file with weights of the network in {parameter}=."
        if owner is not None:
            application = get_backbone(owner).application
            advice = (
                f"They seem to be weights of {application}: pass {parameter}="
                f"{owner!r}, or another file."
            )
        raise ValueError(
            f"weights={path!r} are not weights of "
            f"{get_backbone(backbone).application}: {named}"
            f"{f'; and {left} more differences' if left > 0 else ''}. {advice}"
        )
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(f"weights={path!r} have NaN or infinite values.")
    return from_application(backbone, arrays)


def _differences(needed, stored, keys) -> list[str]:
    """List layers that are missing in a file, differ, or are not needed."""
    problems = []
    for (name, shapes), key in zip(needed, keys, strict=True):
        arrays = stored.get(key, [])
        found = [array.shape for array in arrays]
        if not found:
            problems.append(f"{name} is missing")
        elif found != shapes:
            problems.append(f"{name} is {found}, not {shapes}")
        elif any(array.dtype.kind != "f" for array in arrays if array.shape):
            problems.append(f"{name} is of dtype {arrays[0].dtype}, not float32")
    more = [key for key in stored if key not in keys and not _is_top(stored[key])]
    return problems + [f"the network has no {key}" for key in sorted(more)]


def _is_top(arrays) -> bool:
    """Return whether a layer may be of a classifier, which is ignored.

    It is dense, or a convolution of 1 x 1 pixels.
    """
    shape = arrays[0].shape
    return len(shape) == 2 or (len(shape) == 4 and shape[:2] == (1, 1))


def _find_layers(file, layers):
    """Return the arrays of an HDF5 file, and what is needed of them.

    Returns
    -------
    stored : dict of str to list of h5py.Dataset
        The arrays of each layer in the file.

    needed : list of (str, list of tuple of int)
        Name and shapes of each layer, in the order of the network.

    keys : list of str
        The key of each in `stored`.
    """
    root = file.get("model_weights", file)
    if "layers" in root:
        needed = [(layer.name, layer.stored_shapes) for layer in layers]
        return _find_keras3(root["layers"]), needed, [layer.group for layer in layers]
    outer: dict[str, list] = {}  # Keras 2 stores the weights of a nested model together
    for layer in layers:
        outer.setdefault(layer.outer_name, []).extend(layer.stored_shapes)
    needed = list(outer.items())
    if any(key.startswith("layer_names") for key in root.attrs):
        stored = _find_keras2(root)
        return stored, needed, _keras2_names(needed, stored)
    return {}, needed, list(outer)


def _find_keras3(layers, path=""):
    stored = {}
    for name in sorted(layers, key=lambda name: (len(name), name)):  # by number
        variables = layers.get(f"{name}/vars", ())
        if len(variables):
            stored[path + name] = [variables[key] for key in sorted(variables)]
        if name.startswith("sequential"):
            inner = layers.get(f"{name}/layers", {})
            stored.update(_find_keras3(inner, f"{path}{name}/"))
    return stored


def _find_keras2(root):
    stored = {}
    for name in _read_names(root, "layer_names"):
        layer = root[name]
        weights = [layer[weight] for weight in _read_names(layer, "weight_names")]
        if weights:
            stored[name] = weights
    return stored


def _read_names(group, attribute) -> Iterator[str]:
    """Read names of an attribute, which Keras 2 divides if it is long."""
    attributes = group.attrs
    parts = [attribute]
    if attribute not in attributes:
        n_parts = sum(key.startswith(attribute) for key in attributes)
        parts = [f"{attribute}{number}" for number in range(n_parts)]
    for part in parts:
        for name in attributes[part]:
            yield name.decode() if isinstance(name, bytes) else name


def _keras2_names(needed, stored):
    """Return the names of the layers, or those in the file if the order fits.

    Keras uses only the order of the layers. Some have other names in old files, or
    numbers that Keras has counted on.
    """
    in_order = list(stored)[: len(needed)]
    shapes = [[array.shape for array in stored[key]] for key in in_order]
    names = [name for name, _ in needed]
    is_renamed = not set(names) <= set(stored)
    return in_order if is_renamed and shapes == [s for _, s in needed] else names


def _guess_owner(stored) -> str | None:
    """Return the backbone that has as many parameters as a file, or None.

    The file may have the layers of a classifier too. No network is built for it.
    """
    from ._backbone_table import BACKBONES

    sizes = {key: _count(arrays) for key, arrays in stored.items()}
    total = sum(sizes.values())
    totals = {total}
    for n_axes in (2, 4):  # dense layers or convolutions, at the end
        top = [
            sizes[key]
            for key, arrays in stored.items()
            if _is_top(arrays) and len(arrays[0].shape) == n_axes
        ]
        totals |= {total - sum(top[-n:]) for n in range(1, _N_TOP + 1)}
    found = [name for name, row in BACKBONES.items() if row.n_parameters in totals]
    return found[0] if found else None


def _count(arrays) -> int:
    return sum(int(np.prod(array.shape)) for array in arrays)
