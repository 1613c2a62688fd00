"""Small files with the names and the layout of those of ISIC 2016, part 3."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import zipfile

from skinest.datasets import fetch_isic2016_part3

TRAIN = "ISBI2016_ISIC_Part3_Training"
TEST = "ISBI2016_ISIC_Part3_Test"
TRAIN_LABELS = {
    "ISIC_0000002": "malignant",
    "ISIC_0000000": "benign",
    "ISIC_0000001": "benign",
}
TEST_LABELS = {"ISIC_0000003": "0.0", "ISIC_0000013": "1.0"}


def write_subset(folder, stem, labels, images=None):
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{name},{label}\n" for name, label in labels.items())
    (folder / f"{stem}_GroundTruth.csv").write_text(lines)
    with zipfile.ZipFile(folder / f"{stem}_Data.zip", "w") as archive:
        for name in sorted(labels if images is None else images):
            archive.writestr(f"{stem}_Data/{name}.jpg", f"JPEG of {name}")


def make_home(parent):
    """Make a folder with the files of both subsets."""
    folder = parent / "home"
    write_subset(folder, TRAIN, TRAIN_LABELS)
    write_subset(folder, TEST, TEST_LABELS)
    return folder


def fetch(home, **options):
    return fetch_isic2016_part3(data_home=home, download_if_missing=False, **options)


def list_hidden(folder):
    """List hidden files but for the one that each extracted folder has."""
    return [path for path in folder.rglob(".*") if path.name != ".skinest-archive"]
