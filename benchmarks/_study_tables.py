"""Tables of docs/study.rst, from the JSON files that study.py writes.

A table is a function from the records of its parts to rows of text. The study's own
scores are in ../examples/_study.py.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from textwrap import fill

from _examples import labels_of, report_of, study, with_overlaps
from _runs import NONE, RESULTS, read_record, say_interval, say_score

FOLDER = RESULTS / "study"
BINARY = ("accuracy", "precision", "sensitivity", "f1", "AUC", "average precision")
NAMES = {"sensitivity": "recall", "f1": "F1", "roc_auc": "AUC"}
BLOCK = re.compile(
    r"(?P<begin>\.\. (?P<kind>table|run|differences) (?P<names>[\w ]+))\n"
    r".*?\.\. end\n",
    re.DOTALL,
)
BY_CLASS = ("precision", "recall", "f1-score")
BENIGN = ["benign", "malignant"]


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Parameters
    ----------
    parts : tuple of str
        Parts of study.py whose records it shows.

    make : callable
        Function from the scores of these parts to the rows, the header first.

    optional : tuple of str, default=()
        Parts that the function gets too, or None for those without a record.
    """

    parts: tuple
    make: object
    optional: tuple = ()


def say_known(values):
    """Format a score with its interval as the page has them: ".500 [.46, .60]"."""
    return say_interval(values, limit_digits=2) if values else NONE


def say_difference(values):
    """Format a difference with its interval: "+.027 [+.017, +.037]"."""
    return say_interval(values, sign="+")


def name_metric(metric):
    return NAMES.get(metric, metric.replace("_", " "))


# Task 1


def make_encodings(scores):
    """Return scores on the test images of three kinds of visual words."""
    recipes = {"``study``": "study", "``defaults``": "defaults", "``best``": "best"}
    rows = [["", "study, best", *(f"skinest, {name}" for name in recipes)]]
    for metric in ("accuracy", "precision", "sensitivity", "F1", *BINARY[-2:]):
        found = [scores[name].get(metric) for name in recipes.values()]
        if any(found):
            own = study.TASK1_BOVW.get("f1" if metric == "F1" else metric)
            rows.append([name_metric(metric), say_score(own), *map(say_known, found)])
    return rows


def make_search(key, title):
    """Return the function for the cross-validated scores by words or by kernel."""
    kernels = {"rbf": "RBF", "chi2": "chi-squared"}

    def make(scores):
        table = scores[key]
        metrics = list(next(iter(table.values())))
        rows = [[title, *map(name_metric, metrics)]]
        for name, values in table.items():
            label = f"{name} words" if name.isdigit() else kernels.get(name, name)
            rows.append([label, *(say_score(values[metric]) for metric in metrics)])
        return rows

    return make


def compare_by_class(reports, names, averages=()):
    """Return precision, recall and F1 by class, with those of several reports."""
    columns = [
        f"{label}: {name}" if name == BY_CLASS[0] else name.removesuffix("-score")
        for label in reports
        for name in BY_CLASS
    ]
    rows = [["", *(column.replace("f1", "F1") for column in columns)]]
    for name in (*names, *averages):
        cells = (report[name][key] for report in reports.values() for key in BY_CLASS)
        rows.append(
            [name.replace("avg", "average"), *(say_score(cell, 2) for cell in cells)]
        )
    return rows


def make_words_classes(scores):
    own = report_of(*labels_of(study.TASK1_BOVW["matrix"]), BENIGN)
    return compare_by_class({"skinest": scores["test"]["report"], "study": own}, BENIGN)


