"""Classify the seven diagnoses of HAM10000, from random weights or from given ones.

Lesions are split by `lesion_id`: four fifths for training, one fifth for testing, once,
at the end. By default a whole VGG16 is trained from random weights. MobileNetV2 is
trained from block 4 up, with its batch normalisation. The backbone can be saved, to
start training on other images: see ../examples/plot_task1_transfer.py.

Usage: python benchmarks/accuracy_ham10000.py [--save vgg16.weights.h5] [--state DIR]
       python benchmarks/accuracy_ham10000.py --backbone mobilenetv2 --weights imagenet
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import os
from pathlib import Path
from time import perf_counter

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # Keras comes before skinest

import joblib
import keras
import numpy as np
from _clinic_members import BATCH_SIZE, LIGHT, make_rate
from _examples import weigh_classes, write_scores
from _task2 import score
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    classification_report,
    confusion_matrix,
    f1_score,
    roc_auc_score,
)
from sklearn.model_selection import StratifiedGroupKFold

from skinest import TransferClassifier
from skinest.augmentation import Augmentation
from skinest.datasets import fetch_isic2018_task3

PEAK_RATE = 3e-4
SETTINGS = {
    "vgg16": {
        "hidden_units": (256,),
        "pooling": "flatten",
        "trainable": "all",
        "augmentation": Augmentation(
            rotation=45, shift=0.05, zoom=0.15, vertical_flip=True, brightness=0.05
        ),
    },
    "mobilenetv2": {
        "hidden_units": (),
        "pooling": "avg",
        "dropout": 0.3,
        "trainable": "block_4",
        "train_batch_norm": True,
        "n_augmented_copies": 7,
        "n_prediction_views": 4,
        "augmentation": LIGHT,
    },
}
DEFAULTS = {"vgg16": (64, 18), "mobilenetv2": (192, 12)}  # side and epochs
BALANCE = {"vgg16": 0.0, "mobilenetv2": 0.5}  # power of class weights


def main():
    options = read_options()
    data = fetch_isic2018_task3(options.data_home)
    X, y = data.paths, np.array(data.target_names)[data.target]
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    train, test = next(splitter.split(X, y, data.groups))
    if options.all:
        train, test = np.arange(len(y)), []
    print(
        f"{joblib.cpu_count()} cores, Keras {keras.__version__} on "
        f"{keras.backend.backend()}; {len(train)} training and {len(test)} test "
        f"images, no lesion in both; {options.backbone} from weights="
        f"{options.weights}, {options.side} pixels, {options.epochs} epochs",
        flush=True,
    )
    start = perf_counter()
    clf = classifier(options, y[train]).fit(X[train], y[train])
    print(f"trained in {(perf_counter() - start) / 60:.1f} minutes", flush=True)
    if options.save:
        clf.save_backbone(options.save)
    if not options.all:
        probabilities = clf.predict_proba(X[test])
        report(y[test], probabilities, clf.classes_)
        truth = np.searchsorted(clf.classes_, y[test])
        scores = score(truth, probabilities.argmax(axis=1), data.groups[test])
        write_scores(options.scores, scores)


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", choices=SETTINGS, default="vgg16")
    parser.add_argument("--weights", help="a file or imagenet; default: random")
    parser.add_argument("--side", type=int, help="pixels, default 64 or 192")
    parser.add_argument("--epochs", type=int, help="default 18 or 12")
    parser.add_argument(
        "--all", action="store_true", help="train on all images, and test on none"
    )
    parser.add_argument("--save", help="file for the backbone: NAME.weights.h5")
    parser.add_argument("--data-home", help="folder of the ISIC 2018 archives")
    parser.add_argument("--scores", type=Path, help="JSON file to write scores to")
    parser.add_argument(
        "--state", type=Path, help="folder from which a stopped run continues"
    )
    options = parser.parse_args()
    side, epochs = DEFAULTS[options.backbone]
    options.side, options.epochs = options.side or side, options.epochs or epochs
    return options


def classifier(options, y):
    """Return a classifier with a warm-up of one epoch and cosine decay to 0."""
    return TransferClassifier(
        options.backbone,
        weights=options.weights,
        image_size=(options.side, options.side),
        **SETTINGS[options.backbone],
        class_weight=weigh_classes(y, BALANCE[options.backbone]),
        l2=0.0,
        epochs=options.epochs,
        learning_rate=make_rate(len(y), options.epochs, PEAK_RATE),
        batch_size=BATCH_SIZE,
        checkpoint=options.state,
        random_state=0,
        verbose=1,
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
