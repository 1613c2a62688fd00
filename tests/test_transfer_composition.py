"""Transfer learning inside scikit-learn's own estimators, and under its callbacks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pickle

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skinest import (
    BottleneckFeatureExtractor,
    BoVWSIFTTransformer,
    SIFTDescriptor,
    TransferClassifier,
)
from skinest.augmentation import Augmentation
from skinest.images import resize
from tests.callbacks import ProgressBar, ScoringMonitor, needs_callbacks

NETWORK = {"weights": None, "image_size": (32, 32), "pooling": "avg"}


def small(backbone="tiny", **settings):
    defaults = {"hidden_units": (), "epochs": 2, "batch_size": 4, "random_state": 0}
    return TransferClassifier(backbone, **{**NETWORK, **defaults, **settings})


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (16, 48, 48, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def y():
    return np.array(["benign", "malignant"] * 8)


@pytest.mark.slow
def test_grid_search_in_two_processes_equals_one(images, y):
    grid = {"learning_rate": [1e-3, 1e-1]}
    network = small("mobilenetv2")  # worker processes know no other backbones
    searches = [
        GridSearchCV(network, grid, cv=2, scoring="roc_auc", n_jobs=n_jobs)
        for n_jobs in (None, 2)
    ]
    one, two = [search.fit(images, y) for search in searches]
    scores = [s.cv_results_["mean_test_score"] for s in (one, two)]
    np.testing.assert_allclose(*scores, atol=1e-12)
    np.testing.assert_allclose(
        one.predict_proba(images), two.predict_proba(images), atol=1e-5
    )


def test_cross_val_predict_gives_probabilities_of_each_class(images, y):
    proba = cross_val_predict(small(), images, y, cv=2, method="predict_proba")
    assert proba.shape == (16, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    # Each half is predicted by the network of the other half.
    folds = cross_validate(
        small(), images, y, cv=2, return_estimator=True, return_indices=True
    )
    for fitted, test in zip(folds["estimator"], folds["indices"]["test"], strict=True):
        np.testing.assert_allclose(
            fitted.predict_proba(images[test]), proba[test], atol=1e-6
        )


def test_calibrated_and_tuned(images, y):
    calibrated = CalibratedClassifierCV(small(), cv=2, ensemble=False).fit(images, y)
    assert calibrated.predict_proba(images).shape == (16, 2)
    tuned = TunedThresholdClassifierCV(small(), cv=2).fit(images, y == "malignant")
    assert 0 <= tuned.best_threshold_ <= 1
    decided = tuned.predict(images)
    proba = tuned.estimator_.predict_proba(images)[:, 1]
    np.testing.assert_array_equal(decided, proba >= tuned.best_threshold_)


def test_soft_vote_with_visual_words_is_the_mean(images, y):
    grid = SIFTDescriptor(detector="grid", grid_step=16, grid_sizes=(16,))
    words = make_pipeline(
        BoVWSIFTTransformer(4, descriptor=grid, random_state=0),
        CalibratedClassifierCV(SVC(), cv=2, ensemble=False),
    )
    vote = VotingClassifier([("words", words), ("network", small())], voting="soft")
    vote.fit(images, y)
    each = [member.predict_proba(images) for member in vote.estimators_]
    np.testing.assert_allclose(vote.predict_proba(images), np.mean(each, axis=0))


def test_stacking(images, y):
    stack = StackingClassifier(
        [("slow", small()), ("fast", small(learning_rate=0.1))], cv=2
    ).fit(images, y)
    assert stack.transform(images).shape == (16, 2)
    assert set(stack.predict(images)) <= set(y)


def test_features_before_any_classifier(images, y):
    features = BottleneckFeatureExtractor("tiny", **NETWORK, random_state=0)
    pipeline = make_pipeline(features, StandardScaler(), LogisticRegression())
    pipeline.fit(images, y)
    vectors = pipeline[0].transform(images)
    assert vectors.shape == (16, 1280)
    # A classifier of the same seed stands on the same drawn weights.
    network = small().fit(images, y).model_
    trunk = keras.Model(network.input, network.get_layer("features").output)
    resized = np.stack([resize(image, (32, 32)) for image in images])
    np.testing.assert_allclose(
        vectors, trunk.predict(resized, verbose=0), rtol=1e-4, atol=1e-4
    )


def test_search_over_augmentation_inside_a_pipeline(images, y):
    pipeline = Pipeline(
        [("clf", small(augmentation=Augmentation(), n_augmented_copies=1))]
    )
    grid = {"clf__augmentation__rotation": [0, 90], "clf__n_augmented_copies": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(images, y)
    assert len(search.cv_results_["params"]) == 4


def test_clone_has_the_parameters_and_nothing_learned(images, y):
    fitted = small(l2=0.1).fit(images, y)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "classes_")


def test_pickle_predicts_the_same(images, y):
    fitted = small().fit(images, y)
    restored = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(
        restored.predict_proba(images), fitted.predict_proba(images)
    )
    assert restored.history_ == fitted.history_


# scikit-learn's callbacks --------------------------------------------------------


class Recorder:
    """Counts epochs, and asks to stop after so many."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.ended = []

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.ended.append(context.task_name)
        return self.ended.count("epoch") == self.stop_after

    def teardown(self, estimator, context):
        pass