def make_malignant(vgg16, mobilenetv2):
    """Return the scores of networks on the test images of task 1."""
    stages = vgg16["stages"]
    rows = [["", "study, VGG16", *(f"skinest, VGG16: {name}" for name in stages)]]
    results = [stage["scores"] for stage in stages.values()]
    if mobilenetv2:
        rows[0].append("skinest, MobileNetV2: head")
        results.append(mobilenetv2["frozen"])
    for metric in BINARY:
        own = say_score(study.TASK1_VGG.get(metric))
        cells = [say_known(scores.get(metric)) for scores in results]
        rows.append([name_metric(metric), own, *cells])
    rows.append(
        [
            "epochs in total",
            NONE,
            *(str(stage["n_epochs"]) for stage in stages.values()),
        ]
        + [NONE] * bool(mobilenetv2)
    )
    return rows


def make_malignant_classes(vgg16):
    reports = {name: stage["report"] for name, stage in vgg16["stages"].items()}
    own = report_of(*labels_of(study.TASK1_VGG["matrix"]), BENIGN)
    averages = "macro avg", "weighted avg"
    return compare_by_class({"study": own, **reports}, BENIGN, averages)


def make_matrices(matrices, names):
    """Return confusion matrices side by side; rows are the truth."""
    header = [f"{label}: {name}" for label in matrices for name in names]
    rows = [["truth", *header]]
    for place, name in enumerate(names):
        cells = chain.from_iterable(matrix[place] for matrix in matrices.values())
        rows.append([name, *map(str, cells)])
    return rows


def make_malignant_matrices(vgg16):
    own = {"study": study.TASK1_VGG["matrix"]}
    stages = vgg16["stages"].items()
    return make_matrices(own | {key: stage["matrix"] for key, stage in stages}, BENIGN)


# Task 2


def last_of(scores, split):
    """Return the last stage of the study's best schedule, or None."""
    if scores is None:
        return None
    return scores["schedules"][f"{study.TASK2_BEST}, {split}"][-1]


def make_diagnoses(mobilenetv2, by_lesion, by_image):
    """Return the scores of networks on seven diagnoses."""
    own = report_of(*labels_of(study.TASK2_MATRIX), study.TASK2_NAMES)
    columns = {
        "study, VGG16, by image": {
            "accuracy": [own["weighted avg"]["recall"]],
            "macro F1": [own["macro avg"]["f1-score"]],
            "balanced accuracy": [own["macro avg"]["recall"]],
        }
    }
    for split, scores in (("by image", by_image), ("by lesion", by_lesion)):
        if last := last_of(scores, split):
            columns[f"skinest, VGG16, {split}"] = last["scores"]
    columns["skinest, MobileNetV2, by lesion"] = mobilenetv2["scores"]
    rows = [["", *columns]]
    for metric in ("accuracy", "macro F1", "balanced accuracy"):
        cells = (say_known(scores.get(metric)) for scores in columns.values())
        rows.append([metric, *cells])
    return rows


def report_diagnoses(by_lesion, by_image):
    """Return the reports by class of the study and of VGG16."""
    own = report_of(*labels_of(study.TASK2_MATRIX), study.TASK2_NAMES)
    reports = {"study, by image": own}
    for split, scores in (("by image", by_image), ("by lesion", by_lesion)):
        if last := last_of(scores, split):
            reports[f"VGG16, {split}"] = last["report"]
    return reports


def make_diagnoses_classes(by_lesion, by_image):
    reports = report_diagnoses(by_lesion, by_image)
    return compare_by_class(reports, study.TASK2_NAMES)


def make_diagnoses_f1(mobilenetv2, by_lesion, by_image):
    reports = report_diagnoses(by_lesion, by_image)
    reports["MobileNetV2, by lesion"] = mobilenetv2["report"]
    rows = [["F1", *reports]]
    for name in study.TASK2_NAMES:
        cells = (report[name]["f1-score"] for report in reports.values())
        rows.append([name, *(say_score(cell, 2) for cell in cells)])
    return rows


def make_diagnoses_matrix(split):
    """Return the function for the confusion matrix of a split."""

    def make(scores):
        matrix = last_of(scores, split)["matrix"]
        rows = [["truth", *study.TASK2_NAMES]]
        for name, counts in zip(study.TASK2_NAMES, matrix, strict=True):
            rows.append([name, *map(str, counts)])
        return rows

    return make


