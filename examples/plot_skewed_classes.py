"""
Imbalanced classes
==================

Four of five lesions are benign, so always predicting benign has an accuracy of .8. This
example compares treatments by repeated stratified cross-validation, for visual words
with a support vector machine and for features of MobileNetV2 with a logistic
regression.

The treatments are: none; class weights; over-sampling and under-sampling of images by
:class:`~skinest.ImageResampler`; new vectors between existing ones (SMOTE); and a
threshold that is chosen by cross-validation on the training images. In this inner
cross-validation, the vocabulary is learned from all training images. It uses no labels,
so hardly any information can leak.

On ISIC 2016, all treatments do nearly the same as another threshold: they find more
malignant lesions and predict malignant for more benign ones. None improves the ranking
of the lesions by more than the scores vary between splits. With features of
MobileNetV2, SMOTE and under-sampling make it worse. So try another threshold first.

By default the example uses synthetic images and random weights. With ``--data-home`` or
the environment variable ``SKINEST_DATA`` it uses the ISIC 2016 archives in that folder
and downloads ImageNet weights of MobileNetV2, unless ``--weights`` is a file with
weights.
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
from imblearn.metrics import classification_report_imbalanced, geometric_mean_score
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import RandomUnderSampler
from joblib.parallel import Parallel, delayed
from rich.console import Console
from rich.table import Table
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, make_scorer, roc_curve
from sklearn.model_selection import (
    RepeatedStratifiedKFold,
    StratifiedKFold,
    TunedThresholdClassifierCV,
)
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skinest import (
    BottleneckFeatureExtractor,
    BoVWSIFTTransformer,
    ImageResampler,
    SIFTDescriptor,
)
from skinest.datasets import fetch_isic2016_part3, make_dermoscopy

CLASSES = ["benign", "malignant"]
N_FOLDS = 5
METRICS = ("sensitivity", "specificity", "geometric mean", "average precision")
BASELINE = "no treatment"


# %%
# The images are those of the ISIC 2016 challenge, or synthetic ones.


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--weights", default="imagenet", help="file with weights of MobileNetV2"
    )
    parser.add_argument(
        "--repeats",
        type=int,
        help="repeats of 5 folds (default: 10; synthetic images: 2)",
    )
    parser.add_argument("--n-jobs", type=int, default=2, help="number of processes")
    parser.add_argument(
        "--data-home",
        default=os.environ.get("SKINEST_DATA"),
        help="folder with the ISIC 2016 part 3 archives (default: $SKINEST_DATA)",
    )
    parser.add_argument("--figures", type=Path, default=Path("figures"))
    # A notebook has no arguments.
    return parser.parse_args([] if "ipykernel" in sys.modules else None)


def load_images(data_home):
    """Load training images from a folder, or synthetic images without it."""
    if data_home:
        return fetch_isic2016_part3(
            data_home, download_if_missing=False, return_X_y=True
        )
    return make_dermoscopy(210, random_state=0, return_X_y=True)


# %%
# Both classifiers, and one pipeline for each treatment. Only training images are
# resampled.


def classifiers(weights, side, memory):
    """Return feature extraction steps and a classifier for each method."""
    descriptor = SIFTDescriptor(contrast_threshold=0.01)
    bovw = BoVWSIFTTransformer(
        300, descriptor=descriptor, memory=memory, random_state=0
    )
    network = BottleneckFeatureExtractor(
        "mobilenetv2",
        weights=weights,
        pooling="avg",
        image_size=(side, side),
        memory=memory,
        random_state=0,
    )
    return {
        "visual words, SVM": ([bovw, StandardScaler()], SVC()),
        "MobileNetV2, logistic regression": (
            [network, StandardScaler()],
            LogisticRegression(C=1e-3),
        ),
    }


def treatments(features, classifier):
    """Return one pipeline for each treatment of imbalanced classes."""
    balanced = clone(classifier).set_params(class_weight="balanced")
    tuned = TunedThresholdClassifierCV(
        classifier, scoring=make_scorer(geometric_mean_score), cv=StratifiedKFold(5)
    )
    over = ImageResampler(RandomOverSampler(random_state=0))
    under = ImageResampler(RandomUnderSampler(random_state=0))
    return {
        BASELINE: make_pipeline(*features, classifier),
        "class weights": make_pipeline(*features, balanced),
        "over-sampling": make_pipeline(over, *features, classifier),
        "under-sampling": make_pipeline(under, *features, classifier),
        "SMOTE": make_pipeline(*features, SMOTE(random_state=0), classifier),
        "threshold": make_pipeline(*features, tuned),
    }


# %%
# Each treatment is scored on the same folds. A score of a repeat is the mean over its
# folds.


def predict_fold(pipeline, X, y, train, test):
    """Return predicted labels and decision values of the test images of a fold."""
    fitted = clone(pipeline).fit([X[i] for i in train], y[train])
    held_out = [X[i] for i in test]
    return fitted.predict(held_out), fitted.decision_function(held_out)


def evaluate(y, folds, outputs):
    """Return the scores of one repeat, as means over its folds."""
    rows = []
    for (_, test), (predicted, decision) in zip(folds, outputs, strict=True):
        report = classification_report_imbalanced(
            *(y[test], predicted),
            target_names=CLASSES,
            output_dict=True,
            zero_division=0,
        )["malignant"]
        precision = average_precision_score(y[test], decision)
        rows.append((report["rec"], report["spe"], report["geo"], precision))
    return np.mean(rows, axis=0)


def mean_roc(y, folds, outputs, grid):
    """Return the sensitivity at each false positive rate, as mean over folds."""
    curves = [
        np.interp(grid, *roc_curve(y[test], decision)[:2])
        for (_, test), (_, decision) in zip(folds, outputs, strict=True)
    ]
    return np.mean(curves, axis=0)


def compare(X, y, features, classifier, n_repeats, n_jobs):
    """Return {treatment: scores of each repeat}, and a ROC curve without treatment."""
    cv = RepeatedStratifiedKFold(n_splits=N_FOLDS, n_repeats=n_repeats, random_state=0)
    folds = list(cv.split(np.zeros(len(y)), y))
    for step in features[:-1]:
        step.fit_transform(X, y)  # computes and caches descriptors and features
    scores, grid = {}, np.linspace(0, 1, 101)
    for name, pipeline in treatments(features, classifier).items():
        outputs = Parallel(n_jobs)(
            delayed(predict_fold)(pipeline, X, y, *fold) for fold in folds
        )
        starts = range(0, len(folds), N_FOLDS)
        scores[name] = np.array(
            [
                evaluate(y, folds[i : i + N_FOLDS], outputs[i : i + N_FOLDS])
                for i in starts
            ]
        )
        if name == BASELINE:
            curve = grid, mean_roc(y, folds, outputs, grid)
    return scores, curve


# %%
# The tables have the mean and the range of 95 % of the repeats. Below each table,
# treatments are compared repeat by repeat.


def interval(values):
    """Return the mean of the repeats, and the range of 95 % of them."""
    return np.mean(values), *np.percentile(values, (2.5, 97.5))


def shown(values):
    mean, low, high = (f"{value:.3f}".lstrip("0") for value in interval(values))
    return f"{mean} [{low}, {high}]"


def print_scores(console, title, scores):
    table = Table(title=title)
    table.add_column("")
    for metric in METRICS:
        table.add_column(metric, justify="right")
    for name, repeats in scores.items():
        table.add_row(name, *(shown(values) for values in repeats.T))
    console.print(table)
    for line in conclusions(scores):
        console.print(line, highlight=False)


def conclusions(scores):
    """Yield lines that compare each treatment with no treatment, repeat by repeat."""
    yield f"Difference to {BASELINE}, mean and range of 95 % of the repeats:"
    for name, repeats in scores.items():
        if name != BASELINE:
            changes = repeats - scores[BASELINE]
            parts = (
                "{} {:+.3f} [{:+.3f}, {:+.3f}]".format(
                    METRICS[column], *interval(changes[:, column])
                )
                for column in (2, 3)
            )
            yield f"  {name}: {', '.join(parts)}"
    means = {name: repeats.mean(axis=0) for name, repeats in scores.items()}
    for column in (2, 3):
        best = max(means, key=lambda name, column=column: means[name][column])
        yield f"Best {METRICS[column]}: {best}, {means[best][column]:.3f}"


# %%
# The plots show sensitivity against specificity, and the average precision. The grey
# line has all thresholds without treatment.


def plot(comparisons, source, path):
    """Plot sensitivity against specificity, above average precision."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        *(2, len(comparisons)),
        figsize=(11, 8.5),
        height_ratios=(2.6, 1),
        layout="constrained",
        sharex="row",
        squeeze=False,
    )
    for (title, (scores, curve)), column in zip(
        comparisons.items(), axes.T, strict=True
    ):
        plot_plane(column[0], scores, curve)
        column[0].set_title(title)
        plot_precision(column[1], scores)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.suptitle(f"Treatments of imbalanced classes ({source})")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def plot_plane(axes, scores, curve):
    """Plot sensitivity against specificity, with lines of equal geometric mean."""
    side = np.linspace(0.001, 1, 200)
    specificity, sensitivity = np.meshgrid(side, side)
    lines = axes.contour(
        *(specificity, sensitivity, np.sqrt(specificity * sensitivity)),
        levels=np.arange(0.1, 1, 0.1),
        colors="0.85",
        linewidths=0.8,
    )
    axes.clabel(lines, fmt="%.1f", fontsize=7, colors="0.6")
    axes.plot(
        1 - curve[0], curve[1], color="0.4", lw=1, label="no treatment, any threshold"
    )
    for number, (name, repeats) in enumerate(scores.items()):
        y, x = (interval(repeats[:, column]) for column in (0, 1))
        axes.errorbar(
            *(x[0], y[0]),
            xerr=[[x[0] - x[1]], [x[2] - x[0]]],
            yerr=[[y[0] - y[1]], [y[2] - y[0]]],
            fmt="osD^vP"[number],
            color=f"C{number}",
            label=name,
        )
    axes.set(
        xlabel="specificity", ylabel="sensitivity", xlim=(0, 1.02), ylim=(-0.02, 1.02)
    )


