"""Pairs of images and masks: read once, and resized to the size of a network."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from .._cache import make_key
from .._identity import list_versions
from .._reading._mask_coding import CodingCheck
from .._reading._mask_values import MAX_LABELS
from .._training._batches import Prefetch, allocate
from ..images import check_images, resize
from ..masks import check_mask_size, check_masks

OUTSIDE = 255  # class index of padding, and of pixels that are not labelled
_N_READ = 16  # pairs that are read in one batch
_MAX_CHANNELS = 4  # of an image that OpenCV can shrink


@dataclass(frozen=True)
class Letterbox:
    """Resize images to the size of a network, and probabilities to that of images.

    Parameters
    ----------
    size : tuple of int
        (height, width) of the network.

    pad : bool
        Whether images keep their aspect ratio and are padded, or are stretched.
    """

    size: tuple
    pad: bool

    def resize_image(self, image) -> np.ndarray:
        """Return an image in the size of the network, padded with its border pixels."""
        size, margins = self._find_place(image.shape)
        inner = resize(image, size)
        if size == self.size:
            return inner
        import cv2

        return cv2.copyMakeBorder(inner, *margins, cv2.BORDER_REPLICATE)

    def resize_mask(self, mask, labels, ignore_label=None) -> np.ndarray:
        """Return a mask in the size of the network, as positions in `labels`.

        In a shrunk mask, each pixel has the label that covers most of it. Padding and
        pixels of `ignore_label` have the value `OUTSIDE`.

        Parameters
        ----------
        mask : ndarray of shape (height, width)
            The mask.

        labels : ndarray of shape (n_labels,)
            Sorted labels of the mask, without `ignore_label`.

        ignore_label : int, default=None
            Label of pixels that are not labelled.

        Returns
        -------
        positions : ndarray of shape size, dtype uint8
        """
        size, margins = self._find_place(mask.shape)
        if mask.shape == size:
            inner = np.searchsorted(labels, mask)
            if ignore_label is not None:
                inner[mask == ignore_label] = OUTSIDE
        else:
            inner = _resize_labels(mask, labels, ignore_label, size)
        top, bottom, left, right = margins
        return np.pad(
            inner.astype(np.uint8),
            [(top, bottom), (left, right)],
            constant_values=OUTSIDE,
        )

    def restore(self, outputs, shape) -> np.ndarray:
        """Return probabilities in the size of the image, by linear interpolation.

        OpenCV rounds means of pixels, so that a mean of ones can be above 1.

        Parameters
        ----------
        outputs : ndarray of shape (*size, n_outputs), dtype float32
            Outputs of the network, in [0, 1].

        shape : tuple of int
            (height, width) of the image.

        Returns
        -------
        outputs : ndarray of shape (*shape, n_outputs), dtype float32
            In [0, 1].
        """
        (height, width), (top, _, left, _) = self._find_place(shape)
        inner = outputs[top : top + height, left : left + width]
        size, n_outputs = tuple(shape[:2]), outputs.shape[-1]
        groups = np.split(inner, range(_MAX_CHANNELS, n_outputs, _MAX_CHANNELS), -1)
        restored = [resize(np.ascontiguousarray(group), size) for group in groups]
        joined = np.concatenate([part.reshape(*size, -1) for part in restored], axis=-1)
        return np.clip(joined, 0, 1, out=joined)

    def _find_place(self, shape):
        """Return the size of an image inside of the padding, and the margins.

        Returns
        -------
        size : (height, width)
        margins : (top, bottom, left, right)
        """
        if not self.pad:
            return self.size, (0, 0, 0, 0)
        scale = min(self.size[0] / shape[0], self.size[1] / shape[1])
        sides = np.rint(np.multiply(scale, shape[:2])).astype(int)
        height, width = np.clip(sides, 1, self.size).tolist()
        down, right = self.size[0] - height, self.size[1] - width
        margins = down // 2, down - down // 2, right // 2, right - right // 2
        return (height, width), margins


def _resize_labels(mask, labels, ignore_label, size):
    """Return a mask in another size, as for :meth:`Letterbox.resize_mask`."""
    codes = [*range(1, len(labels))]
    areas = [mask == label for label in labels[1:]]
    if ignore_label is not None:  # last, so that labels win a tie
        codes.append(OUTSIDE)
        areas.append(mask == ignore_label)
    shares = [resize(area.astype(np.float32), size) for area in areas]
    rest = np.ones(size, np.float32) - sum(shares)
    return np.array([0, *codes])[np.argmax([rest, *shares], axis=0)]


@dataclass
class Pairs:
    """Images and masks in the size of a network.

    Parameters
    ----------
    images : ndarray of shape (n_pairs, height, width, 3), dtype uint8
        The images.

    masks : ndarray of shape (n_pairs, height, width), dtype uint8
        Class indices: positions of the labels in `classes`, and `OUTSIDE` where an
        image is padded or not labelled.

    classes : ndarray of shape (n_classes,)
        The labels, sorted.

    shapes : ndarray of shape (n_pairs, 2)
        Original height and width of the images.

    locations : dict of label to str
        For each label, the name of the first mask that has it, for error messages.

    letterbox : Letterbox
        Has resized the images and masks.
    """

    images: np.ndarray
    masks: np.ndarray
    classes: np.ndarray
    shapes: np.ndarray
    locations: dict
    letterbox: Letterbox

    def encode_by(self, classes) -> None:
        """Change the masks to the class indices of other, possibly more, classes.

        Raises
        ------
        ValueError
            If a label is not in `classes`.
        """
        unknown = np.setdiff1d(self.classes, classes).tolist()
        if unknown:
            raise ValueError(
                f"{self.locations[unknown[0]]} has the label {unknown[0]}, but the "
                f"training masks have {classes.tolist()} only."
            )
        _replace_indices(self.masks, np.searchsorted(classes, self.classes))
        self.classes = classes


class PairCollection:
    """Checked images and masks; those at the same position belong together.

    Parameters
    ----------
    X : array, list of arrays or paths of length n_images
        The images.

    y : array, list of arrays or paths of length n_images
        Their masks.

    letterbox : Letterbox
        Resizes them to the size of a network.

    min_side : int
        Minimum height and width of an image.

    names : tuple of str, default=("X", "y")
        Names of the arguments in error messages.

    **mask_options : int, float or None
        Options of :func:`skinest.masks.check_masks`.
    """

    def __init__(self, X, y, letterbox, min_side, names=("X", "y"), **mask_options):
        if y is None:
            raise ValueError(f"{names[1]} is None. Pass the mask of each image.")
        self.masks = check_masks(y, name=names[1], **mask_options)
        self.images = check_images(X, name=names[0])
        self.letterbox = letterbox
        self._min_side = min_side
        self._names = names
        if len(self.masks) != len(self.images):
            raise ValueError(
                f"{names[0]} has {len(self.images)} images, but {names[1]} has "
                f"{len(self.masks)} masks. Pass one mask for each image."
            )

    def read(self, position):
        """Read an image and its mask, and check that they belong together.

        Returns
        -------
        image : ndarray of shape (*size, 3), dtype uint8
        mask : ndarray of shape size, dtype uint8
            Positions in `labels`.
        labels : ndarray of shape (n_labels,)
            Sorted labels of the mask, without `ignore_label`.
        shape : tuple of int
            Original height and width of the image.
        """
        image = self.images[position]
        mask, labels = self.masks.read(position)
        self.check_size(position, mask, image)
        self.check_side(position, mask.shape)
        ignore_label = self.masks.ignore_label
        resized = self.letterbox.resize_mask(mask, labels, ignore_label)
        return self.letterbox.resize_image(image), resized, labels, mask.shape

    def read_cached(self, positions, cache) -> list[tuple]:
        """Read pairs; take pairs of files from the cache if they are in it."""
        if not (cache.is_on and self.images.from_files and self.masks.from_files):
            return list(map(self.read, positions))
        masks, letterbox = self.masks, self.letterbox
        settings = [list_versions(), letterbox.size, letterbox.pad]
        settings += [masks.ignore_label, masks.mask_threshold]
        keys = []
        for position in positions:
            files = self.images.key(position), masks.key(position)
            keys.append(make_key("pair", *settings, *files))
        pairs = cache.get(keys)
        for index, position in enumerate(positions):
            if pairs[index] is None:
                pairs[index] = self.read(position)
                cache.put([keys[index]], [pairs[index]])
            else:
                self.check_side(position, pairs[index][-1])
        return pairs

    def read_masks(self, classes) -> list[np.ndarray]:
        """Read the masks only; raise ValueError for labels not in `classes`."""
        read = []
        for position in range(len(self.masks)):
            mask, labels = self.masks.read(position)
            read.append(mask)
            unknown = np.setdiff1d(labels, classes).tolist()
            if unknown:
                raise ValueError(
                    f"{self.masks.where(position)} has the labels {unknown}, but the "
                    f"training masks have {classes.tolist()} only."
                )
        return read

    def check_side(self, position, shape):
        """Raise ValueError if an image is too small for the network."""
        check_side(shape, self._min_side, f"{self._names[0]}[{position}]")

    def check_size(self, position, mask, image):
        """Raise ValueError if a mask does not have the size of its image."""
        of_image = f"{self._names[0]}[{position}]"
        check_mask_size(mask, image, self.masks.where(position), of_image)


def check_side(shape, min_side, location):
    """Raise ValueError if the shape of an image is too small for a network."""
    if min(shape[:2]) < min_side:
        raise ValueError(
            f"{location} has shape {shape[:2]}, but the network halves images "
            f"down to 1 / {min_side}: both sides need {min_side} pixels or more. Leave "
            "it out, or lower depth."
        )


def read_pairs(pairs, fitting, positions=None) -> Pairs:
    """Read pairs, from the cache of the estimator if they are in it.

    Parameters
    ----------
    pairs : PairCollection
        Pairs to read.

    fitting : Fitting
        The current fit. Its callbacks can follow how the pairs are read.

    positions : ndarray of shape (n_pairs,), default=None
        Positions of the pairs to read. None means all.

    Raises
    ------
    ValueError
        If an image or mask cannot be read or is invalid; the error names it.
    OSError
        If a file no longer exists.
    """
    positions = np.arange(len(pairs.images)) if positions is None else positions
    n_pairs, size = len(positions), pairs.letterbox.size
    images = allocate((n_pairs, *size, 3), np.uint8)
    masks = allocate((n_pairs, *size), np.uint8)
    shapes: list[tuple] = []
    dtypes: set[np.dtype] = set()
    locations: dict = {}
    coding = CodingCheck()

    def read(positions):
        return pairs.read_cached(positions, fitting.cache)

    chunks = np.split(positions, range(_N_READ, n_pairs, _N_READ))
    batches = iter(Prefetch(read, chunks))
    tasks = fitting.iterate(
        batches, len(chunks), "read-pairs", f"Reading {n_pairs} pairs"
    )
    with closing(tasks):
        for batch in tasks:
            fitting.cache.warn()
            for image, mask, labels, shape in batch:
                row = len(shapes)
                images[row] = image
                location = pairs.masks.where(positions[row])
                coding.add(labels, location)
                indices = _index_labels(labels, locations, location)
                masks[row] = indices[mask]
                dtypes.add(labels.dtype)
                shapes.append(shape)
    coding.finish()
    if not locations:
        raise ValueError(
            f"All pixels of the masks have ignore_label={pairs.masks.ignore_label}. "
            f"Pass masks with labels, such as 0 and 1; the first is "
            f"{pairs.masks.where(0)}."
        )
    classes = _sort_classes(masks, list(locations), dtypes)
    return Pairs(images, masks, classes, np.array(shapes), locations, pairs.letterbox)


def _sort_classes(masks, labels, dtypes) -> np.ndarray:
    """Return the sorted labels, and change the masks from positions in `labels`.

    Parameters
    ----------
    masks : ndarray of shape (n_pairs, height, width), dtype uint8
        Positions in `labels`.

    labels : list of int
        Labels, in the order in which they were found.

    dtypes : set of dtype
        Types of the labels.
    """
    found = np.array(labels)
    if (found[1:] < found[:-1]).any():
        _replace_indices(masks, np.argsort(np.argsort(found)))
    dtype = np.result_type(*dtypes)
    if dtype.kind == "f":  # common type of uint64 and signed integers
        dtype = np.int64
    return np.sort(found).astype(dtype)


def _index_labels(labels, locations, location) -> np.ndarray:
    """Return a table from positions in `labels` to positions in `locations`.

    New labels are added to `locations`, with the name of the mask for error messages.
    """
    for label in labels.tolist():
        if label not in locations and len(locations) == MAX_LABELS:
            raise ValueError(
                f"{location} has the label {label}. With it, the masks have more than "
                f"{MAX_LABELS} labels in all: {sorted(locations)}."
            )
        locations.setdefault(label, location)
    table = np.full(256, OUTSIDE, dtype=np.uint8)
    table[: len(labels)] = list(map(list(locations).index, labels.tolist()))
    return table


def _replace_indices(masks, new):
    """Replace the class indices 0, 1 and so on by new ones, in each mask."""
    table = np.full(256, OUTSIDE, dtype=np.uint8)
    table[: len(new)] = new
    for mask in masks:
        mask[...] = table[mask]


def leave_out_unlabelled(split, name):
    """Leave out images without a labelled pixel, in the size of the network.

    Parameters
    ----------
    split : Split
        Images and masks.

    name : str
        What the images are for, in the error.

    Raises
    ------
    ValueError
        If no image remains, or only images of weight 0.
    """
    masks, positions = split.targets, split.positions
    is_labelled = [(masks[position] != OUTSIDE).any() for position in positions]
    remaining = positions[np.array(is_labelled)]
    if not np.any(split.sample_weight[remaining]):
        raise ValueError(
            f"No {name} image of a weight above 0 has a labelled pixel after resizing "
            "to image_size. A resized pixel has ignore_label if this label covers most "
            "of it. Pass masks with more labelled pixels, or raise image_size."
        )
    return replace(split, positions=remaining)


def count_pixels(split, n_classes) -> np.ndarray:
    """Count the pixels of each class in the masks of a split.

    Each mask is weighted. Weights are scaled so that their mean is 1.
    """
    weights = split.sample_weight[split.positions].astype(float)
    weights = weights / (weights.mean() or 1)
    total = np.zeros(256)
    for position, weight in zip(split.positions, weights, strict=True):
        counts = np.bincount(split.targets[position].ravel(), minlength=256)
        total += weight * counts
    return total[:n_classes]


def warn_of_one_label(classes, counts):
    """Warn if there is nothing to learn, because the masks have one label only.

    `counts` are the pixels of each class in the training masks, in the size of the
    network.
    """
    if len(classes) == 1:
        label = classes[0].item()
        shown = "full" if label else "empty"
        warnings.warn(
            f"All masks are {shown}: their only label is {label}. There is nothing to "
            f"learn, and {label} will be predicted for every pixel.",
            UserWarning,
            stacklevel=2,
        )
    elif np.count_nonzero(counts) == 1:
        label = classes[np.argmax(counts)].item()
        warnings.warn(
            f"All training masks have the label {label} only. Other labels are in "
            "held-out masks, or are smaller than a pixel at image_size. Pass X_val and "
            "y_val, or raise image_size.",
            UserWarning,
            stacklevel=2,
        )
