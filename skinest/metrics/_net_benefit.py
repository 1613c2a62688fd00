"""Net benefit of decisions by a predicted probability."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from .._compat import validate_params
from ._binary_scores import read_binary

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@overload
def net_benefit(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    threshold: float,
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float: ...
@overload
def net_benefit(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    threshold: Sequence[float] | NDArray[Any],
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> NDArray[np.float64]: ...
@validate_params(
    {"sample_weight": ["array-like", None]}, prefer_skip_nested_validation=True
)
def net_benefit(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    threshold: float | Sequence[float] | NDArray[Any],
    pos_label: Any = None,
    sample_weight: ArrayLike | None = None,
) -> float | NDArray[np.float64]:
    r"""Compute the net benefit of treating all patients above a probability.

    .. math:: \frac{TP}{n} - \frac{FP}{n} \cdot \frac{p_t}{1 - p_t}

    where :math:`TP` and :math:`FP` are the true and false positives at the threshold
    :math:`p_t`, among :math:`n` samples. For dermoscopy, to treat is to excise.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels of two classes, or of more if `pos_label` is given.

    y_proba : array-like of shape (n_samples,)
        Probabilities of the positive class, or predicted labels that are not floats.

    threshold : float or array-like of shape (n_thresholds,)
        Probability, in [0, 1), from which a patient is treated. If a missed melanoma is
        as bad as nine needless excisions, it is 0.1.

    pos_label : int, float, bool or str, default=None
        The positive class. None means the greater of two labels, which is
        ``classes_[1]`` of a classifier.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples, 0 or more.

    Returns
    -------
    benefit : float or ndarray of shape (n_thresholds,)
        At most the prevalence, which is the benefit of perfect predictions. Treating
        nobody has a benefit of 0.

    Raises
    ------
    ValueError
        If a probability or a threshold is out of range, the positive class is not
        known, or an argument is invalid.

    See Also
    --------
    skinest.inspection.DecisionCurveDisplay : Plot of the net benefit by threshold.

    Notes
    -----
    A patient is treated if the probability is at least the threshold. A net benefit of
    .05 is as good as finding five melanomas in 100 patients without a needless
    excision. Compare it with treating everybody:
    ``net_benefit(y_true, np.ones(len(y_true)), threshold=...)``.

    The prevalence in `y_true` must be that of the patients, and probabilities must be
    calibrated: class weights and resampling change them.

    References
    ----------
    A. J. Vickers and E. B. Elkin, "Decision curve analysis: a novel method for
    evaluating prediction models", Medical Decision Making, 2006.

    Examples
    --------
    >>> from skinest.metrics import net_benefit
    >>> y_true = [0, 0, 0, 0, 1]
    >>> y_proba = [0.05, 0.1, 0.1, 0.4, 0.7]
    >>> net_benefit(y_true, y_proba, threshold=0.2)
    0.15...
    >>> net_benefit(y_true, y_proba, threshold=[0.2, 0.5])
    array([0.15, 0.2 ])
    """
    thresholds = _check_thresholds(threshold)
    is_positive, proba, weights = read_binary(
        y_true, y_proba, pos_label, sample_weight, name="y_proba"
    )
    if proba.min() < 0 or proba.max() > 1:
        raise ValueError(
            f"y_proba has values from {proba.min():g} to {proba.max():g}, but must be "
            "probabilities. Calibrate decision values first, for example by "
            "CalibratedClassifierCV."
        )
    order = np.argsort(proba)
    dtype = np.asarray(y_proba).dtype
    # A probability of .7 in float32 is less than .7 in float64.
    edges = thresholds.astype(dtype) if dtype.kind == "f" else thresholds
    from_here = np.searchsorted(proba[order], edges, side="left")
    true_rate, false_rate = (
        _sum_from((weights * chosen)[order], from_here) / weights.sum()
        for chosen in (is_positive, ~is_positive)
    )
    benefit = true_rate - false_rate * thresholds / (1 - thresholds)
    return benefit if benefit.ndim else float(benefit)


def _check_thresholds(threshold):
    try:
        thresholds = np.asarray(threshold, dtype=np.float64)
    except (TypeError, ValueError):  # not numbers, or lists of different lengths
        thresholds = np.array(np.nan)
    if thresholds.ndim > 1 or not ((thresholds >= 0) & (thresholds < 1)).all():
        raise ValueError(
            f"threshold={threshold!r} must be a number or a list of numbers in [0, 1)."
        )
    return thresholds


def _sum_from(values, positions):
    """Return the sums of all values from some positions on."""
    sums = np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])
    return sums[positions]
