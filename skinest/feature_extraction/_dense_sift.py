"""SIFT on a regular grid, for all points at once.

Upright descriptors of one size do not need keypoints. The gradients of the whole image
are split by orientation and averaged over cells by one convolution. The descriptor of a
point consists of the values at its cells. All is computed in floating point, because
OpenCV's SIFT takes ``uint8`` only and loses weak colours by rounding.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

_N_CELLS = 4  # a side
_N_ORIENTATIONS = 8
_CLIP = 0.2  # Lowe's limit on one entry, for robustness to strong gradients
_SCALE = 512  # as in OpenCV


def compute_dense_sift(plane, places, side) -> np.ndarray:
    """Describe upright squares of one size by SIFT.

    Parameters
    ----------
    plane : ndarray of shape (height, width), dtype float32
        One channel, with values from about 0 to 255.

    places : ndarray of shape (n_points, 2), dtype int
        Centres (x, y) in pixels.

    side : float
        Side of the squares in pixels; each of the 4 x 4 cells is a quarter of it.

    Returns
    -------
    descriptors : ndarray of shape (n_points, 128), dtype uint8
        512 times a vector of unit length, with 8 orientations for each cell, row by
        row. Zero if the square has one colour only.

    Notes
    -----
    Each gradient is shared between two orientations and up to four cells by linear
    interpolation. The Gaussian window of Lowe's paper, of standard deviation
    ``side / 2``, is evaluated at the centre of each cell, as in the dense SIFT of
    A. Vedaldi and B. Fulkerson, "VLFeat: an open and portable library of computer
    vision algorithms", ACM Multimedia 2010. The image is smoothed with a standard
    deviation of ``side / 24``, at least half a pixel, and padded with border pixels.

    References
    ----------
    D. G. Lowe, "Distinctive image features from scale-invariant keypoints",
    International Journal of Computer Vision 60(2), 2004, section 6.
    """
    import cv2

    cell = side / _N_CELLS
    border = cv2.BORDER_REPLICATE
    smooth = cv2.GaussianBlur(plane, (0, 0), max(cell / 6, 0.5), borderType=border)
    window = _make_triangle(cell)
    offsets = (np.arange(_N_CELLS) - (_N_CELLS - 1) / 2) * cell
    rows = _round_to_pixels(places[:, 1:] + offsets, plane.shape[0])
    columns = _round_to_pixels(places[:, :1] + offsets, plane.shape[1])
    cells = rows[:, :, np.newaxis], columns[:, np.newaxis, :]
    found = np.empty((len(places), _N_CELLS, _N_CELLS, _N_ORIENTATIONS), np.float32)
    for orientation, gradients in enumerate(_split_by_orientation(smooth)):
        averaged = cv2.sepFilter2D(gradients, -1, window, window, borderType=border)
        found[..., orientation] = averaged[cells]
    weights = np.exp(-(offsets**2) / (2 * (side / 2) ** 2)).astype(np.float32)
    found *= np.outer(weights, weights)[..., np.newaxis]
    return _normalize(found.reshape(len(places), -1))


def _make_triangle(cell) -> np.ndarray:
    """Return weights of pixels by their distance from a cell's centre, with sum 1."""
    reach = int(np.ceil(cell))
    weights = np.maximum(0, 1 - np.abs(np.arange(-reach, reach + 1)) / cell)
    return (weights / weights.sum()).astype(np.float32)


def _round_to_pixels(positions, size) -> np.ndarray:
    return np.clip(np.rint(positions).astype(int), 0, size - 1)


def _split_by_orientation(plane):
    """Yield the magnitudes of the gradients that belong to each orientation."""
    import cv2

    difference = np.array([[-0.5, 0, 0.5]], dtype=np.float32)
    border = cv2.BORDER_REPLICATE
    by_x = cv2.filter2D(plane, -1, difference, borderType=border)
    by_y = cv2.filter2D(plane, -1, -difference.T, borderType=border)  # upwards
    magnitude, angle = cv2.cartToPolar(by_x, by_y)
    position = angle * (_N_ORIENTATIONS / (2 * np.pi))
    lower = np.floor(position)
    upper_share = magnitude * (position - lower)
    lower_share = magnitude - upper_share
    lower = lower.astype(np.uint8) % _N_ORIENTATIONS
    upper = (lower + 1) % _N_ORIENTATIONS
    for orientation in range(_N_ORIENTATIONS):
        yield lower_share * (lower == orientation) + upper_share * (
            upper == orientation
        )


def _normalize(descriptors) -> np.ndarray:
    for limit in (_CLIP, 1):
        # The small number avoids that noise is amplified in squares of one colour.
        lengths = np.linalg.norm(descriptors, axis=1, keepdims=True) + 1e-3
        descriptors = np.minimum(descriptors / lengths, limit)
    return np.rint(np.minimum(_SCALE * descriptors, 255)).astype(np.uint8)
