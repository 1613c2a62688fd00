"""Measure how well recipes classify malignant and benign images (ISIC 2016 part 3).

cv
    Repeated stratified 5-fold cross-validation on the training images. Everything is
    learned within each fold. Settings are chosen by these scores.
test
    Recipes are fitted to all training images and scored on the test images, with
    bootstrap 95 % intervals over the test images.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import joblib
import numpy as np
from _examples import add_intervals, evaluate, write_scores
from sklearn.model_selection import StratifiedKFold

from skinest.datasets import fetch_isic2016_part3

N_FOLDS = 5


def run(parser, recipes, build):
    """Read the options and run the parts that they name.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Parser to which the common options are added.

    recipes : collection of str
        Names of the recipes.

    build : callable
        ``build(name, options, seed)`` returns the classifier of a recipe.
        `options.memory` is a folder for a cache.
    """
    options = read_options(parser, list(recipes))
    print(f"{joblib.cpu_count()} cores; recipes: {', '.join(options.recipes)}")
    with TemporaryDirectory() as folder:
        options.memory = options.memory or folder
        for part in options.parts:
            print(f"\n## {part}", flush=True)
            {"cv": run_cv, "test": run_test}[part](options, build)


def read_options(parser, recipes):
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("parts", nargs="*", metavar="PART", help="cv or test")
    parser.add_argument("--recipes", nargs="+", choices=recipes, default=recipes)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--n-jobs", type=int, default=2, help="threads for words")
    parser.add_argument("--data-home", help="folder of the ISIC archives")
    parser.add_argument("--memory", help="folder for a cache")
    parser.add_argument(
        "--scores", type=Path, help="JSON file to write scores on test images to"
    )
    options = parser.parse_args()
    options.parts = options.parts or ["cv"]
    if unknown := set(options.parts) - {"cv", "test"}:
        parser.error(f"{sorted(unknown)} is neither cv nor test")
    return options


def rename(scores):
    """Return scores by the names that the stored results of visual words have."""
    return {("F1" if name == "f1" else name): each for name, each in scores.items()}


def run_cv(options, build):
    X, y = fetch_isic2016_part3(options.data_home, return_X_y=True)
    print(f"{options.repeats} x {N_FOLDS} folds: mean (deviation over repeats)")
    for name in options.recipes:
        start = perf_counter()
        repeats = []
        for seed in range(options.repeats):
            splitter = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
            folds = []
            for train, test in splitter.split(X, y):
                pipeline = build(name, options, seed).fit(X[train], y[train])
                decision = pipeline.decision_function(X[test])
                folds.append(rename(evaluate(y[test], decision > 0, decision)))
            values = [list(scores.values()) for scores in folds]
            repeats.append(np.mean(values, axis=0))
        print(f"{name}, {perf_counter() - start:.0f} s")
        rows = zip(np.mean(repeats, axis=0), np.std(repeats, axis=0), strict=True)
        for metric, (value, deviation) in zip(folds[0], rows, strict=True):
            print(f"    {metric:18s} {value:.3f} ({deviation:.3f})", flush=True)


def run_test(options, build):
    X, y = fetch_isic2016_part3(options.data_home, return_X_y=True)
    X_test, y_test = fetch_isic2016_part3(
        options.data_home, subset="test", return_X_y=True
    )
    print(f"{len(y)} training and {len(y_test)} test images: value [95 % interval]")
    scores = {}
    for name in options.recipes:
        start = perf_counter()
        decision = build(name, options, 0).fit(X, y).decision_function(X_test)
        print(f"{name}, {perf_counter() - start:.0f} s")
        scores[name] = rename(add_intervals(y_test, decision > 0, decision))
        for metric, (value, low, high) in scores[name].items():
            print(f"    {metric:18s} {value:.3f} [{low:.3f}, {high:.3f}]", flush=True)
        write_scores(options.scores, scores)
