"""Pairs of images and masks, read once for a fit."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace

import numpy as np

from .._training._batches import OUTSIDE
from .._training._large_arrays import allocated
from .._training._predicting import ahead
from ..images import check_images
from ..masks import MAX_LABELS, check_masks

_N_READ = 16  # pairs that are read together


@dataclass
class Pairs:
    """Images and masks in the size of the network.

    Parameters
    ----------
    images : ndarray of shape (n_pairs, height, width, 3), dtype uint8
        The images.

    masks : ndarray of shape (n_pairs, height, width), dtype uint8
        Positions of the labels in `classes`; `OUTSIDE` where an image is padded.

    classes : ndarray of shape (n_classes,)
        The labels, sorted.

    shapes : ndarray of shape (n_pairs, 2)
        Height and width of the images as they are given.

    where : dict of int to str
        What errors call the first mask that holds a label.
    """

    images: np.ndarray
    masks: np.ndarray
    classes: np.ndarray
    shapes: np.ndarray
    where: dict

    def counts(self, positions, weights) -> np.ndarray:
        """Pixels of each class in the masks of these pairs.

        Each pair counts by its weight, in which their mean is 1.
        """
        weights = np.asarray(weights, dtype=float)
        weights = weights / (weights.mean() or 1)
        total = np.zeros(256)
        for position, weight in zip(positions, weights, strict=True):
            counts = np.bincount(self.masks[position].ravel(), minlength=256)
            total += weight * counts
        return total[: len(self.classes)]


class PairSource:
    """Images and masks that belong together by their positions.

    Parameters
    ----------
    X : array, list of arrays or paths of length n_images
        The images.

    y : array, list of arrays or paths of length n_images
        Their masks.

    min_side : int
        Fewest pixels a side.

    names : tuple of str, default=("X", "y")
        What errors call images and masks.

    Attributes
    ----------
    masks : MaskCollection
        The masks.
    """

    def __init__(self, X, y, min_side, names=("X", "y")):
        if y is None:
            raise ValueError(f"{names[1]} is None. Pass the mask of each image.")
        self.masks = check_masks(y, name=names[1])
        self._images = check_images(X, name=names[0])
        self._min_side = min_side
        self._names = names
        if len(self.masks) != len(self._images):
            raise ValueError(
                f"{names[0]} holds {len(self._images)} images, but {names[1]} "
                f"{len(self.masks)} masks. Pass one for each image."
            )

    def __len__(self):
        return len(self._images)

    def read(self, position, frame):
        """Read a pair, and check that it is one.

        Returns
        -------
        image : ndarray of shape (*frame.size, 3), dtype uint8
        mask : ndarray of shape frame.size, dtype uint8
            Positions in `labels`.
        labels : ndarray of shape (n_labels,)
            Those in the mask, sorted.
        shape : tuple of int
            Height and width of the image as it is given.
        """
        image = self._images[position]
        mask, labels = self.masks.read(position)
        self.check_shape(position, mask.shape, image.shape[:2])
        check_side(image, self._min_side, f"{self._names[0]}[{position}]")
        pair = frame.fit_image(image), frame.fit_mask(mask, labels)
        return *pair, labels, mask.shape

    def check_shape(self, position, shape, of_image):
        """Raise ValueError unless a mask has the size of its image."""
        if shape != of_image:
            raise ValueError(
                f"{self.where(position)} has shape {shape}, but its image "
                f"{self._names[0]}[{position}] {of_image}. A mask has the size of its "
                "image: check that they belong together, in the same order."
            )

    def where(self, position) -> str:
        """What errors call a mask."""
        return self.masks.where(position)


def check_side(image, min_side, where):
    """Raise ValueError if an image is too small for a network."""
    if min(image.shape[:2]) < min_side:
        raise ValueError(
            f"{where} has shape {image.shape[:2]}, but the network halves images down "
            f"to 1 / {min_side}: both sides need {min_side} pixels or more. Leave it "
            "out, or lower depth."
        )


@contextmanager
def read_pairs(source, frame, tasks):
    """Read all pairs, each once.

    Parameters
    ----------
    source : PairSource
        What is read.

    frame : Frame
        What brings pairs to the size of the network.

    tasks : callable
        Wraps a generator of batches that are read, and their number, for callbacks.

    Yields
    ------
    pairs : Pairs

    Raises
    ------
    ValueError
        If a pair cannot be read or is none; the error names it.
    OSError
        If a file is no longer there.
    """
    n_pairs = len(source)
    starts = range(0, n_pairs, _N_READ)

    def read(start):
        stop = min(start + _N_READ, n_pairs)
        return [source.read(position, frame) for position in range(start, stop)]

    with ExitStack() as stack:
        images = stack.enter_context(allocated((n_pairs, *frame.size, 3), np.uint8))
        masks = stack.enter_context(allocated((n_pairs, *frame.size), np.uint8))
        coder, shapes = _Coder(source), []
        with closing(tasks(ahead(read, starts), len(starts))) as batches:
            for batch in batches:
                for image, mask, labels, shape in batch:
                    position = len(shapes)
                    images[position] = image
                    masks[position] = coder.codes(position, labels)[mask]
                    shapes.append(shape)
        coder.sort(masks)
        yield Pairs(images, masks, coder.classes, np.array(shapes), coder.where)


class _Coder:
    """Numbers labels as they come, and sorts them at the end."""

    def __init__(self, source):
        self._source = source
        self._code_of = {}
        self._dtypes = set()
        self.where = {}

    def codes(self, position, labels) -> np.ndarray:
        """Table from positions in `labels` to codes; `OUTSIDE` stays."""
        table = np.full(256, OUTSIDE, dtype=np.uint8)
        for index, label in enumerate(labels.tolist()):
            if label not in self._code_of:
                self._add(label, position)
            table[index] = self._code_of[label]
        self._dtypes.add(labels.dtype)
        return table

    def sort(self, masks):
        """Make codes positions in the sorted labels."""
        labels = list(self._code_of)
        table = np.full(256, OUTSIDE, dtype=np.uint8)
        table[: len(labels)] = np.argsort(np.argsort(labels))
        if (np.diff(table[: len(labels)].astype(int)) > 0).all():
            return
        for mask in masks:
            mask[...] = table[mask]

    @property
    def classes(self) -> np.ndarray:
        """The labels, sorted, in the type of the masks."""
        dtype = np.result_type(*self._dtypes)
        if dtype.kind == "f":  # of uint64 and signed integers
            dtype = np.int64
        return np.array(sorted(self._code_of), dtype=dtype)

    def _add(self, label, position):
        where = self._source.where(position)
        if len(self._code_of) == MAX_LABELS:
            raise ValueError(
                f"{where} holds the label {label}, by which the masks have more than "
                f"{MAX_LABELS} labels in all: {sorted(self._code_of)}."
            )
        self._code_of[label] = len(self._code_of)
        self.where[label] = where


def sources_of(X, y, X_val, y_val, min_side):
    """What is trained on, and what is given to validate on or None."""
    source = PairSource(X, y, min_side)
    if X_val is None and y_val is None:
        return source, None
    if X_val is None or y_val is None:
        raise ValueError("X_val and y_val go together: pass both or none.")
    return source, PairSource(X_val, y_val, min_side, names=("X_val", "y_val"))


def in_codes_of(pairs, classes):
    """Pairs with the codes of other classes, of which theirs are some."""
    unknown = np.setdiff1d(pairs.classes, classes).tolist()
    if unknown:
        raise ValueError(
            f"{pairs.where[unknown[0]]} holds {unknown[0]}, which the training masks, "
            f"with {classes.tolist()}, do not."
        )
    table = np.full(256, OUTSIDE, dtype=np.uint8)
    table[: len(pairs.classes)] = np.searchsorted(classes, pairs.classes)
    for mask in pairs.masks:
        mask[...] = table[mask]
    return replace(pairs, classes=classes)


def warn_of_one_label(classes, counts):
    """Warn where there is nothing to tell apart.

    `counts` are pixels of each class in the masks that are trained on, in the size of
    the network.
    """
    if len(classes) == 1:
        label = classes[0].item()
        shown = "empty: they hold" if not label else "full: they hold"
        warnings.warn(
            f"All masks are {shown} no label but {label}. There is nothing to learn, "
            "and it is what will be predicted everywhere.",
            UserWarning,
            stacklevel=2,
        )
    elif np.count_nonzero(counts) == 1:
        label = classes[np.argmax(counts)].item()
        warnings.warn(
            f"All masks that are trained on hold no label but {label}: the others are "
            "held out to validate on, or smaller than a pixel of image_size. Pass "
            "X_val and y_val, or raise image_size.",
            UserWarning,
            stacklevel=2,
        )
