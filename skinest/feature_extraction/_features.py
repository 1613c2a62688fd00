"""Bottleneck features of images, computed in batches and kept on disk."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
import numpy as np

from .. import __version__
from .._training._pool import borrowed
from ..augmentation import apply_augmentation
from ..images import resize
from ..networks._transfer import TrunkSpec, build_trunk
from ..networks._weights import Weights
from ._store import fingerprint, open_memory

_MAX_IN_MEMORY = 2**30  # bytes of features; more of them go into a temporary file
_N_AHEAD = 2  # batches that are read while another is computed


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

        with closing(_ahead(read, chunks)) as readings:
            for chunk, (keys, found, pixels) in zip(chunks, readings, strict=True):
                computed = dict(zip(pixels, self._compute(list(pixels.values()))))
                for (row, view), values in computed.items():
                    cache.keep(keys[row], view, values)
                found |= computed
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
                features += predict_padded(trunk.model, batch, self._batch_size)
        return features


def predict_padded(model, batch, batch_size) -> list[np.ndarray]:
    """Apply a model to a batch, filled up with zeros to a power of two.

    So few sizes of batches are ever seen, each of which TensorFlow compiles.
    """
    n_rows = len(batch)
    size = min(batch_size, 1 << (n_rows - 1).bit_length())
    padding = [(0, size - n_rows)] + [(0, 0)] * (batch.ndim - 1)
    return list(np.asarray(model.predict_on_batch(np.pad(batch, padding)))[:n_rows])


@contextmanager
def gathered(batches, shape):
    """Gather batches into one array, in a temporary file where it is large.

    Parameters
    ----------
    batches : iterable of ndarray
        What is gathered.

    shape : tuple of int
        (n_images, n_views, n_features).

    Yields
    ------
    features : ndarray of this shape, dtype float32
    """
    with TemporaryDirectory(prefix="skinest-", ignore_cleanup_errors=True) as folder:
        if 4 * np.prod(shape, dtype=np.int64) <= _MAX_IN_MEMORY:
            features = np.empty(shape, dtype=np.float32)
        else:
            file = Path(folder, "features.npy")
            features = np.lib.format.open_memmap(file, "w+", np.float32, shape)
        start = 0
        for batch in batches:
            features[start : start + len(batch)] = batch
            start += len(batch)
        yield features
        del features  # Windows removes no file that is mapped


class _Cache:
    """Features that joblib keeps, one file for each view of each image."""

    def __init__(self, memory, spec, weights, views):
        self.is_kept = memory.location is not None
        if not self.is_kept:
            return
        self._stored = memory.cache(stored_features, ignore=["compute"])
        self._settings = [
            joblib.hash((*_settings(spec, weights), _view_settings(views, view)))
            for view in range(len(views))
        ]

    def has(self, key, view) -> bool:
        return self.is_kept and self._stored.check_call_in_cache(
            key, self._settings[view], None
        )

    def get(self, key, view) -> np.ndarray:
        return self._stored(key, self._settings[view], _nothing)

    def keep(self, key, view, values):
        if self.is_kept:
            self._stored(key, self._settings[view], lambda: values)


def stored_features(key, settings, compute):
    """Features of a view of an image; joblib keeps them by key and settings."""
    return compute()


def _nothing():
    raise RuntimeError("A file was removed from memory while it was being read.")


def _settings(spec, weights):
    import keras

    return __version__, keras.__version__, keras.backend.backend(), spec, weights.digest


def _view_settings(views, view):
    """What a view depends on beside the image."""
    return view and (view, views.seed, _fingerprint(views.augmentation))


def _fingerprint(augmentation):
    if hasattr(augmentation, "get_config"):  # a Keras layer
        return type(augmentation).__qualname__, augmentation.get_config()
    parameters = (
        augmentation.get_params() if hasattr(augmentation, "get_params") else {}
    )
    return fingerprint(augmentation), parameters


def _read(images, chunk, views, cache, image_size):
    """Keys of images; features that are kept; pixels of the views that are not."""
    found, pixels = {}, {}
    keys = [images.key(position) if cache.is_kept else None for position in chunk]
    for row, (position, key) in enumerate(zip(chunk, keys, strict=True)):
        missing = []
        for view in range(len(views)):
            if cache.has(key, view):
                found[row, view] = cache.get(key, view)
            else:
                missing.append(view)
        if missing:
            image = resize(images[position], image_size)
            for view in missing:
                pixels[row, view] = views.draw(image, view)
    return keys, found, pixels


def _ahead(function, arguments) -> Iterator:
    """Results of a function, computed by threads a little ahead of their use."""
    with ThreadPoolExecutor(_N_AHEAD) as executor:
        waiting = deque()
        try:
            for argument in arguments:
                waiting.append(executor.submit(function, argument))
                if len(waiting) > _N_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
