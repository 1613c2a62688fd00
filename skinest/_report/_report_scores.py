"""Scores of a report with their intervals, and the remarks of their computation."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from ..metrics import partial_auc_score
from ..model_selection import IntervalResult, bootstrap_interval, delong_interval
from ..model_selection._weighted_score import average_scores

SENSITIVITY = recall_score
SPECIFICITY = partial(recall_score, pos_label=False)
_PPV = partial(precision_score, zero_division=np.nan)  # not defined
_OF_LABELS = {
    "Sensitivity": SENSITIVITY,
    "Specificity": SPECIFICITY,
    "Positive predictive value": _PPV,
    "Negative predictive value": partial(_PPV, pos_label=False),
    "F1 score": partial(f1_score, zero_division=0),
    "Balanced accuracy": balanced_accuracy_score,
    "Accuracy": accuracy_score,
}
_OF_SCORES = {
    "AUC": roc_auc_score,
    "Partial AUC above a sensitivity of .8 (at most .2)": partial_auc_score,
    "Average precision": average_precision_score,
}
_OF_CLASSES = {
    "Balanced accuracy": balanced_accuracy_score,
    "Accuracy": accuracy_score,
    "Macro F1 score": partial(f1_score, average="macro", zero_division=0),
}
_SAME_SCORE = (
    "A score that is the same in all bootstrap samples, such as 1, has limits that "
    "allow for errors which none of these images shows."
)
_LOW_JACCARD = 0.65  # the threshold of ISIC 2018


@dataclass(frozen=True)
class ScoreTable:
    """Scores by their names, the most important one first.

    Parameters
    ----------
    scores : dict of str to IntervalResult or None
        None if a score is not defined.

    notes : list of str
        Why it is not, and what makes intervals unreliable.
    """

    scores: dict[str, IntervalResult | None]
    notes: list[str]


def compute_all(computations, positive="", negative="all others") -> ScoreTable:
    """Call functions, and return their results with remarks on them.

    Parameters
    ----------
    computations : dict of str to callable
        Functions without arguments that return an interval, by the name of the score.

    positive, negative : str, default="", "all others"
        Names of the classes True and False for the remarks.

    Returns
    -------
    table : ScoreTable
    """
    notes: list[str] = []
    with collect_notes(notes):
        scores = {
            name: _try(name, compute, notes) for name, compute in computations.items()
        }
    if any(result and np.isnan(result.standard_error) for result in scores.values()):
        notes.append(_SAME_SCORE)
    names = {"Class True ": f"Class {positive} ", "Class False ": f"Class {negative} "}
    for old, new in names.items():
        notes = [note.replace(old, new) for note in notes]
    return ScoreTable(scores, notes)


def score_two_classes(outputs, resampling) -> ScoreTable:
    """Compute scores of the positive class."""
    truth = outputs.codes == outputs.positive
    found = outputs.predicted == outputs.positive
    computations = _plan(_OF_LABELS, truth, found, resampling)
    for name, is_predicted, what in (
        ("Positive predictive value", found, "positive"),
        ("Negative predictive value", ~found, "negative"),
    ):
        if not is_predicted.any():
            computations[name] = partial(_raise, f"no image is predicted as {what}")
    if outputs.scores is not None:
        scores = outputs.scores[:, outputs.positive]
        options = {name: resampling[name] for name in ("groups", "confidence_level")}
        delong = partial(delong_interval, truth, scores, **options)
        computations = {
            **_plan(_OF_SCORES, truth, scores, resampling),
            "AUC, interval by DeLong's method": delong,
            **computations,
        }
        if outputs.are_probabilities:
            brier = {"Brier score (lower is better)": brier_score_loss}
            computations |= _plan(brier, truth, scores, resampling)
    negative = outputs.names[1 - outputs.positive]
    return compute_all(computations, outputs.names[outputs.positive], negative)


def score_several_classes(outputs, resampling) -> ScoreTable:
    """Compute scores of all classes together."""
    # Names of classes instead of their positions, for the texts of warnings.
    names = np.array(outputs.names)
    truth, found = names[outputs.codes], names[outputs.predicted]
    return compute_all(_plan(_OF_CLASSES, truth, found, resampling))


def score_each_class(outputs, resampling) -> dict[int, ScoreTable]:
    """Compute scores of each class against all others, by its position."""
    tables = {}
    for k in outputs.shown:
        truth, found = outputs.codes == k, outputs.predicted == k
        metrics = {"Sensitivity": SENSITIVITY, "Specificity": SPECIFICITY}
        computations = _plan(metrics, truth, found, resampling)
        if outputs.scores is not None:
            of_scores = {"AUC": roc_auc_score}
            computations |= _plan(of_scores, truth, outputs.scores[:, k], resampling)
        tables[k] = compute_all(computations, outputs.names[k])
    return tables


def score_masks(outputs, resampling) -> ScoreTable:
    """Compute means over images of scores of masks."""
    is_low = outputs.iou < _LOW_JACCARD
    share_low = np.where(np.isnan(outputs.iou), np.nan, is_low)
    columns = {
        "Mean Dice score": outputs.dice,
        "Mean Jaccard index": outputs.iou,
        "Mean Jaccard index, with 0 below .65": np.where(is_low, 0.0, outputs.iou),
        "Fraction of images with a Jaccard index below .65": share_low,
    }
    truth = np.zeros(len(is_low))  # a mean does not need it
    computations: dict = {}
    for name, values in columns.items():
        computations |= _plan({name: average_scores}, truth, values, resampling)
    return compute_all(computations)


def _plan(metrics, y_true, y_score, resampling):
    """Return a function without arguments for each metric."""
    return {
        name: partial(bootstrap_interval, metric, y_true, y_score, **resampling)
        for name, metric in metrics.items()
    }


def _raise(reason):
    raise ValueError(reason)


def _try(name, compute, notes):
    """Return a result; None if it is not defined, with the reason in `notes`."""
    try:
        return compute()
    except ValueError as error:
        notes.append(f"{name}: {error}")
        return None


@contextmanager
def collect_notes(notes):
    """Add the texts of warnings about scores to a list, each once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        text = str(warning.message)
        if not issubclass(warning.category, UserWarning):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
        elif text not in notes:
            notes.append(text)
