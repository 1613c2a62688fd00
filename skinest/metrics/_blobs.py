"""Scores of small structures, each of which counts once."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from functools import partial
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from .._compat import Interval, validate_params
from .._mask_scorer import MaskScorer
from .._pixel_counts import average_ratio, measure_labels
from ..utils._checks import check_sample_weight
from ._mask_metrics import CONSTRAINTS, check_pair

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .._typing import Average, MasksLike, ZeroDivision

_EIGHT = np.ones((3, 3))  # pixels that touch at a corner are one structure


@validate_params(
    {
        "min_iou": [Interval(Real, 0, 1, closed="right")],
        **CONSTRAINTS,
    },
    prefer_skip_nested_validation=True,
)
def blob_f1_score(
    y_true: MasksLike,
    y_pred: MasksLike,
    *,
    min_iou: float = 0.5,
    labels: ArrayLike | None = None,
    average: Average | None = "imagewise",
    zero_division: ZeroDivision = "warn",
    sample_weight: ArrayLike | None = None,
    ignore_label: int | None = None,
    mask_threshold: float | None = None,
) -> float | NDArray[np.float64]:
    r"""Compute the F1 score of structures, each of which counts once.

    .. math:: \mathrm{F1} = \frac{2\, TP}{2\, TP + FP + FN}

    A structure is a connected component of a mask; pixels that touch at a corner are
    connected. True and predicted structures are matched one to one, as many as
    possible. The matched pairs are :math:`TP`, the other predicted structures
    :math:`FP`, and the other true structures :math:`FN`. Large structures count as much
    as small ones, other than in :func:`dice_score`.

    Parameters
    ----------
    y_true, y_pred : array, list of arrays or paths
        True and predicted masks in any form that skinest accepts, see
        :mod:`skinest.masks`. The masks of a pair have the same size.

    min_iou : float, default=0.5
        Intersection over union, in (0, 1], from which two structures match. If only
        the places of small structures matter, use a lower value, such as 0.1.

    labels : array-like of int, default=None
        The foreground labels, see :func:`dice_score`.

    average : {"imagewise", "pooled"} or None, default="imagewise"
        Whether to average the scores of the images, to count the structures of all
        images together, or to return the score of each image; see :func:`dice_score`.

    zero_division : {"warn", 0.0, 1.0, np.nan}, default="warn"
        The score for a label that is absent from both masks, see :func:`dice_score`.

    sample_weight : array-like of shape (n_images,), default=None
        Weights of the images, see :func:`dice_score`.

    ignore_label : int, default=None
        Label of pixels of `y_true` that are not labelled. They are outside of the
        structures in both masks. The score of an image that has only such pixels is
        NaN, which is left out of the mean.

    mask_threshold : float, default=None
        Fraction of white above which a pixel is foreground, see :func:`dice_score`.

    Returns
    -------
    score : float or ndarray of shape (n_images,)
        From 0 (nothing matches) to 1, or NaN as in :func:`dice_score`.

    Raises
    ------
    ValueError
        If `y_true` and `y_pred` differ in number or size, or are not masks.

    Warns
    -----
    UndefinedMetricWarning
        If ``zero_division="warn"`` and a label is absent from both masks of a pair.

    See Also
    --------
    dice_score : Counts pixels instead of structures.

    References
    ----------
    J. C. Caicedo et al., "Nucleus segmentation across imaging experiments: the 2018
    Data Science Bowl", Nature Methods, 2019.

    Examples
    --------
    Two structures are found, one of them with a neighbour that is not there:

    >>> import numpy as np
    >>> from skinest.metrics import blob_f1_score
    >>> y_true = np.array([[[1, 1, 0, 0, 0, 1, 1]]])
    >>> y_pred = np.array([[[1, 1, 0, 1, 0, 1, 1]]])
    >>> blob_f1_score(y_true, y_pred)
    0.8
    """
    masks = check_pair(y_true, y_pred, ignore_label, mask_threshold)
    weights = check_sample_weight(sample_weight, len(masks[0]))
    counts = count_blobs(masks, labels, min_iou)
    return average_ratio("Dice", counts, average, zero_division, weights, "blob F1")


blob_f1_scorer = MaskScorer(blob_f1_score, zero_division=1.0)


def count_blobs(masks, labels, min_iou=0.5) -> np.ndarray:
    """Count structures, as :func:`~skinest._pixel_counts.select_counts` counts pixels.

    The last count is 1, or 0 for an image without a labelled pixel.
    """
    count = partial(_count_structures, min_iou=min_iou)
    found = measure_labels(masks[0], masks[1], labels, count)
    is_labelled = ~np.isnan(found[..., :1])
    return np.moveaxis(np.dstack([np.nan_to_num(found), is_labelled]), -1, 0)


def _count_structures(true, pred, min_iou):
    """Count matched pairs, true structures and predicted structures."""
    from scipy import ndimage, sparse

    found = [ndimage.label(each, structure=_EIGHT) for each in (true, pred)]
    (of_true, n_true), (of_pred, n_pred) = found
    # Pairs without a common pixel are not stored, as noise has very many of them.
    both = true & pred
    places = of_true[both], of_pred[both]
    shape = n_true + 1, n_pred + 1
    common = sparse.coo_matrix((np.ones(both.sum(), int), places), shape)
    common.sum_duplicates()
    areas = np.bincount(of_true.ravel())[common.row]
    areas += np.bincount(of_pred.ravel())[common.col]
    matches = common.data / (areas - common.data) >= min_iou
    places = common.row[matches], common.col[matches]
    graph = sparse.csr_matrix((np.ones(matches.sum(), int), places), shape)
    matched = sparse.csgraph.maximum_bipartite_matching(graph, perm_type="column")
    return np.count_nonzero(matched >= 0), n_true, n_pred
