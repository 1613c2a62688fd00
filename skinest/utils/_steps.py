"""Steps of pipelines and searches."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from sklearn.pipeline import Pipeline


def find_last_step(estimator):
    """Return the last step of a pipeline or of a search's best pipeline."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        else:
            return estimator
