"""
Benign or malignant by visual words
===================================

A search over the number of visual words and the kernel of a support vector
machine, by cross-validation on the training images alone; then one look at the
test images.

On the ISIC 2016 archives where ``--data-home`` or the environment variable
``SKINEST_DATA`` names a folder that holds them, else on synthetic images.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
import matplotlib
import numpy as np
from _study import TASK1_BASELINE, TASK1_BOVW
from _task1 import CLASSES, evaluate, load_images, save
from rich.console import Console
from rich.table import Table
from sklearn.callback import ProgressBar
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    PrecisionRecallDisplay,
    RocCurveDisplay,
    accuracy_score,
    classification_report,
    confusion_matrix,
    make_scorer,
    precision_score,
)
from sklearn.metrics.pairwise import chi2_kernel
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skinest import BoVWSIFTTransformer
from skinest.kernels import histogram_intersection_kernel

N_WORDS = [30, 100, 200, 300, 400, 500]
KERNELS = {
    "linear": "linear",
    "rbf": "rbf",
    "intersection": histogram_intersection_kernel,
    "chi2": chi2_kernel,
}
SCORING = {
    "accuracy": "accuracy",
    "precision": make_scorer(precision_score, zero_division=0),
    "recall": "recall",
    "f1": "f1",
    "roc_auc": "roc_auc",
    "average_precision": "average_precision",
}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data-home",
        default=os.environ.get("SKINEST_DATA"),
        help="folder with the ISIC 2016 part 3 archives (default: $SKINEST_DATA)",
    )
    parser.add_argument("--figures", type=Path, default=Path("figures"))
    parser.add_argument("--save", type=Path, help="keep the fitted pipeline in a file")
    parser.add_argument(
        "--load",
        type=Path,
        help="reuse a pipeline that --save kept; a pickle: load only what you trust",
    )
    return parser.parse_args()


def search_words_and_kernels(X, y, memory):
    """Grid search: standardised features for two kernels, plain ones for two."""
    pipeline = Pipeline(
        [
            ("bovw", BoVWSIFTTransformer(memory=memory, n_jobs=2, random_state=0)),
            ("scale", StandardScaler()),
            ("svc", SVC(class_weight="balanced")),
        ]
    )
    standardised = {"scale": [StandardScaler()], "svc__kernel": ["linear", "rbf"]}
    plain = {
        "scale": ["passthrough"],
        "svc__kernel": [histogram_intersection_kernel, chi2_kernel],
    }
    search = GridSearchCV(
        pipeline,
        [{"bovw__n_words": N_WORDS, **grid} for grid in (standardised, plain)],
        scoring=SCORING,
        refit="average_precision",
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
    )
    search.set_callbacks(ProgressBar(max_propagation_depth=0)).fit(X, y)
    search.best_estimator_.set_params(bovw__memory=None)  # it ends with this script
    return search


def kernel_name(kernel):
    return next(name for name, value in KERNELS.items() if value == kernel)


def scores_by_setting(search):
    """{metric: array of shape (n_words, n_kernels)} of cross-validated means."""
    results = search.cv_results_
    scores = {
        metric: np.full((len(N_WORDS), len(KERNELS)), np.nan) for metric in SCORING
    }
    for position, setting in enumerate(results["params"]):
        row = N_WORDS.index(setting["bovw__n_words"])
        column = list(KERNELS).index(kernel_name(setting["svc__kernel"]))
        for metric, values in scores.items():
            values[row, column] = results[f"mean_test_{metric}"][position]
    return scores


def print_search(console, search, scores):
    table = Table(title="Average precision (AUC) in 5-fold cross-validation")
    table.add_column("words", justify="right")
    for name in KERNELS:
        table.add_column(name, justify="right")
    for row, n_words in enumerate(N_WORDS):
        cells = [
            f"{precision:.3f} ({auc:.3f})"
            for precision, auc in zip(
                scores["average_precision"][row], scores["roc_auc"][row], strict=True
            )
        ]
        table.add_row(str(n_words), *cells)
    console.print(table)
    console.print(f"Chosen by average precision: {describe_setting(search)}")


def describe_setting(search):
    setting = search.best_params_
    return f"{setting['bovw__n_words']} words, {kernel_name(setting['svc__kernel'])}"


def print_test(console, y, predicted, figures, setting):
    """Ours beside the all-benign baseline and the study's row."""
    accuracy = accuracy_score(y, np.zeros_like(y))
    all_benign = {"accuracy": accuracy, "sensitivity": 0.0, "specificity": 1.0}
    columns = {
        "all benign": all_benign | {"AUC": 0.5, "average precision": y.mean()},
        "skinest": figures,
        "study: all benign": TASK1_BASELINE,
        "study: best": TASK1_BOVW,
    }
    table = Table(
        title=f"skinest: {len(y)} test images, {int(y.sum())} malignant; {setting}\n"
        f"study: {TASK1_BOVW['n_test']} test images, 75 malignant; "
        f"{TASK1_BOVW['setting']}"
    )
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for metric in figures:
        cells = [
            f"{column[metric]:.3f}" if metric in column else "-"
            for column in columns.values()
        ]
        table.add_row(metric, *cells)
    console.print(table)
    console.print(classification_report(y, predicted, target_names=CLASSES))
    console.print("Confusion matrix (rows: truth, columns: prediction)")
    console.print(f"skinest {confusion_matrix(y, predicted).tolist()}", highlight=False)
    console.print(
        f"study   {[list(row) for row in TASK1_BOVW['matrix']]}", highlight=False
    )


