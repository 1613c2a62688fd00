"""The threshold of a segmenter, chosen by cross-validation."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import cross_validate
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch

from ..metrics import dice_scorer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .. import UNetSegmenter
    from .._typing import ImagesLike, MasksLike

_THRESHOLDS = np.arange(1, 20) / 20


def tune_mask_threshold(
    segmenter: UNetSegmenter | Pipeline,
    X: ImagesLike,
    y: MasksLike,
    *,
    thresholds: ArrayLike | None = None,
    scoring: Any = dice_scorer,
    cv: Any = None,
    groups: ArrayLike | None = None,
    params: dict[str, Any] | None = None,
    n_jobs: int | None = None,
) -> Bunch:
    """Choose the threshold of a segmenter by cross-validation.

    Each fold is trained once, and the masks of its test images are scored with each
    threshold. A search over `threshold` would train a network for each.

    Parameters
    ----------
    segmenter : UNetSegmenter or Pipeline
        The segmenter, for masks with two labels, or a Pipeline whose last step is one.
        It is cloned.

    X : array, list of arrays or paths of length n_images
        Images, see :mod:`skinest.images`.

    y : array, list of arrays or paths of length n_images
        Their masks, see :mod:`skinest.masks`.

    thresholds : array-like of shape (n_thresholds,), default=None
        Thresholds to compare, in (0, 1). None means 0.05, 0.1 and so on to 0.95.

    scoring : scorer, default=dice_scorer
        Scorer of predicted masks, higher is better, such as those of
        :mod:`skinest.metrics`.

    cv : int, splitter or iterable of (train, test), default=None
        Number of folds, 5 by default, or folds, as in
        :func:`sklearn.model_selection.cross_validate`.

    groups : array-like of shape (n_images,), default=None
        Lesion or patient of each image, for the splitter.

    params : dict, default=None
        Arguments of ``fit``, such as ``{"groups": groups}``.

    n_jobs : int, default=None
        Number of folds that are computed in parallel. None means 1, and -1 means one
        for each processor.

    Returns
    -------
    result : Bunch
        With these attributes:

        - best_threshold : float
            The threshold with the highest mean score over folds; of several, the
            nearest to 0.5.
        - best_score : float
            Its mean score.
        - thresholds : ndarray of shape (n_thresholds,)
            All thresholds, in ascending order.
        - scores : ndarray of shape (n_thresholds, n_folds)
            Their scores in each fold. A fold with a NaN, such as one whose masks have
            no labelled pixel, does not count.

    Raises
    ------
    ValueError
        If a threshold is not in (0, 1), `scoring` is not a scorer, the masks have
        another number of labels than two, or each fold has a NaN.

    See Also
    --------
    sklearn.model_selection.TunedThresholdClassifierCV : The same for a classifier.

    Notes
    -----
    `best_score` is too optimistic, because the same images chose the threshold. Measure
    the segmenter with this threshold on other images.

    Examples
    --------
    >>> from skinest import UNetSegmenter
    >>> from skinest.datasets import make_dermoscopy
    >>> from skinest.model_selection import tune_mask_threshold
    >>> images, masks = make_dermoscopy(
    ...     8, task="lesion", image_size=(32, 32), random_state=0, return_X_y=True
    ... )
    >>> segmenter = UNetSegmenter(
    ...     depth=1, base_filters=2, image_size=(32, 32), epochs=1, random_state=0
    ... )
    >>> result = tune_mask_threshold(segmenter, images, masks, cv=2)
    >>> segmenter = segmenter.set_params(threshold=result.best_threshold)
    >>> result.scores.shape
    (19, 2)
    """
    chosen = _check_thresholds(thresholds)
    _check_scorer(scoring)
    scores = cross_validate(
        segmenter,
        X,
        y,
        groups=groups,
        scoring=_Scores(scoring, chosen),
        cv=cv,
        params=params,
        n_jobs=n_jobs,
        error_score="raise",
    )
    table = np.array([scores[f"test_{threshold!r}"] for threshold in chosen.tolist()])
    is_defined = ~np.isnan(table).any(axis=0)
    if not is_defined.any():
        raise ValueError(
            "Each fold has a score that is NaN, so no threshold is the best. Choose "
            "another cv or scoring."
        )
    means = table[:, is_defined].mean(axis=1)
    best = np.flatnonzero(means == means.max())
    best = best[np.argmin(np.abs(chosen[best] - 0.5))]
    return Bunch(
        best_threshold=float(chosen[best]),
        best_score=float(means[best]),
        thresholds=chosen,
        scores=table,
    )


def _check_thresholds(thresholds) -> np.ndarray:
    """Return different thresholds in ascending order."""
    if thresholds is None:
        return _THRESHOLDS
    try:
        found = np.unique(np.asarray(thresholds, dtype=float))
    except (TypeError, ValueError):  # of text, for example
        found = np.empty(0)
    if not found.size or not np.all((found > 0) & (found < 1)):
        raise ValueError(
            f"thresholds={thresholds!r} must be numbers between 0 and 1, such as "
            "[0.3, 0.5, 0.7]."
        )
    return found


def _check_scorer(scoring):
    """Raise ValueError for names and metrics, which are not scorers of masks."""
    module = getattr(scoring, "__module__", None) or ""
    is_metric = inspect.isfunction(scoring) and module.split(".")[1:2] == ["metrics"]
    if not callable(scoring) or is_metric:
        raise ValueError(
            f"scoring={scoring!r} is not a scorer of masks. Pass one of "
            "skinest.metrics, such as dice_scorer, or sklearn.metrics.make_scorer of a "
            "function of masks."
        )


class _Scores:
    """Score of the masks of a segmenter for each threshold, for `cross_validate`."""

    def __init__(self, scoring, thresholds):
        self._scoring, self._thresholds = scoring, thresholds

    def __call__(self, segmenter, X, y):
        if len(segmenter.classes_) != 2:
            raise ValueError(
                f"The training masks have the labels {segmenter.classes_.tolist()}, "
                "but a threshold needs two labels. With more, the most probable label "
                "is predicted."
            )
        outputs = [each[..., 1:] for each in segmenter.predict_proba(X)]
        scores = {}
        last = segmenter[-1] if isinstance(segmenter, Pipeline) else segmenter
        for threshold in self._thresholds.tolist():
            at_threshold = _AtThreshold(last, outputs, threshold)
            scores[repr(threshold)] = self._scoring(at_threshold, X, y)
        return scores


class _AtThreshold:
    """A fitted segmenter whose probabilities are known, with another threshold."""

    def __init__(self, segmenter, outputs, threshold):
        self._segmenter = copy.copy(segmenter).set_params(threshold=threshold)
        self._outputs = outputs

    def predict(self, X):
        """Return the masks of the images whose probabilities are known."""
        return list(map(self._segmenter._mask, self._outputs))

    def __getattr__(self, name):
        return getattr(self._segmenter, name)
