"""Models of tables that have columns beside the images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline


def check_takes_images(estimator, purpose, max_columns=0) -> None:
    """Raise TypeError if a fitted estimator takes columns of a table, not images.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator.

    purpose : str
        What cannot be done, such as "explained".

    max_columns : int, default=0
        Number of columns that are allowed.
    """
    first = _find_first_step(estimator)
    is_table = isinstance(first, ColumnTransformer) and hasattr(first, "transformers_")
    if is_table and _count_columns(first) > max_columns:
        raise TypeError(
            f"{type(estimator).__name__} begins with a ColumnTransformer, so it takes "
            "columns of a table, such as paths with age and sex. Only models of images "
            f"alone can be {purpose}. For scores of others, use "
            "skinest.model_selection.cross_val_table."
        )


def _find_first_step(estimator):
    """Return the first step of a pipeline, also within a search or another wrapper."""
    while True:
        if isinstance(estimator, Pipeline):
            estimator = estimator[0]
        elif hasattr(estimator, "calibrated_classifiers_"):
            estimator = estimator.calibrated_classifiers_[0].estimator
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "estimator_"):
            estimator = estimator.estimator_
        else:
            return estimator


def _count_columns(transformer) -> int:
    """Return the number of columns that a fitted ColumnTransformer does not drop."""
    used: set[object] = set()
    for _, step, columns in transformer.transformers_:
        if isinstance(step, str) and step == "drop":
            continue
        if isinstance(columns, slice):
            return transformer.n_features_in_
        columns = np.atleast_1d(columns)
        is_mask = columns.dtype.kind == "b"
        used.update((np.flatnonzero(columns) if is_mask else columns).tolist())
    return len(used)
