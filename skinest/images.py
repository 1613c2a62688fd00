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
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsIndex, overload

import numpy as np
from joblib import Parallel, delayed

from ._reading._files import check_files, read_file, to_path
from ._reading._image_forms import list_items
from ._reading._image_sizes import check_resizable, check_sides
from ._reading._pixel_values import check_pixels, check_values, to_rgb, warn_if_dark
from ._reading._warning_filters import own_filters

if TYPE_CHECKING:
    from ._typing import Image, ImageSize, ImagesLike, PathLike

__all__ = [
    "ImageCollection",
    "check_images",
    "limit_side",
    "list_unreadable",
    "read_image",
    "resize",
]


class Unreadable(NamedTuple):
    """A file that cannot be read: its position in the list, path, and the reason."""

    position: int
    path: str
    reason: str


def check_images(X: ImagesLike, y: Any = None, *, name: str = "X") -> ImageCollection:
    """Check images, and return a collection that reads one image at a time.

    For arrays, all values are checked. For paths, this function only checks that the
    files exist. Files are decoded later, so 10,000 paths take almost no memory.

    Parameters
    ----------
    X : array, list of arrays, paths or ImageCollection
        Images in any form that skinest accepts, see :mod:`skinest.images`. The files
        of an ImageCollection are checked again. Values are ``uint8`` (0 to 255),
        ``uint16`` (0 to 65535) or floating point in [0, 1]. One channel is grey, three
        are RGB, the fourth is alpha and is dropped.

    y : array-like of length n_images, default=None
        Labels or masks. If given, its length must be that of `X`. It is not used
        otherwise.

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

    See Also
    --------
    list_unreadable : Read all files, and list those with errors.
    skinest.masks.check_masks : The same for masks.

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
        return _check_again(X)
    items, is_path = list_items(X, name)
    _check_length(items, y, name)
    if is_path:
        return ImageCollection(items, check_files(items, name), name=name)
    for position, image in enumerate(items):
        check_pixels(image, f"{name}[{position}]")
    deep = [image for image in items if image.dtype.str[1:] == "u2"]
    warn_if_dark(name, [i.min() for i in deep], [i.max() for i in deep])
    return ImageCollection(items, name=name)


class ImageCollection(Sequence[np.ndarray]):
    """Sequence of checked images, each of which is read when it is accessed.

    :func:`check_images` creates it. An integer index reads one image. A slice gives a
    collection of those images; error messages still use their positions in `X`.

    Parameters
    ----------
    items : sequence of str or ndarray
        Paths, or arrays that hold one image each.

    file_stats : list of tuple, default=None
        For each file, its absolute path and numbers that change when the file is
        replaced: size, times of change and inode. None for arrays.

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
        file_stats: list[tuple[Any, ...]] | None = None,
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
        if self._file_stats is not None:
            return _read_file(self._file_stats[index][0], self.where(index))
        return np.array(to_rgb(self._items[index]), order="C")  # never the user's own

    def where(self, index: int) -> str:
        """Return the name of an image in error messages: position, and path if known.

        Parameters
        ----------
        index : int
            The position of the image in this collection.

        Returns
        -------
        location : str
        """
        place = f"{self._name}[{self._start + index}]"
        return f"{place}: {self._items[index]!r}" if self.from_files else place

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

    def select(self, positions: Iterable[SupportsIndex]) -> ImageCollection:
        """Return a collection of the images at these positions, without reading them.

        Parameters
        ----------
        positions : iterable of int
            Positions in this collection, in any order.

        Returns
        -------
        images : ImageCollection
            Its error messages use the positions in the new collection.
        """
        chosen = [range(len(self))[position] for position in positions]
        stats = self._file_stats
        return ImageCollection(
            [self._items[index] for index in chosen],
            None if stats is None else [stats[index] for index in chosen],
            name=self._name,
        )

    def key(self, index: int) -> tuple[Any, ...]:
        """Return a key that identifies the content of an image, for caches.

        Parameters
        ----------
        index : int
            The position of the image in this collection.

        Returns
        -------
        key : tuple
            For a file, its absolute path, size, times of change and inode, so that a
            replaced file has another key. For an array, its shape and digest.
        """
        if self._file_stats is not None:
            return self._file_stats[index]
        rgb = np.ascontiguousarray(to_rgb(self._items[index]))
        return (*rgb.shape, hashlib.blake2b(rgb, digest_size=16).hexdigest())


