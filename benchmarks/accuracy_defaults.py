"""Compare heads on frozen features, to choose the default of TransferClassifier.

Heads are compared by 5-fold cross-validation on four data sets, with no lesion in two
folds, and by training on one of two sources and testing on the other. The features are
averaged feature maps of VGG16 and of MobileNetV2 at 224 pixels. A logistic regression
on the same features, standardised, is the baseline. The test images of ISIC 2016 are
not used.

features
    Compute the features of all images, into the folder --results.
heads
    Train the heads, as TransferClassifier would (see _heads.py), and the logistic
    regressions. Scores are added to heads.jsonl in that folder. Those that it has are
    not computed again.
table
    Print means over all data sets and both networks, and the difference of each head
    from the best one.
check
    Train TransferClassifier itself on two data sets, with its defaults.

Usage: python benchmarks/accuracy_defaults.py features heads table check
       --vgg16 vgg16.weights.h5 --mobilenetv2 mobilenetv2.weights.h5
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from _head_data import BACKBONES, SUBSETS, compute_features, locate, read_sets
from _heads import Heads, Shape
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skinest import TransferClassifier

SOURCES = (("isic2016", "malignant"), ("malignant", "isic2016"))
PROBLEMS = ("isic2016", *SUBSETS, *map(" to ".join, SOURCES))
N_FOLDS = 5
EPOCHS = (5, 10, 20, 30, 50)
METRICS = ("AUC", "average precision", "log loss")

# Pooling, whether features are standardised, common settings of heads, and learning
# rates and L2 penalties of the heads that are trained together.
LINEAR = [(1e-3, 0), (1e-3, 0.01), (1e-3, 0.03), (1e-3, 0.1), (3e-4, 0), (3e-3, 0)]
FEW = [(1e-3, 0), (1e-3, 0.1)]
GRID = [
    ("avg", False, Shape(dropout=0.5), LINEAR),
    ("avg", False, Shape(dropout=0.0), [*FEW, (1e-3, 0.03)]),
    ("avg", True, Shape(dropout=0.5), FEW),
    ("max", False, Shape(dropout=0.5), FEW),
    ("avg", False, Shape((128,), 0.5), [(1e-4, 0), (1e-3, 0)]),
    ("avg", False, Shape(dropout=0.5, batch_size=16), FEW),
    ("avg", False, Shape(dropout=0.5, batch_size=64), FEW),
]
# Early stopping: a tenth is held out, and training stops after epochs without a lower
# log loss. The weights of the best epoch are restored.
STOPPED = Shape(dropout=0.5)
MAX_EPOCHS, PATIENCE = 200, 10
PENALTIES = (0.001, 0.003, 0.01, 0.1)  # C of the logistic regression


# Cross-validation


def list_folds(sets, problem):
    """List folds: pairs of set and positions, for training and for testing."""
    train, _, test = problem.partition(" to ")
    if test:
        return [((train, slice(None)), (test, slice(None)))]
    _, y, lesions = sets[train]
    splitter = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=0)
    folds = splitter.split(y, y, lesions)
    return [tuple((train, positions) for positions in fold) for fold in folds]


def measure(y, probabilities):
    """Return AUC, average precision (both macro) and log loss."""
    truth = np.eye(probabilities.shape[1])[y]
    scores = probabilities.astype(float)
    if scores.shape[1] == 2:
        truth, scores = truth[:, 1], scores[:, 1]
    clipped = np.clip(probabilities.astype(float), 1e-7, 1)
    return (
        roc_auc_score(truth, scores),
        average_precision_score(truth, scores),
        log_loss(y, clipped / clipped.sum(axis=1, keepdims=True)),
    )


def train_heads(X, y, X_test, y_test, standardised, shape, heads):
    """Return scores of shape (n_heads, n_epochs, n_metrics)."""
    if standardised:
        scaler = StandardScaler().fit(X)
        X, X_test = scaler.transform(X), scaler.transform(X_test)
    trained, scores = Heads(shape, *zip(*heads, strict=True), seed=0), []
    for epoch in trained.epochs(X, y, EPOCHS[-1]):
        if epoch in EPOCHS:
            scores.append([measure(y_test, p) for p in trained.predict_proba(X_test)])
    return np.swapaxes(scores, 0, 1)


def train_stopped(X, y, X_test, y_test):
    """Return scores of shape (n_heads, n_metrics) with early stopping."""
    X, X_held, y, y_held = train_test_split(
        X, y, test_size=0.1, stratify=y, random_state=0
    )
    scores = []
    for head in FEW:
        trained = Heads(STOPPED, *zip(head, strict=True), seed=0)
        best_loss, best_epoch, best = np.inf, 0, None
        for epoch in trained.epochs(X, y, MAX_EPOCHS):
            held = trained.predict_proba(X_held)[0, np.arange(len(y_held)), y_held]
            loss = -np.log(np.maximum(held, 1e-7)).mean()
            if loss < best_loss:
                best_loss, best_epoch = loss, epoch
                best = measure(y_test, trained.predict_proba(X_test)[0])
            if epoch - best_epoch >= PATIENCE:
                break
        scores.append(best)
    return scores


def train_logistic(X, y, X_test, y_test):
    """Return scores of shape (n_penalties, n_metrics)."""
    scores = []
    for penalty in PENALTIES:
        logistic = make_pipeline(
            StandardScaler(), LogisticRegression(C=penalty, max_iter=300)
        )
        scores.append(measure(y_test, logistic.fit(X, y).predict_proba(X_test)))
    return scores


OTHERS = {"logistic": train_logistic, "early stopping": train_stopped}


def cross_validate(options, sets, problem, backbone, pooling, train):
    """Return mean scores over the folds of a problem."""
    scores = []
    for fold in list_folds(sets, problem):
        data = []
        for name, positions in fold:
            features = np.load(locate(options, backbone, name, pooling))
            data += [features[positions], sets[name][1][positions]]
        scores.append(train(*data))
    return np.mean(scores, axis=0)


def run_heads(options, sets):
    file = options.results / "heads.jsonl"
    known = set(read_results(options))
    with file.open("a") as lines:

        def keep(key, scores):
            lines.write(json.dumps([key, np.round(scores, 5).tolist()]) + "\n")
            lines.flush()
            print(*key, flush=True)

        for problem, backbone in product(PROBLEMS, options.backbones):
            run = partial(cross_validate, options, sets, problem, backbone)
            for pooling, standardised, shape, heads in GRID:
                known_by = problem, backbone, *describe(pooling, standardised, shape)
                keys = {head: (*known_by, *head) for head in heads}
                missing = [head for head in heads if keys[head] not in known]
                if missing:
                    train = partial(
                        train_heads,
                        standardised=standardised,
                        shape=shape,
                        heads=missing,
                    )
                    for head, scores in zip(missing, run(pooling, train), strict=True):
                        keep(keys[head], scores)
            for name, train in OTHERS.items():
                if (problem, backbone, name) not in known:
                    keep((problem, backbone, name), run("avg", train))


def describe(pooling, standardised, shape):
    """Return the key of heads that are trained together."""
    units = ",".join(map(str, shape.hidden_units)) or "none"
    if shape.batch_size != 32:
        units += f", batch size {shape.batch_size}"
    return pooling, standardised, units, shape.dropout


# Tables


def read_results(options):
    """Return scores by key."""
    file = options.results / "heads.jsonl"
    if not file.exists():
        return {}
    rows = map(json.loads, file.read_text().splitlines())
    return {tuple(key): np.array(scores) for key, scores in rows}


def print_table(options, sets):
    """Print means over problems and networks, sorted by distance to the best head."""
    rows = {}
    for (problem, backbone, *setting), scores in read_results(options).items():
        if setting == ["logistic"]:
            variants = [f"logistic regression, C={c:g}" for c in PENALTIES]
        elif setting == ["early stopping"]:
            variants = [f"avg, dropout 0.5, l2 {l2:g}, stopped early" for _, l2 in FEW]
        else:
            pooling, standardised, units, dropout, rate, l2 = setting
            head = (
                f"{pooling}{', standardised' * standardised}, hidden {units}, dropout "
                f"{dropout:g}, rate {rate:g}, l2 {l2:g}"
            )
            variants = [f"{head}, {epoch} epochs" for epoch in EPOCHS]
        for variant, values in zip(variants, scores, strict=True):
            rows.setdefault(variant, {})[problem, backbone] = values
    cells = list(product(PROBLEMS, BACKBONES))
    missing = np.full(len(METRICS), np.nan)
    scores = np.array(
        [[values.get(cell, missing) for cell in cells] for values in rows.values()]
    )
    best = np.hstack(
        [np.nanmax(scores[..., :2], axis=0), np.nanmin(scores[..., 2:], axis=0)]
    )
    distances = np.nanmean(np.abs(scores - best), axis=1)
    across = np.array([" to " in problem for problem, _ in cells])
    print("n, mean distance to the best in AUC, average precision, log loss;")
    print("mean AUC within sets and across sources, average precision, log loss")
    names = list(rows)
    for row in np.argsort(distances[:, 0]):
        aucs = scores[row, :, 0]
        means = aucs[~across].mean(), aucs[across].mean(), *scores[row, :, 1:].mean(0)
        columns = [f"{value:.3f}" for value in (*distances[row], *means)]
        print(len(rows[names[row]]), *columns, names[row])


def check(options, sets):
    """Print scores of TransferClassifier with its defaults, on two data sets."""
    for name, backbone in product(("small", "isic2016"), options.backbones):
        network = TransferClassifier(
            backbone,
            weights=getattr(options, backbone),
            memory=options.results / "memory",
            random_state=0,
        )
        paths, y, _ = sets[name]
        scores = []
        for (_, train), (_, test) in list_folds(sets, name):
            network.fit(paths[train], y[train])
            scores.append(measure(y[test], network.predict_proba(paths[test])))
        means = " ".join(f"{mean:.3f}" for mean in np.mean(scores, axis=0))
        print(f"{name}, {backbone}: {means}", flush=True)


def main():
    parts = {
        "features": compute_features,
        "heads": run_heads,
        "table": print_table,
        "check": check,
    }
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=parts)
    parser.add_argument("--backbones", nargs="+", choices=BACKBONES, default=BACKBONES)
    for backbone in BACKBONES:
        parser.add_argument(f"--{backbone}", default="imagenet", help="weights file")
    parser.add_argument("--data-home", help="folder of the ISIC archives")
    parser.add_argument("--results", type=Path, default=Path("defaults"))
    options = parser.parse_args()
    options.results.mkdir(exist_ok=True)
    sets = read_sets(options.data_home)
    for part in options.parts:
        parts[part](options, sets)


if __name__ == "__main__":
    main()
