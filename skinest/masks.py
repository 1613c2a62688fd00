"""Masks: checking and reading, as for images.

A mask is an image with one integer label per pixel. Masks are accepted in three forms:

1. an array of shape (n_masks, height, width);
2. a list, tuple or object array of arrays of shape (height, width), Pillow images or
   tensors;
3. paths: a list, tuple, 1-d array, ``Series`` or single column of ``str`` or
   :class:`~pathlib.Path`.

Labels are 0 or more and are never changed: a file with the values 0 and 255 has the
labels 0 and 255. Functions and estimators that read masks have two options:

- ``ignore_label=255``, or any other integer, is the label of pixels that are not
  labelled. They count nowhere. Only this label may be negative.
- ``mask_threshold=0.5`` is for masks with a single foreground whose edges are smooth or
  that were saved as JPEG. It replaces grey values by the labels 0 and 1. A pixel is
  foreground if it is brighter than this fraction of white: 255 in uint8, 65535 in
  uint16, 1.0 in floats, or the maximum of the file. Masks that hold only 0 and 1 are
  not changed.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from copy import copy
from numbers import Real
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from ._reading._files import check_files, read_file, to_path
from ._reading._image_forms import name_single, to_array
from ._reading._mask_channels import advise_on_channels
from ._reading._mask_values import check_mask_options, find_labels, threshold_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._typing import Image, Mask, MasksLike, PathLike

__all__ = ["MaskCollection", "check_masks", "read_mask"]


def check_masks(
    y: MasksLike,
    *,
    name: str = "y",
    ignore_label: int | None = None,
    mask_threshold: float | None = None,
) -> MaskCollection:
    """Check masks, and return a collection that reads one mask at a time.

    For arrays, shape and type are checked. For paths, this function only checks that
    the files exist. Files are decoded later.

    Parameters
    ----------
    y : array, list of arrays or paths
        Masks in any form that skinest accepts, see :mod:`skinest.masks`, of integers or
        booleans, or with `mask_threshold` also of floats. If an option is None here, a
        MaskCollection keeps its own.

    name : str, default="y"
        Name of the argument in error messages.

    ignore_label : int, default=None
        Label of pixels that are not labelled, such as 255 or -1. Set it in the
        segmenter for cross-validation, which selects plain masks from a MaskCollection.

    mask_threshold : float, default=None
        Fraction of white, in (0, 1), above which a pixel is foreground. Masks with
        smooth edges, or saved as JPEG, then have the labels 0 and 1.

    Returns
    -------
    masks : MaskCollection of length n_masks
        The masks. Files are decoded when a mask is accessed.

    Raises
    ------
    ValueError
        If `y` is empty or has a shape or type that cannot be masks, if a file is empty,
        or if an option is invalid.
    FileNotFoundError
        If files are missing, are folders or cannot be read. The error lists the
        first few.

    See Also
    --------
    skinest.images.check_images : The same for images.
    skinest.images.list_unreadable : List all files with errors.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.masks import check_masks
    >>> masks = check_masks(np.zeros((2, 8, 6), dtype=np.uint8))
    >>> len(masks), masks[0].shape
    (2, (8, 6))
    """
    check_mask_options(ignore_label, mask_threshold)
    options: dict[str, Any] = {
        "ignore_label": ignore_label,
        "mask_threshold": mask_threshold,
    }
    if isinstance(y, MaskCollection):
        return y._change(**options)
    items = _as_items(y, name)
    if len(items) == 0:
        raise ValueError(f"{name} is empty: pass at least one mask.")
    if isinstance(items[0], str | os.PathLike):
        paths = _as_paths(items, name)
        check_files(paths, name)
        return MaskCollection(paths, name, **options)
    for position, item in enumerate(items):
        _check_array(item, f"{name}[{position}]", mask_threshold, others=items)
    return MaskCollection(items, name, **options)


class MaskCollection(Sequence[np.ndarray]):
    """Sequence of checked masks, each of which is read when it is accessed.

    :func:`check_masks` creates it. An integer index reads one mask. This raises a
    ValueError, which names the file or position, if the mask is invalid, has more than
    32 labels or a negative one, or has several labels near 0 and near 255, as created
    by JPEG compression.

    Parameters
    ----------
    items : sequence of str or ndarray
        Paths, or arrays of shape (height, width).

    name : str, default="y"
        Name of the argument in error messages.

    ignore_label, mask_threshold : int, float or None
        As in :func:`check_masks`.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.masks import check_masks
    >>> masks = check_masks([np.eye(3, dtype=bool), np.ones((2, 4), dtype=bool)])
    >>> [mask.shape for mask in masks]
    [(3, 3), (2, 4)]
    """

    def __init__(
        self,
        items: Sequence[str] | Sequence[np.ndarray],
        name: str = "y",
        *,
        ignore_label: int | None = None,
        mask_threshold: float | None = None,
    ) -> None:
        self._items: Sequence[Any] = items
        # For worker processes, which may be in another folder.
        self._places: Sequence[Any] = items
        if self.from_files:
            self._places = [os.path.abspath(str(path)) for path in items]
        self._name = name
        self.ignore_label = ignore_label
        self.mask_threshold = mask_threshold

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
            Its labels, sorted, without `ignore_label`.
        """
        index = range(len(self))[index]
        item, location = self._places[index], self.where(index)
        options = self.ignore_label, self.mask_threshold
        if isinstance(item, str):
            item = _read_file(item, location, *options)
        return _finish(item, location, *options)

    def select(self, positions: Iterable[SupportsIndex]) -> MaskCollection:
        """Return a collection of the masks at these positions, without reading them.

        Parameters
        ----------
        positions : iterable of int
            Positions in this collection, in any order.

        Returns
        -------
        masks : MaskCollection
            With the same options.
        """
        chosen = [range(len(self))[position] for position in positions]
        return self._replace(
            _items=[self._items[index] for index in chosen],
            _places=[self._places[index] for index in chosen],
        )

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
        return check_files([self._places[index]], self._name)[0]

    def _change(self, **options):
        """Return a collection with other options, except for those that are None."""
        for name, value in options.items():
            if value is None:
                options[name] = getattr(self, name)
        check_mask_options(**options)
        return self._replace(**options)

    def _replace(self, **attributes):
        """Return a collection with other attributes."""
        changed = copy(self)
        vars(changed).update(attributes)
        return changed

    def where(self, index: int) -> str:
        """Return the name of a mask in error messages: position, and path if known."""
        item = self._items[index]
        place = f"{self._name}[{index}]"
        return f"{place}: {item!r}" if isinstance(item, str) else place


