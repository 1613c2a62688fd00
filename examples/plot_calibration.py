"""
Calibrated probabilities
========================

Of the lesions with a predicted probability of .3, three in ten should be malignant.
This example calibrates two classifiers for which this does not hold: a support vector
machine on visual words, which predicts no probabilities, and a network whose class
weights make the probabilities too large.

Look at the reliability diagrams: calibrated probabilities are on the diagonal. Then
look at the Brier score and the log loss in the table. Sigmoid calibration lowers both.
It does not change the ranking of the lesions, so the area under the ROC curve stays the
same.

By default the example uses synthetic images and a small VGG16 with random weights. With
``--data-home`` or the environment variable ``SKINEST_DATA`` it uses the ISIC 2016
archives in that folder, and with ``--weights`` a MobileNetV2.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

# %%
# Two classifiers
# ---------------
# With ``class_weight="balanced"``, one malignant image has the weight of several benign
# images, and the network learns as if half of all lesions were malignant. This helps to
# find malignant lesions, but the predicted probabilities become much too large.

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.special import expit
from scipy.stats import binom
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from skinest import BoVWSIFTTransformer, TransferClassifier
from skinest.datasets import fetch_isic2016_part3, make_dermoscopy
from skinest.kernels import histogram_intersection_kernel
from skinest.model_selection import adjust_priors

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument(
    "--data-home",
    default=os.environ.get("SKINEST_DATA"),
    help="folder with the archives of the real images (default: $SKINEST_DATA)",
)
parser.add_argument(
    "--weights",
    help='file of MobileNetV2\'s weights, or "imagenet" to download them '
    "(default: a VGG16 with random weights, on small images)",
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
source, X_train, X_test, y_train, y_test = load_images(arguments.data_home, 700)
console.print(
    f"{source}: {len(y_train)} training images, {int(y_train.sum())} malignant; "
    f"{len(y_test)} test images, {int(y_test.sum())} malignant"
)

memory = TemporaryDirectory()
bovw = BoVWSIFTTransformer(
    100, max_descriptors=5_000, memory=memory.name, random_state=0
)
svc = Pipeline([("bovw", bovw), ("svc", SVC(kernel=histogram_intersection_kernel))])
if arguments.weights:
    backbone = {"backbone": "mobilenetv2", "image_size": (224, 224)}
else:
    backbone = {"backbone": "vgg16", "image_size": (32, 32)}
backbone |= {"weights": arguments.weights, "pooling": "avg"}
network = TransferClassifier(
    **backbone,
    hidden_units=(),
    dropout=0.0,
    batch_size=128,
    epochs=60,
    learning_rate=1e-3 if arguments.weights else 3e-3,
    l2=1e-2 if arguments.weights else 0.0,
    class_weight="balanced",
    memory=memory.name,
    random_state=0,
)

# %%
# Calibration
# -----------
# :class:`~sklearn.calibration.CalibratedClassifierCV` learns a function from outputs to
# probabilities, on images that the classifier was not trained on. With
# ``ensemble=False`` these are the left-out images of three folds; the final classifier
# is then fitted on all training images. ``"sigmoid"`` is a logistic curve with two
# parameters. ``"isotonic"`` is any increasing curve, which needs more images. Thanks to
# ``memory``, the second method does not compute descriptors, vocabularies and features
# again.
#
# For comparison, each classifier also has a simple method that needs no other images.
# For the support vector machine, it is the logistic function of the decision value. For
# the network, :func:`~skinest.model_selection.adjust_priors` divides the odds by the
# ratio of the class weights, because training with these weights multiplies the odds by
# this ratio.

folds = StratifiedKFold(3, shuffle=True, random_state=0)


def calibrated(classifier, method):
    calibration = CalibratedClassifierCV(
        classifier, method=method, cv=folds, ensemble=False
    ).fit(X_train, y_train)
    return calibration.predict_proba(X_test)[:, 1]


def by_both_methods(classifier):
    methods = "sigmoid", "isotonic"
    return {method: calibrated(classifier, method) for method in methods}


decision = svc.fit(X_train, y_train).decision_function(X_test)
raw = network.fit(X_train, y_train).predict_proba(X_test)
prevalence = y_train.mean()
corrected = adjust_priors(raw, [0.5, 0.5], [1 - prevalence, prevalence])
columns = {
    "visual words, SVC": {
        "logistic of decision": expit(decision),
        **by_both_methods(svc),
    },
    "network, balanced": {
        "uncalibrated": raw[:, 1].astype(float),
        "odds / weights": corrected[:, 1],
        **by_both_methods(network),
    },
}

# %%
# Scores of probabilities
# -----------------------
# The Brier score is the mean squared difference between the probability and the true
# label, 0 or 1. The log loss is the mean negative logarithm of the probability of the
# true class; confident wrong predictions raise it a lot. The baseline predicts the
# prevalence in the training set for every lesion. An isotonic curve has flat parts,
# which give ties and lower the area under the ROC curve a little. It can also give
# probabilities of exactly 0 or 1; a single wrong one makes the log loss very large.

table = Table(title=f"{len(y_test)} test images, {y_test.mean():.3f} of them malignant")
for heading in ("", "probabilities", "their mean", "Brier score", "log loss", "AUC"):
    table.add_column(heading, justify="right")


def add_row(classifier, method, p):
    scores = brier_score_loss(y_test, p), log_loss(y_test, p), roc_auc_score(y_test, p)
    table.add_row(classifier, method, *(f"{x:.3f}" for x in (p.mean(), *scores)))


add_row("none", "training prevalence", np.full(len(y_test), y_train.mean()))
for classifier, probabilities in columns.items():
    table.add_section()
    for method, p in probabilities.items():
        add_row(classifier, method, p)
console.print(table)

# %%
# Reliability
# -----------
# The test images are sorted by probability and put into groups of equal size. Each
# point shows the mean probability and the fraction of malignant lesions of one group.
# If the probabilities are right, about 19 of 20 points are in the grey band. The
# histograms below show the distribution of the probabilities. Predicting the prevalence
# for every lesion would also be calibrated, but useless.

N_GROUPS = 6
styles = {
    "logistic of decision": ("C7", "s"),
    "uncalibrated": ("C7", "s"),
    "odds / weights": ("C2", "D"),
    "sigmoid": ("C0", "o"),
    "isotonic": ("C1", "^"),
}
group = len(y_test) // N_GROUPS
fractions = np.linspace(0, 1, 201)
band = [binom.ppf(level, group, fractions) / group for level in (0.025, 0.975)]
figure, axes = plt.subplots(
    2, 2, figsize=(9, 6.8), height_ratios=(3, 1), sharex=True, layout="constrained"
)
for (above, below), (classifier, probabilities) in zip(
    axes.T, columns.items(), strict=True
):
    above.fill_between(fractions, *band, color="0.9", label="19 of 20 by chance")
    for method, p in probabilities.items():
        color, marker = styles[method]
        CalibrationDisplay.from_predictions(
            y_test,
            p,
            n_bins=N_GROUPS,
            strategy="quantile",
            ax=above,
            name=method,
            color=color,
            marker=marker,
        )
        below.hist(p, bins=np.linspace(0, 1, 26), histtype="step", color=color)
    above.set(title=classifier, xlabel="", ylabel="fraction of malignant lesions")
    above.set_aspect("equal")
    above.legend(loc="upper left", fontsize="small")
    below.set(xlabel="probability of malignant", ylabel="images", xlim=(0, 1))
figure.savefig(arguments.figures / "calibration_reliability.png", dpi=120)
memory.cleanup()
