"""
Segment, crop, classify
=======================

Does it help to crop images to the lesion before they are classified? A small U-Net
learns to segment lesions and is tested on other images. Then it is frozen and becomes
the first step of a pipeline, before visual words and a support vector machine that
classifies lesions as benign or malignant. The same pipeline without cropping is scored
on the same folds.

By default the example uses synthetic images. With ``--data-home`` or the environment
variable ``SKINEST_DATA`` it uses the HAM10000 masks and the ISIC 2016 archives in that
folder. The classified images are not among the U-Net's training images.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

# %%
# Images to segment and images to classify
# ----------------------------------------
# There is one image per lesion, so that no lesion is in both the training and test set.

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import matplotlib
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import RepeatedStratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from skinest import BoVWSIFTTransformer, UNetSegmenter
from skinest.datasets import (
    fetch_ham10000_masks,
    fetch_isic2016_part3,
    make_dermoscopy,
)
from skinest.images import check_images
from skinest.inspection import SegmentationDisplay
from skinest.kernels import histogram_intersection_kernel
from skinest.metrics import segmentation_report

N_TRAIN, N_TEST, N_CLASSIFIED = 120, 60, 240
N_SHOWN = 6
SCORING = {
    "AUC": "roc_auc",
    "average precision": "average_precision",
    "balanced accuracy": "balanced_accuracy",
}


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data-home",
        default=os.environ.get("SKINEST_DATA"),
        help="folder with the archives of both data sets (default: $SKINEST_DATA)",
    )
    parser.add_argument("--figures", type=Path, default=Path("figures"))
    # A notebook has no arguments.
    return parser.parse_args([] if "ipykernel" in sys.modules else None)


def load(data_home):
    """Load training and test images with masks, and images to classify."""
    if data_home:
        data = fetch_ham10000_masks(data_home, download_if_missing=False)
        _, firsts = np.unique(data.groups, return_index=True)
        images, masks = data.paths[firsts], data.mask_paths[firsts]
        X, y = fetch_isic2016_part3(
            data_home, download_if_missing=False, return_X_y=True
        )
        source = "HAM10000 to segment, ISIC 2016 part 3 to classify"
    else:
        data = make_dermoscopy(
            N_TRAIN + N_TEST + N_CLASSIFIED,
            task="lesion",
            malignant_fraction=0.3,
            random_state=0,
        )
        images, masks = data.images, data.masks
        X, y = images[-N_CLASSIFIED:], data.target[-N_CLASSIFIED:]
        source = "synthetic images"
    train, test = slice(N_TRAIN), slice(N_TRAIN, N_TRAIN + N_TEST)
    return SimpleNamespace(
        source=source,
        train=(images[train], masks[train]),
        test=(images[test], masks[test]),
        X=X,
        y=y,
    )


# %%
# Crop, then classify
# -------------------
# A fitted :class:`~skinest.UNetSegmenter` is also a transformer that crops images to
# the predicted foreground. :class:`~sklearn.frozen.FrozenEstimator` prevents training
# it again in each fold. With ``memory``, each image is described once.


def classifier(crop, memory):
    """Return a pipeline that crops images, computes visual words and classifies."""
    return Pipeline(
        [
            ("crop", crop),
            (
                "bovw",
                BoVWSIFTTransformer(
                    100, max_descriptors=10_000, memory=memory, random_state=0
                ),
            ),
            ("svc", SVC(kernel=histogram_intersection_kernel, class_weight="balanced")),
        ]
    )


def compare(segmenter, X, y):
    """Return {name: {metric: scores of the folds}} with and without cropping."""
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0)
    scores = {}
    with TemporaryDirectory() as memory:  # cached descriptors, for all folds
        for name, crop in (
            ("whole image", "passthrough"),
            ("cropped", FrozenEstimator(segmenter)),
        ):
            results = cross_validate(
                classifier(crop, memory), X, y, cv=folds, scoring=SCORING
            )
            scores[name] = {metric: results[f"test_{metric}"] for metric in SCORING}
    return scores


def print_comparison(console, scores):
    whole, cropped = scores.values()
    table = Table(title="2 x 5 folds: mean (standard deviation)")
    for name in ("", *scores, "difference", "folds won"):
        table.add_column(name, justify="right")
    for metric in SCORING:
        gain = cropped[metric] - whole[metric]
        cells = [
            f"{values.mean():.3f} ({values.std():.3f})"
            for values in (whole[metric], cropped[metric], gain)
        ]
        table.add_row(metric, *cells, f"{np.sum(gain > 0)} of {len(gain)}")
    console.print(table)
    console.print("A difference smaller than its standard deviation means little.")


def print_features(console, segmenter, X, y):
    """Print features of cropped images as a DataFrame with the names of words."""
    pipeline = classifier(FrozenEstimator(segmenter), None)
    pipeline.set_output(transform="pandas").fit(X, y)
    features = pipeline[:-1].transform(X[:3])
    console.print(f"Features of 3 cropped images, a DataFrame of {features.shape}:")
    console.print(features.iloc[:, :6].round(3).to_string(), highlight=False)


# %%
# The cropped images
# ------------------


def plot_crops(images, cropped, folder):
    """Plot images above their cropped versions."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        2, len(images), figsize=(1.8 * len(images), 3.8), layout="constrained"
    )
    for column, pair in zip(axes.T, zip(images, cropped, strict=True), strict=True):
        for axis, image in zip(column, pair, strict=True):
            axis.imshow(image)
            axis.set_title("{} x {}".format(*image.shape[:2]), fontsize="small")
            axis.set_axis_off()
    figure.suptitle("Images and cropped images (height x width)")
    return save(figure, folder / "segment_crop_crops.png")


def save(figure, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path


def main():
    arguments = parse_arguments()
    matplotlib.use("agg")
    console = Console()
    data = load(arguments.data_home)
    console.print(
        f"{data.source}: {N_TRAIN} training and {N_TEST} test images with masks, "
        f"{len(data.y)} to classify, {int(data.y.sum())} of them malignant"
    )
    segmenter = UNetSegmenter(
        depth=3, base_filters=8, image_size=(64, 64), epochs=12, random_state=0
    ).fit(*data.train)
    X_test, y_test = data.test
    report = segmentation_report(
        y_test, segmenter.predict(X_test), target_names=["lesion"]
    )
    console.print(
        f"Masks of the {N_TEST} test images", report, sep="\n", soft_wrap=True
    )
    display = SegmentationDisplay.from_estimator(
        segmenter, X_test, y_test, n_images=N_SHOWN, target_names=["lesion"]
    )
    paths = [save(display.figure_, arguments.figures / "segment_crop_masks.png")]

    images = check_images(data.X[:N_SHOWN])
    cropped = segmenter.transform(data.X[:N_SHOWN])
    paths.append(plot_crops(images, cropped, arguments.figures))
    print_comparison(console, compare(segmenter, data.X, data.y))
    print_features(console, segmenter, data.X, data.y)
    for path in paths:
        console.print(f"Saved {path}")


# %%
# Scores of the masks, and of the classifier with and without cropping
# --------------------------------------------------------------------

if __name__ == "__main__":
    main()
