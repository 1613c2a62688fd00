"""Images: checking, reading and resizing.

Every estimator of skinest accepts images in three forms. This module checks and reads
them:

1. an array of shape (n_images, height, width) or (n_images, height, width, 3);
2. a list, tuple or object array of arrays of different sizes;
3. paths: a list, tuple, 1-d array, ``Series`` or single column of ``str`` or
   :class:`~pathlib.Path`.

In all three cases, an image is read as an RGB ``uint8`` array of shape
(height, width, 3).
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np

from ._decoding._files import check_files, read_file

if TYPE_CHECKING:
    from ._typing import Image, ImageSize, ImagesLike, PathLike

__all__ = ["ImageCollection", "check_images", "limit_side", "read_image", "resize"]

_PATH_KINDS = "OUT"  # dtypes of arrays of str: object, fixed and variable length
_FLOAT_TOLERANCE = 1e-3  # resizing may leave [0, 1] by rounding
_MAX_DARK = 4095  # no picture of 16 bits is so dark as a whole


def check_images(X: ImagesLike, y: Any = None, *, name: str = "X") -> ImageCollection:
    """Check images, and return a collection that reads one image at a time.

    All values of arrays are checked. Of paths, only the existence of the files is
    checked. Files are decoded later, so 10,000 paths take almost no memory.

    Parameters
    ----------
    X : array, list of arrays, paths or ImageCollection
        Images in any form that skinest accepts, see :mod:`skinest.images`. What this
        function has returned comes back as it is. Values are ``uint8`` (0 to 255),
        ``uint16`` (0 to 65535) or floating point in [0, 1]. One channel is grey, three
        are RGB, the fourth is alpha and is dropped.

    y : array-like of length n_images, default=None
        If given, its length must be that of `X`.

    name : str, default="X"
        Name of the argument in error messages.

    Returns
    -------
    images : ImageCollection of length n_images
        The images. Files are decoded when an image is accessed.

    Raises
    ------
    ValueError
        If `X` is empty, has a shape, type or values that cannot be images, or
        differs from `y` in length, or if a file is empty.
    FileNotFoundError
        If files are missing, are folders or cannot be read. The error lists the
        first few.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.images import check_images
    >>> images = check_images(np.zeros((2, 8, 6), dtype=np.uint8))
    >>> len(images), images[0].shape, images[0].dtype
    (2, (8, 6, 3), dtype('uint8'))
    """
    if isinstance(X, ImageCollection):
        _check_length(X, y, name)
        return X
    items, is_path = _as_items(X, name)
    _check_length(items, y, name)
    if is_path:
        return ImageCollection(items, check_files(items, name), name=name)
    for position, image in enumerate(items):
        _check_pixels(image, f"{name}[{position}]")
    deep = [image for image in items if image.dtype == np.uint16]
    _warn_if_dark(name, [i.min() for i in deep], [i.max() for i in deep])
    return ImageCollection(items, name=name)


class ImageCollection(Sequence[np.ndarray]):
    """Sequence of checked images, each of which is read when it is accessed.

    :func:`check_images` creates it. An integer index reads one image. A slice gives a
    collection of those images; error messages still use their positions in `X`.

    Parameters
    ----------
    items : sequence of str or ndarray
        Paths, or arrays that hold one image each.

    file_stats : list of (int, int), default=None
        Size in bytes and modification time in ns of each file; None for arrays.

    start : int, default=0
        Position in `X` of the first item, for error messages.

    name : str, default="X"
        Name of the argument in error messages.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.images import check_images
    >>> images = check_images(np.zeros((5, 8, 6), dtype=np.uint8))
    >>> [len(batch) for batch in images.batches(2)]
    [2, 2, 1]
    """

    def __init__(
        self,
        items: Sequence[str] | Sequence[np.ndarray],
        file_stats: list[tuple[int, int]] | None = None,
        start: int = 0,
        name: str = "X",
    ) -> None:
        self._items: Sequence[Any] = items
        self._file_stats = file_stats
        self._start = start
        self._name = name

    def __len__(self) -> int:
        return len(self._items)

    @property
    def from_files(self) -> bool:
        """Return whether the images are decoded from files."""
        return self._file_stats is not None

    @overload
    def __getitem__(self, index: SupportsIndex) -> Image: ...

    @overload
    def __getitem__(self, index: slice) -> ImageCollection: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Image | ImageCollection:
        if isinstance(index, slice):
            start, _, step = index.indices(len(self))
            if step != 1:
                raise ValueError("Images are sliced in steps of one.")
            stats = self._file_stats
            file_stats = None if stats is None else stats[index]
            start += self._start
            return ImageCollection(self._items[index], file_stats, start, self._name)
        index = range(len(self))[index]
        item = self._items[index]
        if self.from_files:
            return _read_file(item, f"{self._name}[{self._start + index}]: {item!r}")
        return np.array(_to_rgb(item), order="C")  # a copy, never the user's own

    def batches(self, size: int) -> Iterator[ImageCollection]:
        """Yield collections of `size` images; the last one may be shorter.

        Parameters
        ----------
        size : int
            The number of images in a batch.

        Yields
        ------
        batch : ImageCollection
        """
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def key(self, index: int) -> tuple[Any, ...]:
        """Return a key that identifies the content of an image, for caches.

        Parameters
        ----------
        index : int
            The position of the image in this collection.

        Returns
        -------
        key : tuple
            For a file, its absolute path, size and modification time, so that a
            replaced file has another key. For an array, its shape and digest.
        """
        item = self._items[index]
        if self._file_stats is not None:
            return (os.path.abspath(item), *self._file_stats[index])
        rgb = np.ascontiguousarray(_to_rgb(item))
        return (*rgb.shape, hashlib.blake2b(rgb, digest_size=16).hexdigest())


def read_image(path: PathLike) -> Image:
    """Read an image file.

    JPEG, PNG, TIFF, BMP, GIF, WebP, PNM, JPEG 2000 and AVIF files are read, the first
    image of each. Grey, palette, CMYK and 16-bit files are converted to 8-bit RGB, and
    so are TIFF files of floating point in [0, 1]. Alpha is dropped. The orientation in
    the file is ignored, so that an image and its mask stay aligned.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    image : ndarray of shape (height, width, 3), dtype uint8
        The image in RGB.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is empty, truncated or of another format, or if it has more pixels
        than the environment variable ``SKINEST_MAX_IMAGE_PIXELS`` allows, 2 ** 27 by
        default.

    Warns
    -----
    UserWarning
        If a JPEG file is damaged in part, or if a 16-bit file has no value above 4095
        and is read as nearly black.

    Examples
    --------
    >>> import sklearn.datasets
    >>> from pathlib import Path
    >>> folder = Path(sklearn.datasets.__file__).parent / "images"
    >>> read_image(folder / "china.jpg").shape
    (427, 640, 3)
    """
    return _read_file(os.fspath(path), repr(os.fspath(path)))


def limit_side(image: Image, max_side: int | None) -> Image:
    """Shrink an image so that its longer side is at most `max_side`.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3), dtype uint8
        The image.

    max_side : int or None
        The longest side in pixels. None leaves the image as it is.

    Returns
    -------
    image : ndarray of shape (new_height, new_width, 3), dtype uint8
        The image with the same aspect ratio, up to rounding. It is never enlarged.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.images import limit_side
    >>> limit_side(np.zeros((300, 400, 3), dtype=np.uint8), 200).shape
    (150, 200, 3)
    """
    height, width = image.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return image
    import cv2

    scale = max_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def resize(image: Image, size: ImageSize) -> Image:
    """Resize an image, without keeping its aspect ratio.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3), dtype uint8
        The image.

    size : tuple of int
        The new (height, width) in pixels.

    Returns
    -------
    image : ndarray of shape (new_height, new_width, 3), dtype uint8
        The resized image. Pixels are averaged if the image shrinks, and interpolated
        linearly if a side grows.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.images import resize
    >>> resize(np.zeros((150, 200, 3), dtype=np.uint8), (224, 224)).shape
    (224, 224, 3)
    """
    height, width = image.shape[:2]
    if (height, width) == tuple(size):
        return image
    import cv2

    shrinks = size[0] <= height and size[1] <= width
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (size[1], size[0]), interpolation=interpolation)


def _check_length(items, y, name):
    if len(items) == 0:
        raise ValueError(f"{name} is empty: pass at least one image.")
    if y is not None and len(y) != len(items):
        raise ValueError(
            f"{name} has {len(items)} images, but y has {len(y)} entries. Pass "
            "one entry per image."
        )


def _as_items(X, name):
    """Return a sequence of single images, and whether they are paths."""
    if isinstance(X, (str, bytes, os.PathLike)):
        raise ValueError(
            f"{name} is a single path, {os.fspath(X)!r}. Pass a list of paths: [path]."
        )
    if not isinstance(X, (list, tuple, np.ndarray)):
        X = _as_array(X, name)
    if isinstance(X, np.ma.MaskedArray):
        raise ValueError(
            f"{name} is a masked array. Pass {name}.filled(value), without a mask."
        )
    if isinstance(X, np.ndarray) and X.dtype.kind == "S":
        raise ValueError(f"{name} holds bytes. Pass paths as str: {name}.astype(str).")
    if isinstance(X, np.ndarray) and X.dtype.kind not in _PATH_KINDS:
        if X.shape == (0,):  # an array of no paths has the dtype of numbers
            return [], False
        return _check_stack(X, name), False
    if isinstance(X, np.ndarray):
        if X.ndim == 2 and X.shape[1] == 1:
            X = X[:, 0]
        if X.ndim != 1:
            raise ValueError(
                f"{name} is an array of dtype {X.dtype} and shape {X.shape}. Pass "
                "paths or images of different sizes as a list, and images of one size "
                "as a numeric array, e.g. np.stack(list_of_images)."
            )
    return _check_elements(X, name)


def _as_array(X, name):
    """Convert a Series, DataFrame column or other array-like to an ndarray."""
    if not hasattr(X, "__array__"):
        raise ValueError(
            f"{name} is of type {type(X).__name__}. Pass an array, a list of arrays, "
            "or a list of paths; a generator can be passed as list(generator)."
        )
    array = np.asarray(X)
    if array.dtype.kind in _PATH_KINDS and array.ndim == 2 and array.shape[1] != 1:
        raise ValueError(
            f"{name} is a table of {array.shape[1]} columns. Pass only the column of "
            f"paths, e.g. {name}['path'] or {name}[['path']]."
        )
    return array


def _check_stack(X, name):
    if X.ndim == 3 and X.shape[-1] in (1, 3, 4):
        raise ValueError(
            f"{name} has shape {X.shape}: one colour image or a stack of very narrow "
            f"grey ones? Pass one image as {name}[np.newaxis] or [image], grey ones as "
            f"{name}[..., np.newaxis]."
        )
    if X.ndim == 2:
        raise ValueError(
            f"{name} has shape {X.shape}: one grey image or a table of features? Pass "
            "images as (n_images, height, width[, 3]), one image as "
            f"{name}[np.newaxis]."
        )
    if X.ndim not in (3, 4):
        raise ValueError(
            f"{name} has shape {X.shape}. Pass images as (n_images, height, "
            "width[, 3])."
        )
    return X


def _check_elements(X, name):
    """Return a list of single images, and whether they are paths."""
    if len(X) and all(isinstance(item, (str, os.PathLike)) for item in X):
        return [str(os.fspath(item)) for item in X], True  # no np.str_ in errors
    are_paths = len(X) and isinstance(X[0], (str, os.PathLike))
    expected = (str, os.PathLike) if are_paths else np.ndarray
    for position, item in enumerate(X):
        if not isinstance(item, expected):
            shown = f" ({item!r})" if item is None or np.isscalar(item) else ""
            raise ValueError(
                f"{name}[{position}] is of type {type(item).__name__}{shown}. Pass "
                "either arrays of shape (height, width[, 3]) or paths, not both."
            )
    return list(X), False


def _check_pixels(image, location):
    if image.ndim < 2 or image.shape[2:] not in ((), (1,), (3,), (4,)):
        raise ValueError(
            f"{location} has shape {image.shape}. An image is (height, width) for "
            "grey, (height, width, 3) for RGB or (height, width, 4) for RGB and alpha."
        )
    if image.size == 0:
        raise ValueError(f"{location} has shape {image.shape}: it has no pixels.")
    _check_values(image, location)


def _check_values(image, location):
    if image.dtype.kind == "f":
        _check_unit_range(image, location)
    elif image.dtype.kind != "u" or image.dtype.itemsize > 2:
        hint = _conversion_hint(image)
        raise ValueError(f"{location} is of dtype {image.dtype}. {hint}")


def _check_unit_range(image, location):
    low, high = image.min(), image.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(
            f"{location} has NaN or infinite values. Replace them, e.g. by "
            "np.nan_to_num, or remove the image."
        )
    if low < -_FLOAT_TOLERANCE:
        raise ValueError(
            f"{location} is {image.dtype} with values from {low:g} to {high:g}; "
            "floating point images must be in [0, 1]. Pass the images from before they "
            "were standardised: the estimator does the preprocessing itself."
        )
    if high > 1 + _FLOAT_TOLERANCE:
        raise ValueError(
            f"{location} is {image.dtype} with values from {low:g} to {high:g}; "
            "floating point images must be in [0, 1]. Divide by their largest possible "
            "value, or for 0 to 255 use X.astype(np.uint8)."
        )


def _conversion_hint(image):
    if image.dtype.kind == "b":
        return "Use X.astype(np.uint8) * 255."
    if image.dtype.kind in "iu":
        return (
            f"Values are from {image.min()} to {image.max()}: use X.astype(np.uint8) "
            "for 0 to 255, X.astype(np.uint16) for 0 to 65535."
        )
    return "Pass uint8 (0 to 255), uint16 (0 to 65535) or floating point in [0, 1]."


def _to_rgb(image) -> np.ndarray:
    """Return checked pixels as uint8 of shape (height, width, 3)."""
    if image.ndim == 2:
        image = image[..., np.newaxis]
    n_colours = 1 if image.shape[2] < 3 else 3  # what follows is alpha
    image = _to_uint8(image[..., :n_colours])
    return np.repeat(image, 3, axis=2) if n_colours == 1 else image


def _to_uint8(image) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    out = np.empty(image.shape, np.uint8)
    for row, scaled in zip(image, out, strict=True):  # whole images need much memory
        if image.dtype.kind == "f":
            scaled[:] = np.rint(np.clip(row, 0, 1) * np.float32(255))
        else:
            scaled[:] = (
                row if image.itemsize == 1 else (row.astype(np.uint32) + 128) // 257
            )
    return out


def _warn_if_dark(name, lows, highs):
    """Warn if images of 16 bits use a small part of their range, and would be black."""
    if not highs or not 0 < max(highs) <= _MAX_DARK:
        return
    warnings.warn(
        f"{name} is uint16 with values from {min(lows)} to {max(highs)}. White is "
        "65535, so it is read as nearly black. If its white is 255, use "
        "astype(np.uint8); if its white is 4095 (12 bits), multiply by 16.",
        stacklevel=2,
    )


def _read_file(path, location) -> np.ndarray:
    pixels, _ = read_file(path, location)
    _check_values(pixels, location)
    if pixels.dtype == np.uint16:
        _warn_if_dark(location, [pixels.min()], [pixels.max()])
    return np.ascontiguousarray(_to_rgb(pixels))
