"""
Melanoma on images of a third clinic
====================================

Two clinics share their images, and a third one uses the classifier. This example
follows the recipe of :doc:`/guide/other_clinics`: it trains four logistic regressions,
two of them on images that are cropped to the lesion, and a network that predicts both.
The score is the mean of all. Look at the table first: before the mean is used
elsewhere, each part is tested on images of a clinic that it was not trained on.

By default the images are synthetic and the networks have random weights, so the scores
say nothing. With ``--full`` the clinics are ISIC 2016 and HAM10000, in the folder
``--data-home`` or downloaded. Then ``--segmenter`` is a file of a fitted segmenter,
such as that of ``benchmarks/encoder_unet.py lesion --save``. Without it no image is
cropped. ``--frozen`` leaves out the fine-tuned network, whose training takes most of
the time. ``--save`` writes the classifiers to a file, and then ``--predict`` scores
images of yours::

    python plot_third_clinic.py --full --save third_clinic.joblib
    python plot_third_clinic.py --load third_clinic.joblib --predict "images/*.jpg"
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

# %%
# Two sources
# -----------
# The first source says which lesions are malignant. The second one has seven diagnoses.

import argparse
import os
import sys
from glob import glob
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skinest import (
    Augmentation,
    BottleneckFeatureExtractor,
    TransferClassifier,
    UNetSegmenter,
)
from skinest.datasets import (
    fetch_isic2016_part3,
    fetch_isic2018_task3,
    make_dermoscopy,
)
from skinest.model_selection import bootstrap_interval

# isort: split
import keras  # after skinest, which lets TensorFlow use oneDNN

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--full", action="store_true", help="use the real images")
parser.add_argument(
    "--data-home",
    default=os.environ.get("SKINEST_DATA"),
    help="folder of the archives (default: $SKINEST_DATA; missing ones are downloaded)",
)
parser.add_argument(
    "--weights", default="imagenet", help="weights of MobileNetV2 for --full, or a file"
)
parser.add_argument("--segmenter", help="file of a segmenter of lesions for --full")
parser.add_argument(
    "--frozen", action="store_true", help="leave out the fine-tuned network"
)
parser.add_argument("--memory", help="folder for features (default: a temporary one)")
parser.add_argument("--save", type=Path, help="file to write the classifiers to")
parser.add_argument("--load", type=Path, help="file of --save, instead of training")
parser.add_argument("--predict", metavar="PATTERN", help="images to score")
parser.add_argument("--figures", type=Path, default=Path("figures"))
# A notebook has no arguments.
arguments = parser.parse_args([] if "ipykernel" in sys.modules else None)
arguments.figures.mkdir(parents=True, exist_ok=True)
temporary = TemporaryDirectory()
memory = arguments.memory or temporary.name
console = Console(width=100)

size = {"image_size": (64, 64)}
if arguments.full:
    weights, sides, n_epochs, n_copies = arguments.weights, (224, 192), 12, 7
else:
    weights, sides, n_epochs, n_copies = None, (64, 64), 1, 1


def load_sources():
    """Return images and labels of both sources, and the lesions of the second one."""
    if arguments.full:
        X, y = fetch_isic2016_part3(arguments.data_home, return_X_y=True)
        second = fetch_isic2018_task3(arguments.data_home)
        X_second = second.paths
    else:
        X, y = make_dermoscopy(80, random_state=0, return_X_y=True, **size)
        second = make_dermoscopy(140, task="diagnosis", random_state=1, **size)
        X_second = second.images
    return X, y, X_second, np.array(second.target_names)[second.target], second.groups


# Synthetic images say nothing about classifiers that are loaded.
has_sources = arguments.full or not arguments.load
if has_sources:
    X, y, X_second, diagnoses, groups = load_sources()

# %%
# A segmenter of lesions
# ----------------------
# It crops images to the lesion. Then lesions have similar sizes in all clinics.


def find_segmenter():
    """Return a fitted segmenter, or None."""
    if arguments.full:
        return arguments.segmenter and joblib.load(arguments.segmenter)
    data = make_dermoscopy(40, task="lesion", random_state=3, **size)
    segmenter = UNetSegmenter(
        depth=2, base_filters=4, image_size=(32, 32), epochs=4, random_state=0
    )
    return segmenter.fit(data.images, data.masks)


# %%
# Logistic regressions
# --------------------
# The features are means over inner layers of a network with ImageNet weights, which
# know colours and texture, not objects. They are averaged over four flips of the image.

INNER = ["block_6_expand_relu", "block_10_expand_relu", "block_13_expand_relu"]


def classify(C):
    """Return a logistic regression on features of MobileNetV2."""
    features = BottleneckFeatureExtractor(
        "mobilenetv2",
        weights=weights,
        layers=INNER,
        image_size=(sides[0], sides[0]),
        n_feature_views=4,
        memory=memory,
        random_state=0,
    )
    return make_pipeline(
        features, StandardScaler(), LogisticRegression(C=C, max_iter=1000)
    )


# %%
# A fine-tuned network
# --------------------
# It is trained on the diagnoses of the second source, with its batch normalisation. Its
# probabilities are means over four flips too. It scores cropped images too, without
# further training.


def fine_tune(X, y):
    """Fine-tune MobileNetV2 and its batch normalisation, with changes of images."""
    n_steps = -(-len(y) // 32)
    classes, counts = np.unique(y, return_counts=True)
    class_weight = np.sqrt(len(y) / (len(classes) * counts))
    rate = keras.optimizers.schedules.CosineDecay(
        3e-5, n_steps * (n_epochs - 1) or 1, warmup_target=3e-4, warmup_steps=n_steps
    )
    return TransferClassifier(
        "mobilenetv2",
        weights=weights,
        image_size=(sides[1], sides[1]),
        pooling="avg",
        dropout=0.3,
        l2=0.0,
        trainable="block_4",
        train_batch_norm=True,
        class_weight=dict(zip(classes, class_weight, strict=True)),
        epochs=n_epochs,
        learning_rate=rate,
        batch_size=32,
        augmentation=Augmentation(
            rotation=180,
            shift=0.05,
            zoom=0.15,
            vertical_flip=True,
            brightness=0.1,
            contrast=0.1,
        ),
        n_augmented_copies=n_copies,
        n_prediction_views=4,
        random_state=0,
    ).fit(X, y)


if arguments.load:
    models = joblib.load(arguments.load)
else:
    sources = {
        "first source": (X, y, 3e-3),
        "second source": (X_second, diagnoses, 1e-2),
    }
    segmenter, models = find_segmenter(), {}
    for name, (images, labels, C) in sources.items():
        model = classify(C)
        models[name] = model.fit(images, labels)
        if segmenter is not None:
            cropped = make_pipeline(FrozenEstimator(segmenter), clone(model))
            models[f"{name}, cropped"] = cropped.fit(images, labels)
    if not arguments.frozen:
        network = models["fine-tuned"] = fine_tune(X_second, diagnoses)
        if segmenter is not None:
            models["fine-tuned, cropped"] = make_pipeline(
                FrozenEstimator(segmenter), FrozenEstimator(network)
            )
    if arguments.save:
        joblib.dump(models, arguments.save)

# %%
# One score
# ---------
# Clinics photograph other kinds of lesions with other frequencies. So the score of a
# classifier of diagnoses is the probability of melanoma if the lesion is either a
# melanoma or a nevus.


def score(model, X):
    """Return the probability of melanoma, or of malignant."""
    probability = dict(zip(model.classes_, model.predict_proba(X).T, strict=True))
    if "MEL" not in probability:
        return probability[1]
    return probability["MEL"] / (probability["MEL"] + probability["NV"])


def score_by_all(X):
    """Return the score of the recipe."""
    return np.mean([score(model, X) for model in models.values()], axis=0)


# %%
# Each on the other source
# ------------------------
# Scores with 95 % intervals over lesions. The mean of all is not in the table, because
# both sources have trained it. With ``--load``, there is a table only with ``--full``.


def compare_elsewhere():
    """Print how well each classifier does on the source that it was not trained on."""
    elsewhere = {
        "first source": (X_second, diagnoses == "MEL", groups),
        "second source": (X, y == 1, None),
    }
    table = Table()
    for heading in ("trained on", "AUC elsewhere", "average precision", "prevalence"):
        table.add_column(heading)
    scores = {source: [] for source in elsewhere}
    for name, model in models.items():
        source = "first source" if name.startswith("first") else "second source"
        images, *truth = elsewhere[source]
        scores[source].append(score(model, images))
        table.add_row(name, *cells(scores[source][-1], *truth))
    for source, values in scores.items():
        if len(values) > 1:
            mean = np.mean(values, axis=0)
            table.add_row(f"{source}: mean", *cells(mean, *elsewhere[source][1:]))
    console.print(table)


def cells(values, truth, lesions):
    intervals = [
        bootstrap_interval(metric, truth, values, groups=lesions, random_state=0)
        for metric in (roc_auc_score, average_precision_score)
    ]
    return *(f"{interval:.3f}" for interval in intervals), f"{truth.mean():.3f}"


if has_sources:
    compare_elsewhere()

# %%
# The third clinic
# ----------------
# Its images get the mean of all scores. They are the images of ``--predict``, or new
# synthetic images.

if arguments.predict:
    images = sorted(glob(arguments.predict))
    for path, value in zip(images, score_by_all(images), strict=True):
        print(f"{path}\t{value:.4f}")
else:
    images, truth = make_dermoscopy(
        12, image_size=(64, 64), random_state=2, return_X_y=True
    )
    scores = score_by_all(images)
    figure, axes = plt.subplots(2, 6, figsize=(9, 3.4), layout="constrained")
    for axis, index in zip(axes.flat, np.argsort(-scores), strict=True):
        axis.imshow(images[index])
        kind = "malignant" if truth[index] else "benign"
        axis.set_title(f"{scores[index]:.2f}, {kind}", fontsize=9)
        axis.set_axis_off()
    figure.savefig(arguments.figures / "third_clinic.png", dpi=120)
temporary.cleanup()
