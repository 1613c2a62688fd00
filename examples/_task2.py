"""Scores of the seven diagnoses that task 2 of the study prints."""

import numpy as np
from _script import report_of
from _study import TASK2_NAMES
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    recall_score,
)
from sklearn.utils.class_weight import compute_class_weight

from skinest.model_selection import bootstrap_interval

LABELS = np.arange(len(TASK2_NAMES))


def macro_f1(y, predicted):
    return f1_score(y, predicted, labels=np.unique(y), average="macro")


def balanced_accuracy(y, predicted):
    return recall_score(y, predicted, labels=np.unique(y), average="macro")


METRICS = {
    "accuracy": accuracy_score,
    "macro F1": macro_f1,
    "balanced accuracy": balanced_accuracy,
}


def score(y, predicted, groups, n_samples=1000):
    """Return scores of test images for JSON, with intervals over lesions.

    Each interval is from a bootstrap that samples whole lesions.
    """
    results = {}
    for name, metric in METRICS.items():
        found = bootstrap_interval(
            metric, y, predicted, groups=groups, n_resamples=n_samples, random_state=0
        )
        results[name] = [found.estimate, found.low, found.high]
    return {
        "scores": results,
        "report": report_of(y, predicted, TASK2_NAMES),
        "matrix": confusion_matrix(y, predicted, labels=LABELS),
    }


def weigh_classes(y, balance):
    """Return (n_images / (n_classes * n_images_of_class)) ** balance by class."""
    classes = np.unique(y)
    weights = compute_class_weight("balanced", classes=classes, y=y) ** balance
    return dict(zip(classes.tolist(), weights.tolist(), strict=True))


def name_fit(split, schedule):
    """Return the name of the folder for the stages of a schedule."""
    return f"{split} {schedule}".replace(",", "").replace(" ", "_")
