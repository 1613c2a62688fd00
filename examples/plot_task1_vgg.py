"""
Benign or malignant by VGG16
============================

This example reproduces the second method of the study: a frozen VGG16 with a new head.

The head has one dense layer of 512 units and a sigmoid. It is trained with the study's
best setting. 15 % of the training images are held out as a validation set, stratified
by class. Training stops when the validation loss has not improved for 10 epochs, and
the epoch with the best precision on the validation images is kept. Look at the training
curves for signs of overfitting. Then compare the scores on the test images with those
of the study. One lesion in five is malignant, so always predicting benign has an
accuracy of .8. With ``--block5``, the last block of VGG16 is then trained too.

By default the example uses synthetic images and random weights, so that it downloads
nothing. Its scores are then not comparable with the study's. With ``--data-home`` or
the environment variable ``SKINEST_DATA`` it uses the ISIC 2016 archives in that folder
and ImageNet weights. ``--full`` uses the study's settings, and ``--tried`` also trains
with the other settings that the study tried. ISIC 2016 has no lesion identifiers, so a
lesion may be in both the training and the validation set.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import matplotlib
import numpy as np
from _script import (
    describe_weights,
    labels_of,
    make_console,
    open_state,
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
    write_scores,
)
from _stages import stop_as_the_study, train_stages
from _study import TASK1_VGG, TASK1_VGG_TRIED, VGG_HEAD
from _task1 import (
    CLASSES,
    SYNTHETIC,
    add_intervals,
    load_images,
    plot_curves,
    print_test,
)
from rich.table import Table
from sklearn.base import clone
from sklearn.metrics import confusion_matrix

from skinest import Augmentation, VGGTransferClassifier
from skinest.inspection import TrainingHistoryDisplay

STUDY = {
    "images": None,
    "side": 224,
    "batch": 32,
    "epochs": 1.0,
    "rates": 1.0,
    "copies": 3,
}
QUICK = STUDY | {"images": 500, "side": 48, "rates": 10.0}
N_IMAGES = 1279  # training and test images of the study
MONITOR = "val_precision"

# %%
# The study's settings, and the differences from them.


def read_arguments():
    def more(parser):
        parser.add_argument(
            "--tried",
            action="store_true",
            help="also train with each other setting that the study tried",
        )
        parser.add_argument(
            "--block5",
            action="store_true",
            help="then train block5 and the head together",
        )

    return parse_arguments(__doc__, "ISIC 2016 part 3", QUICK, STUDY, more=more)


def classifier(arguments, weights, memory):
    """Return the study's best setting."""
    return VGGTransferClassifier(
        weights=weights,
        image_size=(arguments.side, arguments.side),
        **VGG_HEAD,
        l2=0.0,
        batch_size=arguments.batch,
        class_weight="balanced",
        augmentation=Augmentation(rotation=10, shift=0.1, horizontal_flip=True),
        n_augmented_copies=arguments.copies,
        validation_fraction=0.15,
        keras_callbacks=stop_as_the_study(10, MONITOR),
        warm_start=True,
        memory=memory,
        random_state=0,
        verbose=int(arguments.state is not None),
    )


def list_stages(arguments):
    """Return parameters by stage: the head as in the study, then block5 if asked."""
    rate = 1e-5 * arguments.rates
    stages = {"head": {"trainable": "head", "epochs": 100, "learning_rate": rate}}
    if arguments.block5:
        stages["then block5"] = stages["head"] | {"trainable": "block5", "epochs": 35}
    for stage in stages.values():
        stage["epochs"] = shortened(stage["epochs"], arguments.epochs)
    return stages


def differences(source, weights, n_copies, y_train, y_test):
    n_train, n_test = len(y_train), len(y_test)
    return (
        f"{source}: {n_train} training and {n_test} test images; "
        f"{TASK1_VGG['n_train']} and {TASK1_VGG['n_test']} in the study",
        describe_weights(weights),
        f"each epoch uses an image or one of its {n_copies} augmented copies, whose "
        "features are computed once; the study created new copies in each epoch",
    )


# %%
# Training. Features of the frozen network are computed only once, so that training with
# another setting of the head takes only seconds.


def best_epoch(fitted):
    """Return the best epoch of the last stage, and its scores on held-out images."""
    history = fitted.history_
    first = fitted.n_iter_ - fitted.n_iter_per_stage_[-1]
    best = first + int(np.argmax(history[MONITOR][first:]))
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


def score(trained, y_test):
    """Return scores on the test images after a stage, for tables and for JSON."""
    decision = trained.probabilities[:, 1]
    predicted = (decision > 0.5).astype(int)
    epoch, _ = best_epoch(trained.classifier)
    return {
        "scores": add_intervals(y_test, predicted, decision),
        "matrix": confusion_matrix(y_test, predicted),
        "report": report_of(y_test, predicted, CLASSES),
        "epoch": epoch,
        "n_epochs": trained.classifier.n_iter_,
        "seconds": trained.seconds,
    }


def report(console, results, y_test):
    """Print scores after each stage, and matrices with that of the study."""
    columns = {name: result["scores"] for name, result in results.items()}
    print_test(console, y_test, columns, TASK1_VGG)
    study = report_of(*labels_of(TASK1_VGG["matrix"]), CLASSES)
    for name, result in results.items():
        if len(results) > 1:
            console.print(f"[bold]{name}")
        print_reports(console, CLASSES, result["report"], study)
    matrices = {name: result["matrix"] for name, result in results.items()}
    matrices["study"] = TASK1_VGG["matrix"]
    for name, matrix in matrices.items():
        print_matrix(console, name, CLASSES, matrix)
    return matrices


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
    lines = differences(source, weights, arguments.copies, y_train, y_test)
    lines = print_differences(console, arguments, STUDY, lines)
    stages, results, decisions = list_stages(arguments), {}, {}
    with open_state(arguments) as folder:
        clf = classifier(arguments, weights, folder / "memory")
        trainings = train_stages(
            clone(clf),
            list(stages.values()),
            lambda network: network.fit(X_train, y_train),
            X_test,
            folder,
            keeps_state=arguments.state is not None,
        )
        for name, trained in zip(stages, trainings, strict=True):
            results[name] = score(trained, y_test)
            decisions[name] = trained.probabilities[:, 1]
            fitted = trained.classifier
            epoch, scores = best_epoch(fitted)
            console.print(
                f"{name}: trained in {trained.seconds:.0f} s, "
                f"{fitted.n_iter_per_stage_[-1]} epochs, the best on held-out images "
                f"was number {epoch}, with AUC {scores['auc']:.3f}"
            )
        if arguments.tried:
            tried = clf.set_params(**stages["head"], warm_start=False)
            print_tried(console, tried, X_train, y_train, arguments.rates)
    write_scores(
        arguments.scores,
        {"differences": lines, "stages": results},
    )
    history = TrainingHistoryDisplay.from_estimator(fitted)
    matrices = report(console, results, y_test)
    for name, figure in {
        "history": history.figure_,
        "confusion": plot_matrices(matrices, CLASSES),
        "curves": plot_curves(y_test, decisions),
    }.items():
        path = save(figure, arguments.figures / f"task1_vgg_{name}.png")
        console.print(f"Saved {path}")


# %%
# Tables and plots.

if __name__ == "__main__":
    main()
