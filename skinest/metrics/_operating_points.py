"""Sensitivity and specificity where the other one is fixed, and the threshold there.

All functions use the points of the ROC curve that a threshold reaches. Samples with the
same score are on the same side of a threshold. Only the area of `partial_auc_score`
interpolates between points.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import warnings
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import auc, make_scorer, roc_curve

from .._compat import Interval, validate_params
from ._binary_scores import read_binary

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_ROUNDING = 1e-9  # rates that differ by less are equal
_RATE = [Interval(Real, 0, 1, closed="both")]
_WEIGHTS = {"sample_weight": ["array-like", None]}


@validate_params({"specificity": _RATE, **_WEIGHTS}, prefer_skip_nested_validation=True)
def sensitivity_at_specificity(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    specificity: float,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the highest sensitivity of all thresholds that are specific enough.

    Sensitivity is the fraction of positive samples that are predicted as positive;
    specificity is the fraction of negative samples that are predicted as negative.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of two classes, or of more if `pos_label` is given.

    y_score : array-like of shape (n_samples,)
        Probabilities or decision values of the positive class; higher means more
        likely positive. Predicted labels, if they are not floats, are one operating
        point: the score is their sensitivity if they are specific enough, otherwise 0.

    specificity : float
        The specificity to reach, in [0, 1].

    pos_label : int, float, bool or str, default=None
        The positive class. None means the greater of two labels, which is
        ``classes_[1]`` of a classifier.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples, 0 or more.

    Returns
    -------
    sensitivity : float
        In [0, 1]. NaN if `y_true` has one class only.

    Raises
    ------
    ValueError
        If the positive class is not known, or an argument is invalid.

    Warns
    -----
    UndefinedMetricWarning
        If `y_true` has one class only.

    See Also
    --------
    specificity_at_sensitivity : The reverse.
    find_threshold : The threshold that reaches it.

    Notes
    -----
    A sample is predicted as positive if its score is at least the threshold, as in
    scikit-learn. There is no interpolation: samples with the same score are on the same
    side, so a specificity that no threshold reaches exactly is exceeded. A threshold
    above all scores always reaches it, with a sensitivity of 0.

    As a scorer: ``make_scorer(sensitivity_at_specificity, specificity=0.9,
    response_method=("decision_function", "predict_proba"))``. Without
    `response_method`, scikit-learn passes predicted labels, which is what
    :class:`~sklearn.model_selection.TunedThresholdClassifierCV` needs.

    Examples
    --------
    >>> from skinest.metrics import sensitivity_at_specificity
    >>> y_true = [0, 0, 0, 0, 1, 1]
    >>> y_score = [0.1, 0.2, 0.3, 0.8, 0.5, 0.9]
    >>> sensitivity_at_specificity(y_true, y_score, specificity=0.75)
    1.0
    >>> sensitivity_at_specificity(y_true, y_score, specificity=0.8)
    0.5
    """
    curve = _compute_curve(y_true, y_score, pos_label, sample_weight, "Sensitivity")
    if curve is None:
        return np.nan
    sensitivities, specificities, _ = curve
    return float(sensitivities[specificities >= specificity - _ROUNDING].max())


