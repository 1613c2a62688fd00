"""
Images with age, sex and site
=============================

Doctors use not only the image of a lesion but also the patient's age and sex and the
site on the body. This example puts images and metadata into one table. A
:class:`~sklearn.compose.ColumnTransformer` computes features of each column in its own
way, and one classifier learns from all of them.

Look at how much the metadata improve the score, and at which columns matter most.

The images are synthetic; age, sex and site are sampled with frequencies similar to
those of HAM10000. In your own table, the image column can have file paths.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

# %%
# A table with a column of images
# -------------------------------
# As in real tables, some ages, sexes and sites are missing.

from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from _composing import over_folds, parse_arguments, save
from rich.console import Console
from rich.table import Table
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skinest import BoVWSIFTTransformer
from skinest.datasets import make_dermoscopy

arguments = parse_arguments(__doc__, data_home=False)
console = Console()
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
bovw = BoVWSIFTTransformer(
    50, max_descriptors=3_000, memory=memory.name, random_state=0
)
columns = ColumnTransformer(
    [
        ("image", make_pipeline(bovw, StandardScaler()), "image"),
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
# Metadata, images or both
# ------------------------
# Setting a transformer to ``"drop"`` leaves out its columns.

models = {
    "metadata": clone(model).set_params(columns__image="drop"),
    "images": clone(model).set_params(columns__age="drop", columns__category="drop"),
    "both": model,
}
N_SPLITS = 5
folds = StratifiedKFold(N_SPLITS, shuffle=True, random_state=0)
scores = {
    name: cross_val_score(m, X, y, cv=folds, scoring="roc_auc")
    for name, m in models.items()
}
table = Table(title=f"AUC of {N_SPLITS} folds: mean ± half of the 95 % interval")
for heading in ("columns", "AUC", "difference to images"):
    table.add_column(heading, justify="right")
for name, values in scores.items():
    mean, half = over_folds(values, N_SPLITS)
    gain, half_gain = over_folds(values - scores["images"], N_SPLITS)
    difference = "" if name == "images" else f"{gain:+.3f} ± {half_gain:.3f}"
    table.add_row(name, f"{mean:.3f} ± {half:.3f}", difference)
console.print(table)

# %%
# Which columns matter
# --------------------
# Fit the model once more, on 70 % of the rows.

X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=0
)
model.fit(X_train, y_train)

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
for place, values in enumerate(scores.values()):
    left.plot(np.full(len(values), place), values, ".", color="0.7")
    mean, half = over_folds(values, N_SPLITS)
    left.errorbar(place, mean, half, fmt="o", capsize=5, color=f"C{place}")
left.set_xticks(range(len(scores)), list(scores))
left.set(
    title="Folds, mean and 95 % interval",
    ylabel="area under the ROC curve",
    xlim=(-0.5, 2.5),
)
order = np.argsort(importance.mean(axis=1))
right.boxplot(
    importance[order].T,
    orientation="horizontal",
    tick_labels=X.columns[order],
)
right.axvline(0, color="0.6", linestyle=":")
right.set(title="Shuffled column", xlabel="loss of area under the ROC curve, test rows")
save(figure, arguments, "metadata_scores.png")

# %%
# The coefficients of the metadata show by which factor each category multiplies the
# odds of malignant. For age it is the factor of one standard deviation. "Rare" means
# all categories with fewer than 20 training rows, including "unknown". This describes
# the synthetic table, not patients.

names = model[:-1].get_feature_names_out()
of_metadata = [i for i, name in enumerate(names) if not name.startswith("image__")]
coefficients = model[-1].coef_[0][of_metadata]
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
save(figure, arguments, "metadata_coefficients.png")
memory.cleanup()
