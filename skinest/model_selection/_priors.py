"""Probabilities for another prevalence than that of the training images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import warnings
from collections.abc import Mapping, Set
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array

from .._compat import Interval, validate_params

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@validate_params(
    {
        "y_proba": ["array-like"],
        "priors": ["array-like"],
        "new_priors": ["array-like"],
    },
    prefer_skip_nested_validation=True,
)
def adjust_priors(
    y_proba: ArrayLike, priors: ArrayLike, new_priors: ArrayLike
) -> NDArray[np.float64]:
    """Correct probabilities for images with other class frequencies.

    A classifier learns how frequent each class is. Where melanoma is rarer than in the
    training images, its probabilities of melanoma are too high. If only the frequencies
    differ, and not what the images of a class look like, Bayes' rule corrects them: the
    probability of each class is multiplied by its new frequency and divided by the old
    one, and all are divided by their sum [1]_. With two classes the AUC does not
    change.

    Parameters
    ----------
    y_proba : array-like of shape (n_images, n_classes)
        Probabilities, from `predict_proba`.

    priors : array-like of shape (n_classes,)
        Frequencies of the classes for which `y_proba` is right, in the order of
        `classes_`: those of the training images. With ``class_weight="balanced"``,
        balanced samples or :func:`skinest.sampling.weigh_sources` they are equal.

    new_priors : array-like of shape (n_classes,)
        Frequencies of the classes among the new images, from other studies or
        :func:`estimate_priors`.

    Returns
    -------
    y_proba : ndarray of shape (n_images, n_classes)
        The corrected probabilities.

    Raises
    ------
    ValueError
        If shapes differ, or values are not probabilities with the sum 1.

    See Also
    --------
    estimate_priors : Estimates `new_priors` from the probabilities.

    References
    ----------
    .. [1] Saerens, M., Latinne, P., and Decaestecker, C. (2002). Adjusting the outputs
       of a classifier to new a priori probabilities: a simple procedure. Neural
       Computation 14(1), 21-41. Equation 2.4.

    Examples
    --------
    >>> from skinest.model_selection import adjust_priors
    >>> adjust_priors([[0.5, 0.5], [0.1, 0.9]], [0.5, 0.5], [0.9, 0.1])
    array([[0.9, 0.1],
           [0.5, 0.5]])
    """
    y_proba = _check_probabilities(y_proba)
    priors = _check_priors(priors, y_proba.shape[1])
    new_priors = _check_priors(new_priors, y_proba.shape[1], "new_priors")
    return _adjust(y_proba, new_priors / priors)


@validate_params(
    {
        "y_proba": ["array-like"],
        "priors": ["array-like"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def estimate_priors(
    y_proba: ArrayLike, priors: ArrayLike, *, max_iter: int = 1000, tol: float = 1e-6
) -> NDArray[np.float64]:
    """Estimate the class frequencies among new images without labels.

    The frequencies are those of the highest likelihood, found by expectation
    maximisation [1]_. It needs calibrated probabilities, and images of a class that
    look like those of training. Images of another clinic often do not: then the
    estimate measures this difference too.

    Parameters
    ----------
    y_proba : array-like of shape (n_images, n_classes)
        Probabilities of the new images, from `predict_proba`.

    priors : array-like of shape (n_classes,)
        Frequencies of the classes for which `y_proba` is right, as of
        :func:`adjust_priors`.

    max_iter : int, default=1000
        Maximum number of iterations.

    tol : float, default=1e-6
        Iterations end if no frequency changes by more.

    Returns
    -------
    new_priors : ndarray of shape (n_classes,)
        The estimated frequencies, whose sum is 1.

    Raises
    ------
    ValueError
        If shapes differ, or values are not probabilities with the sum 1.

    Warns
    -----
    ConvergenceWarning
        If frequencies still changed in the last iteration.

    See Also
    --------
    adjust_priors : Correct probabilities by these frequencies.

    References
    ----------
    .. [1] Saerens, M., Latinne, P., and Decaestecker, C. (2002). Adjusting the outputs
       of a classifier to new a priori probabilities: a simple procedure. Neural
       Computation 14(1), 21-41. Equation 2.9.

    Examples
    --------
    >>> from skinest.model_selection import estimate_priors
    >>> y_proba = [[0.9, 0.1]] * 8 + [[0.1, 0.9]] * 2
    >>> estimate_priors(y_proba, [0.5, 0.5]).round(3)
    array([0.875, 0.125])
    """
    y_proba = _check_probabilities(y_proba)
    priors = _check_priors(priors, y_proba.shape[1])
    new_priors = priors
    for _ in range(max_iter):
        before = new_priors
        new_priors = _adjust(y_proba, before / priors).mean(axis=0)
        if np.abs(new_priors - before).max() <= tol:
            return new_priors
    warnings.warn(
        f"The frequencies still changed by more than tol={tol:g} after {max_iter} "
        "iterations. Raise max_iter.",
        ConvergenceWarning,
        stacklevel=3,
    )
    return new_priors


def _adjust(y_proba, factors):
    adjusted = y_proba * factors
    sums = adjusted.sum(axis=1, keepdims=True)
    # A class that was certain, and has the new frequency 0, stays certain.
    return np.where(sums > 0, adjusted / np.where(sums > 0, sums, 1), y_proba)


def _check_probabilities(y_proba):
    options = {"dtype": np.float64, "input_name": "y_proba"}
    found = check_array(y_proba, ensure_2d=False, ensure_min_samples=0, **options)
    if found.ndim != 2:
        raise ValueError(
            "y_proba must have a column for each class: pass predict_proba(X)."
        )
    y_proba = check_array(found, **options)
    if y_proba.min() < 0 or np.abs(y_proba.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError(
            "y_proba must have a column for each class, and rows of probabilities with "
            "the sum 1. Pass the result of predict_proba."
        )
    return y_proba


def _check_priors(priors, n_classes, name="priors"):
    if isinstance(priors, Mapping | Set):
        raise ValueError(f"{name} must be a list in the order of classes_.")
    found = check_array(priors, dtype=np.float64, ensure_2d=False, input_name=name)
    if found.shape != (n_classes,):
        raise ValueError(
            f"{name} has the shape {found.shape}, but y_proba has {n_classes} classes."
        )
    if found.min() < 0 or abs(found.sum() - 1) > 1e-3:
        raise ValueError(
            f"{name}={priors!r} must be frequencies with the sum 1, one of each class."
        )
    if name == "priors" and not found.all():
        raise ValueError(
            f"priors={priors!r} has 0. A class without training images cannot be "
            "corrected: leave it out."
        )
    return found
