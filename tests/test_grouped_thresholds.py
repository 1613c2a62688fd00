"""Thresholds and calibration by folds that keep lesions together.

scikit-learn's estimators for them pass groups to the splitter in some cases only. The
guide page on model selection lists what works, and this file checks it.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    StratifiedGroupKFold,
    TunedThresholdClassifierCV,
    cross_validate,
)
from sklearn.pipeline import make_pipeline

from skinest import BoVWSIFTTransformer, ColorPatchDescriptor

GROUPS = np.repeat(np.arange(10), 3)
Y = np.repeat([0, 1] * 5, 3)
BY_LESION = StratifiedGroupKFold(2)
X = np.random.default_rng(0).integers(0, 256, (30, 24, 24, 3), dtype=np.uint8)
FOLDS = list(BY_LESION.split(X, Y, GROUPS))
ESTIMATORS = {
    "threshold": TunedThresholdClassifierCV,
    "calibrated pairs": CalibratedClassifierCV,
    "calibrated once": lambda *given, **options: CalibratedClassifierCV(
        *given, **options, ensemble=False
    ),
}


class NeedsGroups(ClassifierMixin, BaseEstimator):
    """A classifier whose `fit` needs the lesion of each image."""

    def fit(self, X, y, *, groups=None):
        assert len(groups) == len(X)
        self.words_ = words().fit(X, y)
        self.classes_ = self.words_.classes_
        return self

    def predict_proba(self, X):
        return self.words_.predict_proba(X)

    def predict(self, X):
        return self.words_.predict(X)

    def decision_function(self, X):
        return self.words_.decision_function(X)


def words():
    descriptor = ColorPatchDescriptor()
    bovw = BoVWSIFTTransformer(4, descriptor=descriptor, random_state=0)
    return make_pipeline(bovw, LogisticRegression())


@pytest.fixture(scope="module", params=ESTIMATORS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def by_folds(kind):
    """Return the estimator that was fitted with computed folds."""
    return ESTIMATORS[kind](words(), cv=FOLDS).fit(X, Y)


def assert_same(one, other):
    assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert getattr(one, "best_threshold_", 0) == getattr(other, "best_threshold_", 0)


def test_routing_gives_groups_to_the_splitter(kind, by_folds):
    if kind == "calibrated once":
        pytest.skip("scikit-learn passes no groups to the splitter")
    with config_context(enable_metadata_routing=True):
        routed = ESTIMATORS[kind](words(), cv=BY_LESION).fit(X, Y, groups=GROUPS)
    assert_same(routed, by_folds)


def test_routing_gives_groups_to_a_classifier_too(kind, by_folds):
    with config_context(enable_metadata_routing=True):
        classifier = NeedsGroups().set_fit_request(groups=True)
        routed = ESTIMATORS[kind](classifier, cv=BY_LESION).fit(X, Y, groups=GROUPS)
    assert_same(routed, by_folds)


def test_routing_gives_groups_to_inner_folds(kind):
    with config_context(enable_metadata_routing=True):
        classifier = NeedsGroups().set_fit_request(groups=True)
        results = cross_validate(
            ESTIMATORS[kind](classifier, cv=BY_LESION),
            *(X, Y),
            cv=BY_LESION,
            params={"groups": GROUPS},
            error_score="raise",
            return_estimator=True,
        )
    train, _ = FOLDS[0]
    folds = list(BY_LESION.split(X[train], Y[train], GROUPS[train]))
    expected = ESTIMATORS[kind](words(), cv=folds).fit(X[train], Y[train])
    assert_same(results["estimator"][0], expected)
