"""Cross-validation of several models on the same folds, in one table."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import numbers
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import sklearn
from sklearn.base import is_classifier
from sklearn.model_selection import (
    GroupKFold,
    StratifiedGroupKFold,
    check_cv,
)
from sklearn.utils.multiclass import type_of_target

from .._compat import StrOptions, validate_params
from ..utils._checks import check_groups, check_installed
from ._constant_scores import (
    Part,
    find_limits,
    find_limits_of_difference,
    find_plausible_scores,
)
from ._fold_predictions import Predicted, predict_folds
from ._group_bootstrap import (
    GroupBootstrap,
    bca_limits,
    find_share_below_zero,
    has_no_width,
)
from ._intervals import CONSTRAINTS
from ._scorers import (
    FEWER_FOLDS,
    check_methods,
    check_scorers,
    check_scorers_of_folds,
    has_known_methods,
    read_scorers,
)
from ._weighted_score import (
    as_items,
    count_images,
    has_labels,
    join_items,
    list_classes,
    make_weighted_score,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

    from .._typing import ImagesLike, RandomStateLike, TargetLike

_COLUMNS = ["estimate", "low", "high"]
_COLUMNS += ["difference", "difference_low", "difference_high", "share_below_zero"]


@validate_params(
    {
        **{name: CONSTRAINTS[name] for name in CONSTRAINTS if name != "sample_weight"},
        "estimators": [Mapping, list, tuple],
        "scoring": [str, callable, list, tuple, Mapping],
        "cv": ["cv_object"],
        "average": [StrOptions({"foldwise", "pooled"})],
        "params": [dict, None],
        "n_jobs": [numbers.Integral, None],
    },
    prefer_skip_nested_validation=False,
)
def cross_val_table(
    estimators: Mapping[str, Any] | Sequence[tuple[str, Any]],
    X: ImagesLike,
    y: TargetLike,
    *,
    scoring: Any,
    groups: ArrayLike | None = None,
    cv: Any = None,
    average: Literal["foldwise", "pooled"] = "foldwise",
    params: dict[str, Any] | None = None,
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    n_jobs: int | None = None,
    random_state: RandomStateLike = None,
) -> pd.DataFrame:
    """Cross-validate several estimators on the same folds, with intervals.

    The table has the score of each estimator with its interval, and the difference to
    the first estimator with the interval of the difference.

    Parameters
    ----------
    estimators : dict of str to estimator, or list of (str, estimator)
        The estimators by name. Each one is cloned.

    X : array, list of arrays or paths
        Images in any form that skinest accepts, or a table.

    y : array-like of length n_images
        Labels or masks.

    scoring : str, scorer, list of str, or dict of str to scorer
        One or several scorers, as in :func:`sklearn.model_selection.cross_validate`.
        Scorers are created by :func:`~sklearn.metrics.make_scorer`, such as
        :data:`skinest.metrics.dice_scorer`. A single scorer has the name of its metric
        in the table.

    groups : array-like of shape (n_images,), default=None
        Lesion or patient of each image, for the splitter and for the intervals.

    cv : int, splitter or iterable of (train, test), default=None
        Number of folds, 5 by default, or folds. With `groups`, a number means
        :class:`~sklearn.model_selection.StratifiedGroupKFold` for classifiers and
        :class:`~sklearn.model_selection.GroupKFold` for others.

    average : {"foldwise", "pooled"}, default="foldwise"
        What the score is:

        - ``"foldwise"``: the mean of the scores of the folds, as in
          :func:`~sklearn.model_selection.cross_val_score`;
        - ``"pooled"``: one score of the predictions of all folds. Use it if a fold can
          have too few images for a score, as with
          :class:`~sklearn.model_selection.LeaveOneGroupOut`. Networks and support
          vector machines of different folds can differ in the scale of their
          predictions, which lowers a pooled AUC.

    params : dict, default=None
        Arguments of ``fit``, such as ``{"clf__groups": groups}`` or
        ``{"sample_weight": weights}``. Those with one value for each image are split
        like `X`. With metadata routing, estimators and scorers get what they request.
        All estimators get the same, unless the keys are their names and the values are
        dicts, as in ``{"network": {"groups": groups}, "words": {}}``.

    n_resamples : int, default=1000
        Number of bootstrap samples, at least 10.

    confidence_level : float, default=0.95
        Confidence level of the intervals, in (0, 1).

    n_jobs : int, default=None
        Number of folds that are computed in parallel. None means 1, and -1 means one
        for each processor.

    random_state : int, RandomState instance or None, default=None
        Seed of the bootstrap samples. It changes neither folds nor estimators.

    Returns
    -------
    table : DataFrame
        A row for each score and estimator, with the columns `estimate`, `low`, `high`,
        `difference`, `difference_low`, `difference_high` and `share_below_zero`, the
        fraction of bootstrap samples in which the estimator has a lower score than the
        first one. :func:`format_table` converts it to Markdown or LaTeX.

    Raises
    ------
    ImportError
        If pandas is not installed.
    TypeError
        If an estimator has no method `fit`, or a scorer was not created by
        :func:`~sklearn.metrics.make_scorer`.
    ValueError
        If an argument is invalid, a score cannot be computed in a fold, or an estimator
        has no method that a scorer needs.

    Warns
    -----
    UserWarning
        If images of one group are in the training and in the test set of a fold, if a
        class is in fewer than 5 groups of a fold, or as :func:`bootstrap_interval`, for
        a score or difference.

    See Also
    --------
    compare : Compare two models on test images.
    cross_source_table : Train on each source, and test on every source.
    format_table : Convert the table to Markdown or LaTeX.

    Notes
    -----
    Each estimator is fitted once for each fold, and predicts the test images of the
    fold. Then groups of images are sampled with replacement, as in
    :func:`bootstrap_interval`. A sample changes how often each test image counts in its
    fold. No estimator is fitted to it, so that the intervals are about other test
    images, not about other training images. Intervals of differences use the same
    samples for both estimators. Scores and differences that are the same in all
    samples, such as 1, have the limits of :func:`bootstrap_interval` and
    :func:`compare`.

    Do not choose the best of many estimators by this table and publish its score: this
    score is too optimistic. Its interval does not include the choice.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from skinest import BoVWSIFTTransformer
    >>> from skinest.datasets import make_dermoscopy
    >>> from skinest.model_selection import cross_val_table
    >>> data = make_dermoscopy(
    ...     60, image_size=(48, 48), malignant_fraction=0.5, random_state=0
    ... )
    >>> words = BoVWSIFTTransformer(10, random_state=0)
    >>> table = cross_val_table(
    ...     {
    ...         "logistic regression": make_pipeline(words, LogisticRegression()),
    ...         "SVM": make_pipeline(words, SVC()),
    ...     },
    ...     data.images,
    ...     data.target,
    ...     scoring=["roc_auc", "accuracy"],
    ...     cv=2,
    ...     n_resamples=50,
    ...     random_state=0,
    ... )
    >>> table.loc["roc_auc"].index.tolist()
    ['logistic regression', 'SVM']
    """
    check_installed("pandas", "cross_val_table")
    estimators, scorers = _check_estimators(estimators), read_scorers(scoring)
    for name, estimator in estimators.items():
        if has_known_methods(estimator):
            check_methods(name, estimator, scorers)
    n_images = count_images(y)
    are_for_labels = _are_for_labels(estimators, y, params)
    if are_for_labels:
        check_scorers(scorers, as_items(y))
    groups = check_groups(groups, n_images)
    folds = _list_folds(next(iter(estimators.values())), X, y, groups, cv)
    # Frozen classifiers may know other labels than those of the training images.
    are_fitted = any(hasattr(each, "classes_") for each in estimators.values())
    if are_for_labels and average == "foldwise" and not are_fitted:
        check_scorers_of_folds(scorers, as_items(y), folds)
    scores: dict[tuple[str, str], Any] = {}
    parts_of: dict[tuple[str, str], Any] = {}
    classes: dict[str, Any] = {}
    for name, estimator in estimators.items():
        own = _params_of(name, estimators, params)
        predicted = predict_folds(name, estimator, X, y, folds, scorers, own, n_jobs)
        for scorer_name, predictions in predicted.items():
            place = f"{scorer_name} of {name}"
            parts = _list_parts(predictions, folds, average)
            classes |= _classes_of_parts(parts, n_images)
            parts_of[scorer_name, name] = parts
            scores[scorer_name, name] = _make_mean_score(parts, place)
    bootstrap = GroupBootstrap(groups, n_images, classes, n_resamples, random_state)
    results = bootstrap.compute(
        lambda counts: np.array([score(counts) for score in scores.values()])
    )
    return _make_frame(parts_of, results, bootstrap, confidence_level)


def _check_estimators(estimators):
    """Return the estimators by name."""
    try:
        by_name = dict(estimators)
    except (TypeError, ValueError):
        by_name = {}
    if not by_name or len(by_name) < len(estimators):
        raise ValueError(
            "estimators must be a dict from names to estimators, or a list of (name, "
            "estimator), with at least one estimator and different names."
        )
    for name, estimator in by_name.items():
        if not hasattr(estimator, "fit"):
            raise TypeError(f"estimators[{name!r}]={estimator!r} has no method fit.")
    return by_name


def _are_for_labels(estimators, y, params) -> bool:
    """Return whether scorers can be checked with the labels of classifiers."""
    if params and sklearn.get_config()["enable_metadata_routing"]:
        return False  # scorers may need their arguments
    if not has_labels(y) or not all(map(is_classifier, estimators.values())):
        return False
    y = as_items(y)
    return y.ndim == 1 and type_of_target(y, "y") in ("binary", "multiclass")


def _params_of(name, estimators, params):
    """Return the arguments of the fit of an estimator."""
    params = params or {}
    are_dicts = all(isinstance(value, dict) for value in params.values())
    if params and are_dicts and set(params) <= set(estimators):
        return params.get(name)
    return params


def _list_folds(estimator, X, y, groups, cv):
    """Return the positions of training and test images, and warn if groups leak."""
    if groups is not None and (cv is None or isinstance(cv, numbers.Integral)):
        splitter = StratifiedGroupKFold if is_classifier(estimator) else GroupKFold
        cv = splitter(5 if cv is None else cv)
    cv = check_cv(cv, y, classifier=is_classifier(estimator))
    folds = list(cv.split(X, y, groups))
    for number, (train, test) in enumerate(folds):
        if groups is not None and np.isin(groups[test], groups[train]).any():
            warnings.warn(
                f"Fold {number} has images of the same group in its training and its "
                "test set, so that scores are too optimistic. Pass a splitter that "
                "keeps groups together, such as StratifiedGroupKFold, as cv.",
                UserWarning,
                stacklevel=4,
            )
            break
    return folds


def _list_parts(predictions, folds, average):
    """Return the parts whose scores are averaged: predictions, positions, name."""
    tests = [test for _, test in folds]
    if average == "foldwise":
        names = (f"fold {number}" for number in range(len(folds)))
        return list(zip(predictions, tests, names, strict=True))
    metric = predictions[0].metric
    if "sample_weight" in metric.options:
        weights = [each.metric.options["sample_weight"] for each in predictions]
        options = {**metric.options, "sample_weight": np.concatenate(weights)}
        metric = metric._replace(options=options)
    joined = Predicted(
        metric,
        join_items([each.y_true for each in predictions]),
        join_items([each.y_pred for each in predictions]),
    )
    return [(joined, np.concatenate(tests), "all folds")]


def _classes_of_parts(parts, n_images):
    """Return which images are of which class in which part, by its name."""
    classes = {}
    for predicted, test, part in parts:
        weights = predicted.metric.options.get("sample_weight")
        found = list_classes(predicted.metric, predicted.y_true, weights)
        for name, is_member in found.items():
            classes[f"{name} in {part}"] = np.zeros(n_images, dtype=bool)
            classes[f"{name} in {part}"][test[is_member]] = True
    return classes


def _make_mean_score(parts, name):
    """Return the function from counts of images to the mean score of the parts."""
    scores = []
    advice = f" {FEWER_FOLDS}" if len(parts) > 1 else ""
    for predicted, test, part in parts:
        try:
            score = make_weighted_score(
                predicted.metric, predicted.y_true, predicted.y_pred
            )
            is_defined = not np.isnan(score(np.ones(len(test), dtype=np.int64)))
        except ValueError as error:
            reason = str(error).rstrip(".")
            raise ValueError(f"{name}, {part}: {reason}.{advice}") from error
        if not is_defined:
            raise ValueError(f"{name} is NaN in {part}.{advice}")
        scores.append((score, test))
    return lambda counts: np.mean([score(counts[test]) for score, test in scores])


def _make_frame(parts_of, results, bootstrap, confidence_level):
    """Return the table, with a row for each score and estimator."""
    import pandas as pd

    def add_limits(estimate, values, left_out):
        limits = bca_limits(
            estimate, values, left_out, bootstrap.n_groups, confidence_level
        )
        return [float(estimate), *limits]

    def find_ranges(key):
        parts = [
            Part(*predicted, bootstrap.codes[test])
            for predicted, test, _ in parts_of[key]
        ]
        return find_plausible_scores(parts, confidence_level)

    keys = list(parts_of)
    names = list(dict.fromkeys(name for _, name in keys))
    rows = {}
    for key in sorted(keys, key=lambda key: [name for name, _ in keys].index(key[0])):
        first = key[0], names[0]
        own, other = keys.index(key), keys.index(first)
        rows[key] = add_limits(*(each[..., own] for each in results))
        if has_no_width(*rows[key][1:]):
            rows[key][1:] = find_limits(find_ranges(key))
        if key == first:
            rows[key] += [np.nan] * 4
            continue
        differences = [each[..., own] - each[..., other] for each in results]
        of_difference = add_limits(*differences)
        if has_no_width(*of_difference[1:]):
            of_difference[1:] = find_limits_of_difference(
                find_ranges(key), find_ranges(first)
            )
        rows[key] += [*of_difference, find_share_below_zero(differences[1])]
    index = pd.MultiIndex.from_tuples(rows, names=["score", "estimator"])
    table = pd.DataFrame(list(rows.values()), index=index, columns=_COLUMNS)
    table.attrs["confidence_level"] = confidence_level
    return table
