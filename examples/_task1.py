"""What the scripts on benign and malignant lesions share."""

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
    """Load training and test images: real ones from the folder, else synthetic ones."""
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
    """Return the share of the cases, along the last axis; 0 where there is none."""
    return hits.sum(axis=-1) / np.maximum(cases.sum(axis=-1), 1)


# Of labels 0 and 1 along the last axis, so that all draws are counted at once.
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


def intervals(y, predicted, decision, n_draws=2000):
    """Return 95 % intervals of the same figures, over test images drawn again."""
    draws = np.random.default_rng(0).integers(len(y), size=(n_draws, len(y)))
    draws = draws[y[draws].min(axis=1) < y[draws].max(axis=1)]  # of both classes
    figures = {name: rate(y[draws], predicted[draws]) for name, rate in RATES.items()}
    for name, score in {
        "AUC": roc_auc_score,
        "average precision": average_precision_score,
    }.items():
        figures[name] = [score(y[drawn], decision[drawn]) for drawn in draws]
    return {
        name: np.percentile(values, (2.5, 97.5)) for name, values in figures.items()
    }


def all_benign(y):
    """Return the same figures where all are taken for benign."""
    return {
        "accuracy": np.mean(y == 0),
        "sensitivity": 0.0,
        "specificity": 1.0,
        "AUC": 0.5,
        "average precision": np.mean(y),
    }


def print_test(console, y, columns, study, setting=None):
    """Print figures on the test images, the all-benign baseline and the study's row.

    `columns` holds figures by name, or pairs of figures and intervals.
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
    """Return a figure, with its interval where there is one."""
    figures, bounds = column if isinstance(column, tuple) else (column, None)
    if metric not in figures:
        return "-"
    if bounds is None:
        return f"{figures[metric]:.3f}"
    return "{:.3f} [{:.2f}, {:.2f}]".format(figures[metric], *bounds[metric])


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
