"""
Benign or malignant by transfer learning
========================================

This example trains a new head on a pretrained backbone. Settings of the head are chosen
by cross-validation on the training images, with features that are computed once. Then
the top layers of the backbone are fine-tuned too. Both networks are tested once on the
test images. With ``--compare``, the same network is also trained from random weights.

By default the example uses synthetic images and random weights, so that it downloads
nothing. Its scores then only show usage. With ``--data-home`` or the environment
variable ``SKINEST_DATA`` it uses the ISIC 2016 archives in that folder and downloads
ImageNet weights, unless ``--weights`` is a file with weights of the backbone.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import matplotlib
import numpy as np
from _script import make_console, save, write_scores
from _study import TASK1_VGG
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
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from skinest import Augmentation, TransferClassifier
from skinest.inspection import GradCAMDisplay, TrainingHistoryDisplay

SIDES = {"mobilenetv2": 352, "vgg16": 128, "vgg19": 128}
# The blocks to fine-tune, at a cost of tens of millions of operations per image.
TOPS = {"mobilenetv2": "block_16", "vgg16": "block5", "vgg19": "block5"}
SEARCHED = ("hidden_units", "l2", "learning_rate")
GRID = [
    {"hidden_units": [()], "l2": [1e-3, 1e-2, 3e-2], "learning_rate": [1e-3]},
    {"hidden_units": [(128,)], "l2": [1e-3, 1e-2], "learning_rate": [3e-4]},
]
N_EXAMPLES = 8


# %%
# The arguments, and a classifier with the settings that all heads share.


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", choices=SIDES, default="mobilenetv2")
    parser.add_argument(
        "--weights", help='file with weights of the backbone, or "imagenet"'
    )
    parser.add_argument("--side", type=int, help="height and width to resize images to")
    parser.add_argument("--epochs", type=int, default=60, help="epochs of the head")
    parser.add_argument(
        "--fine-tune-epochs", type=int, default=5, help="epochs of fine-tuning"
    )
    parser.add_argument(
        "--compare", action="store_true", help="also start from random weights"
    )
    parser.add_argument(
        "--memory", type=Path, help="folder to cache features in for later runs"
    )
    parser.add_argument(
        "--data-home",
        default=os.environ.get("SKINEST_DATA"),
        help="folder with the ISIC 2016 part 3 archives (default: $SKINEST_DATA)",
    )
    parser.add_argument("--figures", type=Path, default=Path("figures"))
    parser.add_argument("--scores", type=Path, help="JSON file to write scores to")
    # A notebook has no arguments.
    return parser.parse_args([] if "ipykernel" in sys.modules else None)


def classifier(arguments, memory):
    side = arguments.side or SIDES[arguments.backbone]
    return TransferClassifier(
        arguments.backbone,
        weights=arguments.weights,
        image_size=(side, side),
        pooling="avg",
        class_weight="balanced",
        epochs=arguments.epochs,
        augmentation=Augmentation(
            rotation=180, shift=0.05, zoom=0.1, vertical_flip=True
        ),
        n_augmented_copies=4,
        memory=memory,
        random_state=0,
    )


# %%
# The search is over settings of the head. The best head is tested on the frozen and on
# the fine-tuned backbone.


def search_heads(clf, X, y):
    """Return a fitted grid search over settings of the head."""
    return GridSearchCV(
        clf,
        GRID,
        scoring={"roc_auc": "roc_auc", "average_precision": "average_precision"},
        refit="average_precision",
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
    ).fit(X, y)


def candidates(search, arguments):
    """Yield the frozen and the fine-tuned network, and random ones to compare."""
    chosen = search.best_estimator_
    tuned = {
        "l2": 0.0,  # the penalty on ImageNet kernels would be larger than the loss
        "fine_tune": TOPS[arguments.backbone],
        "fine_tune_epochs": arguments.fine_tune_epochs,
        "fine_tune_learning_rate": 1e-4,
    }
    yield "frozen", chosen
    yield "fine-tuned", clone(chosen).set_params(**tuned)
    if arguments.compare:
        random = clone(chosen).set_params(weights=None)
        yield "random, frozen", random
        yield "random, fine-tuned", clone(random).set_params(**tuned)


# %%
# A table of the search, the training curves, the ROC curves and heat maps.


def print_search(console, search):
    table = Table(title="Heads, by 5-fold cross-validation on the training images")
    for name in (*SEARCHED, "AUC", "average precision"):
        table.add_column(name, justify="right")
    results = search.cv_results_
    for index, setting in enumerate(results["params"]):
        scores = [
            f"{results[f'mean_test_{metric}'][index]:.3f}"
            for metric in ("roc_auc", "average_precision")
        ]
        style = "bold" if index == search.best_index_ else None
        table.add_row(*(str(setting[name]) for name in SEARCHED), *scores, style=style)
    console.print(table)


def plot(fitted, columns, X_test, y_test, arguments):
    """Plot history, curves and heat maps."""
    name = f"task1_transfer_{arguments.backbone}"
    display = TrainingHistoryDisplay.from_estimator(fitted)
    yield save(display.figure_, arguments.figures / f"{name}_history.png")

    decisions = {label: column["decision"] for label, column in columns.items()}
    figure = plot_curves(y_test, decisions)
    yield save(figure, arguments.figures / f"{name}_curves.png")

    malignant = np.flatnonzero(y_test == 1)[:N_EXAMPLES]
    shown = [X_test[index] for index in malignant]
    display = GradCAMDisplay.from_estimator(fitted, shown, target=1)
    display.figure_.suptitle("Areas that raise the score of malignant")
    yield save(display.figure_, arguments.figures / f"{name}_gradcam.png")


def main():
    arguments = parse_arguments()
    matplotlib.use("agg")
    console = make_console()
    source, X_train, X_test, y_train, y_test = load_images(arguments.data_home, 200)
    if arguments.weights is None and source != SYNTHETIC:
        arguments.weights = "imagenet"
    console.print(
        f"{source}: {len(y_train)} training images, {len(y_test)} test images\n"
        f"{arguments.backbone}, weights: {arguments.weights or 'random'}; "
        f"classes: {CLASSES}"
    )
    columns = {}
    with TemporaryDirectory() as folder:
        clf = classifier(arguments, arguments.memory or folder)
        start = perf_counter()
        search = search_heads(clf, X_train, y_train)
        console.print(f"Search: {perf_counter() - start:.0f} s")
        print_search(console, search)
        for name, network in candidates(search, arguments):
            start = perf_counter()
            if network is not search.best_estimator_:
                network.fit(X_train, y_train)
            decision = network.predict_proba(X_test)[:, 1]
            predicted = network.classes_[(decision > 0.5).astype(int)]
            columns[name] = {
                "decision": decision,
                "scores": add_intervals(y_test, predicted, decision),
            }
            console.print(f"{name}: {perf_counter() - start:.0f} s")
            if name == "fine-tuned":
                fitted = network
    scores = {name: column["scores"] for name, column in columns.items()}
    write_scores(arguments.scores, scores)
    print_test(console, y_test, scores, TASK1_VGG)
    for path in plot(fitted, columns, X_test, y_test, arguments):
        console.print(f"Saved {path}")


# %%
# The best settings, and scores on the test images with those of the study.

if __name__ == "__main__":
    main()
