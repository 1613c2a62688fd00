"""
A recipe for images of other cameras
====================================

With the cameras and lamps of another clinic, images of the same lesions look different.
Three steps may help: average several views of each image, remove the colour of the
light, and let two different classifiers vote. This example uses all three. It trains on
synthetic images of one clinic and tests on those of another, which are blurred and have
a strong yellow cast. Look at the last column of the table first.

The synthetic images need the second step. Between two sources of real images it did not
help, and inner layers of the network changed more than all of these: see
:doc:`/guide/other_clinics`.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

# %%
# Two clinics
# -----------
# Both have images of the same kind of lesions. The images of the second clinic are then
# changed as if by another camera.

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skinest import (
    BottleneckFeatureExtractor,
    BoVWSIFTTransformer,
    ColorPatchDescriptor,
)
from skinest.datasets import make_dermoscopy
from skinest.model_selection import bootstrap_interval, compare
from skinest.preprocessing import ColorConstancy

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--figures", type=Path, default=Path("figures"))
# A notebook has no arguments.
arguments = parser.parse_args([] if "ipykernel" in sys.modules else None)
arguments.figures.mkdir(parents=True, exist_ok=True)

settings = {"malignant_fraction": 0.4, "image_size": (96, 96), "return_X_y": True}
X, y = make_dermoscopy(160, random_state=0, **settings)
X_other, y_other = make_dermoscopy(160, random_state=1, **settings)


def photograph(image):
    """Return an image as of another camera: blurred and yellow."""
    blurred = cv2.GaussianBlur(image, (0, 0), 0.7)
    return np.rint(blurred * [1.0, 0.85, 0.7]).astype(np.uint8)


X_other = np.stack([photograph(image) for image in X_other])

# %%
# The recipe
# ----------
# A network describes the whole image, and Fisher vectors describe the colours of small
# patches. Real images need a network with ImageNet weights; here its weights are
# random. Its features are averaged over four flips of each image. The first step of the
# pipeline removes the colour of the light.

memory = TemporaryDirectory()
network = make_pipeline(
    BottleneckFeatureExtractor(
        "vgg16",
        weights=None,
        image_size=(32, 32),
        n_feature_views=4,
        memory=memory.name,
        random_state=0,
    ),
    StandardScaler(),
    LogisticRegression(C=0.01, max_iter=1000),
)
colors = make_pipeline(
    BoVWSIFTTransformer(
        8,
        descriptor=ColorPatchDescriptor(),
        encoding="fisher",
        n_components=6,
        max_descriptors=10_000,
        memory=memory.name,
        random_state=0,
    ),
    LogisticRegression(max_iter=1000),
)
vote = VotingClassifier([("network", network), ("colours", colors)], voting="soft")
recipe = make_pipeline(ColorConstancy(), vote)

# %%
# At home and elsewhere
# ---------------------
# At home, the images are predicted in three folds. The last column is the difference
# from the network alone on the images of the other clinic, with its 95 % interval.

models = {"network": network, "vote": vote, "colour constancy, vote": recipe}
table = Table(title="AUC [95 % interval]")
for column in ("", "at home", "other clinic", "minus network"):
    table.add_column(column)
elsewhere = {}
for name, model in models.items():
    home = cross_val_predict(model, X, y, cv=3, method="predict_proba")[:, 1]
    elsewhere[name] = model.fit(X, y).predict_proba(X_other)[:, 1]
    cells = [
        f"{bootstrap_interval(roc_auc_score, truth, score, random_state=0):.2f}"
        for truth, score in ((y, home), (y_other, elsewhere[name]))
    ]
    if name != "network":
        scores = elsewhere[name], elsewhere["network"]
        gain = compare(roc_auc_score, y_other, *scores, random_state=0)
        cells.append(f"{gain:+.2f}")
    table.add_row(name, *cells)
Console(width=100).print(table)
memory.cleanup()

# %%
# The same colours everywhere
# ---------------------------
# Images of both clinics before (above) and after (below) colour constancy.

figure, axes = plt.subplots(2, 6, figsize=(9, 3.4), layout="constrained")
images = np.concatenate([X[:3], X_other[:3]])
for row, shown in zip(axes, (images, ColorConstancy().transform(images)), strict=True):
    for axis, image in zip(row, shown, strict=True):
        axis.imshow(image)
        axis.set_axis_off()
axes[0, 1].set_title("first clinic")
axes[0, 4].set_title("other clinic")
figure.savefig(arguments.figures / "other_cameras.png", dpi=120)
