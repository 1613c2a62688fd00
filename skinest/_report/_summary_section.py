"""Section of a report: what a reader has to know first."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from ._report_blocks import Table, Text
from ._scores_section import format_interval

_KINDS = {
    "binary": "classification of two classes",
    "multiclass": "classification",
    "masks": "segmentation",
}


def summarize(study):
    """Return the most important facts, and whether there is a leak."""
    name, result = next(iter(study.scores.scores.items()))
    n_groups = study.test.n_groups
    size = f"{len(study.test.images)} images"
    if n_groups is not None:
        size += f" of {n_groups} groups"
    rows = [
        ["Estimator", type(study.estimator).__name__],
        ["Task", _KINDS[study.kind]],
        ["Test set", size],
        [f"{name}, {study.options.interval_name}", format_interval(result, 3)],
        ["Groups in training and test", _count(study.leaks, "groups")],
        ["Look-alikes in training and test", _count(study.leaks, "duplicates")],
    ]
    yield Table(["", ""], rows, "The most important facts", n_texts=2)
    leaks = study.leaks
    if leaks is not None and leaks.groups is not None and len(leaks.groups):
        yield Text(
            "Training and test images share groups, so all scores are too optimistic. "
            "Split the images again, with whole groups.",
            "alert",
        )
    if leaks is not None and leaks.duplicates is not None and len(leaks.duplicates):
        yield Text(
            "Some test images look like training images. If they show the same "
            "lesions, all scores are too optimistic. See below.",
            "alert",
        )


def _count(leaks, name) -> str:
    found = None if leaks is None else getattr(leaks, name)
    if found is None:
        return "not checked"
    return str(len(found) or "none")
