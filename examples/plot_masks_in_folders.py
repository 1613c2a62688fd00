"""
From folders of images and masks to a saved segmenter
=====================================================

You have a folder of images and a folder of masks. This page trains a segmenter on them,
measures it on other images, looks at its worst masks, and saves it.

Look at three things: how far boundaries are apart, which the Dice score hardly shows;
whether eight of ten pixels with a probability of .8 belong to a lesion; and the images
with the lowest scores, because they tell you what to change.

By default the example uses synthetic images and a small U-Net without a pretrained
encoder. With ``--images`` and ``--masks`` it uses your own folders, and with
``--weights`` a MobileNetV2 as the encoder.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

# %%
# Pairs of files
# --------------
# :func:`~skinest.datasets.load_mask_folder` finds the mask of each image by its name.
# Images without a mask are counted; a mask without an image is an error.

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibrationDisplay
from sklearn.model_selection import train_test_split

from skinest import Augmentation, UNetSegmenter
from skinest.datasets import load_mask_folder, make_dermoscopy
from skinest.images import read_image
from skinest.inspection import SegmentationDisplay, TrainingHistoryDisplay
from skinest.masks import read_mask
from skinest.metrics import segmentation_report

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--images", type=Path, help="folder of images")
parser.add_argument("--masks", type=Path, help="folder of their masks")
parser.add_argument(
    "--weights",
    help='file of MobileNetV2\'s weights, or "imagenet" to download them '
    "(default: a small U-Net without an encoder)",
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
work = TemporaryDirectory()


def write_synthetic(folder, n_images=160):
    """Write synthetic images and masks into two folders, and return these."""
    images, masks = make_dermoscopy(
        n_images, task="lesion", image_size=(96, 128), random_state=0, return_X_y=True
    )
    folders = folder / "images", folder / "masks"
    for path in folders:
        path.mkdir()
    for k, (image, mask) in enumerate(zip(images, masks, strict=True)):
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folders[0] / f"lesion_{k:03}.jpg"), bgr)
        cv2.imwrite(str(folders[1] / f"lesion_{k:03}_segmentation.png"), mask)
    return folders


if arguments.images and arguments.masks:
    images_path, masks_path = arguments.images, arguments.masks
else:
    images_path, masks_path = write_synthetic(Path(work.name))
data = load_mask_folder(images_path, masks_path)
print(f"{len(data.paths)} images with a mask, {data.n_without_mask} without one")
X_train, X_test, y_train, y_test = train_test_split(
    data.paths, data.mask_paths, test_size=0.25, random_state=0
)

# %%
# If several images show one lesion, or one patient, keep them together: pass ``groups``
# to :func:`skinest.model_selection.train_test_split`. Otherwise the scores are too
# optimistic.
#
# Training
# --------
# Lesions have no natural orientation, so any angle and both flips are new examples. A
# pretrained encoder is fine-tuned as a whole.

if arguments.weights:
    network = {"encoder": "mobilenetv2", "weights": arguments.weights}
    network |= {"trainable": "all", "image_size": (96, 128), "learning_rate": 1e-3}
else:
    network = {"depth": 3, "base_filters": 8, "image_size": (48, 64)}
    network |= {"learning_rate": 3e-3}
segmenter = UNetSegmenter(
    **network,
    loss="dice_crossentropy",
    epochs=16,
    augmentation=Augmentation(rotation=180, zoom=0.2, vertical_flip=True),
    n_prediction_views=4,
    postprocess=["largest", "fill_holes"],
    validation_fraction=0.1,
    random_state=0,
)
segmenter.fit(X_train, y_train)
display = TrainingHistoryDisplay.from_estimator(segmenter, metrics=["loss", "dice"])
display.figure_.savefig(arguments.figures / "folders_history.png", dpi=120)

# %%
# Masks of new images, as files
# -----------------------------
# Predicted masks have the size of each image. Other programs can read them as PNG.

predictions = Path(work.name) / "predictions"
predictions.mkdir()
for path, mask in zip(X_test, segmenter.predict(X_test), strict=True):
    cv2.imwrite(str(predictions / f"{Path(path).stem}.png"), mask)

# %%
# Measures
# --------
# Hausdorff distance and surface distance are in pixels. The threshold Jaccard index
# counts an image below .65 as a failure, as the ISIC challenge of 2018 did.

found = load_mask_folder(images_path, predictions)
truth = dict(zip(data.paths, data.mask_paths, strict=True))
scores = segmentation_report(
    [truth[path] for path in found.paths],
    found.mask_paths,
    target_names=["lesion"],
    zero_division=1.0,
    extra_columns=["threshold Jaccard", "Hausdorff 95 %", "surface distance"],
    output_dict=True,
)["lesion"]
for name, score in scores.items():
    print(f"{name:>17} {score:.3f}")

# %%
# The worst masks
# ---------------
# :meth:`~skinest.inspection.SegmentationDisplay.from_folders` compares files, so it
# also shows masks of another program.

display = SegmentationDisplay.from_folders(
    images_path, predictions, masks_path, n_images=4, target_names=["lesion"]
)
display.figure_.savefig(arguments.figures / "folders_worst.png", dpi=120)

# %%
# Are probabilities right?
# ------------------------
# Each point is a range of probabilities. On the diagonal, they are right. Below it,
# they are too high: predicted lesions are a bit too large. Most pixels have a
# probability near 0 or 1; the others are at boundaries.

is_lesion = np.concatenate([read_mask(path).ravel() > 0 for path in y_test])
probabilities = np.concatenate(
    [each[..., 1].ravel() for each in segmenter.predict_proba(X_test)]
)
figure, ax = plt.subplots(figsize=(4.5, 4.5), layout="constrained")
CalibrationDisplay.from_predictions(
    is_lesion, probabilities, n_bins=10, name="U-Net", ax=ax
)
ax.set(xlabel="Predicted probability of lesion", ylabel="Fraction of lesion pixels")
figure.savefig(arguments.figures / "folders_reliability.png", dpi=120)

# %%
# Save it
# -------
# The file has the weights and all settings, also those of the prediction.

file = Path(work.name) / "segmenter.joblib"
joblib.dump(segmenter, file)
loaded = joblib.load(file)
image = read_image(X_test[0])
np.testing.assert_array_equal(loaded.predict([image])[0], segmenter.predict([image])[0])
print(f"{file.name}: {file.stat().st_size / 2**20:.1f} MiB")

# %%
# :doc:`/guide/segmentation` explains all settings, and :doc:`/guide/export` how other
# programs use the network.

work.cleanup()
