"""Scores of classifiers on images of other sources than those trained on."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets

from .._compat import HasMethods, Interval, validate_params
from ..utils._checks import (
    MAX_SEED,
    as_column,
    check_groups,
    check_installed,
    choose_seed,
    count_rows,
    select_items,
    select_params,
)
from ._intervals import bootstrap_interval
from ._outputs import Outputs
from ._scorers import check_scorers, read_scorers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray
    from sklearn.base import BaseEstimator

    from .._typing import ImagesLike, RandomStateLike

    # By estimator, training source and test source.
    Predictions = dict[tuple[str, Any, Any], tuple[NDArray[np.intp], NDArray[Any]]]

_OTHERS = "all others"
_INTERVAL = "estimate", "low", "high"


class _Images(NamedTuple):
    """Images with labels, sources, groups, and further arguments of `fit`."""

    X: Any
    y: np.ndarray
    source: np.ndarray
    groups: np.ndarray | None
    params: dict

    @property
    def names(self):
        """Return the names of the sources, in the order of their first images."""
        return list(dict.fromkeys(self.source.tolist()))

    def find(self, name):
        return np.flatnonzero(self.source == name)

    def fit(self, estimator, rows):
        """Fit a clone of an estimator to some images."""
        params = select_params(self.params, rows, len(self.y))
        return clone(estimator).fit(select_items(self.X, rows), self.y[rows], **params)

    def pick(self, rows):
        return select_items(self.X, rows)

    def pick_groups(self, rows):
        return None if self.groups is None else self.groups[rows]


class _Cell(NamedTuple):
    """A row of the table: sources, positions of test images, outputs for them."""

    train: Any
    test: Any
    n_train: int
    rows: np.ndarray
    outputs: Outputs


@validate_params(
    {
        "estimators": [HasMethods(["fit", "get_params"]), Mapping],
        "y": ["array-like"],
        "source": ["array-like"],
        "groups": ["array-like", None],
        "scoring": [str, callable, list, tuple, Mapping],
        "cv": [
            Interval(Integral, 2, None, closed="left"),
            HasMethods(["split"]),
            None,
        ],
        "leave_one_out": ["boolean"],
        "params": [Mapping, None],
        "n_resamples": [Interval(Integral, 10, None, closed="left")],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
        "return_predictions": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def cross_source_table(
    estimators: BaseEstimator | Mapping[str, BaseEstimator],
    X: ImagesLike,
    y: ArrayLike,
    *,
    source: ArrayLike,
    groups: ArrayLike | None = None,
    scoring: str | Callable[..., float] | Sequence[str] | Mapping[str, Any] = (
        "roc_auc",
        "average_precision",
    ),
    cv: Any = 5,
    leave_one_out: bool = False,
    params: Mapping[str, Any] | None = None,
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    random_state: RandomStateLike = None,
    return_predictions: bool = False,
) -> pd.DataFrame | tuple[pd.DataFrame, Predictions]:
    """Train on each source, and test on every source.

    A classifier that is trained on the images of one clinic may recognise its cameras
    and patients, and fail elsewhere. This table has scores at home, which are
    cross-validated within a source, beside those on images of other sources. Choose
    settings by the latter.

    Parameters
    ----------
    estimators : classifier or dict of str to classifier
        The classifier, or several by name. Each one is cloned.

    X : array, list of arrays or paths of length n_images
        Images of all sources, see :mod:`skinest.images`, or a table of features.

    y : array-like of shape (n_images,)
        Labels. Every source needs all of them.

    source : array-like of shape (n_images,)
        Source of each image, such as its clinic or data set, see
        :func:`skinest.datasets.join_sources`.

    groups : array-like of shape (n_images,), default=None
        Lesion or patient of each image, which is never divided: neither by folds nor by
        the bootstrap. None means that each image is a group.

    scoring : str, callable, list of str or dict, \
            default=("roc_auc", "average_precision")
        Scorers of scikit-learn: a name, several names, a scorer that
        :func:`~sklearn.metrics.make_scorer` has created, or a dict of names and
        scorers. A single scorer has the name of its metric in the table. As in
        scikit-learn, a scorer with a `pos_label` takes the probabilities of this class.
        The `pos_label` of "average_precision" is 1.

    cv : int, splitter or None, default=5
        Folds within a source. An integer means stratified folds that keep groups whole.
        None leaves the scores at home out.

    leave_one_out : bool, default=False
        Whether to train also on all sources but one, and to test on that one. With two
        sources this adds nothing.

    params : dict, default=None
        Further arguments of `fit`, as of
        :func:`~sklearn.model_selection.cross_validate`. Of values with one entry per
        image, such as sample weights or ``{"clf__groups": groups}``, each fit gets the
        entries of its images.

    n_resamples : int, default=1000
        Number of bootstrap samples for the intervals, at least 10.

    confidence_level : float, default=0.95
        Confidence level of the intervals.

    random_state : int, RandomState instance or None, default=None
        Seed of the folds and of the bootstrap samples. All classifiers have the same.
        With an int, the intervals are those of :func:`bootstrap_interval` with it.

    return_predictions : bool, default=False
        Whether to return the predictions too, for
        :func:`~skinest.model_selection.compare`.

    Returns
    -------
    table : DataFrame
        A row for each score, estimator, training source and test source, which are the
        levels `score`, `estimator`, `train` and `test` of its index. At home `train`
        and `test` are the same, and with `leave_one_out` `train` can be "all others".
        :func:`format_table` converts it to Markdown or LaTeX. Its columns are:

        estimate, low, high : float
            The score with its confidence interval. At home it is computed from the
            predictions of all folds together.
        n_train, n_test : int
            Number of images. At home, each image of the source is tested once, and
            `n_train` is the mean of the folds.
        prevalence : float
            Fraction of the test images with the second of two labels. NaN if there are
            more than two labels.

    predictions : dict
        With `return_predictions`, a tuple of two arrays for each
        ``(estimator, train, test)``: the positions of the test images in `X`, and the
        outputs for them that scorers have asked for. These are the probability or
        decision value of the second of two classes, of each of more classes, or
        otherwise labels.

    Raises
    ------
    ImportError
        If pandas is not installed.
    TypeError
        If a scorer was not created by :func:`~sklearn.metrics.make_scorer`.
    ValueError
        If there are fewer than two sources, a source lacks a label, a group is in two
        sources, or an argument is invalid.

    See Also
    --------
    skinest.datasets.join_sources : Joins the data sets of several sources.
    skinest.sampling.weigh_sources : Weights against learning the source.
    cross_val_table : Folds of one source.
    sklearn.model_selection.LeaveOneGroupOut : Splitter for searches, with
        ``groups=source``.

    Notes
    -----
    Each fit is on one set of images, whatever it is tested on. With `memory`, features
    of images are computed once for all fits.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skinest.model_selection import cross_source_table
    >>> rng = np.random.default_rng(0)
    >>> y = np.tile([0, 1], 100)
    >>> source = np.repeat(["north", "south"], 100)
    >>> X = rng.normal(y[:, np.newaxis], 1, (200, 1))
    >>> table = cross_source_table(
    ...     LogisticRegression(), X, y, source=source, n_resamples=100, random_state=0
    ... )
    >>> print(table.loc["roc_auc", "LogisticRegression"]["estimate"].round(2))
    train  test
    north  north    0.81
           south    0.80
    south  north    0.81
           south    0.79
    Name: estimate, dtype: float64
    """
    check_installed("pandas", "cross_source_table")
    images = _check_images(X, y, source, groups, params)
    if leave_one_out and _OTHERS in images.names:
        raise ValueError(
            f"source has {_OTHERS!r}, which leave_one_out calls all sources but one. "
            "Rename this source."
        )
    if not isinstance(estimators, Mapping):
        estimators = {type(estimators).__name__: estimators}
    if not estimators:
        raise ValueError("estimators is an empty dict. Pass a classifier.")
    scorers = read_scorers(scoring)
    check_scorers(scorers, images.y)
    seed = choose_seed(random_state)
    fold_seed = check_random_state(seed).randint(MAX_SEED)
    folds = {} if cv is None else _split_at_home(images, cv, fold_seed)
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    predictions: Predictions = {}
    for name, classifier in estimators.items():
        for cell in _iterate_cells(classifier, images, folds, leave_one_out):
            y_true = images.y[cell.rows]
            known = {
                "n_train": cell.n_train,
                "n_test": len(y_true),
                "prevalence": _compute_prevalence(y_true),
            }
            for score, scorer in scorers.items():
                result = bootstrap_interval(
                    scorer,
                    y_true,
                    cell.outputs.for_scorer(scorer),
                    groups=images.pick_groups(cell.rows),
                    n_resamples=n_resamples,
                    confidence_level=confidence_level,
                    random_state=seed,
                )
                interval = dict(zip(_INTERVAL, result, strict=True))
                rows[score, name, cell.train, cell.test] = interval | known
            if return_predictions:
                found = cell.rows, cell.outputs.get_most_detailed()
                predictions[name, cell.train, cell.test] = found
    trained = [*images.names, *([_OTHERS] if leave_one_out else [])]
    levels = [list(scorers), list(estimators), trained, images.names]
    table = _make_frame(rows, levels, confidence_level)
    return (table, predictions) if return_predictions else table


def _check_images(X, y, source, groups, params) -> _Images:
    y, source = as_column(y, "y"), as_column(source, "source")
    check_classification_targets(y)
    n_images = count_rows(X)
    for name, values in (("y", y), ("source", source)):
        if len(values) != n_images:
            raise ValueError(
                f"{name} has {len(values)} entries, but there are {n_images} images. "
                "Pass one entry per image."
            )
    images = _Images(X, y, source, check_groups(groups, len(y)), dict(params or {}))
    if len(images.names) < 2:
        raise ValueError(
            f"source is {images.names[0]!r} for all images. A table needs two sources "
            "or more."
        )
    for name in images.names:
        missing = np.setdiff1d(y, y[images.find(name)]).tolist()
        if missing:
            raise ValueError(
                f"The source {name!r} has no image of {missing}. Leave the source or "
                "these labels out, or join labels."
            )
    if images.groups is not None:
        _check_groups_in_one_source(images)
    return images


def _check_groups_in_one_source(images):
    source_of: dict[Any, Any] = {}
    pairs = zip(images.groups.tolist(), images.source.tolist(), strict=True)
    for group, name in pairs:
        other = source_of.setdefault(group, name)
        if other != name:
            raise ValueError(
                f"The group {group!r} is in the sources {other!r} and {name!r}. If it "
                "is not the same lesion or patient, use other names for the groups, as "
                "skinest.datasets.join_sources does. Otherwise join these sources."
            )


def _split_at_home(images, cv, seed):
    """Return folds within each source, as positions of all images.

    Raises
    ------
    ValueError
        If an image is not tested exactly once, or a position is not that of an image.
    """
    if isinstance(cv, Integral):
        kind = StratifiedKFold if images.groups is None else StratifiedGroupKFold
        cv = kind(int(cv), shuffle=True, random_state=seed)
    folds = {}
    for name in images.names:
        rows = images.find(name)
        try:
            pairs = list(cv.split(rows, images.y[rows], images.pick_groups(rows)))
            folds[name] = [(rows[train], rows[test]) for train, test in pairs]
        except ValueError as error:
            raise ValueError(
                f"The {len(rows)} images of the source {name!r} cannot be divided into "
                f"folds: {error} Lower cv, or pass cv=None."
            ) from error
        except IndexError as error:
            raise ValueError(
                f"cv={cv!r} returns positions that the {len(rows)} images of the "
                f"source {name!r} do not have: {error}. A splitter gets the images of "
                "one source at a time. Pass one that makes its folds of these, such as "
                "StratifiedKFold."
            ) from error
        tested = np.sort(np.concatenate([test for _, test in folds[name]]))
        if not np.array_equal(tested, rows):
            raise ValueError(f"cv={cv!r} does not test each image once, as KFold does.")
    return folds


def _iterate_cells(classifier, images, folds, leave_one_out):
    """Yield each training source with each test source."""
    for name in images.names:
        if name in folds:
            yield _predict_at_home(classifier, images, name, folds[name])
        rows = images.find(name)
        others = [other for other in images.names if other != name]
        yield from _predict(classifier, images, name, rows, others)
    if leave_one_out and len(images.names) > 2:
        for name in images.names:
            rows = np.flatnonzero(images.source != name)
            yield from _predict(classifier, images, _OTHERS, rows, [name])


def _predict_at_home(classifier, images, name, folds) -> _Cell:
    parts = [
        (images.fit(classifier, train), images.pick(test)) for train, test in folds
    ]
    rows = np.concatenate([test for _, test in folds])
    n_train = round(np.mean([len(train) for train, _ in folds]))
    return _Cell(name, name, n_train, rows, Outputs(parts))


def _predict(classifier, images, train, rows, tests):
    """Fit a classifier once, and yield a cell for each test source."""
    fitted = images.fit(classifier, rows)
    for test in tests:
        tested = images.find(test)
        outputs = Outputs([(fitted, images.pick(tested))])
        yield _Cell(train, test, len(rows), tested, outputs)


def _compute_prevalence(y_true):
    labels, counts = np.unique(y_true, return_counts=True)
    return counts[1] / len(y_true) if len(labels) == 2 else np.nan


def _make_frame(rows, levels, confidence_level):
    """Return the table, with rows in the order of the levels of its index."""
    import pandas as pd

    codes = {
        key: [level.index(part) for level, part in zip(levels, key, strict=True)]
        for key in rows
    }
    keys = sorted(rows, key=codes.__getitem__)
    index = pd.MultiIndex(
        levels=levels,
        codes=list(zip(*map(codes.__getitem__, keys), strict=True)),
        names=["score", "estimator", "train", "test"],
    )
    table = pd.DataFrame([rows[key] for key in keys], index=index)
    table.attrs["confidence_level"] = confidence_level
    return table