def plot_precision(axes, scores):
    for number, repeats in enumerate(scores.values()):
        mean, low, high = interval(repeats[:, 3])
        axes.errorbar(
            *(mean, -number),
            xerr=[[mean - low], [high - mean]],
            fmt="osD^vP"[number],
            color=f"C{number}",
        )
    axes.set_yticks(-np.arange(len(scores)), list(scores))
    axes.set_xlabel("average precision")
    axes.grid(axis="x", alpha=0.3)


def main():
    arguments = parse_arguments()
    matplotlib.use("agg")
    console = Console(width=106)
    X, y = load_images(arguments.data_home)
    is_real = bool(arguments.data_home)
    source = "ISIC 2016 part 3" if is_real else "synthetic images"
    weights, side = (arguments.weights, 224) if is_real else (None, 96)
    n_repeats = arguments.repeats or (10 if is_real else 2)
    console.print(
        f"{source}: {len(y)} images, {int(y.sum())} malignant; {n_repeats} x "
        f"{N_FOLDS} folds"
    )
    comparisons = {}
    with TemporaryDirectory() as memory:
        for title, (features, classifier) in classifiers(weights, side, memory).items():
            start = perf_counter()
            comparisons[title] = compare(
                X, y, features, classifier, n_repeats, arguments.n_jobs
            )
            print_scores(console, title, comparisons[title][0])
            console.print(f"{perf_counter() - start:.0f} s")
    path = arguments.figures / "skewed_classes.png"
    plot(comparisons, source, path)
    console.print(f"Saved {path}")


# %%
# Both comparisons, with a table each and one figure.

if __name__ == "__main__":
    main()
