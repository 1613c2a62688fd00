"""Weights are equal to removed and repeated pairs, as scikit-learn checks it."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skinest.augmentation import Augmentation

from .conftest import hash_weights, make_pairs, make_small

WEIGHTS = np.array([2, 0, 1, 3, 0, 4, 1, 1, 2, 3])
# Batches of all pairs, no randomness for single ones, and no statistics of a batch.
EXACT = {
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "base_filters": 4,
    "batch_size": 64,
    "batch_norm": False,
    "epochs": 4,
}


def fit_both(X, y, *, groups=None, **settings):
    """Fit with weights, in another order, and with repeated pairs."""
    order = np.random.default_rng(0).permutation(len(X))
    given, repeated = {"sample_weight": WEIGHTS[order]}, {}
    if groups is not None:
        given["groups"], repeated["groups"] = groups[order], groups.repeat(WEIGHTS)
    weighted = make_small(**settings).fit(X[order], y[order], **given)
    again = X.repeat(WEIGHTS, axis=0), y.repeat(WEIGHTS, axis=0)
    return weighted, make_small(**settings).fit(*again, **repeated)


def check_same(weighted, repeated, X, rtol=1e-4):
    expected = repeated.predict_proba(X)
    assert_allclose(weighted.predict_proba(X), expected, rtol=rtol)
    assert weighted.history_.keys() == repeated.history_.keys()
    for name, values in repeated.history_.items():
        assert_allclose(weighted.history_[name], values, rtol=rtol, err_msg=name)


@pytest.mark.parametrize(
    ("n_classes", "settings"),
    [
        (2, {}),
        pytest.param(
            *(2, {"loss": "binary_crossentropy", "class_weight": "balanced"}),
            marks=pytest.mark.slow,
        ),
        pytest.param(3, {"loss": "weighted_crossentropy"}, marks=pytest.mark.slow),
        (3, {"class_weight": {0: 1, 1: 3, 2: 0.5}, "pad_to_aspect_ratio": True}),
    ],
    ids=str,
)
def test_weights_are_repeated_pairs(n_classes, settings):
    X, y = make_pairs(n_classes=n_classes)
    settings = {**EXACT, **settings}
    weighted, repeated = fit_both(X, y, **settings)
    check_same(weighted, repeated, X)
    plain = make_small(**settings).fit(X, y).predict_proba(X)
    assert np.abs(plain - weighted.predict_proba(X)).max() > 0.005


@pytest.mark.slow
def test_weights_are_repeated_pairs_where_their_groups_are_held_out():
    X, y = make_pairs()
    settings = {
        "validation_fraction": 0.4,
        "early_stopping": True,
        "monitor": "val_dice",
        "n_iter_no_change": 2,
        "class_weight": "balanced",
    }
    weighted, repeated = fit_both(
        X, y, groups=np.arange(len(X)), **{**EXACT, **settings}
    )
    check_same(weighted, repeated, X)


def test_tiles_have_the_median_size_of_repeated_images():
    sides = [(20, 30), (24, 24), (32, 20), (17, 40), (26, 18)]
    X, y = zip(*[make_pairs(1, side) for side in sides], strict=True)
    X, y = [image for (image,) in X], [mask for (mask,) in y]
    for weights in ([1, 1, 1, 1, 1], [1, 0, 1, 1, 1], [3, 0, 1, 2, 5], [1, 9, 1, 1, 1]):
        expected = np.median(np.repeat(sides, weights, axis=0), axis=0)
        segmenter = make_small(epochs=1).fit(X, y, sample_weight=weights)
        assert segmenter.tile_shape_ == tuple(np.rint(expected))


def test_pairs_of_weight_0_are_removed():
    """All is the same to the last bit, whatever is random, and with batch statistics.

    The mask of a removed pair has a label of its own.
    """
    (X, y), kept = make_pairs(), WEIGHTS > 0
    y[~kept, 0, 0] = 7
    settings = {
        "dropout": 0.5,
        "augmentation": Augmentation(rotation=180),
        "validation_fraction": 0.3,
        "class_weight": "balanced",
    }
    given = make_small(**settings).fit(X, y, sample_weight=kept)
    removed = make_small(**settings).fit(X[kept], y[kept])
    assert given.classes_.tolist() == [0, 1]
    assert hash_weights(given) == hash_weights(removed)
    assert given.history_ == removed.history_
