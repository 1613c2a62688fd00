"""VGG16 from drawn weights on the seven diagnoses of HAM10000.

Nothing is pretrained. Lesions are split by `lesion_id`: four fifths to train on, one
fifth to test on, once, at the end. The backbone can be saved, to see what it is worth
elsewhere: see accuracy_transfer.py.

Usage: python benchmarks/scratch_ham10000.py [--side 64] [--epochs 18]
[--save backbone.weights.h5] [--data-home DIR]
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
from time import perf_counter

import joblib
import keras
import numpy as np
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    classification_report,
    confusion_matrix,
    f1_score,
    roc_auc_score,
)
from sklearn.model_selection import StratifiedGroupKFold

from skinest import VGGTransferClassifier
from skinest.augmentation import Augmentation
from skinest.datasets import fetch_isic2018_task3

BATCH_SIZE = 32
PEAK_RATE = 3e-4


def main():
    options = read_options()
    data = fetch_isic2018_task3(options.data_home)
    X, y = data.paths, np.array(data.target_names)[data.target]
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    train, test = next(splitter.split(X, y, data.lesion_ids))
    print(
        f"{joblib.cpu_count()} cores, Keras {keras.__version__} on "
        f"{keras.backend.backend()}; {len(train)} training and {len(test)} test "
        f"images, no lesion in both; {options.side} pixels, {options.epochs} epochs",
        flush=True,
    )
    clf = classifier(options, len(train))
    start = perf_counter()
    clf.fit(X[train], y[train])
    print(f"trained in {(perf_counter() - start) / 60:.1f} minutes", flush=True)
    if options.save:
        clf.save_backbone(options.save)
    report(y[test], clf.predict_proba(X[test]), clf.classes_)


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--save", help="where to put the backbone: NAME.weights.h5")
    parser.add_argument("--data-home", help="folder of the ISIC 2018 archives")
    return parser.parse_args()


def classifier(options, n_images):
    """All layers, at a rate that rises in the first epoch and then falls to 0."""
    n_steps = -(-n_images // BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(
        PEAK_RATE / 10,
        n_steps * (options.epochs - 1),
        warmup_target=PEAK_RATE,
        warmup_steps=n_steps,
    )
    return VGGTransferClassifier(
        weights=None,
        image_size=(options.side, options.side),
        hidden_units=(256,),
        trainable="all",
        epochs=options.epochs,
        learning_rate=rate,
        batch_size=BATCH_SIZE,
        augmentation=Augmentation(
            rotation=45, shift=0.05, zoom=0.15, vertical_flip=True, brightness=0.05
        ),
        random_state=0,
        verbose=2,
    )


def report(y, probabilities, classes):
    predicted = classes[probabilities.argmax(axis=1)]
    names, counts = np.unique(y, return_counts=True)
    majority = np.full_like(y, names[counts.argmax()])
    print(f"{'':14s} {'network':>8s} {'majority':>8s}")
    for name, metric in {
        "accuracy": accuracy_score,
        "balanced": balanced_accuracy_score,
        "macro F1": lambda y, p: f1_score(y, p, average="macro", zero_division=0),
    }.items():
        print(f"{name:14s} {metric(y, predicted):8.3f} {metric(y, majority):8.3f}")
    auc = roc_auc_score(y, probabilities, multi_class="ovr", labels=classes)
    print(f"{'AUC, macro':14s} {auc:8.3f} {0.5:8.3f}")
    print(classification_report(y, predicted, zero_division=0))
    print("Rows are the truth, columns the prediction:", *classes)
    print(confusion_matrix(y, predicted))


if __name__ == "__main__":
    main()
