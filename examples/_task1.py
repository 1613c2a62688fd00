"""What the scripts on benign and malignant lesions share."""

from pathlib import Path

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import train_test_split

from skinest.datasets import fetch_isic2016_part3, make_dermoscopy

CLASSES = ["benign", "malignant"]


def load_images(data_home, n_synthetic=600):
    """Training and test images: real ones where the folder holds them."""
    if data_home and list(Path(data_home).glob("ISBI2016_ISIC_Part3_*")):
        X_train, y_train = fetch_isic2016_part3(data_home, return_X_y=True)
        X_test, y_test = fetch_isic2016_part3(data_home, subset="test", return_X_y=True)
        return "ISIC 2016 part 3", X_train, X_test, y_train, y_test
    X, y = make_dermoscopy(n_synthetic, random_state=0, return_X_y=True)
    parts = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    return "synthetic images", *parts


def evaluate(y, predicted, decision):
    return {
        "accuracy": accuracy_score(y, predicted),
        "precision": precision_score(y, predicted, zero_division=0),
        "sensitivity": recall_score(y, predicted),
        "specificity": recall_score(y, predicted, pos_label=0),
        "f1": f1_score(y, predicted),
        "AUC": roc_auc_score(y, decision),
        "average precision": average_precision_score(y, decision),
    }


def intervals(y, predicted, decision, n_draws=2000):
    """95 % intervals of the same figures, over test images drawn with replacement."""
    draws = np.random.default_rng(0).integers(len(y), size=(n_draws, len(y)))
    both = [drawn for drawn in draws if len(np.unique(y[drawn])) == 2]
    figures = [evaluate(y[d], predicted[d], decision[d]) for d in both]
    return {
        name: np.percentile([figure[name] for figure in figures], (2.5, 97.5))
        for name in figures[0]
    }


def save(figure, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
