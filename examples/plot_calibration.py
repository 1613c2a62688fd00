"""
Probabilities that can be taken at their word
=============================================

Of lesions that are given a probability of .3, three in ten should be malignant. Two
classifiers of images that break this promise are mended here by calibration: a
support vector machine on visual words, which has no probabilities at all, and a
network whose class weights distort them.

Look at the reliability diagrams, where probabilities that keep the promise lie on the
diagonal, and at the Brier score and log loss in the table: by the sigmoid both fall,
while the order of the lesions, and with it the area under the ROC curve, stays.

On the ISIC 2016 archives where ``--data-home`` or the environment variable
``SKINEST_DATA`` names a folder that holds them, with a MobileNetV2 where ``--weights``
names its weights; else on synthetic images, with a small VGG16 whose weights are
random below the head.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

# %%
# Two classifiers
# ---------------
# ``class_weight="balanced"`` makes each malignant image count as much as several
# benign ones, so that the network learns for a world in which half of all lesions are
# malignant. That helps to find them, and makes its probabilities far too large for
# this one.

from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from _composing import backbone_of, parse_arguments, save
from _task1 import load_images
from rich.console import Console
from rich.table import Table
from scipy.special import expit, logit
from scipy.stats import binom
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from skinest import BoVWSIFTTransformer, TransferClassifier
from skinest.kernels import histogram_intersection_kernel

arguments = parse_arguments(__doc__, weights=True)
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
network = TransferClassifier(
    **backbone_of(arguments.weights),
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
# :class:`~sklearn.calibration.CalibratedClassifierCV` learns a curve from outputs to
# probabilities on images that the classifier has not seen: with ``ensemble=False`` on
# those that three folds leave out, and then fits one classifier on all training
# images. ``"sigmoid"`` is a logistic curve of two parameters, ``"isotonic"`` any curve
# that rises, which needs more images. ``memory`` spares the second method the
# descriptors, vocabularies and features of the first.
#
# Beside them stands what one might do without images. Of the machine, a logistic
# function of its decision, for lack of anything better. Of the network, its odds
# divided by the ratio of the weights, which is what the weights have multiplied the
# odds by.

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
raw = network.fit(X_train, y_train).predict_proba(X_test)[:, 1].astype(float)
ratio_of_weights = np.sum(y_train == 0) / np.sum(y_train == 1)
columns = {
    "visual words, SVC": {
        "logistic of decision": expit(decision),
        **by_both_methods(svc),
    },
    "network, balanced": {
        "as it is": raw,
        "odds / weights": expit(logit(raw) - np.log(ratio_of_weights)),
        **by_both_methods(network),
    },
}

# %%
# Scores of probabilities
# -----------------------
# The Brier score is the mean squared distance of the probability from 0 or 1, log loss
# the mean negative logarithm of the probability that was given to the truth: it
# punishes those who are sure and wrong. The yardstick is the share of malignant
# training images as the probability of every lesion. Isotonic curves have flat
# pieces, which make ties and cost some area under the curve, and may give
# probabilities of exactly 0 or 1, of which a single wrong one is very costly in log
# loss.

table = Table(title=f"{len(y_test)} test images, {y_test.mean():.3f} of them malignant")
for heading in ("", "probabilities", "their mean", "Brier score", "log loss", "AUC"):
    table.add_column(heading, justify="right")


def add_row(classifier, method, p):
    scores = brier_score_loss(y_test, p), log_loss(y_test, p), roc_auc_score(y_test, p)
    table.add_row(classifier, method, *(f"{x:.3f}" for x in (p.mean(), *scores)))


add_row("none", "share in training", np.full(len(y_test), y_train.mean()))
for classifier, probabilities in columns.items():
    table.add_section()
    for method, p in probabilities.items():
        add_row(classifier, method, p)
console.print(table)

# %%
# Reliability
# -----------
# Test images in groups of equal size by their probability: its mean in a group against
# the share of malignant ones. Where probabilities are right, 19 of 20 points are
# within the grey band, which chance alone makes so wide. Below, how probabilities are
# spread: giving all lesions the share of malignant ones would be right, and useless.

N_GROUPS = 6
styles = {
    "logistic of decision": ("C7", "s"),
    "as it is": ("C7", "s"),
    "odds / weights": ("C2", "D"),
    "sigmoid": ("C0", "o"),
    "isotonic": ("C1", "^"),
}
group = len(y_test) // N_GROUPS
shares = np.linspace(0, 1, 201)
band = [binom.ppf(level, group, shares) / group for level in (0.025, 0.975)]
figure, axes = plt.subplots(
    2, 2, figsize=(9, 6.8), height_ratios=(3, 1), sharex=True, layout="constrained"
)
for (above, below), (classifier, probabilities) in zip(
    axes.T, columns.items(), strict=True
):
    above.fill_between(shares, *band, color="0.9", label="19 of 20 by chance")
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
    above.set(title=classifier, xlabel="", ylabel="share of malignant lesions")
    above.set_aspect("equal")
    above.legend(loc="upper left", fontsize="small")
    below.set(xlabel="probability of malignant", ylabel="images", xlim=(0, 1))
save(figure, arguments, "calibration_reliability.png")
memory.cleanup()
