"""Section of a report: confusion matrices, and how they depend on a threshold."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.metrics import confusion_matrix

from ..model_selection import bootstrap_interval
from ._report_blocks import Heading, Table, Text, ThresholdSlider
from ._report_scores import SENSITIVITY, SPECIFICITY, compute_all
from ._scores_section import format_interval

_N_THRESHOLDS = 101  # of the slider
_PROBABILITIES = 0.1, 0.25, 0.5, 0.75, 0.9  # thresholds of the table


def show_operating_points(study):
    """Return the confusion matrix, and counts at other thresholds."""
    outputs = study.outputs
    yield _tabulate_confusion(outputs)
    if outputs.scores is None:
        return
    yield Heading("Thresholds")
    yield Text(
        f"Images are positive if the {outputs.score_name} of the positive class is at "
        "least the threshold. Scores are too optimistic if the threshold is chosen on "
        "the same images, so choose it on others."
    )
    counts = [_count_positives(outputs, k) for k in outputs.shown]
    yield ThresholdSlider([outputs.names[k] for k in outputs.shown], counts)
    if outputs.positive is not None:
        yield from _tabulate_thresholds(study)


def _tabulate_confusion(outputs):
    n_classes = len(outputs.classes)
    counts = confusion_matrix(
        outputs.codes, outputs.predicted, labels=np.arange(n_classes)
    )
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = [
        [name, *map(str, row)]
        for name, row in zip(outputs.names, counts.tolist(), strict=True)
    ]
    header = ["True class", *(f"predicted {name}" for name in outputs.names)]
    caption = "Confusion matrix of the predicted labels"
    return Table(header, rows, caption, shades=(counts / totals).tolist())


def _count_positives(outputs, k):
    """Return the true and false positives of a class at many thresholds."""
    scores, truth = outputs.scores[:, k], outputs.codes == k
    low, high = (0, 1) if outputs.are_probabilities else (scores.min(), scores.max())
    default = 0.5 if outputs.are_probabilities else 0.0
    thresholds = np.linspace(low, high, _N_THRESHOLDS)
    if low < default < high:  # where the slider starts
        thresholds = np.sort(np.append(thresholds, default))
    # Thresholds are shown with four digits, and counts must be those of what is shown.
    thresholds = np.unique([float(f"{threshold:.4g}") for threshold in thresholds])
    return {
        "thresholds": thresholds.tolist(),
        "tp": _count_above(scores[truth], thresholds),
        "fp": _count_above(scores[~truth], thresholds),
        "p": int(truth.sum()),
        "n": int((~truth).sum()),
        "start": int(np.abs(thresholds - default).argmin()),
    }


def _count_above(scores, thresholds) -> list[int]:
    below = np.searchsorted(np.sort(scores), thresholds, side="left")
    return (len(scores) - below).tolist()


def _tabulate_thresholds(study):
    outputs = study.outputs
    scores = outputs.scores[:, outputs.positive]
    truth = outputs.codes == outputs.positive
    rows, notes = [], []
    thresholds = study.options.thresholds or _choose_thresholds(outputs, scores)
    for threshold in thresholds:
        found = scores >= threshold
        table = compute_all(
            {
                name: partial(
                    bootstrap_interval, metric, truth, found, **study.resampling
                )
                for name, metric in (
                    ("Sensitivity", SENSITIVITY),
                    ("Specificity", SPECIFICITY),
                )
            },
            outputs.names[outputs.positive],
            outputs.names[1 - outputs.positive],
        )
        notes += table.notes
        cells = [truth & found, truth & ~found, ~truth & found, ~truth & ~found]
        rows.append(
            [
                _show_threshold(threshold, scores),
                *(str(np.count_nonzero(cell)) for cell in cells),
                *map(format_interval, table.scores.values()),
            ]
        )
    header = [
        "Threshold",
        "True positive",
        "False negative",
        "False positive",
        "True negative",
        "Sensitivity",
        "Specificity",
    ]
    caption = f"Counts at some thresholds, with {study.options.interval_name}s"
    yield Table(header, rows, caption)
    notes = [note for note in dict.fromkeys(notes) if note not in study.scores.notes]
    yield from (Text(note, "note") for note in notes)


def _show_threshold(threshold, scores) -> str:
    """Return a threshold with four digits, or as many as the same counts need."""
    found = scores >= threshold
    texts = (f"{threshold:.{n_digits}g}" for n_digits in range(4, 18))
    return next(text for text in texts if np.array_equal(scores >= float(text), found))


def _choose_thresholds(outputs, scores):
    """Return thresholds of the table that do not depend on the true labels."""
    if outputs.are_probabilities:
        return _PROBABILITIES
    return sorted({0.0, *np.quantile(scores, [0.1, 0.25, 0.5, 0.75, 0.9]).tolist()})
