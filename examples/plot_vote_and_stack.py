"""
Visual words and a network in one vote and in a stack
=====================================================

Visual words see grey structure, a network sees colour and shape: do they do better
together? A soft vote takes the mean of their probabilities, a stack learns how much
each is to be trusted. Both are compared with each of the two alone, on the same folds.

Look at the second figure first: images that both get wrong cannot be helped by either
way. Then at the differences in the first, whose intervals say whether the folds show
a gain at all.

On the training images of ISIC 2016 where ``--data-home`` or the environment variable
``SKINEST_DATA`` names a folder that holds them, with a MobileNetV2 where ``--weights``
names its weights; else on synthetic images, with a small VGG16 whose weights are
random.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

# %%
# Two classifiers of images
# -------------------------
# Both start from images and end with a logistic regression on standardised features.
# The network is not trained here. Even with random weights its features tell more
# about an image than chance; with ImageNet's they tell much more.

from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from _composing import (
    backbone_of,
    load_training_images,
    over_folds,
    parse_arguments,
    save,
)
from _task1 import CLASSES
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skinest import BottleneckFeatureExtractor, BoVWSIFTTransformer

arguments = parse_arguments(__doc__, weights=True)
console = Console()
source, X, y = load_training_images(arguments.data_home, 300)
console.print(f"{source}: {len(y)} images, {int(y.sum())} of them malignant")

memory = TemporaryDirectory()
words = make_pipeline(
    BoVWSIFTTransformer(50, max_descriptors=3_000, memory=memory.name, random_state=0),
    StandardScaler(),
    LogisticRegression(C=0.01),
)
network = make_pipeline(
    BottleneckFeatureExtractor(
        **backbone_of(arguments.weights), memory=memory.name, random_state=0
    ),
    StandardScaler(),
    LogisticRegression(C=0.01, max_iter=1000),
)

# %%
# One vote, one stack
# -------------------
# Images go through :class:`~sklearn.ensemble.VotingClassifier` and
# :class:`~sklearn.ensemble.StackingClassifier` as they are, and each member makes its
# own features of them. The stack's last step is a logistic regression on two
# probabilities, which it gets for images that three inner folds leave out: a member
# that knows its training images by heart would otherwise be trusted too much. All that
# learns is thus fitted 3 + 1 times in each fold, but no descriptor and no feature is
# computed twice, thanks to ``memory``.

members = [("words", words), ("network", network)]
models = {
    "visual words": words,
    "network": network,
    "soft vote": VotingClassifier(members, voting="soft"),
    "stack": StackingClassifier(members, LogisticRegression(), cv=3),
}
N_SPLITS = 5
folds = StratifiedKFold(N_SPLITS, shuffle=True, random_state=0)
probabilities = {
    name: cross_val_predict(model, X, y, cv=folds, method="predict_proba")[:, 1]
    for name, model in models.items()
}

# %%
# Scores of the folds, and of the difference to the better of the two alone. Folds
# share most of their training images, so that intervals from the folds' deviation
# alone would be too narrow; these allow for it.

METRICS = {"AUC": roc_auc_score, "average precision": average_precision_score}
members_alone = ("visual words", "network")


def scores_of_folds(metric, p):
    return np.array([metric(y[test], p[test]) for _, test in folds.split(X, y)])


def text(values, form):
    mean, half = over_folds(values, N_SPLITS)
    return f"{mean:{form}} ± {half:.3f}"


scores = {
    name: {model: scores_of_folds(metric, p) for model, p in probabilities.items()}
    for name, metric in METRICS.items()
}
table = Table(title=f"{N_SPLITS} folds: mean ± half of the 95 % interval")
table.add_column("")
for name in METRICS:
    table.add_column(name, justify="right")
    table.add_column("difference", justify="right")
for model in models:
    cells = []
    for values in scores.values():
        better = max(members_alone, key=lambda alone: values[alone].mean())
        cells.append(text(values[model], ".3f"))
        difference = values[model] - values[better]
        cells.append(text(difference, "+.3f") if model != better else "")
    table.add_row(model, *cells)
console.print(table)

# %%
# Left, the area under the ROC curve: a line for each fold, and the mean of all. Right,
# its difference to the better of the two alone. Where the interval holds 0, the folds
# show no gain and no loss. It takes many images, not many folds, to make it narrow.

auc = scores["AUC"]
better = max(members_alone, key=lambda name: auc[name].mean())
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
places = np.arange(len(models))
left.plot(places, np.array(list(auc.values())), color="0.75", marker=".", zorder=0)
for axes, reference in ((left, 0), (right, auc[better])):
    for place, values in enumerate(auc.values()):
        mean, half = over_folds(values - reference, N_SPLITS)
        axes.errorbar(place, mean, half, fmt="o", capsize=5, color=f"C{place}")
    axes.set_xticks(places, list(models))
right.axhline(0, color="0.5", linestyle=":", zorder=0)
left.set(title="Each fold, mean and 95 % interval", ylabel="area under the ROC curve")
right.set(title=f"Difference to {better} alone", ylabel="difference")
save(figure, arguments, "vote_and_stack_scores.png")

# %%
# Why there is little or much to gain
# -----------------------------------
# Each image by its ranks among the left-out probabilities of the two: the area under
# the ROC curve counts nothing but order. A malignant lesion that both rank low, at the
# lower left, is found by neither vote nor stack. A gain comes from those that only one
# of the two sees, at the upper left and lower right.

figure, axes = plt.subplots(figsize=(5.6, 5.4), layout="constrained")
ranks = {name: rankdata(probabilities[name]) / len(y) for name in members_alone}
for label, (color, marker) in enumerate((("C0", "o"), ("C3", "^"))):
    axes.scatter(
        *(ranks[name][y == label] for name in members_alone),
        color=color,
        marker=marker,
        alpha=0.35 + 0.45 * label,
        label=CLASSES[label],
        edgecolors="none",
    )
axes.set(
    title="Rank of each image",
    xlabel=f"by {members_alone[0]} (1: most malignant)",
    ylabel=f"by {members_alone[1]}",
    aspect="equal",
)
figure.legend(loc="outside lower center", ncols=2)
save(figure, arguments, "vote_and_stack_ranks.png")
memory.cleanup()