def read_mask(
    path: PathLike,
    *,
    ignore_label: int | None = None,
    mask_threshold: float | None = None,
) -> Mask:
    """Read a mask file.

    Parameters
    ----------
    path : str or Path
        A grey image of 1, 8 or 16 bits in a lossless format, such as PNG, or in any
        format with `mask_threshold`. It can be saved as a colour image whose channels
        are equal.

    ignore_label : int, default=None
        Label of pixels that are not labelled. They keep it, and it is not checked like
        the other labels.

    mask_threshold : float, default=None
        Fraction of white, in (0, 1), above which a pixel is foreground. Masks with
        smooth edges, or saved as JPEG, then have the labels 0 and 1.

    Returns
    -------
    mask : ndarray of shape (height, width)
        The labels as they are in the file, in uint8 or uint16: 0 and 255 in 1-bit
        files, and the indices of the colours in files with a palette. With
        `mask_threshold`, 0 and 1.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is not an image, has colours or a variable alpha channel, has more
        than 32 labels or a negative one, has several labels near 0 and near 255, as
        created by JPEG compression, or if an option is invalid.

    See Also
    --------
    skinest.images.read_image : Read an image file.

    Examples
    --------
    >>> from skinest.masks import read_mask
    >>> read_mask("ISIC_0000000_globules.png").shape  # doctest: +SKIP
    (767, 1022)
    """
    check_mask_options(ignore_label, mask_threshold)
    path, options = to_path(path), (ignore_label, mask_threshold)
    mask = _read_file(path, repr(path), *options)
    return _finish(mask, repr(path), *options)[0]


def _as_items(y, name):
    """Return a sequence of single masks or paths."""
    if isinstance(y, str | bytes | bytearray | os.PathLike):
        raise name_single(y, name)
    if y is None:
        raise ValueError(f"{name} is None. Pass {name}, the mask of each image.")
    if not isinstance(y, list | tuple | np.ndarray):
        if not hasattr(y, "__array__"):
            raise ValueError(
                f"{name} is of type {type(y).__name__}. Pass an array, a list of "
                "arrays, or a list of paths; a generator can be passed as "
                "list(generator)."
            )
        y = np.asarray(y)
    if isinstance(y, np.ndarray) and y.ndim == 0:
        raise _no_masks(f"{name} is {y[()]!r:.100}")
    if np.ma.isMaskedArray(y):
        raise ValueError(
            f"{name} is a masked array. Pass {name}.filled(label), and ignore_label="
            "label if masked pixels are not labelled."
        )
    if len(y) and isinstance(y[0], Real):
        raise _no_masks(f"{name}[0] is {y[0]}")
    if not isinstance(y, np.ndarray) or (y.dtype == object and y.ndim == 1):
        return [
            to_array(item, f"{name}[{position}]", as_labels=True)
            for position, item in enumerate(y)
        ]
    if y.dtype.kind in "OUT" and y.ndim == 2 and y.shape[1] == 1:
        return y[:, 0]  # a column of paths
    if y.ndim == 2 and y.shape[1] == 1:
        raise _no_masks(f"{name} has shape {y.shape}")
    if y.ndim != (1 if y.dtype.kind in "OUT" else 3):
        hint = ""
        if y.ndim == 4:
            hint = advise_on_channels(y, name)
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


