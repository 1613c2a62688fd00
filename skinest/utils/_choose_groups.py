"""A random choice of whole groups that has given fractions of the images and classes.

Groups with the same images of each class are exchangeable. So the search only decides
how many groups of each kind are chosen, and random numbers decide which ones.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np

_N_STARTS = 10  # random starts of the search, of which the best result is used
_MAX_KINDS = 64  # kinds of groups that are exchanged with each other in one step
_EPSILON = 1e-9  # sums of weights are not exact


def choose_groups(groups, contents, fraction, rng, weights=None) -> np.ndarray:
    """Choose groups at random, near a fraction of all images and of each class.

    In the order of importance: images of every class stay, if possible; the number of
    images is near the fraction, to half a mean group, or to one and a half where this
    many are needed to choose every class; the fraction of each class is near.

    Parameters
    ----------
    groups : ndarray of shape (n_images,) or None
        The group of each image. None means that each image is a group of its own.

    contents : ndarray of shape (n_images, n_classes), dtype bool
        Which classes each image has: none, one or several.

    fraction : float
        The fraction to choose, in (0, 1).

    rng : RandomState
        Source of random numbers.

    weights : ndarray of shape (n_images,), default=None
        Number of images that each image counts as, above 0. None means 1.

    Returns
    -------
    is_chosen : ndarray of shape (n_images,), dtype bool
        At least one group is chosen and one is not, if there are two.
    """
    columns = np.column_stack([np.ones(len(contents), dtype=bool), contents])
    if weights is not None:
        columns = columns * weights[:, np.newaxis]
    if groups is None:
        group_of, counts = np.arange(len(contents)), columns.astype(float)
    else:
        names, group_of = np.unique(groups, return_inverse=True)
        counts = [np.bincount(group_of, each, len(names)) for each in columns.T]
        counts = np.transpose(counts)
    kinds, kind_of, n_of_kind = np.unique(
        counts, axis=0, return_inverse=True, return_counts=True
    )
    goal = _Goal(kinds, n_of_kind, fraction)
    found = [_search(goal, rng) for _ in range(_N_STARTS)]
    distances = np.array([goal.measure(n_chosen) for n_chosen in found])
    is_near = distances <= distances.min() + goal.tolerance
    n_chosen = found[is_near.argmax()]  # the first one
    return _choose_members(kind_of.ravel(), n_chosen, rng)[group_of]


@dataclass(frozen=True)
class _Goal:
    """Kinds of groups, and how far a choice of them is from the fractions.

    Parameters
    ----------
    kinds : ndarray of shape (n_kinds, 1 + n_classes)
        Images of a group of each kind: all, and of each class.

    n_of_kind : ndarray of shape (n_kinds,)
        Number of groups of each kind.

    fraction : float
        The fraction to choose.
    """

    kinds: np.ndarray
    n_of_kind: np.ndarray
    fraction: float

    @property
    def tolerance(self) -> float:
        """Return the difference of distances that does not count: a tenth of a group.

        Otherwise there would be one best choice, whatever the seed, if no two groups
        are of the same kind.
        """
        return 0.1 / self.n_of_kind.sum()

    def measure(self, n_chosen) -> float:
        """Return the distance of a choice, given as numbers of groups of each kind."""
        return self.measure_sums(n_chosen @ self.kinds)

    def measure_sums(self, sums):
        """Return distances of choices with these images, in all and of each class.

        One distance is the difference from the fraction of all images plus the mean
        difference of the classes. Each failure adds more than all that matters less
        can add. Only an excess of images is weighed against classes that are not
        chosen: without one, scores are not defined.
        """
        totals = self.n_of_kind @ self.kinds
        shares = sums / np.where(totals, totals, 1)
        errors = np.abs(shares - self.fraction)
        is_absent = (shares < _EPSILON) & (totals > 0)
        stays_not = (shares > 1 - _EPSILON) & (totals > 0)
        n_groups = self.n_of_kind.sum()
        n_classes = max(1, len(totals) - 1)
        excess = np.maximum(errors[..., 0] * n_groups - 0.5, 0)  # in mean groups
        distance = errors[..., 0] + errors[..., 1:].sum(axis=-1) / n_classes
        cost_of_excess = 3 * n_classes + 3
        cost_of_class = cost_of_excess * (n_groups + 1)
        cost_of_all = cost_of_class * (n_classes + 1)
        distance += 3 * is_absent[..., 1:].sum(axis=-1) + cost_of_excess * excess
        distance += cost_of_class * stays_not[..., 1:].sum(axis=-1)
        return distance + cost_of_all * (is_absent + 2 * stays_not)[..., 0]


def _search(goal, rng) -> np.ndarray:
    """Return how many groups of each kind to choose, from a random start.

    The start has the fraction of each kind, rounded up or down at random. Groups are
    added, removed or exchanged as long as this lowers the distance.
    """
    expected = goal.fraction * goal.n_of_kind
    n_chosen = np.floor(expected).astype(int)
    n_chosen += rng.uniform(size=len(n_chosen)) < expected - n_chosen
    distance = goal.measure(n_chosen)
    while True:
        changed = _find_best_step(goal, n_chosen, rng)
        changed_distance = goal.measure(changed)
        if changed_distance > distance - goal.tolerance:
            return n_chosen
        n_chosen, distance = changed, changed_distance


def _find_best_step(goal, n_chosen, rng):
    """Return the choice after adding, removing or exchanging one group."""
    sums = n_chosen @ goal.kinds
    added = rng.permutation(np.flatnonzero(n_chosen < goal.n_of_kind))
    removed = rng.permutation(np.flatnonzero(n_chosen))
    few_added, few_removed = added[:_MAX_KINDS], removed[:_MAX_KINDS]
    exchanged = goal.kinds[few_added][:, np.newaxis] - goal.kinds[few_removed]
    changes = [goal.kinds[added], -goal.kinds[removed], *exchanged]
    best = goal.measure_sums(sums + np.concatenate(changes)).argmin()
    changed = n_chosen.copy()
    if best < len(added):
        changed[added[best]] += 1
    elif best < len(added) + len(removed):
        changed[removed[best - len(added)]] -= 1
    else:
        one, other = divmod(best - len(added) - len(removed), len(few_removed))
        changed[few_added[one]] += 1
        changed[few_removed[other]] -= 1
    return changed


def _choose_members(kind_of, n_chosen, rng) -> np.ndarray:
    """Choose this number of groups of each kind at random; return which are chosen."""
    order = rng.permutation(len(kind_of))
    order = order[np.argsort(kind_of[order], kind="stable")]
    sizes = np.bincount(kind_of, minlength=len(n_chosen))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    is_chosen = np.zeros(len(order), dtype=bool)
    is_chosen[order] = rank < np.repeat(n_chosen, sizes)
    return is_chosen
