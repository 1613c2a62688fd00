"""Pairs of true and predicted masks for tests of metrics."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

EMPTY = np.zeros((3, 4), dtype=np.uint8)
TOP = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=np.uint8)
LEFT = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]], dtype=np.uint8)
# TOP and LEFT: 4 pixels each, 2 in common: Dice 4 / 8, IoU 2 / 6.


def random_masks(n_labels, shapes=((9, 13),) * 6, seed=0):
    """Return true masks and predictions that err in a fifth of the pixels."""
    rng = np.random.default_rng(seed)
    true = [rng.integers(0, n_labels, shape, dtype=np.uint8) for shape in shapes]
    noise = [rng.integers(0, n_labels, shape, dtype=np.uint8) for shape in shapes]
    pairs = zip(true, noise, strict=True)
    pred = [np.where(rng.random(t.shape) < 0.2, other, t) for t, other in pairs]
    return true, pred


def flat(masks):
    return np.concatenate([np.ravel(mask) for mask in masks])
