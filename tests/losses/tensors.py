"""Losses, and masks and probabilities to compute them of."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import functools

import numpy as np
import pytest
from keras import ops

from skinest import losses

# Keras itself has no gradient that works in all its backends; what a loss is for one
# image is no number that `fit` shows, and keys of losses are seen only by networks that
# are not compiled again.
from skinest.inspection._gradients import compute_score_gradients
from skinest.losses import (
    Crossentropy,
    Dice,
    DiceCrossentropy,
    Focal,
    Jaccard,
    Tversky,
    WeightedCrossentropy,
)
from skinest.losses._resolve import LOSSES, resolve_loss

__all__ = ["LOSSES", "resolve_loss"]

FUNCTIONS = [
    losses.crossentropy,
    losses.dice,
    losses.dice_crossentropy,
    losses.focal,
    losses.jaccard,
    losses.tversky,
]
REGIONS = [losses.dice, losses.jaccard, losses.tversky]
INSTANCES = [
    Crossentropy(),
    Dice(smooth=0.5),
    DiceCrossentropy(smooth=2),
    Focal(gamma=1.5, alpha=0.25),
    Jaccard(smooth=0.1),
    Tversky(alpha=0.1, beta=0.9, smooth=3.0),
    WeightedCrossentropy((1.0, 20.0)),
]
by_class = functools.partial(
    pytest.mark.parametrize, ids=lambda value: type(value).__name__
)


def masks(n_channels, seed=0, n_images=3):
    """Return targets and probabilities of images of 4 x 5 pixels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(max(2, n_channels), size=(n_images, 4, 5))
    y_pred = generator.uniform(0.05, 0.95, size=(n_images, 4, 5, n_channels))
    if n_channels == 1:
        return labels[..., np.newaxis].astype(np.float32), y_pred.astype(np.float32)
    y_pred /= y_pred.sum(axis=-1, keepdims=True)
    return np.eye(n_channels, dtype=np.float32)[labels], y_pred.astype(np.float32)


def weights(seed=1, n_images=3):
    generator = np.random.default_rng(seed)
    return generator.uniform(0, 3, size=(n_images, 4, 5)).astype(np.float32)


def call(loss, *arguments, **options):
    return ops.convert_to_numpy(loss(*arguments, **options))


def gradients(loss, y_true, y_pred):
    def score(y_pred):
        return ops.expand_dims(loss(y_true, y_pred), -1)

    return compute_score_gradients(score, y_pred, np.ones((len(y_pred), 1)))


def probabilities_of_truth(y_true, y_pred):
    if y_true.shape[-1] == 1:
        return np.where(y_true == 1, y_pred, 1 - y_pred)[..., 0].astype(float)
    return (y_true * y_pred).sum(axis=-1).astype(float)
