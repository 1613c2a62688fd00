"""Combine the probabilities of several classifiers by a vote and by a stack."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from itertools import combinations

import _examples  # noqa: F401, which finds the folder of the examples
import numpy as np
from _task2 import METRICS, score
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from skinest.model_selection import adjust_priors, compare


def vote(probabilities):
    """Return the mean of the probabilities of members: a soft vote."""
    return np.mean(list(probabilities.values()), axis=0)


def as_features(probabilities):
    """Return the logarithms of the probabilities side by side."""
    return np.log(np.clip(np.hstack(list(probabilities.values())), 1e-6, 1))


def combine(held_out, tested, y, groups, priors):
    """Return the probabilities of members, votes and stack, for validation and test.

    The stack is trained on the validation images. Its probabilities for them are by
    cross-validation.

    Parameters
    ----------
    held_out, tested : dict of str to ndarray of shape (n_images, n_classes)
        Probabilities of each member for the validation and the test images.

    y, groups : ndarray of shape (n_validation_images,)
        Labels and lesions of the validation images.

    priors : tuple of ndarray of shape (n_classes,)
        Class frequencies that the members have learned, and those to adjust a vote to.
    """
    stack = LogisticRegression(C=0.1, max_iter=1000)
    left_out = cross_val_predict(
        stack,
        as_features(held_out),
        y,
        groups=groups,
        cv=StratifiedGroupKFold(5, shuffle=True, random_state=0),
        method="predict_proba",
    )
    stack.fit(as_features(held_out), y)
    of_validation, of_test = (add_votes(each, priors) for each in (held_out, tested))
    rows = {name: (of_validation[name], of_test[name]) for name in of_test}
    rows["stack"] = left_out, stack.predict_proba(as_features(tested))
    return rows


def add_votes(probabilities, priors) -> dict:
    """Return the probabilities of members and of their votes.

    Parameters
    ----------
    probabilities : dict of str to ndarray of shape (n_images, n_classes)
        Probabilities of each member.

    priors : tuple of ndarray of shape (n_classes,)
        Class frequencies that the members have learned, and those to adjust a vote to.
    """
    together = vote(probabilities)
    return {
        **probabilities,
        "soft vote": together,
        "soft vote, adjusted": adjust_priors(together, *priors),
    }


def score_all(held_out, tested, validation, test, priors):
    """Return scores of members, votes and stack, and what each member adds to a vote.

    Parameters
    ----------
    held_out, tested : dict of str to ndarray of shape (n_images, n_classes)
        Probabilities of each member for the validation and the test images.

    validation, test : tuple of (y, groups)
        Labels and lesions.

    priors : tuple of ndarray of shape (n_classes,)
        Class frequencies that the members have learned, and those to adjust a vote to.
    """
    rows = combine(held_out, tested, *validation, priors)
    results = score_rows({name: of_test for name, (_, of_test) in rows.items()}, *test)
    for name, (of_validation, _) in rows.items():
        predicted = of_validation.argmax(axis=1)
        results[name]["validation"] = {
            metric: function(validation[0], predicted)
            for metric, function in METRICS.items()
        }
    chosen = max(results, key=lambda name: mean_of(results[name]["validation"]))
    return {"rows": results, "chosen": chosen, "adds": list_gains(tested, *test)}


def score_votes(tested, test, priors):
    """Return scores of members and votes, and what each member adds to a vote.

    For the arguments see :func:`score_all`.
    """
    rows = score_rows(add_votes(tested, priors), *test)
    return {"rows": rows, "adds": list_gains(tested, *test)}


def score_rows(rows, y, groups):
    """Return the scores of probabilities by name."""
    return {
        name: score(y, found.argmax(axis=1), groups) for name, found in rows.items()
    }


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
