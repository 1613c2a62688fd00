"""Scorers of tables of scores."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Mapping

from sklearn.metrics import get_scorer

from .._compat import read_scorer
from ._weighted_score import read_metric


def read_scorers(scoring) -> dict:
    """Return scorers by their names.

    Parameters
    ----------
    scoring : str, scorer, list of str, or dict of str to scorer
        One or several scorers. A single scorer has the name of its metric.

    Returns
    -------
    scorers : dict of str to scorer

    Raises
    ------
    TypeError
        If a scorer was not created by :func:`~sklearn.metrics.make_scorer`.
    ValueError
        If there is no scorer, or a name is unknown.
    """
    if isinstance(scoring, str):
        scoring = [scoring]
    if callable(scoring):
        scoring = {read_metric(scoring).name: scoring}
    elif not isinstance(scoring, Mapping):
        scoring = dict(zip(scoring, scoring, strict=True))
    if not scoring:
        raise ValueError("scoring is empty. Pass the name of a scorer.")
    scorers = {name: get_scorer(scorer) for name, scorer in scoring.items()}
    for name, scorer in scorers.items():
        if read_scorer(scorer) is None:
            raise TypeError(
                f"The scorer {name!r} was not created by make_scorer, so its metric is "
                "not known. Pass make_scorer(metric) or the name of a scorer."
            )
    return scorers
