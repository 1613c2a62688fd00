"""Draw the picture of the README: ``python docs/readme_picture.py``."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skinest import BoVWSIFTTransformer, SIFTDescriptor, UNetSegmenter
from skinest.datasets import make_dermoscopy
from skinest.inspection import SegmentationDisplay

N_TRAIN, N_SHOWN, N_WORDS = 160, 5, 20


def draw():
    """Visual words and probabilities above, outlines below, of images not seen."""
    data = make_dermoscopy(
        N_TRAIN + 40, task="lesion", malignant_fraction=0.4, random_state=3
    )
    train, test = slice(N_TRAIN), slice(N_TRAIN, N_TRAIN + N_SHOWN)
    images = data.images[test]
    pipeline = make_pipeline(
        BoVWSIFTTransformer(N_WORDS, random_state=0), LogisticRegression(C=100)
    ).fit(data.images[train], data.target[train])
    malignant = pipeline.predict_proba(images)[:, 1]
    segmenter = UNetSegmenter(
        depth=3, base_filters=8, image_size=(64, 64), epochs=10, random_state=0
    ).fit(data.images[train], data.masks[train])

    figure, axes = plt.subplots(
        2, N_SHOWN, figsize=(10, 4.6), gridspec_kw={"hspace": 0.16, "wspace": 0.06}
    )
    for axis, image, probability, label in zip(
        axes[0], images, malignant, data.target[test], strict=True
    ):
        draw_words(axis, image, pipeline[0])
        truth = data.target_names[label]
        axis.set_title(f"malignant: {probability:.2f} ({truth})", fontsize="medium")
    SegmentationDisplay.from_estimator(
        segmenter,
        images,
        data.masks[test],
        target_names=["lesion"],
        differences=False,
        ax=axes[1],
    )
    return figure


def draw_words(axis, image, bovw):
    """An image with its keypoints, coloured by the visual word of each."""
    descriptor = SIFTDescriptor()
    values, points = descriptor.describe(image)
    words = bovw.clusterer_.predict(descriptor.finish(values.astype(np.float32)))
    height, width = image.shape[:2]
    axis.imshow(image)
    axis.scatter(*(points * (width, height)).T, s=12, c=words, cmap="tab20")
    axis.set(xlim=(0, width - 1), ylim=(height - 1, 0))
    axis.set_axis_off()


figure = draw()
if __name__ == "__main__" and sys.argv[0].endswith("readme_picture.py"):
    target = Path(__file__).parent / "_static" / "readme.png"
    figure.savefig(target, dpi=80, bbox_inches="tight", pad_inches=0.05)
