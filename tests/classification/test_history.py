"""Loss and metrics of the history, against scikit-learn's of the same predictions."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from skinest.augmentation import Augmentation
from skinest.classification._epoch_metrics import make_keras_objective

from .conftest import find_marked, make_images, mark, small

N_IMAGES = 40
COPIES = {"augmentation": Augmentation(rotation=180), "n_augmented_copies": 3}
WEIGHTS = {"class_weight": "balanced", "batch_size": 70}
# Nothing is learned, so that all predictions of an epoch are those of the fitted head.
FIXED = {"epochs": 1, "learning_rate": 1e-12, "dropout": 0.0}


@pytest.fixture(scope="module")
def images():
    return make_images(N_IMAGES)


def make_labels(n_classes, n_images=N_IMAGES):
    names = np.array(["melanoma", "naevus", "other"])[:n_classes]
    return names[np.random.default_rng(3).integers(n_classes, size=n_images)]


def score(clf, X, y, sample_weight=None, loss_weight=None):
    """Compute all metrics by scikit-learn."""
    found, given = clf.predict_proba(X), {"sample_weight": sample_weight}
    loss_weight = sample_weight if loss_weight is None else loss_weight
    scores = {
        "loss": log_loss(y, found, sample_weight=loss_weight, labels=clf.classes_),
        "accuracy": accuracy_score(y, clf.predict(X), **given),
    }
    if len(clf.classes_) == 2:
        positive = clf.classes_[1]
        is_true, is_found = y == positive, clf.predict(X) == positive
        outputs, average = found[:, 1], "binary"
    else:
        is_true, is_found = y[:, np.newaxis] == clf.classes_, found > 0.5
        outputs, average = found, "micro"
    given |= {"average": average}
    scores["precision"] = precision_score(is_true, is_found, zero_division=0, **given)
    scores["recall"] = recall_score(is_true, is_found, **given)
    given["average"] = "micro"
    scores["auc"] = roc_auc_score(is_true, outputs, **given)
    return scores


def check_last_epoch(clf, expected, prefix=""):
    found = {name: clf.history_[prefix + name][-1] for name in expected}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5), (name, found, expected)
    assert 0.2 < found["auc"] < 0.99


@pytest.mark.parametrize(
    ("settings", "n_classes"),
    [
        pytest.param(settings, n_classes, marks=[pytest.mark.slow] * is_slow, id=name)
        for name, settings, n_classes, is_slow in (
            ("penalty", {"l2": "auto"}, 2, False),
            ("penalty, three", {"l2": "auto"}, 3, True),
            ("copies", COPIES, 2, True),
            ("copies, three", COPIES, 3, False),
            ("weights", WEIGHTS, 2, True),
            ("weights, three", WEIGHTS, 3, True),
        )
    ],
)
def test_metrics_of_validation_images(settings, n_classes, images):
    X_val, y_val = make_images(30, seed=1), make_labels(n_classes, 30)
    settings = {"epochs": 3, "learning_rate": 1e-4, "l2": 0.0, **settings}
    clf = small(**settings)
    clf.fit(images, make_labels(n_classes), X_val=X_val, y_val=y_val)
    weights = None
    if "class_weight" in settings:
        labels, counts = np.unique(make_labels(n_classes), return_counts=True)
        of_label = dict(zip(labels, N_IMAGES / (n_classes * counts), strict=True))
        weights = np.array([of_label[label] for label in y_val])
    check_last_epoch(clf, score(clf, X_val, y_val, loss_weight=weights), "val_")


@pytest.mark.parametrize("n_classes", [2, 3])
def test_metrics_of_training_and_held_out_images_with_weights(
    n_classes, images, keras_fits
):
    y, weights = make_labels(n_classes), np.linspace(0.2, 3, N_IMAGES)
    by_label = dict(zip(np.unique(y).tolist(), [1.0, 3.0, 0.5], strict=False))
    total = weights * np.array([by_label[label] for label in y])
    clf = small(**FIXED, validation_fraction=0.4)
    clf.fit(images, y, sample_weight=mark(N_IMAGES))
    clf.set_params(class_weight=by_label).fit(images, y, sample_weight=weights)
    train, held_out = find_marked(keras_fits[0])
    for prefix, part in [("", train), ("val_", held_out)]:
        expected = score(clf, images[part], y[part], weights[part], total[part])
        check_last_epoch(clf, expected, prefix)


def test_auc_counts_equal_scores_half(images):
    X = images.copy()
    X[::2] = X[0]  # pairs of images in both classes that look the same
    y = np.arange(N_IMAGES) // 2 % 2
    clf = small(**FIXED).fit(X, y)
    check_last_epoch(clf, score(clf, X, y))


def test_auc_of_one_class_is_not_defined(images):
    y = make_labels(2)
    X_val, y_val = images[:5], np.full(5, "naevus")
    with pytest.warns(UserWarning, match=r"no validation images of \['melanoma'\]"):
        clf = small().fit(images, y, X_val=X_val, y_val=y_val)
    assert np.isnan(clf.history_["val_auc"]).all()
    assert np.isfinite(clf.history_["auc"]).all()
    assert clf.history_["val_recall"][-1] <= 1
    clf.set_params(early_stopping=True, monitor="val_auc")
    with pytest.raises(ValueError, match="monitor='val_auc' needs validation images"):
        clf.fit(images, y, X_val=X_val, y_val=y_val)


def test_keras_callbacks_see_the_same_values(images):
    """They also know that the AUC should increase."""
    seen = []

    class See(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(dict(logs))

    best = keras.callbacks.EarlyStopping("val_auc", patience=50)
    X_val, y_val = make_images(12, seed=1), make_labels(2, 12)
    clf = small(epochs=3, keras_callbacks=[See(), best], l2="auto")
    clf.fit(images, make_labels(2), X_val=X_val, y_val=y_val)
    assert len(seen) == clf.n_iter_ == 3
    for name, values in clf.history_.items():
        assert_allclose(values, [logs[name] for logs in seen])


class Ends(keras.callbacks.Callback):
    """Shows the logs at the end of each validation and of the training."""

    def __init__(self, see):
        super().__init__()
        self.see = see

    def on_test_end(self, logs=None):
        self.see(logs)

    def on_train_end(self, logs=None):
        self.see(logs)


def test_callbacks_find_the_same_metrics_at_the_end(images):
    shown = []
    settings = {"validation_fraction": 0.25, "keras_callbacks": [Ends(shown.append)]}
    clf = small(epochs=1, **settings).fit(images, make_labels(2))
    last = {name: values[-1] for name, values in clf.history_.items()}
    of_validation, of_training = shown
    assert of_training == last
    assert of_validation == {name: last[f"val_{name}"] for name in of_validation}


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_loss_of_confident_predictions_under_another_floatx_of_keras(n_outputs):
    targets = np.eye(3, n_outputs, dtype=np.float32)
    outputs = np.array([[1, 0, 0], [1e-4, 0.9999, 0], [0, 0, 1]], dtype=np.float32)
    floatx = keras.config.floatx()
    try:
        keras.config.set_floatx("float16")
        images = keras.Input((n_outputs,), dtype="float32")
        model = keras.Model(images, keras.layers.Identity(dtype="float32")(images))
        model.compile(**make_keras_objective(n_outputs))
        found = model.evaluate(
            outputs[:, :n_outputs], targets, return_dict=True, verbose=0
        )
    finally:
        keras.config.set_floatx(floatx)
    assert list(found) == ["accuracy", "auc", "loss", "precision", "recall"]
    assert_allclose(found.pop("loss"), -np.log(0.9999) / 3, rtol=0.02)
    assert_allclose(list(found.values()), 1, rtol=1e-3)
