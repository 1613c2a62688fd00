"""Probabilities for another prevalence than that of the training images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.naive_bayes import GaussianNB

from skinest.model_selection import adjust_priors, estimate_priors


def sample(n_images, prevalence, seed):
    """Return one feature whose distribution depends on the class only."""
    rng = np.random.default_rng(seed)
    y = (rng.uniform(size=n_images) < prevalence).astype(int)
    return rng.normal(2 * y, 1)[:, np.newaxis], y


def test_probabilities_are_those_of_a_classifier_that_knows_the_new_frequencies():
    X, y = sample(300, 0.5, 0)
    clf = GaussianNB(priors=[0.5, 0.5]).fit(X, y)
    knowing = GaussianNB(priors=[0.9, 0.1]).fit(X, y)
    adjusted = adjust_priors(clf.predict_proba(X), [0.5, 0.5], [0.9, 0.1])
    np.testing.assert_allclose(adjusted, knowing.predict_proba(X), atol=1e-12)


@pytest.mark.parametrize("prevalence", [0.05, 0.2, 0.7])
def test_the_prevalence_of_new_images_is_found(prevalence):
    clf = GaussianNB(priors=[0.6, 0.4]).fit(*sample(5000, 0.5, 0))
    X, y = sample(5000, prevalence, 1)
    found = estimate_priors(clf.predict_proba(X), [0.6, 0.4])
    assert found.sum() == pytest.approx(1)
    assert found[1] == pytest.approx(y.mean(), abs=0.015)


def test_three_classes_and_an_absent_one():
    y_proba = [[0.2, 0.3, 0.5], [0, 0, 1]]
    adjusted = adjust_priors(y_proba, [0.2, 0.3, 0.5], [0.5, 0.5, 0])
    # What was certain stays certain.
    np.testing.assert_allclose(adjusted, [[0.5, 0.5, 0], [0, 0, 1]])


def test_an_estimate_that_has_not_converged_is_warned_of():
    X, y = sample(200, 0.1, 0)
    y_proba = GaussianNB(priors=[0.5, 0.5]).fit(X, y).predict_proba(X)
    with pytest.warns(ConvergenceWarning, match="after 2 iterations"):
        estimate_priors(y_proba, [0.5, 0.5], max_iter=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.5, 0.6]], [0.5, 0.5], [0.5, 0.5]), "y_proba must have a column"),
        (([0.5, 0.3], [0.5, 0.5], [0.9, 0.1]), r"class: pass predict_proba\(X\)\.$"),
        ((np.array(0.5), [0.5, 0.5], [0.9, 0.1]), r"class: pass predict_proba\(X\)"),
        ((np.ones((0, 2)), [0.5, 0.5], [0.9, 0.1]), "0 sample"),
        (
            ([[0.5, 0.5]], {0: 0.5, 1: 0.5}, [0.5, 0.5]),
            "^priors must be a list in the order of classes_",
        ),
        (
            ([[0.5, 0.5]], [0.5, 0.5], {0.4, 0.6}),
            "^new_priors must be a list in the order of classes_",
        ),
        (([[1.5, -0.5]], [0.5, 0.5], [0.5, 0.5]), "y_proba must have a column"),
        (([[0.5, 0.5]], [1.0], [0.5, 0.5]), r"priors has the shape \(1,\)"),
        (
            ([[0.5, 0.5]], [0.5, 0.5], [5, 5]),
            r"new_priors=\[5, 5\] must be frequencies",
        ),
        (([[0.5, 0.5]], [1.0, 0.0], [0.5, 0.5]), "priors=.* has 0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        adjust_priors(*arguments)
