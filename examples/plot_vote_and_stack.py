"""
Combining visual words and a network by voting and stacking
===========================================================

Visual words describe grey structure; a network also describes colour and shape. Are
both together better than one of them? A soft vote uses the mean of their probabilities.
A stack learns a weight for each. This example compares both with each classifier alone,
on the same folds.

Look at the second plot first: neither method helps for images that both classifiers
predict wrongly. Then look at the differences in the first plot. Their intervals show
whether there is any gain.

By default the example uses synthetic images and a small VGG16 with random weights. With
``--data-home`` or the environment variable ``SKINEST_DATA`` it uses the training images
of ISIC 2016 in that folder, and with ``--weights`` a MobileNetV2.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

# %%
# Two classifiers of images
# -------------------------
# Both take images and end with a logistic regression on standardised features. The
# network is not trained here. Even with random weights its features are better than
# chance; with ImageNet weights they are much better.

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
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
from skinest.datasets import fetch_isic2016_part3, make_dermoscopy
from skinest.model_selection import bootstrap_interval, compare

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
if arguments.data_home:
    source = "ISIC 2016 part 3"
    X, y = fetch_isic2016_part3(
        arguments.data_home, download_if_missing=False, return_X_y=True
    )
else:
    source = "synthetic images"
    X, y = make_dermoscopy(300, malignant_fraction=0.4, random_state=0, return_X_y=True)
console = Console()
console.print(f"{source}: {len(y)} images, {int(y.sum())} of them malignant")

memory = TemporaryDirectory()
words = make_pipeline(
    BoVWSIFTTransformer(50, max_descriptors=3_000, memory=memory.name, random_state=0),
    StandardScaler(),
    LogisticRegression(C=0.01),
)
if arguments.weights:
    backbone = {"backbone": "mobilenetv2", "image_size": (224, 224)}
else:
    backbone = {"backbone": "vgg16", "image_size": (32, 32)}
backbone |= {"weights": arguments.weights, "pooling": "avg"}
network = make_pipeline(
    BottleneckFeatureExtractor(**backbone, memory=memory.name, random_state=0),
    StandardScaler(),
    LogisticRegression(C=0.01, max_iter=1000),
)

# %%
# A vote and a stack
# ------------------
# :class:`~sklearn.ensemble.VotingClassifier` and
# :class:`~sklearn.ensemble.StackingClassifier` pass the images to each classifier,
# which computes its own features. The last step of the stack is a logistic regression
# on the two probabilities. It is trained on images that three inner folds leave out;
# otherwise a classifier that overfits would get too much weight. So each classifier is
# fitted 3 + 1 times in each fold, but thanks to ``memory`` descriptors and features are
# computed only once.

members = [("words", words), ("network", network)]
models = {
    "visual words": words,
    "network": network,
    "soft vote": VotingClassifier(members, voting="soft"),
    "stack": StackingClassifier(members, LogisticRegression(), cv=3),
}
folds = StratifiedKFold(5, shuffle=True, random_state=0)
probabilities = {
    name: cross_val_predict(model, X, y, cv=folds, method="predict_proba")[:, 1]
    for name, model in models.items()
}

# %%
# Each image has a probability from a classifier that was not trained on it. The table
# shows the scores of these probabilities with 95 % intervals, and the differences to
# the better single classifier. Both models of a difference make many of their errors on
# the same images. So :func:`~skinest.model_selection.compare` can find a difference
# even if the intervals of the two scores overlap.

METRICS = {"AUC": roc_auc_score, "average precision": average_precision_score}
members_alone = ("visual words", "network")
scores, differences, references = {}, {}, {}
for metric_name, metric in METRICS.items():
    of_models = scores[metric_name] = {
        model: bootstrap_interval(metric, y, p, random_state=0)
        for model, p in probabilities.items()
    }
    better = references[metric_name] = max(members_alone, key=of_models.get)
    differences[metric_name] = {
        model: compare(metric, y, p, probabilities[better], random_state=0)
        for model, p in probabilities.items()
        if model != better
    }
for metric_name in METRICS:
    table = Table(title=f"{metric_name} of left-out images [95 % interval]")
    for heading in ("", metric_name, f"difference to {references[metric_name]}"):
        table.add_column(heading, justify="right" if heading else "left")
    for model, score in scores[metric_name].items():
        difference = differences[metric_name].get(model)
        table.add_row(model, f"{score:.3f}", f"{difference:+.3f}" if difference else "")
    console.print(table)

# %%
# The left plot shows the area under the ROC curve, the right plot the difference to the
# better single classifier. If an interval includes 0, there is no clear gain or loss.
# To make it narrower you need more images, not more folds.


def plot_intervals(axes, results):
    for place, model in enumerate(models):
        if model in results:
            estimate, low, high = results[model]
            errors = [[estimate - low], [high - estimate]]
            axes.errorbar(
                place, estimate, errors, fmt="o", capsize=5, color=f"C{place}"
            )
    axes.set_xticks(range(len(models)), list(models))


figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
plot_intervals(left, scores["AUC"])
plot_intervals(right, differences["AUC"])
right.axhline(0, color="0.5", linestyle=":", zorder=0)
left.set(title="Scores and 95 % intervals", ylabel="area under the ROC curve")
right.set(title=f"Difference to {references['AUC']} alone", ylabel="difference")
figure.savefig(arguments.figures / "vote_and_stack_scores.png", dpi=120)

# %%
# How much there is to gain
# -------------------------
# The next plot shows the rank of each image by both classifiers, because the area under
# the ROC curve depends on ranks only. Malignant lesions to which both classifiers give
# a low rank are at the lower left. The vote and the stack miss them too. Only malignant
# lesions that one classifier ranks high and the other low, at the upper left and lower
# right, can give a gain.

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
figure.savefig(arguments.figures / "vote_and_stack_ranks.png", dpi=120)
memory.cleanup()
