"""
A grid search with cached features
==================================

A search fits on the same images many times. With ``memory``, the descriptors of each
image, each vocabulary and the network's features of each image are computed only once,
for all folds, all settings and all later searches. No vocabulary is learned from images
that a fold leaves out.

Look at the tables first: they show how much each search has computed and how long it
took. Then look at the scores of the settings.

By default the example uses synthetic images and a small VGG16 with random weights. With
``--data-home`` or the environment variable ``SKINEST_DATA`` it uses the training images
of ISIC 2016 in that folder, and with ``--weights`` a MobileNetV2.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

# %%
# The pipeline
# ------------
# The pipeline has visual words and a support vector machine. ``memory`` is a folder.
# Here it is temporary; use a fixed folder to share the cache with other scripts. An
# integer ``random_state`` makes vocabularies the same in every fit, so that they can be
# used again. Two subclasses count the computations. Results of your own classes are
# cached only if they have a ``version``.

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.cluster import MiniBatchKMeans
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from skinest import (
    Augmentation,
    BoVWSIFTTransformer,
    SIFTDescriptor,
    TransferClassifier,
)
from skinest.datasets import fetch_isic2016_part3, make_dermoscopy
from skinest.kernels import histogram_intersection_kernel

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

DONE = []  # one entry per computation


class CountedSIFT(SIFTDescriptor):
    """Count the images that SIFT describes."""

    version = 1

    def describe(self, image):
        DONE.append("descriptions")
        return super().describe(image)


class CountedClusterer(MiniBatchKMeans):
    """Count the vocabularies that are learned."""

    version = 1

    def fit(self, X, y=None, sample_weight=None):
        DONE.append("vocabularies")
        return super().fit(X, y, sample_weight)


memory = TemporaryDirectory()
bovw = BoVWSIFTTransformer(
    descriptor=CountedSIFT(),
    clusterer=CountedClusterer(batch_size=4096, init_size=4096, n_init=1),
    max_descriptors=5_000,
    memory=memory.name,
    random_state=0,
)
words = Pipeline([("bovw", bovw), ("svc", SVC(class_weight="balanced"))])
folds = StratifiedKFold(3, shuffle=True, random_state=0)

# %%
# Count the computations of a search
# ----------------------------------
# Each search starts with counts of zero.


def search(estimator, grid):
    """Return the fitted search, and its seconds and numbers of computations."""
    DONE.clear()
    start = perf_counter()
    searched = GridSearchCV(estimator, grid, scoring="roc_auc", cv=folds).fit(X, y)
    seconds = perf_counter() - start
    n_fits = len(searched.cv_results_["params"]) * folds.get_n_splits() + 1
    return searched, {"fits": n_fits, "seconds": seconds, **Counter(DONE)}


def print_counts(title, counts, kinds):
    table = Table(title=title)
    for heading in ("search", "fits", *(f"computed: {kind}" for kind in kinds)):
        table.add_column(heading, justify="right")
    table.add_column("seconds", justify="right")
    for name, count in counts.items():
        computed = (str(count.get(kind, 0)) for kind in kinds)
        table.add_row(name, str(count["fits"]), *computed, f"{count['seconds']:.1f}")
    console.print(table)


# %%
# Three searches of visual words
# ------------------------------
# The first search describes all images. It learns one vocabulary for each size and
# fold, and one with the best size for all images. The second search has another kernel
# and only fits support vector machines; it learns one vocabulary of all images only if
# its best size is another one. The third search has another size and learns
# vocabularies from the cached descriptors.

N_WORDS, C = [50, 100, 200], [0.1, 1, 10]
intersection = {
    "bovw__n_words": N_WORDS,
    "svc__C": C,
    "svc__kernel": [histogram_intersection_kernel],
}
by_intersection, first = search(words, intersection)
by_rbf, second = search(words, {**intersection, "svc__kernel": ["rbf"]})
_, third = search(words, {**intersection, "bovw__n_words": [150]})
print_counts(
    f"Visual words, {len(y)} images",
    {"first": first, "other kernel": second, "other size": third},
    ("descriptions", "vocabularies"),
)

# %%
# Both plots have the same colour scale, so that you can compare kernels. Look for a
# region of good settings rather than for the best one: the scores of neighbouring
# settings differ less than those of different folds.


class Axis(NamedTuple):
    """A parameter of a grid."""

    name: str
    values: list
    label: str


def scores_by(searches, row, column):
    """Return mean scores of searches as an array, by two parameters."""
    scores = np.empty((len(row.values), len(column.values)))
    for searched in searches:
        results = searched.cv_results_
        for setting, score in zip(
            results["params"], results["mean_test_score"], strict=True
        ):
            place = [axis.values.index(setting[axis.name]) for axis in (row, column)]
            scores[*place] = score
    return scores


def plot_maps(maps, row, column, file):
    """Plot scores of settings, all with the same colour scale."""
    every = list(maps.values())
    limits = {"vmin": np.min(every), "vmax": np.max(every)}
    figure, panels = plt.subplots(
        1,
        len(maps),
        figsize=(2 + 4 * len(maps), 3.6),
        layout="constrained",
        sharey=True,
        squeeze=False,
    )
    for axes, (title, scores) in zip(panels[0], maps.items(), strict=True):
        image = axes.imshow(scores, aspect="auto", **limits)
        for (i, j), score in np.ndenumerate(scores):
            color = "white" if image.norm(score) < 0.6 else "black"
            axes.text(j, i, f"{score:.3f}", color=color, ha="center", va="center")
        axes.set_xticks(range(len(column.values)), column.values)
        axes.set_yticks(range(len(row.values)), row.values)
        axes.set(title=title, xlabel=column.label)
    panels[0, 0].set_ylabel(row.label)
    figure.colorbar(image, ax=panels, label="AUC, mean of 3 folds")
    figure.savefig(arguments.figures / file, dpi=120)


row = Axis("bovw__n_words", N_WORDS, "visual words")
column = Axis("svc__C", C, "C of the support vector machine")
plot_maps(
    {
        "histogram intersection": scores_by([by_intersection], row, column),
        "RBF": scores_by([by_rbf], row, column),
    },
    row,
    column,
    "search_words.png",
)

# %%
# Two searches of a head
# ----------------------
# While the backbone is frozen, the features of an image are the same in every fold and
# for every head. Features of augmented copies are cached too: copy 1 of an image is the
# same in all fits. So the second search computes no features.

RATES, LAYERS = [1e-3, 1e-2, 1e-1], [(), (16,), (64,)]


class CountedAugmentation(Augmentation):
    """Count the augmented copies."""

    version = 1

    def __call__(self, image, random_state):
        DONE.append("augmented copies")
        return super().__call__(image, random_state)


if arguments.weights:
    backbone = {"backbone": "mobilenetv2", "image_size": (224, 224)}
else:
    backbone = {"backbone": "vgg16", "image_size": (32, 32)}
backbone |= {"weights": arguments.weights, "pooling": "avg"}
network = TransferClassifier(
    **backbone,
    dropout=0.0,
    epochs=20,
    class_weight="balanced",
    augmentation=CountedAugmentation(rotation=180, vertical_flip=True),
    n_augmented_copies=1,
    memory=memory.name,
    random_state=0,
)
bare, first = search(network, {"hidden_units": LAYERS[:1], "learning_rate": RATES})
hidden, second = search(network, {"hidden_units": LAYERS[1:], "learning_rate": RATES})
print_counts(
    f"Network, {len(y)} images, each with one augmented copy",
    {"first": first, "other heads": second},
    ("augmented copies",),
)

# %%
# One plot has both searches. An area under the curve of exactly .5 means that all
# hidden units of the head are inactive, because the learning rate is too high.

row = Axis("hidden_units", LAYERS, "hidden units")
column = Axis("learning_rate", RATES, "learning rate")
maps = {"head, both searches": scores_by([bare, hidden], row, column)}
plot_maps(maps, row, column, "search_heads.png")
memory.cleanup()