def read_image(path: PathLike) -> Image:
    """Read an image file.

    The formats are JPEG, PNG, TIFF, BMP, GIF, WebP, PNM, JPEG 2000 and AVIF. If a file
    has several images, the first one is read. Grey, palette, CMYK and 16-bit files are
    converted to 8-bit RGB, as are TIFF files with floating-point values in [0, 1].
    Alpha is dropped. The orientation in the file is ignored, so that an image and its
    mask stay aligned.

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
        If the file is empty, truncated or of another format, or has more pixels than
        the environment variable ``SKINEST_MAX_IMAGE_PIXELS`` (default: 2 ** 27) or, in
        BMP, GIF, WebP, JPEG 2000 and AVIF, ``PIL.Image.MAX_IMAGE_PIXELS`` allows.

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
    return _read_file(to_path(path), repr(to_path(path)))


def list_unreadable(
    paths: Iterable[PathLike],
    *,
    read: Callable[[str], Any] = read_image,
    n_jobs: int | None = None,
) -> list[Unreadable]:
    """Read all files, and list those that are missing, damaged or not images.

    Estimators stop at the first such file. This function continues, so that you can
    replace or remove all of them before a long computation.

    Parameters
    ----------
    paths : iterable of str or Path
        The files.

    read : callable, default=read_image
        Function that reads one file: :func:`~skinest.masks.read_mask` for masks.

    n_jobs : int, default=None
        Number of files to read at the same time. None means 1, -1 all processors.

    Returns
    -------
    unreadable : list of (position, path, reason)
        Named tuples: the index in `paths`, the path, and the message of the error or
        warning of the reader. What is not a path, such as NaN in a column of a table,
        is in the list too.

    Raises
    ------
    ValueError
        If `paths` is a single path.

    See Also
    --------
    check_images : Quick check that files exist, which decodes none.

    Examples
    --------
    >>> from skinest.images import list_unreadable
    >>> list_unreadable(["nowhere.png"])[0].position
    0
    """
    if isinstance(paths, str | bytes | os.PathLike) or not hasattr(paths, "__iter__"):
        raise ValueError(f"paths={paths!r} is not a list of paths. Pass [path].")
    paths = _list_paths(paths)
    names = [_to_path_or_none(path) for path in paths]
    # Workers may be in another folder.
    places = [None if name is None else os.path.abspath(name) for name in names]
    reasons = Parallel(n_jobs)(delayed(_find_reason)(place, read) for place in places)
    found = zip(paths, names, reasons, strict=True)
    return [
        Unreadable(position, str(path) if name is None else name, reason)
        for position, (path, name, reason) in enumerate(found)
        if reason is not None
    ]


def _to_path_or_none(path):
    is_path = isinstance(path, str | bytes | os.PathLike)
    return to_path(path) if is_path else None


def _list_paths(paths):
    """Return paths of any form as a list."""
    if isinstance(paths, ImageCollection):
        return list(paths._items)
    if hasattr(paths, "__array__"):
        paths = np.asarray(paths)
        paths = paths[:, 0] if paths.ndim == 2 and paths.shape[1] == 1 else paths
    return list(paths)


def _find_reason(path, read):
    """Return why a file cannot be read, or None."""
    if path is None:
        return "is not a path"
    with own_filters():
        warnings.simplefilter("error", UserWarning)
        try:
            read(path)
        except (OSError, ValueError, UserWarning) as error:
            return str(error)
    return None


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
        The image with the same aspect ratio, except for rounding. It is never enlarged.

    Raises
    ------
    ValueError
        If `max_side` is not a whole number of at least 1, or `image` is not an image.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.images import limit_side
    >>> limit_side(np.zeros((300, 400, 3), dtype=np.uint8), 200).shape
    (150, 200, 3)
    """
    if max_side is None:
        return image
    (max_side,) = check_sides("max_side", max_side, [max_side])
    check_resizable(image)
    height, width = image.shape[:2]
    if max(height, width) <= max_side:
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

    Raises
    ------
    ValueError
        If `size` is not two whole numbers of at least 1, or `image` is not an image.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.images import resize
    >>> resize(np.zeros((150, 200, 3), dtype=np.uint8), (224, 224)).shape
    (224, 224, 3)
    """
    size = check_sides("size", size, size, n_sides=2)
    check_resizable(image)
    height, width = image.shape[:2]
    if (height, width) == size:
        return image
    import cv2

    shrinks = size[0] <= height and size[1] <= width
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (size[1], size[0]), interpolation=interpolation)


def _check_again(images):
    """Return a collection that knows which of its files have changed."""
    if not images.from_files:
        return images
    stats = check_files([place for place, *_ in images._file_stats], images._name)
    return ImageCollection(images._items, stats, images._start, images._name)


def _check_length(items, y, name):
    if len(items) == 0:
        raise ValueError(f"{name} is empty: pass at least one image.")
    try:
        n_entries = len(items) if y is None else len(y)
    except TypeError:  # an array without axes has no length either
        what = f"y is of type {type(y).__name__} and has no length"
        raise ValueError(f"{what}. Pass one entry per image.") from None
    if n_entries != len(items):
        what = f"{name} has {len(items)} images, but y has {n_entries} entries"
        raise ValueError(f"{what}. Pass one entry per image.")


def _read_file(path, location) -> np.ndarray:
    pixels, _ = read_file(path, location)
    check_values(pixels, location)
    if pixels.dtype == np.uint16:
        warn_if_dark(location, [pixels.min()], [pixels.max()])
    return np.ascontiguousarray(to_rgb(pixels))
