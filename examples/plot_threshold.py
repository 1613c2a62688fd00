"""
A decision threshold for a required sensitivity
===============================================

If few lesions are malignant, the default threshold of .5 misses most of them. This
example chooses a threshold that finds at least 90 % of the malignant lesions, with as
few false alarms as possible.

Look at three things: how much lower the specificity on test images is than with the
default threshold; what happens if the threshold is chosen on the classifier's own
training images; and how uncertain the threshold is with so few malignant images.

By default the example uses synthetic images. With ``--data-home`` or the environment
variable ``SKINEST_DATA`` it uses the ISIC 2016 archives in that folder.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

# %%
# Images and a classifier
# -----------------------
# The classifier is a logistic regression on standardised visual words. It has no class
# weights, so its mean probability is about the prevalence. Descriptors, vocabularies
# and histograms are cached in a temporary folder, because the folds are used more than
# once.

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    RocCurveDisplay,
    make_scorer,
)
from sklearn.model_selection import (
    FixedThresholdClassifier,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    train_test_split,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skinest import BoVWSIFTTransformer
from skinest.datasets import fetch_isic2016_part3, make_dermoscopy
from skinest.metrics import find_threshold, specificity_at_sensitivity
from skinest.model_selection import bootstrap_interval

WANTED = 0.9  # required sensitivity
CLASSES = ["benign", "malignant"]

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument(
    "--data-home",
    default=os.environ.get("SKINEST_DATA"),
    help="folder with the archives of the real images (default: $SKINEST_DATA)",
)
parser.add_argument(
    "--figures",
    type=Path,
    default=Path("figures"),
    help="folder to save plots in (default: figures)",
)
# A notebook has no arguments.
arguments = parser.parse_args([] if "ipykernel" in sys.modules else None)
arguments.figures.mkdir(parents=True, exist_ok=True)


def load_images(data_home, n_synthetic):
    """Load training and test images from a folder, or synthetic images without it."""
    if data_home:
        (X_train, y_train), (X_test, y_test) = (
            fetch_isic2016_part3(
                data_home, subset=subset, download_if_missing=False, return_X_y=True
            )
            for subset in ("train", "test")
        )
        return "ISIC 2016 part 3", X_train, X_test, y_train, y_test
    X, y = make_dermoscopy(n_synthetic, random_state=0, return_X_y=True)
    parts = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    return "synthetic images", *parts


console = Console()
source, X_train, X_test, y_train, y_test = load_images(arguments.data_home, 800)
console.print(
    f"{source}: {len(y_train)} training images, {int(y_train.sum())} malignant; "
    f"{len(y_test)} test images, {int(y_test.sum())} malignant"
)

memory = TemporaryDirectory()
bovw = BoVWSIFTTransformer(
    100, max_descriptors=5_000, memory=memory.name, random_state=0
)
classifier = Pipeline(
    [
        ("bovw", bovw),
        ("scale", StandardScaler()),
        ("regression", LogisticRegression(C=0.01)),
    ]
)
folds = StratifiedKFold(5, shuffle=True, random_state=0)

# %%
# A threshold chosen by cross-validation
# --------------------------------------
# :func:`~skinest.metrics.specificity_at_sensitivity` of predicted labels is their
# specificity if their sensitivity is high enough, and 0 otherwise.
# :class:`~sklearn.model_selection.TunedThresholdClassifierCV` fits the classifier on
# the training images of each fold, scores all thresholds on the other images, and
# chooses the threshold with the best mean over the folds. Then it fits the classifier
# on all training images.

tuned = TunedThresholdClassifierCV(
    classifier,
    scoring=make_scorer(specificity_at_sensitivity, sensitivity=WANTED),
    thresholds=1000,
    cv=folds,
).fit(X_train, y_train)
fitted = tuned.estimator_
console.print(f"Threshold chosen by cross-validation: {tuned.best_threshold_:.3f}")

# %%
# Fixed thresholds
# ----------------
# :class:`~sklearn.model_selection.FixedThresholdClassifier` uses a threshold that you
# chose in another way. :func:`~skinest.metrics.find_threshold` returns the highest one
# that finds 90 % of the malignant training images. Here it uses cross-validated
# probabilities, and for comparison those of the classifier that was trained on the same
# images. The second way is wrong: a classifier is too confident on its training images,
# so the threshold is too high.

left_out = cross_val_predict(
    classifier, X_train, y_train, cv=folds, method="predict_proba"
)[:, 1]
seen = fitted.predict_proba(X_train)[:, 1]
thresholds = {
    "one half": 0.5,
    "training images": find_threshold(y_train, seen, sensitivity=WANTED),
    "folds, pooled": find_threshold(y_train, left_out, sensitivity=WANTED),
    "folds, averaged": tuned.best_threshold_,
}

# %%
# Sensitivity and specificity on test images
# ------------------------------------------
# All rows below use the same fitted pipeline with different thresholds. Intervals are
# exact 95 % intervals of a proportion.


def with_threshold(threshold):
    return FixedThresholdClassifier(
        FrozenEstimator(fitted), threshold=threshold, response_method="predict_proba"
    ).fit(X_train, y_train)


def share(n_found, n):
    """Return a proportion and its exact 95 % interval (Clopper and Pearson 1934)."""
    interval = binomtest(int(n_found), int(n)).proportion_ci(0.95, method="exact")
    return n_found / n, interval.low, interval.high


def print_thresholds(thresholds):
    table = Table(title=f"Test images; required sensitivity: {WANTED}")
    for heading in ("chosen on", "threshold", "sensitivity", "specificity"):
        table.add_column(heading, justify="right")
    for name, threshold in thresholds.items():
        predicted = with_threshold(threshold).predict(X_test)
        cells = [
            "{:.3f} [{:.2f}, {:.2f}]".format(
                *share(
                    np.sum(predicted[y_test == label] == label), (y_test == label).sum()
                )
            )
            for label in (1, 0)
        ]
        table.add_row(name, f"{threshold:.3f}", *cells)
    console.print(table)


print_thresholds(thresholds)

# %%
# Each threshold is a point on the ROC curve of the test images.

probabilities = fitted.predict_proba(X_test)[:, 1]
figure, axes = plt.subplots(figsize=(6.4, 5.6), layout="constrained")
RocCurveDisplay.from_predictions(
    y_test,
    probabilities,
    ax=axes,
    name="test images",
    plot_chance_level=True,
    curve_kwargs={"color": "0.4"},
)
axes.axhline(WANTED, color="0.7", linestyle=":")
for (name, threshold), marker in zip(thresholds.items(), "osD^", strict=True):
    called = probabilities >= threshold
    axes.plot(
        called[y_test == 0].mean(),
        called[y_test == 1].mean(),
        marker,
        markersize=10,
        label=f"{name}: {threshold:.2f}",
    )
axes.set(
    title="Test images",
    xlabel="1 - specificity: benign lesions predicted as malignant",
    ylabel="sensitivity: malignant lesions found",
)
axes.legend(loc="lower right", title="threshold chosen on")
figure.savefig(arguments.figures / "threshold_roc.png", dpi=120)

# %%
# The next plot shows the numbers of lesions at .5 and at the chosen threshold.

figure, panels = plt.subplots(1, 2, figsize=(8.4, 4), layout="constrained")
for axes, name in zip(panels, ("one half", "folds, averaged"), strict=True):
    ConfusionMatrixDisplay.from_estimator(
        with_threshold(thresholds[name]),
        X_test,
        y_test,
        display_labels=CLASSES,
        cmap="Blues",
        colorbar=False,
        ax=axes,
    )
    axes.set_title(f"{name}: {thresholds[name]:.2f}")
figure.savefig(arguments.figures / "threshold_matrices.png", dpi=120)

# %%
# How uncertain the threshold is
# ------------------------------
# Other training images would give another threshold. The bootstrap shows by how much:
# the threshold depends on the few malignant images that look most benign. If you must
# find 90 % of the malignant lesions, use a low quantile of the bootstrapped thresholds.
# The "cautious" threshold is their 5 % quantile. It finds at least as many malignant
# lesions, but its specificity is lower.

bootstrapped = bootstrap_interval(
    partial(find_threshold, sensitivity=WANTED),
    y_train,
    left_out,
    n_resamples=1000,
    random_state=0,
).distribution
thresholds["cautious"] = np.quantile(bootstrapped, 0.05)
print_thresholds({name: thresholds[name] for name in ("folds, pooled", "cautious")})

# %%
# The left plot shows sensitivity and specificity by threshold on the left-out images of
# each fold. The right plot shows the thresholds of all bootstrap samples.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
grid = np.linspace(0, 1, 501)
for _, members in folds.split(X_train, y_train):
    y, p = y_train[members], left_out[members]
    for label, color in ((1, "C3"), (0, "C0")):
        called = p[y == label] >= grid[:, None]
        right_calls = called if label == 1 else ~called
        left.plot(grid, right_calls.mean(axis=1), color=color, alpha=0.5, linewidth=1)
left.plot([], color="C3", label="sensitivity, each fold")
left.plot([], color="C0", label="specificity, each fold")
left.axhline(WANTED, color="0.7", linestyle=":")
right.hist(bootstrapped, bins=30, color="0.8")
for name, color in (("folds, pooled", "C2"), ("cautious", "C1")):
    for axes in (left, right):
        axes.axvline(thresholds[name], color=color, label=name)
left.set(
    title="Left-out images of each fold",
    xlabel="threshold",
    ylabel="fraction of images",
    xlim=(0, 0.6),
)
right.set(
    title="Thresholds of 1000 bootstrap samples",
    xlabel="threshold",
    ylabel="bootstrap samples",
)
figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
figure.savefig(arguments.figures / "threshold_uncertainty.png", dpi=120)
memory.cleanup()
