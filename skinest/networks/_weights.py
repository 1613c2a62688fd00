"""Weights of backbones: from Keras, from a file, or drawn."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ._backbones import (
    BACKBONES,
    MIN_SIDE,
    PIXEL_SCALE,
    build_application,
    build_backbone,
)

_N_NAMED = 3  # how many differences an error names


@dataclass(frozen=True)
class Weights:
    """Arrays in the order of a model's weights, and what they are known by."""

    arrays: tuple
    digest: str

    @classmethod
    def of(cls, arrays) -> "Weights":
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
    """Weights of a backbone.

    Parameters
    ----------
    backbone : str
        A name of the table of backbones.

    weights : "imagenet", path or None
        Where they are from; None draws them.

    seed : int
        Draws them.

    Returns
    -------
    weights : Weights
        In the order of :func:`build_backbone`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If ImageNet's weights are not cached and cannot be downloaded.
    ValueError
        If a file does not hold weights of this network.
    """
    if weights is None:
        return _draw(backbone, seed)
    if weights == "imagenet":
        return _imagenet(backbone)
    path = os.path.abspath(os.path.expanduser(os.fspath(weights)))
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"weights={weights!r}: there is no file {path!r}. Give 'imagenet', the "
            "path of a weights file, or None."
        )
    info = os.stat(path)
    return _from_file(backbone, path, info.st_size, info.st_mtime_ns)


def save_backbone_weights(backbone, weights, path):
    """Write weights into a file that Keras loads into its network without top."""
    if not str(path).endswith(".weights.h5"):
        raise ValueError(
            f"path={str(path)!r} must end in '.weights.h5', by which Keras knows the "
            "format."
        )
    model = build_application(backbone, weights=None, input_shape=(224, 224, 3))
    model.set_weights(weights.arrays)
    model.save_weights(path)


@lru_cache(maxsize=2)
def _imagenet(backbone):
    try:
        model = build_application(
            backbone, weights="imagenet", input_shape=(224, 224, 3)
        )
    except Exception as error:  # urllib and Keras raise errors of many classes
        raise OSError(
            f"weights='imagenet': the weights of {BACKBONES[backbone].application} "
            f"are not in Keras' cache and cannot be downloaded ({error}). On a "
            "connected machine save them by keras.applications."
            f"{BACKBONES[backbone].application}(include_top=False).save_weights("
            "'name.weights.h5'), copy the file here, and give its path as weights=; "
            "weights=None starts from random ones."
        ) from error
    return Weights.of(model.get_weights())


@lru_cache(maxsize=2)
def _from_file(backbone, path, size, modified):
    """Read a file; its size and time are there to tell versions apart."""
    needed = _layers_of(backbone)
    stored, keys = _read(path, needed)
    problems = []
    for (name, shapes), key in zip(needed, keys, strict=True):
        found = [array.shape for array in stored.get(key, [])]
        if not found:
            problems.append(f"{name} is not in it")
        elif found != shapes:
            problems.append(f"{name} is {found}, not {shapes}")
    # A classifier on top, which is dense, is left where it is.
    more = [key for key in stored if key not in keys and stored[key][0].ndim != 2]
    problems += [f"it has {key}, which the network does not" for key in sorted(more)]
    if problems:
        named = "; ".join(problems[:_N_NAMED])
        left = len(problems) - _N_NAMED
        raise ValueError(
            f"weights={path!r} are not those of "
            f"{BACKBONES[backbone].application}: {named}"
            f"{f'; and {left} more differences' if left > 0 else ''}. Give the file of "
            "the network that backbone= names."
        )
    weights = Weights.of([array for key in keys for array in stored[key]])
    if not all(np.isfinite(array).all() for array in weights.arrays):
        raise ValueError(f"weights={path!r} hold NaN or infinity.")
    return weights


def _read(path, needed):
    """Arrays of each layer in a file, and the needed layers' names in it."""
    import h5py

    if not h5py.is_hdf5(path):
        raise ValueError(
            f"weights={path!r} is not an HDF5 file, which Keras' save_weights writes. "
            "Load a '.keras' archive by Keras, and save its weights."
        )
    with h5py.File(path) as file:
        root = file.get("model_weights", file)
        if "layers" in root:
            return _read_keras3(root["layers"]), _keras3_names(needed)
        if "layer_names" in root.attrs:
            return _read_keras2(root), [name for name, _ in needed]
    raise ValueError(f"weights={path!r} was not written by Keras: it names no layers.")


def _read_keras3(layers):
    stored = {}
    for name, layer in layers.items():
        variables = layer.get("vars", {})
        if len(variables):
            order = sorted(variables, key=int)
            stored[name] = [np.asarray(variables[key]) for key in order]
    return stored


def _read_keras2(root):
    def text(value):
        return value.decode() if isinstance(value, bytes) else value

    stored = {}
    for name in map(text, root.attrs["layer_names"]):
        layer = root[name]
        names = [text(weight) for weight in layer.attrs["weight_names"]]
        if names:
            stored[name] = [np.asarray(layer[weight]) for weight in names]
    return stored


def _keras3_names(needed):
    """Names such as "conv2d_3": Keras 3 numbers the layers of each class."""
    count, names = Counter(), []
    for _, shapes in needed:
        kind = _kind_of(shapes)
        names.append(f"{kind}_{count[kind]}" if count[kind] else kind)
        count[kind] += 1
    return names


def _kind_of(shapes):
    """Class of a layer in Keras' spelling, told by the shapes of its weights."""
    if len(shapes[0]) == 1:
        return "batch_normalization"
    return "depthwise_conv2d" if shapes[0][-1] == 1 else "conv2d"


@lru_cache
def _layers_of(backbone):
    """(name, shapes of its weights) of each layer that has weights, in order."""
    model = build_backbone(backbone, (MIN_SIDE, MIN_SIDE))
    return [
        (layer.name, [tuple(weight.shape) for weight in layer.weights])
        for layer in model.layers
        if layer.weights
    ]


@lru_cache(maxsize=2)
def _draw(backbone, seed):
    """Kernels by He et al. 2015 (arXiv:1502.01852), which keep the signal's scale.

    The first one brings pixels to a deviation of 1: VGG has no normalisation that
    would, and starts from logits of 50 and more without.
    """
    generator = np.random.default_rng(seed)
    arrays = []
    scale = 1 / PIXEL_SCALE[BACKBONES[backbone].preprocessing]
    for _, shapes in _layers_of(backbone):
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
    return Weights.of(arrays)
