"""Weights of backbones: from Keras, from a file, or random."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from operator import attrgetter

import numpy as np

from ._backbones import (
    PIXEL_SCALE,
    build_application,
    build_backbone,
    get_architecture,
    get_backbone,
)

_N_NAMED = 3  # how many differences an error names


@dataclass(frozen=True)
class Weights:
    """Arrays in the order of a model's weights, with a digest of their values."""

    arrays: tuple
    digest: str

    @classmethod
    def freeze(cls, arrays) -> "Weights":
        """Freeze arrays, and compute their digest."""
        digest = hashlib.blake2b(digest_size=16)
        frozen = []
        for array in arrays:
            array = np.ascontiguousarray(array, dtype=np.float32)
            digest.update(repr(array.shape).encode())
            digest.update(array)
            array.flags.writeable = False
            frozen.append(array)
        return cls(tuple(frozen), digest.hexdigest())


def load_backbone_weights(backbone, weights, seed) -> Weights:
    """Load the weights of a backbone, or make random ones.

    Parameters
    ----------
    backbone : str or KerasBackbone
        A name in the table of backbones, or a network of the user.

    weights : "imagenet", path or None
        Source of the weights; None creates random ones, and "imagenet" of a network of
        the user means those that it came with.

    seed : int
        Seed of random weights.

    Returns
    -------
    weights : Weights
        In the order of :func:`build_backbone`.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    OSError
        If ImageNet weights are not cached and cannot be downloaded.
    ValueError
        If a file does not have weights of this network.
    """
    architecture = get_architecture(backbone)
    if weights is None:
        return _make_random(architecture, seed)
    if weights == "imagenet":
        is_named = isinstance(backbone, str)
        return _imagenet(backbone) if is_named else backbone.weights
    path = os.path.abspath(os.path.expanduser(os.fspath(weights)))
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"weights={weights!r}: there is no file {path!r}. Pass 'imagenet', the "
            "path of a weights file, or None."
        )
    info = os.stat(path)
    version = info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino
    return _from_file(architecture, path, version)


def save_backbone_weights(backbone, weights, path):
    """Write weights to a file that Keras can load for this network without its top."""
    path = os.path.expanduser(os.fspath(path))
    if not path.endswith(".weights.h5"):
        raise ValueError(
            f"path={path!r} must end with '.weights.h5', as Keras needs it."
        )
    if isinstance(backbone, str):
        model = build_application(backbone, weights=None, input_shape=(224, 224, 3))
        model.set_weights(weights.arrays)
    else:
        model = backbone.build_with_weights(weights.arrays)
    model.save_weights(path)


@lru_cache(maxsize=2)
def _imagenet(backbone):
    try:
        model = build_application(
            backbone, weights="imagenet", input_shape=(224, 224, 3)
        )
    except Exception as error:  # urllib and Keras raise errors of many classes
        raise OSError(
            f"weights='imagenet': the weights of {get_backbone(backbone).application} "
            f"are not in Keras' cache, and the download failed ({error}). On a machine "
            "with internet access save them by keras.applications."
            f"{get_backbone(backbone).application}(include_top=False).save_weights("
            "'name.weights.h5'), copy the file here, and pass its path as weights=; "
            "weights=None uses random weights."
        ) from error
    return Weights.freeze(model.get_weights())


@lru_cache(maxsize=2)
def _from_file(backbone, path, version):
    """Read a weights file; `version` changes if the file is replaced."""
    import h5py

    if not isinstance(backbone, str):
        return Weights.freeze(backbone.read_weights(path))
    needed = _list_layers(backbone)
    if not h5py.is_hdf5(path):
        raise ValueError(
            f"weights={path!r} is not an HDF5 file as written by Keras' save_weights. "
            "Load a '.keras' archive by Keras, and save its weights."
        )
    try:
        with h5py.File(path) as file:
            stored, keys = _find_layers(file, needed)
            for item in chain.from_iterable(stored.values()):
                if not isinstance(item, h5py.Dataset) or item.shape is None:
                    raise ValueError(f"{item.name} is not an array")
            problems = _differences(needed, stored, keys)
            found = [] if problems else [stored[key] for key in keys]
            weights = Weights.freeze(
                [np.asarray(array) for layer in found for array in layer]
            )
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
        raise ValueError(
            f"weights={path!r} are not weights of "
            f"{get_backbone(backbone).application}: {named}"
            f"{f'; and {left} more differences' if left > 0 else ''}. Pass a file with "
            "weights of the network in backbone=."
        )
    if not all(np.isfinite(array).all() for array in weights.arrays):
        raise ValueError(f"weights={path!r} have NaN or infinite values.")
    return weights


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
        elif any(array.dtype.kind != "f" for array in arrays):
            problems.append(f"{name} is of dtype {arrays[0].dtype}, not float32")
    # A dense classifier on top is ignored.
    more = [key for key in stored if key not in keys and len(stored[key][0].shape) != 2]
    return problems + [f"the network has no {key}" for key in sorted(more)]