def _check_array(mask, location, mask_threshold, others=()):
    """Raise ValueError unless an array has the shape and type of a mask."""
    if not isinstance(mask, np.ndarray):
        shown = f" ({mask!r})" if mask is None or np.isscalar(mask) else ""
        raise ValueError(
            f"{location} is of type {type(mask).__name__}{shown}. A mask is an array "
            "of shape (height, width) or a path."
        )
    if np.ma.isMaskedArray(mask):
        raise ValueError(
            f"{location} is a masked array. Pass mask.filled(label), and ignore_label="
            "label if masked pixels are not labelled."
        )
    if mask.ndim != 2:
        hint = ""
        if mask.ndim == 3:
            alike = [each for each in others if getattr(each, "ndim", 0) == 3]
            hint = advise_on_channels(alike or [mask], "mask")
        raise ValueError(
            f"{location} has shape {mask.shape}. A mask is (height, width).{hint}"
        )
    if mask.size == 0:
        raise ValueError(f"{location} has shape {mask.shape}: it has no pixels.")
    if mask.dtype.kind not in ("biu" if mask_threshold is None else "biuf"):
        raise ValueError(
            f"{location} is of dtype {mask.dtype}. A mask holds integer labels or "
            "booleans: threshold probabilities, as in mask > 0.5 or by "
            "mask_threshold=0.5, or use mask.astype(np.uint8)."
        )


def check_mask_size(mask: Mask, image: Image, of_mask: str, of_image: str) -> None:
    """Raise ValueError unless a mask has the size of its image; `of_...` name them."""
    size = image.shape[:2]
    if mask.shape != size:
        raise ValueError(
            f"{of_mask} has shape {mask.shape}, but its image {of_image} has shape "
            f"{size}. A mask has the size of its image: check that they belong "
            "together, in the same order."
        )


def _finish(mask, location, ignore_label, mask_threshold):
    """Return a mask, thresholded if wanted, and its labels."""
    if mask_threshold is not None:
        mask = threshold_mask(mask, location, mask_threshold, ignore_label)
    return mask, find_labels(mask, location, ignore_label)


def _read_file(path, location, ignore_label, mask_threshold) -> np.ndarray:
    is_grey = mask_threshold is not None  # its values are brightness, not labels
    mask, format_name = read_file(path, location, as_labels=not is_grey)
    if mask.ndim == 3:
        mask = _take_grey(mask, location, is_grey)
    _check_array(mask, location, mask_threshold)
    if format_name != "JPEG" or is_grey:
        return mask
    if len(labels := find_labels(mask, location, ignore_label)) > 2:
        raise ValueError(
            f"{location} is a JPEG file with {len(labels)} labels, and JPEG "
            "compression changes labels. Create the mask again as PNG, or pass "
            "mask_threshold=0.5 if it has a single foreground."
        )
    return mask


def _take_grey(image, location, is_grey) -> np.ndarray:
    """Return a grey image that was saved with channels.

    `is_grey` says that its values are brightness, so that alpha is not a label.
    """
    n_colours = 1 if image.shape[2] < 3 else 3
    colours, alpha = image[..., :n_colours], image[..., n_colours:]
    if not (colours == colours[..., :1]).all():
        raise ValueError(
            f"{location} is a colour image of {image.shape[2]} channels, but a mask "
            "has one label for each pixel."
            f"{advise_on_channels([colours], 'mask', are_all=False)} Save the result "
            "as PNG."
        )
    has_shapes = not (colours == colours[:1, :1]).all()
    if not (alpha == alpha[:1, :1]).all() and not (is_grey and has_shapes):
        raise ValueError(
            f"{location} has an alpha channel that is not the same everywhere, so its "
            "labels may be there. Save the labels as a grey PNG: mask[..., 0], or "
            "mask[..., -1] if they are in the alpha channel."
        )
    return colours[..., 0]
