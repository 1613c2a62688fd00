"""
Skewed classes
==============

Four of five lesions are benign, so a classifier that calls all of them benign is right
for four of five. What can be done is compared by repeated stratified
cross-validation, for visual words with a support vector machine and for features of
MobileNetV2 with a logistic regression: nothing, class weights, images drawn again
(over-sampling) or left out (under-sampling) by
:class:`~skinest.ImageResampler`, new vectors between others (SMOTE), or a
threshold that is chosen on the training images (by folds of their vectors, whose words
were learned from all of them: labels play no part in that, so little can leak).

On ISIC 2016 all of them move along nearly one curve of sensitivity and specificity, as
the threshold alone does: they find more malignant lesions and call more benign ones
malignant. None ranks the lesions better beyond what another split changes; SMOTE and
under-sampling rank them worse by features of MobileNetV2. So choose the threshold
first.

Images are those of ISIC 2016 where ``--data-home`` or the environment variable
``SKINEST_DATA`` names a folder with its archives, else synthetic ones. For the former,
``--weights`` names a file with the weights of MobileNetV2; without it those of ImageNet
are downloaded. For the latter the weights are drawn.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import matplotlib
import numpy as np
from _script import save
from _task1 import CLASSES, load_images
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

N_FOLDS = 5
FIGURES = ("sensitivity", "specificity", "geometric mean", "average precision")
BASELINE = "no treatment"


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="imagenet", help="file of MobileNetV2's")
    parser.add_argument("--repeats", type=int, help="of 5 folds (default: 10, or 2)")
    parser.add_argument("--n-jobs", type=int, default=2, help="processes")
    parser.add_argument(
        "--data-home",
        default=os.environ.get("SKINEST_DATA"),
        help="folder with the ISIC 2016 part 3 archives (default: $SKINEST_DATA)",
    )
    parser.add_argument("--figures", type=Path, default=Path("figures"))
    return parser.parse_args()


def classifiers(weights, side, memory):
    """Return, by name, steps that make vectors of images, and what classifies those."""
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
    """Return pipelines that treat skewed classes in one way each."""
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


def predict_fold(pipeline, X, y, train, test):
    """Return labels and decision values of the images that were held out."""
    fitted = clone(pipeline).fit([X[i] for i in train], y[train])
    held_out = [X[i] for i in test]
    return fitted.predict(held_out), fitted.decision_function(held_out)


def evaluate(y, folds, outputs):
    """Return figures of one repeat: means over its folds."""
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
    """Return sensitivity at each share of false alarms, mean over folds."""
    curves = [
        np.interp(grid, *roc_curve(y[test], decision)[:2])
        for (_, test), (_, decision) in zip(folds, outputs, strict=True)
    ]
    return np.mean(curves, axis=0)


def compare(X, y, features, classifier, n_repeats, n_jobs):
    """Return {treatment: figures of each repeat}, and a ROC curve of no treatment."""
    cv = RepeatedStratifiedKFold(n_splits=N_FOLDS, n_repeats=n_repeats, random_state=0)
    folds = list(cv.split(np.zeros(len(y)), y))
    for step in features[:-1]:
        step.fit_transform(X, y)  # descriptors and features are computed here, once
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


def interval(values):
    """Return the mean of the repeats, and where 95 % of them lie."""
    return np.mean(values), *np.percentile(values, (2.5, 97.5))


def shown(values):
    mean, low, high = (f"{value:.3f}".lstrip("0") for value in interval(values))
    return f"{mean} [{low}, {high}]"


def print_scores(console, title, scores):
    table = Table(title=title)
    table.add_column("")
    for figure in FIGURES:
        table.add_column(figure, justify="right")
    for name, repeats in scores.items():
        table.add_row(name, *(shown(values) for values in repeats.T))
    console.print(table)
    for line in conclusions(scores):
        console.print(line, highlight=False)


def conclusions(scores):
    """State what the figures say of each treatment beside none, repeat by repeat."""
    yield f"Less {BASELINE}, mean and 95 % of the repeats:"
    for name, repeats in scores.items():
        if name != BASELINE:
            changes = repeats - scores[BASELINE]
            parts = (
                "{} {:+.3f} [{:+.3f}, {:+.3f}]".format(
                    FIGURES[column], *interval(changes[:, column])
                )
                for column in (2, 3)
            )
            yield f"  {name}: {', '.join(parts)}"
    means = {name: repeats.mean(axis=0) for name, repeats in scores.items()}
    for column in (2, 3):
        best = max(means, key=lambda name, column=column: means[name][column])
        yield f"Best {FIGURES[column]}: {best}, {means[best][column]:.3f}"


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
    figure.suptitle(f"What skewed classes cost, and what helps ({source})")
    return save(figure, path)


def plot_plane(axes, scores, curve):
    """Plot where each treatment stands, and lines of equal geometric mean."""
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
    source, X, _, y, _ = load_images(arguments.data_home, n_synthetic=300)
    is_real = source != "synthetic images"
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
    path = plot(comparisons, source, arguments.figures / "skewed_classes.png")
    console.print(f"Figure: {path}")


if __name__ == "__main__":
    main()