@needs_callbacks
def test_each_epoch_of_both_stages_is_a_task(images, y):
    recorder = Recorder()
    two = small(epochs=3, fine_tune="Conv_1", fine_tune_epochs=2)
    two.set_callbacks(recorder).fit(images, y)
    assert recorder.ended.count("epoch") == 5
    # Each stage computes the outputs below it once, of 16 images by 4.
    assert recorder.ended.count("compute-features-of-batch") == 2 * 4


@needs_callbacks
@pytest.mark.parametrize(("stop_after", "per_stage"), [(2, [2]), (4, [3, 1])])
def test_a_callback_that_asks_to_stop_is_obeyed(images, y, stop_after, per_stage):
    two = small(epochs=3, fine_tune="Conv_1", fine_tune_epochs=2)
    two.set_callbacks(Recorder(stop_after)).fit(images, y)
    assert two.n_iter_per_stage_ == per_stage
    assert two.predict(images).shape == (16,)


@needs_callbacks
@pytest.mark.parametrize(
    "trainable", ["head", pytest.param("Conv_1", marks=pytest.mark.slow)]
)
def test_monitored_scores_are_those_of_shorter_fits(images, y, trainable):
    monitor = ScoringMonitor(scoring="neg_log_loss")
    settings = {"trainable": trainable, "learning_rate": 1e-2}
    small(epochs=2, **settings).set_callbacks(monitor).fit(images, y)
    logged = [
        row["neg_log_loss"]
        for row in monitor.get_logs().data
        if row["task_name"] == "epoch"
    ]
    shorter = [small(epochs=n, **settings).fit(images, y) for n in (1, 2)]
    expected = [-log_loss(y, fitted.predict_proba(images)) for fitted in shorter]
    np.testing.assert_allclose(logged, expected, rtol=1e-5)


@needs_callbacks
def test_callbacks_of_a_search_see_the_epochs_of_each_fit(images, y):
    monitor = ScoringMonitor(scoring="accuracy")
    network = small().set_callbacks(monitor)
    search = GridSearchCV(network, {"learning_rate": [1e-3, 1e-2]}, cv=2)
    search.set_callbacks(ProgressBar()).fit(images, y)
    logs = monitor.get_logs(select="all")
    epochs = [r for log in logs for r in log.data if r["task_name"] == "epoch"]
    assert len(epochs) == 2 * (2 * 2 + 1)  # 2 epochs of 2 x 2 fits and the last one


@needs_callbacks
def test_progress_bar_beside_lines_of_epochs(images, y, capfd):
    small(verbose=1).set_callbacks(ProgressBar()).fit(images, y)
    printed = capfd.readouterr().out
    assert "Epoch 2 of 2" in printed
    assert "TransferClassifier" in printed
