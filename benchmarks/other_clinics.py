"""Compare recipes for melanoma on images of another clinic (ISIC 2016 and HAM10000).

Members are classifiers alone; recipes are soft votes of members. A member is trained in
four cells. Each cell is stored in the folder --results when it is done, and is not
computed again.

ham_to_isic
    Trained on four fifths of the lesions of HAM10000, tested on the training images of
    ISIC 2016, and on the images of the other lesions.
isic_to_ham
    Trained on the training images of ISIC 2016, tested on a sample of HAM10000: all
    melanomas and every fourth other image. Average precision is weighted for this.
isic_folds
    5 stratified folds of the training images of ISIC 2016.
test
    Trained on the training images of ISIC 2016, tested on its test images. Run it once,
    for the recipe that was chosen by the other cells.

`table` prints the scores of all recipes whose members are done, with 95 % bootstrap
intervals over lesions and the paired difference from another recipe. It writes them to
results/other_clinics.json and README.md.

Usage: python benchmarks/other_clinics.py ham_to_isic isic_to_ham isic_folds table
       --vgg16 vgg16.weights.h5 --mobilenetv2 mobilenetv2.weights.h5
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter

import keras
import numpy as np
from _gain_tables import show, write_readme
from _quiet import describe_machine
from _runs import RESULTS
from accuracy_bovw import three_fishers
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skinest import Augmentation, BottleneckFeatureExtractor, TransferClassifier
from skinest.datasets import fetch_isic2016_part3, fetch_isic2018_task3
from skinest.model_selection import bootstrap_interval, compare
from skinest.preprocessing import ColorConstancy

BATCH_SIZE = 32
RATES = {"ham": 3e-4, "isic": 2e-4}  # the largest of the training
COPIES = {"ham": 4, "isic": 11}  # augmented copies of each image
LIGHT = Augmentation(
    rotation=180,
    shift=0.05,
    zoom=0.15,
    vertical_flip=True,
    brightness=0.1,
    contrast=0.1,
)
COLORS = Augmentation(
    rotation=180,
    shift=0.1,
    zoom=0.3,
    vertical_flip=True,
    brightness=0.15,
    contrast=0.2,
    hue=10,
    saturation=0.25,
    channel_gain=0.1,
    blur=0.008,
    noise=0.02,
)


# Data


class Data:
    """The images, labels and splits of both sources."""

    def __init__(self, data_home):
        self.data_home = data_home
        self.isic, self.is_malignant = fetch_isic2016_part3(data_home, return_X_y=True)
        ham = fetch_isic2018_task3(data_home)
        self.ham, self.lesions = ham.paths, ham.groups
        self.diagnoses = np.array(ham.target_names)[ham.target]
        self.is_melanoma = self.diagnoses == "MEL"
        splitter = StratifiedGroupKFold(5, shuffle=True, random_state=0)
        self.known, self.held = next(
            splitter.split(self.ham, self.diagnoses, self.lesions)
        )
        others = np.flatnonzero(~self.is_melanoma)[::4]
        self.sample = np.sort(np.append(np.flatnonzero(self.is_melanoma), others))
        self.folds = list(
            StratifiedKFold(5, shuffle=True, random_state=0).split(
                self.isic, self.is_malignant
            )
        )

    def read_test(self):
        X, _ = fetch_isic2016_part3(self.data_home, subset="test", return_X_y=True)
        return X


# Members. `fit` takes the diagnoses of HAM10000, or True for malignant in ISIC 2016.


@dataclass(kw_only=True)
class Network:
    """MobileNetV2, fine-tuned from ImageNet's weights or from those of another member.

    Parameters
    ----------
    augmentation : Augmentation
        Changes of the training images.

    side : int
        Height and width of images.

    trainable : str
        The lowest part that is trained.

    n_views : int
        Number of views of each image for predictions.

    all_diagnoses : bool
        Whether all diagnoses of HAM10000 are learned, not only melanoma or not.

    start : str or None
        Member that was trained on HAM10000, whose weights the training on ISIC 2016
        starts with. None means ImageNet's weights.

    first : transformer or None
        Transformer from images to images before the network.

    epochs : dict of str to int
        Number of epochs on each source.

    seed : int
        Seed of the training.
    """

    augmentation: Augmentation = field(default_factory=lambda: COLORS)
    side: int = 160
    trainable: str = "block_4"
    n_views: int = 8
    all_diagnoses: bool = True
    start: str | None = None
    first: object = None
    epochs: dict = field(default_factory=lambda: {"ham": 5, "isic": 12})
    seed: int = 0

    def fit(self, X, y, source, options):
        weights = options.mobilenetv2
        if self.start:
            weights = options.results / f"{make_file_name(self.start)}.weights.h5"
        if source == "ham" and not self.all_diagnoses:
            y = y == "MEL"
        self.classifier = TransferClassifier(
            "mobilenetv2",
            weights=weights,
            image_size=(self.side, self.side),
            pooling="avg",
            dropout=0.3,
            l2=0.0,
            trainable=self.trainable,
            epochs=self.epochs[source],
            learning_rate=make_rate(len(y), self.epochs[source], RATES[source]),
            batch_size=BATCH_SIZE,
            augmentation=self.augmentation,
            n_augmented_copies=COPIES[source],
            n_prediction_views=self.n_views,
            memory=options.memory if source == "isic" else None,
            random_state=self.seed,
            verbose=int(source == "ham"),
        ).fit(self._prepare(X), y)

    def predict(self, X):
        """Return the probability of each class."""
        return self.classifier.predict_proba(self._prepare(X))

    def _prepare(self, X):
        return X if self.first is None else self.first.transform(X)

    def save(self, path):
        self.classifier.save_backbone(path)


def make_rate(n_images, epochs, peak):
    """Return a warm-up of one epoch and cosine decay to 0."""
    n_steps = -(-n_images // BATCH_SIZE)
    return keras.optimizers.schedules.CosineDecay(
        peak / 10, n_steps * (epochs - 1), warmup_target=peak, warmup_steps=n_steps
    )


@dataclass(kw_only=True)
class Linear:
    """A logistic regression on features that are not trained.

    Parameters
    ----------
    make_features : callable
        Function of the options that returns a transformer.

    all_diagnoses : bool
        Whether all diagnoses of HAM10000 are learned, not only melanoma or not.

    C : float
        Inverse of the penalty.

    class_weight : str or None
        Weights of classes.

    scaled : bool
        Whether features are standardised.

    first : transformer or None
        Transformer from images to images before the features.
    """

    make_features: Callable
    all_diagnoses: bool = True
    C: float = 1e-3
    class_weight: str | None = None
    scaled: bool = True
    first: object = None

    def fit(self, X, y, source, options):
        steps = [self.first, self.make_features(options)]
        steps += [StandardScaler() if self.scaled else None]
        weights = {"class_weight": self.class_weight}
        steps += [LogisticRegression(C=self.C, **weights, max_iter=1000)]
        self.classifier = make_pipeline(*[step for step in steps if step is not None])
        is_joined = source == "ham" and not self.all_diagnoses
        self.classifier.fit(X, y == "MEL" if is_joined else y)

    def predict(self, X):
        return self.classifier.predict_proba(X)


def features(backbone, side, n_views=4, start=None):
    """Return a function that makes an extractor of averaged features."""

    def make(options):
        weights = getattr(options, backbone)
        if start:
            weights = options.results / f"{make_file_name(start)}.weights.h5"
        return BottleneckFeatureExtractor(
            backbone,
            weights=weights,
            image_size=(side, side),
            pooling="avg",
            n_feature_views=n_views,
            memory=options.memory,
        )

    return make


def fisher_vectors(options):
    """Return Fisher vectors of grey and colour keypoints, and of colour patches."""
    union = three_fishers().named_steps["bovw"]
    for _, transformer in union.transformer_list:
        transformer.set_params(memory=options.memory, random_state=0, n_jobs=2)
    return union


MEMBERS = {
    "frozen": Linear(make_features=features("mobilenetv2", 224, n_views=1)),
    "frozen, 4 views": Linear(make_features=features("mobilenetv2", 224)),
    "frozen, 4 views, C=.0001": Linear(
        make_features=features("mobilenetv2", 224), C=1e-4
    ),
    "frozen, 4 views, C=.003": Linear(
        make_features=features("mobilenetv2", 224), C=3e-3
    ),
    "frozen, 4 views, class weights": Linear(
        make_features=features("mobilenetv2", 224), class_weight="balanced"
    ),
    "frozen, 4 views, shades of grey": Linear(
        make_features=features("mobilenetv2", 224), first=ColorConstancy()
    ),
    "frozen, 352 px, 4 views": Linear(make_features=features("mobilenetv2", 352)),
    "VGG16": Linear(make_features=features("vgg16", 224, n_views=2)),
    "Fisher vectors": Linear(make_features=fisher_vectors, C=1.0, scaled=False),
    "network": Network(),
    "network after HAM10000": Network(start="network"),
    "features of HAM10000": Linear(
        make_features=features("mobilenetv2", 160, n_views=8, start="network")
    ),
}
# They have been trained on HAM10000, so that only ISIC 2016 is left to be tested on.
AFTER_HAM10000 = ("network after HAM10000", "features of HAM10000")


@dataclass(frozen=True)
class Recipe:
    """A soft vote of members.

    Parameters
    ----------
    members : tuple of str
        The members.

    reference : str
        Recipe that it is compared with.

    against_nevi : bool
        Whether the score of a member that has learned all diagnoses is the probability
        of melanoma if the lesion is either a melanoma or a nevus. By default it is the
        probability of melanoma among all diagnoses.
    """

    members: tuple
    reference: str
    against_nevi: bool = False


VIEWS = "frozen, 4 views"
VOTE = (VIEWS, "VGG16", "Fisher vectors")
RECIPES = {
    **{name: Recipe((name,), VIEWS) for name in MEMBERS},
    VIEWS: Recipe((VIEWS,), "frozen"),
    f"{VIEWS}, against nevi": Recipe((VIEWS,), VIEWS, against_nevi=True),
    "network, against nevi": Recipe(("network",), "network", against_nevi=True),
    "vote with Fisher vectors": Recipe((VIEWS, "Fisher vectors"), VIEWS, True),
    "vote with Fisher vectors, C=.003": Recipe(
        (f"{VIEWS}, C=.003", "Fisher vectors"), VIEWS, True
    ),
    "vote with features of HAM10000": Recipe(
        (f"{VIEWS}, C=.003", "Fisher vectors", "features of HAM10000"), VIEWS, True
    ),
    "vote of frozen networks": Recipe(VOTE[:2], VIEWS, against_nevi=True),
    "vote with VGG16 and Fisher vectors": Recipe(VOTE, VIEWS, against_nevi=True),
    "vote with the network": Recipe((*VOTE, "network"), VIEWS, against_nevi=True),
    "vote with the network after HAM10000": Recipe(
        (*VOTE, "network after HAM10000"), VIEWS, against_nevi=True
    ),
}


# Cells


def ham_to_isic(member, name, data, options):
    member.fit(data.ham[data.known], data.diagnoses[data.known], "ham", options)
    if isinstance(member, Network):
        member.save(options.results / f"{make_file_name(name)}.weights.h5")
    return {
        "isic": member.predict(data.isic),
        "held": member.predict(data.ham[data.held]),
        "classes": np.asarray(member.classifier.classes_, dtype=str),
    }


def isic_to_ham(member, name, data, options):
    member.fit(data.isic, data.is_malignant, "isic", options)
    return {"sample": member.predict(data.ham[data.sample])[:, 1]}


def isic_folds(member, name, data, options):
    scores = np.zeros(len(data.isic))
    for train, test in data.folds:
        member.fit(data.isic[train], data.is_malignant[train], "isic", options)
        scores[test] = member.predict(data.isic[test])[:, 1]
    return {"folds": scores}


def test(member, name, data, options):
    member.fit(data.isic, data.is_malignant, "isic", options)
    return {"test": member.predict(data.read_test())[:, 1]}


def run_cells(cells, data, options):
    for name in options.members:
        for cell in cells:
            path = options.results / f"{make_file_name(name)}-{cell}.npz"
            is_leak = name in AFTER_HAM10000 and cell in ("ham_to_isic", "isic_to_ham")
            if path.exists() or is_leak:
                continue
            start = perf_counter()
            arrays = CELLS[cell](MEMBERS[name], name, data, options)
            np.savez(path, **arrays)
            minutes = (perf_counter() - start) / 60
            print(f"{name}, {cell}: {minutes:.1f} minutes", flush=True)


CELLS = {cell.__name__: cell for cell in (ham_to_isic, isic_to_ham, isic_folds, test)}


def make_file_name(name):
    return name.lower().replace(",", "").replace(" ", "_")


# Table


METRICS = {"AUC": roc_auc_score, "average precision": average_precision_score}


def read_scores(recipe, cell, options):
    """Return the mean of the scores of members, a soft vote; None if one is missing."""
    scores = []
    for member in recipe.members:
        path = options.results / f"{make_file_name(member)}-{cell}.npz"
        if not path.exists():
            return None
        stored = np.load(path)
        if cell == "ham_to_isic":
            columns = dict(
                zip(stored["classes"].tolist(), stored["isic"].T, strict=True)
            )
            score = columns.get("MEL", columns.get("True"))
            if recipe.against_nevi and "NV" in columns:
                score = score / (score + columns["NV"])
            scores.append(score)
        else:
            (name,) = stored
            scores.append(stored[name])
    return np.mean(scores, axis=0)


def list_truths(data):
    """Return labels, lesions and weights of the test images of each cell."""
    sample = data.sample
    return {
        "ham_to_isic": (data.is_malignant, None, None),
        "isic_to_ham": (
            data.is_melanoma[sample],
            data.lesions[sample],
            np.where(data.is_melanoma[sample], 1.0, 4.0),
        ),
        "isic_folds": (data.is_malignant, None, None),
    }


def make_rows(data, options):
    """Return the scores of recipes, and their gains over others."""
    rows, truths = [], list_truths(data)
    for name, recipe in RECIPES.items():
        row = {"recipe": name, **asdict(recipe)}
        for cell, (truth, groups, weights) in truths.items():
            scores = read_scores(recipe, cell, options)
            reference = read_scores(RECIPES[recipe.reference], cell, options)
            settings = {"groups": groups, "sample_weight": weights, "random_state": 0}
            for metric, function in METRICS.items():
                if scores is None:
                    continue
                score = bootstrap_interval(function, truth, scores, **settings)
                row[f"{cell}, {metric}"] = [round(value, 4) for value in score]
                if reference is None or recipe.reference == name:
                    continue
                gain = compare(function, truth, scores, reference, **settings)
                row[f"{cell}, {metric}, gain"] = [round(value, 4) for value in gain]
        rows.append(row)
    return rows


def write_table(data, options):
    rows = make_rows(data, options)
    record = {"machine": describe_machine(with_tensorflow=True), "rows": rows}
    options.record.write_text(json.dumps(record, indent=1) + "\n")
    write_readme(rows)
    print(show(rows))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=[*CELLS, "table"])
    parser.add_argument("--members", nargs="+", choices=MEMBERS, default=list(MEMBERS))
    for backbone in ("vgg16", "mobilenetv2"):
        parser.add_argument(f"--{backbone}", default="imagenet", help="weights file")
    parser.add_argument("--data-home", help="folder of the archives")
    parser.add_argument("--memory", help="folder for features")
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("other_clinics"),
        help="folder for predictions (default: %(default)s)",
    )
    parser.add_argument(
        "--record", type=Path, default=RESULTS / "other_clinics.json", help="JSON file"
    )
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    data = Data(options.data_home)
    run_cells([part for part in options.parts if part in CELLS], data, options)
    if "table" in options.parts:
        write_table(data, options)


if __name__ == "__main__":
    main()
