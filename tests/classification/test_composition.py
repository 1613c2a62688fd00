"""Transfer classifiers and bottleneck features inside scikit-learn's tools."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pickle
import subprocess
import sys

import cv2
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skinest import BottleneckFeatureExtractor, BoVWSIFTTransformer, SIFTDescriptor

from .conftest import bits, small

N_IMAGES = 16
Y = np.where(np.arange(N_IMAGES) % 2, "malignant", "benign")


def make_image(label, rng):
    """Stripes if malignant, squares if benign."""
    blocks = rng.uniform(size=(8, 8, 3))
    if label == "malignant":
        blocks[:] = blocks[:1]
    return (255 * blocks.repeat(6, axis=0).repeat(6, axis=1)).astype(np.uint8)


@pytest.fixture(scope="module")
def array():
    rng = np.random.RandomState(0)
    return np.array([make_image(label, rng) for label in Y])


@pytest.fixture(scope="module")
def paths(array, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    names = [str(folder / f"{i}.png") for i in range(N_IMAGES)]
    for name, image in zip(names, array, strict=True):
        cv2.imwrite(name, image[..., ::-1])
    return names


@pytest.fixture(scope="module")
def forms(array, paths):
    """The same images in forms that scikit-learn slices in ways of its own."""
    objects = np.empty(N_IMAGES, dtype=object)
    objects[:] = list(array)
    column = np.array(paths, dtype=object)[:, np.newaxis]
    return {"array": array, "paths": paths, "objects": objects, "column": column}


def transfer(**settings):
    """Learns from features of 16 small images what separates them."""
    settings = {"learning_rate": 0.03, "epochs": 10, "batch_size": 16, **settings}
    return small(**settings)


def features(**settings):
    settings = {"pooling": "avg", "image_size": (32, 32), "random_state": 0, **settings}
    return BottleneckFeatureExtractor("mobilenetv2", weights=None, **settings)


def linear(**settings):
    return make_pipeline(features(**settings), StandardScaler(), LogisticRegression())


def bovw():
    grid = SIFTDescriptor(detector="grid", grid_step=16, grid_sizes=(16,))
    words = BoVWSIFTTransformer(4, descriptor=grid, random_state=0)
    return CalibratedClassifierCV(make_pipeline(words, SVC()), ensemble=False, cv=2)


COMPOSITIONS = {
    "TransferClassifier": transfer,
    "LogisticRegression of features": linear,
    "Pipeline": lambda: make_pipeline("passthrough", transfer()),
    "CalibratedClassifierCV": lambda: CalibratedClassifierCV(
        transfer(), ensemble=False, cv=2
    ),
    "TunedThresholdClassifierCV": lambda: TunedThresholdClassifierCV(transfer(), cv=2),
    "FixedThresholdClassifier": lambda: FixedThresholdClassifier(
        transfer(), pos_label="malignant"
    ),
    "VotingClassifier": lambda: VotingClassifier(
        [("network", transfer()), ("words", bovw())], voting="soft"
    ),
    "StackingClassifier": lambda: StackingClassifier(
        [("network", transfer()), ("features", linear())], cv=2
    ),
}


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_each_composition_learns_from_each_form(name, forms):
    expected = None
    for X in forms.values():
        fitted = COMPOSITIONS[name]().fit(X, Y)
        values = fitted.predict_proba(X)
        assert values.shape == (N_IMAGES, 2)
        np.testing.assert_allclose(values.sum(axis=1), 1, rtol=1e-5)
        assert list(fitted.classes_) == ["benign", "malignant"]
        assert np.mean(fitted.predict(X) == Y) > 0.8
        if expected is not None:
            np.testing.assert_allclose(values, expected, atol=1e-6)
        expected = values


def test_calibration_of_a_fitted_network(array):
    fitted = transfer().fit(array, Y)
    before = bits(fitted)
    calibrated = CalibratedClassifierCV(FrozenEstimator(fitted)).fit(array, Y)
    assert bits(fitted) == before
    order = np.argsort(fitted.predict_proba(array)[:, 1])
    values = calibrated.predict_proba(array)[order, 1]
    assert (np.diff(values) >= 0).all()


def test_voting_is_the_mean_of_its_members(array):
    vote = COMPOSITIONS["VotingClassifier"]().fit(array, Y)
    members = [fitted.predict_proba(array) for fitted in vote.estimators_]
    alone = transfer().fit(array, vote.le_.transform(Y))
    np.testing.assert_array_equal(members[0], alone.predict_proba(array))
    mean = np.mean(members, axis=0)
    np.testing.assert_allclose(vote.predict_proba(array), mean, rtol=1e-6)


def test_tuned_threshold_is_obeyed(array):
    tuned = COMPOSITIONS["TunedThresholdClassifierCV"]().fit(array, Y)
    above = tuned.predict_proba(array)[:, 1] >= tuned.best_threshold_
    np.testing.assert_array_equal(tuned.predict(array) == "malignant", above)


def test_probabilities_of_cross_validation_are_those_of_each_fold(array):
    folds = StratifiedKFold(2)
    found = cross_val_predict(transfer(), array, Y, cv=folds, method="predict_proba")
    expected = np.empty_like(found)
    for train, test in folds.split(array, Y):
        fitted = transfer().fit(array[train], Y[train])
        expected[test] = fitted.predict_proba(array[test])
    np.testing.assert_array_equal(found, expected)
    predicted = cross_val_predict(transfer(), array, Y, cv=2)
    columns = np.array(["benign", "malignant"])
    np.testing.assert_array_equal(predicted, columns[found.argmax(axis=1)])
    # Folds are stratified for what is a classifier.
    scores = cross_val_score(transfer(), array, Y, cv=2)
    assert scores == pytest.approx(
        [np.mean(predicted[test] == Y[test]) for _, test in folds.split(array, Y)]
    )


def test_several_metrics_and_classes(array):
    y = np.array(["nevus", "melanoma", "keratosis", "nevus"] * 4)
    metrics = ["accuracy", "balanced_accuracy", "roc_auc_ovr", "neg_log_loss"]
    results = cross_validate(transfer(epochs=2), array, y, cv=2, scoring=metrics)
    for metric in metrics:
        assert np.isfinite(results[f"test_{metric}"]).all()


def test_search_in_processes_is_search_in_one(paths):
    """Settings of the head and of the backbone's stage, of a step in a Pipeline."""
    grid = [
        {"clf__learning_rate": [0.03, 0.001]},
        {"clf__trainable": ["Conv_1"], "clf__epochs": [1]},
    ]
    searches = [
        GridSearchCV(
            Pipeline([("clf", transfer(dropout=0.5))]),
            grid,
            cv=2,
            n_jobs=n_jobs,
            scoring="neg_log_loss",
            error_score="raise",
        ).fit(paths, Y)
        for n_jobs in (1, 2)
    ]
    here, there = searches
    for key in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(here.cv_results_[key], there.cv_results_[key])
        assert len(set(here.cv_results_[key])) == 3
    np.testing.assert_array_equal(here.predict_proba(paths), there.predict_proba(paths))


