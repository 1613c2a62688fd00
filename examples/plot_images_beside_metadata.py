"""
Images with age, sex and site
=============================

Doctors use not only the image of a lesion but also the patient's age and sex and the
site on the body. This example puts images and metadata into one table. A
:class:`~sklearn.compose.ColumnTransformer` computes features of each column in its own
way, and one classifier learns from all of them.

Look at how much the metadata improve the score, and at which columns matter most. Then
look at the weights: an image gives many columns and metadata give few, so without
weights the classifier nearly ignores them.

By default the images are synthetic. With ``--data-home`` or the environment variable
``SKINEST_DATA`` they are the ISIC 2016 training images in that folder, and with
``--weights`` their features are those of a MobileNetV2. Age, sex and site are always
sampled, with frequencies similar to those of HAM10000. In your own table, the image
column can have file paths.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

# %%
# A table with a column of images
# -------------------------------
# As in real tables, some ages, sexes and sites are missing.

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    train_test_split,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skinest import BottleneckFeatureExtractor, BoVWSIFTTransformer
from skinest.datasets import fetch_isic2016_part3, make_dermoscopy
from skinest.model_selection import cross_val_table

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
    "(default: visual words)",
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
if arguments.data_home:
    paths, y = fetch_isic2016_part3(
        arguments.data_home, download_if_missing=False, return_X_y=True
    )
    sampled = make_dermoscopy(
        len(y),
        malignant_fraction=y.mean(),
        image_size=(32, 32),
        as_frame=True,
        random_state=0,
    )
    X = sampled.data.iloc[np.argsort(sampled.target, kind="stable")]
    X = X.iloc[np.argsort(np.argsort(y, kind="stable"))].assign(image=paths)
else:
    data = make_dermoscopy(500, malignant_fraction=0.3, as_frame=True, random_state=0)
    X, y = data.data, data.target
metadata = ["age", "sex", "site"]
console.print(f"{len(y)} images, {int(y.sum())} of them malignant")
console.print(X[metadata].assign(malignant=y).head(8).to_string(), highlight=False)
console.print("missing:", X[metadata].isna().sum().to_dict(), highlight=False)

# %%
# Features of each column
# -----------------------
# Images are converted to histograms of visual words. A missing age is replaced by the
# median, and an extra column marks it. Sex and site are one-hot encoded; "unknown" is a
# category, and rare categories share a column. All this is learned in each fold, from
# its training rows only.

memory = TemporaryDirectory()
if arguments.weights:
    features = BottleneckFeatureExtractor(
        "mobilenetv2", weights=arguments.weights, pooling="avg", memory=memory.name
    )
else:
    features = BoVWSIFTTransformer(
        50, max_descriptors=3_000, memory=memory.name, random_state=0
    )
columns = ColumnTransformer(
    [
        ("image", make_pipeline(features, StandardScaler()), "image"),
        (
            "age",
            make_pipeline(
                SimpleImputer(strategy="median", add_indicator=True), StandardScaler()
            ),
            ["age"],
        ),
        (
            "category",
            make_pipeline(
                SimpleImputer(strategy="constant", fill_value="unknown"),
                OneHotEncoder(min_frequency=20, handle_unknown="infrequent_if_exist"),
            ),
            ["sex", "site"],
        ),
    ]
)
model = Pipeline(
    [("columns", columns), ("regression", LogisticRegression(C=0.05, max_iter=1000))]
)

# %%
# Weigh the parts
# ---------------
# The penalty of the regression is the sum of all squared coefficients. An image has 50
# standardised columns (1,280 with a network), so small coefficients are enough to use
# it. Metadata have few columns. These need large coefficients, which the penalty
# prevents. There are two ways to make the parts comparable:
#
# - ``transformer_weights`` multiplies the columns of a part. With a weight of 10, a
#   coefficient of a tenth of the size has the same effect, and its penalty is only a
#   hundredth. The right weight depends on the data, so a search chooses it, on the
#   training images of each fold.
# - A principal component analysis reduces the images to a few columns.
#
# The more columns an image has, the more this matters. On 749 images of ISIC 2016 with
# the 1,280 features of MobileNetV2 and sampled metadata, the area under the ROC curve
# was .80 for metadata, .72 for images, and .79 for both. So the images made it worse.
# With weights or with 20 components, both together had .85.

METADATA_WEIGHTS = [1, 3, 10]
weighted = GridSearchCV(
    model,
    {
        "columns__transformer_weights": [
            {"age": weight, "category": weight} for weight in METADATA_WEIGHTS
        ]
    },
    scoring="roc_auc",
    cv=StratifiedKFold(3, shuffle=True, random_state=1),
)
reduced = clone(model).set_params(
    columns__image=make_pipeline(
        features, StandardScaler(), PCA(20, random_state=0), StandardScaler()
    )
)

# %%
# Metadata, images or both
# ------------------------
# Setting a transformer to ``"drop"`` leaves out its columns.
# :func:`~skinest.model_selection.cross_val_table` fits all models on the same folds. It
# computes the difference of each to the first one, with intervals.

models = {
    "images": clone(model).set_params(columns__age="drop", columns__category="drop"),
    "metadata": clone(model).set_params(columns__image="drop"),
    "both": model,
    "both, weighted": weighted,
    "both, 20 components": reduced,
}
scores = cross_val_table(
    models,
    X,
    y,
    scoring="roc_auc",
    cv=StratifiedKFold(5, shuffle=True, random_state=0),
    random_state=0,
).loc["roc_auc"]
table = Table(title="AUC, mean of 5 folds [95 % interval]")
for heading in ("columns", "AUC", "difference to images"):
    table.add_column(heading, justify="right")
for name, row in scores.iterrows():
    score = f"{row.estimate:.3f} [{row.low:.3f}, {row.high:.3f}]"
    difference = (
        f"{row.difference:+.3f} [{row.difference_low:+.3f}, {row.difference_high:+.3f}]"
    )
    table.add_row(name, score, "" if name == "images" else difference)
console.print(table)

# %%
# Which columns matter
# --------------------
# Fit the model with weights once more, on 70 % of the rows.

X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=0
)
model = weighted.fit(X_train, y_train).best_estimator_
chosen = model.get_params()["columns__transformer_weights"]["age"]
console.print(f"weight of metadata: {chosen}", highlight=False)

# %%
# Permutation importance is the decrease of the area under the ROC curve when a column
# is shuffled. It is computed on the test rows. The image column is shuffled like the
# others: each patient then has the image of another patient.

importance = permutation_importance(
    model, X_test, y_test, scoring="roc_auc", n_repeats=20, random_state=0
).importances
for name, losses in zip(X.columns, importance, strict=True):
    console.print(
        f"{name:6} {losses.mean():+.3f} (sd {losses.std():.3f})", highlight=False
    )

# %%
# The left plot shows the score with each part of the table. The right plot shows the
# importance of each column for the classifier with all columns.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for place, row in enumerate(scores.itertuples()):
    errors = [[row.estimate - row.low], [row.high - row.estimate]]
    left.errorbar(place, row.estimate, errors, fmt="o", capsize=5, color=f"C{place}")
left.set_xticks(range(len(scores)), scores.index)
left.set(
    title="Mean of the folds and 95 % interval",
    ylabel="area under the ROC curve",
    xlim=(-0.5, len(scores) - 0.5),
)
left.tick_params(axis="x", rotation=20)
order = np.argsort(importance.mean(axis=1))
right.boxplot(
    importance[order].T,
    orientation="horizontal",
    tick_labels=X.columns[order],
)
right.axvline(0, color="0.6", linestyle=":")
right.set(title="Shuffled column", xlabel="loss of area under the ROC curve, test rows")
figure.savefig(arguments.figures / "metadata_scores.png", dpi=120)

# %%
# The coefficients of the metadata show by which factor each category multiplies the
# odds of malignant. For age it is the factor of one standard deviation. "Rare" means
# all categories with fewer than 20 training rows, including "unknown". This describes
# the synthetic table, not patients.

names = model[:-1].get_feature_names_out()
of_metadata = [i for i, name in enumerate(names) if not name.startswith("image__")]
coefficients = chosen * model[-1].coef_[0][of_metadata]  # of columns without weight
labels = [
    names[i]
    .split("__")[1]
    .replace("infrequent_sklearn", "rare")
    .replace("missingindicator_age", "age missing")
    .replace("_", " ")
    for i in of_metadata
]
order = np.argsort(coefficients)
figure, axes = plt.subplots(figsize=(7, 4.6), layout="constrained")
axes.barh(
    np.array(labels)[order],
    np.exp(coefficients[order]) - 1,
    left=1,
    color=np.where(coefficients[order] > 0, "C3", "C0"),
)
axes.axvline(1, color="0.4", linewidth=1)
axes.set(
    title="Metadata, in the model with images",
    xlabel="odds of malignant are multiplied by",
    xscale="log",
)
ticks = [0.8, 1, 1.25, 1.6]
axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
axes.minorticks_off()
figure.savefig(arguments.figures / "metadata_coefficients.png", dpi=120)
memory.cleanup()
