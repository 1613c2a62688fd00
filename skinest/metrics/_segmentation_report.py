"""A report of predicted masks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from .._compat import Interval, StrOptions, validate_params
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
from ._blobs import count_blobs
from ._boundary_distances import measure_hausdorff, measure_surfaces
from ._mask_metrics import CONSTRAINTS, check_pair, name_rows
from ._threshold_jaccard import count_failures

if TYPE_CHECKING:
    from typing import Unpack

    from numpy.typing import ArrayLike

    from .._typing import Average, MasksLike, Reporting, ZeroDivision

_MEAN_IOU = "mean IoU with background"
_EXTRA = "threshold Jaccard", "blob F1", "Hausdorff 95 %", "surface distance"


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
        **CONSTRAINTS,
        "average": [StrOptions({"imagewise", "pooled"})],
        "target_names": ["array-like", None],
        "extra_columns": ["array-like", StrOptions({"all"}), None],
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
    extra_columns: ArrayLike | None = None,
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

    extra_columns : list of str or "all", default=None
        Further scores to report:

        - "threshold Jaccard": :func:`threshold_jaccard_score`,
        - "blob F1": :func:`blob_f1_score`,
        - "Hausdorff 95 %": :func:`hausdorff_distance`, in pixels,
        - "surface distance": :func:`average_surface_distance`, in pixels.

        With ``average="pooled"``, all but blob F1 are still means over images.

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
        "macro avg": {…}, "mean IoU with background": …, "n_images": …}``. Extra
        columns are between Dice and support.

    Raises
    ------
    ValueError
        If `y_true` and `y_pred` differ in number or size, if one holds 0 and 1 and the
        other 0 and 255, if they are not masks, if `target_names` has another length
        than the foreground labels, or if a column is unknown.

    Warns
    -----
    UndefinedMetricWarning
        If ``zero_division="warn"`` and the denominator of a score is 0, or if all
        pixels have `ignore_label`.

    See Also
    --------
    dice_score : One score only, and the meaning of the arguments.
    skinest.inspection.SegmentationDisplay : The masks themselves.

    Notes
    -----
    Let :math:`A` and :math:`B` be the pixels that have a label in the true and in the
    predicted mask, and :math:`N` the number of all pixels. Then precision is
    :math:`|A \cap B| / |B|`, recall is :math:`|A \cap B| / |A|`, and accuracy is
    :math:`1 - (|A \cup B| - |A \cap B|) / N`. The mean IoU with background is not
    informative: an empty prediction has a score of about 0.5.

    With several labels and ``zero_division=np.nan``, the macro average can differ from
    :func:`dice_score`, which averages over labels first, then over images. That of
    threshold Jaccard is always :func:`threshold_jaccard_score`, whose threshold is for
    the mean over the labels of an image.

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

    Small structures and boundaries, as columns:

    >>> report = segmentation_report(
    ...     y_true,
    ...     y_pred,
    ...     zero_division=1.0,
    ...     extra_columns=["blob F1", "Hausdorff 95 %"],
    ...     output_dict=True,
    ... )
    >>> report["1"]["blob F1"], round(report["1"]["Hausdorff 95 %"], 2)
    (1.0, 0.45)
    """
    columns = _check_columns(extra_columns)
    y_true, y_pred = check_pair(y_true, y_pred, ignore_label, mask_threshold)
    labels = check_labels(labels, y_true.ignore_label)
    pixels, n_pixels = count_labels(y_true, y_pred, labels)
    labels = find_foreground(pixels, labels)
    names = name_rows(labels, target_names)
    if reserved := sorted({"macro avg", "n_images", _MEAN_IOU} & set(names)):
        raise ValueError(
            f"target_names has {reserved[0]!r}, which is another row of the report. "
            "Choose another name."
        )
    counts = select_counts(pixels, n_pixels, labels)
    of_all = select_counts(pixels, n_pixels, sorted(pixels))
    masks = y_true, y_pred
    extra = _measure(columns, masks, labels, counts, average, zero_division)
    if average == "pooled":
        counts, of_all = pool_counts(counts), pool_counts(of_all)
    report = _report_rows(counts, names, zero_division, extra)
    ious = average_defined(
        compute_ratio("IoU", of_all, zero_division, _MEAN_IOU), axis=1
    )
    report[_MEAN_IOU] = float(average_defined(ious))
    report["n_images"] = len(n_pixels)
    return report if output_dict else _report_text(report, names, average, digits)


def _check_columns(columns) -> list[str]:
    """Return the names of the extra columns, in the order of the report."""
    if columns is None:
        return []
    if isinstance(columns, str):  # "all"
        return list(_EXTRA)
    if unknown := sorted(set(map(str, columns)) - set(_EXTRA)):
        raise ValueError(
            f"extra_columns has {unknown}. Choose from {list(_EXTRA)}, or pass 'all'."
        )
    return [name for name in _EXTRA if name in columns]


def _measure(columns, masks, labels, counts, average, zero_division) -> dict:
    """Return each extra score of each label, and that of all labels.

    If there is no foreground, one label counts as absent, as in the other columns.
    """
    labels, values, of_all = labels or None, {}, {}
    for name in columns:
        if name == "threshold Jaccard":
            ratios = compute_ratio("IoU", counts, zero_division, name)
            values[name] = average_defined(count_failures(ratios))
            # The threshold is for the mean over the labels of an image.
            means = count_failures(average_defined(ratios, axis=1))
            of_all[name] = average_defined(means)
        elif name == "blob F1":
            blobs = count_blobs(masks, labels)
            settings = average, zero_division, 1.0, name
            columns_of = np.split(blobs, blobs.shape[-1], axis=-1)
            found = [average_ratio("Dice", column, *settings) for column in columns_of]
            values[name] = np.array(found)
        elif name == "Hausdorff 95 %":
            values[name] = average_defined(measure_hausdorff(masks, labels))
        else:
            values[name] = average_defined(measure_surfaces(masks, labels))
    return {
        name: np.append(column, of_all.get(name, average_defined(column)))
        for name, column in values.items()
    }


def _report_rows(counts, names, zero_division, extra):
    """Return a dict of the rows by name, with their mean."""
    n, table = len(names), {}
    columns = {}
    for name in RATIOS:
        column = average_defined(compute_ratio(name, counts, zero_division))
        columns[name] = np.append(column, average_defined(column))
    for name, column in (columns | extra).items():
        table[name] = [*column[:n].tolist(), float(column[-1])]
    support = counts[1].sum(axis=0)
    table["support"] = [*support[:n].tolist(), int(support.sum())]
    rows = zip([*names, "macro avg"], *table.values(), strict=True)
    return {name: dict(zip(table, row, strict=True)) for name, *row in rows}


def _report_text(report, names, average, digits):
    width = max(9, digits + 2, len(str(report["macro avg"]["support"])))
    heading = max(len(name) for name in (*names, _MEAN_IOU))
    columns = {name: max(width, len(name)) for name in report["macro avg"]}

    def line(name, row):
        cells = ""
        for column, wide in columns.items():
            cell = row.get(column, "")
            text = f"{cell:.{digits}f}" if isinstance(cell, float) else cell
            cells += f" {text:>{wide}}"
        return f"{name:>{heading}} {cells}".rstrip() + "\n"

    text = line(average, {name: name for name in report["macro avg"]}) + "\n"
    text += "".join(line(name, report[name]) for name in names) + "\n" * bool(names)
    if len(names) != 1:
        text += line("macro avg", report["macro avg"])
    text += line(_MEAN_IOU, {"IoU": report[_MEAN_IOU]})
    return text + line("number of images", {"support": report["n_images"]})
