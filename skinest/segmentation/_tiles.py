"""Prediction of whole images or of overlapping tiles, in the size of the images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from .._training._batches import Prefetch
from .._training._folded_model import FoldedModel
from .._training._models import share_model
from .._training._views import split_views
from ..networks._unet_network import build
from ._pairs import Letterbox, check_side


def iterate_outputs(
    images, spec, weights, letterbox, *, batch_size, tile_shape, tile_overlap, n_views=1
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each image and the outputs of a network, resized to the image.

    Parameters
    ----------
    images : ImageCollection or ImageViews
        Images. Each is read once.

    spec : UNetSpec
        The network.

    weights : tuple of ndarray
        Its weights.

    letterbox : Letterbox
        Resizes images to the size of the network.

    batch_size : int
        Number of images or tiles in a batch.

    tile_shape : tuple of int
        (height, width) of a tile.

    tile_overlap : float or None
        Overlap of tiles as a fraction of their side. None predicts whole images.

    n_views : int, default=1
        Number of successive positions that are views of one image, to read it once.

    Yields
    ------
    image : ndarray of shape (height, width, 3), dtype uint8
    outputs : ndarray of shape (height, width, n_outputs), dtype float32
    """

    def read(positions):
        inputs = []
        for position in positions:
            image = images[position]
            check_side(image.shape, 2**spec.depth, images.where(position))
            shape = image.shape[:2]
            if tile_overlap is not None:
                shape = tuple(map(min, shape, tile_shape))
            corners = find_corners(image.shape[:2], shape, tile_overlap or 0.0)
            inputs.append(_Input(image, shape, corners, letterbox))
            inputs[-1].cut()
        return inputs

    spec = replace(spec, dropout=0.0)  # predictions have none
    chunks = split_views(np.arange(len(images)), batch_size, n_views)
    with (
        closing(iter(Prefetch(read, chunks))) as batches,
        share_model(
            ("unet", spec), partial(build, spec), weights, FoldedModel
        ) as network,
    ):
        for inputs in batches:
            pixels = [tile for image in inputs for tile in image.tiles]
            outputs = []
            for start in range(0, len(pixels), batch_size):
                batch = np.stack(pixels[start : start + batch_size])
                outputs.extend(network.predict(batch, batch_size))
            computed = iter(outputs)
            for each in inputs:
                yield each.image, each.join([next(computed) for _ in each.corners])


@dataclass
class _Input:
    """An image as input of the network: as a whole or in tiles."""

    image: np.ndarray
    tile_shape: tuple
    corners: list
    letterbox: Letterbox

    def cut(self):
        """Cut the tiles and resize them to the size of the network."""
        height, width = self.tile_shape
        self.tiles = [
            self.letterbox.resize_image(
                self.image[top : top + height, left : left + width]
            )
            for top, left in self.corners
        ]

    def join(self, outputs) -> np.ndarray:
        """Return outputs in the size of the image."""
        tiles = [self.letterbox.restore(output, self.tile_shape) for output in outputs]
        if len(tiles) == 1:
            return tiles[0]
        return blend(tiles, self.corners, self.image.shape[:2])


def find_corners(shape, tile_shape, overlap) -> list[tuple[int, int]]:
    """Return corners of tiles that cover an image with a minimum overlap.

    Parameters
    ----------
    shape : tuple of int
        (height, width) of the image.

    tile_shape : tuple of int
        (height, width) of a tile, no larger than the image.

    overlap : float
        Minimum overlap of neighbours as a fraction of a tile's side, in [0, 1).

    Returns
    -------
    corners : list of (top, left)
    """

    def starts(length, tile):
        step = max(1.0, tile * (1 - overlap))
        n_tiles = int(np.ceil((length - tile) / step)) + 1
        return np.rint(np.linspace(0, length - tile, n_tiles)).astype(int).tolist()

    rows, columns = (
        starts(length, tile) for length, tile in zip(shape, tile_shape, strict=True)
    )
    return [(top, left) for top in rows for left in columns]


def blend(tiles, corners, shape) -> np.ndarray:
    """Return the weighted mean of overlapping tiles, with lower weights at borders.

    Parameters
    ----------
    tiles : list of ndarray of shape (tile_height, tile_width, n_outputs)
        Outputs of the network for each tile.

    corners : list of (top, left)
        Upper left corner of each tile.

    shape : tuple of int
        (height, width) of the image.

    Returns
    -------
    outputs : ndarray of shape (*shape, n_outputs), dtype float32
    """
    height, width, n_outputs = tiles[0].shape
    window = np.outer(_make_slope(height), _make_slope(width))[..., np.newaxis]
    total = np.zeros((*shape, n_outputs), dtype=np.float32)
    weights = np.zeros((*shape, 1), dtype=np.float32)
    for tile, (top, left) in zip(tiles, corners, strict=True):
        place = slice(top, top + height), slice(left, left + width)
        total[place] += window * tile
        weights[place] += window
    return total / weights


def _make_slope(length):
    """Return positive weights that increase from both ends to the middle."""
    middle = (length - 1) / 2
    return (1 - np.abs(np.arange(length) - middle) / (middle + 1)).astype(np.float32)
