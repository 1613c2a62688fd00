"""Validation images, their curves, early stopping, and fits that go on."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from skinest.images import resize

from .conftest import hash_weights, make_pairs, make_small, record_fit

METRICS = {"loss", "accuracy", "precision", "recall", "iou", "dice"}
CURVES = METRICS | {f"val_{name}" for name in METRICS}
STOPS = {"epochs": 20, "learning_rate": 0.1, "early_stopping": True}


@pytest.fixture(scope="module")
def pairs():
    """Make pairs of the size of the network."""
    return make_pairs(sides=(16, 16))


@pytest.fixture(scope="module")
def validation():
    """Make other such pairs, as arguments of `fit`."""
    X_val, y_val = make_pairs(6, sides=(16, 16), seed=1)
    return {"X_val": X_val, "y_val": y_val}


@pytest.fixture(scope="module")
def misleading(validation):
    """Make masks of all but what is learned, so that the loss soon rises."""
    return {**validation, "y_val": 1 - validation["y_val"]}


def measure_loss(segmenter, X_val, y_val):
    """Return the Dice loss of each image, as the mean."""
    found = segmenter.predict_proba(X_val)[..., 1]
    both, sizes = ((values).sum((1, 2)) for values in (y_val * found, y_val + found))
    return np.mean(1 - (2 * both + 1) / (sizes + 1))


def list_images(part):
    """Return images by their content, whatever their order."""
    return {image.tobytes() for image in part[0]}


# What is held out -------------------------------------------------------------------


def test_history_is_of_training_alone_where_nothing_is_held_out(pairs):
    segmenter = make_small(epochs=3).fit(*pairs)
    assert segmenter.history_.keys() == METRICS
    assert {len(values) for values in segmenter.history_.values()} == {3}
    assert (segmenter.n_iter_, segmenter.n_iter_per_stage_) == (3, [3])
    json.dumps(segmenter.history_)  # plain lists of plain numbers


def test_curves_of_given_images_without_early_stopping(pairs, validation):
    segmenter = make_small(epochs=5, learning_rate=0.1).fit(*pairs, **validation)
    assert segmenter.history_.keys() == CURVES
    assert {len(values) for values in segmenter.history_.values()} == {5}
    last = {name: values[-1] for name, values in segmenter.history_.items()}
    assert_allclose(last["val_loss"], measure_loss(segmenter, **validation), rtol=1e-4)
    true = validation["y_val"].ravel()
    predicted = segmenter.predict(validation["X_val"]).ravel()
    assert 0 < predicted.mean() < 1
    assert_allclose(last["val_accuracy"], np.mean(true == predicted), rtol=1e-5)
    assert_allclose(last["val_precision"], precision_score(true, predicted), rtol=1e-5)
    assert_allclose(last["val_recall"], recall_score(true, predicted), rtol=1e-5)
    assert_allclose(last["val_iou"], jaccard_score(true, predicted), rtol=1e-5)
    assert_allclose(last["val_dice"], f1_score(true, predicted), rtol=1e-5)


@pytest.mark.parametrize(
    ("fraction", "n_held_out"), [(0.1, 1), (0.25, 3), (0.5, 5), (0.81, 9)]
)
def test_fraction_of_images_is_held_out_and_not_trained_on(
    fraction, n_held_out, images, masks
):
    fit = record_fit(make_small(validation_fraction=fraction), images, masks)
    train, held_out = list_images(fit.train), list_images(fit.validation)
    assert len(held_out) == n_held_out
    assert len(train) == 10 - n_held_out
    assert not train & held_out


def test_early_stopping_alone_holds_out_a_tenth(pairs):
    alone = make_small(early_stopping=True).fit(*pairs)
    tenth = make_small(early_stopping=True, validation_fraction=0.1).fit(*pairs)
    assert alone.history_.keys() == CURVES
    assert alone.history_ == tenth.history_
    of_training = make_small(early_stopping=True, monitor="loss").fit(*pairs)
    assert of_training.history_.keys() == METRICS


def test_other_seeds_hold_out_other_images(images, masks):
    held_out = {
        seed: list_images(
            record_fit(
                make_small(validation_fraction=0.3, random_state=seed), images, masks
            ).validation
        )
        for seed in (0, 1, 2)
    }
    assert not held_out[0] == held_out[1] == held_out[2]
    again = record_fit(make_small(validation_fraction=0.3), images, masks)
    assert list_images(again.validation) == held_out[0]


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_on_both_sides(seed, images, masks):
    groups = np.array([f"lesion {i}" for i in (0, 1, 2, 3, 4, 0, 1, 2, 3, 3)])
    of_image = {}
    for image, group in zip(images, groups, strict=True):
        of_image[resize(image, (16, 16)).tobytes()] = group
    segmenter = make_small(validation_fraction=0.3, random_state=seed)
    for given in (groups, groups.tolist()):
        fit = record_fit(segmenter, images, masks, groups=given)
        train, held_out = (
            {of_image[image] for image in list_images(part)}
            for part in (fit.train, fit.validation)
        )
        assert np.isin(groups, list(held_out)).sum() == 3  # of ten images
        assert train | held_out == set(groups.tolist())
        assert not train & held_out


def test_given_images_stand_in_for_the_fraction_and_are_not_trained_on(
    pairs, validation
):
    alone = make_small().fit(*pairs)
    beside = make_small(validation_fraction=0.5).fit(*pairs, **validation)
    assert hash_weights(beside) == hash_weights(alone)
    assert beside.history_["loss"] == alone.history_["loss"]
    fit = record_fit(make_small(validation_fraction=0.5), *pairs, **validation)
    assert_array_equal(fit.validation[0], validation["X_val"])
    assert_array_equal(fit.validation[1], validation["y_val"])
    assert len(list_images(fit.train)) == 10


def test_given_masks_may_come_in_other_forms_with_fewer_labels_and_other_sizes(
    images, masks
):
    X_val, y_val = make_pairs(3, (30, 18), seed=2)
    empty = [np.zeros((30, 18), np.uint8)] * 3
    fit = record_fit(make_small(), images, masks, X_val=list(X_val), y_val=empty)
    assert not fit.validation[1].any()
    full = [mask * 255 for mask in np.maximum(1, y_val)]
    fit = record_fit(make_small(), images, masks, X_val=list(X_val), y_val=full)
    assert (fit.validation[1] == 1).all()  # by their label, though it is their only


# Early stopping ---------------------------------------------------------------------


def test_training_stops_and_the_best_weights_come_back(pairs, misleading):
    segmenter = make_small(**STOPS, n_iter_no_change=2).fit(*pairs, **misleading)
    losses = segmenter.history_["val_loss"]
    best = int(np.argmin(losses))
    assert segmenter.n_iter_ == len(losses) == best + 1 + 2 < 20
    assert_allclose(measure_loss(segmenter, **misleading), losses[best], rtol=1e-4)
    assert losses[-1] > 1.01 * losses[best], "the last epoch's weights are as good"


def test_best_weights_are_kept_where_nothing_stops(pairs, misleading):
    settings = {**STOPS, "epochs": 5, "n_iter_no_change": 100}
    segmenter = make_small(**settings).fit(*pairs, **misleading)
    losses = segmenter.history_["val_loss"]
    assert segmenter.n_iter_ == 5
    assert_allclose(measure_loss(segmenter, **misleading), min(losses), rtol=1e-4)
    assert losses[-1] > 1.01 * min(losses), "the last epoch's weights are as good"


def test_what_is_monitored_may_have_to_rise(pairs, validation):
    settings = {**STOPS, "n_iter_no_change": 1, "monitor": "val_dice"}
    segmenter = make_small(**settings).fit(*pairs, **validation)
    scores = segmenter.history_["val_dice"]
    best = int(np.argmax(scores))
    assert segmenter.n_iter_ == min(best + 1 + 1, 20)
    true = validation["y_val"].ravel()
    predicted = segmenter.predict(validation["X_val"]).ravel()
    assert_allclose(f1_score(true, predicted), scores[best], rtol=1e-5)
    assert min(scores) < max(scores)


def test_training_may_be_monitored_without_validation_images(pairs):
    settings = {**STOPS, "n_iter_no_change": 1, "monitor": "recall"}
    segmenter = make_small(**settings).fit(*pairs)
    best = int(np.argmax(segmenter.history_["recall"]))
    assert segmenter.n_iter_ == min(best + 1 + 1, 20)
    assert segmenter.history_.keys() == METRICS


# Warm start -------------------------------------------------------------------------


def test_fits_go_on_as_one_long_fit(pairs):
    # Plain gradient descent has no state that starts anew.
    long = make_small(optimizer="sgd", epochs=3).fit(*pairs)
    segmenter = make_small(optimizer="sgd", epochs=1, warm_start=True).fit(*pairs)
    assert hash_weights(segmenter) != hash_weights(long)
    segmenter = pickle.loads(pickle.dumps(segmenter))
    segmenter.set_params(epochs=2).fit(*pairs)
    assert hash_weights(segmenter) == hash_weights(long)
    assert segmenter.history_ == long.history_
    assert (segmenter.n_iter_, segmenter.n_iter_per_stage_) == (3, [1, 2])
    segmenter.set_params(epochs=3, warm_start=False).fit(*pairs)
    assert hash_weights(segmenter) == hash_weights(long)
    assert (segmenter.n_iter_, segmenter.n_iter_per_stage_) == (3, [3])


def test_what_a_fit_has_not_measured_is_nan(pairs, validation):
    segmenter = make_small(epochs=1, warm_start=True).fit(*pairs)
    segmenter.fit(*pairs, **validation).fit(*pairs)
    assert {len(values) for values in segmenter.history_.values()} == {3}
    missing = np.isnan(segmenter.history_["val_dice"])
    assert_array_equal(missing, [True, False, True])
    assert np.isfinite(segmenter.history_["loss"]).all()


@pytest.mark.parametrize(
    "setting",
    [
        {"depth": 2},
        {"base_filters": 3},
        {"image_size": (16, 18)},
        {"pad_to_aspect_ratio": True},
        {"dropout": 0.5},
        {"batch_norm": False},
        {"compute_dtype": "bfloat16"},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_another_network_is_an_error_that_leaves_the_fitted_one(
    setting, images, masks, learned
):
    fitted = pickle.loads(pickle.dumps(learned))
    fitted.set_params(warm_start=True, **setting)
    with pytest.raises(ValueError, match=f"warm_start.*{next(iter(setting))}"):
        fitted.fit(images, masks)
    assert hash_weights(fitted) == hash_weights(learned)
    assert fitted.history_ == learned.history_


@pytest.mark.parametrize("labels", [[0, 1], [0, 7, 255]], ids=str)
def test_other_labels_are_an_error_that_leaves_the_fitted_ones(
    labels, images, masks, learned
):
    fitted = pickle.loads(pickle.dumps(learned)).set_params(warm_start=True)
    y = np.resize(np.array(labels, np.uint8), masks.shape)
    with pytest.raises(ValueError, match=r"warm_start: the masks have .*\[0, 255\]"):
        fitted.fit(images, y)
    assert hash_weights(fitted) == hash_weights(learned)
    assert_array_equal(fitted.classes_, [0, 255])
