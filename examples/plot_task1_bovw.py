"""
Benign or malignant by visual words
===================================

This example reproduces the first method of the study: SIFT, visual words and a support
vector machine, with a search over the number of words and the kernel.

The search uses cross-validation on the training images; then the best setting is tested
once on the test images. Look at recall, not only at accuracy: one lesion in five is
malignant, so always predicting benign has an accuracy of .8. Settings with the same
accuracy can find very different numbers of malignant lesions.

By default the example uses synthetic images. With ``--data-home`` or the environment
variable ``SKINEST_DATA`` it uses the ISIC 2016 archives in that folder.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
import matplotlib
import numpy as np
from _script import (
    labels_of,
    make_console,
    plot_matrices,
    print_lines,
    print_matrix,
    print_reports,
    report_of,
    save,
    write_scores,
)
from _study import TASK1_BOVW
from _task1 import (
    CLASSES,
    add_intervals,
    evaluate,
    load_images,
    plot_curves,
    print_test,
)
from rich.table import Table
from sklearn.metrics import confusion_matrix, make_scorer, precision_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skinest import BoVWSIFTTransformer
from skinest.kernels import chi2_kernel, histogram_intersection_kernel

N_WORDS = [30, 100, 200, 300, 400, 500]
KERNELS = {
    "linear": "linear",
    "rbf": "rbf",
    "intersection": histogram_intersection_kernel,
    "chi2": chi2_kernel,
}
# The study's plots show several numbers of words with the RBF kernel, and several
# kernels with 300 words.
STUDY_PLACE = N_WORDS.index(300), list(KERNELS).index("rbf")
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
    parser.add_argument(
        "--full", action="store_true", help="use real images (downloaded if missing)"
    )
    parser.add_argument("--scores", type=Path, help="JSON file to write scores to")
    parser.add_argument("--save", type=Path, help="file to save the pipeline to")
    parser.add_argument(
        "--load",
        type=Path,
        help="load a pipeline from --save; it is a pickle: load only what you trust",
    )
    # A notebook has no arguments.
    return parser.parse_args([] if "ipykernel" in sys.modules else None)


# %%
# The search caches descriptors, vocabularies and encodings, so that none is computed
# twice.


def search_words_and_kernels(X, y, memory):
    """Return a fitted search over words and kernels; two kernels standardise first."""
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
    if sys.stdout.isatty() and hasattr(search, "set_callbacks"):  # scikit-learn 1.9
        from sklearn.callback import ProgressBar

        search.set_callbacks(ProgressBar(max_propagation_depth=0))
    search.fit(X, y)
    search.best_estimator_.set_params(bovw__memory=None)  # the folder is temporary
    return search


def kernel_name(kernel):
    return next(name for name, value in KERNELS.items() if value == kernel)


def scores_by_setting(search):
    """Return {metric: array of shape (n_words, n_kernels)} of cross-validated means."""
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


def scores_of_plots(scores):
    """Return scores by number of words and by kernel, as in two plots of the study."""
    row, column = STUDY_PLACE
    by_words = {
        str(n_words): {name: values[place, column] for name, values in scores.items()}
        for place, n_words in enumerate(N_WORDS)
    }
    by_kernel = {
        kernel: {name: values[row, place] for name, values in scores.items()}
        for place, kernel in enumerate(KERNELS)
    }
    return by_words, by_kernel


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
    by_words, by_kernel = scores_of_plots(scores)
    print_metrics(console, "By the number of words, RBF kernel", by_words)
    print_metrics(console, "By kernel, 300 words", by_kernel)
    console.print(
        "In the study, 300 words and the RBF kernel had the best accuracy, precision "
        "and F1. The kernel with the best recall was histogram intersection."
    )


def print_metrics(console, title, rows):
    """Print the means over folds, with the best of each metric in bold."""
    table = Table(title=f"{title}: means of the folds")
    table.add_column("")
    for metric in SCORING:
        table.add_column(metric.replace("_", " "), justify="right")
    best = {metric: max(row[metric] for row in rows.values()) for metric in SCORING}
    for name, row in rows.items():
        cells = (
            f"[bold]{row[metric]:.3f}"
            if row[metric] == best[metric]
            else f"{row[metric]:.3f}"
            for metric in SCORING
        )
        table.add_row(name, *cells)
    console.print(table)


def describe_setting(search):
    setting = search.best_params_
    return f"{setting['bovw__n_words']} words, {kernel_name(setting['svc__kernel'])}"


def differences(source, y_train, y_test):
    return (
        f"{source}: {len(y_train)} training and {len(y_test)} test images; "
        f"{TASK1_BOVW['n_train']} and {TASK1_BOVW['n_test']} in the study",
        "words and kernel are chosen by 5-fold cross-validation, not on test images",
        "descriptors are matched exactly, not by FLANN; class weights are balanced; "
        "features are standardised for the linear and the RBF kernel",
    )


def plot_search(scores, folder):
    """Plot metrics by number of words and by kernel."""
    import matplotlib.pyplot as plt

    row, column = STUDY_PLACE
    labels = [metric.replace("_", "\n") for metric in SCORING]

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for values, label in zip(scores.values(), labels, strict=True):
        axes.plot(
            N_WORDS, values[:, column], marker="o", label=label.replace("\n", " ")
        )
    axes.set(
        xlabel="number of visual words",
        ylabel="mean of 5 folds",
        title="Metrics against the number of words (RBF kernel)",
        ylim=(0, 1),
        xticks=N_WORDS,
    )
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper")
    yield save(figure, folder / "task1_bovw_words.png")

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    places = np.arange(len(labels))
    for offset, name in enumerate(KERNELS):
        heights = [scores[metric][row, offset] for metric in SCORING]
        axes.bar(places + 0.2 * (offset - 1.5), heights, width=0.2, label=name)
    axes.set_xticks(places, labels)
    axes.set(
        ylabel="mean of 5 folds",
        ylim=(0, 1),
        title="Metrics by kernel (300 words)",
    )
    figure.legend(loc="outside right upper", title="kernel")
    yield save(figure, folder / "task1_bovw_kernels.png")


# %%
# Scores on the test images, with those of the study.


def report(console, y, predicted, decision, setting):
    """Print scores on the test images, and yield plots with their names."""
    scores = evaluate(y, predicted, decision)
    print_test(console, y, {"skinest": scores}, TASK1_BOVW, setting)
    study = report_of(*labels_of(TASK1_BOVW["matrix"]), CLASSES)
    print_reports(console, CLASSES, report_of(y, predicted, CLASSES), study)
    matrices = {
        "skinest": confusion_matrix(y, predicted),
        "study": TASK1_BOVW["matrix"],
    }
    for name, matrix in matrices.items():
        print_matrix(console, name, CLASSES, matrix)
    yield "confusion", plot_matrices(matrices, CLASSES)
    yield "curves", plot_curves(y, {"skinest": decision})


def main():
    arguments = parse_arguments()
    matplotlib.use("agg")
    console = make_console()
    source, X_train, X_test, y_train, y_test = load_images(
        arguments.data_home, download=arguments.full
    )
    print_lines(
        console, "What differs from the study:", differences(source, y_train, y_test)
    )
    console.print(
        f"All benign: accuracy {np.mean(y_train == 0):.3f} on training images"
    )
    saved, by_words, by_kernel = [], {}, {}
    if arguments.load:
        pipeline, setting = joblib.load(arguments.load)
        console.print(f"Loaded {arguments.load}: {setting}")
    else:
        with TemporaryDirectory() as memory:
            search = search_words_and_kernels(X_train, y_train, memory)
        pipeline, setting = search.best_estimator_, describe_setting(search)
        scores = scores_by_setting(search)
        by_words, by_kernel = scores_of_plots(scores)
        print_search(console, search, scores)
        saved += plot_search(scores, arguments.figures)
    if arguments.save:
        joblib.dump((pipeline, setting), arguments.save)
        console.print(f"Saved {arguments.save}")

    predicted, decision = pipeline.predict(X_test), pipeline.decision_function(X_test)
    write_scores(
        arguments.scores,
        {
            "words": by_words,
            "kernels": by_kernel,
            "chosen": setting,
            "test": {
                "scores": add_intervals(y_test, predicted, decision),
                "report": report_of(y_test, predicted, CLASSES),
                "matrix": confusion_matrix(y_test, predicted),
            },
        },
    )
    for name, figure in report(console, y_test, predicted, decision, setting):
        saved.append(save(figure, arguments.figures / f"task1_bovw_{name}.png"))
    for path in saved:
        console.print(f"Saved {path}")


# %%
# Tables and plots.

if __name__ == "__main__":
    main()
