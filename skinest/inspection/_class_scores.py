"""Scores of classes, from any fitted classifier."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from .._mask_scorer import find_last_step
from ..utils._checks import check_fitted

RESPONSE_METHODS = {
    "predict_proba": "probability",
    "decision_function": "decision function",
}


class ClassScores:
    """The scores that a fitted classifier gives to its classes.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier, pipeline or search with the attribute `classes_`.

    response_method : str or sequence of str
        "predict_proba", "decision_function", or both in order of preference.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        The labels.

    name : str
        What the scores are, in words.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator has neither method, or no `classes_`.
    ValueError
        If `response_method` is invalid.
    """

    def __init__(self, estimator, response_method):
        is_one = isinstance(response_method, str)
        wanted = [response_method] if is_one else response_method
        if (
            not isinstance(wanted, list | tuple)
            or not wanted
            or any(method not in list(RESPONSE_METHODS) for method in wanted)
        ):
            raise ValueError(
                f"response_method={response_method!r} must be 'predict_proba', "
                "'decision_function', or both in order of preference."
            )
        check_fitted(estimator)
        self._kind = type(estimator).__name__
        usable = [method for method in wanted if hasattr(estimator, method)]
        if not usable or not hasattr(estimator, "classes_"):
            missing = " and no ".join(wanted) if not usable else "classes_"
            raise TypeError(
                f"{self._kind} has no {missing}. Pass a fitted classifier of images, "
                "or a pipeline that ends in one."
            )
        self._method = usable[0]
        self._estimator = estimator
        self.classes = np.asarray(estimator.classes_)
        self.name = RESPONSE_METHODS[self._method]

    def __call__(self, X) -> np.ndarray:
        """Compute the scores of all classes.

        Parameters
        ----------
        X : array or list
            The input of the estimator.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), dtype float64
            If a decision function has one value for two classes, it is the score of
            the second class, and its negative is that of the first one.

        Raises
        ------
        ValueError
            If the estimator returns no score for each class, NaN or infinity.
        """
        returned = getattr(self._estimator, self._method)(X)
        what = f"{self._method} of {self._kind} returned"
        if isinstance(returned, list):
            raise ValueError(f"{what} a list. Estimators of one target are supported.")
        scores = np.asarray(returned, dtype=np.float64)
        if scores.ndim > 2:
            raise ValueError(
                f"{what} scores of shape {scores.shape}, as segmenters do. Pass a "
                "classifier; for masks there is SegmentationDisplay."
            )
        if scores.ndim == 1 and len(self.classes) == 2:
            scores = np.column_stack([-scores, scores])
        is_for_pairs = self._method == "decision_function" and scores_pairs(
            self._estimator, len(self.classes)
        )
        if is_for_pairs or scores.shape != (len(X), len(self.classes)):
            raise ValueError(
                f"{what} scores of shape {scores.shape} for {len(X)} inputs and "
                f"{len(self.classes)} classes. It must return one for each class: for "
                "SVC, use decision_function_shape='ovr'."
            )
        if not np.isfinite(scores).all():
            raise ValueError(f"{what} NaN or infinity.")
        return scores

    def find_predicted(self, X, scores) -> int:
        """Return the index of the predicted class of one input.

        It is not always that of the highest score:
        :class:`~sklearn.model_selection.FixedThresholdClassifier` has a threshold.

        Parameters
        ----------
        X : array or list of length 1
            The input of the estimator.

        scores : ndarray of shape (n_classes,)
            Its scores.
        """
        if not hasattr(self._estimator, "predict"):
            return int(scores.argmax())
        (label,) = self._estimator.predict(X)
        return find_class_index(self.classes, label)

    def describe(self, index, score) -> str:
        """Return a title: the label of a class, and its score."""
        return f"{self.classes[index]} ({score:.2f})"


def scores_pairs(estimator, n_classes) -> bool:
    """Return whether decision values are of pairs of classes, as SVC can have them.

    Three classes have three pairs, so their number does not tell.
    """
    shape = getattr(find_last_step(estimator), "decision_function_shape", None)
    return n_classes > 2 and shape == "ovo"


def find_class_index(classes, target):
    """Return the index of a label in `classes`, or raise ValueError."""
    try:
        is_one = np.ndim(target) == 0
    except ValueError:  # rows of different lengths
        is_one = False
    if is_one:
        for index, label in enumerate(classes):
            if label == target:
                return index
    raise ValueError(
        f"target={target!r} is not one of the classes, {np.asarray(classes).tolist()}. "
        "Pass one of them, or None for the predicted class of each image."
    )
