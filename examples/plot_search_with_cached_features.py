"""
A grid search that computes nothing twice
=========================================

A search fits the same images again and again. With ``memory`` it describes each image
once, learns each vocabulary once and sends each image through a network once, for all
folds, all settings and all searches to come, and still learns no vocabulary from an
image that a fold leaves out.

Look at the tables: what each search has computed, out of what its fits have asked for,
and how long it took. Then at the maps of scores, which is what one searches for.

On the training images of ISIC 2016 where ``--data-home`` or the environment variable
``SKINEST_DATA`` names a folder that holds them, with a MobileNetV2 where ``--weights``
names its weights; else on synthetic images, with a small VGG16 whose weights are
random below the head.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

# %%
# What is searched
# ----------------
# Visual words and a support vector machine. ``memory`` is a folder, here one that ends
# with the script; give it a name and it serves the next script too. An integer as
# ``random_state`` makes vocabularies the same in every fit, without which none could
# be used again. Classes of our own count what is computed.

from collections import Counter
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from _composing import backbone_of, load_training_images, parse_arguments, save
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
from skinest.kernels import histogram_intersection_kernel

arguments = parse_arguments(__doc__, weights=True)
console = Console()
source, X, y = load_training_images(arguments.data_home, 300)
console.print(f"{source}: {len(y)} images, {int(y.sum())} of them malignant")

DONE = []  # what is computed, in the order of computing


class CountedSIFT(SIFTDescriptor):
    """SIFT that counts the images it describes."""

    def describe(self, image):
        DONE.append("descriptions")
        return super().describe(image)


class CountedClusterer(MiniBatchKMeans):
    """A clusterer that counts the vocabularies it learns."""

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
# Searches that are counted
# -------------------------
# What was computed is counted anew for each search.


def search(estimator, grid):
    """Search; return the fitted search, its seconds and what it has computed."""
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
# The first describes all images, and learns one vocabulary for each size and fold, and
# one of the best size for all images. The second has another kernel, and only fits
# support vector machines; it learns a vocabulary of all images if its best size is
# another. The third has another size, and learns vocabularies from descriptors that are
# there.

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
# The maps have one scale, so that kernels can be compared. Look for a plateau rather
# than for the best cell: neighbours differ by less than folds do.


class Axis(NamedTuple):
    """A parameter of a grid."""

    name: str
    values: list
    label: str


def scores_by(searches, row, column):
    """Return mean scores of searches by two parameters."""
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
    """Draw maps of scores, all in one scale."""
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
    save(figure, arguments, file)


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
# While the network below its head is frozen, its features of an image are the same in
# every fold and for every head. Augmented copies are kept too: copy 1 of an image
# is the same in all fits. The second search computes none.

RATES, LAYERS = [1e-3, 1e-2, 1e-1], [(), (16,), (64,)]


class CountedAugmentation(Augmentation):
    """Augmentation that counts the copies it makes."""

    def __call__(self, image, random_state):
        DONE.append("augmented copies")
        return super().__call__(image, random_state)


network = TransferClassifier(
    **backbone_of(arguments.weights),
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
    f"Network, {len(y)} images, each as it is and augmented",
    {"first": first, "other heads": second},
    ("augmented copies",),
)

# %%
# One map of both searches. An area of exactly .5 is a head whose hidden units have all
# died: the learning rate is too high for it.

row = Axis("hidden_units", LAYERS, "hidden units")
column = Axis("learning_rate", RATES, "learning rate")
maps = {"head, both searches": scores_by([bare, hidden], row, column)}
plot_maps(maps, row, column, "search_heads.png")
memory.cleanup()
