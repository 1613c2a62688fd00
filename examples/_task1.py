"""Functions shared by the scripts that classify benign and malignant lesions."""

from functools import partial

import numpy as np
from _script import on_archives
from _study import TASK1_BASELINE
from rich.table import Table
from sklearn.metrics import (
    PrecisionRecallDisplay,
    RocCurveDisplay,
    accuracy_score,
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import train_test_split

from skinest.datasets import fetch_isic2016_part3, make_dermoscopy
from skinest.model_selection import bootstrap_interval

CLASSES = ["benign", "malignant"]
ARCHIVES = "ISBI2016_ISIC_Part3_*"
SYNTHETIC = "synthetic images"


def load_images(data_home, n_synthetic=600, download=False):
    """Load training and test images from a folder, or synthetic images without it."""
    if on_archives(data_home, ARCHIVES, download):
        (X_train, y_train), (X_test, y_test) = (
            fetch_isic2016_part3(
                data_home, subset=subset, download_if_missing=download, return_X_y=True
            )
            for subset in ("train", "test")
        )
        return "ISIC 2016 part 3", X_train, X_test, y_train, y_test
    X, y = make_dermoscopy(n_synthetic, random_state=0, return_X_y=True)
    parts = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    return SYNTHETIC, *parts


# Whether a metric takes predicted labels, and its function.
METRICS = {
    "accuracy": (True, accuracy_score),
    "precision": (True, partial(precision_score, zero_division=0)),
    "sensitivity": (True, recall_score),
    "specificity": (True, partial(recall_score, pos_label=0)),
    "f1": (True, f1_score),
    "AUC": (False, roc_auc_score),
    "average precision": (False, average_precision_score),
}


def evaluate(y, predicted, decision):
    return {
        name: metric(y, predicted if of_labels else decision)
        for name, (of_labels, metric) in METRICS.items()
    }


def intervals(y, predicted, decision, n_resamples=2000):
    """Return the limits of 95 % intervals of the same scores, for other test images."""
    limits = {}
    for name, (of_labels, metric) in METRICS.items():
        values = predicted if of_labels else decision
        result = bootstrap_interval(
            metric, y, values, n_resamples=n_resamples, random_state=0
        )
        limits[name] = result.low, result.high
    return limits


def add_intervals(y, predicted, decision):
    """Return each score with the limits of its interval, for JSON."""
    bounds = intervals(y, predicted, decision)
    scores = evaluate(y, predicted, decision)
    return {name: [score, *bounds[name]] for name, score in scores.items()}


def all_benign(y):
    """Return the same scores if all predictions are benign."""
    return {
        "accuracy": np.mean(y == 0),
        "sensitivity": 0.0,
        "specificity": 1.0,
        "AUC": 0.5,
        "average precision": np.mean(y),
    }


def print_test(console, y, columns, study, setting=None):
    """Print scores on the test images, the all-benign baseline and the study's scores.

    A score is a number, or a list with the limits of its interval too.
    """
    ours = f"skinest: {len(y)} test images, {int(y.sum())} malignant"
    table = Table(
        title=(f"{ours}; {setting}" if setting else f"{ours} [95 % interval]")
        + f"\nstudy: {study['n_test']} test images, 75 malignant; {study['setting']}"
    )
    columns = {
        "all benign": all_benign(y),
        **columns,
        "study: all benign": TASK1_BASELINE,
        "study": study,
    }
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for metric in METRICS:
        table.add_row(metric, *(cell(column, metric) for column in columns.values()))
    console.print(table)


def cell(column, metric):
    """Return a score as text, with its interval if there is one."""
    if metric not in column:
        return "-"
    score, *bounds = np.atleast_1d(column[metric])
    return f"{score:.3f}" + (" [{:.2f}, {:.2f}]".format(*bounds) if bounds else "")


def plot_curves(y, decisions):
    """Plot ROC and precision-recall curves on the test images."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
    for index, (name, decision) in enumerate(decisions.items()):
        options = {"name": name, "plot_chance_level": index == len(decisions) - 1}
        RocCurveDisplay.from_predictions(y, decision, ax=left, **options)
        PrecisionRecallDisplay.from_predictions(y, decision, ax=right, **options)
    left.set_title("ROC curve, test images")
    right.set_title("Precision-recall curve, test images")
    return figure
