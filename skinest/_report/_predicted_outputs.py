"""Outputs of a fitted estimator for the test images, each computed once."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from .._mask_scorer import find_last_step
from .._pixel_counts import choose_foreground
from ..classification._class_prediction import ClassPredictionMixin
from ..inspection._class_scores import scores_pairs
from ..metrics import dice_score, iou_score


@dataclass(frozen=True)
class ClassOutputs:
    """Labels and scores that a classifier predicts.

    Parameters
    ----------
    classes : list
        The classes.

    names : list of str
        The classes as text.

    codes : ndarray of shape (n_images,)
        Positions in `classes` of the true labels.

    predicted : ndarray of shape (n_images,)
        Positions in `classes` of the predicted labels.

    scores : ndarray of shape (n_images, n_classes) or None
        Probabilities or decision values. None if the classifier has none for each
        class.

    are_probabilities : bool
        Whether they are probabilities.

    positive : int or None
        Position of the positive class of two.
    """

    classes: list[Any]
    names: list[str]
    codes: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray | None
    are_probabilities: bool
    positive: int | None

    @property
    def score_name(self) -> str:
        """Return what the scores are."""
        return "probability" if self.are_probabilities else "decision value"

    @property
    def shown(self) -> list[int]:
        """Return positions of the classes that curves and counts are about."""
        present = np.unique(self.codes).tolist()
        return present if self.positive is None else [self.positive]

    @property
    def are_wrong(self) -> np.ndarray:
        """Return whether each prediction is wrong."""
        return self.predicted != self.codes

    def rank_errors(self) -> np.ndarray:
        """Return positions of wrong predictions, those with the most confidence first.

        Confidence is the score of the predicted class minus that of the true class.
        """
        wrong = np.flatnonzero(self.are_wrong)
        if self.scores is None:
            return wrong
        lead = (
            self.scores[wrong, self.predicted[wrong]]
            - self.scores[wrong, self.codes[wrong]]
        )
        return wrong[np.argsort(-lead, kind="stable")]


@dataclass(frozen=True)
class MaskOutputs:
    """Masks that a segmenter predicts.

    Parameters
    ----------
    masks : MaskCollection
        The true masks.

    predicted : sequence of ndarray of shape (height, width)
        The predicted masks.

    labels : list of int
        The foreground. Empty if all masks are background.
    """

    masks: Any
    predicted: Any
    labels: list[int]

    @cached_property
    def dice(self) -> np.ndarray:
        """Return the Dice score of each image."""
        return self._score(dice_score)

    @cached_property
    def iou(self) -> np.ndarray:
        """Return the Jaccard index of each image."""
        return self._score(iou_score)

    def _score(self, metric):
        return metric(
            self.masks,
            self.predicted,
            labels=self.labels or None,
            average=None,
            zero_division=1.0,
        )


def transform_to_last_step(estimator, X):
    """Return what the last step of a pipeline gets, and the step.

    If this is not known, they are the input and the whole estimator.
    """
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline) and len(estimator) == 1:
            estimator = estimator[-1]
        elif isinstance(estimator, Pipeline) and hasattr(estimator[:-1], "transform"):
            X = estimator[:-1].transform(X)
            estimator = estimator[-1]
        else:
            return X, estimator


def predict_classes(estimator, X, codes, positive, names) -> ClassOutputs:
    """Compute labels and scores; images are read and converted once.

    Parameters
    ----------
    estimator : classifier
        The fitted classifier.

    X : array, list of arrays or paths
        The test images.

    codes : ndarray of shape (n_images,)
        Positions of the true labels in its `classes_`.

    positive : int or None
        Position of the positive class of two.

    names : list of str
        The classes as text.

    Returns
    -------
    outputs : ClassOutputs
    """
    classes = np.asarray(estimator.classes_)
    X, last = transform_to_last_step(estimator, X)
    scores, are_probabilities = _compute_scores(last, X, len(classes))
    if isinstance(last, ClassPredictionMixin):  # its labels are those of its scores
        predicted = scores.argmax(axis=1)
    else:
        predicted = np.searchsorted(classes, last.predict(X))
    return ClassOutputs(
        classes.tolist(), names, codes, predicted, scores, are_probabilities, positive
    )


def _compute_scores(estimator, X, n_classes):
    """Return a column of scores per class, or None, and whether they add up to 1."""
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(X), dtype=float), True
    if not hasattr(estimator, "decision_function"):
        return None, False
    scores = np.asarray(estimator.decision_function(X), dtype=float)
    if scores.ndim == 1:
        scores = np.column_stack([-scores, scores])
    is_for_classes = scores.shape[1] == n_classes
    if not is_for_classes or scores_pairs(estimator, n_classes):
        return None, False
    return scores, False


def predict_masks(estimator, X, masks) -> MaskOutputs:
    """Compute the masks of the test images.

    Parameters
    ----------
    estimator : segmenter
        The fitted segmenter.

    X : array, list of arrays or paths
        The test images.

    masks : MaskCollection
        Their true masks.

    Returns
    -------
    outputs : MaskOutputs
    """
    predicted = estimator.predict(X)
    classes = getattr(find_last_step(estimator), "classes_", ())
    labels = [int(label) for label in classes[1:]]
    if not labels:
        held = {
            int(label) for mask in (*masks, *predicted) for label in np.unique(mask)
        }
        labels = choose_foreground(held - {masks.ignore_label})
    return MaskOutputs(masks, predicted, labels)
