"""Local descriptors of images.

A descriptor is called with one image, an RGB ``uint8`` array of shape (height,
width, 3), and returns an array of shape (n_descriptors, n_dimensions). The result
depends only on the image and on the parameters. The classes here also have two methods:

- ``describe(image)`` returns the descriptors in the form in which they are stored, and
  their places in the image, as (x, y) in fractions of the width and height;
- ``finish(values)`` converts stored descriptors to the form in which they are used.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Literal

import numpy as np
from sklearn.base import BaseEstimator

from .._compat import DocLinkMixin, Interval, StrOptions, check_params
from ..images import limit_side
from ._dense_sift import compute_dense_sift

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .._typing import Image

_N_AT_A_TIME = 1024  # descriptors
_GREY = ("grey", "gray")


class Descriptor(DocLinkMixin, BaseEstimator):
    """Base class of descriptors, with places and with parameters to search over."""

    # Parameters that only `finish` reads: stored descriptors do not depend on them.
    _finish_params: tuple[str, ...] = ()

    def __call__(self, image: Image) -> NDArray[np.float32]:
        """Compute the descriptors of one image.

        Parameters
        ----------
        image : ndarray of shape (height, width, 3), dtype uint8
            The image in RGB.

        Returns
        -------
        descriptors : ndarray of shape (n_descriptors, n_dimensions), dtype float32
            One row for each point.
        """
        values, _ = self.describe(image)
        return self.finish(values.astype(np.float32))

    def finish(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert stored descriptors to the form in which they are used.

        Parameters
        ----------
        values : ndarray of shape (n_descriptors, n_dimensions), dtype float32
            Descriptors from ``describe``.

        Returns
        -------
        values : ndarray of the same shape and dtype
            Here the same values.
        """
        return values


