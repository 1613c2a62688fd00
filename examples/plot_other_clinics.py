"""
Scores on images of another clinic
==================================

A classifier may recognise the camera, the light and the patients of a clinic instead of
the lesions. Folds within the data of this clinic do not show it. This example joins the
images of three clinics, trains on each and tests on each, and compares two ways to
train on two of them together.

Look at the scores outside the diagonal of the table: they are the ones to expect
elsewhere.

The images are synthetic. Each clinic has its own light, resolution, sharpness and
prevalence of melanoma. So the example shows how to measure, but its scores say nothing
about real images.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

# %%
# Three clinics
# -------------
# :func:`~skinest.datasets.join_sources` joins the data sets. With
# ``labels="melanoma"`` it knows the labels of all functions of
# :mod:`skinest.datasets`. For real images, pass
# ``{"ISIC 2016": fetch_isic2016_part3(), "HAM10000": fetch_isic2018_task3()}``.

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skinest import BoVWSIFTTransformer, ColorPatchDescriptor, SIFTDescriptor
from skinest.datasets import join_sources, make_dermoscopy
from skinest.model_selection import adjust_priors, cross_source_table
from skinest.sampling import weigh_sources

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
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

# Light (factors of red, green and blue), side in pixels, blur in pixels, fraction of
# melanomas.
CLINICS = {
    "north": ((1.0, 0.85, 0.75), 128, 0.0, 0.15),
    "south": ((0.85, 0.95, 1.1), 96, 1.5, 0.5),
    "east": ((1.0, 1.0, 1.0), 112, 0.7, 0.3),
}


def visit(seed, light, side, blur, malignant_fraction):
    """Return images as a clinic would have them."""
    data = make_dermoscopy(
        200,
        image_size=(side, side),
        malignant_fraction=malignant_fraction,
        random_state=seed,
    )
    for image in data.images:
        lit = np.clip(image * np.array(light), 0, 255).astype(np.uint8)
        image[:] = cv2.GaussianBlur(lit, None, blur) if blur else lit
    return data


data = join_sources(
    {name: visit(seed, *clinic) for seed, (name, clinic) in enumerate(CLINICS.items())},
    labels="melanoma",
)
X, y, groups, source = data.images, data.target, data.groups, data.source
console.print(data.DESCR.partition("\n\nnorth\n")[0], highlight=False)

# %%
# Each row is a clinic. The three images on the right are melanomas.

figure, rows = plt.subplots(3, 6, figsize=(9, 4.8), layout="constrained")
for name, row in zip(CLINICS, rows, strict=True):
    shown = [np.flatnonzero((source == name) & (y == label))[:3] for label in (0, 1)]
    for axes, index in zip(row, np.concatenate(shown), strict=True):
        axes.imshow(X[index])
        axes.set(xticks=[], yticks=[])
    row[0].set_ylabel(name)
figure.savefig(arguments.figures / "other_clinics_images.png", dpi=120)

# %%
# Train on each, test on each
# ---------------------------
# :func:`~skinest.model_selection.cross_source_table` fits each classifier to the images
# of each clinic, and tests it on every clinic. On the diagonal, it is tested by folds
# of the same clinic. One classifier uses visual words of colours, the other one visual
# words of grey texture.

memory = TemporaryDirectory()


def classify(descriptor):
    """Return a logistic regression on visual words."""
    words = BoVWSIFTTransformer(
        30,
        descriptor=descriptor,
        max_descriptors=10_000,
        memory=memory.name,
        random_state=0,
    )
    return Pipeline(
        [
            ("words", words),
            ("scale", StandardScaler()),
            ("clf", LogisticRegression(C=0.1, class_weight="balanced")),
        ]
    )


classifiers = {
    "colours": classify(ColorPatchDescriptor()),
    "texture": classify(SIFTDescriptor(detector="grid", grid_step=16)),
}
table = cross_source_table(
    classifiers,
    X,
    y,
    source=source,
    groups=groups,
    cv=3,
    scoring="roc_auc",
    n_resamples=200,
    random_state=0,
)
aucs = table.loc["roc_auc"][["estimate", "low", "high"]]
printed = Table(title="AUC [95 % interval]")
for heading in ("words of", "trained on", *CLINICS):
    printed.add_column(heading)
for name in classifiers:
    for train in CLINICS:
        cells = (aucs.loc[(name, train, test)] for test in CLINICS)
        texts = ("{:.2f} [{:.2f}, {:.2f}]".format(*cell) for cell in cells)
        printed.add_row(name, train, *(text.replace("0.", ".") for text in texts))
console.print(printed)

# %%
# Choose a classifier by its mean outside the diagonal.

figure, panels = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
for axes, name in zip(panels, classifiers, strict=True):
    values = aucs.estimate[name].unstack().loc[list(CLINICS), list(CLINICS)].to_numpy()
    picture = axes.imshow(values, vmin=0.5, vmax=1, cmap="viridis")
    for (row, column), value in np.ndenumerate(values):
        color = "white" if value < 0.8 else "black"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=color)
    away = values[~np.eye(len(values), dtype=bool)].mean()
    axes.set(
        xticks=range(3),
        yticks=range(3),
        xticklabels=CLINICS,
        yticklabels=CLINICS,
        xlabel="tested on",
        ylabel="trained on",
        title=f"{name}: mean of other clinics {away:.2f}",
    )
figure.colorbar(picture, ax=panels, label="AUC")
figure.savefig(arguments.figures / "other_clinics_table.png", dpi=120)

# %%
# Two clinics together
# --------------------
# Melanoma is more frequent in the south than in the north. So a classifier that is
# trained on both learns that images of the south are suspicious.
# :func:`~skinest.sampling.weigh_sources` returns weights with which the clinic says
# nothing about the diagnosis. They remove the gap between benign lesions of both
# clinics. The last column shows whether they also improve the AUC on the third clinic.

train, test = source != "east", source == "east"
weights = {
    "no weights": np.ones(train.sum()),
    "weighed sources": weigh_sources(y[train], source[train]),
}
printed = Table(title="Trained on north and south")
for heading in ("", "benign north", "benign south", "gap", "AUC in the east"):
    printed.add_column(heading, justify="right" if heading else "left")
found = {}
for name, sample_weight in weights.items():
    clf = classify(ColorPatchDescriptor()).set_params(clf__class_weight=None)
    clf.fit(X[train], y[train], clf__sample_weight=sample_weight)
    probability = clf.predict_proba(X)
    benign = [
        probability[(source == clinic) & (y == 0), 1].mean()
        for clinic in ("north", "south")
    ]
    auc = roc_auc_score(y[test], probability[test, 1])
    cells = *benign, benign[1] - benign[0], auc
    printed.add_row(name, *(f"{cell:.2f}" for cell in cells))
    found[name] = probability[test]
console.print(printed)

# %%
# Another prevalence
# ------------------
# With these weights, probabilities are right for clinics where half of the lesions are
# melanomas. :func:`~skinest.model_selection.adjust_priors` corrects them for the
# prevalence of the east. The ranking and so the AUC stay the same.

weighed = found["weighed sources"]
prevalence = y[test].mean()
corrected = adjust_priors(weighed, [0.5, 0.5], [1 - prevalence, prevalence])
for name, probability in (("weighed", weighed), ("corrected", corrected)):
    console.print(
        f"{name}: mean probability of melanoma {probability[:, 1].mean():.2f}, "
        f"log loss {log_loss(y[test], probability):.3f}",
        highlight=False,
    )
console.print(f"prevalence in the east: {prevalence:.2f}", highlight=False)
memory.cleanup()