def test_search_over_the_network_before_a_linear_classifier(paths, tmp_path):
    grid = {
        "bottleneckfeatureextractor__pooling": ["avg", "max"],
        "logisticregression__C": [0.1, 10],
    }
    search = GridSearchCV(
        linear(memory=str(tmp_path)), grid, cv=2, error_score="raise"
    ).fit(paths, Y)
    assert len(list(tmp_path.rglob("output.pkl"))) == 2 * N_IMAGES
    assert search.score(paths, Y) > 0.8


def test_clones_know_settings_and_nothing_learned(array):
    fitted = transfer(class_weight="balanced", hidden_units=(4,)).fit(array, Y)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "classes_")
    assert not hasattr(copy, "_state")
    assert bits(copy.fit(array, Y)) == bits(fitted)


LOAD = """
import pickle, sys
import numpy as np
loaded = pickle.load(open(sys.argv[1], "rb"))
np.save(sys.argv[3], loaded.predict_proba(np.load(sys.argv[2])))
"""


def test_pickles_predict_the_same_in_another_process(array, tmp_path):
    network = transfer(trainable="Conv_1", epochs=1, hidden_units=(4,))
    both = VotingClassifier(
        [("network", network), ("features", linear())], voting="soft"
    ).fit(array, Y)
    (tmp_path / "fitted.pkl").write_bytes(pickle.dumps(both))
    np.save(tmp_path / "images.npy", array)
    names = [str(tmp_path / name) for name in ("fitted.pkl", "images.npy", "out.npy")]
    subprocess.run([sys.executable, "-c", LOAD, *names], check=True)
    expected = both.predict_proba(array)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)


@pytest.mark.parametrize("settings", [{}, {"trainable": "Conv_1"}], ids=str)
def test_pickles_hold_weights_and_no_optimizer(settings, array):
    fitted = transfer(epochs=1, hidden_units=(16,), **settings).fit(array, Y)
    assert fitted.model_.count_params() == 2_257_984 + 1281 * 16 + 17
    content = pickle.dumps(fitted)  # though the model has been built
    assert len(content) == pytest.approx(4 * fitted.model_.count_params(), rel=0.01)
    loaded = pickle.loads(content)
    assert bits(loaded) == bits(fitted)
    assert loaded.history_ == fitted.history_
    np.testing.assert_array_equal(
        loaded.predict_proba(array), fitted.predict_proba(array)
    )