def make_schedules(*parts):
    """Return the accuracy after each stage of the study's schedules."""
    fits = {}
    for scores in filter(None, parts):
        fits |= scores["schedules"]
    rows = [["schedule", "split", "after stage 1", "after stage 2"]]
    for schedule, own in study.TASK2_SCHEDULES.items():
        cells = (say_score(value, 2) for value in own["accuracy"])
        rows.append([schedule, "study, by image", *cells])
        for split in ("by image", "by lesion"):
            if stages := fits.get(f"{schedule}, {split}"):
                cells = (say_known(each["scores"]["accuracy"]) for each in stages)
                rows.append([schedule, f"skinest, {split}", *cells])
    return rows


def make_vote(scores):
    """Return the scores of classifiers, alone and together."""
    metrics = "accuracy", "macro F1", "balanced accuracy"
    rows = [["", "validation: accuracy", "macro F1", "test: accuracy", *metrics[1:]]]
    for name, found in scores["rows"].items():
        chosen = " (chosen)" if name == scores["chosen"] else ""
        held_out = (say_score(found["validation"][metric]) for metric in metrics[:2])
        cells = (say_known(found["scores"][metric]) for metric in metrics)
        rows.append([f"{name}{chosen}", *held_out, *cells])
    return rows


def make_vote_refit(scores):
    """Return the scores of classifiers that are trained on more lesions."""
    metrics = "accuracy", "macro F1", "balanced accuracy"
    rows = [["", *metrics]]
    for name, found in scores["rows"].items():
        rows.append([name, *(say_known(found["scores"][each]) for each in metrics)])
    return rows


def make_vote_gains(scores):
    """Return what each classifier adds to the vote of the others."""
    metrics = list(next(iter(scores["adds"].values())))
    rows = [["adds to the vote of the others", *metrics]]
    for name, gains in scores["adds"].items():
        rows.append([name, *(say_difference(gains[metric]) for metric in metrics)])
    return rows


LEAKS = {
    "by lesion, by image": "each split on its own test images",
    "without, with": "the same test images; the training sets have the same size, "
    "without or with other images of the tested lesions",
    "seen without, seen with": "those of these test images whose lesion has such other "
    "images",
}


def make_leak(scores):
    """Return what a leak by lesion adds to the scores."""
    rows = [["", "score", "without leak", "with leak", "difference"]]
    for key, title in LEAKS.items():
        for metric, (without, leaking, *difference) in scores["leak"][key].items():
            cells = say_score(without), say_score(leaking), say_difference(difference)
            rows.append([title, metric, *cells])
    return rows


# Task 3


def make_structures(scores):
    """Return pooled scores of synthetic globules and streaks."""
    labels = {
        "study's": "skinest, the study's settings, synthetic images",
        "ours": "skinest, our settings, synthetic images",
        "ours, masks in another order": "the same, with masks in another order than "
        "their images",
    }
    rows = [["", "precision", "recall", "IoU"]]
    for feature, found in scores.items():
        own = study.TASK3[feature]["dice"]
        cells = say_score(own["precision"], 4), say_score(own["recall"], 4), NONE
        rows.append([f"{feature}: the study on ISIC images, dice loss", *cells])
        for name, label in labels.items():
            row = found[name]
            cells = (say_score(row[key]) for key in ("precision", "recall", "IoU"))
            rows.append([f"{feature}: {label}", *cells])
    return rows


def make_losses(scores):
    """Return pooled scores by loss, after those of the study."""
    names = "precision", "recall", "Dice", "mean IoU with background", "channel Dice"
    rows = [["", *names[:-1], "the study's “Dice”"]]

    def add(label, row):
        rows.append(
            [label.replace("_", " "), *(say_score(row.get(name)) for name in names)]
        )

    for feature, found in scores.items():
        for loss, row in study.TASK3[feature].items():
            add(f"{feature}: the study on ISIC images, {loss}", with_overlaps(row))
        for loss, row in found.items():
            add(f"{feature}: synthetic images, {loss}", row)
    return rows


