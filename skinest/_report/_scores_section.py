"""Section of a report: tables of scores with confidence intervals."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import numpy as np

from ._report_blocks import Table, Text
from ._report_scores import score_each_class
from ._study import BINARY, MASKS


def tabulate_scores(study):
    """Return scores of all test images, and for several classes those of each."""
    introduce = {BINARY: _introduce_two_classes, MASKS: _introduce_masks}
    yield Text(introduce.get(study.kind, _introduce_several_classes)(study))
    table = study.scores
    rows = [[name, *_split(result)] for name, result in table.scores.items()]
    interval = study.options.interval_name
    yield Table(["Score", "Estimate", interval], rows, "Scores of the test images")
    yield from (Text(note, "note") for note in table.notes)
    if study.kind not in (BINARY, MASKS):
        yield from _tabulate_classes(study)
    unit = "images" if study.test.groups is None else "groups"
    yield Text(
        f"Each {interval} is from {study.options.n_resamples} bootstrap samples of "
        f"{unit}, with the seed {study.options.seed}. It is about other test images of "
        "the same source, not about another training or another clinic.",
        "note",
    )


def _introduce_two_classes(study) -> str:
    outputs = study.outputs
    prevalence = np.mean(outputs.codes == outputs.positive)
    text = (
        f"The positive class is {outputs.names[outputs.positive]}, with a prevalence "
        f"of {prevalence:.1%}. Sensitivity, specificity and all scores below them in "
        "the table, except for the Brier score, are those of the predicted labels."
    )
    if outputs.scores is not None:
        text += (
            " The chance level of the AUC is .5, and that of the average precision is "
            "the prevalence."
        )
    if outputs.are_probabilities:
        mean = outputs.scores[:, outputs.positive].mean()
        text += f" The mean predicted probability is {mean:.1%}."
    return text


def _introduce_several_classes(study) -> str:
    return (
        "Balanced accuracy is the mean of the sensitivities of all classes. Its chance "
        f"level is {1 / len(study.outputs.shown):.2f}."
    )


def _introduce_masks(study) -> str:
    text = (
        "Scores are means over images. An image without any true or predicted "
        "foreground has a score of 1. The third score is that of ISIC 2018, task 1."
    )
    n_unlabelled = np.count_nonzero(np.isnan(study.outputs.dice))
    if n_unlabelled:
        text += f" Images without a labelled pixel do not count: {n_unlabelled}."
    return text


def _tabulate_classes(study):
    outputs = study.outputs
    tables = score_each_class(outputs, study.resampling)
    columns = list(next(iter(tables.values())).scores)
    rows = [
        [
            outputs.names[k],
            str(np.count_nonzero(outputs.codes == k)),
            *(format_interval(result) for result in table.scores.values()),
        ]
        for k, table in tables.items()
    ]
    caption = f"Each class against all others, with {study.options.interval_name}s"
    yield Table(["Class", "Images", *columns], rows, caption)
    notes = dict.fromkeys(note for table in tables.values() for note in table.notes)
    yield from (Text(note, "note") for note in notes if note not in study.scores.notes)


def format_interval(result, digits=2) -> str:
    """Return an estimate with its interval as text."""
    return "not defined" if result is None else f"{result:.{digits}f}"


def _split(result) -> tuple[str, str]:
    if result is None:
        return "not defined", ""
    estimate, low, high = result
    return f"{estimate:.3f}", f"{low:.3f} to {high:.3f}"
