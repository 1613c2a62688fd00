"""Scorers that read masks as the segmenter does that they score."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from sklearn.pipeline import Pipeline

from ._compat import Scorer

_MASK_OPTIONS = "ignore_label", "mask_threshold"


class MaskScorer(Scorer):
    """Scorer that uses the options of masks of the segmenter.

    Otherwise, `ignore_label` of a segmenter would be one of the labels that are scored.
    """

    def get_options(self, estimator):
        return get_mask_options(estimator)


def get_mask_options(estimator) -> dict:
    """Return those options of masks that an estimator has, by name.

    Of a Pipeline, they are those of its last step; of a search, those of its best
    estimator.
    """
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        else:
            break
    options = {name: getattr(estimator, name, None) for name in _MASK_OPTIONS}
    return {name: value for name, value in options.items() if value is not None}
