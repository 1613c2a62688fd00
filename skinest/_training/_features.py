"""Bottleneck features of images, computed in batches and cached."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

import joblib
import numpy as np

from .. import __version__
from .._apply_augmentation import apply_augmentation
from .._cache import Cache, make_key
from .._fingerprints import fingerprint, fingerprint_class
from ..images import ImageCollection, resize
from ..networks._transfer_network import build_pooled_backbone, count_features
from ._batches import Prefetch
from ._models import borrow_model


@dataclass
class ResizedImages:
    """Images resized for a network.

    Parameters
    ----------
    images : ImageCollection
        The images.

    size : tuple of int
        (height, width) of the input of the network.

    pixels : ndarray of shape (n_rows, *size, 3), dtype uint8, default=None
        Array to store images in, so that no image is read twice. None stores nothing.

    rows : ndarray of shape (n_rows,), default=None
        Positions in `images` of the images in use. None means all.
    """

    images: ImageCollection
    size: tuple
    pixels: np.ndarray | None = None
    rows: np.ndarray | None = None
    _kept: set = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.images) if self.rows is None else len(self.rows)

    def __getitem__(self, position) -> np.ndarray:
        if self.pixels is not None and position in self._kept:
            return self.pixels[position]
        image = resize(self.images[self._find(position)], self.size)
        if self.pixels is not None:
            self.pixels[position] = image
            self._kept.add(position)
        return image

    def key(self, position) -> tuple:
        """Return a key that identifies the content of an image, for caches."""
        return self.images.key(self._find(position))

    def _find(self, position):
        return position if self.rows is None else self.rows[position]


@dataclass(frozen=True)
class AugmentedCopies:
    """Augmented copies of images, whose features are computed too.

    Copy j of an image depends only on the seed, the pixels of the image and j, so that
    all folds use the same copies of an image.

    Parameters
    ----------
    n_copies : int, default=0
        The number of copies of each image.

    augmentation : Augmentation, callable or Keras layer, default=None
        Augmentation for the copies.

    seed : int, default=0
        Seed of the copies.
    """

    n_copies: int = 0
    augmentation: object = None
    seed: int = 0

    def make(self, pixels, number) -> np.ndarray:
        """Return an augmented copy of a resized image; copies are numbered from 1."""
        content = int(joblib.hash(pixels), 16)
        generator = np.random.default_rng([self.seed, content, number])
        return apply_augmentation(self.augmentation, pixels, generator)


def iterate_features(
    images, spec, weights, *, batch_size, memory=None, positions=None, copies=None
) -> Generator[np.ndarray, None, None]:
    """Compute features or read them from a cache, in batches of images.

    Parameters
    ----------
    images : ResizedImages
        The images, in the size of the network.

    spec : BackboneSpec
        The network.

    weights : Weights
        Its weights.

    batch_size : int
        Number of images in a batch.

    memory : str, path or Memory, default=None
        Cache for the features. None caches nothing.

    positions : ndarray of int, default=None
        Positions of the images to use. None means all.

    copies : AugmentedCopies, default=None
        Augmented copies to compute features of. None means no copies.

    Yields
    ------
    features : ndarray of shape (n_images_of_batch, 1 + n_copies, n_features)
    """
    copies = copies or AugmentedCopies()
    positions = np.arange(len(images)) if positions is None else positions
    n_variants = 1 + copies.n_copies
    cache = settings = None
    if memory is not None:
        cache, settings = Cache(memory), _describe(spec, weights, copies)

    def read(chunk):
        """Return keys, cached features, and pixels of all other images."""
        keys, found, pixels = [], [None] * (len(chunk) * n_variants), []
        if cache is not None:
            for position in chunk:
                keys += map(partial(make_key, images.key(position)), settings)
            found = cache.get(keys)
        image = None
        for index, values in enumerate(found):
            row, number = divmod(index, n_variants)
            if number == 0:
                image = None
            if values is None:
                image = images[chunk[row]] if image is None else image
                pixels.append(copies.make(image, number) if number else image)
        return keys, found, pixels

    n_features = count_features(spec)
    ends = range(batch_size, len(positions), batch_size)
    with closing(iter(Prefetch(read, np.split(positions, ends)))) as chunks:
        for keys, found, pixels in chunks:
            computed = iter(_compute(spec, weights, pixels, batch_size))
            new_keys, new_values = [], []
            for index, values in enumerate(found):
                if values is None:
                    found[index] = next(computed)
                    new_values.append(found[index])
                    new_keys += keys[index : index + 1]
            if cache is not None:
                cache.put(new_keys, new_values)
            yield np.stack(found).reshape(-1, n_variants, n_features)


def _compute(spec, weights, pixels, batch_size) -> list[np.ndarray]:
    """Compute features of resized images."""
    features: list[np.ndarray] = []
    if not pixels:
        return features
    key = "pooled backbone", spec
    with borrow_model(key, partial(build_pooled_backbone, spec)) as backbone:
        backbone.load(weights.arrays)
        for start in range(0, len(pixels), batch_size):
            batch = np.stack(pixels[start : start + batch_size])
            features.extend(backbone.predict(batch, batch_size))
    return features


def _describe(spec, weights, copies) -> list[str]:
    """Return a digest of all settings that the features depend on."""
    import keras

    network = keras.__version__, keras.backend.backend(), spec, weights.digest
    digests = [joblib.hash((__version__, *network))]
    if copies.n_copies:
        try:
            known = joblib.hash(
                (copies.seed, _fingerprint_augmentation(copies.augmentation))
            )
        except Exception as error:  # pickle raises errors of many classes
            raise ValueError(
                f"augmentation={copies.augmentation!r} cannot be pickled, but memory "
                "needs it."
            ) from error
        numbers = range(1, 1 + copies.n_copies)
        digests += [joblib.hash((*digests, known, number)) for number in numbers]
    return digests


def _fingerprint_augmentation(augmentation):
    """Return a fingerprint of an augmentation: parameters, code and state."""
    if hasattr(augmentation, "get_config"):
        return _fingerprint_layer(augmentation)
    parameters = (
        augmentation.get_params() if hasattr(augmentation, "get_params") else {}
    )
    return fingerprint(augmentation), parameters


def _fingerprint_layer(layer):
    """Return a fingerprint of a Keras layer, without its automatic name."""
    config = dict(layer.get_config())
    config.pop("name", None)
    if "input_layers" not in config:  # layers in a row, which come below
        config.pop("layers", None)
    return (
        fingerprint_class(type(layer)),
        json.dumps(config, sort_keys=True, default=joblib.hash),
        layer.get_weights(),
        [_fingerprint_layer(inner) for inner in getattr(layer, "layers", ())],
    )
