"""Kernels on histograms."""

import copy
import inspect
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import pairwise
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from skinest.kernels import chi2_kernel, histogram_intersection_kernel

KERNELS = [chi2_kernel, histogram_intersection_kernel]


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


def test_chi2_is_scikit_learn_s(histograms):
    X, Y = histograms[:12], histograms[12:]
    for Z in (None, Y):
        expected = pairwise.chi2_kernel(X, Z, gamma=0.5)
        np.testing.assert_array_equal(chi2_kernel(X, Z, gamma=0.5), expected)
    np.testing.assert_array_equal(chi2_kernel(X), pairwise.chi2_kernel(X))


def test_results_of_a_search_show_names_of_kernels(histograms):
    y = np.arange(30) % 2
    search = GridSearchCV(SVC(), {"kernel": KERNELS}, cv=2).fit(histograms, y)
    shown = [str(kernel) for kernel in search.cv_results_["param_kernel"]]
    assert shown == ["chi2_kernel", "histogram_intersection_kernel"]
    assert str(search.cv_results_["params"][0]) == "{'kernel': chi2_kernel}"
    assert repr(SVC(kernel=chi2_kernel)) == "SVC(kernel=chi2_kernel)"


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_copies_of_a_kernel_are_the_kernel(kernel):
    assert pickle.loads(pickle.dumps(kernel)) is kernel
    assert copy.deepcopy(kernel) is kernel
    assert clone(SVC(kernel=kernel)).kernel is kernel
    assert list(inspect.signature(kernel).parameters)[:2] == ["X", "Y"]


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_negative_values_are_refused(kernel, histograms):
    with pytest.raises(ValueError, match="do not standardise"):
        kernel(histograms - 0.5)
    with pytest.raises(ValueError, match="0 or more"):
        kernel(histograms, histograms - 0.5)
