"""Measure what cropping to the segmented lesion changes for a classifier.

The segmenter of ``encoder_unet.py lesion --save FILE``, which was trained on lesions of
HAM10000, crops the images. Classifiers of the training images of ISIC 2016 are scored
by five folds, on images of HAM10000, and on those of them whose lesions the segmenter
has not seen. One of the diagnoses of HAM10000 is scored on ISIC 2016. All are trained
and scored with the whole images and with the cropped ones. Intervals are over images
or, for HAM10000, over lesions, and those of differences are paired.

Usage: python benchmarks/segment_crop.py --save lesion.joblib --mobilenetv2 FILE
       --memory FOLDER
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
from pathlib import Path

import joblib
import numpy as np
from _clinic_members import INNER, Features, FisherVectors, Linear
from _clinic_recipes import list_truths, score
from _quiet import describe_machine
from _runs import RESULTS
from encoder_unet import split_lesions
from other_clinics import Data

HOME = "isic_folds", "isic_to_ham", "isic_to_unseen"
LAYERS = Features(layers=INNER)
# Classifiers, and where they are scored.
MEMBERS = {
    "last layer of MobileNetV2": (Linear(), HOME),
    "inner layers of MobileNetV2": (Linear(features=LAYERS, C=3e-3), HOME),
    "inner layers, C=.01, against nevi": (
        Linear(features=LAYERS, C=1e-2),
        ("ham_to_isic",),
    ),
    "three Fisher vectors": (
        Linear(features=FisherVectors(), C=1.0, scaled=False),
        HOME,
    ),
}


def main():
    options = read_options()
    data = Data(options.data_home)
    segmenter = joblib.load(options.save)
    whole = {"isic": data.isic, "sample": data.ham[data.sample]}
    whole["known"] = data.ham[data.known]
    cropped = {name: segmenter.transform(X) for name, X in whole.items()}
    is_unseen = find_unseen(data, options)
    truths, rows = list_truths(data), []
    truths["isic_to_unseen"] = tuple(each[is_unseen] for each in truths["isic_to_ham"])
    for name, (member, cells) in MEMBERS.items():
        before, after, both = (
            {"recipe": f"{name}{ending}", "reference": name}
            for ending in ("", ", cropped", ", vote of both")
        )
        for cell in cells:
            scores = [CELLS[cell](member, X, data, options) for X in (whole, cropped)]
            if cell == "isic_to_unseen":
                scores = [each[is_unseen] for each in scores]
            before |= score(cell, truths[cell], scores[0], None)
            after |= score(cell, truths[cell], scores[1], scores[0])
            both |= score(cell, truths[cell], np.mean(scores, axis=0), scores[0])
        rows += [before, after, both]
        print(before, after, both, sep="\n", flush=True)
    record = {
        "machine": describe_machine(with_tensorflow=True),
        "crop margin": segmenter.crop_margin,
        "rows": rows,
    }
    path = options.results / "segment_crop.json"
    path.write_text(json.dumps(record, indent=1) + "\n")


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


def predict_isic(member, images, data, options):
    """Return the scores of ISIC 2016 by a classifier of the diagnoses of HAM10000."""
    member.fit(images["known"], data.diagnoses[data.known], "ham", options)
    classes = member.classifier.classes_.tolist()
    probabilities = member.predict(images["isic"])
    melanoma, nevus = (probabilities[:, classes.index(name)] for name in ("MEL", "NV"))
    return melanoma / (melanoma + nevus)


CELLS = {
    "isic_folds": predict_folds,
    "isic_to_ham": predict_other_source,
    "isic_to_unseen": predict_other_source,
    "ham_to_isic": predict_isic,
}


if __name__ == "__main__":
    main()