DIAGNOSES = ("block5_by_lesion", "block5_by_image")
SCHEDULES = (*DIAGNOSES, "head_by_lesion", "head_by_image")
TABLES = {
    "encodings": Table(("encodings",), make_encodings),
    "words": Table(("words",), make_search("words", "RBF kernel")),
    "kernels": Table(("words",), make_search("kernels", "300 words")),
    "words_classes": Table(("words",), make_words_classes),
    "malignant": Table(("malignant",), make_malignant, ("transfer",)),
    "malignant_classes": Table(("malignant",), make_malignant_classes),
    "malignant_matrices": Table(("malignant",), make_malignant_matrices),
    "diagnoses": Table(("mobilenetv2_by_lesion",), make_diagnoses, DIAGNOSES),
    "diagnoses_classes": Table(DIAGNOSES[:1], make_diagnoses_classes, DIAGNOSES[1:]),
    "diagnoses_f1": Table(("mobilenetv2_by_lesion",), make_diagnoses_f1, DIAGNOSES),
    "diagnoses_matrix": Table(DIAGNOSES[:1], make_diagnoses_matrix("by lesion")),
    "schedules": Table(DIAGNOSES[:1], make_schedules, SCHEDULES[1:]),
    "vote": Table(("vote",), make_vote),
    "vote_gains": Table(("vote",), make_vote_gains),
    "vote_refit": Table(("vote_refit",), make_vote_refit),
    "vote_refit_gains": Table(("vote_refit",), make_vote_gains),
    "leak": Table(("leak",), make_leak),
    "structures": Table(("structures",), make_structures),
    "losses": Table(("losses",), make_losses),
}


def make_rows(table, records):
    """Return the rows of a table, or None if a part has no record."""
    if not set(table.parts) <= set(records):
        return None
    parts = (*table.parts, *table.optional)
    return table.make(*(records.get(part, {}).get("scores") for part in parts))


def read_records(folder=FOLDER):
    return {path.stem: read_record(path) for path in Path(folder).glob("*.json")}


def fill_in_study(page, folder=FOLDER):
    """Return the page with all tables and runs for which there are records.

    They are between two comments: `.. table NAME`, `.. run PART ...` or `.. differences
    PART`, and `.. end`.
    """
    records = read_records(folder)

    def write(found):
        kind, names = found["kind"], found["names"].split()
        if kind == "table":
            rows = make_rows(TABLES[names[0]], records)
            text = rows and format_table(rows)
        elif kind == "run":
            known = [name for name in names if name in records]
            text = "\n".join(describe_run(name, records[name]) for name in known)
        else:
            lines = records.get(names[0], {}).get("scores", {}).get("differences", ())
            items = "\n".join(wrap(line, "- ", "  ") for line in lines)
            text = items and f"What differs from the study:\n\n{items}"
        return f"{found['begin']}\n\n{text}\n\n.. end\n" if text else found[0]

    return BLOCK.sub(write, page)


def format_table(rows):
    """Return the rows as a table of reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        for number, cell in enumerate(row):
            first = "     - " if number else "   * - "
            wrapped = wrap(cell, first, "       ")
            lines.append(wrapped if cell else first.rstrip())
    return "\n".join(lines)


def describe_run(name, record):
    """Return an item of a list: how to make the results of a part again."""
    machine, minutes = record["machine"], record["minutes"]
    took = f"{minutes:g} minutes on " if minutes else ""
    parts = [
        f"``python benchmarks/study.py {name}`` runs ``{record['command']}``",
        f"{took}{machine['cores']} cores of {machine['processor']} "
        f"({machine['memory']})",
        *filter(None, [record.get("note")]),
    ]
    return wrap("; ".join(parts), "- ", "  ")


def wrap(text, first, later):
    return fill(
        text,
        88,
        initial_indent=first,
        subsequent_indent=later,
        break_on_hyphens=False,
        break_long_words=False,
    )
