"""Distances between the boundaries of true and predicted structures."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np

from .._compat import Interval, StrOptions, validate_params
from .._mask_scorer import MaskScorer
from .._pixel_counts import average_defined, measure_labels
from ..utils._checks import check_sample_weight
from ._mask_metrics import check_pair

if TYPE_CHECKING:
    from typing import Literal

    from numpy.typing import ArrayLike, NDArray

    from .._typing import MasksLike

_CONSTRAINTS = {
    "labels": ["array-like", None],
    "average": [StrOptions({"imagewise"}), None],
    "sample_weight": ["array-like", None],
    "ignore_label": [Integral, None],
    "mask_threshold": [Interval(Real, 0, 1, closed="neither"), None],
}


@validate_params(
    {**_CONSTRAINTS, "percentile": [Interval(Real, 0, 100, closed="right")]},
    prefer_skip_nested_validation=True,
)
def hausdorff_distance(
    y_true: MasksLike,
    y_pred: MasksLike,
    *,
    percentile: float = 95,
    labels: ArrayLike | None = None,
    average: Literal["imagewise"] | None = "imagewise",
    sample_weight: ArrayLike | None = None,
    ignore_label: int | None = None,
    mask_threshold: float | None = None,
) -> float | NDArray[np.float64]:
    r"""Compute the Hausdorff distance of boundaries at a percentile, in pixels.

    .. math:: \max\left(P_{a \in A}\, d(a, B),\; P_{b \in B}\, d(b, A)\right)

    where :math:`A` and :math:`B` are the boundary pixels of the true and of the
    predicted structure, :math:`d` is the distance to the nearest one, and :math:`P` is
    the percentile. The boundary are the pixels of the structure that have a neighbour
    outside of it, above, below, left or right, or are at the border of the image.

    Parameters
    ----------
    y_true, y_pred : array, list of arrays or paths
        True and predicted masks in any form that skinest accepts, see
        :mod:`skinest.masks`. The masks of a pair have the same size.

    percentile : float, default=95
        Percentile in (0, 100]. 95 is usual, because single pixels do not change it; 100
        is the Hausdorff distance itself.

    labels : array-like of int, default=None
        The foreground labels, see :func:`dice_score`.

    average : {"imagewise"} or None, default="imagewise"
        Whether to average the distances of all images, or to return them. The distance
        of an image is the mean over labels.

    sample_weight : array-like of shape (n_images,), default=None
        Weight of each image in the mean.

    ignore_label : int, default=None
        Label of pixels of `y_true` that are not labelled. They are outside of the
        structures in both masks. The distance of an image that has only such pixels is
        NaN, which is left out of the mean.

    mask_threshold : float, default=None
        Fraction of white above which a pixel is foreground, see :func:`dice_score`.

    Returns
    -------
    distance : float or ndarray of shape (n_images,)
        From 0 (equal masks). It is 0 if a label is absent from both masks, and the
        diagonal of the image if it is absent from one of them.

    Raises
    ------
    ValueError
        If `y_true` and `y_pred` differ in number or size, or are not masks.

    See Also
    --------
    average_surface_distance : The mean distance of the same pixels.

    Notes
    -----
    Distances are in pixels of the masks, so compare images of one size only. Libraries
    differ in details: some take the percentile of both directions together, and some
    leave out images without foreground.

    References
    ----------
    D. P. Huttenlocher, G. A. Klanderman and W. J. Rucklidge, "Comparing images using
    the Hausdorff distance", IEEE Transactions on Pattern Analysis and Machine
    Intelligence, 1993.

    A. A. Taha and A. Hanbury, "Metrics for evaluating 3D medical image segmentation:
    analysis, selection, and tool", BMC Medical Imaging, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.metrics import hausdorff_distance
    >>> y_true, y_pred = np.zeros((2, 1, 9, 9), dtype=int)
    >>> y_true[:, 2:7, 2:5] = 1
    >>> y_pred[:, 2:7, 2:7] = 1
    >>> hausdorff_distance(y_true, y_pred)
    2.0
    """
    masks = check_pair(y_true, y_pred, ignore_label, mask_threshold)
    distances = measure_hausdorff(masks, labels, percentile)
    return _average(distances, average, sample_weight)


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def average_surface_distance(
    y_true: MasksLike,
    y_pred: MasksLike,
    *,
    labels: ArrayLike | None = None,
    average: Literal["imagewise"] | None = "imagewise",
    sample_weight: ArrayLike | None = None,
    ignore_label: int | None = None,
    mask_threshold: float | None = None,
) -> float | NDArray[np.float64]:
    r"""Compute the mean distance of boundaries in both directions, in pixels.

    .. math::
        \frac{\sum_{a \in A} d(a, B) + \sum_{b \in B} d(b, A)}{|A| + |B|}

    where :math:`A`, :math:`B` and :math:`d` are those of :func:`hausdorff_distance`.
    It is also known as average symmetric surface distance.

    Parameters
    ----------
    y_true, y_pred : array, list of arrays or paths
        True and predicted masks in any form that skinest accepts, see
        :mod:`skinest.masks`. The masks of a pair have the same size.

    labels : array-like of int, default=None
        The foreground labels, see :func:`dice_score`.

    average : {"imagewise"} or None, default="imagewise"
        Whether to average the distances of all images, or to return them. The distance
        of an image is the mean over labels.

    sample_weight : array-like of shape (n_images,), default=None
        Weight of each image in the mean.

    ignore_label : int, default=None
        Label of pixels of `y_true` that are not labelled, see
        :func:`hausdorff_distance`.

    mask_threshold : float, default=None
        Fraction of white above which a pixel is foreground, see :func:`dice_score`.

    Returns
    -------
    distance : float or ndarray of shape (n_images,)
        From 0 (equal masks). It is 0 if a label is absent from both masks, and the
        diagonal of the image if it is absent from one of them.

    Raises
    ------
    ValueError
        If `y_true` and `y_pred` differ in number or size, or are not masks.

    See Also
    --------
    hausdorff_distance : A high percentile of the distances.

    References
    ----------
    T. Heimann et al., "Comparison and evaluation of methods for liver segmentation from
    CT datasets", IEEE Transactions on Medical Imaging, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.metrics import average_surface_distance
    >>> y_true, y_pred = np.zeros((2, 1, 5, 5), dtype=int)
    >>> y_true[:, 1, 1:3] = 1
    >>> y_pred[:, 1, 1:4] = 1
    >>> average_surface_distance(y_true, y_pred)
    0.2
    """
    masks = check_pair(y_true, y_pred, ignore_label, mask_threshold)
    return _average(measure_surfaces(masks, labels), average, sample_weight)


neg_hausdorff_scorer = MaskScorer(hausdorff_distance, sign=-1)
neg_average_surface_distance_scorer = MaskScorer(average_surface_distance, sign=-1)


def measure_hausdorff(masks, labels, percentile=95) -> np.ndarray:
    """Return the Hausdorff distance of each image and label."""
    measure = partial(_find_percentile, percentile=percentile)
    return measure_labels(masks[0], masks[1], labels, measure)


def measure_surfaces(masks, labels) -> np.ndarray:
    """Return the mean distance of boundaries of each image and label."""
    return measure_labels(masks[0], masks[1], labels, _find_mean)


def _average(distances, average, sample_weight):
    weights = check_sample_weight(sample_weight, len(distances))
    distances = average_defined(distances, axis=1)
    if average is None:
        return distances
    return float(average_defined(distances, weights=weights))


def _find_percentile(true, pred, percentile):
    found = _find_distances(true, pred)
    return max(np.percentile(each, percentile) for each in found)


def _find_mean(true, pred):
    return np.mean(np.concatenate(_find_distances(true, pred)))


def _find_distances(true, pred):
    """Return the distance of each boundary pixel of one structure to the other one.

    Parameters
    ----------
    true, pred : ndarray of shape (height, width), dtype bool
        The structures.

    Returns
    -------
    of_true, of_pred : ndarray of shape (n_pixels,)
    """
    from scipy import ndimage

    if not true.any() or not pred.any():
        is_same = true.any() == pred.any()
        distance = np.zeros(1) if is_same else np.full(1, np.hypot(*true.shape))
        return distance, distance
    # The distances inside of a frame around both are the same.
    place = ndimage.find_objects((true | pred).astype(np.uint8))[0]
    of_true, of_pred = (
        inside & ~ndimage.binary_erosion(inside)
        for inside in (true[place], pred[place])
    )
    to_true = ndimage.distance_transform_edt(~of_true)
    to_pred = ndimage.distance_transform_edt(~of_pred)
    return to_pred[of_true], to_true[of_pred]
