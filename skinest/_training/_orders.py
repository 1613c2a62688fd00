"""Orders in which a network sees images: some may be repeated or left out."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np


def draw_by_kind(is_kind, fraction, generator) -> np.ndarray:
    """Sample as many indices as there are, with a fraction of one kind.

    An index is repeated only after all others of its kind have been sampled as often.
    Both kinds are spread evenly.

    Parameters
    ----------
    is_kind : ndarray of shape (n_indices,), dtype bool
        Whether each index is of the kind.

    fraction : float
        The fraction, in (0, 1].

    generator : numpy.random.Generator
        Random numbers.

    Returns
    -------
    indices : ndarray of shape (n_indices,)
    """
    kinds = np.flatnonzero(is_kind), np.flatnonzero(~is_kind)
    n_indices = len(is_kind)
    if not all(map(len, kinds)):
        return generator.permutation(n_indices)
    n_of_kind = round(fraction * n_indices)
    drawn, places = [], []
    for own, number in zip(kinds, (n_of_kind, n_indices - n_of_kind), strict=True):
        n_rounds = -(-number // len(own))
        rounds = [generator.permutation(own) for _ in range(n_rounds)]
        drawn += np.concatenate([*rounds, own])[:number].tolist()
        places += (
            (np.arange(number) + generator.random(number)) / max(number, 1)
        ).tolist()
    return np.array(drawn)[np.argsort(places)]


def count_earlier(values) -> np.ndarray:
    """Count for each value how often it comes before."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    counts = np.empty(len(values), dtype=int)
    counts[order] = np.arange(len(values)) - np.searchsorted(ordered, ordered)
    return counts
