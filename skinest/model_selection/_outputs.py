"""Outputs of classifiers for test images, which scorers can ask for again."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if


def _if_they_have(method):
    """Return the condition that the classifiers have a method."""
    return available_if(lambda self: hasattr(self._parts[0][0], method))


class Outputs:
    """Stand-in for fitted classifiers, for scorers, which computes each output once.

    Its methods take positions of test images instead of images. So any scorer can be
    computed for thousands of bootstrap samples.

    Parameters
    ----------
    parts : list of (classifier, images)
        Fitted classifiers, each with its own test images.

    Raises
    ------
    ValueError
        If the classifiers do not have the same classes.
    """

    def __init__(self, parts):
        self._parts, self._computed = parts, {}
        self.classes_ = parts[0][0].classes_
        for fitted, _ in parts:
            if not np.array_equal(fitted.classes_, self.classes_):
                raise ValueError(
                    f"A fold has the classes {fitted.classes_.tolist()}, and another "
                    f"one {self.classes_.tolist()}. Choose fewer folds."
                )

    def _compute(self, method, positions):
        if method not in self._computed:
            self._computed[method] = np.concatenate(
                [getattr(fitted, method)(X) for fitted, X in self._parts]
            )
        return self._computed[method][positions]

    def predict(self, positions):
        return self._compute("predict", positions)

    @_if_they_have("predict_proba")
    def predict_proba(self, positions):
        return self._compute("predict_proba", positions)

    @_if_they_have("decision_function")
    def decision_function(self, positions):
        return self._compute("decision_function", positions)

    def get_score(self):
        """Return what was computed for all test images, with the most detail.

        It is one number per image for two classes.
        """
        for method in ("predict_proba", "decision_function", "predict"):
            if method in self._computed:
                found = self._computed[method]
                return found[:, 1] if found.shape[1:] == (2,) else found
        raise ValueError("No scorer has asked for an output of the classifier.")

    def __sklearn_tags__(self):
        return get_tags(self._parts[0][0])
