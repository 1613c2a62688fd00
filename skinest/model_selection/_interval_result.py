"""Results that have a confidence interval."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from ._group_bootstrap import find_share_below_zero

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class _Limits(NamedTuple):
    """The part of a result that is a tuple."""

    estimate: float
    low: float
    high: float


class IntervalResult(_Limits):
    """An estimate with its confidence interval.

    It is a tuple of `estimate`, `low` and `high`. ``f"{result:.2f}"`` is a text such as
    "0.87 [0.81, 0.92]".

    Parameters
    ----------
    estimate : float
        The score of the data.

    low, high : float
        The limits of the interval.

    confidence_level : float, default=0.95
        The fraction of such intervals that contain the true score, in the long run.

    standard_error : float, default=nan
        The standard deviation of the estimate over data sets of this size. NaN if it is
        not known, because the estimate is the same in all bootstrap samples.

    distribution : array-like of shape (n_resamples,), default=()
        The score of each bootstrap sample. It is empty if the interval is not from a
        bootstrap.

    Examples
    --------
    >>> from skinest.model_selection import IntervalResult
    >>> result = IntervalResult(0.8712, 0.8099, 0.9154)
    >>> result
    IntervalResult(0.8712 [0.8099, 0.9154], confidence_level=0.95)
    >>> f"{result:.2f}"
    '0.87 [0.81, 0.92]'
    >>> estimate, low, high = result
    """

    confidence_level: float
    standard_error: float
    distribution: NDArray[np.float64]

    _shown: tuple[str, ...] = ("confidence_level",)

    # Copies and pickles call it with the tuple only, then they set the attributes.
    def __new__(
        cls,
        estimate: float,
        low: float,
        high: float,
        *,
        confidence_level: float = 0.95,
        standard_error: float = np.nan,
        distribution: ArrayLike = (),
    ) -> Self:
        result = super().__new__(cls, float(estimate), float(low), float(high))
        result.confidence_level = confidence_level
        result.standard_error = standard_error
        result.distribution = np.asarray(distribution, dtype=np.float64)
        return result

    def __format__(self, spec: str) -> str:
        spec = spec or ".4g"
        return f"{self.estimate:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self)

    def __repr__(self) -> str:
        shown = (f", {name}={getattr(self, name):.4g}" for name in self._shown)
        return f"{type(self).__name__}({self}{''.join(shown)})"


class ComparisonResult(IntervalResult):
    """The difference between the scores of two models, with its confidence interval.

    It is a tuple of `estimate`, `low` and `high`, as :class:`IntervalResult`. If the
    interval does not include 0, one model is better at this confidence level.

    Parameters
    ----------
    estimate : float
        The difference, `score_a` - `score_b`.

    low, high : float
        The limits of its interval.

    score_a, score_b : float, default=nan
        The scores of the two models.

    **options : object
        The other parameters of :class:`IntervalResult`.

    Examples
    --------
    >>> from skinest.model_selection import ComparisonResult
    >>> result = ComparisonResult(
    ...     0.03, -0.01, 0.07, score_a=0.85, score_b=0.82, distribution=[-0.1, 0, 0.1]
    ... )
    >>> f"{result:+.2f}"
    '+0.03 [-0.01, +0.07]'
    >>> result.share_below_zero
    0.333...
    """

    score_a: float
    score_b: float

    _shown = ("score_a", "score_b", "share_below_zero", "confidence_level")

    def __new__(
        cls,
        estimate: float,
        low: float,
        high: float,
        *,
        score_a: float = np.nan,
        score_b: float = np.nan,
        **options: Any,
    ) -> Self:
        result = super().__new__(cls, estimate, low, high, **options)
        result.score_a, result.score_b = float(score_a), float(score_b)
        return result

    @property
    def share_below_zero(self) -> float:
        """Return the fraction of bootstrap samples in which model a has a lower score.

        Samples in which the difference is NaN are left out. It is NaN if there are no
        bootstrap samples.
        """
        return find_share_below_zero(self.distribution)


class DeLongResult(ComparisonResult):
    """The difference between two areas under the ROC curve, with DeLong's test.

    Parameters
    ----------
    estimate : float
        The difference, `score_a` - `score_b`.

    low, high : float
        The limits of its interval.

    statistic : float, default=nan
        The difference, divided by its standard error.

    pvalue : float, default=nan
        The probability of at least this difference, in either direction, between two
        models whose areas are equal in truth.

    **options : object
        The other parameters of :class:`ComparisonResult`.

    Examples
    --------
    >>> from skinest.model_selection import DeLongResult
    >>> DeLongResult(0.08, 0.01, 0.15, score_a=0.9, score_b=0.82, pvalue=0.0236)
    DeLongResult(0.08 [0.01, 0.15], score_a=0.9, score_b=0.82, pvalue=0.0236, \
confidence_level=0.95)
    """

    statistic: float
    pvalue: float

    _shown = ("score_a", "score_b", "pvalue", "confidence_level")

    def __new__(
        cls,
        estimate: float,
        low: float,
        high: float,
        *,
        statistic: float = np.nan,
        pvalue: float = np.nan,
        **options: Any,
    ) -> Self:
        result = super().__new__(cls, estimate, low, high, **options)
        result.statistic, result.pvalue = float(statistic), float(pvalue)
        return result
