"""Measure what cropping to the segmented lesion changes for a classifier.

The segmenter of ``encoder_unet.py lesion --save FILE``, which was trained on lesions of
HAM10000, crops the images. Classifiers of the training images of ISIC 2016 are scored
by five folds and on images of HAM10000, with the whole images and with the cropped
ones, on the same images. Intervals are over images or, for HAM10000, over lesions, and
those of differences are paired.

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
from other_clinics import Data

MEMBERS = {
    "last layer of MobileNetV2": Linear(),
    "inner layers of MobileNetV2": Linear(features=Features(layers=INNER), C=3e-3),
    "three Fisher vectors": Linear(features=FisherVectors(), C=1.0, scaled=False),
}


def main():
    options = read_options()
    data = Data(options.data_home)
    segmenter = joblib.load(options.save)
    images = {"isic": data.isic, "ham": data.ham[data.sample]}
    cropped = {name: segmenter.transform(X) for name, X in images.items()}
    truths, rows = list_truths(data), []
    for name, member in MEMBERS.items():
        whole, crops = {"recipe": name}, {"recipe": f"{name}, cropped"}
        crops["reference"] = name
        for cell, predict in CELLS.items():
            before = predict(member, images, data, options)
            after = predict(member, cropped, data, options)
            whole |= score(cell, truths[cell], before, None)
            crops |= score(cell, truths[cell], after, before)
        rows += [whole, crops]
        print(whole, crops, sep="\n", flush=True)
    record = {
        "machine": describe_machine(with_tensorflow=True),
        "crop margin": segmenter.crop_margin,
        "rows": rows,
    }
    path = options.results / "segment_crop.json"
    path.write_text(json.dumps(record, indent=1) + "\n")


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
    return member.predict(images["ham"])[:, 1]


CELLS = {"isic_folds": predict_folds, "isic_to_ham": predict_other_source}


if __name__ == "__main__":
    main()
