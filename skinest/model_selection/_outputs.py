"""Outputs of classifiers for test images, as scorers need them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from ._scorers import list_methods
from ._weighted_score import find_positive, read_metric


class Outputs:
    """Outputs of fitted classifiers, each of which is computed once.

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
        classes = parts[0][0].classes_
        for fitted, _ in parts:
            if not np.array_equal(fitted.classes_, classes):
                raise ValueError(
                    f"A fold has the classes {fitted.classes_.tolist()}, and another "
                    f"one {classes.tolist()}. Choose fewer folds."
                )

    def for_scorer(self, scorer) -> np.ndarray:
        """Return what a scorer passes to its metric, for all test images."""
        methods = list_methods(scorer)
        fitted = self._parts[0][0]
        found = [method for method in methods if hasattr(fitted, method)]
        if not found:
            raise ValueError(
                f"{fitted!r} has none of the methods that {scorer!r} needs: "
                f"{', '.join(methods)}."
            )
        outputs = self._compute(found[0])
        if found[0] == "predict" or len(fitted.classes_) != 2:
            return outputs
        positive = find_positive(read_metric(scorer), fitted.classes_)
        if outputs.ndim == 2:
            return outputs[:, positive]
        return outputs if positive == 1 else -outputs  # of decision_function

    def get_most_detailed(self) -> np.ndarray:
        """Return the most detailed of the outputs that were computed.

        It is one number per image for two classes.
        """
        methods = ("predict_proba", "decision_function", "predict")
        found = next(self._computed[each] for each in methods if each in self._computed)
        return found[:, 1] if found.shape[1:] == (2,) else found

    def _compute(self, method):
        if method not in self._computed:
            parts = [getattr(fitted, method)(X) for fitted, X in self._parts]
            self._computed[method] = np.concatenate(parts)
        return self._computed[method]
