"""Functions shared by the scripts that classify benign and malignant lesions."""

import numpy as np
from _script import on_archives
from _study import TASK1_BASELINE
from rich.table import Table
from sklearn.metrics import (
    PrecisionRecallDisplay,
    RocCurveDisplay,
    average_precision_score,
    roc_auc_score,
)
from sklearn.model_selection import train_test_split

from skinest.datasets import fetch_isic2016_part3, make_dermoscopy

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


def share(hits, cases):
    """Return hits divided by cases along the last axis, or 0 if there are no cases."""
    return hits.sum(axis=-1) / np.maximum(cases.sum(axis=-1), 1)


# The labels 0 and 1 are on the last axis, so that all bootstrap samples are computed
# at once.
RATES = {
    "accuracy": lambda y, p: np.mean(y == p, axis=-1),
    "precision": lambda y, p: share(y * p, p),
    "sensitivity": lambda y, p: share(y * p, y),
    "specificity": lambda y, p: share((1 - y) * (1 - p), 1 - y),
    "f1": lambda y, p: share(2 * y * p, y + p),
}


def evaluate(y, predicted, decision):
    return {
        **{name: rate(y, predicted) for name, rate in RATES.items()},
        "AUC": roc_auc_score(y, decision),
        "average precision": average_precision_score(y, decision),
    }


def intervals(y, predicted, decision, n_samples=2000):
    """Return 95 % bootstrap intervals of the same scores over the test images."""
    samples = np.random.default_rng(0).integers(len(y), size=(n_samples, len(y)))
    # Both classes are needed.
    samples = samples[y[samples].min(axis=1) < y[samples].max(axis=1)]
    scores = {
        name: rate(y[samples], predicted[samples]) for name, rate in RATES.items()
    }
    for name, score in {
        "AUC": roc_auc_score,
        "average precision": average_precision_score,
    }.items():
        scores[name] = [score(y[sample], decision[sample]) for sample in samples]
    return {name: np.percentile(values, (2.5, 97.5)) for name, values in scores.items()}


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
    for metric in evaluate(np.array([0, 1]), np.array([0, 1]), np.array([0, 1])):
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