def plot_search(search, scores, folder):
    """Metrics against the number of words, and by kernel."""
    import matplotlib.pyplot as plt

    best_row = N_WORDS.index(search.best_params_["bovw__n_words"])
    best_kernel = kernel_name(search.best_params_["svc__kernel"])
    column = list(KERNELS).index(best_kernel)
    labels = [metric.replace("_", "\n") for metric in SCORING]

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for values, label in zip(scores.values(), labels, strict=True):
        axes.plot(
            N_WORDS, values[:, column], marker="o", label=label.replace("\n", " ")
        )
    axes.set(
        xlabel="number of visual words",
        ylabel="mean of 5 folds",
        title=f"Metrics against the number of words ({best_kernel} kernel)",
        ylim=(0, 1),
        xticks=N_WORDS,
    )
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper")
    yield save(figure, folder / "task1_bovw_words.png")

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    places = np.arange(len(labels))
    for offset, name in enumerate(KERNELS):
        heights = [scores[metric][best_row, offset] for metric in SCORING]
        axes.bar(places + 0.2 * (offset - 1.5), heights, width=0.2, label=name)
    axes.set_xticks(places, labels)
    axes.set(
        ylabel="mean of 5 folds",
        ylim=(0, 1),
        title=f"Metrics by kernel ({N_WORDS[best_row]} words)",
    )
    figure.legend(loc="outside right upper", title="kernel")
    yield save(figure, folder / "task1_bovw_kernels.png")


def plot_test(y, predicted, decision, folder):
    """Confusion matrix, ROC and precision-recall curves."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(4.5, 4), layout="constrained")
    ConfusionMatrixDisplay.from_predictions(
        y, predicted, display_labels=CLASSES, cmap="Blues", colorbar=False, ax=axes
    )
    axes.set_title("Test images")
    yield save(figure, folder / "task1_bovw_confusion.png")

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.5), layout="constrained")
    options = {"name": "skinest", "plot_chance_level": True}
    RocCurveDisplay.from_predictions(y, decision, ax=left, **options)
    PrecisionRecallDisplay.from_predictions(y, decision, ax=right, **options)
    left.set_title("ROC curve, test images")
    right.set_title("Precision-recall curve, test images")
    yield save(figure, folder / "task1_bovw_curves.png")


def main():
    arguments = parse_arguments()
    matplotlib.use("agg")
    console = Console()
    source, X_train, X_test, y_train, y_test = load_images(arguments.data_home)
    console.print(
        f"{source}: {len(y_train)} training images, {len(y_test)} test images"
    )
    console.print(f"All benign: accuracy {np.mean(y_train == 0):.3f} in training")
    saved = []
    if arguments.load:
        pipeline, setting = joblib.load(arguments.load)
        console.print(f"Loaded {arguments.load}: {setting}")
    else:
        with TemporaryDirectory() as memory:
            search = search_words_and_kernels(X_train, y_train, memory)
        pipeline, setting = search.best_estimator_, describe_setting(search)
        scores = scores_by_setting(search)
        print_search(console, search, scores)
        saved += plot_search(search, scores, arguments.figures)
    if arguments.save:
        joblib.dump((pipeline, setting), arguments.save)
        console.print(f"Saved {arguments.save}")

    predicted, decision = pipeline.predict(X_test), pipeline.decision_function(X_test)
    figures = evaluate(y_test, predicted, decision)
    print_test(console, y_test, predicted, figures, setting)
    saved += plot_test(y_test, predicted, decision, arguments.figures)
    for path in saved:
        console.print(f"Figure: {path}")


if __name__ == "__main__":
    main()
