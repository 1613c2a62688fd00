"""Losses in training: their names, their weights of pixels and of images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from contextlib import nullcontext as nothing

import keras
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.class_weight import compute_class_weight

from skinest import losses

from .conftest import (
    apply,
    find_first_outputs,
    hash_weights,
    make_pairs,
    make_small,
    record_fit,
)

OWN = np.linspace(0.5, 2, 10)


@pytest.fixture(scope="module")
def pairs():
    """Make pairs of the size of the network: what is trained on is what is given."""
    return make_pairs(sides=(16, 16))


@pytest.fixture(scope="module")
def other_pairs():
    return make_pairs(sides=(16, 16), seed=1)


@pytest.fixture(scope="module")
def three():
    images, codes = make_pairs(sides=(16, 16), n_classes=3)
    return images, np.array([3, 7, 9])[codes]


def compute_mean(function, segmenter, X, y, sample_weight=1, **options):
    """Compute a loss of skinest over images, as the mean that Keras takes."""
    outputs, truth = apply(segmenter, X), (y == 1).astype(np.float32)[..., None]
    values = function(truth, outputs, **options)
    return np.mean(sample_weight * keras.ops.convert_to_numpy(values))


NAMED = {
    "dice": losses.dice,
    "jaccard": losses.jaccard,
    "binary_crossentropy": losses.crossentropy,
    "focal": losses.focal,
    "tversky": losses.tversky,
    "dice_crossentropy": losses.dice_crossentropy,
}


@pytest.mark.usefixtures("no_graphs")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name != "dice")) for name in NAMED],
)
def test_each_name_is_its_loss_and_each_image_counts_the_same(name, pairs, other_pairs):
    X_val, y_val = other_pairs
    segmenter = make_small(loss=name, epochs=1)
    segmenter.fit(*pairs, X_val=X_val, y_val=y_val)
    assert np.isfinite(list(segmenter.history_.values())).all()
    expected = compute_mean(NAMED[name], segmenter, X_val, y_val)
    assert_allclose(segmenter.history_["val_loss"], [expected], rtol=1e-4)


def test_weighted_crossentropy_is_cross_entropy_of_balanced_classes(pairs):
    weighted = make_small(loss="weighted_crossentropy").fit(*pairs)
    by_hand = make_small(loss="binary_crossentropy", class_weight="balanced").fit(
        *pairs
    )
    plain = make_small(loss="binary_crossentropy").fit(*pairs)
    assert hash_weights(weighted) == hash_weights(by_hand) != hash_weights(plain)
    assert weighted.history_ == by_hand.history_
    dicts = [
        make_small(loss=name, class_weight={0: 1, 1: 5}).fit(*pairs)
        for name in ("weighted_crossentropy", "binary_crossentropy")
    ]
    assert hash_weights(dicts[0]) == hash_weights(dicts[1]) != hash_weights(weighted)


@pytest.mark.slow
@pytest.mark.usefixtures("no_graphs")
def test_instances_are_losses_of_their_parameters(pairs):
    named, instance = (
        hash_weights(make_small(loss=loss, epochs=1).fit(*pairs))
        for loss in ("dice", losses.Dice())
    )
    assert instance == named
    loss = losses.Tversky(alpha=0.5, beta=0.5)  # the same as Dice with half of 1
    segmenter = make_small(loss=loss, epochs=1)
    segmenter.fit(*pairs, X_val=pairs[0], y_val=pairs[1])
    expected = compute_mean(losses.dice, segmenter, *pairs, smooth=2.0)
    assert_allclose(segmenter.history_["val_loss"], [expected], rtol=1e-4)
    plain = compute_mean(losses.dice, segmenter, *pairs)
    assert plain != pytest.approx(expected, rel=1e-3)


@pytest.mark.usefixtures("no_graphs")
def test_losses_of_keras(pairs):
    own = keras.losses.BinaryFocalCrossentropy(gamma=3)
    segmenter = make_small(loss=own, epochs=1)
    segmenter.fit(*pairs, X_val=pairs[0], y_val=pairs[1])
    expected = compute_mean(losses.focal, segmenter, *pairs, gamma=3)
    assert_allclose(segmenter.history_["val_loss"], [expected], rtol=1e-4)


@pytest.mark.parametrize(
    "loss",
    [
        "categorical_crossentropy",
        losses.Focal(alpha=(1.0, 2.0, 3.0)),
        losses.WeightedCrossentropy((1.0, 2.0, 3.0)),
    ],
    ids=["Keras' name", "focal", "weighted"],
)
def test_losses_for_three_labels_alone(loss, three, pairs):
    with warnings.catch_warnings():
        warnings.simplefilter("error", SyntaxWarning)  # of Keras, for one output
        record_fit(make_small(loss=loss), *three)
    with pytest.warns(SyntaxWarning) if isinstance(loss, str) else nothing():
        with pytest.raises(ValueError, match="loss="):
            make_small(loss=loss).fit(*pairs)


# Weights of pixels ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["two", "three"])
def test_balanced_is_the_formula_of_scikit_learn_over_pixels(kind, pairs, three):
    X, y = pairs if kind == "two" else three
    _, codes, weights, _ = record_fit(make_small(class_weight="balanced"), X, y).train
    classes = np.unique(y)
    expected = compute_class_weight("balanced", classes=classes, y=y.ravel())
    assert_allclose(weights, expected[codes], rtol=1e-6)


def test_balanced_counts_pixels_of_training_at_the_size_of_the_network(images, masks):
    segmenter = make_small(class_weight="balanced", validation_fraction=0.4)
    fit = record_fit(segmenter, images, masks)
    _, codes, weights, _ = fit.train
    assert len(codes) == 6
    expected = codes.size / (2 * np.bincount(codes.ravel()))
    assert_allclose(weights, expected[codes], rtol=1e-6)
    _, codes, weights, _ = fit.validation
    assert_allclose(weights, expected[codes], rtol=1e-6)


def test_a_class_that_is_lost_in_shrinking_does_not_change_the_balance(pairs):
    X, y = (np.repeat(np.repeat(each, 4, axis=1), 4, axis=2) for each in pairs)
    y[0, 0, 0] = 2  # of 16 pixels that become one
    _, codes, weights, _ = record_fit(make_small(class_weight="balanced"), X, y).train
    assert np.unique(codes).tolist() == [0, 1]
    present = compute_class_weight("balanced", classes=np.arange(2), y=codes.ravel())
    assert_allclose(weights, present[codes], rtol=1e-6)


def test_weights_of_a_dict_are_of_labels(three):
    segmenter = make_small(class_weight={9: 4, 3: 0, 7: 0.5})
    _, codes, weights, _ = record_fit(segmenter, *three).train
    assert_allclose(weights, np.array([0, 0.5, 4])[codes])


def test_without_class_weight_all_pixels_weigh_one(pairs):
    fit = record_fit(make_small(), *pairs, sample_weight=OWN)
    assert (fit.train[2] == 1).all()
    assert_allclose(np.sort(fit.train[3]), OWN / OWN.mean(), rtol=1e-6)


def test_weights_of_pixels_and_images_come_into_the_loss(pairs):
    X, y = pairs
    class_weight = {0: 0.3, 1: 2.5}
    settings = {"loss": "binary_crossentropy", "class_weight": class_weight}
    segmenter = make_small(**settings, epochs=1, validation_fraction=0.4)
    segmenter.fit(X, y, sample_weight=OWN)
    held_out, codes, _, weights = record_fit(
        clone(segmenter), X, y, sample_weight=OWN
    ).validation
    expected = compute_mean(
        losses.crossentropy,
        segmenter,
        held_out,
        codes,
        weights,
        pixel_weight=np.float32([0.3, 2.5])[codes],
    )
    assert weights.min() < weights.max()
    assert_allclose(segmenter.history_["val_loss"], [expected], rtol=1e-4)
    # Images that are given have no weights of their own.
    segmenter = make_small(**settings, epochs=1)
    segmenter.fit(X, y, sample_weight=OWN, X_val=X, y_val=y)
    weights = np.float32([0.3, 2.5])[y]
    expected = compute_mean(losses.crossentropy, segmenter, X, y, pixel_weight=weights)
    assert_allclose(segmenter.history_["val_loss"], [expected], rtol=1e-4)


WRONG_DICTS = [
    (
        {0: 1},
        r"class_weight has \[0\], but y has \[0, 1\]: \[1\] is missing",
    ),
    ({0: 1, 1: 1, 255: 1}, r"class_weight.*\[255\] is not in y"),
    ({0: -1, 1: 1}, "class_weight=.*0 or more"),
    ({0: 0, 1: 0}, "class_weight=.*one above"),
    ({0: np.inf, 1: 1}, "class_weight=.*finite"),
    ({0: "1", 1: 1}, "class_weight=.*numbers"),
]


@pytest.mark.parametrize(("class_weight", "match"), WRONG_DICTS, ids=str)
def test_wrong_dicts_of_weights_are_refused(class_weight, match, pairs, never_trained):
    with pytest.raises(ValueError, match=match):
        make_small(class_weight=class_weight).fit(*pairs)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1, 255: 2}], ids=str)
@pytest.mark.parametrize(
    ("loss", "match"),
    [
        (
            keras.losses.Dice(),
            "class_weight cannot be used with loss=.*sums over pixels",
        ),
        (losses.WeightedCrossentropy((1.0, 2.0)), "already weights the classes"),
    ],
    ids=["sums", "weighs"],
)
def test_losses_for_which_weights_of_pixels_have_no_meaning(
    loss, match, class_weight, unread
):
    with pytest.raises(ValueError, match=match):
        make_small(loss=loss, class_weight=class_weight).fit(*unread)


# Weights of images ------------------------------------------------------------------


@pytest.mark.slow
def test_masks_of_images_without_weight_have_no_influence(pairs):
    X, y = pairs
    weights = np.ones(len(X))
    weights[[2, 5]] = 0
    other = y.copy()
    other[[2, 5]] = 1 - other[[2, 5]] * (np.arange(16) % 2)
    settings = {"loss": "binary_crossentropy", "class_weight": "balanced"}
    one = make_small(**settings).fit(X, y, sample_weight=weights)
    two = make_small(**settings).fit(X, other, sample_weight=weights)
    assert hash_weights(one) == hash_weights(two)
    assert hash_weights(one) != hash_weights(make_small(**settings).fit(X, y))


def test_only_ratios_of_weights_count_for_the_start(pairs):
    X, y = pairs
    first, second = (
        record_fit(make_small(class_weight="balanced"), X, y, sample_weight=weights)
        for weights in (OWN, 50 * OWN)
    )
    assert_allclose(first.weights[-1], second.weights[-1], rtol=1e-6)
    assert_allclose(first.train[2], second.train[2], rtol=1e-6)
    # An image of weight 2 counts as two images.
    pixels = np.stack([(y == label).sum(axis=(1, 2)) @ OWN for label in (0, 1)])
    expected = pixels.sum() / (2 * pixels)
    assert_allclose(first.train[2], expected[first.train[1]], rtol=1e-5)


def test_ones_are_no_weights(pairs):
    plain = make_small().fit(*pairs)
    for ones in (np.ones(10), [1] * 10):
        assert hash_weights(
            make_small().fit(*pairs, sample_weight=ones)
        ) == hash_weights(plain)
    assert hash_weights(
        make_small(class_weight={0: 1, 1: 1}).fit(*pairs)
    ) == hash_weights(plain)


def test_weights_of_images_reach_fit_through_a_pipeline(pairs):
    expected = hash_weights(make_small(epochs=1).fit(*pairs, sample_weight=OWN))
    assert expected != hash_weights(make_small(epochs=1).fit(*pairs))
    steps = [("same", FunctionTransformer()), ("segmenter", make_small(epochs=1))]
    named = Pipeline(steps).fit(*pairs, segmenter__sample_weight=OWN)
    assert hash_weights(named[-1]) == expected
    with sklearn.config_context(enable_metadata_routing=True):
        segmenter = make_small(epochs=1).set_fit_request(sample_weight=True)
        routed = Pipeline([("same", FunctionTransformer()), ("segmenter", segmenter)])
        routed.fit(*pairs, sample_weight=OWN)
    assert hash_weights(routed[-1]) == expected


def test_weights_of_images_in_the_score(bright, images, masks):
    y = masks.copy()
    y[:5] = 255 - y[:5]
    of_each = [bright.score(images[[i]], y[[i]]) for i in range(10)]
    expected = np.average(of_each, weights=OWN)
    assert bright.score(images, y, sample_weight=OWN) == pytest.approx(expected)
    assert bright.score(images, y) == pytest.approx(np.mean(of_each))


# The start --------------------------------------------------------------------------


def test_network_starts_at_the_shares_of_pixels(pairs, three):
    for X, y in (pairs, three):
        shares = np.bincount(np.unique(y, return_inverse=True)[1].ravel()) / y.size
        expected = np.log(shares)
        if len(shares) == 2:
            expected = np.log(shares[1:] / shares[:1])
        assert_allclose(record_fit(make_small(), X, y).weights[-1], expected, atol=0.01)


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1, 1: 6}])
def test_training_starts_at_the_shares_of_the_pixel_weights(class_weight, pairs):
    X, y = pairs
    fit = record_fit(make_small(class_weight=class_weight), X, y)
    counts = np.bincount(y.ravel()) + 0.0
    if class_weight == "balanced":
        counts[:] = 1
    elif class_weight:
        counts *= [1, 6]
    expected = np.log(counts[1] / counts[0])
    assert_allclose(fit.weights[-1], [expected], atol=1e-2)


@pytest.mark.parametrize(
    ("class_weight", "sample_weight"),
    [
        pytest.param(None, None, id="None-alike"),
        pytest.param({0: 1, 1: 6}, OWN, id="dict-weighted"),
        *(
            pytest.param(*weights, id=name, marks=pytest.mark.slow)
            for name, weights in {
                "None-weighted": (None, OWN),
                "balanced-weighted": ("balanced", OWN),
                "balanced-alike": ("balanced", None),
                "dict-alike": ({0: 1, 1: 6}, None),
            }.items()
        ),
    ],
)
def test_first_predictions_are_the_weighted_share(class_weight, sample_weight, pairs):
    X, y = pairs
    segmenter = make_small(class_weight=class_weight)
    weights = np.ones(len(y)) if sample_weight is None else sample_weight
    counts = np.array([(y == label).sum((1, 2)) @ weights for label in (0, 1)])
    if class_weight == "balanced":
        counts[:] = 1
    elif class_weight:
        counts *= [1, 6]
    share, given = counts[1] / counts.sum(), {"sample_weight": sample_weight}
    exact = find_first_outputs(segmenter, X, y, without_kernel=True, **given)
    assert_allclose(exact, share, rtol=1e-5)
    means = []
    for seed in range(7):
        segmenter.set_params(random_state=seed)
        outputs = find_first_outputs(segmenter, X, y, without_kernel=False, **given)
        means.append(outputs.mean())
    assert np.median(means) == pytest.approx(share, abs=0.1)


def test_first_predictions_of_three_labels_are_their_shares(three):
    X, y = three
    found = find_first_outputs(make_small(), X, y, without_kernel=True)
    shares = [np.mean(y == label) for label in (3, 7, 9)]
    assert_allclose(found, np.broadcast_to(shares, found.shape), rtol=1e-5)


def test_labels_too_small_for_the_network_are_warned_of_and_weigh_nothing():
    X, y = make_pairs(sides=(64, 64))
    y[:] = 0
    y[:, 0, 0] = 1  # nearest to no pixel of 16 x 16
    segmenter = make_small(class_weight="balanced")
    with pytest.warns(UserWarning, match="training masks have the label 0 only"):
        fit = record_fit(segmenter, X, y, X_val=X, y_val=np.ones_like(y))
    _, codes, weights, _ = fit.train
    assert (codes == 0).all() and weights.max() <= 1
    _, codes, weights, _ = fit.validation
    assert (codes == 1).all() and weights.max() <= 1


def test_one_image_that_weighs_something_cannot_be_split(pairs):
    segmenter = make_small(validation_fraction=0.5)
    with pytest.raises(ValueError, match="of the 1 images leaves none"):
        segmenter.fit(*pairs, sample_weight=np.arange(len(OWN)) == 3)
