"""Bottleneck features of images, computed in batches and kept on disk."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import joblib
import numpy as np
from sklearn.utils.validation import check_memory

from .. import __version__
from .._augmenting import apply_augmentation
from .._fingerprints import fingerprint, fingerprint_class
from .._training._pool import borrowed
from .._training._predicting import ahead, predict_rows
from ..images import resize
from ..networks._transfer import TrunkSpec, build_trunk
from ..networks._weights import Weights


@dataclass(frozen=True)
class Views:
    """What is computed of each image: itself, then augmented copies.

    View j of an image is drawn from the seed, the image's pixels and j, so that
    folds which share the image share its views.

    Parameters
    ----------
    n_copies : int, default=0
        The number of augmented copies.

    augmentation : Augmentation, callable or Keras layer, default=None
        What draws them.

    seed : int, default=0
        What they are drawn from.
    """

    n_copies: int = 0
    augmentation: object = None
    seed: int = 0

    def __len__(self):
        return 1 + self.n_copies

    def draw(self, pixels, view) -> np.ndarray:
        """A view of a resized image; view 0 is the image itself."""
        if view == 0:
            return pixels
        content = int(joblib.hash(pixels), 16)
        generator = np.random.default_rng([self.seed, content, view])
        return apply_augmentation(self.augmentation, pixels, generator)


class FeatureStore:
    """Features of images by a trunk whose weights stay, each computed once.

    Parameters
    ----------
    spec : TrunkSpec
        The trunk.

    weights : Weights
        Its weights.

    memory : str, path, Memory or None
        Where features are kept; None keeps none.

    batch_size : int
        Images that go through the network together.
    """

    def __init__(self, spec: TrunkSpec, weights: Weights, memory, batch_size):
        self._spec = spec
        self._weights = weights
        self._memory = open_memory(memory)
        self._batch_size = batch_size

    def n_batches(self, n_images) -> int:
        """How many batches :meth:`batches` yields for so many images."""
        return -(-n_images // self._batch_size)

    def batches(self, images, positions=None, views=None) -> Iterator[np.ndarray]:
        """Compute or read features, a batch of images at a time.

        Parameters
        ----------
        images : ImageCollection
            The images.

        positions : sequence of int, default=None
            Which of them; None means all.

        views : Views, default=None
            The views of each; None means the image as it is.

        Yields
        ------
        features : ndarray of shape (n_images_of_batch, n_views, n_features)
        """
        views = views or Views()
        positions = range(len(images)) if positions is None else positions
        size = self._batch_size
        chunks = [positions[i : i + size] for i in range(0, len(positions), size)]
        cache = _Cache(self._memory, self._spec, self._weights, views)

        def read(chunk):
            return _read(images, chunk, views, cache, self._spec.image_size)

        with closing(ahead(read, chunks)) as readings:
            for chunk, (keys, found, pixels) in zip(chunks, readings, strict=True):
                computed = self._compute(list(pixels.values()))
                for (row, view), values in zip(pixels, computed, strict=True):
                    cache.keep(keys[row], view, values)
                    found[row, view] = values
                rows = range(len(chunk))
                yield np.stack(
                    [[found[row, view] for view in range(len(views))] for row in rows]
                )

    def _compute(self, pixels) -> list[np.ndarray]:
        """Features of any number of resized images."""
        features = []
        with borrowed(("trunk", self._spec), lambda: build_trunk(self._spec)) as trunk:
            trunk.load(self._weights.arrays, self._weights.digest)
            for start in range(0, len(pixels), self._batch_size):
                batch = np.stack(pixels[start : start + self._batch_size])
                features += predict_rows(trunk.model, batch, self._batch_size)
        return features


class _Cache:
    """Features that joblib keeps, one file for each view of each image."""

    def __init__(self, memory, spec, weights, views):
        self.is_kept = memory.location is not None
        if self.is_kept:
            self._stored = memory.cache(stored_features, ignore=["compute"])
            self._settings = _settings(spec, weights, views)

    def find(self, key, view):
        """Features that are kept; None if they are not, or can no longer be read."""
        if not self.is_kept:
            return None
        settings = self._settings[view]
        if not self._stored.check_call_in_cache(key, settings, None):
            return None
        try:
            return self._stored(key, settings, _raise_missing)
        except _MissingError:
            return None

    def keep(self, key, view, values):
        if self.is_kept:
            self._stored(key, self._settings[view], lambda: values)


def stored_features(key, settings, compute):
    """Features of a view of an image; joblib keeps them by key and settings."""
    return compute()


def open_memory(memory):
    if isinstance(memory, os.PathLike):
        memory = os.fspath(memory)
    if isinstance(memory, str):
        try:
            os.makedirs(memory, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"memory={memory!r} is not a folder that can be made: {error}"
            ) from error
        memory = os.path.abspath(memory)
    if getattr(memory, "mmap_mode", None):  # what is learned must not hang on files
        memory = joblib.Memory(memory.location, verbose=0)
    return check_memory(memory)


class _MissingError(Exception):
    pass


def _raise_missing():
    raise _MissingError


def _settings(spec, weights, views) -> list[str]:
    """A digest of all that a view of an image depends on, for each view."""
    import keras

    network = keras.__version__, keras.backend.backend(), spec, weights.digest
    digests = [joblib.hash((__version__, *network))]
    if len(views) > 1:
        try:
            drawn = joblib.hash((views.seed, _fingerprint(views.augmentation)))
        except Exception as error:  # pickle raises errors of many classes
            raise ValueError(
                f"augmentation={views.augmentation!r} cannot be pickled, as memory "
                "needs it."
            ) from error
        digests += [joblib.hash((*digests, drawn, j)) for j in range(1, len(views))]
    return digests


def _fingerprint(augmentation):
    """What an augmentation is known by: parameters, code and state."""
    if hasattr(augmentation, "get_config"):
        return _layer_fingerprint(augmentation)
    parameters = (
        augmentation.get_params() if hasattr(augmentation, "get_params") else {}
    )
    return fingerprint(augmentation), parameters


def _layer_fingerprint(layer):
    """What a Keras layer is known by, but for its name, which Keras numbers."""
    config = dict(layer.get_config())
    config.pop("name", None)
    if "input_layers" not in config:  # layers in a row, which come below
        config.pop("layers", None)
    return (
        fingerprint_class(type(layer), ()),
        json.dumps(config, sort_keys=True, default=joblib.hash),
        layer.get_weights(),
        [_layer_fingerprint(inner) for inner in getattr(layer, "layers", ())],
    )


def _read(images, chunk, views, cache, image_size):
    """Keys of images; features that are kept; pixels of the views that are not."""
    found, pixels = {}, {}
    keys = [images.key(position) if cache.is_kept else None for position in chunk]
    for row, (position, key) in enumerate(zip(chunk, keys, strict=True)):
        missing = []
        for view in range(len(views)):
            kept = cache.find(key, view)
            if kept is None:
                missing.append(view)
            else:
                found[row, view] = kept
        if missing:
            image = resize(images[position], image_size)
            for view in missing:
                pixels[row, view] = views.draw(image, view)
    return keys, found, pixels
