"""Functions shared by the examples that combine estimators."""

import argparse
import os
from pathlib import Path

import _script
import numpy as np
from scipy.stats import binomtest, t

from skinest.datasets import fetch_isic2016_part3, make_dermoscopy


def parse_arguments(description, *, data_home=True, weights=False):
    """Read the folders of real images and of plots, and the file of weights."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if data_home:
        parser.add_argument(
            "--data-home",
            default=os.environ.get("SKINEST_DATA"),
            help="folder with the archives of the real images (default: $SKINEST_DATA)",
        )
    if weights:
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
    return parser.parse_args()


def save(figure, arguments, name):
    """Save a figure in the folder for plots."""
    _script.save(figure, arguments.figures / name)


def load_training_images(data_home, n_synthetic):
    """Load the ISIC 2016 training images, or synthetic images if they are missing.

    40 % of the synthetic images are malignant.
    """
    if _script.on_archives(data_home, "ISBI2016_ISIC_Part3_Training_*", False):
        X, y = fetch_isic2016_part3(
            data_home, download_if_missing=False, return_X_y=True
        )
        return "ISIC 2016 part 3", X, y
    X, y = make_dermoscopy(
        n_synthetic, malignant_fraction=0.4, random_state=0, return_X_y=True
    )
    return "synthetic images", X, y


def backbone_of(weights):
    """Return arguments of MobileNetV2, or of a small VGG16 if there are no weights."""
    if weights:
        sides = {"backbone": "mobilenetv2", "image_size": (224, 224)}
    else:
        sides = {"backbone": "vgg16", "image_size": (32, 32)}
    return {**sides, "weights": weights, "pooling": "avg"}


def share(n_found, n):
    """Return a proportion and its exact 95 % interval (Clopper and Pearson 1934)."""
    interval = binomtest(int(n_found), int(n)).proportion_ci(0.95, method="exact")
    return n_found / n, interval.low, interval.high


def over_folds(values, n_splits):
    """Return the mean over folds and half the width of its 95 % interval.

    Training sets of the folds overlap. The variance allows for this as in C. Nadeau and
    Y. Bengio, "Inference for the generalization error", Machine Learning 52, 2003.
    """
    factor = 1 / len(values) + 1 / (n_splits - 1)
    deviation = np.sqrt(np.var(values, ddof=1) * factor)
    return np.mean(values), t.ppf(0.975, len(values) - 1) * deviation
