"""Predictions of each fold, as the metrics of scorers get them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import functools
from typing import Any, NamedTuple

import sklearn
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.utils import indexable
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.parallel import Parallel, delayed

from .._compat import replace_metric
from ..utils._checks import select_items, select_params
from ._scorers import check_methods
from ._weighted_score import Metric, read_metric


class Predicted(NamedTuple):
    """True labels or masks and predictions of test images, and their metric."""

    metric: Metric
    y_true: Any
    y_pred: Any


class _Recorder:
    """Stand-in for the metric of a scorer, which remembers its arguments."""

    def __init__(self, metric):
        self.metric = metric
        self.recorded = None
        # Metadata routing reads which parameters the metric has.
        functools.update_wrapper(self, metric.function, updated=())

    def __call__(self, y_true, y_pred, **options):
        self.recorded = Predicted(self.metric._replace(options=options), y_true, y_pred)
        return 0.0


def predict_folds(name, estimator, X, y, folds, scorers, params, n_jobs):
    """Fit clones of an estimator to the training images of folds, and predict the rest.

    `cross_validate` of scikit-learn returns scores only, and a bootstrap needs the
    predictions that each scorer chooses.

    Parameters
    ----------
    name : str
        Name of the estimator in error messages.

    estimator : estimator
        The estimator.

    X, y : sequence of length n_images
        Images, and labels or masks.

    folds : list of (train, test)
        Positions of the training and the test images.

    scorers : dict of str to scorer
        Scorers by name.

    params : dict or None
        Arguments of ``fit``, or with metadata routing also of the scorers.

    n_jobs : int or None
        Number of folds that are computed in parallel.

    Returns
    -------
    predicted : dict of str to list of Predicted
        For each scorer, what its metric gets in each fold.
    """
    X, y = indexable(X, y)
    fit_params, score_params = _route(estimator, scorers, params or {})
    by_fold = Parallel(n_jobs=n_jobs)(
        delayed(_predict_fold)(
            name, clone(estimator), X, y, fold, scorers, fit_params, score_params
        )
        for fold in folds
    )
    return {name: [each[name] for each in by_fold] for name in scorers}


def _route(estimator, scorers, params):
    """Return the arguments of ``fit`` and those of the scorers."""
    if not sklearn.get_config()["enable_metadata_routing"]:
        return params, {}
    router = MetadataRouter(owner="cross_val_table")
    router.add(
        estimator=estimator,
        method_mapping=MethodMapping().add(caller="fit", callee="fit"),
    )
    router.add(
        scorer=check_scoring(estimator, scorers),
        method_mapping=MethodMapping().add(caller="fit", callee="score"),
    )
    routed = process_routing(router, "fit", **params)
    return routed.estimator.fit, routed.scorer.score


def _predict_fold(name, estimator, X, y, fold, scorers, fit_params, score_params):
    """Return what the metric of each scorer gets for the test images of a fold."""
    recorders = {key: _Recorder(read_metric(each)) for key, each in scorers.items()}
    spies = {key: replace_metric(scorers[key], recorders[key]) for key in scorers}
    train, test = fold

    def select(params, rows):
        of_rows = select_params(params, rows, len(y))
        return select_items(X, rows), select_items(y, rows), of_rows

    X_train, y_train, fit_params = select(fit_params, train)
    estimator.fit(X_train, y_train, **fit_params)
    check_methods(name, estimator, scorers)
    X_test, y_test, score_params = select(score_params, test)
    # Scorers together predict once, and each predicts on its own.
    check_scoring(estimator, spies)(estimator, X_test, y_test, **score_params)
    return {key: recorder.recorded for key, recorder in recorders.items()}
