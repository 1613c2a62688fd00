"""What functions return that compute an interval."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class _Bounds(NamedTuple):
    """The part of a result that is a tuple."""

    estimate: float
    low: float
    high: float


class IntervalResult(_Bounds):
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
        The share of such intervals that contain the true score, in the long run.

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
    distribution: NDArray[np.float64]

    def __new__(
        cls,
        estimate: float,
        low: float,
        high: float,
        confidence_level: float = 0.95,
        distribution: ArrayLike = (),
    ) -> IntervalResult:
        result = super().__new__(cls, float(estimate), float(low), float(high))
        result.confidence_level = confidence_level
        result.distribution = np.asarray(distribution, dtype=np.float64)
        return result

    def __format__(self, spec: str) -> str:
        spec = spec or ".4g"
        return f"{self.estimate:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self)

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}({self}, confidence_level={self.confidence_level:g})"
