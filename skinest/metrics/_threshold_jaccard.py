"""Jaccard index that counts poor masks as failures, as in ISIC 2018."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from .._compat import Interval, validate_params
from .._mask_scorer import MaskScorer
from .._pixel_counts import average_defined
from ..utils._checks import check_sample_weight
from ._mask_metrics import CONSTRAINTS, iou_score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .._typing import MasksLike, ZeroDivision


@validate_params(
    {
        "threshold": [Interval(Real, 0, 1, closed="both")],
        **{name: CONSTRAINTS[name] for name in CONSTRAINTS if name != "average"},
    },
    prefer_skip_nested_validation=True,
)
def threshold_jaccard_score(
    y_true: MasksLike,
    y_pred: MasksLike,
    *,
    threshold: float = 0.65,
    labels: ArrayLike | None = None,
    zero_division: ZeroDivision = "warn",
    sample_weight: ArrayLike | None = None,
    ignore_label: int | None = None,
    mask_threshold: float | None = None,
) -> float:
    """Compute the mean Jaccard index, with 0 for each image below a threshold.

    This is the score of ISIC 2018, task 1. A mean Jaccard index can be high even if
    some masks are useless. Here a mask below the threshold counts as a failure.

    Parameters
    ----------
    y_true, y_pred : array, list of arrays or paths
        True and predicted masks in any form that skinest accepts, see
        :mod:`skinest.masks`. The masks of a pair have the same size.

    threshold : float, default=0.65
        Jaccard index, in [0, 1], below which an image counts as 0. With 0 the score is
        :func:`iou_score`.

    labels : array-like of int, default=None
        The foreground labels, see :func:`dice_score`. With several labels, the Jaccard
        index of an image is the mean over labels.

    zero_division : {"warn", 0.0, 1.0, np.nan}, default="warn"
        The Jaccard index of a label that is absent from both masks, see
        :func:`dice_score`. ISIC 2018 uses 1.0.

    sample_weight : array-like of shape (n_images,), default=None
        Weights of the images, see :func:`dice_score`.

    ignore_label : int, default=None
        Label of pixels of `y_true` that are not labelled, see :func:`dice_score`.

    mask_threshold : float, default=None
        Fraction of white above which a pixel is foreground, see :func:`dice_score`.

    Returns
    -------
    score : float
        Between 0 and 1, or NaN as in :func:`dice_score`.

    Raises
    ------
    ValueError
        As :func:`iou_score`.

    Warns
    -----
    UndefinedMetricWarning
        As :func:`iou_score`.

    See Also
    --------
    iou_score : The Jaccard index without a threshold.

    References
    ----------
    N. Codella et al., "Skin lesion analysis toward melanoma detection 2018: a challenge
    hosted by the International Skin Imaging Collaboration (ISIC)", arXiv:1902.03368,
    2019.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.metrics import iou_score, threshold_jaccard_score
    >>> y_true = np.array([[[1, 1], [1, 0]], [[1, 1], [0, 0]]])
    >>> y_pred = np.array([[[1, 1], [1, 0]], [[1, 0], [0, 0]]])
    >>> iou_score(y_true, y_pred, average=None)
    array([1. , 0.5])
    >>> threshold_jaccard_score(y_true, y_pred)
    0.5
    """
    scores = iou_score(
        y_true,
        y_pred,
        average=None,
        labels=labels,
        zero_division=zero_division,
        ignore_label=ignore_label,
        mask_threshold=mask_threshold,
    )
    weights = check_sample_weight(sample_weight, len(scores))
    return float(average_defined(count_failures(scores, threshold), weights=weights))


threshold_jaccard_scorer = MaskScorer(threshold_jaccard_score, zero_division=1.0)


def count_failures(scores, threshold=0.65) -> np.ndarray:
    """Return scores with 0 for those below a threshold. NaN is kept."""
    return np.where(scores < threshold, 0.0, scores)
