"""Kernels on histograms."""

import pickle

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from skinest.kernels import histogram_intersection_kernel


@pytest.fixture
def histograms():
    return np.random.default_rng(0).dirichlet(np.ones(9), size=30)


def test_it_is_the_sum_of_minima(histograms):
    X, Y = histograms[:12], histograms[12:]
    expected = np.minimum(X[:, np.newaxis], Y).sum(axis=-1)
    np.testing.assert_allclose(histogram_intersection_kernel(X, Y), expected)
    own = np.minimum(X[:, np.newaxis], X).sum(axis=-1)
    np.testing.assert_allclose(histogram_intersection_kernel(X), own)
    single = histogram_intersection_kernel(X.astype(np.float32), Y.astype(np.float32))
    np.testing.assert_allclose(single, expected, atol=1e-6)


def test_it_is_a_kernel(histograms):
    values = np.linalg.eigvalsh(histogram_intersection_kernel(histograms))
    assert values.min() > -1e-10


def test_it_is_a_kernel_of_svc_through_pickle_and_loky(histograms):
    y = (histograms[:, 0] > np.median(histograms[:, 0])).astype(int)
    svc = SVC(kernel=histogram_intersection_kernel).fit(histograms, y)
    precomputed = SVC(kernel="precomputed").fit(
        np.minimum(histograms[:, np.newaxis], histograms).sum(axis=-1), y
    )
    expected = precomputed.decision_function(
        np.minimum(histograms[:, np.newaxis], histograms).sum(axis=-1)
    )
    np.testing.assert_allclose(svc.decision_function(histograms), expected, atol=1e-6)
    reloaded = pickle.loads(pickle.dumps(svc))
    np.testing.assert_array_equal(reloaded.predict(histograms), svc.predict(histograms))
    with joblib.parallel_config("loky"):
        search = GridSearchCV(
            SVC(), {"kernel": [histogram_intersection_kernel, "linear"]}, n_jobs=2
        ).fit(histograms, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_negative_values_are_refused(histograms):
    with pytest.raises(ValueError, match="do not standardise"):
        histogram_intersection_kernel(histograms - 0.5)
    with pytest.raises(ValueError, match="0 or more"):
        histogram_intersection_kernel(histograms, histograms - 0.5)
