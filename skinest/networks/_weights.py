"""Weights of backbones: from Keras, from a file, or random."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ._backbones import build_application, get_architecture, get_backbone
from ._random_weights import make_random_weights
from ._weight_files import from_application, read_file, to_application


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

    def digest_first(self, n_arrays=None) -> str:
        """Return the digest of the first arrays, or of all."""
        if n_arrays is None:
            return self.digest
        return Weights.freeze(self.arrays[:n_arrays]).digest


def load_backbone_weights(backbone, weights, seed, parameter="backbone") -> Weights:
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

    parameter : str, default="backbone"
        Name of the parameter for the backbone, in messages.

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
    return _from_file(architecture, path, version, parameter)


def save_backbone_weights(backbone, weights, path):
    """Write weights to a file that Keras can load for this network without its top."""
    path = os.path.expanduser(os.fspath(path))
    if not path.endswith(".weights.h5"):
        raise ValueError(
            f"path={path!r} must end with '.weights.h5', as Keras needs it."
        )
    if isinstance(backbone, str):
        model = build_application(backbone, weights=None, input_shape=(224, 224, 3))
        model.set_weights(to_application(backbone, weights.arrays))
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
    return Weights.freeze(from_application(backbone, model.get_weights()))


@lru_cache(maxsize=2)
def _from_file(backbone, path, version, parameter):
    """Read a weights file; `version` changes if the file is replaced."""
    if not isinstance(backbone, str):
        return Weights.freeze(backbone.read_weights(path))
    return Weights.freeze(read_file(backbone, path, parameter))


@lru_cache(maxsize=2)
def _make_random(backbone, seed):
    if not isinstance(backbone, str):
        return Weights.freeze(backbone.make_random_weights(seed))
    return Weights.freeze(make_random_weights(backbone, seed))
