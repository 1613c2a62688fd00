"""Section of a report: counts of images, and leaks between training and test."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import numpy as np

from .._training._views import turn
from ..model_selection._near_duplicates import VIEWS
from ._report_blocks import Gallery, Heading, Table, Text
from ._report_pictures import encode_image
from ._study import MASKS

_MAX_PAIRS = 4  # near-duplicates that are shown


def describe_data(study):
    """Return the numbers of images, groups and classes, and the leaks."""
    sets = {"Test": study.test}
    if study.train is not None:
        sets = {"Training": study.train, **sets}
    count = _count_masks if study.kind == MASKS else _count_classes
    yield count(study, sets)
    if study.test.groups is None:
        yield Text(
            "The lesion or patient of each test image was not given. Intervals treat "
            "all images as independent, and are too narrow if they are not.",
            "note",
        )
    yield Heading("Leaks between training and test images")
    yield from _describe_leaks(study)


def _count_classes(study, sets):
    classes = study.outputs.names
    rows = []
    for name, part in sets.items():
        counts = [""] * len(classes)
        if part.y is not None:
            codes = np.searchsorted(study.outputs.classes, part.y)
            numbers = np.bincount(codes, minlength=len(classes))
            counts = [f"{n} ({n / len(codes):.1%})" for n in numbers]
        rows.append([name, str(len(part.images)), _show(part.n_groups), *counts])
    return Table(
        ["Set", "Images", "Groups", *classes], rows, "Images, groups and classes"
    )


def _count_masks(study, sets):
    labels = study.outputs.labels
    rows = []
    for name, part in sets.items():
        counts = [""] * (2 * len(labels))
        if part.y is not None:
            areas = [
                _measure_areas(mask, labels, part.y.ignore_label) for mask in part.y
            ]
            # Images without a labelled pixel count nowhere.
            shares = np.array([row for row in areas if row] or [[0.0] * len(labels)])
            counts = [
                text
                for column in shares.T
                for text in (str(np.count_nonzero(column)), f"{column.mean():.1%}")
            ]
        rows.append([name, str(len(part.images)), _show(part.n_groups), *counts])
    names = [
        text
        for label in labels
        for text in (f"Images with label {label}", f"Mean area of label {label}")
    ]
    return Table(["Set", "Images", "Groups", *names], rows, "Images, groups and masks")


def _measure_areas(mask, labels, ignore_label):
    """Return the share of each label in the labelled pixels, or nothing without any."""
    n_pixels = np.count_nonzero(mask != ignore_label)
    if not n_pixels:
        return []
    return [np.count_nonzero(mask == label) / n_pixels for label in labels]


def _show(number) -> str:
    return "not given" if number is None else str(number)


def _describe_leaks(study):
    leaks = study.leaks
    if leaks is None:
        yield Text("Not checked: the training images were not given.", "note")
        return
    if leaks.groups is None:
        yield Text("Groups: not checked, because they were not given for both sets.")
    else:
        n_groups = len(leaks.groups)
        text = f"Groups in both sets: {n_groups or 'none'}"
        if n_groups:
            text += f", with {leaks.n_images} of the test images"
        yield Text(f"{text}.", "alert" if n_groups else "")
    if leaks.groups is not None and study.options.show_names and len(leaks.groups):
        yield Text(f"They are {', '.join(map(str, leaks.groups))}.")
    if leaks.duplicates is None:
        yield Text("Near-duplicates: not searched.")
        return
    n_pairs = len(leaks.duplicates)
    count = "1 pair" if n_pairs == 1 else f"{n_pairs or 'no'} pairs"
    text = f"Training and test images that look the same: {count}."
    if n_pairs:
        text += " Look at them: images of different lesions can be as similar."
    yield Text(text, "alert" if n_pairs else "")
    if n_pairs:
        shown = range(min(n_pairs, _MAX_PAIRS))
        yield Gallery([_show_pair(study, leaks, position) for position in shown])


def _show_pair(study, leaks, position):
    train, test = leaks.duplicates.pairs[position].tolist()
    score, view = leaks.duplicates.scores[position], leaks.duplicates.views[position]
    turned = turn(study.train.images[train], VIEWS.index(view))
    pictures = [
        encode_image(turned, f"Training image {train}, turned as the test image"),
        encode_image(study.test.images[test], f"Test image {test}"),
    ]
    return pictures, (
        f"Training image {train}, test image {test}: similarity {score:.2f}, {view}"
    )
