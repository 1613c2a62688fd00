"""Picture of the README and of the start page.

Create it again by ``python docs/readme_picture.py docs/_static/readme.png``.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import sys

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline

from skinest import (
    BoVWSIFTTransformer,
    ColorPatchDescriptor,
    SIFTDescriptor,
    UNetSegmenter,
)
from skinest.datasets import make_dermoscopy
from skinest.inspection import SegmentationDisplay

N_TRAIN, N_WORDS, N_KEYPOINTS = 240, 60, 80
N_COLOURS = 128  # few colours make the file small


def draw():
    """Plot test images with visual words and probabilities above, outlines below."""
    data = make_dermoscopy(
        N_TRAIN + 40, task="lesion", malignant_fraction=0.4, random_state=0
    )
    train, unseen = np.arange(N_TRAIN), np.arange(N_TRAIN, N_TRAIN + 40)
    # The first two of each class, alternating.
    benign, malignant = (unseen[data.target[unseen] == label][:2] for label in (0, 1))
    shown = np.column_stack([benign, malignant]).ravel()
    shape = BoVWSIFTTransformer(N_WORDS, random_state=0)
    colour = BoVWSIFTTransformer(
        N_WORDS, descriptor=ColorPatchDescriptor(), random_state=0
    )
    pipeline = make_pipeline(
        FeatureUnion([("shape", shape), ("colour", colour)]), LogisticRegression(C=300)
    ).fit(data.images[train], data.target[train])
    segmenter = UNetSegmenter(
        depth=3, base_filters=8, image_size=(64, 64), epochs=10, random_state=0
    ).fit(data.images[train], data.masks[train])

    figure, axes = plt.subplots(
        2, len(shown), figsize=(8, 4.8), gridspec_kw={"hspace": 0.12, "wspace": 0.06}
    )
    probabilities = pipeline.predict_proba(data.images[shown])[:, 1]
    for axis, index, probability in zip(axes[0], shown, probabilities, strict=True):
        draw_words(axis, data.images[index], shape)
        truth = data.target_names[data.target[index]]
        axis.set_title(f"{truth}\nP(malignant) = {probability:.2f}", fontsize="medium")
    SegmentationDisplay.from_estimator(
        segmenter,
        data.images[shown],
        data.masks[shown],
        target_names=["lesion"],
        differences=False,
        ax=axes[1],
    )
    return figure


def draw_words(axis, image, bovw):
    """Plot an image with its strongest keypoints, coloured by visual word."""
    descriptor = SIFTDescriptor(max_keypoints=N_KEYPOINTS)
    values, points = descriptor.describe(image)
    words = bovw.clusterer_.predict(descriptor.finish(values.astype(np.float32)))
    height, width = image.shape[:2]
    axis.imshow(image)
    places = (points * (width, height)).T
    axis.scatter(*places, s=16, c=words, cmap="hsv", edgecolor="white", lw=0.5)
    axis.set(xlim=(0, width - 1), ylim=(height - 1, 0))
    axis.set_axis_off()


figure = draw()
if len(sys.argv) == 2:
    figure.savefig(sys.argv[1], dpi=100, bbox_inches="tight", pad_inches=0.05)
    few = Image.open(sys.argv[1]).convert("RGB").quantize(N_COLOURS)
    few.save(sys.argv[1], optimize=True)
