"""Measure what predictions by several views of each image cost, and what they gain.

speed
    Predictions of fitted networks from paths, by 1, 2, 4 and 8 views, in one process.
    Weights are random.
accuracy
    Areas under the curve (AUC) by repeated 5-fold cross-validation on the training
    images of ISIC 2016 part 3, by the head of `TransferClassifier` with its defaults
    and class weights, trained with and without augmentation. All numbers of views are
    of the same fits. Intervals of differences are from a bootstrap over images. It
    needs a file of weights, and is printed only. With `--memory`, features are kept in
    a folder, so that a part that was stopped continues there.

Usage: python benchmarks/bench_views.py speed
       python benchmarks/bench_views.py accuracy --backbone mobilenetv2 --weights FILE
           --memory FOLDER
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from functools import cache
from time import perf_counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from _parts import make_parser, parse, run_part
from make_tables import VIEWED
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from skinest import Augmentation, TransferClassifier, UNetSegmenter
from skinest.datasets import fetch_ham10000_masks, fetch_isic2016_part3
from skinest.model_selection import compare

NUMBERS = (1, 2, 4, 8)
N_FOLDS = 5
TRAINED = {
    "no augmentation": None,
    "flips and any angle": Augmentation(rotation=180, vertical_flip=True),
}


def main():
    options = read_options()
    for part in options.parts:
        {"speed": bench_speed, "accuracy": compare_accuracy}[part](options)


def read_options():
    parser = make_parser(__doc__, ("speed",), ("accuracy",))
    parser.add_argument("--images", type=int, help="of speed")
    parser.add_argument(
        "--backbone", choices=("mobilenetv2", "vgg16"), default="mobilenetv2"
    )
    parser.add_argument("--weights", default="imagenet", help="file of accuracy")
    parser.add_argument("--memory", help="folder for features of accuracy")
    parser.add_argument("--repeats", type=int, help="of the folds of accuracy")
    options = parse(parser)
    options.images = options.images or (16 if options.quick else 64)
    options.repeats = options.repeats or (1 if options.quick else 3)
    return options


# speed


def bench_speed(options):
    @cache
    def build(network):
        if network == "U-Net":
            X, y = fetch_ham10000_masks(options.data_home, return_X_y=True)
            X, y = X[: options.images].tolist(), y[: options.images].tolist()
            fitted = UNetSegmenter(base_filters=16, epochs=1, random_state=0)
            return fitted.fit(X[:16], y[:16]), X
        X, y = fetch_isic2016_part3(options.data_home, return_X_y=True)
        few = np.r_[np.flatnonzero(y == 0)[:4], np.flatnonzero(y == 1)[:4]]
        fitted = TransferClassifier(network, weights=None, epochs=1, random_state=0)
        return fitted.fit(X[few], y[few]), X[: options.images]

    warm = set()

    def measure(side):
        network, _, number = side.partition(", ")
        fitted, X = build(network)
        fitted.set_params(n_prediction_views=int(number.split()[0]))
        if side not in warm:
            fitted.predict(X)  # compiles
            warm.add(side)
        start = perf_counter()
        fitted.predict(X)
        return {"ms": 1000 * (perf_counter() - start) / len(X)}

    run_part(
        "views_speed",
        VIEWED,
        measure,
        options,
        n_runs=5,
        settings={
            "images": options.images,
            "pixels of the classifiers": 224,
            "pixels of the U-Net": 128,
            "filters of the U-Net": 16,
        },
        tensorflow=True,
    )


# accuracy


def compare_accuracy(options):
    X, y = fetch_isic2016_part3(options.data_home, return_X_y=True)
    if options.quick:
        X, y = X[:100], y[:100]
    print(f"\n## accuracy: {options.backbone}, {len(y)} images", flush=True)
    print(f"Mean AUC of {options.repeats} x {N_FOLDS} folds; less one view [95 %]")
    for name, augmentation in TRAINED.items():
        clf = TransferClassifier(
            options.backbone,
            weights=options.weights,
            class_weight="balanced",
            augmentation=augmentation,
            memory=options.memory,
            random_state=0,
        )
        found = [
            predict_folds(clf, X, y, seed, f"{name}, repeat {seed + 1}")
            for seed in range(options.repeats)
        ]
        for number in NUMBERS:
            of_views = np.column_stack([repeat[number] for repeat in found])
            of_one = np.column_stack([repeat[1] for repeat in found])
            cells = [f"{mean_area(y, of_views):.4f}"]
            if number > 1:
                cells.append(describe_difference(y, of_views, of_one))
            print(f"{name}, {number} views:", *cells, flush=True)


def predict_folds(clf, X, y, seed, name):
    """Return the probability of each image out of its fold, by number of views."""
    start = perf_counter()
    splitter = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    found = {number: np.empty(len(y)) for number in NUMBERS}
    for train, test in splitter.split(X, y):
        clf.set_params(n_prediction_views=1).fit(X[train], y[train])
        for number in NUMBERS:
            clf.set_params(n_prediction_views=number)
            found[number][test] = clf.predict_proba(X[test])[:, 1]
    print(f"{name}: {perf_counter() - start:.0f} s", flush=True)
    return found


def mean_area(y, repeats, sample_weight=None):
    """Return the mean AUC over repeats, each a column with all images."""
    return np.mean(
        [roc_auc_score(y, values, sample_weight=sample_weight) for values in repeats.T]
    )


def describe_difference(y, ours, other):
    """Return a difference of mean AUC with an interval over images."""
    return f"{compare(mean_area, y, ours, other, random_state=0):+.4f}"


if __name__ == "__main__":
    main()
