"""Views of images for predictions: exact flips and quarter turns, and their means.

View 0 is the image. The number of another view says how it is turned: with 4, rows and
columns are exchanged; then with 2, the order of rows is reversed; then with 1, that of
columns. So two views are the image and its mirror image, four are all flips, and eight
are all ways to turn an image.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import threading
from collections.abc import Iterator
from numbers import Integral

import numpy as np

from .._compat import Options, check_param
from ..images import ImageCollection

# The keys of a dict, unlike a set, stay in this order in error messages.
NUMBERS_OF_VIEWS = [Options(Integral, dict.fromkeys([1, 2, 4, 8]).keys())]


def read_n_views(estimator) -> int:
    """Return the number of views, and check all parameters that predictions use.

    Unlike other parameters, these are not checked by `fit` alone, because they can be
    set after `fit`.
    """
    for name in estimator._used_in_predictions:
        check_param(estimator, name)
    return int(estimator.n_prediction_views)


def turn(image, view) -> np.ndarray:
    """Return a view of an image of shape (height, width, ...), without a copy."""
    if view & 4:
        image = image.swapaxes(0, 1)
    if view & 2:
        image = image[::-1]
    return image[:, ::-1] if view & 1 else image


def turn_back(outputs, view) -> np.ndarray:
    """Return outputs for a view in the orientation of the image, without a copy."""
    if view & 1:
        outputs = outputs[:, ::-1]
    if view & 2:
        outputs = outputs[::-1]
    return outputs.swapaxes(0, 1) if view & 4 else outputs


class ImageViews:
    """The views of each image, one after the other.

    A thread that reads the views of an image in order reads the image once. The same
    holds for the key of an array, which is computed from all its pixels.

    Parameters
    ----------
    images : ImageCollection
        The images.

    n_views : int
        Number of views of each image.
    """

    def __init__(self, images: ImageCollection, n_views: int) -> None:
        self._images = images
        self._n_views = n_views
        self._of_thread = threading.local()

    def __len__(self) -> int:
        return self._n_views * len(self._images)

    def __getitem__(self, index) -> np.ndarray:
        position, view = divmod(index, self._n_views)
        return turn(self._recall("image", self._images.__getitem__, position), view)

    def key(self, index) -> tuple:
        """Return a key that identifies the content of a view, for caches."""
        position, view = divmod(index, self._n_views)
        key = self._recall("key", self._images.key, position)
        return (*key, f"view {view}") if view else key

    def where(self, index) -> str:
        """Return the name of the image in error messages."""
        return self._images.where(index // self._n_views)

    def _recall(self, name, compute, position):
        """Return a result for an image, which is computed once if it was the last."""
        last = vars(self._of_thread)
        if name not in last or last[name][0] != position:
            last[name] = position, compute(position)
        return last[name][1]


def make_views(images, n_views) -> ImageCollection | ImageViews:
    """Return the views of images; one view is the images themselves."""
    return images if n_views == 1 else ImageViews(images, n_views)


def split_views(positions, batch_size, n_views) -> list[np.ndarray]:
    """Split positions of views into batches, with all views of an image in one batch.

    Batches are larger than `batch_size` only if an image has more views than that.
    """
    size = max(n_views, batch_size - batch_size % n_views)
    return np.split(positions, range(size, len(positions), size))


def average(outputs: Iterator[np.ndarray], n_views) -> np.ndarray:
    """Return the mean of the next outputs, which are those for the views of an image.

    Outputs are added in pairs, then pairs of pairs, and so on. If the image is turned
    into another of its views, the same outputs come in another order, but pairs and
    pairs of pairs stay together. So the sum is the same to the last bit.
    """
    return _add(outputs, n_views) / n_views


def _add(outputs, n_views):
    if n_views == 1:
        return next(outputs)
    return _add(outputs, n_views // 2) + _add(outputs, n_views // 2)


def average_rows(outputs, n_views) -> np.ndarray:
    """Return the mean of each `n_views` successive rows."""
    by_view = outputs.reshape(-1, n_views, outputs.shape[-1]).swapaxes(0, 1)
    return average(iter(by_view), n_views)


def average_masks(predicted, n_views) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each image, and the mean of the outputs for its views, turned back.

    Few outputs are in memory at once: a sum of four views, a sum of two, and those of
    the next two views.

    Parameters
    ----------
    predicted : iterator of (view, outputs)
        Each view of each image, and outputs of shape (height, width, n_outputs).

    n_views : int
        Number of views of each image.

    Yields
    ------
    image : ndarray of shape (height, width, 3), dtype uint8
    outputs : ndarray of shape (height, width, n_outputs), dtype float32
    """
    if n_views == 1:
        yield from predicted
        return
    for image, first in predicted:
        yield image, average(_turn_all_back(first, predicted, n_views), n_views)


def _turn_all_back(first, predicted, n_views):
    yield first
    for view in range(1, n_views):
        yield turn_back(next(predicted)[1], view)
