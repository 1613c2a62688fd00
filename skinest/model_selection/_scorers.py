"""Scorers of tables of scores."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from collections.abc import Mapping
from numbers import Real

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.metrics import get_scorer, make_scorer
from sklearn.pipeline import Pipeline

from .._compat import read_scorer
from ._weighted_score import read_metric, split_partial

FEWER_FOLDS = (
    "If a fold has no images of a class, use fewer folds, a stratified splitter or "
    'average="pooled".'
)


def read_scorers(scoring) -> dict:
    """Return scorers by their names.

    Parameters
    ----------
    scoring : str, scorer, list of str, or dict of str to scorer
        One or several scorers. A single scorer has the name of its metric.

    Returns
    -------
    scorers : dict of str to scorer

    Raises
    ------
    TypeError
        If a scorer was not created by :func:`~sklearn.metrics.make_scorer`.
    ValueError
        If there is no scorer, or a name is unknown.
    """
    if isinstance(scoring, str):
        scoring = [scoring]
    if callable(scoring):
        scoring = {read_metric(scoring).name: scoring}
    elif not isinstance(scoring, Mapping):
        scoring = dict(zip(scoring, scoring, strict=True))
    if not scoring:
        raise ValueError("scoring is empty. Pass the name of a scorer.")
    scorers = {name: get_scorer(scorer) for name, scorer in scoring.items()}
    for name, scorer in scorers.items():
        if read_scorer(scorer) is None:
            raise TypeError(
                f"The scorer {name!r} was not created by make_scorer, so its metric is "
                "not known. Pass make_scorer(metric) or the name of a scorer."
            )
    return scorers


def list_methods(scorer) -> list:
    """Return the methods of which a scorer needs one."""
    *_, methods = read_scorer(scorer)
    return [methods] if isinstance(methods, str) else list(methods)


def check_methods(name, estimator, scorers):
    """Raise ValueError if an estimator has no method that a scorer needs."""
    for score, scorer in scorers.items():
        methods = list_methods(scorer)
        if not any(hasattr(estimator, method) for method in methods):
            raise ValueError(
                f"The score {score!r} cannot be computed for estimators[{name!r}], "
                f"which has none of the methods that it needs: {', '.join(methods)}."
            )


def has_known_methods(estimator) -> bool:
    """Return whether an estimator has all its methods before it is fitted.

    Estimators that contain others, such as
    :class:`~sklearn.ensemble.StackingClassifier`, may have more of them afterwards.
    """
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    params = estimator.get_params() if hasattr(estimator, "get_params") else {}
    return not any(hasattr(value, "fit") for value in params.values())


class _Chance(DummyClassifier):
    """Classifier with all methods of scorers, whose outputs differ between images.

    With the same outputs for all images, some metrics are not defined.
    """

    def predict_proba(self, X):
        rng = np.random.default_rng(0)
        return rng.dirichlet(np.ones(len(self.classes_)), len(X))

    def decision_function(self, X):
        probabilities = self.predict_proba(X)
        return probabilities[:, 1] if len(self.classes_) == 2 else probabilities

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def check_scorers(scorers, y):
    """Raise ValueError if a scorer cannot be computed for labels.

    Parameters
    ----------
    scorers : dict of str to scorer
        Scorers by name.

    y : ndarray of shape (n_images,)
        Labels.
    """
    for name, scorer in scorers.items():
        _, fault = _score_chance(scorer, y, y)
        if fault:
            labels = np.unique(y).tolist()
            raise ValueError(
                f"The score {name!r} cannot be computed for the labels {labels}: "
                f"{fault}.{_advise(scorer, y)}"
            )


def check_scorers_of_folds(scorers, y, folds):
    """Raise ValueError if a scorer cannot be computed for the labels of a fold.

    Scores of predicted labels are left out, since they can depend on the predictions.

    Parameters
    ----------
    scorers : dict of str to scorer
        Scorers by name.

    y : ndarray of shape (n_images,)
        Labels.

    folds : list of (train, test)
        Positions of the training and the test images.
    """
    for name, scorer in scorers.items():
        if read_metric(scorer).takes_labels:
            continue
        for number, (train, test) in enumerate(folds):
            score, fault = _score_chance(scorer, y[train], y[test])
            if isinstance(score, Real) and np.isnan(score):
                fault = "It is NaN"
            if fault:
                raise ValueError(
                    f"The score {name!r} cannot be computed in fold {number}, which "
                    f"tests images with the labels {np.unique(y[test]).tolist()}: "
                    f"{fault}. {FEWER_FOLDS}"
                )


def _score_chance(scorer, y_train, y_test):
    """Score a classifier that knows the labels of training images, but no image.

    Returns
    -------
    score : float or None
        The score. None if it cannot be computed.

    fault : str
        Why it cannot be computed, without a full stop, or an empty text.
    """
    X_train, X_test = (np.zeros((len(each), 1)) for each in (y_train, y_test))
    chance = _Chance().fit(X_train, y_train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scores that are not defined by chance
        try:
            return scorer(chance, X_test, y_test), ""
        except ValueError as error:
            return None, str(error).rstrip(".") or "ValueError"


def _advise(scorer, y) -> str:
    """Return how to create a scorer with a positive class, if it is what lacks."""
    _, sign, _, methods = read_scorer(scorer)
    metric = read_metric(scorer)
    function, options = split_partial(metric)
    options["pos_label"] = np.unique(y).tolist()[0]
    if sign < 0:
        options["greater_is_better"] = False
    if methods != "predict":
        options["response_method"] = methods
    try:
        _, fault = _score_chance(make_scorer(function, **options), y, y)
    except TypeError:  # the metric has no pos_label
        return ""
    if fault:  # it lacks something else
        return ""
    arguments = ", ".join(f"{key}={value!r}" for key, value in options.items())
    return f" Choose the positive class, as in make_scorer({metric.name}, {arguments})."
