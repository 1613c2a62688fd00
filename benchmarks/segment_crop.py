"""Measure what cropping to the segmented lesion changes for classifiers.

The segmenter of ``encoder_unet.py lesion --save FILE``, which was trained on lesions of
HAM10000, crops the images. Classifiers of the training images of ISIC 2016 are scored
by five folds, on images of HAM10000, and on those of them whose lesions the segmenter
has not seen. Those of the diagnoses of HAM10000 are scored on ISIC 2016. Logistic
regressions are trained and scored with the whole images and with the cropped ones. The
network is that of ``other_clinics.py ham_to_isic --members network``, which was trained
on whole images. Recipes are means of classifiers. Intervals are over images or, for
HAM10000, over lesions, and those of differences are paired.

With --test, the recipes are scored on the test images of ISIC 2016 too. Do it once, at
the end.

Usage: python benchmarks/segment_crop.py --save lesion.joblib
       --network other_clinics/network-ham_to_isic-….joblib --mobilenetv2 FILE
       --memory FOLDER [--test]
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
from pathlib import Path

import joblib
import numpy as np
from _clinic_members import INNER, Features, Linear
from _clinic_recipes import find_melanoma, list_truths, score
from _quiet import describe_machine
from _runs import RESULTS, write_record
from encoder_unet import split_lesions
from other_clinics import Data

LAST = "last layer of MobileNetV2"
OF_ISIC = "inner layers of MobileNetV2"
OF_HAM = "inner layers, C=.01, against nevi"
NETWORK = "network, against nevi"
LAYERS = Features(layers=INNER)
MEMBERS = {
    LAST: Linear(),
    OF_ISIC: Linear(features=LAYERS, C=3e-3),
    OF_HAM: Linear(features=LAYERS, C=1e-2),
}
# Where each is scored, and with which classifiers.
HOME = "isic_folds", "isic_to_ham", "isic_to_unseen"
RECIPES = {
    LAST: dict.fromkeys(HOME, (LAST,)),
    OF_ISIC: dict.fromkeys(HOME, (OF_ISIC,)),
    OF_HAM: {"ham_to_isic": (OF_HAM,)},
    NETWORK: {"ham_to_isic": (NETWORK,)},
    "inner layers of both sources": {
        "ham_to_isic": (OF_HAM,),
        "isic_to_ham": (OF_ISIC,),
        "isic_folds": (OF_ISIC, OF_HAM),
        "test": (OF_ISIC, OF_HAM),
    },
    "inner layers of both sources, and network": {
        "ham_to_isic": (OF_HAM, NETWORK),
        "isic_to_ham": (OF_ISIC,),
        "isic_folds": (OF_ISIC, OF_HAM, NETWORK),
        "test": (OF_ISIC, OF_HAM, NETWORK),
    },
}


def main():
    options = read_options()
    data = Data(options.data_home)
    segmenter = joblib.load(options.save)
    whole = list_images(data, options)
    cropped = {name: segmenter.transform(X) for name, X in whole.items()}
    is_unseen = find_unseen(data, options)
    scores = [score_members(X, data, is_unseen, options) for X in (whole, cropped)]
    truths = list_truths(data)
    truths["isic_to_unseen"] = tuple(each[is_unseen] for each in truths["isic_to_ham"])
    record = {
        "machine": describe_machine(with_tensorflow=True),
        "crop margin": segmenter.crop_margin,
        "rows": make_rows(truths, *scores),
    }
    write_record(options.results / "segment_crop.json", record)


def list_images(data, options) -> dict:
    """Return the images by name; those to test only if they are to be scored."""
    images = {
        "isic": data.isic,
        "sample": data.ham[data.sample],
        "known": data.ham[data.known],
    }
    if options.test:
        images["test"], _ = data.read_test()
    return images


def find_unseen(data, options):
    """Return which images of the sample are of lesions the segmenter has not seen."""
    masks, train, *_ = split_lesions(options)
    seen = {Path(path).stem for path in masks.paths[train]}
    return np.array([Path(path).stem not in seen for path in data.ham[data.sample]])


# Scores of classifiers


def score_members(images, data, is_unseen, options) -> dict:
    """Return the scores of images by classifier and cell."""
    scores = {}
    for name in (LAST, OF_ISIC):
        scores |= score_isic(name, images, data, options)
        scores[name, "isic_to_unseen"] = scores[name, "isic_to_ham"][is_unseen]
    member = MEMBERS[OF_HAM]
    member.fit(images["known"], data.diagnoses[data.known], "ham", options)
    classifiers = {OF_HAM: member.classifier, NETWORK: joblib.load(options.network)}
    for name, classifier in classifiers.items():
        found = predict_melanoma(classifier, images["isic"])
        scores[name, "ham_to_isic"] = scores[name, "isic_folds"] = found
        if "test" in images:
            scores[name, "test"] = predict_melanoma(classifier, images["test"])
    return scores


def score_isic(name, images, data, options) -> dict:
    """Return the scores of a classifier of ISIC 2016 by its name and cell."""
    member, X, y = MEMBERS[name], images["isic"], data.is_malignant
    folds = np.zeros(len(y))
    for train, test in data.folds:
        member.fit(X[train], y[train], "isic", options)
        folds[test] = member.predict(X[test])[:, 1]
    member.fit(X, y, "isic", options)
    scores = {
        (name, "isic_folds"): folds,
        (name, "isic_to_ham"): member.predict(images["sample"])[:, 1],
    }
    if "test" in images:
        scores[name, "test"] = member.predict(images["test"])[:, 1]
    return scores


def predict_melanoma(classifier, X):
    return find_melanoma(classifier.classes_, classifier.predict_proba(X))


# Rows of the table


def make_rows(truths, of_whole, of_cropped) -> list[dict]:
    """Return the scores of recipes with whole images, cropped ones, and both."""
    rows = []
    for recipe, cells in RECIPES.items():
        versions = {
            recipe: (of_whole,),
            f"{recipe}, cropped": (of_cropped,),
            f"{recipe}, whole and cropped": (of_whole, of_cropped),
        }
        for name, sources in versions.items():
            row = {"recipe": name, "reference": recipe}
            for cell, members in cells.items():
                keys = [(member, cell) for member in members]
                if keys[0] not in of_whole:
                    continue  # test images that are not to be scored
                reference = None if name == recipe else average(keys, (of_whole,))
                found = average(keys, sources)
                row |= score(cell, truths[cell], found, reference)
            rows.append(row)
            print(row, flush=True)
    return rows


def average(keys, sources):
    """Return the mean of the scores with these keys."""
    return np.mean([scores[key] for scores in sources for key in keys], axis=0)


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--save", required=True, help="file of the segmenter")
    parser.add_argument("--network", required=True, help="file of the network")
    parser.add_argument("--mobilenetv2", default="imagenet", help="weights file")
    parser.add_argument("--data-home", help="folder of the archives")
    parser.add_argument("--memory", help="folder for features")
    parser.add_argument("--test", action="store_true", help="score the test images")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
