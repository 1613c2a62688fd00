"""Measure what cropping to the segmented lesion changes for a classifier.

The segmenter of ``encoder_unet.py lesion --save FILE``, which was trained on lesions of
HAM10000, crops the images. Classifiers of the training images of ISIC 2016 are scored
by five folds, on images of HAM10000, and on those of them whose lesions the segmenter
has not seen. One of the diagnoses of HAM10000 is scored on ISIC 2016. All are trained
and scored with the whole images and with the cropped ones. Intervals are over images
or, for HAM10000, over lesions, and those of differences are paired.

With --test, the mean of the classifiers of both sources on inner layers is scored on
the test images of ISIC 2016 too. Do it once, at the end.

Usage: python benchmarks/segment_crop.py --save lesion.joblib --mobilenetv2 FILE
       --memory FOLDER [--test]
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
from pathlib import Path

import joblib
import numpy as np
from _clinic_members import INNER, Features, Linear
from _clinic_recipes import list_truths, score
from _quiet import describe_machine
from _runs import RESULTS
from encoder_unet import split_lesions
from other_clinics import Data

HOME = "isic_folds", "isic_to_ham"
LAYERS = Features(layers=INNER)
# Classifiers, and where they are scored.
MEMBERS = {
    "last layer of MobileNetV2": (Linear(), HOME),
    "inner layers of MobileNetV2": (Linear(features=LAYERS, C=3e-3), HOME),
    "inner layers, C=.01, against nevi": (
        Linear(features=LAYERS, C=1e-2),
        ("ham_to_isic",),
    ),
}


def main():
    options = read_options()
    data = Data(options.data_home)
    segmenter = joblib.load(options.save)
    path = options.results / "segment_crop.json"
    if options.test:
        rows = score_test(segmenter, data, options)
        record = json.loads(path.read_text())
        record["rows"] += rows
    else:
        record = {
            "machine": describe_machine(with_tensorflow=True),
            "crop margin": segmenter.crop_margin,
            "rows": score_members(segmenter, data, options),
        }
    path.write_text(json.dumps(record, indent=1) + "\n")


def score_members(segmenter, data, options):
    """Return the rows of all members."""
    whole = {"isic": data.isic, "sample": data.ham[data.sample]}
    whole["known"] = data.ham[data.known]
    cropped = {name: segmenter.transform(X) for name, X in whole.items()}
    is_unseen = find_unseen(data, options)
    truths, rows = list_truths(data), []
    truths["isic_to_unseen"] = tuple(each[is_unseen] for each in truths["isic_to_ham"])
    for name, (member, cells) in MEMBERS.items():
        scores = {
            cell: [CELLS[cell](member, X, data, options) for X in (whole, cropped)]
            for cell in cells
        }
        if "isic_to_ham" in scores:
            of_both = [each[is_unseen] for each in scores["isic_to_ham"]]
            scores["isic_to_unseen"] = of_both
        rows += make_rows(name, truths, scores)
    return rows


def score_test(segmenter, data, options):
    """Return the rows of the test images, by classifiers of both sources."""
    whole = {"isic": data.isic, "known": data.ham[data.known]}
    whole["test"], _ = data.read_test()
    cropped = {name: segmenter.transform(X) for name, X in whole.items()}
    scores = {"test": [predict_test(X, data, options) for X in (whole, cropped)]}
    return make_rows("inner layers of both sources", list_truths(data), scores)


def make_rows(name, truths, scores) -> list[dict]:
    """Return the scores in each cell with whole images, cropped ones, and both."""
    rows = [
        {"recipe": f"{name}{ending}", "reference": name}
        for ending in ("", ", cropped", ", vote of both")
    ]
    for cell, (whole, cropped) in scores.items():
        both = (whole + cropped) / 2
        for row, found in zip(rows, (whole, cropped, both), strict=True):
            reference = None if found is whole else whole
            row |= score(cell, truths[cell], found, reference)
    print(*rows, sep="\n", flush=True)
    return rows


def find_unseen(data, options):
    """Return which images of the sample are of lesions the segmenter has not seen."""
    masks, train, *_ = split_lesions(options)
    seen = {Path(path).stem for path in masks.paths[train]}
    return np.array([Path(path).stem not in seen for path in data.ham[data.sample]])


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--save", required=True, help="file of the segmenter")
    parser.add_argument("--mobilenetv2", default="imagenet", help="weights file")
    parser.add_argument("--data-home", help="folder of the archives")
    parser.add_argument("--memory", help="folder for features")
    parser.add_argument("--test", action="store_true", help="score the test images")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def predict_folds(member, images, data, options):
    """Return the score of each image by a classifier of the other folds."""
    X, y = images["isic"], data.is_malignant
    scores = np.zeros(len(y))
    for train, test in data.folds:
        member.fit(X[train], y[train], "isic", options)
        scores[test] = member.predict(X[test])[:, 1]
    return scores


def predict_other_source(member, images, data, options):
    """Return the scores of images of HAM10000 by a classifier of ISIC 2016."""
    member.fit(images["isic"], data.is_malignant, "isic", options)
    return member.predict(images["sample"])[:, 1]


def predict_isic(member, images, data, options, part="isic"):
    """Return the scores of ISIC 2016 by a classifier of the diagnoses of HAM10000."""
    member.fit(images["known"], data.diagnoses[data.known], "ham", options)
    classes = member.classifier.classes_.tolist()
    probabilities = member.predict(images[part])
    melanoma, nevus = (probabilities[:, classes.index(name)] for name in ("MEL", "NV"))
    return melanoma / (melanoma + nevus)


def predict_test(images, data, options):
    """Return the mean scores of test images by a classifier of each source."""
    of_isic, _ = MEMBERS["inner layers of MobileNetV2"]
    of_ham, _ = MEMBERS["inner layers, C=.01, against nevi"]
    of_isic.fit(images["isic"], data.is_malignant, "isic", options)
    scores = of_isic.predict(images["test"])[:, 1]
    return (scores + predict_isic(of_ham, images, data, options, "test")) / 2


CELLS = {
    "isic_folds": predict_folds,
    "isic_to_ham": predict_other_source,
    "ham_to_isic": predict_isic,
}


if __name__ == "__main__":
    main()
