"""Dice and IoU of predicted masks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, overload

import numpy as np

from .._compat import Interval, Options, StrOptions, validate_params
from .._mask_scorer import MaskScorer
from .._pixel_counts import (
    average_ratio,
    check_labels,
    count_labels,
    find_foreground,
    select_counts,
)
from ..masks import check_masks
from ..utils._checks import check_sample_weight

if TYPE_CHECKING:
    from typing import Unpack

    from numpy.typing import ArrayLike, NDArray

    from .._typing import (
        Average,
        AveragedScoring,
        MasksLike,
        Scoring,
        ZeroDivision,
    )

CONSTRAINTS = {
    "labels": ["array-like", None],
    "average": [StrOptions({"imagewise", "pooled"}), None],
    "zero_division": [Options(Real, {0.0, 1.0}), "nan", StrOptions({"warn"})],
    "sample_weight": ["array-like", None],
    "ignore_label": [Integral, None],
    "mask_threshold": [Interval(Real, 0, 1, closed="neither"), None],
}


@overload
def dice_score(
    y_true: MasksLike, y_pred: MasksLike, *, average: None, **options: Unpack[Scoring]
) -> NDArray[np.float64]: ...
@overload
def dice_score(
    y_true: MasksLike, y_pred: MasksLike, **options: Unpack[AveragedScoring]
) -> float: ...
@validate_params(CONSTRAINTS, prefer_skip_nested_validation=True)
def dice_score(
    y_true: MasksLike,
    y_pred: MasksLike,
    *,
    labels: ArrayLike | None = None,
    average: Average | None = "imagewise",
    zero_division: ZeroDivision = "warn",
    sample_weight: ArrayLike | None = None,
    ignore_label: int | None = None,
    mask_threshold: float | None = None,
) -> float | NDArray[np.float64]:
    r"""Compute the Dice coefficient of the foreground, also known as F1 score.

    .. math:: \mathrm{Dice} = \frac{2 |A \cap B|}{|A| + |B|}

    where :math:`A` and :math:`B` are the pixels that have a label in the true and in
    the predicted mask.

    Parameters
    ----------
    y_true, y_pred : array, list of arrays or paths
        True and predicted masks in any form that skinest accepts, see
        :mod:`skinest.masks`. The masks of a pair have the same size.

    labels : array-like of int, default=None
        The foreground labels. None means all labels of both masks except the smallest,
        which is the background. If the masks have only one label, it is foreground
        unless it is 0. Pass the labels if some folds may not have all of them.

    average : {"imagewise", "pooled"} or None, default="imagewise"
        How images are averaged:

        - ``"imagewise"``: compute the score of each image and label, and average over
          labels, then over images. Each image has the same weight.
        - ``"pooled"``: compute the score of each label over the pixels of all images,
          and average over labels. Each pixel has the same weight.
        - None: return the mean over labels for each image.

        This differs from `average` in scikit-learn, which tells how labels are
        averaged. Here labels are averaged as by ``"macro"``.

    zero_division : {"warn", 0.0, 1.0, np.nan}, default="warn"
        The score for a label that is absent from both masks. NaN excludes it from the
        mean. "warn" is 0.0 with a warning, as in scikit-learn.

    sample_weight : array-like of shape (n_images,), default=None
        Weight of each image or, with ``"pooled"``, of its pixels; 0 or more. Ignored if
        `average` is None.

    ignore_label : int, default=None
        Label of pixels of `y_true` that are not labelled, such as 255 or -1. They count
        nowhere, and `y_pred` can have any label there. The score of an image that has
        only such pixels is NaN, which is left out of the mean.

    mask_threshold : float, default=None
        Fraction of white, in (0, 1), above which a pixel of either mask is foreground.
        It is for masks with smooth edges or saved as JPEG, see :mod:`skinest.masks`.

    Returns
    -------
    score : float or ndarray of shape (n_images,)
        From 0 (no common pixel) to 1 (equal masks). NaN if there is no score to
        average, because ``zero_division=np.nan`` or no pixel is labelled.

    Raises
    ------
    ValueError
        If `y_true` and `y_pred` differ in number or size, if one holds 0 and 1 and the
        other 0 and 255, or if they are not masks (:func:`skinest.masks.check_masks`).

    Warns
    -----
    UndefinedMetricWarning
        If ``zero_division="warn"`` and a label is absent from both masks of a pair, or
        if all pixels have `ignore_label`.

    See Also
    --------
    iou_score : Intersection over union.
    blob_f1_score : Counts structures instead of pixels.
    hausdorff_distance : Distance of the boundaries.
    segmentation_report : Several scores of each label.

    Notes
    -----
    With ``zero_division=1.0`` the score is 1 if both the true and the predicted mask
    are empty, because the prediction is right. The scorers, the losses and the `score`
    of :class:`~skinest.UNetSegmenter` do the same. If most masks are empty, as for
    globules and streaks, this rewards empty predictions. Then also use
    ``average="pooled"``: there, an image without foreground changes the score only if
    foreground is predicted for it.

    References
    ----------
    L. R. Dice, "Measures of the amount of ecologic association between species", 1945.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.metrics import dice_score
    >>> y_true = np.array([[[0, 1], [0, 1]], [[0, 0], [0, 0]]])
    >>> y_pred = np.array([[[0, 1], [1, 1]], [[0, 0], [0, 1]]])
    >>> dice_score(y_true, y_pred, average=None)
    array([0.8, 0. ])
    >>> dice_score(y_true, y_pred)
    0.4
    >>> dice_score(y_true, y_pred, average="pooled")
    0.666...
    """
    return score_masks(
        "Dice",
        *check_pair(y_true, y_pred, ignore_label, mask_threshold),
        labels=labels,
        zero_division=zero_division,
        sample_weight=sample_weight,
        average=average,
    )


@overload
def iou_score(
    y_true: MasksLike, y_pred: MasksLike, *, average: None, **options: Unpack[Scoring]
) -> NDArray[np.float64]: ...
@overload
def iou_score(
    y_true: MasksLike, y_pred: MasksLike, **options: Unpack[AveragedScoring]
) -> float: ...
@validate_params(CONSTRAINTS, prefer_skip_nested_validation=True)
def iou_score(
    y_true: MasksLike,
    y_pred: MasksLike,
    *,
    labels: ArrayLike | None = None,
    average: Average | None = "imagewise",
    zero_division: ZeroDivision = "warn",
    sample_weight: ArrayLike | None = None,
    ignore_label: int | None = None,
    mask_threshold: float | None = None,
) -> float | NDArray[np.float64]:
    r"""Compute intersection over union of the foreground, also known as Jaccard index.

    .. math:: \mathrm{IoU} = \frac{|A \cap B|}{|A \cup B|}

    where :math:`A` and :math:`B` are the pixels that have a label in the true and in
    the predicted mask.

    Parameters
    ----------
    y_true, y_pred : array, list of arrays or paths
        True and predicted masks in any form that skinest accepts, see
        :mod:`skinest.masks`. The masks of a pair have the same size.

    labels : array-like of int, default=None
        The foreground labels, see :func:`dice_score`.

    average : {"imagewise", "pooled"} or None, default="imagewise"
        How images are averaged, see :func:`dice_score`.

    zero_division : {"warn", 0.0, 1.0, np.nan}, default="warn"
        The score for a label that is absent from both masks, see :func:`dice_score`.

    sample_weight : array-like of shape (n_images,), default=None
        Weights of the images, see :func:`dice_score`.

    ignore_label : int, default=None
        Label of pixels of `y_true` that are not labelled, see :func:`dice_score`.

    mask_threshold : float, default=None
        Fraction of white above which a pixel is foreground, see :func:`dice_score`.

    Returns
    -------
    score : float or ndarray of shape (n_images,)
        Between 0 and 1, or NaN as in :func:`dice_score`.

    Raises
    ------
    ValueError
        If `y_true` and `y_pred` differ in number or size, if one holds 0 and 1 and the
        other 0 and 255, or if they are not masks, see :func:`dice_score`.

    Warns
    -----
    UndefinedMetricWarning
        If ``zero_division="warn"`` and a label is absent from both masks of a pair, or
        if all pixels have `ignore_label`.

    See Also
    --------
    dice_score : The Dice coefficient, which is 2 IoU / (1 + IoU) of one mask.
    threshold_jaccard_score : The score of ISIC 2018.

    References
    ----------
    P. Jaccard, "The distribution of the flora in the alpine zone", 1912.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.metrics import iou_score
    >>> y_true = np.array([[[0, 1], [0, 1]], [[0, 0], [0, 0]]])
    >>> y_pred = np.array([[[0, 1], [1, 1]], [[0, 0], [0, 0]]])
    >>> iou_score(y_true, y_pred, average=None, zero_division=1.0)
    array([0.666..., 1. ])
    >>> iou_score(y_true, y_pred, zero_division=np.nan)
    0.666...
    """
    return score_masks(
        "IoU",
        *check_pair(y_true, y_pred, ignore_label, mask_threshold),
        labels=labels,
        zero_division=zero_division,
        sample_weight=sample_weight,
        average=average,
    )


dice_scorer = MaskScorer(dice_score, zero_division=1.0)
iou_scorer = MaskScorer(iou_score, zero_division=1.0)


def score_masks(
    ratio, y_true, y_pred, *, labels, zero_division, sample_weight, average="imagewise"
):
    """Score masks, of which one pair is read at a time."""
    labels = check_labels(labels, y_true.ignore_label)
    weights = check_sample_weight(sample_weight, len(y_true))
    pixels, n_pixels = count_labels(y_true, y_pred, labels)
    counts = select_counts(pixels, n_pixels, find_foreground(pixels, labels))
    return average_ratio(ratio, counts, average, zero_division, weights)


def check_pair(y_true, y_pred, ignore_label, mask_threshold):
    options = {"ignore_label": ignore_label, "mask_threshold": mask_threshold}
    y_true = check_masks(y_true, name="y_true", **options)
    y_pred = check_masks(y_pred, name="y_pred", **options)
    if len(y_true) != len(y_pred):
        raise ValueError(
            f"y_true has {len(y_true)} masks, but y_pred has {len(y_pred)}."
        )
    return y_true, y_pred


def name_rows(labels, target_names):
    if isinstance(target_names, str):
        raise ValueError(
            f"target_names={target_names!r} is a string. Pass a list: "
            f"[{target_names!r}]."
        )
    names = [str(name) for name in (labels if target_names is None else target_names)]
    if len(names) != len(labels):
        raise ValueError(
            f"target_names has {len(names)} names, but the foreground labels are "
            f"{labels}."
        )
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"target_names has {name!r} twice. Give each label its own name."
            )
    return names