class SIFTDescriptor(Descriptor):
    """Compute SIFT descriptors of an image, at keypoints or on a dense grid.

    Parameters
    ----------
    detector : {"keypoints", "grid"}, default="keypoints"
        Where to compute descriptors. "keypoints": at the keypoints that SIFT detects in
        the grey image, with their scale and orientation. "grid": at each point of a
        regular grid, upright and in several sizes.

    contrast_threshold : float, default=0.01
        Minimum contrast of keypoints; a lower value gives more keypoints. As in OpenCV,
        whose default is 0.04, it is divided by `n_octave_layers`, so that 0.09 is the
        0.03 of Lowe's paper. Not used for a grid.

    edge_threshold : float, default=10.0
        Keypoints that look like edges are left out; a higher value gives more
        keypoints. Not used for a grid.

    n_octave_layers : int, default=3
        Number of layers in each octave of the scale space; 3 in Lowe's paper.

    sigma : float, default=1.6
        Standard deviation in pixels of the Gaussian at the first octave.

    max_keypoints : int, default=None
        Maximum number of keypoints; those of highest contrast are used. None uses all.

    grid_step : int, default=8
        Distance in pixels between points of the grid.

    grid_sizes : tuple of float, default=(12, 24, 48)
        Sides in pixels of the square patches at each point of the grid.

    max_side : int, default=None
        Maximum height and width in pixels. Larger images are shrunk first.

    color : {"grey", "gray", "lab", "opponent", "rgb"}, default="grey"
        Channels that are described: the grey image, in either spelling (128
        dimensions), or the three channels of a colour space, one after the other (384
        dimensions). Keypoints are always detected in the grey image.

    root : bool, default=True
        Whether to use RootSIFT: each descriptor is divided by its sum, and the square
        root is taken. Euclidean distances between the results are Hellinger distances.
        In colour, each channel is transformed separately.

    See Also
    --------
    ColorPatchDescriptor : Means and standard deviations of colours on a grid.
    BoVWSIFTTransformer : Visual words, learned from descriptors.

    Notes
    -----
    The defaults suit images of a few hundred pixels per side with low contrast, as in
    dermoscopy. In these, OpenCV's default threshold leaves few keypoints.
    ``SIFTDescriptor(contrast_threshold=0.04, root=False)`` is ``cv2.SIFT_create()``.

    References
    ----------
    D. G. Lowe, "Distinctive image features from scale-invariant keypoints",
    International Journal of Computer Vision 60(2), 2004.

    R. Arandjelović and A. Zisserman, "Three things everyone should know to
    improve object retrieval", CVPR 2012 (RootSIFT).

    K. van de Sande, T. Gevers and C. Snoek, "Evaluating color descriptors for
    object and scene recognition", IEEE PAMI 32(9), 2010 (colour SIFT).

    Examples
    --------
    >>> from skinest.datasets import make_dermoscopy
    >>> from skinest.feature_extraction import SIFTDescriptor
    >>> image = make_dermoscopy(1, random_state=0).images[0]
    >>> SIFTDescriptor(detector="grid", grid_step=16, grid_sizes=(24,))(image).shape
    (64, 128)
    """

    _parameter_constraints: dict = {
        "detector": [StrOptions({"keypoints", "grid"})],
        "contrast_threshold": [Interval(Real, 0, None, closed="left")],
        "edge_threshold": [Interval(Real, 0, None, closed="neither")],
        "n_octave_layers": [Interval(Integral, 1, None, closed="left")],
        "sigma": [Interval(Real, 0, None, closed="neither")],
        "max_keypoints": [Interval(Integral, 1, None, closed="left"), None],
        "grid_step": [Interval(Integral, 1, None, closed="left")],
        "grid_sizes": [tuple, list],
        "max_side": [Interval(Integral, 1, None, closed="left"), None],
        "color": [StrOptions({*_GREY, "lab", "opponent", "rgb"})],
        "root": ["boolean"],
    }
    _finish_params = ("root",)

    def __init__(
        self,
        *,
        detector: Literal["keypoints", "grid"] = "keypoints",
        contrast_threshold: float = 0.01,
        edge_threshold: float = 10.0,
        n_octave_layers: int = 3,
        sigma: float = 1.6,
        max_keypoints: int | None = None,
        grid_step: int = 8,
        grid_sizes: Sequence[float] = (12, 24, 48),
        max_side: int | None = None,
        color: Literal["grey", "gray", "lab", "opponent", "rgb"] = "grey",
        root: bool = True,
    ) -> None:
        self.detector = detector
        self.contrast_threshold = contrast_threshold
        self.edge_threshold = edge_threshold
        self.n_octave_layers = n_octave_layers
        self.sigma = sigma
        self.max_keypoints = max_keypoints
        self.grid_step = grid_step
        self.grid_sizes = grid_sizes
        self.max_side = max_side
        self.color = color
        self.root = root

    def describe(self, image: Image) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Compute the descriptors of one image, and their places.

        Parameters
        ----------
        image : ndarray of shape (height, width, 3), dtype uint8
            The image in RGB.

        Returns
        -------
        values : ndarray of shape (n_descriptors, 128 or 384), dtype uint8
            The descriptors, before RootSIFT.

        points : ndarray of shape (n_descriptors, 2), dtype float32
            Their places (x, y), in fractions of the width and height.
        """
        self._check_params()
        image = limit_side(image, self.max_side)
        if self.detector == "grid":
            return self._describe_grid(image)
        return self._describe_keypoints(image)

    def _check_params(self):
        """Raise ValueError if a parameter is invalid."""
        check_params(self)
        _check_positive(self.grid_sizes, "grid_sizes")

    def _describe_grid(self, image):
        places = _list_grid_places(image.shape, self.grid_step)
        planes = _split_float_planes(image, self.color)
        values = []
        for side in self.grid_sizes:
            by_plane = [compute_dense_sift(plane, places, side) for plane in planes]
            values.append(np.hstack(by_plane))
        points = np.tile(places, (len(values), 1))
        return np.vstack(values), _convert_to_fractions(points, image.shape)

    def _describe_keypoints(self, image):
        import cv2

        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        sift = cv2.SIFT_create(
            self.max_keypoints or 0,
            self.n_octave_layers,
            self.contrast_threshold,
            self.edge_threshold,
            self.sigma,
        )
        if self.color in _GREY:
            keypoints, values = sift.detectAndCompute(grey, None)
        else:
            keypoints = sift.detect(grey, None)
        if not keypoints:
            return _make_no_descriptors(128 if self.color in _GREY else 384)
        chosen = _choose_strongest(keypoints, self.max_keypoints)
        keypoints = [keypoints[place] for place in chosen]
        if self.color in _GREY:
            values = values[chosen]
        else:
            planes = _split_uint8_planes(image, self.color)
            values = np.hstack([sift.compute(p, keypoints)[1] for p in planes])
        places = np.array([keypoint.pt for keypoint in keypoints], dtype=np.float32)
        # SIFT values are integers from 0 to 255; uint8 needs a quarter of the memory.
        return values.astype(np.uint8), _convert_to_fractions(places, grey.shape)

    def finish(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert SIFT to RootSIFT if `root`, otherwise change nothing.

        Parameters
        ----------
        values : ndarray of shape (n_descriptors, 128 or 384), dtype float32
            Descriptors from :meth:`describe`.

        Returns
        -------
        values : ndarray of the same shape and dtype
        """
        if not self.root or not len(values):
            return values
        finished = np.empty(values.shape, dtype=values.dtype)
        for start in range(0, len(values), _N_AT_A_TIME):  # fits into a cache
            rows = slice(start, start + _N_AT_A_TIME)
            parts = values[rows].reshape(-1, values.shape[1] // 128, 128)
            shares = parts / np.maximum(parts.sum(axis=2, keepdims=True), 1)
            np.sqrt(shares.reshape(-1, values.shape[1]), out=finished[rows])
        return finished


class ColorPatchDescriptor(Descriptor):
    """Compute means and standard deviations of colours around points of a grid.

    Parameters
    ----------
    sigmas : tuple of float, default=(1, 2, 4, 8, 16)
        Standard deviations in pixels of the Gaussian windows over which colours are
        averaged. Each window adds 6 dimensions.

    grid_step : int, default=6
        Distance in pixels between points of the grid.

    color : {"lab", "opponent", "rgb"}, default="lab"
        Colour space of the values. "lab": L* from 0 to 100, a* and b* from about -127
        to 127. "rgb": values from 0 to 1. "opponent": differences of these, and their
        mean.

    max_side : int, default=None
        Maximum height and width in pixels. Larger images are shrunk first.

    See Also
    --------
    SIFTDescriptor : Gradients at keypoints or on a grid.
    BoVWSIFTTransformer : Visual words, learned from descriptors.

    Notes
    -----
    Each window has weights w that sum to 1. The mean is m = sum(w x), and the standard
    deviation is sqrt(sum(w x²) - m²). Perronnin, Sánchez and Mensink (ECCV 2010)
    combined such colour statistics with SIFT.

    Examples
    --------
    >>> from skinest.datasets import make_dermoscopy
    >>> from skinest.feature_extraction import ColorPatchDescriptor
    >>> image = make_dermoscopy(1, random_state=0).images[0]
    >>> ColorPatchDescriptor(grid_step=16)(image).shape
    (64, 30)
    """

    _parameter_constraints: dict = {
        "sigmas": [tuple, list],
        "grid_step": [Interval(Integral, 1, None, closed="left")],
        "color": [StrOptions({"lab", "opponent", "rgb"})],
        "max_side": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        *,
        sigmas: Sequence[float] = (1, 2, 4, 8, 16),
        grid_step: int = 6,
        color: Literal["lab", "opponent", "rgb"] = "lab",
        max_side: int | None = None,
    ) -> None:
        self.sigmas = sigmas
        self.grid_step = grid_step
        self.color = color
        self.max_side = max_side

    def describe(self, image: Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Compute the descriptors of one image, and their places.

        Parameters
        ----------
        image : ndarray of shape (height, width, 3), dtype uint8
            The image in RGB.

        Returns
        -------
        values : ndarray of shape (n_points, 6 * len(sigmas)), dtype float32
            For each sigma, three means, then three standard deviations.

        points : ndarray of shape (n_points, 2), dtype float32
            Their places (x, y), in fractions of the width and height.
        """
        import cv2

        self._check_params()
        image = limit_side(image, self.max_side)
        colors = _convert_colors(image.astype(np.float32) / 255, self.color)
        places = _list_grid_places(image.shape, self.grid_step)
        columns, rows = places.T
        statistics = []
        for sigma in self.sigmas:
            mean = cv2.GaussianBlur(colors, (0, 0), sigma)[rows, columns]
            square = cv2.GaussianBlur(colors**2, (0, 0), sigma)[rows, columns]
            statistics += [mean, np.sqrt(np.maximum(square - mean**2, 0))]
        return np.hstack(statistics), _convert_to_fractions(places, image.shape)

    def _check_params(self):
        """Raise ValueError if a parameter is invalid."""
        check_params(self)
        _check_positive(self.sigmas, "sigmas")


def _choose_strongest(keypoints, max_keypoints):
    """Return which keypoints are used, in their order.

    OpenCV returns more than `max_keypoints` if some have the same contrast, as those of
    one place with several orientations.
    """
    contrasts = np.array([keypoint.response for keypoint in keypoints])
    return np.sort(np.argsort(-contrasts, kind="stable")[:max_keypoints])


def _make_no_descriptors(n_dimensions):
    return (
        np.empty((0, n_dimensions), dtype=np.uint8),
        np.empty((0, 2), dtype=np.float32),
    )


def _convert_to_fractions(places, shape) -> np.ndarray:
    return (places / (shape[1], shape[0])).astype(np.float32)


def _list_grid_places(shape, step) -> np.ndarray:
    """Return (x, y) of the centres of a grid of cells of `step` pixels."""
    rows = np.arange(min(step, shape[0]) // 2, shape[0], step)
    columns = np.arange(min(step, shape[1]) // 2, shape[1], step)
    return np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)


def _check_positive(values, name):
    if not len(values) or not all(
        isinstance(value, Real) and 0 < value < np.inf for value in values
    ):
        raise ValueError(
            f"{name}={values!r}: pass at least one number of pixels, all above 0."
        )


def _split_float_planes(image, color):
    """Split an image into float32 channels from about 0 to 255, for a grid."""
    import cv2

    if color in _GREY:
        return [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)]
    colors = _convert_colors(image.astype(np.float32) / 255, color)
    if color == "lab":  # a* and b* have the scale of uint8 already
        return cv2.split(colors * np.array([2.55, 1, 1], dtype=np.float32))
    return cv2.split(colors * 255)


def _split_uint8_planes(image, color):
    """Split an image into uint8 channels, for SIFT at keypoints."""
    import cv2

    if color == "lab":
        image = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    elif color == "opponent":
        opponent = _convert_colors(image.astype(np.float32) / 255, color)
        opponent[..., :2] = opponent[..., :2] / 2 + 0.5  # from [-1, 1] to [0, 1]
        image = np.rint(opponent * 255).astype(np.uint8)
    return cv2.split(image)


def _convert_colors(image, color) -> np.ndarray:
    """Convert a float32 RGB image in [0, 1]."""
    import cv2

    if color == "lab":
        return cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    if color == "opponent":
        red, green, blue = cv2.split(image)
        planes = red - green, (red + green) / 2 - blue, (red + green + blue) / 3
        return np.stack(planes, axis=-1)
    return image
