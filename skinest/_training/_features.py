"""Bottleneck features of images, computed in batches and cached."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import sys
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial

import joblib
import numpy as np

from .._apply_augmentation import apply_augmentation
from .._cache import Cache, make_key
from .._identity import identify, identify_layer, list_versions
from ..images import ImageCollection, resize
from ..networks._backbone_stages import list_layers
from ..networks._boundaries import divide_below_head
from ._batches import Prefetch, allocate
from ._engines import choose_engine, reject_openvino
from ._openvino_model import EngineError
from ._views import ImageViews, split_views


@dataclass
class ResizedImages:
    """Images resized for a network.

    Parameters
    ----------
    images : ImageCollection or ImageViews
        The images.

    size : tuple of int
        (height, width) of the input of the network.

    rows : ndarray of shape (n_rows,), default=None
        Positions in `images` of the images in use. None means all.
    """

    images: ImageCollection | ImageViews
    size: tuple
    rows: np.ndarray | None = None
    _pixels: np.ndarray | None = None
    _kept: set = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.images) if self.rows is None else len(self.rows)

    def keep_pixels(self):
        """Store each image from now on, so that none is read twice."""
        if self._pixels is None:
            self._pixels = allocate((len(self), *self.size, 3), np.uint8)

    def __getitem__(self, position) -> np.ndarray:
        if self._pixels is not None and position in self._kept:
            # Not a memmap, which has another hash than an array of the same values.
            return np.asarray(self._pixels[position])
        image = resize(self.images[self._find(position)], self.size)
        if self._pixels is not None:
            self._pixels[position] = image
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
    images,
    spec,
    weights,
    *,
    batch_size,
    memory=None,
    positions=None,
    copies=None,
    n_views=1,
    boundary=None,
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

    memory : Cache, str, path or Memory, default=None
        Cache for the features. None caches nothing.

    positions : ndarray of int, default=None
        Positions of the images to use. None means all.

    copies : AugmentedCopies, default=None
        Augmented copies to compute features of. None means no copies.

    n_views : int, default=1
        Number of successive positions that are views of one image, to read it once.

    boundary : Boundary, default=None
        Where in the network the features are. None means after the pooling.

    Yields
    ------
    features : ndarray of shape (n_images_of_batch, 1 + n_copies, n_features)
    """
    copies = copies or AugmentedCopies()
    boundary = boundary or divide_below_head(spec)
    positions = np.arange(len(images)) if positions is None else positions
    cache = memory if isinstance(memory, Cache) else Cache(memory)
    batches, n_done = split_views(positions, batch_size, n_views), 0
    while n_done < len(batches):
        engine = choose_engine(spec)
        settings = _describe(boundary, engine, weights, copies) if cache.is_on else []
        read = partial(_read_batch, images, copies, cache, settings)
        compute = partial(_compute, boundary, engine, weights, batch_size=batch_size)
        try:
            with closing(iter(Prefetch(read, batches[n_done:]))) as reads:
                for keys, found, pixels in reads:
                    _fill(found, compute(pixels), keys, cache)
                    n_done += 1
                    shape = -1, 1 + copies.n_copies, boundary.n_features
                    yield np.stack(found).reshape(shape)
        except EngineError as error:
            reject_openvino(spec, error)  # Keras computes the rest


def _read_batch(images, copies, cache, settings, positions) -> tuple[list, list, list]:
    """Return keys and cached features of all variants, and pixels of the others."""
    n_variants = 1 + copies.n_copies
    keys, pixels, image = [None] * (len(positions) * n_variants), [], None
    if cache.is_on:
        keys = [
            setting and make_key(image_key, setting)
            for image_key in map(images.key, positions)
            for setting in settings
        ]
    found = cache.get(keys)
    for index, values in enumerate(found):
        row, number = divmod(index, n_variants)
        if number == 0:
            image = None
        if values is None:
            image = images[positions[row]] if image is None else image
            pixels.append(copies.make(image, number) if number else image)
    return keys, found, pixels


def _fill(found, computed, keys, cache):
    """Put computed features where `found` has None, and into the cache."""
    missing = [index for index, values in enumerate(found) if values is None]
    for index, values in zip(missing, computed, strict=True):
        found[index] = values
    cache.put([keys[index] for index in missing], computed)
    cache.warn()


def _compute(boundary, engine, weights, pixels, batch_size) -> list[np.ndarray]:
    """Compute features of resized images."""
    features: list[np.ndarray] = []
    if not pixels:
        return features
    arrays = weights.arrays[: boundary.n_weights]
    with engine.share(**boundary.describe_lower(), arrays=arrays) as backbone:
        for start in range(0, len(pixels), batch_size):
            batch = np.stack(pixels[start : start + batch_size])
            features.extend(boundary.pack(backbone.predict(batch, batch_size)))
    return features


def _describe(boundary, engine, weights, copies) -> list[str | None]:
    """Return a digest of all settings that the features of each variant depend on.

    It is None for copies by an augmentation that has no version, and for all variants
    if a layer of the user has none.
    """
    import keras

    backend = keras.backend.backend()
    version = getattr(sys.modules.get(backend), "__version__", "")
    spec = replace(boundary.backbone_spec, compute_dtype=engine.compute_dtype)
    if not isinstance(spec.backbone, str):
        backbone = spec.backbone.identify()
        if backbone is None:
            return [None] * (1 + copies.n_copies)
        if spec.layers:  # other networks can have other layers of these names
            names = list_layers(spec.backbone)
            backbone = joblib.hash((backbone, list(map(names.index, spec.layers))))
        spec = replace(spec, backbone=backbone)
    network = keras.__version__, backend, version, spec, *engine.identify()
    network = *network, weights.digest_first(boundary.n_weights), *boundary.identity
    digests: list[str | None] = [joblib.hash((list_versions(), network))]
    if copies.n_copies:
        augmentation = copies.augmentation
        is_layer = isinstance(augmentation, keras.Layer)
        identity = (identify_layer if is_layer else identify)(
            augmentation, "augmentation"
        )
        for number in range(1, 1 + copies.n_copies):
            parts = digests[0], identity, copies.seed, number
            digests.append(identity and joblib.hash(parts))
    return digests
