"""Section of a report: scores of subgroups."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import numpy as np
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from ..model_selection import subgroup_report
from ..model_selection._weighted_score import average_scores
from ._report_blocks import Table, Text
from ._report_scores import collect_notes
from ._study import BINARY, MASKS


def report_subgroups(study):
    """Return a table of a score by subgroup."""
    if study.metadata is None:
        yield Text("No attributes of the images were given.", "note")
        return
    name, metric, y_true, y_score, pos_label = _choose_metric(study)
    notes: list[str] = []
    with collect_notes(notes):
        report = subgroup_report(
            metric,
            y_true,
            y_score,
            study.metadata,
            pos_label=pos_label,
            **study.resampling,
        )
    rows = [
        [*map(str, label), str(row.n_images), str(row.n_groups), *_describe(row)]
        for label, row in zip(report.index, report.itertuples(), strict=True)
    ]
    unit = "Images as groups" if study.test.groups is None else "Groups"
    header = ["Attribute", "Subgroup", "Images", unit, "Prevalence", name]
    if report["prevalence"].isna().all():
        rows = [[*row[:-2], row[-1]] for row in rows]
        header.remove("Prevalence")
    caption = f"{name} by subgroup, with {study.options.interval_name}s"
    yield Table(header, rows, caption, n_texts=2)
    if any("not reliable" in note for note in notes):
        yield Text(
            "Some subgroups have a class in few groups, so their intervals are not "
            "reliable.",
            "note",
        )
    yield Text(
        "Subgroups differ by chance too: with twenty of them, about one interval "
        "misses the true score. Overlapping intervals do not show that scores are "
        "equal.",
        "note",
    )


def _choose_metric(study):
    """Return name, metric, true values, predictions and the class of the prevalence."""
    outputs = study.outputs
    if study.kind == MASKS:
        truth = np.zeros(len(outputs.dice), dtype=int)
        return "Mean Dice score", average_scores, truth, outputs.dice, None
    if study.kind == BINARY:
        truth = outputs.codes == outputs.positive
        if outputs.scores is not None:
            return (
                "AUC",
                roc_auc_score,
                truth,
                outputs.scores[:, outputs.positive],
                True,
            )
        found = outputs.predicted == outputs.positive
        return "Balanced accuracy", balanced_accuracy_score, truth, found, True
    return (
        "Balanced accuracy",
        balanced_accuracy_score,
        outputs.codes,
        outputs.predicted,
        None,
    )


def _describe(row) -> list[str]:
    prevalence = "" if np.isnan(row.prevalence) else f"{row.prevalence:.1%}"
    if row.note:
        return [prevalence, row.note]
    return [prevalence, f"{row.score:.2f} [{row.low:.2f}, {row.high:.2f}]"]
