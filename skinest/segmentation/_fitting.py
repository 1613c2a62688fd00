"""How a U-Net is fitted, and how it predicts."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np

from .._training import _stages
from .._training._batches import OUTSIDE, PairBatches
from .._training._pixels import objective
from .._training._pool import borrowed, weights_of
from .._training._predicting import ahead, predict_rows
from .._training._training import Training
from ..networks._unet import UNetSpec, build
from ..networks._weights import Weights
from ..utils._callbacks import iterate_with_callbacks
from ._frames import Frame, blend, tile_corners
from ._pairs import Pairs, check_side

SEEDS = ("weights", "hold_out", "shuffle", "dropout")


@dataclass
class State:
    """A network's architecture and weights, and what brings images to its size."""

    spec: UNetSpec
    weights: Weights
    frame: Frame
    tile_shape: tuple


@dataclass
class Part:
    """Pairs to train on or to validate on."""

    pairs: Pairs
    positions: np.ndarray
    sample_weight: np.ndarray


@dataclass(kw_only=True)
class Fit(Training):
    """How a segmenter is trained.

    Parameters
    ----------
    loss : object
        From :func:`skinest.losses._resolve.resolve_loss`.

    class_weights : ndarray of shape (n_classes,)
        Weights of pixels in the loss.

    augmentation : Augmentation, callable, Keras layer or None
        What changes training pairs.
    """

    loss: object
    class_weights: np.ndarray
    augmentation: object

    def run(self, state, train, validation) -> State:
        """Train from a state on a part."""
        settings = self.settings
        spec = state.spec

        def with_weights(arrays):
            return State(spec, Weights.of(arrays), state.frame, state.tile_shape)

        arrays, _ = self.train(
            key=("unet", spec, self.loss.key, settings.threshold),
            build=partial(build, spec),
            objective=partial(objective, self.loss, spec.n_outputs, settings.threshold),
            epochs=settings.epochs,
            learning_rate=(
                settings.learning_rate if isinstance(settings.optimizer, str) else None
            ),
            jit_compile=_stages.jit_of_convolutions(),
            arrays=state.weights.arrays,
            batches=self._batches(train, self.augmentation, self.seeds["shuffle"]),
            validation=self._batches(validation),
            state_of=lambda model: with_weights(weights_of(model)),
        )
        return with_weights(arrays)

    def _batches(self, part, augmentation=None, seed=None):
        """Batches of a part, if there is one; without a seed in its own order."""
        if part is None:
            return None
        weights = np.zeros(256, dtype=np.float32)
        weights[: len(self.class_weights)] = self.class_weights
        weights[OUTSIDE] = 0
        return PairBatches(
            part.pairs.images,
            part.pairs.masks,
            weights,
            part.positions,
            augmentation,
            part.sample_weight,
            self.settings.batch_size,
            seed,
            self.epoch,
        )


def as_reading(context, estimator, batches, n_batches):
    """Batches of pairs that are read, each a task of scikit-learn's callbacks."""
    reading = context.subcontext(task_name="read-pairs", max_subtasks=n_batches)
    reading.call_on_fit_task_begin(estimator=estimator)
    batches = iterate_with_callbacks(
        batches,
        n_batches,
        estimator=estimator,
        context=reading,
        name="read-pairs-of-batch",
        can_stop=False,
    )
    with closing(batches):
        yield from batches
    reading.call_on_fit_task_end(estimator=estimator)


def outputs_of(state, images, batch_size, tile_overlap) -> Iterator[np.ndarray]:
    """Outputs of the network in the size of each image.

    Parameters
    ----------
    state : State
        The network.

    images : ImageCollection
        The images.

    batch_size : int
        Images, or tiles of them, that go through the network together.

    tile_overlap : float or None
        By how much tiles overlap; None takes each image as a whole.

    Yields
    ------
    outputs : ndarray of shape (height, width, n_outputs), dtype float32
    """
    starts = range(0, len(images), batch_size)
    read = partial(_read, state, images, batch_size, tile_overlap)
    key = ("predicting", "unet", state.spec)
    with (
        closing(ahead(read, starts)) as readings,
        borrowed(key, partial(build, state.spec)) as network,
    ):
        network.load(state.weights.arrays, state.weights.digest)
        for views in readings:
            pixels = [pixels for view in views for pixels in view.pixels]
            computed = iter(_compute(network.model, pixels, batch_size))
            for view in views:
                yield view.join([next(computed) for _ in view.pixels], state.frame)


@dataclass
class _View:
    """An image as the network sees it: as a whole, or in tiles."""

    shape: tuple
    pixels: list
    tile_shape: tuple
    corners: list

    def join(self, outputs, frame) -> np.ndarray:
        """Outputs in the size of the image."""
        tiles = [frame.restore(output, self.tile_shape) for output in outputs]
        if len(tiles) == 1:
            return tiles[0]
        return blend(tiles, self.corners, self.shape)


def _read(state, images, batch_size, tile_overlap, start) -> list[_View]:
    stop = min(start + batch_size, len(images))
    return [
        _view(state, images[position], tile_overlap, position)
        for position in range(start, stop)
    ]


def _view(state, image, tile_overlap, position) -> _View:
    check_side(image, 2**state.spec.depth, f"X[{position}]")
    shape = tile_shape = image.shape[:2]
    corners = [(0, 0)]
    if tile_overlap is not None:
        tile_shape = tuple(map(min, shape, state.tile_shape))
        corners = tile_corners(shape, tile_shape, tile_overlap)
    height, width = tile_shape
    pixels = [
        state.frame.fit_image(image[top : top + height, left : left + width])
        for top, left in corners
    ]
    return _View(shape, pixels, tile_shape, corners)


def _compute(model, pixels, batch_size) -> list[np.ndarray]:
    outputs = []
    for start in range(0, len(pixels), batch_size):
        batch = np.stack(pixels[start : start + batch_size])
        outputs += predict_rows(model, batch, batch_size)
    return outputs
