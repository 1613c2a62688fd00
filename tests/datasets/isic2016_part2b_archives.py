"""Small archives with the names and the layout of those of ISIC 2016, part 2B."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import zipfile

import cv2
import numpy as np

TRAIN = "ISBI2016_ISIC_Part2B_Training"
TEST = "ISBI2016_ISIC_Part2B_Test"
NAMES = {TRAIN: ["ISIC_0000002", "ISIC_0000000", "ISIC_0000001"], TEST: ["ISIC_9"]}
FEATURES = ("globules", "streaks")
FILES = [f"{stem}_{what}.zip" for stem in NAMES for what in ("GroundTruth", "Data")]


def encode(extension, values):
    return cv2.imencode(extension, values)[1].tobytes()


def write_images(folder, stem, names):
    with zipfile.ZipFile(folder / f"{stem}_Data.zip", "w") as archive:
        for i, name in enumerate(names):
            image = np.full((6 + i, 8, 3), 100, np.uint8)
            archive.writestr(f"{stem}_Data/{name}.jpg", encode(".jpg", image))


def write_masks(folder, stem, names, features=FEATURES):
    """Write masks: of globules with 1 row of 255, of streaks with 2 columns."""
    with zipfile.ZipFile(folder / f"{stem}_GroundTruth.zip", "w") as archive:
        for i, name in reversed(list(enumerate(names))):
            for feature in features:
                mask = np.zeros((6 + i, 8), np.uint8)
                mask[(1,) if feature == "globules" else (slice(None), [1, 4])] = 255
                member = f"{stem}_GroundTruth/{name}_{feature}.png"
                archive.writestr(member, encode(".png", mask))


def make_home(parent):
    """Make a folder with the archives of both subsets."""
    folder = parent / "home"
    folder.mkdir()
    for stem, names in NAMES.items():
        write_images(folder, stem, names)
        write_masks(folder, stem, names)
    return folder
