"""Errors are explained by a display that is made for the classifier."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from types import SimpleNamespace

import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skinest import BoVWSIFTTransformer, SIFTDescriptor
from skinest._report._explanations import explain_errors
from tests.report.pages import IMAGES, LABELS, Brightness

GRID = SIFTDescriptor(detector="grid", grid_step=8, grid_sizes=(8,))


class LabelsOnly(ClassifierMixin, BaseEstimator):
    """Classifier that has labels, but no scores."""

    def fit(self, X, y):
        self.classes_ = [0, 1]
        return self

    def predict(self, X):
        return [0] * len(X)


def explain(estimator):
    study = SimpleNamespace(estimator=estimator, name_image="image {}".format)
    return explain_errors(study, {7: IMAGES[0], 3: IMAGES[39]})


@pytest.mark.parametrize("encoding", ["histogram", "vlad"])
def test_words_are_shown_where_the_encoding_counts_them(encoding):
    words = BoVWSIFTTransformer(
        4, descriptor=GRID, encoding=encoding, n_components=None, random_state=0
    )
    pipeline = make_pipeline(words, LinearSVC()).fit(IMAGES[::4], LABELS[::4])
    search = GridSearchCV(pipeline, {}, cv=2)
    search.best_estimator_ = pipeline
    pictures, remark = explain(search)
    name = "Visual words" if encoding == "histogram" else "Occlusion"
    assert [*pictures] == [7, 3]
    assert pictures[7][0].alt.startswith(f"{name} of image 7")
    assert ("visual words" in remark) == (encoding == "histogram")


def test_other_classifiers_are_explained_by_occlusion():
    pictures, _ = explain(Brightness().fit(None, [0, 1]))
    assert pictures[3][0].alt.startswith("Occlusion of image 3")
    assert pictures[3][0].source.startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize("kind", [LabelsOnly, LogisticRegression])
def test_classifiers_without_scores_or_for_other_data_are_not_explained(kind):
    pictures, remark = explain(kind())
    assert pictures == {}
    assert remark.startswith(f"{kind.__name__} has no display")
