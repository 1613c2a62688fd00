"""Scorers that read masks in the same way as the segmenter."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from sklearn.pipeline import Pipeline

from ._compat import Scorer

_MASK_OPTIONS = "ignore_label", "mask_threshold"


class MaskScorer(Scorer):
    """Scorer that uses the segmenter's options for masks.

    Without them, `ignore_label` would be scored like any other label.
    """

    def get_options(self, estimator):
        return get_mask_options(estimator)


def get_mask_options(estimator) -> dict:
    """Return the options for masks that an estimator has, by name.

    For a Pipeline, they are those of its last step; for a search, those of its best
    estimator.
    """
    last = find_last_step(estimator)
    options = {name: getattr(last, name, None) for name in _MASK_OPTIONS}
    return {name: value for name, value in options.items() if value is not None}


def find_last_step(estimator):
    """Return the last step of a pipeline or of a search's best pipeline."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        else:
            return estimator
