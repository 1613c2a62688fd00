"""True classes and scores of a positive class, checked."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from numbers import Real

import numpy as np
from sklearn.utils import check_array, check_consistent_length

from ..utils._checks import as_column, check_sample_weight


def read_binary(y_true, y_score, pos_label, sample_weight, name="y_score"):
    """Return whether each sample is positive, its score and its weight.

    Predicted labels, which are not floats, become the scores 0 and 1.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.

    y_score : array-like of shape (n_samples,)
        Scores of the positive class, or predicted labels.

    pos_label : int, float, bool, str or None
        The positive class. None is the greater of two labels. If `y_true` has one
        class only, it may be another one.

    sample_weight : array-like of shape (n_samples,) or None
        Weights.

    name : str, default="y_score"
        Name of `y_score` in error messages.

    Returns
    -------
    is_positive : ndarray of shape (n_samples,), dtype bool
    scores : ndarray of shape (n_samples,), dtype float64
    weights : ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If the positive class is not known or not among several labels, or if another
        argument is invalid.
    """
    y_true = as_column(y_true, "y_true")
    classes = np.unique(y_true).tolist()
    pos_label = _find_positive(classes, pos_label)
    scores = np.asarray(y_score)
    if scores.ndim == 2 and scores.shape[1] > 1:
        raise ValueError(
            f"{name} has {scores.shape[1]} columns. Pass the column of the positive "
            f"class, as in {name}[:, 1]."
        )
    if scores.dtype == object and all(isinstance(each, Real) for each in scores.flat):
        scores = scores.astype(np.float64)
    scores = as_column(scores, name)
    check_consistent_length(y_true, scores)
    if scores.dtype.kind != "f":
        values = np.unique(scores).tolist()
        if {*values} <= {*classes, pos_label}:
            scores = scores == pos_label
        elif scores.dtype.kind in "OUS":
            raise ValueError(
                f"{name} holds {values[:3]}, but the labels of y_true are "
                f"{classes[:3]}. Pass scores or predicted labels."
            )
    scores = check_array(scores, ensure_2d=False, dtype=np.float64, input_name=name)
    return y_true == pos_label, scores, check_sample_weight(sample_weight, len(y_true))


def _find_positive(classes, pos_label):
    """Return the positive class."""
    if not classes:
        raise ValueError("y_true is empty. Pass a label for each sample.")
    if pos_label is not None:
        if len(classes) > 1 and pos_label not in classes:
            raise ValueError(
                f"pos_label={pos_label!r} is not one of the labels of y_true, "
                f"{classes[:9]}. Pass one of them as pos_label."
            )
        return pos_label
    if len(classes) > 2:
        raise ValueError(
            f"y_true has {len(classes)} classes, {classes[:9]}. Pass one of them as "
            "pos_label; all others are then negative."
        )
    if len(classes) == 1 and classes[0] not in (-1, 0, 1):
        raise ValueError(
            f"y_true has only the class {classes[0]!r}, which may be the positive or "
            "the negative one. Pass pos_label."
        )
    return 1 if len(classes) == 1 else classes[1]
