"""Kernels for support vector machines on histograms."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics.pairwise import check_pairwise_arrays, manhattan_distances

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["histogram_intersection_kernel"]


def histogram_intersection_kernel(
    X: ArrayLike, Y: ArrayLike | None = None
) -> NDArray[np.floating[Any]]:
    r"""Compute the histogram intersection kernel of the rows of `X` and `Y`.

    .. math:: k(x, y) = \sum_i \min(x_i, y_i)

    Use it as ``SVC(kernel=histogram_intersection_kernel)``. Another kernel for
    histograms is :func:`~sklearn.metrics.pairwise.chi2_kernel` of scikit-learn.

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
        If a value is negative.

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
    X, Y = check_pairwise_arrays(X, Y)
    if np.min(X) < 0 or np.min(Y) < 0:
        raise ValueError(
            "Histogram intersection needs values of 0 or more; do not standardise "
            "the histograms before this kernel."
        )
    # min(a, b) = (a + b - |a - b|) / 2, and compiled code computes the distances.
    kernel = X.sum(axis=1)[:, np.newaxis] + Y.sum(axis=1) - manhattan_distances(X, Y)
    return kernel / 2