def _find_layers(file, needed):
    """Return the datasets of each layer in an HDF5 file, and the layer names."""
    root = file.get("model_weights", file)
    if "layers" in root:
        return _find_keras3(root["layers"]), _keras3_names(needed)
    if "layer_names" in root.attrs:
        stored = _find_keras2(root)
        return stored, _keras2_names(needed, stored)
    return {}, [name for name, _ in needed]


def _find_keras3(layers):
    stored = {}
    for name in layers:
        variables = layers.get(f"{name}/vars", ())
        if len(variables):
            stored[name] = [variables[key] for key in sorted(variables)]
    return stored


def _find_keras2(root):
    def text(value):
        return value.decode() if isinstance(value, bytes) else value

    stored = {}
    for name in map(text, root.attrs["layer_names"]):
        layer = root[name]
        weights = [layer[text(weight)] for weight in layer.attrs["weight_names"]]
        if weights:
            stored[name] = weights
    return stored


def _keras2_names(needed, stored):
    """Return the names of the layers, or old names as in Keras' MobileNetV2 file.

    Keras uses only the order of the layers.
    """
    in_order = list(stored)[: len(needed)]
    shapes = [[array.shape for array in stored[key]] for key in in_order]
    names = [name for name, _ in needed]
    is_renamed = not set(names) <= set(stored)
    return in_order if is_renamed and shapes == [s for _, s in needed] else names


def _keras3_names(needed):
    """Return names such as "conv2d_3": Keras 3 numbers the layers of each class."""
    count, names = Counter(), []
    for _, shapes in needed:
        kind = _tell_kind(shapes)
        names.append(f"{kind}_{count[kind]}" if count[kind] else kind)
        count[kind] += 1
    return names


def _tell_kind(shapes):
    """Return the class of a layer, as Keras spells it, by the shapes of its weights."""
    if len(shapes[0]) == 1:
        return "batch_normalization"
    return "depthwise_conv2d" if shapes[0][-1] == 1 else "conv2d"


@lru_cache
def _list_layers(backbone):
    """Return (name, shapes of its weights) of each layer with weights, in order."""
    layers = []
    for layer in build_backbone(backbone, get_backbone(backbone).sample_size).layers:
        shapes = map(tuple, map(attrgetter("shape"), layer.weights))
        if layer.weights:
            layers.append((layer.name, list(shapes)))
    return layers


@lru_cache(maxsize=2)
def _make_random(backbone, seed):
    """Return random kernels of He et al. 2015 (arXiv:1502.01852), which keep the scale.

    The first kernel also scales pixels to a standard deviation of 1. VGG has no
    normalisation; without this scaling its logits would be 58 times as large.
    """
    if not isinstance(backbone, str):
        return Weights.freeze(backbone.make_random_weights(seed))
    generator = np.random.default_rng(seed)
    arrays = []
    scale = 1 / PIXEL_SCALE[get_backbone(backbone).preprocessing]
    for _, shapes in _list_layers(backbone):
        for index, shape in enumerate(shapes):
            if len(shape) == 1:
                # Scale and variance of batch normalisation start at 1.
                is_one = len(shapes) == 4 and index in (0, 3)
                arrays.append(np.full(shape, float(is_one), dtype=np.float32))
                continue
            is_depthwise = shape[-1] == 1
            fan_in = np.prod(shape[:2] if is_depthwise else shape[:3])
            kernel = generator.standard_normal(shape, dtype=np.float32)
            arrays.append(kernel * np.float32(scale * np.sqrt(2 / fan_in)))
            scale = 1
    return Weights.freeze(arrays)
