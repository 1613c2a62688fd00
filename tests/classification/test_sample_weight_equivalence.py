"""Weights are equal to removed and repeated images, as scikit-learn checks it."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skinest.augmentation import Augmentation

from .conftest import bits, make_images, small

N_IMAGES = 15
WEIGHTS = np.array([2, 0, 1, 3, 0, 4, 1, 1, 2, 0, 3, 1, 2, 1, 4])
LABELS = {
    "two": np.array(["benign", "benign", "malignant"] * 5),
    "three": np.array([7, 3, 3, 5, 5] * 3),
}
# Batches of all images, and no randomness for single images.
EXACT = {
    "optimizer": "sgd",
    "learning_rate": 1e-3,
    "batch_size": 64,
    "dropout": 0.0,
    "epochs": 4,
}


@pytest.fixture(scope="module")
def images():
    return make_images(N_IMAGES)


def fit_both(images, y, *, groups=None, **settings):
    """Fit with weights, in another order, and with repeated images."""
    order = np.random.default_rng(0).permutation(N_IMAGES)
    given, repeated = {"sample_weight": WEIGHTS[order]}, {}
    if groups is not None:
        given["groups"] = groups[order]
        repeated["groups"] = groups.repeat(WEIGHTS)
    weighted = small(**settings).fit(images[order], y[order], **given)
    return weighted, small(**settings).fit(
        images.repeat(WEIGHTS, axis=0), y.repeat(WEIGHTS), **repeated
    )


def check_same(weighted, repeated, images, rtol=1e-4):
    expected = repeated.predict_proba(images)
    assert_allclose(weighted.predict_proba(images), expected, rtol=rtol)
    assert weighted.history_.keys() == repeated.history_.keys()
    for name, values in repeated.history_.items():
        assert_allclose(weighted.history_[name], values, rtol=rtol, err_msg=name)


@pytest.mark.parametrize(
    ("labels", "settings"),
    [
        ("two", {}),
        ("two", {"class_weight": "balanced", "l2": "auto"}),
        pytest.param(
            *("two", {"hidden_units": (8,), "optimizer": "adam"}),
            marks=pytest.mark.slow,
        ),
        ("three", {"class_weight": "balanced"}),
        ("three", {"class_weight": {3: 0.5, 5: 3.0, 7: 2.0}}),
    ],
    ids=str,
)
def test_weights_are_repeated_images(labels, settings, images):
    y, settings = LABELS[labels], {**EXACT, **settings}
    weighted, repeated = fit_both(images, y, **settings)
    check_same(weighted, repeated, images)
    plain = small(**settings).fit(images, y).predict_proba(images)
    assert np.abs(plain - weighted.predict_proba(images)).max() > 0.01


@pytest.mark.slow
def test_weights_are_repeated_images_where_the_backbone_is_trained(images):
    settings = {**EXACT, "trainable": "block_16", "learning_rate": 1e-4, "epochs": 2}
    weighted, repeated = fit_both(images, LABELS["two"], **settings)
    check_same(weighted, repeated, images, rtol=1e-3)


def test_class_weights_are_repeated_images(images):
    y, class_weight = LABELS["three"], {3: 1, 5: 2, 7: 3}
    weighted = small(**EXACT, class_weight=class_weight).fit(images, y)
    times = np.array([class_weight[label] for label in y])
    repeated = small(**EXACT).fit(images.repeat(times, axis=0), y.repeat(times))
    expected = repeated.predict_proba(images)
    assert_allclose(weighted.predict_proba(images), expected, rtol=1e-4)
    assert_allclose(weighted.history_["loss"], repeated.history_["loss"], rtol=1e-4)


@pytest.mark.parametrize(
    "monitor",
    [
        *(pytest.param(f"val_{k}", marks=pytest.mark.slow) for k in ("loss", "auc")),
        "val_accuracy",
    ],
)
def test_weights_are_repeated_images_where_their_groups_are_held_out(monitor, images):
    settings = {
        "class_weight": "balanced",
        "validation_fraction": 0.4,
        "early_stopping": True,
        "n_iter_no_change": 2,
        "epochs": 12,
        "monitor": monitor,
    }
    weighted, repeated = fit_both(
        images, LABELS["two"], groups=np.arange(N_IMAGES), **{**EXACT, **settings}
    )
    assert weighted.n_iter_ == repeated.n_iter_
    check_same(weighted, repeated, images)


SHUFFLED = {"epochs": 2, "batch_size": 4, "dropout": 0.5, "class_weight": "balanced"}
AUGMENTED = {"augmentation": Augmentation(rotation=180), "n_augmented_copies": 2}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        AUGMENTED,
        pytest.param({"trainable": "Conv_1", **AUGMENTED}, marks=pytest.mark.slow),
        {"validation_fraction": 0.3, "early_stopping": True},
    ],
    ids=str,
)
def test_images_of_weight_0_are_removed(settings, images):
    """All is the same to the last bit, whatever is random."""
    y, kept = LABELS["two"], WEIGHTS > 0
    groups = np.arange(N_IMAGES) // 2 if "early_stopping" in settings else None
    given = small(**SHUFFLED, **settings)
    given.fit(images, y, sample_weight=kept, groups=groups)
    removed = small(**SHUFFLED, **settings)
    groups = None if groups is None else groups[kept]
    removed.fit(images[kept], y[kept], groups=groups)
    assert bits(given) == bits(removed)
    assert given.history_ == removed.history_


def test_a_class_of_weight_0_is_known_and_not_learned(images):
    """As in scikit-learn, the labels are those of all images."""
    y = LABELS["three"]
    clf = small(class_weight="balanced", validation_fraction=0.3)
    with pytest.warns(UserWarning, match=r"no validation images of \[7\]"):
        clf.fit(images, y, sample_weight=y != 7)
    assert clf.classes_.tolist() == [3, 5, 7]
    assert clf.predict_proba(images)[:, 2].max() < 0.01
