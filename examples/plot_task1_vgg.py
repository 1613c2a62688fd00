"""
Benign or malignant by VGG16
============================

This example reproduces the second method of the study: a frozen VGG16 with a new head.

The head has one dense layer of 512 units and a sigmoid. It is trained with the study's
best setting. 15 % of the training images are held out as a validation set, stratified
by class. Training stops when the validation loss has not improved for 10 epochs. Look
at the training curves for signs of overfitting. Then compare the scores on the test
images with those of the study. One lesion in five is malignant, so always predicting
benign has an accuracy of .8.

By default the example uses synthetic images and random weights, so that it downloads
nothing. Its scores are then not comparable with the study's. With ``--data-home`` or
the environment variable ``SKINEST_DATA`` it uses the ISIC 2016 archives in that folder
and ImageNet weights. ``--full`` uses the study's settings, and ``--tried`` also trains
with the other settings that the study tried. ISIC 2016 has no lesion identifiers, so a
lesion may be in both the training and the validation set.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from tempfile import TemporaryDirectory
from time import perf_counter

import matplotlib
import numpy as np
from _script import (
    describe_weights,
    labels_of,
    make_console,
    parse_arguments,
    plot_matrices,
    print_differences,
    print_matrix,
    print_reports,
    report_of,
    save,
    shortened,
    take,
    weights_of,
)
from _study import TASK1_VGG, TASK1_VGG_TRIED, VGG_HEAD
from _task1 import (
    CLASSES,
    SYNTHETIC,
    evaluate,
    intervals,
    load_images,
    plot_curves,
    print_test,
)
from rich.table import Table
from sklearn.base import clone
from sklearn.metrics import confusion_matrix

from skinest import Augmentation, VGGTransferClassifier
from skinest.inspection import TrainingHistoryDisplay

QUICK = {"images": 500, "side": 48, "batch": 32, "epochs": 1.0, "rates": 10.0}
STUDY = {"images": None, "side": 224, "batch": 32, "epochs": 1.0, "rates": 1.0}
N_IMAGES = 1279  # training and test images of the study

# %%
# The study's settings, and the differences from them.


def read_arguments():
    def more(parser):
        parser.add_argument(
            "--tried",
            action="store_true",
            help="also train with each other setting that the study tried",
        )

    return parse_arguments(__doc__, "ISIC 2016 part 3", QUICK, STUDY, more=more)


def classifier(arguments, weights, memory):
    """Return the study's best setting."""
    return VGGTransferClassifier(
        weights=weights,
        image_size=(arguments.side, arguments.side),
        **VGG_HEAD,
        l2=0.0,
        epochs=shortened(100, arguments.epochs),
        learning_rate=1e-5 * arguments.rates,
        batch_size=arguments.batch,
        class_weight="balanced",
        augmentation=Augmentation(rotation=10, shift=0.1, horizontal_flip=True),
        validation_fraction=0.15,
        early_stopping=True,
        n_iter_no_change=10,
        memory=memory,
        random_state=0,
    )


def differences(source, weights, y_train, y_test):
    n_train, n_test = len(y_train), len(y_test)
    return (
        f"{source}: {n_train} training and {n_test} test images; "
        f"{TASK1_VGG['n_train']} and {TASK1_VGG['n_test']} in the study",
        describe_weights(weights),
        "each epoch uses an image or one of its 3 augmented copies, whose features are "
        "computed once; the study created new copies in each epoch",
        "the weights of the epoch with the lowest val_loss are restored; the study "
        "restored those with the best val_precision",
    )


# %%
# Training. Features of the frozen network are computed only once, so that training with
# another setting of the head takes only seconds.


def best_epoch(fitted):
    """Return the best epoch and its scores on the held-out images."""
    history = fitted.history_
    best = int(np.argmin(history["val_loss"]))
    return best + 1, {
        name: history[f"val_{name}"][best]
        for name in ("loss", "accuracy", "precision", "recall", "auc")
    }


def print_tried(console, clf, X, y, rates):
    """Print scores on the held-out images with one setting changed at a time."""
    table = Table(title="Settings that the study tried, on the held-out images")
    for name in ("", "epoch", "loss", "accuracy", "precision", "recall", "AUC"):
        table.add_column(name, justify="right" if name else "left")
    settings = [
        {name: value} for name, values in TASK1_VGG_TRIED.items() for value in values
    ]
    for setting in ({}, *settings):
        name = ", ".join(f"{key}={value}" for key, value in setting.items())
        if "learning_rate" in setting:
            setting = {"learning_rate": setting["learning_rate"] * rates}
        epoch, scores = best_epoch(clone(clf).set_params(**setting).fit(X, y))
        cells = (f"{value:.3f}" for value in scores.values())
        table.add_row(name or "best setting of the study", str(epoch), *cells)
    console.print(table)


# %%
# Scores on the test images, with those of the study.


def report(console, arguments, fitted, X_test, y_test):
    """Print scores, save plots of matrices and curves, and yield their paths."""
    decision = fitted.predict_proba(X_test)[:, 1]
    predicted = fitted.classes_[(decision > 0.5).astype(int)]
    scores = evaluate(y_test, predicted, decision)
    bounds = intervals(y_test, predicted, decision)
    print_test(console, y_test, {"skinest": (scores, bounds)}, TASK1_VGG)
    study = report_of(*labels_of(TASK1_VGG["matrix"]), CLASSES)
    print_reports(console, CLASSES, report_of(y_test, predicted, CLASSES), study)
    matrices = {
        "skinest": confusion_matrix(y_test, predicted),
        "study": TASK1_VGG["matrix"],
    }
    for name, matrix in matrices.items():
        print_matrix(console, name, CLASSES, matrix)
    history = TrainingHistoryDisplay.from_estimator(fitted)
    for name, figure in {
        "history": history.figure_,
        "confusion": plot_matrices(matrices, CLASSES),
        "curves": plot_curves(y_test, {"skinest": decision}),
    }.items():
        yield save(figure, arguments.figures / f"task1_vgg_{name}.png")


def main():
    arguments = read_arguments()
    matplotlib.use("agg")
    console = make_console()
    n_images = arguments.images
    source, X_train, X_test, y_train, y_test = load_images(
        arguments.data_home, n_images or N_IMAGES, arguments.full
    )
    weights = weights_of(arguments.weights, source != SYNTHETIC)
    if source != SYNTHETIC:
        taken = take(n_images, y_train)
        X_train, y_train = X_train[taken], y_train[taken]
    print_differences(
        console, arguments, STUDY, differences(source, weights, y_train, y_test)
    )
    with TemporaryDirectory() as memory:
        clf = classifier(arguments, weights, memory)
        start = perf_counter()
        clf.fit(X_train, y_train)
        epoch, scores = best_epoch(clf)
        console.print(
            f"Trained in {perf_counter() - start:.0f} s: {clf.n_iter_} epochs, the "
            f"best on held-out images was number {epoch}, with AUC {scores['auc']:.3f}"
        )
        if arguments.tried:
            print_tried(console, clf, X_train, y_train, arguments.rates)
        paths = list(report(console, arguments, clf, X_test, y_test))
    for path in paths:
        console.print(f"Saved {path}")


# %%
# Tables and plots.

if __name__ == "__main__":
    main()
