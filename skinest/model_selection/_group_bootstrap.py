"""Bootstrap samples of groups, and the intervals that follow from them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import warnings

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit
from sklearn.utils import check_random_state

from ..utils._checks import check_groups

FEW_GROUPS = 5  # of a class, below which the interval is unreliable
_N_BLOCKS = 200  # of groups that the jackknife leaves out
_N_TRIES = 10_000
_EQUAL = 1e-9  # of the range of scores, below which a difference is due to rounding


class GroupBootstrap:
    """Bootstrap samples of whole groups, each with all classes.

    Parameters
    ----------
    groups : array-like of shape (n_images,) or None
        The group of each image. None means that each image is a group.

    n_images : int
        Number of images.

    classes : dict of str to ndarray of shape (n_images,), dtype bool
        Which images have what each sample must have, by its name in messages.

    n_resamples : int
        Number of bootstrap samples.

    random_state : int, RandomState instance or None
        Seed of the samples.
    """

    def __init__(self, groups, n_images, classes, n_resamples, random_state):
        groups = check_groups(groups, n_images)
        if groups is None:
            groups = np.arange(n_images)
        names, self.codes = np.unique(groups, return_inverse=True)
        self.n_groups = len(names)
        if self.n_groups < 2:
            raise ValueError(
                "All images are of one group, so nothing is known of other groups. "
                "Pass images of at least 2 groups."
            )
        self.has_class = self._find_classes(classes)
        self.n_resamples = n_resamples
        self.random_state = check_random_state(random_state)

    def _find_classes(self, classes):
        """Return which groups have which class, and warn if few have one."""
        has_class = np.zeros((self.n_groups, len(classes)), dtype=bool)
        for column, is_member in enumerate(classes.values()):
            has_class[self.codes[is_member], column] = True
        few = {
            name: int(n_groups)
            for name, n_groups in zip(classes, has_class.sum(axis=0), strict=True)
            if n_groups < FEW_GROUPS
        }
        if few:
            name, n_groups = min(few.items(), key=lambda item: item[1])
            more = f", and {len(few) - 1} more have few" if len(few) > 1 else ""
            warnings.warn(
                f"{name} is in {n_groups} of {self.n_groups} groups{more}. Intervals "
                f"are not reliable if a class is in fewer than {FEW_GROUPS} groups.",
                UserWarning,
                stacklevel=5,
            )
        return has_class

    def compute(self, score):
        """Return the values of a function of counts of images.

        Parameters
        ----------
        score : callable
            ``score(counts)`` returns an array of shape (n_scores,) from the number of
            times that each image counts.

        Returns
        -------
        estimates : ndarray of shape (n_scores,)
            The scores if each image counts once.

        values : ndarray of shape (n_resamples, n_scores)
            The scores of the bootstrap samples.

        left_out : ndarray of shape (n_blocks, n_scores)
            The scores without each group, or without each of 200 blocks of groups.
        """
        estimates = score(np.ones(len(self.codes), dtype=np.int64))
        if not np.isfinite(estimates).all():
            kind = "NaN" if np.isnan(estimates).any() else "infinite"
            raise ValueError(
                f"The score of all images is {kind}, so it has no interval. Pass a "
                "metric that is defined for these images."
            )
        values = [score(counts) for counts in self._sample()]
        left_out = [score(counts) for counts in self._leave_out()]
        shape = -1, len(estimates)  # also if no group can be left out
        return estimates, np.array(values), np.reshape(left_out, shape)

    def _sample(self):
        """Yield how often each image is in each bootstrap sample."""
        for _ in range(self.n_resamples):
            for _ in range(_N_TRIES):
                chosen = self.random_state.randint(self.n_groups, size=self.n_groups)
                counts = np.bincount(chosen, minlength=self.n_groups)
                if self.has_class[counts > 0].any(axis=0).all():
                    break
            else:
                raise ValueError(
                    "No bootstrap sample had all classes, because too few groups have "
                    "some of them. Leave out or join rare classes."
                )
            yield counts[self.codes]

    def _leave_out(self):
        """Yield counts without each block of groups; those that lose a class remain."""
        n_blocks = min(self.n_groups, _N_BLOCKS)
        blocks = self.random_state.permutation(self.n_groups) % n_blocks
        for block in range(n_blocks):
            is_kept = blocks != block
            if self.has_class[is_kept].any(axis=0).all():
                yield is_kept[self.codes].astype(np.int64)


def bca_limits(estimate, values, left_out, n_groups, confidence_level):
    """Return the limits of the bias-corrected and accelerated bootstrap.

    Parameters
    ----------
    estimate : float
        The score of the data.

    values : ndarray of shape (n_resamples,)
        The scores of the bootstrap samples.

    left_out : ndarray of shape (n_blocks,)
        The scores without each group or block of groups.

    n_groups : int
        The number of groups. If they are few, the limits are further apart.

    confidence_level : float
        Confidence level, in (0, 1).

    Returns
    -------
    low, high : float
        The limits.

    Warns
    -----
    UserWarning
        If many scores are not finite, or nearly all are on one side of the estimate.

    Notes
    -----
    They are at the levels of Efron (1987), with quantiles of Student's t distribution
    instead of those of the normal distribution. Quantiles of the scores are those of
    Davison and Hinkley, "Bootstrap methods and their application", 1997, section 5.2.

    If nearly all samples are on one side of the estimate, as for a score that is the
    greatest possible one, the levels are beyond the samples. Then the limits are
    percentiles, and the estimate is one of them if it is outside of these.
    """
    values = _check_finite(values)
    above = values - estimate
    equal = _EQUAL * np.ptp(values)
    share_below = (np.mean(above < -equal) + np.mean(above <= equal)) / 2
    nearly_0 = 0.5 / len(values)
    bias = ndtri(np.clip(share_below, nearly_0, 1 - nearly_0))
    left_out = left_out[np.isfinite(left_out)]
    deviations = left_out.sum() / max(1, len(left_out)) - left_out
    scale = np.sum(deviations**2) ** 1.5
    acceleration = np.sum(deviations**3) / (6 * scale) if scale > 0 else 0.0
    tail = (1 - confidence_level) / 2
    # Samples of few groups vary too little: by (n - 1) / n, and as if it were known how
    # much groups vary.
    degrees = find_degrees_of_freedom(deviations, n_groups)
    quantiles = stdtrit(degrees, [tail, 1 - tail]) * np.sqrt(n_groups / (n_groups - 1))
    shifted = bias + quantiles
    # With a negative divisor, the formula would give the level of the other end.
    divisor = np.maximum(1 - acceleration * shifted, 1e-300)
    levels = ndtr(bias + shifted / divisor)
    low, high = _find_quantiles(values, levels)
    is_between = low - equal <= estimate <= high + equal
    if is_between and high - low > equal:
        return low, high
    low, high = _find_quantiles(values, [tail, 1 - tail])
    low, high = min(low, estimate), max(high, estimate)
    if not has_no_width(low, high):
        warnings.warn(
            f"{share_below:.0%} of the bootstrap samples have a score below that of "
            "all images. So the score is biased for few images, or at the end of its "
            "range. The limits are percentiles of the samples, which can be wrong.",
            UserWarning,
            stacklevel=4,
        )
    return low, high


def has_no_width(low, high) -> bool:
    """Return whether the limits of an interval are equal."""
    return bool(np.isclose(low, high, rtol=1e-9, atol=1e-12))


def _find_quantiles(values, levels):
    """Return the values below which the fraction p of further samples is.

    It is the value of rank p (n + 1).
    """
    return np.quantile(values, levels, method="weibull")


def estimate_error(values):
    """Return the standard deviation of the scores of bootstrap samples.

    It is NaN if all are the same, which does not mean that the score is certain.
    """
    values = values[np.isfinite(values)]
    if np.allclose(values, values[:1], rtol=1e-9, atol=1e-12):
        return np.nan
    return float(np.std(values, ddof=1))


def find_share_below_zero(differences):
    """Return the fraction of bootstrap samples whose difference is below 0."""
    known = differences[np.isfinite(differences)]
    if not len(known):
        return np.nan
    equal = max(1e-12, _EQUAL * np.abs(known).max())
    return float(np.mean(known < -equal))


def find_degrees_of_freedom(deviations, n_groups):
    r"""Return the degrees of freedom of the bootstrap's variance of a score.

    This variance is nearly that of a mean over groups, to which each group adds what
    the score changes without it. If few groups change the score much, such as those of
    a rare class, the variance is known less well.

    Parameters
    ----------
    deviations : ndarray of shape (n_blocks,)
        Changes of the score without each group or block of groups, with mean 0.

    n_groups : int
        The number of groups.

    Returns
    -------
    degrees : float
        At most ``n_groups - 1``, that of groups whose changes are normal.

    Notes
    -----
    The relative variance of a variance :math:`s^2` of n independent values is

    .. math:: \frac{\operatorname{Var}(s^2)}{\sigma^4} =
        \frac{2}{n - 1} + \frac{\kappa - 3}{n}

    with their kurtosis :math:`\kappa` (Cramér, "Mathematical methods of statistics",
    1946). That of a chi-square variable with :math:`\nu` degrees of freedom
    is :math:`2 / \nu`. Both are equal for the returned number, as in Satterthwaite, "An
    approximate distribution of estimates of variance components", Biometrics Bulletin
    2, 1946. The excess :math:`\kappa - 3` of sums of m groups is that of groups divided
    by m, so that n in the last term is the number of blocks. A negative excess is
    ignored: it would make limits of few groups too narrow.
    """
    variance = np.mean(deviations**2) if len(deviations) else 0.0
    if not variance:
        return n_groups - 1
    excess = max(0.0, np.mean(deviations**4) / variance**2 - 3)
    return 2 / (2 / (n_groups - 1) + excess / len(deviations))


def _check_finite(values):
    """Return the scores that are finite, and warn if many are not."""
    is_finite = np.isfinite(values)
    n_dropped = np.count_nonzero(~is_finite)
    if n_dropped == len(values):
        raise ValueError(
            "The score is NaN or infinite in all bootstrap samples, so it has no "
            "interval. Pass a metric that is defined for repeated images."
        )
    if n_dropped > 0.01 * len(values):
        warnings.warn(
            f"The score is NaN or infinite in {n_dropped} of {len(values)} bootstrap "
            "samples, which are left out. The interval may be too narrow.",
            UserWarning,
            stacklevel=5,
        )
    return values[is_finite]
