"""Validation images, their curves, and early stopping on them."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import accuracy_score, log_loss, precision_score, recall_score

from .conftest import (
    bits,
    find_marked,
    layers_of,
    make_images,
    mark,
    small,
    stage_recorder,
)

METRICS = {"loss", "accuracy", "precision", "recall", "auc"}
CURVES = METRICS | {f"val_{name}" for name in METRICS}
# Noise is learned by heart, so that the validation loss soon rises.
OVERFIT = {"epochs": 40, "early_stopping": True, "n_iter_no_change": 3}


def measured_loss(clf, X, y, weights=None):
    """Compute the cross entropy of predictions."""
    return log_loss(y, clf.predict_proba(X), sample_weight=weights)


def test_history_is_of_training_alone_where_nothing_is_held_out(images, y):
    clf = small(epochs=3).fit(images, y)
    assert clf.history_.keys() == METRICS
    assert {len(values) for values in clf.history_.values()} == {3}
    assert clf.n_iter_ == 3
    assert clf.n_iter_per_stage_ == [3]
    json.dumps(clf.history_)  # plain lists of plain numbers


# The outputs below block_16 are rounded to half precision, by at most .0005.
TOLERANCES = {"head": 1e-4, "block_16": 1e-3}


@pytest.mark.parametrize("trainable", TOLERANCES)
def test_validation_curves_without_early_stopping(trainable, images, y, X_val, y_val):
    clf = small(epochs=3, trainable=trainable)
    clf.fit(images, y, X_val=X_val, y_val=y_val)
    assert clf.history_.keys() == CURVES
    assert {len(values) for values in clf.history_.values()} == {3}
    last = {name: values[-1] for name, values in clf.history_.items()}
    tolerance = TOLERANCES[trainable]
    assert_allclose(last["val_loss"], measured_loss(clf, X_val, y_val), rtol=tolerance)
    predicted = clf.predict(X_val)
    assert_allclose(last["val_accuracy"], accuracy_score(y_val, predicted))
    precision = precision_score(y_val, predicted, zero_division=0)
    assert_allclose(last["val_precision"], precision)
    assert_allclose(last["val_recall"], recall_score(y_val, predicted))


def test_precision_and_recall_of_three_classes_are_micro_averages(images, X_val):
    y, y_val = np.arange(12) % 3, np.arange(12) // 4
    clf = small(epochs=1).fit(images, y, X_val=X_val, y_val=y_val)
    is_above, is_class = clf.predict_proba(X_val) > 0.5, np.eye(3)[y_val] > 0
    for name, score in [("precision", precision_score), ("recall", recall_score)]:
        expected = score(is_class, is_above, average="micro")
        assert_allclose(clf.history_[f"val_{name}"], [expected])


def test_validation_images_are_not_learned_from(images, y, X_val, y_val):
    alone = small().fit(images, y)
    beside = small(validation_fraction=0.5)  # for which they stand in
    beside.fit(images, y, X_val=X_val, y_val=y_val)
    assert bits(beside) == bits(alone)


def test_early_stopping_alone_holds_out_a_tenth(images, y):
    alone = small(epochs=2, early_stopping=True).fit(images, y)
    tenth = small(epochs=2, early_stopping=True, validation_fraction=0.1)
    assert alone.history_.keys() == CURVES
    assert alone.history_ == tenth.fit(images, y).history_
    of_training = small(epochs=2, early_stopping=True, monitor="loss").fit(images, y)
    assert of_training.history_.keys() == METRICS


def test_held_out_images_are_not_learned_from(images, y, keras_fits):
    def fit(X):
        clf = small(validation_fraction=0.25)
        return clf.fit(X, y, sample_weight=mark(12))

    clf = fit(images)
    _, held_out = find_marked(keras_fits[0])
    changed = images.copy()
    changed[held_out] = 0
    again = fit(changed)
    assert_array_equal(find_marked(keras_fits[1])[1], held_out)
    assert bits(again) == bits(clf)
    assert again.history_["val_loss"] != clf.history_["val_loss"]
    assert again.history_["loss"] == clf.history_["loss"]


def test_validation_loss_is_weighted_as_the_loss_is(
    images, y, X_val, y_val, keras_fits
):
    weights = np.linspace(0.5, 2, 12)
    by_class = np.array([1.0, 3.0])
    small(validation_fraction=0.5).fit(images, y, sample_weight=mark(12))
    _, held_out = find_marked(keras_fits[0])
    settings = {"epochs": 1, "class_weight": {0: 1.0, 1: 3.0}}
    clf = small(**settings, validation_fraction=0.5)
    clf.fit(images, y, sample_weight=weights)
    expected = measured_loss(
        clf, images[held_out], y[held_out], (weights * by_class[y])[held_out]
    )
    assert_allclose(clf.history_["val_loss"], [expected], rtol=1e-4)
    # Images that are given have no weights of their own.
    clf = small(**settings)
    clf.fit(images, y, sample_weight=weights, X_val=X_val, y_val=y_val)
    expected = measured_loss(clf, X_val, y_val, by_class[y_val])
    assert_allclose(clf.history_["val_loss"], [expected], rtol=1e-4)


@pytest.mark.parametrize("trainable", TOLERANCES)
def test_early_stopping_puts_the_best_epochs_weights_back(
    trainable, images, y, X_val, y_val
):
    clf = small(**OVERFIT, trainable=trainable)
    clf.fit(images, y, X_val=X_val, y_val=y_val)
    losses = clf.history_["val_loss"]
    best = int(np.argmin(losses))
    assert clf.n_iter_ == best + 1 + 3 < 40
    assert {len(values) for values in clf.history_.values()} == {clf.n_iter_}
    tolerance = TOLERANCES[trainable]
    assert_allclose(measured_loss(clf, X_val, y_val), losses[best], rtol=tolerance)
    assert losses[-1] > 1.01 * losses[best], "the last epoch's weights are as good"


def test_best_weights_are_kept_where_nothing_stops(images, y, X_val, y_val):
    clf = small(epochs=5, early_stopping=True, n_iter_no_change=100)
    clf.fit(images, y, X_val=X_val, y_val=y_val)
    losses = clf.history_["val_loss"]
    assert clf.n_iter_ == 5
    assert_allclose(measured_loss(clf, X_val, y_val), min(losses), rtol=1e-4)
    assert losses[-1] > 1.01 * min(losses), "the last epoch's weights are as good"


def test_what_is_monitored_may_have_to_rise(images, y):
    clf = small(**OVERFIT, monitor="val_accuracy")
    clf.fit(images, y, X_val=images, y_val=y)
    accuracies = clf.history_["val_accuracy"]
    assert clf.n_iter_ == int(np.argmax(accuracies)) + 1 + 3 < 40
    assert_allclose(clf.score(images, y), max(accuracies))
    assert min(accuracies) < max(accuracies)


def test_training_may_be_monitored_without_validation_images(images, y):
    clf = small(**OVERFIT, monitor="accuracy").fit(images, y)
    assert clf.history_.keys() == METRICS
    assert clf.n_iter_ == int(np.argmax(clf.history_["accuracy"])) + 1 + 3 < 40


def test_each_stage_stops_on_its_own(images, y, X_val, y_val):
    first = small(**OVERFIT).fit(images, y, X_val=X_val, y_val=y_val)
    recorded = []
    clf = small(
        **OVERFIT,
        fine_tune="head",
        fine_tune_epochs=40,
        fine_tune_learning_rate=1e-4,
        keras_callbacks=[stage_recorder(recorded.append)],
    ).fit(images, y, X_val=X_val, y_val=y_val)
    n_first, n_second = clf.n_iter_per_stage_
    assert n_first == first.n_iter_ < 40
    assert clf.n_iter_ == n_first + n_second
    assert {len(values) for values in clf.history_.values()} == {clf.n_iter_}
    # The second starts from the best of the first, not from the last.
    assert_array_equal(recorded[2]["logits"][0], layers_of(first.model_)["logits"][0])
    # And its own best counts, even where the first has been better.
    losses = clf.history_["val_loss"][n_first:]
    assert n_second == min(int(np.argmin(losses)) + 1 + 3, 40)
    assert_allclose(measured_loss(clf, X_val, y_val), min(losses), rtol=1e-4)


def test_labels_of_validation_images_are_the_users(images, y, X_val, y_val):
    names = np.array(["benign", "malignant"])
    clf = small(epochs=1).fit(images, y, X_val=X_val, y_val=y_val)
    named = small(epochs=1)
    named.fit(images, names[y], X_val=X_val, y_val=names[y_val].tolist())
    assert named.history_ == clf.history_


def test_validation_images_may_hold_fewer_classes_and_come_in_other_forms(images, y):
    clf = small(epochs=1)
    clf.fit(images, y, X_val=list(make_images(3, seed=1)), y_val=[1, 1, 1])
    assert len(clf.history_["val_loss"]) == 1
