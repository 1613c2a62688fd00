"""Masks: checking and reading, as for images.

A mask is an image with one integer label per pixel. Masks are accepted in three forms:

1. an array of shape (n_masks, height, width);
2. a list, tuple or object array of arrays of shape (height, width);
3. paths: a list, tuple, 1-d array, ``Series`` or single column of ``str`` or
   :class:`~pathlib.Path`.

Labels are never changed: a file with the values 0 and 255 has the labels 0 and 255.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from ._reading._files import check_files, read_file, to_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._typing import Mask, MasksLike, PathLike

__all__ = ["MaskCollection", "check_masks", "read_mask"]

MAX_LABELS = 32  # more of them are anti-aliasing or the noise of JPEG
_MAX_RANGE = 2**16


def check_masks(y: MasksLike, *, name: str = "y") -> MaskCollection:
    """Check masks, and return a collection that reads one mask at a time.

    For arrays, shape and type are checked. For paths, this function only checks that
    the files exist. Files are decoded later.

    Parameters
    ----------
    y : array, list of arrays or paths
        Masks in any form that skinest accepts, see :mod:`skinest.masks`, of integers or
        booleans. A MaskCollection is returned unchanged.

    name : str, default="y"
        Name of the argument in error messages.

    Returns
    -------
    masks : MaskCollection of length n_masks
        The masks. Files are decoded when a mask is accessed.

    Raises
    ------
    ValueError
        If `y` is empty or has a shape or type that cannot be masks, or if a file is
        empty.
    FileNotFoundError
        If files are missing, are folders or cannot be read. The error lists the
        first few.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.masks import check_masks
    >>> masks = check_masks(np.zeros((2, 8, 6), dtype=np.uint8))
    >>> len(masks), masks[0].shape
    (2, (8, 6))
    """
    if isinstance(y, MaskCollection):
        return y
    items = _as_items(y, name)
    if len(items) == 0:
        raise ValueError(f"{name} is empty: pass at least one mask.")
    if isinstance(items[0], str | os.PathLike):
        paths = _as_paths(items, name)
        check_files(paths, name)
        return MaskCollection(paths, name)
    for position, item in enumerate(items):
        _check_array(item, f"{name}[{position}]")
    return MaskCollection(items, name)


class MaskCollection(Sequence[np.ndarray]):
    """Sequence of checked masks, each of which is read when it is accessed.

    :func:`check_masks` creates it. An integer index reads one mask. This raises a
    ValueError, which names the file or position, if the mask is invalid, has more than
    32 labels, or has several labels near 0 and near 255, as created by JPEG
    compression.

    Parameters
    ----------
    items : sequence of str or ndarray
        Paths, or arrays of shape (height, width).

    name : str, default="y"
        Name of the argument in error messages.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.masks import check_masks
    >>> masks = check_masks([np.eye(3, dtype=bool), np.ones((2, 4), dtype=bool)])
    >>> [mask.shape for mask in masks]
    [(3, 3), (2, 4)]
    """

    def __init__(
        self, items: Sequence[str] | Sequence[np.ndarray], name: str = "y"
    ) -> None:
        self._items: Sequence[Any] = items
        self._name = name

    def __len__(self) -> int:
        return len(self._items)

    # A sequence without slices.
    def __getitem__(self, index: SupportsIndex) -> Mask:  # type: ignore[override]
        return self.read(index)[0]

    def read(self, index: SupportsIndex) -> tuple[Mask, NDArray[Any]]:
        """Read one mask.

        Parameters
        ----------
        index : int
            Its position.

        Returns
        -------
        mask : ndarray of shape (height, width)
            The mask.

        labels : ndarray of shape (n_labels,)
            Its labels, sorted.
        """
        index = range(len(self))[index]
        item, location = self._items[index], self.where(index)
        mask = _read_file(item, location) if isinstance(item, str) else item
        return mask, _find_labels(mask, location)

    @property
    def from_files(self) -> bool:
        """Return whether the masks are decoded from files."""
        return len(self) > 0 and isinstance(self._items[0], str)

    def key(self, index: int) -> tuple[Any, ...]:
        """Return a key that identifies the content of a mask's file, for caches.

        Parameters
        ----------
        index : int
            Its position.

        Returns
        -------
        key : tuple
            Absolute path, size, times of change and inode.
        """
        path = self._items[index]
        return (os.path.abspath(path), *check_files([path], self._name)[0])

    def where(self, index: int) -> str:
        """Return the name of a mask in error messages: position, and path if known."""
        item = self._items[index]
        place = f"{self._name}[{index}]"
        return f"{place}: {item!r}" if isinstance(item, str) else place


def read_mask(path: PathLike) -> Mask:
    """Read a mask file.

    Parameters
    ----------
    path : str or Path
        A grey image of 1, 8 or 16 bits in a lossless format, such as PNG.

    Returns
    -------
    mask : ndarray of shape (height, width), dtype uint8 or uint16
        The labels as they are in the file: 0 and 255 in 1-bit files, and the indices
        of the colours in files with a palette.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is not an image, is a colour image, has more than 32 labels, or has
        several labels near 0 and near 255, as created by JPEG compression.

    Examples
    --------
    >>> from skinest.masks import read_mask
    >>> read_mask("ISIC_0000000_globules.png").shape  # doctest: +SKIP
    (767, 1022)
    """
    path = to_path(path)
    mask = _read_file(path, repr(path))
    _find_labels(mask, repr(path))
    return mask


def _as_items(y, name):
    """Return a sequence of single masks or paths."""
    if isinstance(y, str | bytes | os.PathLike):
        raise ValueError(
            f"{name} is a single path, {to_path(y)!r}. Pass a list of paths: [path]."
        )
    if y is None:
        raise ValueError(f"{name} is None. Pass {name}, the mask of each image.")
    if not isinstance(y, list | tuple | np.ndarray):
        if not hasattr(y, "__array__"):
            raise ValueError(
                f"{name} is of type {type(y).__name__}. Pass an array, a list of "
                "arrays, or a list of paths."
            )
        y = np.asarray(y)
    if isinstance(y, np.ndarray) and y.ndim == 0:
        raise _no_masks(f"{name} is {y[()]!r:.100}")
    if np.ma.isMaskedArray(y):
        raise ValueError(
            f"{name} is a masked array. Pass {name}.filled(label), without a mask."
        )
    if len(y) and isinstance(y[0], Real):
        raise _no_masks(f"{name}[0] is {y[0]}")
    if not isinstance(y, np.ndarray):
        return y
    if y.dtype.kind in "OUT" and y.ndim == 2 and y.shape[1] == 1:
        return y[:, 0]  # a column of paths
    if y.ndim == 2 and y.shape[1] == 1:
        raise _no_masks(f"{name} has shape {y.shape}")
    if y.ndim != (1 if y.dtype.kind in "OUT" else 3):
        hint = ""
        if y.ndim == 4:
            hint = " One channel is y[..., 0]; one-hot channels are y.argmax(axis=-1)."
        elif y.ndim == 2:
            hint = " One mask is passed as y[np.newaxis]."
        raise ValueError(
            f"{name} has shape {y.shape} and dtype {y.dtype}. Pass masks as "
            f"(n_masks, height, width), or those of different sizes as a list.{hint}"
        )
    return y


def _no_masks(what) -> ValueError:
    return ValueError(
        f"{what}: one label for each image. Masks are needed, one label for each "
        "pixel: an array (n_masks, height, width), a list of arrays (height, width) or "
        "paths of mask images. To tell classes of whole images apart, use a classifier "
        "such as VGGTransferClassifier; to crop before it in a Pipeline, put "
        "FrozenEstimator(fitted_segmenter) there."
    )


def _as_paths(items, name) -> list[str]:
    for position, item in enumerate(items):
        if not isinstance(item, str | os.PathLike):
            raise ValueError(
                f"{name}[{position}] is of type {type(item).__name__}, but {name}[0] a "
                "path. Pass either arrays or paths, not both."
            )
    return [to_path(item) for item in items]  # no np.str_ in errors


def _check_array(mask, location):
    """Raise ValueError unless an array has the shape and type of a mask."""
    if not isinstance(mask, np.ndarray):
        shown = f" ({mask!r})" if mask is None or np.isscalar(mask) else ""
        raise ValueError(
            f"{location} is of type {type(mask).__name__}{shown}. A mask is an array "
            "of shape (height, width) or a path."
        )
    if np.ma.isMaskedArray(mask):
        raise ValueError(
            f"{location} is a masked array. Pass mask.filled(label), without a mask."
        )
    if mask.ndim != 2:
        hint = ""
        if mask.ndim == 3:
            hint = " One channel is mask[..., 0]; colours must be mapped to labels."
        raise ValueError(
            f"{location} has shape {mask.shape}. A mask is (height, width).{hint}"
        )
    if mask.size == 0:
        raise ValueError(f"{location} has shape {mask.shape}: it has no pixels.")
    if mask.dtype.kind not in "biu":
        raise ValueError(
            f"{location} is of dtype {mask.dtype}. A mask holds integer labels or "
            "booleans: threshold probabilities, as in mask > 0.5, or use "
            "mask.astype(np.uint8)."
        )


def _find_labels(mask, location) -> np.ndarray:
    """Return the sorted labels of a mask, or raise ValueError if there are too many."""
    low, high = mask.min(), mask.max()
    if ((mask == low) | (mask == high)).all():  # usual, and faster than counting
        labels = np.unique([low, high])
    elif int(high) - int(low) < _MAX_RANGE:  # counting is faster than sorting
        offsets = mask.astype(np.intp) - int(low)
        offsets = np.flatnonzero(np.bincount(offsets.ravel())) + int(low)
        labels = offsets.astype(mask.dtype)
    else:
        labels = np.unique(mask)
    if len(labels) > MAX_LABELS:
        raise ValueError(
            f"{location} has {len(labels)} different values from {labels[0]} to "
            f"{labels[-1]}, but a mask has at most {MAX_LABELS} labels. JPEG "
            "compression or smooth edges may be the cause: threshold the mask, and "
            "save it as PNG."
        )
    if _is_blurred(labels):
        raise ValueError(
            f"{location} has {len(labels)} different values near 0 and near 255, as "
            "caused by JPEG compression or smooth edges: threshold the mask, as in "
            "mask > 127, and save it as PNG."
        )
    return labels


def _is_blurred(labels) -> bool:
    """Return whether all labels are near 0 or near 255, several of each."""
    low, high = labels <= 64, (labels >= 191) & (labels <= 255)
    return labels[0] >= 0 and min(low.sum(), high.sum()) > 1 and (low | high).all()


def _read_file(path, location) -> np.ndarray:
    mask, format_name = read_file(path, location, as_labels=True)
    if mask.ndim != 2:
        raise ValueError(
            f"{location} is a colour image of {mask.shape[2]} channels. A mask has one "
            "label for each pixel: convert it to grey, e.g. keep one channel, and save "
            "it as PNG."
        )
    _check_array(mask, location)
    if format_name == "JPEG" and len(labels := _find_labels(mask, location)) > 2:
        raise ValueError(
            f"{location} is a JPEG file with {len(labels)} labels, and JPEG "
            "compression changes labels. Create the mask again as PNG, or threshold it."
        )
    return mask
