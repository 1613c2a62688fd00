"""Kernels for support vector machines on histograms.

They are called like functions. Their `repr` is their name, so a table of a search over
kernels can be read.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from sklearn.metrics import pairwise
from sklearn.metrics.pairwise import check_pairwise_arrays, manhattan_distances

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["chi2_kernel", "histogram_intersection_kernel"]

_Function = TypeVar("_Function", bound=Callable)


class _Kernel(partial):
    """A function whose `repr` is its name; Sphinx documents it as a function."""

    def __init__(self, function):
        update_wrapper(self, function)

    def __repr__(self):
        return self.__name__

    def __reduce__(self):
        return self.__name__  # functions too are pickled and copied by name


def _make_readable(function: _Function) -> _Function:
    return cast(_Function, _Kernel(function))


@_make_readable
def histogram_intersection_kernel(
    X: ArrayLike, Y: ArrayLike | None = None
) -> NDArray[np.floating[Any]]:
    r"""Compute the histogram intersection kernel of the rows of `X` and `Y`.

    .. math:: k(x, y) = \sum_i \min(x_i, y_i)

    Use it as ``SVC(kernel=histogram_intersection_kernel)``.

    Parameters
    ----------
    X : array-like of shape (n_samples_X, n_features)
        Histograms, with values of 0 or more.

    Y : array-like of shape (n_samples_Y, n_features), default=None
        Histograms, with values of 0 or more. If None, `X` is used.

    Returns
    -------
    kernel : ndarray of shape (n_samples_X, n_samples_Y)
        The kernel matrix.

    Raises
    ------
    ValueError
        If a value is negative, or `X` and `Y` are not tables of finite numbers.

    See Also
    --------
    chi2_kernel : Another kernel for histograms.

    References
    ----------
    M. J. Swain and D. H. Ballard, "Color indexing", International Journal of
    Computer Vision 7(1), 1991. A proof that it is a kernel: A. Barla, F. Odone and
    A. Verri, "Histogram intersection kernel for image classification", ICIP 2003.

    Examples
    --------
    >>> from skinest.kernels import histogram_intersection_kernel
    >>> histogram_intersection_kernel([[0.5, 0.5]], [[0.2, 0.8], [1.0, 0.0]])
    array([[0.7, 0.5]])
    """
    X, Y = _check_histograms(X, Y)
    # min(a, b) = (a + b - |a - b|) / 2, and compiled code computes the distances.
    kernel = X.sum(axis=1)[:, np.newaxis] + Y.sum(axis=1) - manhattan_distances(X, Y)
    return kernel / 2


@_make_readable
def chi2_kernel(
    X: ArrayLike, Y: ArrayLike | None = None, gamma: float = 1.0
) -> NDArray[np.floating[Any]]:
    r"""Compute the exponential chi-squared kernel of the rows of `X` and `Y`.

    .. math:: k(x, y) = \exp\Bigl(-\gamma \sum_i \frac{(x_i - y_i)^2}{x_i + y_i}\Bigr)

    This is :func:`sklearn.metrics.pairwise.chi2_kernel`. Use it as
    ``SVC(kernel=chi2_kernel)``.

    Parameters
    ----------
    X : array-like of shape (n_samples_X, n_features)
        Histograms, with values of 0 or more.

    Y : array-like of shape (n_samples_Y, n_features), default=None
        Histograms, with values of 0 or more. If None, `X` is used.

    gamma : float, default=1.0
        Factor of the distance.

    Returns
    -------
    kernel : ndarray of shape (n_samples_X, n_samples_Y)
        The kernel matrix.

    Raises
    ------
    ValueError
        If a value is negative, or `X` and `Y` are not tables of finite numbers.

    See Also
    --------
    histogram_intersection_kernel : Another kernel for histograms.

    References
    ----------
    J. Zhang, M. Marszalek, S. Lazebnik and C. Schmid, "Local features and kernels for
    classification of texture and object categories: a comprehensive study",
    International Journal of Computer Vision 73(2), 2007.

    Examples
    --------
    >>> from skinest.kernels import chi2_kernel
    >>> chi2_kernel([[0.5, 0.5]], [[0.5, 0.5], [1.0, 0.0]]).round(3)
    array([[1.   , 0.513]])
    """
    X, Y = _check_histograms(X, Y)
    return pairwise.chi2_kernel(X, Y, gamma=gamma)


def _check_histograms(X, Y):
    try:
        X, Y = check_pairwise_arrays(X, Y)
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]  # it may hold the whole array
        raise ValueError(
            "X and Y must be tables of finite numbers, with one histogram in each row "
            f"and the same number of columns: {reason}"
        ) from None
    if np.min(X) < 0 or np.min(Y) < 0:
        raise ValueError(
            "A kernel of histograms needs values of 0 or more; do not standardise "
            "the histograms before this kernel."
        )
    return X, Y
