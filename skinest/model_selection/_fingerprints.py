"""Fingerprints of images, and the search for pairs that look the same.

A fingerprint is a small grey image. Its low frequencies find the candidates among all
pairs, and its details decide. Both are compared in all flips and quarter turns.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed

from .._training._views import turn
from ..images import resize

SIDE = 64  # height and width of a fingerprint
_N_FREQUENCIES = 8  # per side, for candidates
_BLOCK = 512  # images that are compared with all others at once
_LOWEST = 0.3  # cosine of the low frequencies of candidates
_BLUR = 6.0  # standard deviation in pixels; details are what a blur removes
# Sides of a part of an image that can be all that another image shows.
_PART_SIDES = (61, 58, 55, 52)
_N_VIEWS = 8


class Match(NamedTuple):
    """How much an image looks like another: a correlation, and the view it is for."""

    score: float
    view: int


def make_fingerprints(images, n_jobs=None) -> np.ndarray:
    """Return small grey images, as array (n_images, SIDE, SIDE) of uint8."""
    parallel = Parallel(n_jobs=n_jobs, prefer="threads")
    positions = range(len(images))
    small = parallel(delayed(_shrink)(images, position) for position in positions)
    return np.stack(small)


def _shrink(images, position):
    import cv2

    grey = cv2.cvtColor(images[position], cv2.COLOR_RGB2GRAY)
    return resize(grey, (SIDE, SIDE))


def describe_shapes(fingerprints) -> np.ndarray:
    """Return low frequencies of fingerprints, as array (n_images, n, n) of norm 1.

    High frequencies have a larger weight than in the image, where they are weak. The
    mean brightness is left out.
    """
    import cv2

    size = _N_FREQUENCIES
    frequency = np.hypot(*np.indices((size, size))).astype(np.float32)
    found = np.empty((len(fingerprints), size, size), dtype=np.float32)
    for place, fingerprint in zip(found, fingerprints, strict=True):
        place[:] = cv2.dct(fingerprint.astype(np.float32))[:size, :size]
    found *= frequency
    norms = np.linalg.norm(found, axis=(1, 2), keepdims=True)
    return found / np.where(norms, norms, 1)


def turn_frequencies(shapes, view) -> np.ndarray:
    """Return the frequencies of images that are turned, see `turn`."""
    if view & 4:
        shapes = shapes.swapaxes(1, 2)
    signs = (-1.0) ** np.arange(shapes.shape[1], dtype=np.float32)
    if view & 2:
        shapes = shapes * signs[:, np.newaxis]
    return shapes * signs if view & 1 else shapes


def find_candidates(shapes, others, n_neighbors):
    """Find the most similar images of another set, or of the same.

    Parameters
    ----------
    shapes : ndarray of shape (n_images, n, n)
        Low frequencies of the images.

    others : ndarray of shape (n_others, n, n) or None
        Those of the images to search in. None searches in the same images, and leaves
        out each image itself.

    n_neighbors : int
        Number of candidates for each image.

    Returns
    -------
    pairs : ndarray of shape (n_pairs, 2)
        Positions in both sets. In one set, the first position is the lower one.

    views : ndarray of shape (n_pairs,)
        View of the first image in which it is most similar to the second.
    """
    base = (shapes if others is None else others).reshape(-1, shapes[0].size)
    found = []
    for start in range(0, len(shapes), _BLOCK):
        block = shapes[start : start + _BLOCK]
        best = np.full((len(block), len(base)), _LOWEST, dtype=np.float32)
        view_of = np.full(best.shape, -1, dtype=np.int8)
        for view in range(_N_VIEWS):
            similar = turn_frequencies(block, view).reshape(len(block), -1) @ base.T
            is_better = similar > best
            view_of[is_better] = view
            np.maximum(best, similar, out=best)
        rows = np.arange(len(block))
        if others is None:
            view_of[rows, start + rows] = -1
            best[rows, start + rows] = -np.inf
        count = min(n_neighbors, len(base))
        near = np.argpartition(-best, count - 1, axis=1)[:, :count]
        view = np.take_along_axis(view_of, near, axis=1)
        row, column = np.nonzero(view >= 0)
        found.append(np.c_[start + row, near[row, column], view[row, column]])
    rows = np.concatenate(found)
    if others is None:
        rows = _order_pairs(rows)
    return rows[:, :2], rows[:, 2]


def _order_pairs(rows):
    """Return pairs with the lower position first, and each one once."""
    is_swapped = rows[:, 0] > rows[:, 1]
    rows[is_swapped, :2] = rows[is_swapped, 1::-1]
    # A quarter turn of the one image is the opposite quarter turn of the other.
    inverse = np.array([0, 1, 2, 3, 4, 6, 5, 7])
    rows[is_swapped, 2] = inverse[rows[is_swapped, 2]]
    _, firsts = np.unique(rows[:, :2], axis=0, return_index=True)
    return rows[firsts]


def extract_details(fingerprint) -> np.ndarray:
    """Return what a blur removes from a fingerprint, in float32."""
    import cv2

    image = fingerprint.astype(np.float32)
    return image - cv2.GaussianBlur(image, (0, 0), _BLUR)


def compare(fingerprint, other, view) -> Match:
    """Compare the details of two images, the first of which is turned.

    One of them may be a part of the other: a crop.
    """
    first = np.ascontiguousarray(turn(fingerprint, view))
    score = max(_search_part(first, other), _search_part(other, first))
    return Match(min(score, 1.0), view)


def _search_part(whole, part) -> float:
    """Return the largest correlation of an image with a part of another, or all."""
    import cv2

    details, best = extract_details(whole), -1.0
    for side in (SIDE, *_PART_SIDES):
        small = extract_details(resize(part, (side, side)))
        found = cv2.matchTemplate(details, small, cv2.TM_CCOEFF_NORMED)
        best = max(best, float(found.max()))
    return best