@validate_params({"sensitivity": _RATE, **_WEIGHTS}, prefer_skip_nested_validation=True)
def specificity_at_sensitivity(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    sensitivity: float,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the highest specificity of all thresholds that are sensitive enough.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of two classes, or of more if `pos_label` is given.

    y_score : array-like of shape (n_samples,)
        Probabilities or decision values of the positive class, or predicted labels,
        see :func:`sensitivity_at_specificity`.

    sensitivity : float
        The sensitivity to reach, in [0, 1].

    pos_label : int, float, bool or str, default=None
        The positive class, see :func:`sensitivity_at_specificity`.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples, 0 or more.

    Returns
    -------
    specificity : float
        In [0, 1]. NaN if `y_true` has one class only.

    Raises
    ------
    ValueError
        If the positive class is not known, or an argument is invalid.

    Warns
    -----
    UndefinedMetricWarning
        If `y_true` has one class only.

    See Also
    --------
    sensitivity_at_specificity : The reverse, with notes on ties and scorers.
    find_threshold : The threshold that reaches it.

    Examples
    --------
    >>> from skinest.metrics import specificity_at_sensitivity
    >>> y_true = [0, 0, 0, 0, 1, 1]
    >>> y_score = [0.1, 0.2, 0.3, 0.8, 0.5, 0.9]
    >>> specificity_at_sensitivity(y_true, y_score, sensitivity=0.9)
    0.75
    """
    curve = _compute_curve(y_true, y_score, pos_label, sample_weight, "Specificity")
    if curve is None:
        return np.nan
    sensitivities, specificities, _ = curve
    return float(specificities[sensitivities >= sensitivity - _ROUNDING].max())


@validate_params(
    {"sensitivity": [*_RATE, None], "specificity": [*_RATE, None], **_WEIGHTS},
    prefer_skip_nested_validation=True,
)
def find_threshold(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    sensitivity: float | None = None,
    specificity: float | None = None,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Find the best threshold that reaches a sensitivity or a specificity.

    Use scores of images that the classifier was not trained on, such as those of
    :func:`~sklearn.model_selection.cross_val_predict`, but not the test images. Then
    pass the threshold to :class:`~sklearn.model_selection.FixedThresholdClassifier`.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of two classes, or of more if `pos_label` is given.

    y_score : array-like of shape (n_samples,)
        Probabilities or decision values of the positive class.

    sensitivity : float, default=None
        The sensitivity to reach, in [0, 1]. The result is the highest threshold that
        reaches it.

    specificity : float, default=None
        The specificity to reach, in [0, 1]. The result is the lowest threshold that
        reaches it. Pass either `sensitivity` or `specificity`.

    pos_label : int, float, bool or str, default=None
        The positive class, see :func:`sensitivity_at_specificity`.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples, 0 or more.

    Returns
    -------
    threshold : float
        One of the scores. Samples with at least this score are predicted as positive.
        Infinity if the wanted specificity is reached only if no sample is predicted as
        positive.

    Raises
    ------
    ValueError
        If `y_true` has one class only, if not exactly one of `sensitivity` and
        `specificity` is given, or if an argument is invalid.

    See Also
    --------
    specificity_at_sensitivity : The specificity at this threshold.
    sensitivity_at_specificity : The sensitivity at this threshold.

    Notes
    -----
    The threshold depends on few images. With 20 positive images, a sensitivity of .9
    means that 18 of them are found, and the threshold is the score of the 18th. Other
    training images would give another threshold, and its sensitivity on new images can
    be much lower. Look at its bootstrap interval.

    Examples
    --------
    >>> from skinest.metrics import find_threshold
    >>> y_true = [0, 0, 0, 0, 1, 1]
    >>> y_score = [0.1, 0.2, 0.3, 0.8, 0.5, 0.9]
    >>> find_threshold(y_true, y_score, sensitivity=0.9)
    0.5
    >>> find_threshold(y_true, y_score, specificity=0.9)
    0.9
    """
    given = [rate for rate in (sensitivity, specificity) if rate is not None]
    if len(given) != 1:
        raise ValueError(
            f"sensitivity={sensitivity} and specificity={specificity}: pass exactly "
            "one of them."
        )
    curve = _compute_curve(y_true, y_score, pos_label, sample_weight, None)
    # The thresholds fall, so sensitivities rise and specificities fall.
    sensitivities, specificities, thresholds = curve
    wanted = given[0] - _ROUNDING
    if sensitivity is not None:
        return float(thresholds[sensitivities >= wanted][0])
    return float(thresholds[specificities >= wanted][-1])


@validate_params(
    {"min_sensitivity": [Interval(Real, 0, 1, closed="left")], **_WEIGHTS},
    prefer_skip_nested_validation=True,
)
def partial_auc_score(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    min_sensitivity: float = 0.8,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the area between the ROC curve and a line of minimum sensitivity.

    This is the score of ISIC 2024. Below a sensitivity of 80 %, a screening test is of
    no use, so only the part of the curve above it counts.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of two classes, or of more if `pos_label` is given.

    y_score : array-like of shape (n_samples,)
        Probabilities or decision values of the positive class; higher means more
        likely positive.

    min_sensitivity : float, default=0.8
        The sensitivity, in [0, 1), above which the area counts. With 0 the score is
        that of :func:`~sklearn.metrics.roc_auc_score`.

    pos_label : int, float, bool or str, default=None
        The positive class, see :func:`sensitivity_at_specificity`.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples, 0 or more.

    Returns
    -------
    area : float
        From 0 to ``1 - min_sensitivity``, 0.2 by default. It is not normalised. The
        chance level is ``(1 - min_sensitivity) ** 2 / 2``, 0.02 by default. NaN if
        `y_true` has one class only.

    Raises
    ------
    ValueError
        If the positive class is not known, or an argument is invalid.

    Warns
    -----
    UndefinedMetricWarning
        If `y_true` has one class only.

    See Also
    --------
    specificity_at_sensitivity : One point of the curve.

    Notes
    -----
    Between its points, the ROC curve is a straight line, as for the AUC. So samples of
    both classes with the same score count half.

    ``roc_auc_score(max_fpr=...)`` limits the other axis and rescales the area.
    "AUC, sensitivity over 80 %" in the results of ISIC 2018 and 2019 is another area:
    it reaches down to a sensitivity of 0, so it is greater by ``min_sensitivity``
    times the specificity at this sensitivity.

    References
    ----------
    N. Kurtansky et al., "The SLICE-3D dataset: 400,000 skin lesion image crops
    extracted from 3D TBP for skin cancer detection", Scientific Data, 2024.

    Examples
    --------
    >>> from skinest.metrics import partial_auc_score
    >>> partial_auc_score([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.9])
    0.199...
    >>> partial_auc_score([0, 0, 1, 1], [0.1, 0.7, 0.6, 0.9])
    0.099...
    """
    curve = _compute_curve(y_true, y_score, pos_label, sample_weight, "The area")
    if curve is None:
        return np.nan
    sensitivities, specificities, _ = curve
    above = sensitivities - min_sensitivity
    false_rates = 1 - specificities
    first = int(np.argmax(above >= 0))
    if first:  # start where the line crosses the curve
        share = above[first] / (above[first] - above[first - 1])
        crossing = false_rates[first] - share * (
            false_rates[first] - false_rates[first - 1]
        )
        false_rates = np.concatenate([[crossing], false_rates[first:]])
        above = np.concatenate([[0.0], above[first:]])
    return float(auc(false_rates, above))


partial_auc_scorer = make_scorer(
    partial_auc_score, response_method=("decision_function", "predict_proba")
)


def _compute_curve(y_true, y_score, pos_label, sample_weight, what):
    """Return sensitivities, specificities and falling thresholds of all points.

    If there is one class only, warn that `what` is not defined and return None, or
    raise ValueError if `what` is None.
    """
    is_positive, scores, weights = read_binary(
        y_true, y_score, pos_label, sample_weight
    )
    for has_class, name in ((is_positive, "positive"), (~is_positive, "negative")):
        if weights[has_class].any():
            continue
        absent = f"y_true has no {name} sample"
        if what is None:
            raise ValueError(f"{absent}, so a threshold cannot be chosen.")
        warnings.warn(
            f"{what} is not defined and set to NaN: {absent}.",
            UndefinedMetricWarning,
            stacklevel=2,
        )
        return None
    false_rates, sensitivities, thresholds = roc_curve(
        is_positive, scores, sample_weight=weights, drop_intermediate=False
    )
    return sensitivities, 1 - false_rates, thresholds
