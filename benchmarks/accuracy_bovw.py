"""How well visual words tell malignant from benign on ISIC 2016 part 3.

cv
    Repeated stratified 5-fold cross-validation on the training images; everything,
    vocabularies too, is learned in each fold. Settings are chosen by these figures.
test
    Fitted to all training images and run on the test images, with bootstrap 95 %
    intervals over the test images.

Usage: python benchmarks/accuracy_bovw.py [cv|test ...] [--recipes NAME ...]
[--repeats N] [--data-home DIR] [--memory DIR]
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
from tempfile import TemporaryDirectory
from time import perf_counter

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.metrics.pairwise import chi2_kernel
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skinest import BoVWSIFTTransformer, ColorPatchDescriptor, SIFTDescriptor
from skinest.datasets import fetch_isic2016_part3

N_FOLDS = 5
N_BOOTSTRAPS = 2000
METRICS = (
    "accuracy",
    "precision",
    "sensitivity",
    "specificity",
    "F1",
    "AUC",
    "average precision",
)


def study():
    """The study's settings: SIFT defaults, 300 words, RBF."""
    descriptor = SIFTDescriptor(contrast_threshold=0.04, root=False)
    return svm(BoVWSIFTTransformer(300, descriptor=descriptor))


def defaults():
    """BoVWSIFTTransformer() and SVC()."""
    return svm(BoVWSIFTTransformer())


def svm(bovw):
    svc = SVC(class_weight="balanced")
    return Pipeline([("bovw", bovw), ("scale", StandardScaler()), ("svc", svc)])


def histogram():
    """A histogram of 500 words and a chi-squared kernel."""
    bovw = BoVWSIFTTransformer(500, descriptor=dense(), max_descriptors=100_000)
    svc = SVC(C=3, kernel=chi2_kernel, class_weight="balanced")
    return Pipeline([("bovw", bovw), ("svc", svc)])


def three_fishers():
    """Fisher vectors at keypoints, grey and in colour, and of colour patches."""
    union = FeatureUnion(
        [
            ("keypoints", fisher(32, SIFTDescriptor(), 48)),
            ("colours", fisher(32, ColorPatchDescriptor(sigmas=(2, 4, 8)), 18)),
            ("lab", fisher(32, SIFTDescriptor(color="lab", root=False), 80)),
        ]
    )
    svc = SVC(C=0.1, kernel="linear", class_weight="balanced")
    return Pipeline([("bovw", union), ("svc", svc)])


def best():
    """Fisher vectors of a colour grid, keypoints and colour patches."""
    union = FeatureUnion(
        [
            ("dense", fisher(64, dense(), 80)),
            ("keypoints", fisher(32, SIFTDescriptor(), 48)),
            ("colours", fisher(32, ColorPatchDescriptor(), 30)),
        ],
        transformer_weights={"dense": np.sqrt(2)},
    )
    classifier = LogisticRegression(C=2.5, class_weight="balanced", max_iter=500)
    return Pipeline([("bovw", union), ("classifier", classifier)])


def fisher(n_words, descriptor, n_components):
    return BoVWSIFTTransformer(
        n_words,
        descriptor=descriptor,
        encoding="fisher",
        n_components=n_components,
        max_descriptors=100_000,
    )


def dense():
    return SIFTDescriptor(detector="grid", color="lab")


RECIPES = {f.__name__: f for f in (study, defaults, histogram, three_fishers, best)}


def main():
    options = read_options()
    print(f"{joblib.cpu_count()} cores; recipes: {', '.join(options.recipes)}")
    with TemporaryDirectory() as folder:
        memory = options.memory or folder
        for part in options.parts:
            print(f"\n## {part}", flush=True)
            {"cv": run_cv, "test": run_test}[part](options, memory)


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="cv or test")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data-home", help="folder of the ISIC archives")
    parser.add_argument("--memory", help="folder that keeps descriptors")
    options = parser.parse_args()
    options.parts = options.parts or ["cv"]
    if unknown := set(options.parts) - {"cv", "test"}:
        parser.error(f"{sorted(unknown)} is neither cv nor test")
    return options


def build(name, memory, seed):
    """A recipe with all its transformers told where to keep things, and the seed."""
    pipeline = RECIPES[name]()
    settings = {"memory": memory, "random_state": seed, "n_jobs": 2}
    bovw = pipeline.named_steps["bovw"]
    parts = bovw.transformer_list if isinstance(bovw, FeatureUnion) else [(0, bovw)]
    for _, transformer in parts:
        transformer.set_params(**settings)
    return pipeline


def figures(y, decision):
    """Figures of one test set; the threshold is the classifier's own."""
    predicted = decision > 0
    return [
        accuracy_score(y, predicted),
        precision_score(y, predicted, zero_division=0),
        recall_score(y, predicted),
        recall_score(y, predicted, pos_label=0),
        f1_score(y, predicted),
        roc_auc_score(y, decision),
        average_precision_score(y, decision),
    ]


def run_cv(options, memory):
    X, y = fetch_isic2016_part3(options.data_home, return_X_y=True)
    print(f"{options.repeats} x {N_FOLDS} folds: mean (deviation over repeats)")
    for name in options.recipes:
        start = perf_counter()
        repeats = []
        for seed in range(options.repeats):
            splitter = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
            folds = []
            for train, test in splitter.split(X, y):
                pipeline = build(name, memory, seed).fit(X[train], y[train])
                decision = pipeline.decision_function(X[test])
                folds.append(figures(y[test], decision))
            repeats.append(np.mean(folds, axis=0))
        print(f"{name}, {perf_counter() - start:.0f} s")
        rows = zip(np.mean(repeats, axis=0), np.std(repeats, axis=0), strict=True)
        for metric, (value, deviation) in zip(METRICS, rows, strict=True):
            print(f"    {metric:18s} {value:.3f} ({deviation:.3f})", flush=True)


def run_test(options, memory):
    X, y = fetch_isic2016_part3(options.data_home, return_X_y=True)
    X_test, y_test = fetch_isic2016_part3(
        options.data_home, subset="test", return_X_y=True
    )
    print(f"{len(y)} training and {len(y_test)} test images: value [95 % interval]")
    for name in options.recipes:
        start = perf_counter()
        decision = build(name, memory, 0).fit(X, y).decision_function(X_test)
        print(f"{name}, {perf_counter() - start:.0f} s")
        rows = zip(figures(y_test, decision), *bootstrap(y_test, decision), strict=True)
        for metric, (value, low, high) in zip(METRICS, rows, strict=True):
            print(f"    {metric:18s} {value:.3f} [{low:.3f}, {high:.3f}]", flush=True)


def bootstrap(y, decision):
    """Percentile intervals over test images drawn again with replacement."""
    generator = np.random.default_rng(0)
    draws = generator.integers(0, len(y), (N_BOOTSTRAPS, len(y)))
    values = [figures(y[drawn], decision[drawn]) for drawn in draws]
    return np.percentile(values, (2.5, 97.5), axis=0)


if __name__ == "__main__":
    main()
