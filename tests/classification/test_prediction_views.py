"""Predictions by several views of each image."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import pickle

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
)

from tests.callbacks import ScoringMonitor, needs_callbacks
from tests.turns import BY_NUMBER

from .conftest import bits, make_images, small

NETWORK_SIZE = (32, 48)


@pytest.fixture(scope="module")
def ragged():
    """Images of odd sizes, some of them of the size of the network."""
    sizes = [(40, 57), (32, 48), (48, 32), (90, 33), (20, 20), (1, 7), (1, 1)]
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


@pytest.fixture(scope="module", params=[2, 3])
def fitted(request, ragged):
    y = np.arange(len(ragged)) % request.param
    settings = {"image_size": NETWORK_SIZE, "epochs": 5, "learning_rate": 0.1}
    return small(**settings).fit(ragged, y)


@pytest.fixture(scope="module")
def clf(images, y):
    return small().fit(images, y)


def by_views(clf, n_views):
    """Return the fitted classifier with another number of views."""
    return copy.copy(clf).set_params(n_prediction_views=n_views)


@pytest.mark.parametrize("n_views", BY_NUMBER)
def test_probabilities_are_means_over_views(n_views, fitted, ragged):
    views = [
        fitted.predict_proba([turn(image).copy() for image in ragged])
        for turn in BY_NUMBER[n_views]
    ]
    assert len(views) == n_views
    expected = np.mean(views, axis=0)
    several = by_views(fitted, n_views)
    found = several.predict_proba(ragged)
    assert (found.dtype, found.shape) == (np.float32, expected.shape)
    assert_allclose(found, expected, atol=1e-6)
    assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert_array_equal(
        several.predict(ragged), fitted.classes_[expected.argmax(axis=1)]
    )
    if n_views > 1:
        assert np.abs(found - views[0]).max() > 1e-3
    else:
        assert_array_equal(found, views[0])


@pytest.mark.parametrize("n_views", [2, 4, 8])
def test_turned_images_have_the_same_probabilities(n_views, fitted, ragged):
    several = by_views(fitted, n_views)
    expected = several.predict_proba(ragged)
    for turn in BY_NUMBER[n_views][1:]:
        turned = [turn(image).copy() for image in ragged]
        assert_array_equal(several.predict_proba(turned), expected)
        assert not np.allclose(fitted.predict_proba(turned), expected, atol=1e-3)


def test_training_does_not_depend_on_views(clf, images, y):
    assert bits(small(n_prediction_views=8).fit(images, y)) == bits(clf)
    more = by_views(clf, 4)
    before = more.predict_proba(images)
    again = more.set_params(warm_start=True, epochs=1).fit(images, y)
    assert again.n_iter_ == 3
    assert not np.array_equal(again.predict_proba(images), before)


def test_views_are_kept_by_clone_and_pickle(clf, images, y):
    several = by_views(clf, 4)
    assert clone(several).n_prediction_views == 4
    stored = pickle.loads(pickle.dumps(several))
    assert_array_equal(stored.predict_proba(images), several.predict_proba(images))


@pytest.mark.parametrize("value", [0, 3, 16, 2.0, "8", None], ids=str)
def test_a_wrong_number_of_views_is_an_error(value, clf, images, y):
    says = r"'n_prediction_views' parameter .* among \{1, 2, 4, 8\}\. Got "
    with pytest.raises(ValueError, match=says):
        by_views(clf, value).predict(images)
    with pytest.raises(ValueError, match=says):
        small(n_prediction_views=value).fit(images, y)


def test_size_of_batches_is_checked_in_predictions(clf, images):
    changed = copy.copy(clf).set_params(batch_size=0)
    with pytest.raises(ValueError, match="'batch_size' parameter of"):
        changed.predict(images)


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_each_file_is_decoded_once(batch_size, clf, tmp_path, decoded):
    paths = [str(tmp_path / f"{i}.png") for i in range(9)]
    for path, image in zip(paths, make_images(9), strict=True):
        cv2.imwrite(path, image[..., ::-1])
    several = by_views(clf, 8).set_params(batch_size=batch_size)
    found = several.predict_proba(paths)
    assert decoded.counts(paths) == [1] * 9
    assert_allclose(found, several.predict_proba(make_images(9)), atol=1e-6)


def test_a_search_chooses_the_number_of_views(images, y, tmp_path):
    grid = {"n_prediction_views": [1, 8]}
    network = small(memory=tmp_path)
    search = GridSearchCV(network, grid, cv=2, scoring="neg_log_loss").fit(images, y)
    for n_views, score in zip((1, 8), search.cv_results_["mean_test_score"], strict=1):
        several = clone(network).set_params(n_prediction_views=n_views)
        folds = cross_val_predict(several, images, y, cv=2, method="predict_proba")
        assert score == pytest.approx(-log_loss(y, folds), rel=1e-5)
    assert len(set(search.cv_results_["mean_test_score"])) == 2


def test_thresholds_are_tuned_on_means(images, y, tmp_path):
    network = small(memory=tmp_path, n_prediction_views=4)
    tuned = TunedThresholdClassifierCV(network, cv=2).fit(images, y)
    probabilities = tuned.estimator_.predict_proba(images)[:, 1]
    assert_array_equal(tuned.predict(images), probabilities >= tuned.best_threshold_)


@needs_callbacks
def test_monitored_scores_are_of_all_views(images, y):
    monitor = ScoringMonitor(scoring="neg_log_loss")
    several = small(n_prediction_views=2).set_callbacks(monitor).fit(images, y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    expected = -log_loss(y, several.predict_proba(images))
    assert rows[-1]["neg_log_loss"] == pytest.approx(expected, rel=1e-5)
