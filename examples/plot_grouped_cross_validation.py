"""
Cross-validation that keeps lesions together
============================================

Dermoscopic data sets have several images of some lesions. If one of these images is in
the training set and another in the test set, a classifier may recognise the lesion
instead of the diagnosis, and its scores are too optimistic. This example scores the
same classifier with folds of images and with folds of lesions, for several random
splits.

Look at the gap between the two scores. It tends to grow if the classifier is less
regularised. The gap comes only from test images whose lesion is also in the training
set.

By default the example uses synthetic images with two images per lesion (HAM10000 has
1.34) and a small VGG16 with random weights. With ``--data-home`` or the environment
variable ``SKINEST_DATA`` it uses the archives of ISIC 2018 task 3 (HAM10000) in that
folder, and with ``--weights`` a MobileNetV2.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

# %%
# Images, diagnoses and lesions
# -----------------------------
# ``groups`` has the lesion of each image. All diagnoses have about the same number of
# images, so that all folds have all diagnoses and the chance level is 1/7.

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skinest import BoVWSIFTTransformer, TransferClassifier
from skinest.datasets import fetch_isic2018_task3, make_dermoscopy
from skinest.images import check_images

N_OF_EACH = 43


def load(data_home):
    """Load images, diagnoses, lesions and the names of the diagnoses."""
    if data_home:
        data = fetch_isic2018_task3(data_home, download_if_missing=False)
        kept = whole_lesions(data.target, data.groups)
        X, source = data.paths[kept], "HAM10000"
        return source, X, data.target[kept], data.groups[kept], data.target_names
    data = make_dermoscopy(
        7 * N_OF_EACH,
        task="diagnosis",
        class_shares="balanced",
        images_per_lesion=2,
        random_state=0,
    )
    source = "synthetic images"
    return source, data.images, data.target, data.groups, data.target_names


def whole_lesions(y, groups):
    """Return positions of random lesions, with about N_OF_EACH images per diagnosis."""
    rng, kept = np.random.default_rng(0), []
    for label in np.unique(y):
        lesions = rng.permutation(np.unique(groups[y == label]))
        images = [np.flatnonzero(groups == lesion) for lesion in lesions]
        n = np.searchsorted(np.cumsum([len(i) for i in images]), N_OF_EACH) + 1
        kept.extend(images[:n])
    return np.concatenate(kept)


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
console = Console()
source, X, y, groups, names = load(arguments.data_home)
lesions, n_pictures = np.unique(groups, return_counts=True)
console.print(
    f"{source}: {len(y)} images of {len(lesions)} lesions, at most {n_pictures.max()} "
    f"of one; diagnoses: {', '.join(names)}"
)

# %%
# Images of one lesion are not copies: camera, light, hairs and orientation are
# different. But a good classifier ignores these differences, so it can still recognise
# the lesion.

shown = lesions[np.argsort(-n_pictures, kind="stable")[:5]]
figure, rows = plt.subplots(3, 5, figsize=(9, 5.6), layout="constrained")
for column, lesion in zip(rows.T, shown, strict=True):
    members = np.flatnonzero(groups == lesion)[:3]
    for axes in column:
        axes.set_axis_off()
    for axes, image in zip(column, check_images(X[members]), strict=False):
        axes.imshow(image)
    column[0].set_title(f"{lesion}: {names[y[members[0]]]}", fontsize="medium")
figure.savefig(arguments.figures / "grouped_lesions.png", dpi=120)

# %%
# A search by images and by lesions
# ---------------------------------
# :class:`~sklearn.model_selection.StratifiedKFold` ignores lesions.
# :class:`~sklearn.model_selection.StratifiedGroupKFold` puts all images of a lesion
# into one fold. A search passes ``groups`` to its splitter. Both searches are over
# ``C`` of a logistic regression; a small ``C`` means strong regularisation.

C = [0.001, 0.01, 0.1, 1.0]
SEEDS = range(4)
memory = TemporaryDirectory()
bovw = BoVWSIFTTransformer(
    50, max_descriptors=2_000, memory=memory.name, random_state=0
)
words = Pipeline(
    [
        ("bovw", bovw),
        ("scale", StandardScaler()),
        ("regression", LogisticRegression(max_iter=2000)),
    ]
)
SPLITTERS = {"images": StratifiedKFold, "lesions": StratifiedGroupKFold}


def search(kind, seed):
    folds = SPLITTERS[kind](3, shuffle=True, random_state=seed)
    searched = GridSearchCV(
        words, {"regression__C": C}, scoring="balanced_accuracy", cv=folds, refit=False
    )
    grouped = {"groups": groups} if kind == "lesions" else {}
    return searched.fit(X, y, **grouped).cv_results_["mean_test_score"]


scores = {kind: np.array([search(kind, seed) for seed in SEEDS]) for kind in SPLITTERS}
gaps = scores["images"] - scores["lesions"]
table = Table(title=f"Balanced accuracy, mean of {len(SEEDS)} splits into 3 folds")
for heading in ("C", "by images", "by lesions", "gap", "smallest", "largest"):
    table.add_column(heading, justify="right")
for i, c in enumerate(C):
    means = (scores[kind][:, i].mean() for kind in SPLITTERS)
    gap = gaps[:, i]
    cells = (
        *(f"{m:.3f}" for m in means),
        *(f"{g:+.3f}" for g in (gap.mean(), gap.min(), gap.max())),
    )
    table.add_row(f"{c:g}", *cells)
console.print(table)

# %%
# Where the gap comes from
# ------------------------
# With both kinds of folds, each image is in a test set once. With folds of images, the
# lesion of some images is also in the training set. If the gap had another cause, it
# would also exist for the other images. Each grey line is one random split.

model = clone(words).set_params(regression__C=0.1)


def correct(kind, seed):
    """Return which predictions are right, and which lesions are in the training set."""
    folds = SPLITTERS[kind](3, shuffle=True, random_state=seed)
    splits = list(folds.split(X, y, groups if kind == "lesions" else None))
    seen = np.empty(len(y), dtype=bool)
    for train, left_out in splits:
        seen[left_out] = np.isin(groups[left_out], groups[train])
    return cross_val_predict(model, X, y, cv=splits) == y, seen


accuracies = np.empty((len(SEEDS), 2, 2))  # seed, seen, kind
for seed in SEEDS:
    by_images, seen = correct("images", seed)
    by_lesions, _ = correct("lesions", seed)
    for row, members in enumerate((seen, ~seen)):
        accuracies[seed, row] = by_images[members].mean(), by_lesions[members].mean()

titles = ("lesion also in the training set", "lesion not in the training set")
table = Table(title="Accuracy, C = 0.1")
for heading in ("with folds of images", "by images", "by lesions"):
    table.add_column(heading, justify="right")
for title, values in zip(titles, accuracies.mean(axis=0), strict=True):
    table.add_row(title, *(f"{value:.3f}" for value in values))
console.print(table)

figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(10, 4.2), width_ratios=(2, 1, 1), layout="constrained", sharey=True
)
for kind, color in (("images", "C1"), ("lesions", "C0")):
    left.plot(C, scores[kind].T, color=color, alpha=0.3, linewidth=1)
    left.plot(C, scores[kind].mean(axis=0), color=color, marker="o", label=kind)
left.set(
    xscale="log",
    xlabel="C of the logistic regression",
    ylabel="balanced accuracy",
    title="All images",
)
left.legend(title="folds of")
middle.set_ylabel("accuracy")
for axes, values, title in zip(
    (middle, right), accuracies.transpose(1, 0, 2), titles, strict=True
):
    axes.plot([0, 1], values.T, color="0.6", marker="o", linewidth=1)
    axes.plot([0, 1], values.mean(axis=0), color="black", marker="o")
    axes.set_xticks([0, 1], ["of images", "of lesions"])
    axes.set_title(title.replace(" in the", "\nin the"), fontsize="medium")
    axes.set(xlim=(-0.4, 1.4), xlabel="folds")
figure.savefig(arguments.figures / "grouped_scores.png", dpi=120)

# %%
# Lesions inside a fit
# --------------------
# A network that holds out validation images in ``fit`` needs the lesions too. Otherwise
# its validation set has lesions that are also in its training set, and it stops too
# late. A search passes ``groups`` to the splitter only. There are two ways to pass it
# to ``fit``. The first is the name of the step in a pipeline; each fold gets its part.

if arguments.weights:
    backbone = {"backbone": "mobilenetv2", "image_size": (224, 224)}
else:
    backbone = {"backbone": "vgg16", "image_size": (32, 32)}
backbone |= {"weights": arguments.weights, "pooling": "avg"}
network = TransferClassifier(
    **backbone,
    hidden_units=(),
    dropout=0.0,
    epochs=10,
    validation_fraction=0.2,
    early_stopping=True,
    memory=memory.name,
    random_state=0,
)
by_lesions = StratifiedGroupKFold(3, shuffle=True, random_state=0)
rates = [1e-2, 1e-1]
by_name = GridSearchCV(
    Pipeline([("clf", network)]),
    {"clf__learning_rate": rates},
    scoring="balanced_accuracy",
    cv=by_lesions,
    refit=False,
).fit(X, y, groups=groups, clf__groups=groups)

# %%
# The second is metadata routing: the network requests ``groups``, and one argument goes
# to both the network and the splitter. Both ways give the same result.

with config_context(enable_metadata_routing=True):
    routed = GridSearchCV(
        clone(network).set_fit_request(groups=True),
        {"learning_rate": rates},
        scoring="balanced_accuracy",
        cv=by_lesions,
        refit=False,
    ).fit(X, y, groups=groups)

for name, searched in (("by name", by_name), ("routed", routed)):
    means = searched.cv_results_["mean_test_score"].round(3).tolist()
    console.print(
        f"{name}: balanced accuracy {means} at rates {rates}", highlight=False
    )
memory.cleanup()
