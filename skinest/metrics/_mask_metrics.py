"""Dice, IoU and a report of predicted masks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from .._compat import Interval, Options, StrOptions, validate_params
from .._mask_scorer import MaskScorer
from .._pixel_counts import (
    RATIOS,
    average_defined,
    average_ratio,
    check_labels,
    compute_ratio,
    count_labels,
    find_foreground,
    pool_counts,
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
        Reporting,
        Scoring,
        ZeroDivision,
    )

_MEAN_IOU = "mean IoU with background"

_CONSTRAINTS = {
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
@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
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
    masks = check_pair(y_true, y_pred, ignore_label, mask_threshold)
    return _score("Dice", masks, labels, average, zero_division, sample_weight)


@overload
def iou_score(
    y_true: MasksLike, y_pred: MasksLike, *, average: None, **options: Unpack[Scoring]
) -> NDArray[np.float64]: ...
@overload
def iou_score(
    y_true: MasksLike, y_pred: MasksLike, **options: Unpack[AveragedScoring]
) -> float: ...
@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
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
    masks = check_pair(y_true, y_pred, ignore_label, mask_threshold)
    return _score("IoU", masks, labels, average, zero_division, sample_weight)


dice_scorer = MaskScorer(dice_score, zero_division=1.0)
iou_scorer = MaskScorer(iou_score, zero_division=1.0)


@overload
def segmentation_report(
    y_true: MasksLike,
    y_pred: MasksLike,
    *,
    output_dict: Literal[True],
    **options: Unpack[Reporting],
) -> dict[str, Any]: ...
@overload
def segmentation_report(
    y_true: MasksLike,
    y_pred: MasksLike,
    *,
    output_dict: Literal[False] = False,
    **options: Unpack[Reporting],
) -> str: ...
@validate_params(
    {
        **_CONSTRAINTS,
        "average": [StrOptions({"imagewise", "pooled"})],
        "target_names": ["array-like", None],
        "digits": [Interval(Integral, 0, None, closed="left")],
        "output_dict": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def segmentation_report(
    y_true: MasksLike,
    y_pred: MasksLike,
    *,
    labels: ArrayLike | None = None,
    target_names: ArrayLike | None = None,
    average: Average = "imagewise",
    zero_division: ZeroDivision = "warn",
    digits: int = 3,
    output_dict: bool = False,
    ignore_label: int | None = None,
    mask_threshold: float | None = None,
) -> str | dict[str, Any]:
    r"""Report accuracy, precision, recall, IoU and Dice of each foreground label.

    Parameters
    ----------
    y_true, y_pred : array, list of arrays or paths
        True and predicted masks in any form that skinest accepts, see
        :mod:`skinest.masks`. The masks of a pair have the same size.

    labels : array-like of int, default=None
        The foreground labels, see :func:`dice_score`.

    target_names : array-like of str, default=None
        Names of the foreground labels, in the order of `labels`.

    average : {"imagewise", "pooled"}, default="imagewise"
        Whether to average the scores of the images or to pool the pixels of all images.

    zero_division : {"warn", 0.0, 1.0, np.nan}, default="warn"
        The value of a score with denominator 0. NaN excludes it from the mean. "warn"
        is 0.0 with a warning. As in scikit-learn, this is also the precision of a label
        that is never predicted, and the recall of a label that is never present.

    digits : int, default=3
        Number of decimals in the text.

    output_dict : bool, default=False
        Whether to return a dict instead of a text.

    ignore_label : int, default=None
        Label of pixels of `y_true` that are not labelled, see :func:`dice_score`.

    mask_threshold : float, default=None
        Fraction of white above which a pixel is foreground, see :func:`dice_score`.

    Returns
    -------
    report : str or dict
        The report has a row for each label (against all other labels), with its number
        of true pixels as support. Then there are the mean of the rows (in the text only
        if there are several), the mean IoU over all labels, including the background,
        and the number of images. The dict is ``{"1":
        {"accuracy": …, "precision": …, "recall": …, "IoU": …, "Dice": …, "support": …},
        "macro avg": {…}, "mean IoU with background": …, "n_images": …}``.

    Notes
    -----
    Let :math:`A` and :math:`B` be the pixels that have a label in the true and in the
    predicted mask, and :math:`N` the number of all pixels. Then precision is
    :math:`|A \cap B| / |B|`, recall is :math:`|A \cap B| / |A|`, and accuracy is
    :math:`1 - (|A \cup B| - |A \cap B|) / N`. The mean IoU with background is not
    informative: an empty prediction has a score of about 0.5.

    With several labels and ``zero_division=np.nan``, the macro average can differ from
    :func:`dice_score`, which averages over labels first, then over images.

    Examples
    --------
    >>> import numpy as np
    >>> from skinest.metrics import segmentation_report
    >>> y_true = np.array([[[0, 1], [0, 1]], [[0, 0], [0, 2]]])
    >>> y_pred = np.array([[[0, 1], [1, 1]], [[0, 0], [0, 2]]])
    >>> names = ["globules", "streaks"]
    >>> report = segmentation_report(
    ...     y_true, y_pred, target_names=names, zero_division=1.0
    ... )
    >>> print(report)
    imagewise    accuracy precision recall    IoU   Dice  support
    <BLANKLINE>
    globules        0.875     0.833  1.000  0.833  0.900        2
    streaks         1.000     1.000  1.000  1.000  1.000        1
    <BLANKLINE>
    macro avg       0.938     0.917  1.000  0.917  0.950        3
    mean IoU with background               0.861
    number of images                                            2
    <BLANKLINE>
    """
    y_true, y_pred = check_pair(y_true, y_pred, ignore_label, mask_threshold)
    labels = check_labels(labels, y_true.ignore_label)
    pixels, n_pixels = count_labels(y_true, y_pred, labels)
    labels = find_foreground(pixels, labels)
    names = name_rows(labels, target_names)
    counts = select_counts(pixels, n_pixels, labels)
    of_all = select_counts(pixels, n_pixels, sorted(pixels))
    if average == "pooled":
        counts, of_all = pool_counts(counts), pool_counts(of_all)
    report = _report_rows(counts, names, zero_division)
    ious = average_defined(
        compute_ratio("IoU", of_all, zero_division, _MEAN_IOU), axis=1
    )
    report[_MEAN_IOU] = float(average_defined(ious))
    report["n_images"] = len(n_pixels)
    return report if output_dict else _report_text(report, names, average, digits)


def _score(ratio, masks, labels, average, zero_division, sample_weight):
    y_true, y_pred = masks
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
    names = [str(name) for name in (labels if target_names is None else target_names)]
    if len(names) != len(labels):
        raise ValueError(
            f"target_names has {len(names)} names, but the foreground labels are "
            f"{labels}."
        )
    return names


def _report_rows(counts, names, zero_division):
    """Return a dict of the rows by name, with their mean."""
    n, table = len(names), {}
    for name in RATIOS:
        column = average_defined(compute_ratio(name, counts, zero_division))
        table[name] = [*column[:n].tolist(), float(average_defined(column))]
    support = counts[1].sum(axis=0)
    table["support"] = [*support[:n].tolist(), int(support.sum())]
    rows = zip([*names, "macro avg"], *table.values(), strict=True)
    return {name: dict(zip(table, row, strict=True)) for name, *row in rows}


def _report_text(report, names, average, digits):
    width = max(9, digits + 2, len(str(report["macro avg"]["support"])))
    heading = max(len(name) for name in (*names, _MEAN_IOU))

    def line(name, row):
        cells = (row.get(column, "") for column in (*RATIOS, "support"))
        cells = (f"{c:.{digits}f}" if isinstance(c, float) else c for c in cells)
        cells = "".join(f" {cell:>{width}}" for cell in cells)
        return f"{name:>{heading}} {cells}".rstrip() + "\n"

    text = line(average, {name: name for name in report["macro avg"]}) + "\n"
    text += "".join(line(name, report[name]) for name in names) + "\n" * bool(names)
    if len(names) != 1:
        text += line("macro avg", report["macro avg"])
    text += line(_MEAN_IOU, {"IoU": report[_MEAN_IOU]})
    return text + line("number of images", {"support": report["n_images"]})
