"""Between images of any size and the one size that a network takes."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np

from .._training._batches import OUTSIDE
from ..images import resize

_MAX_CHANNELS = 4  # of what OpenCV shrinks


@dataclass(frozen=True)
class Frame:
    """How images are brought to the size of a network, and its outputs back.

    Parameters
    ----------
    size : tuple of int
        (height, width) of the network.

    pad : bool
        Whether images keep their aspect ratio and are padded; else they are squeezed.
    """

    size: tuple
    pad: bool

    def fit_image(self, image) -> np.ndarray:
        """An image in the size of the network; padded by its edges."""
        inner = resize(image, self._inner(image.shape))
        if inner.shape[:2] == self.size:
            return inner
        import cv2

        return cv2.copyMakeBorder(
            inner, *self._margins(image.shape), cv2.BORDER_REPLICATE
        )

    def fit_mask(self, mask, labels) -> np.ndarray:
        """A mask in the size of the network, as positions in `labels`.

        Where it shrinks, each pixel takes the label that covers most of it; where it
        is padded, it is `OUTSIDE`.

        Parameters
        ----------
        mask : ndarray of shape (height, width)
            The mask.

        labels : ndarray of shape (n_labels,)
            The labels in it, sorted.

        Returns
        -------
        positions : ndarray of shape size, dtype uint8
        """
        size = self._inner(mask.shape)
        if mask.shape == size:
            inner = np.searchsorted(labels, mask)
        else:
            shares = [
                resize((mask == label).astype(np.float32), size) for label in labels[1:]
            ]
            rest = np.ones(size, np.float32) - sum(shares)
            inner = np.argmax([rest, *shares], axis=0)
        top, bottom, left, right = self._margins(mask.shape)
        return np.pad(
            inner.astype(np.uint8),
            [(top, bottom), (left, right)],
            constant_values=OUTSIDE,
        )

    def restore(self, outputs, shape) -> np.ndarray:
        """Outputs of the network in the size of the image, by linear interpolation.

        Parameters
        ----------
        outputs : ndarray of shape (*size, n_outputs), dtype float32
            What the network gave.

        shape : tuple of int
            (height, width) of the image.

        Returns
        -------
        outputs : ndarray of shape (*shape, n_outputs), dtype float32
        """
        top, _, left, _ = self._margins(shape)
        height, width = self._inner(shape)
        inner = outputs[top : top + height, left : left + width]
        size, n_outputs = tuple(shape[:2]), outputs.shape[-1]
        groups = np.split(inner, range(_MAX_CHANNELS, n_outputs, _MAX_CHANNELS), -1)
        restored = [resize(np.ascontiguousarray(group), size) for group in groups]
        return np.concatenate([part.reshape(*size, -1) for part in restored], axis=-1)

    def _inner(self, shape):
        """The size of the image within the network's."""
        if not self.pad:
            return self.size
        scale = min(self.size[0] / shape[0], self.size[1] / shape[1])
        return tuple(
            min(side, max(1, round(scale * own)))
            for side, own in zip(self.size, shape[:2], strict=True)
        )

    def _margins(self, shape):
        """Rows and columns that are padded: top, bottom, left, right."""
        height, width = self._inner(shape)
        down, right = self.size[0] - height, self.size[1] - width
        return down // 2, down - down // 2, right // 2, right - right // 2


def tile_corners(shape, tile_shape, overlap) -> list[tuple[int, int]]:
    """Corners of tiles that cover an image and overlap by at least a share.

    Parameters
    ----------
    shape : tuple of int
        (height, width) of the image.

    tile_shape : tuple of int
        (height, width) of a tile, no larger than the image.

    overlap : float
        The share of a tile's side, in [0, 1), that neighbours have in common.

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
    """Mean of the outputs of overlapping tiles, less weight to their borders.

    Parameters
    ----------
    tiles : list of ndarray of shape (tile_height, tile_width, n_outputs)
        Outputs.

    corners : list of (top, left)
        Where they lie.

    shape : tuple of int
        (height, width) of the image.

    Returns
    -------
    outputs : ndarray of shape (*shape, n_outputs), dtype float32
    """
    height, width, n_outputs = tiles[0].shape
    window = np.outer(_slope(height), _slope(width))[..., np.newaxis]
    total = np.zeros((*shape, n_outputs), dtype=np.float32)
    weights = np.zeros((*shape, 1), dtype=np.float32)
    for tile, (top, left) in zip(tiles, corners, strict=True):
        place = slice(top, top + height), slice(left, left + width)
        total[place] += window * tile
        weights[place] += window
    return total / weights


def _slope(length):
    """Weights that rise from the ends to the middle, none of them 0."""
    middle = (length - 1) / 2
    return (1 - np.abs(np.arange(length) - middle) / (middle + 1)).astype(np.float32)
