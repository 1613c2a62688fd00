"""Fingerprints of images, and the search for pairs that look the same.

A fingerprint is a small grey image. Low frequencies of it and of its parts find
candidates among all pairs, and its details decide. Both are compared in all flips and
quarter turns.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from itertools import product
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed

from .._training._views import turn
from ..images import resize

SIDE = 64  # height and width of a fingerprint
N_VIEWS = 8
_N_FREQUENCIES = 8  # per side, for candidates
# Arguments of `_flatten`.
_SHAPES = {"level_blur": 8.0, "contrast_blur": 8.0, "noise": 4.0}
_DETAILS = {"level_blur": 3.0, "contrast_blur": 4.0, "noise": 2.0}
_LEAST_DETAILS = 0.1  # standard deviation; an image with less has only noise
_AMBIGUOUS = 0.05  # difference of cosines below which several views are compared
_QUERIES, _SEARCHED = 128, 1024  # images that are compared with each other at once
# Sides of parts of an image that another image may show, each with the sides that are
# tried if the low frequencies of such a part fit best. The first is the whole image.
PARTS = {SIDE: (SIDE, 61, 58), 58: (61, 58, 55, 52), 52: (58, 55, 52, 49)}
# Where parts are, from 0 (top or left) to 1: so dense that no part is 4 pixels away.
_PLACES = {
    58: ((0, 0), (0, 1), (0.5, 0.5), (1, 0), (1, 1)),
    52: tuple(product((0, 0.5, 1), repeat=2)),
}


class Candidates(NamedTuple):
    """Pairs of which the first image may be the second, or a part of it.

    A pair is in it several times if the first image is similar in several views.

    Parameters
    ----------
    first, second : ndarray of shape (n_pairs,)
        Positions of the two images.

    view : ndarray of shape (n_pairs,)
        View of the first image in which it is most similar, see `turn`.

    side : ndarray of shape (n_pairs,)
        Side of the part of the second image that is most similar, in pixels.
    """

    first: np.ndarray
    second: np.ndarray
    view: np.ndarray
    side: np.ndarray


def make_fingerprints(images, n_jobs=None) -> np.ndarray:
    """Return small grey images, as array (n_images, SIDE, SIDE) of uint8."""
    parallel = Parallel(n_jobs=n_jobs, prefer="threads")
    small = parallel(delayed(_shrink)(images, place) for place in range(len(images)))
    return np.stack(small)


def _shrink(images, position):
    import cv2

    return resize(cv2.cvtColor(images[position], cv2.COLOR_RGB2GRAY), (SIDE, SIDE))


def find_candidates(fingerprints, others, n_neighbors, *, is_same=False) -> Candidates:
    """Find those of other images of which an image is most similar to a part.

    Parameters
    ----------
    fingerprints : ndarray of shape (n_images, SIDE, SIDE)
        The images.

    others : ndarray of shape (n_others, SIDE, SIDE)
        The images to search in.

    n_neighbors : int
        Number of candidates for each image, without repetitions.

    is_same : bool, default=False
        Whether both are the same images, so that no image is a candidate for itself.

    Returns
    -------
    candidates : Candidates
    """
    parts = np.stack([_describe_parts(other) for other in others])
    count = min(n_neighbors, len(others) - is_same)
    found = []
    for start in range(0, len(fingerprints) if count else 0, _QUERIES):
        block = fingerprints[start : start + _QUERIES]
        flat = (_flatten(image, **_SHAPES) for image in block)
        shapes = np.stack(list(map(_describe_shape, flat)))
        views = _turn_frequencies(shapes)
        best = _measure_similarity(views, parts)
        rows = np.arange(len(block))
        if is_same:
            best[rows, start + rows] = -np.inf
        near = np.argpartition(-best, count - 1, axis=1)[:, :count]
        for row, columns in enumerate(near):
            similar = np.einsum("vf,npf->nvp", views[:, row], parts[columns])
            of_views = similar.max(axis=2)
            is_best = of_views > of_views.max(axis=1, keepdims=True) - _AMBIGUOUS
            pair, view = np.nonzero(is_best)
            side = _SIDE_OF_PART[similar[pair, view].argmax(axis=1)]
            first = np.full(len(pair), start + row)
            found.append(np.stack([first, columns[pair], view, side]))
    columns = np.concatenate(found, axis=1) if found else np.zeros((4, 0), dtype=int)
    return Candidates(*columns)


_SIDE_OF_PART = np.array(
    [SIDE, *(side for side, places in _PLACES.items() for _ in places)]
)


def _describe_shape(image) -> np.ndarray:
    """Return low frequencies of a flattened image, as a vector of norm 1.

    High frequencies have a larger weight than in the image, where they are weak. The
    mean brightness is left out.
    """
    import cv2

    size = _N_FREQUENCIES
    found = cv2.dct(image)[:size, :size]
    found = found * np.hypot(*np.indices((size, size)))
    norm = np.linalg.norm(found)
    return (found / norm if norm else found).astype(np.float32).ravel()


def _describe_parts(image) -> np.ndarray:
    """Return low frequencies of an image and of its parts, as rows."""
    image = _flatten(image, **_SHAPES)
    rows = [_describe_shape(image)]
    for side, places in _PLACES.items():
        for place in places:
            top, left = (int(share * (SIDE - side)) for share in place)
            part = image[top : top + side, left : left + side]
            rows.append(_describe_shape(resize(part, (SIDE, SIDE))))
    return np.stack(rows)


def _turn_frequencies(shapes) -> np.ndarray:
    """Return the frequencies of the views of images, as array (n_views, n, n_values).

    A flip changes the sign of every second frequency.
    """
    size = _N_FREQUENCIES
    square = shapes.reshape(-1, size, size)
    signs = (-1.0) ** np.arange(size, dtype=np.float32)
    views = []
    for view in range(N_VIEWS):
        turned = square.swapaxes(1, 2) if view & 4 else square
        turned = turned * signs[:, np.newaxis] if view & 2 else turned
        turned = turned * signs if view & 1 else turned
        views.append(turned.reshape(shapes.shape))
    return np.stack(views)


def _measure_similarity(views, parts) -> np.ndarray:
    """Return the cosine of the most similar view and part of each pair of images."""
    _, n_parts, n_values = parts.shape
    best = np.full((views.shape[1], len(parts)), -np.inf, dtype=np.float32)
    for start in range(0, len(parts), _SEARCHED):
        block = parts[start : start + _SEARCHED]
        # All first parts, then all second ones: a maximum of long rows is faster.
        rows = block.swapaxes(0, 1).reshape(-1, n_values).T
        found = best[:, start : start + len(block)]
        for view in views:
            similar = (view @ rows).reshape(len(view), n_parts, len(block))
            np.maximum(found, similar.max(axis=1), out=found)
    return best


def flatten_details(image, side=SIDE):
    """Return the details of a fingerprint, resized, or None if there are none.

    Parameters
    ----------
    image : ndarray of shape (SIDE, SIDE), dtype uint8
        The fingerprint.

    side : int, default=SIDE
        Height and width of the details.
    """
    details = _flatten(resize(image, (side, side)), **_DETAILS)
    return details if details.std() >= _LEAST_DETAILS else None


def compare(details, parts, view) -> float:
    """Return the largest correlation of the details of an image with a part of another.

    Parameters
    ----------
    details : ndarray of shape (SIDE, SIDE) or None
        Details of the image in which a part is searched for.

    parts : list of (ndarray of shape (side, side) or None)
        Details of the other image at several sides, see `PARTS`.

    view : int
        How the other image is turned before.

    Returns
    -------
    score : float
        At most 1. 0 if an image has no details.
    """
    import cv2

    best = 0.0
    for part in parts:
        if details is not None and part is not None:
            turned = np.ascontiguousarray(turn(part, view))
            found = cv2.matchTemplate(details, turned, cv2.TM_CCOEFF_NORMED)
            best = max(best, float(found.max()))
    return min(best, 1.0)


def _flatten(image, level_blur, contrast_blur, noise):
    """Return an image without slow changes of its brightness and contrast, in float32.

    Otherwise the dark corners of round images, or a dark lesion on plain skin, would be
    all that counts.

    Parameters
    ----------
    image : ndarray of shape (SIDE, SIDE)
        The image.

    level_blur, contrast_blur : float
        Standard deviations in pixels of the blurs that give the brightness to subtract
        and the contrast to divide by.

    noise : float
        Contrast in grey levels that is added; much weaker details hardly count.
    """
    import cv2

    image = image.astype(np.float32)
    details = image - cv2.GaussianBlur(image, (0, 0), level_blur)
    contrast = np.sqrt(cv2.GaussianBlur(details**2, (0, 0), contrast_blur))
    return details / (contrast + noise)
