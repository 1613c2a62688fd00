"""Packages for fairness, conformal sets and calibration take what skinest makes."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.calibration import CalibrationDisplay
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skinest import BoVWSIFTTransformer, ColorPatchDescriptor
from skinest.metrics import net_benefit, sensitivity_at_specificity

N = 90


@pytest.fixture(scope="module")
def images():
    """Return images whose brightness tells the class of most of them."""
    rng = np.random.default_rng(0)
    y = np.arange(N) % 3
    X = rng.integers(0, 100, (N, 16, 16, 3)) + 40 * y[:, None, None, None]
    X += rng.integers(0, 60, (N, 1, 1, 1))
    return X.astype(np.uint8), np.array(["bcc", "mel", "nv"])[y]


@pytest.fixture(scope="module")
def pipeline(images):
    X, y = images
    bovw = BoVWSIFTTransformer(6, descriptor=ColorPatchDescriptor(), random_state=0)
    return make_pipeline(bovw, LogisticRegression(C=100)).fit(X[:30], y[:30])


def test_metrics_in_a_metric_frame_of_fairlearn(images, pipeline):
    metrics = pytest.importorskip("fairlearn.metrics")
    X, y = images
    is_melanoma = y == "mel"
    proba = pipeline.predict_proba(X)[:, 1]
    sex = np.where(np.arange(N) % 2, "female", "male")
    given = {
        "sensitivity": partial(sensitivity_at_specificity, specificity=0.6),
        "net benefit": partial(net_benefit, threshold=0.3),
    }
    frame = metrics.MetricFrame(
        metrics=given, y_true=is_melanoma, y_pred=proba, sensitive_features=sex
    )
    for name, metric in given.items():
        assert_allclose(frame.overall[name], metric(is_melanoma, proba))
        for group in ("female", "male"):
            chosen = sex == group
            expected = metric(is_melanoma[chosen], proba[chosen])
            assert_allclose(frame.by_group.loc[group, name], expected)


@pytest.mark.parametrize("as_list", [False, True], ids=["array", "list"])
def test_a_fitted_pipeline_in_a_conformal_classifier_of_mapie(
    images, pipeline, as_list
):
    """Sets of a greater confidence have more labels and cover more images."""
    classification = pytest.importorskip("mapie.classification")
    X, y = images
    X = list(X) if as_list else X
    conformal = classification.SplitConformalClassifier(
        pipeline, confidence_level=[0.5, 0.9], prefit=True
    )
    conformal.conformalize(X[30:60], y[30:60])
    labels, sets = conformal.predict_set(X[60:])
    np.testing.assert_array_equal(labels, pipeline.predict(X[60:]))
    assert sets.shape == (30, 3, 2)
    columns = np.searchsorted(pipeline.classes_, y[60:])
    covered = sets[np.arange(30), columns]
    half, most = covered.mean(axis=0)
    assert 0.3 < half <= most
    assert most > 0.75
    assert sets[..., 0].sum() < sets[..., 1].sum()


def make_rare_class(rng, n_images):
    """Return images of which a tenth is of a class between the two others."""
    y = rng.choice(["bcc", "mel", "nv"], n_images, p=[0.45, 0.1, 0.45])
    level = np.select([y == "bcc", y == "mel"], [60, 100], 140)
    level = level + rng.normal(scale=20, size=n_images)
    X = np.clip(level, 0, 255)[:, None, None, None] * np.ones((1, 8, 8, 3))
    return X.astype(np.uint8), y


def test_conformal_sets_by_class_cover_a_rare_class_and_single_ones_are_right():
    """One conformal classifier for each class, as in the guide."""
    classification = pytest.importorskip("mapie.classification")
    rng = np.random.default_rng(0)
    bovw = BoVWSIFTTransformer(
        8, descriptor=ColorPatchDescriptor(grid_step=4), random_state=0
    )
    classifier = make_pipeline(bovw, LogisticRegression(C=100))
    classifier.fit(*make_rare_class(rng, 100))
    (X, y), (X_test, y_test) = make_rare_class(rng, 300), make_rare_class(rng, 300)

    def predict_sets(chosen):
        conformal = classification.SplitConformalClassifier(
            classifier, confidence_level=0.8, prefit=True
        )
        labels, sets = conformal.conformalize(X[chosen], y[chosen]).predict_set(X_test)
        return labels, sets[..., 0]

    labels, together = predict_sets(y == y)
    by_class = np.column_stack(
        [
            predict_sets(y == label)[1][:, column]
            for column, label in enumerate(classifier.classes_)
        ]
    )
    covered = {}
    columns = np.searchsorted(classifier.classes_, y_test)
    for name, sets in {"together": together, "by class": by_class}.items():
        is_covered = sets[np.arange(300), columns]
        assert 0.7 < is_covered.mean() < 0.95
        covered[name] = [is_covered[y_test == label].mean() for label in np.unique(y)]
    assert covered["together"][1] < 0.5
    assert min(covered["by class"]) > 0.65
    is_right, is_answer = labels == y_test, by_class.sum(axis=1) == 1
    assert 0.2 < is_answer.mean() < 0.95
    assert is_right[is_answer].mean() > is_right[~is_answer].mean()


def test_calibration_display_of_a_pipeline_on_images(images, pipeline):
    X, y = images
    display = CalibrationDisplay.from_estimator(
        clone(pipeline).fit(X, y == "mel"),
        list(X),
        y == "mel",
        n_bins=4,
    )
    assert len(display.prob_true) > 1
