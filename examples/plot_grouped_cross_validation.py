"""
Cross-validation that keeps lesions together
============================================

Sets of dermoscopic images have several pictures of some lesions. Where one picture is
learned from and another is left out, a classifier may recognise the lesion in place of
the diagnosis, and its scores flatter. Here the same classifier is scored by folds of
images and by folds of lesions, for several ways of cutting each.

Look at the gap between the two, which tends to grow with how freely the classifier may
learn, and at who makes it: images whose lesion is also among the training images, and
no others.

On the ISIC 2018 task 3 archives (HAM10000) where ``--data-home`` or the environment
variable ``SKINEST_DATA`` names a folder that holds them, with a MobileNetV2 where
``--weights`` names its weights; else on synthetic images, with two pictures of a lesion
where HAM10000 has 1.34, and a small VGG16 whose weights are random below the head.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

# %%
# Images, diagnoses and lesions
# -----------------------------
# ``groups`` names the lesion of each image. Of real images, as many of each diagnosis
# are taken as of the synthetic ones, by whole lesions, so that all folds have all
# diagnoses and chance is one in seven.

from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from _composing import backbone_of, parse_arguments, save
from _script import on_archives
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
    """Load images, diagnoses, lesions and the diagnoses' names."""
    if on_archives(data_home, "ISIC2018_Task3_Training_*", False):
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
    """Take about as many images of each diagnosis, by lesions in random order."""
    rng, kept = np.random.default_rng(0), []
    for label in np.unique(y):
        lesions = rng.permutation(np.unique(groups[y == label]))
        images = [np.flatnonzero(groups == lesion) for lesion in lesions]
        n = np.searchsorted(np.cumsum([len(i) for i in images]), N_OF_EACH) + 1
        kept.extend(images[:n])
    return np.concatenate(kept)


arguments = parse_arguments(__doc__, weights=True)
console = Console()
source, X, y, groups, names = load(arguments.data_home)
lesions, n_pictures = np.unique(groups, return_counts=True)
console.print(
    f"{source}: {len(y)} images of {len(lesions)} lesions, at most {n_pictures.max()} "
    f"of one; diagnoses: {', '.join(names)}"
)

# %%
# Pictures of one lesion are not copies: camera, light, hairs and turn differ, which a
# classifier of images is made to see through.

shown = lesions[np.argsort(-n_pictures, kind="stable")[:5]]
figure, rows = plt.subplots(3, 5, figsize=(9, 5.6), layout="constrained")
for column, lesion in zip(rows.T, shown, strict=True):
    members = np.flatnonzero(groups == lesion)[:3]
    for axes in column:
        axes.set_axis_off()
    for axes, image in zip(column, check_images(X[members]), strict=False):
        axes.imshow(image)
    column[0].set_title(f"{lesion}: {names[y[members[0]]]}", fontsize="medium")
save(figure, arguments, "grouped_lesions.png")

# %%
# A search by images and by lesions
# ---------------------------------
# :class:`~sklearn.model_selection.StratifiedKFold` knows nothing of lesions,
# :class:`~sklearn.model_selection.StratifiedGroupKFold` keeps each in one fold. A
# search hands ``groups`` to its splitter. Both searches are over how freely a logistic
# regression may learn, from a small ``C``, which holds it back, to a large one.

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
table = Table(title=f"Balanced accuracy, mean of {len(SEEDS)} ways to cut 3 folds")
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
# Who makes the gap
# -----------------
# Each image is left out once by either kind of folds. Some have another picture of the
# lesion among the training images of the folds of images. If anything but recognised
# lesions made the gap, the others would show it too. Grey: each way to cut the folds.

model = clone(words).set_params(regression__C=0.1)


def correct(kind, seed):
    """Tell whether each image is right, and whether its lesion was learned from."""
    folds = SPLITTERS[kind](3, shuffle=True, random_state=seed)
    splits = list(folds.split(X, y, groups if kind == "lesions" else None))
    seen = np.empty(len(y), dtype=bool)
    for train, left_out in splits:
        seen[left_out] = np.isin(groups[left_out], groups[train])
    return cross_val_predict(model, X, y, cv=splits) == y, seen


shares = np.empty((len(SEEDS), 2, 2))  # of images that are right: seed, seen, kind
for seed in SEEDS:
    by_images, seen = correct("images", seed)
    by_lesions, _ = correct("lesions", seed)
    for row, members in enumerate((seen, ~seen)):
        shares[seed, row] = by_images[members].mean(), by_lesions[members].mean()

titles = ("other pictures of the lesion learned from", "lesion never learned from")
table = Table(title="Share of images that are right, C = 0.1")
for heading in ("with folds of images", "by images", "by lesions"):
    table.add_column(heading, justify="right")
for title, values in zip(titles, shares.mean(axis=0), strict=True):
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
    ylabel="share of images that are right",
    title="All images",
)
left.legend(title="folds of")
for axes, values, title in zip(
    (middle, right), shares.transpose(1, 0, 2), titles, strict=True
):
    axes.plot([0, 1], values.T, color="0.6", marker="o", linewidth=1)
    axes.plot([0, 1], values.mean(axis=0), color="black", marker="o")
    axes.set_xticks([0, 1], ["of images", "of lesions"])
    axes.set_title(title.replace(" learned", "\nlearned"), fontsize="medium")
    axes.set(xlim=(-0.4, 1.4), xlabel="folds")
save(figure, arguments, "grouped_scores.png")

# %%
# Lesions inside a fit
# --------------------
# A network that holds out validation images in ``fit`` needs the lesions as well, or
# it stops too late, by images that it has as good as seen. A plain ``groups=`` of a
# search reaches only the splitter. There are two ways into ``fit``. In a pipeline, the
# name of the step says where an argument goes; each fold gets its part of it.

network = TransferClassifier(
    **backbone_of(arguments.weights),
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
# Or by metadata routing, where the network asks for ``groups`` and one argument
# reaches both it and the splitter, which asks for them by itself. Both ways do the
# same.

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
