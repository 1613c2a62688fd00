"""Combine the probabilities of several classifiers by a vote and by a stack."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from itertools import combinations

import _examples  # noqa: F401, which finds the folder of the examples
import numpy as np
from _task2 import METRICS, score, weigh_classes
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from skinest.model_selection import compare


def vote(probabilities):
    """Return the mean of the probabilities of members: a soft vote."""
    return np.mean(list(probabilities.values()), axis=0)


def as_features(probabilities):
    """Return the logarithms of the probabilities side by side."""
    return np.log(np.clip(np.hstack(list(probabilities.values())), 1e-6, 1))


class WeightedVote(ClassifierMixin, BaseEstimator):
    """Multiply the probabilities of a soft vote by weights of the classes.

    The weights are powers of those of `weigh_classes`. With negative powers, rare
    classes are predicted less often. `fit` chooses the power.
    """

    powers = np.linspace(-1, 1, 9)

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        balanced = np.array(list(weigh_classes(y, 1).values()))
        candidates = [balanced**power for power in self.powers]
        self.weights_ = max(candidates, key=lambda each: mean_of(measure(y, X * each)))
        return self

    def predict_proba(self, X):
        weighted = X * self.weights_
        return weighted / weighted.sum(axis=1, keepdims=True)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def combine(held_out, tested, y, groups):
    """Return the probabilities of members, votes and stack, for validation and test.

    The weighted vote and the stack are trained on the validation images. Their
    probabilities for these images are by cross-validation.

    Parameters
    ----------
    held_out, tested : dict of str to ndarray of shape (n_images, n_classes)
        Probabilities of each member for the validation and the test images.

    y, groups : ndarray of shape (n_validation_images,)
        Labels and lesions of the validation images.
    """
    rows = {name: (held_out[name], tested[name]) for name in held_out}
    rows["soft vote"] = vote(held_out), vote(tested)
    for name, (model, prepare) in COMBINATIONS.items():
        left_out = cross_val_predict(
            model,
            prepare(held_out),
            y,
            groups=groups,
            cv=StratifiedGroupKFold(5, shuffle=True, random_state=0),
            method="predict_proba",
        )
        model = clone(model).fit(prepare(held_out), y)
        rows[name] = left_out, model.predict_proba(prepare(tested))
    return rows


COMBINATIONS = {
    "weighted vote": (WeightedVote(), vote),
    "stack": (LogisticRegression(C=0.1, max_iter=1000), as_features),
}


def score_all(held_out, tested, validation, test):
    """Return scores of members, votes and stack, and what each adds to the soft vote.

    Parameters
    ----------
    held_out, tested : dict of str to ndarray of shape (n_images, n_classes)
        Probabilities of each member for the validation and the test images.

    validation, test : tuple of (y, groups)
        Labels and lesions.
    """
    rows, results = combine(held_out, tested, *validation), {}
    for name, (of_validation, of_test) in rows.items():
        results[name] = {
            **score(test[0], of_test.argmax(axis=1), test[1]),
            "validation": measure(validation[0], of_validation),
        }
    chosen = max(results, key=lambda name: mean_of(results[name]["validation"]))
    return {"rows": results, "chosen": chosen, "adds": list_gains(tested, *test)}


def measure(y, probabilities):
    """Return the scores of the most probable classes."""
    predicted = probabilities.argmax(axis=1)
    return {name: function(y, predicted) for name, function in METRICS.items()}


def mean_of(scores):
    """Return the mean of accuracy and macro F1, by which the best row is chosen."""
    return np.mean([scores[name] for name in ("accuracy", "macro F1")])


def list_gains(tested, y, groups, n_samples=1000):
    """Return what each member adds to the vote of the others, with intervals."""
    together = vote(tested).argmax(axis=1)
    return {
        name: {
            metric: list(
                compare(
                    function,
                    y,
                    together,
                    vote(others).argmax(axis=1),
                    groups=groups,
                    n_resamples=n_samples,
                    random_state=0,
                )
            )
            for metric, function in METRICS.items()
        }
        for others in map(dict, combinations(tested.items(), len(tested) - 1))
        for name in tested.keys() - others.keys()
    }
