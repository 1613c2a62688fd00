"""Measure how well MobileNetV2 classifies malignant and benign images (ISIC 2016).

A logistic regression uses features from ImageNet's weights, from weights that were then
trained on the diagnoses of HAM10000 (which has no images of ISIC 2016), or both. Parts
are cv and test, see _malignant.py.

Usage: python benchmarks/accuracy_ham10000.py --all --backbone mobilenetv2
       --weights imagenet --save ham10000.weights.h5
       python benchmarks/accuracy_transfer.py cv test --ham10000 ham10000.weights.h5
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse

from _malignant import run
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler

from skinest import BottleneckFeatureExtractor

SIDES = {"imagenet": 288, "ham10000": 160}  # pixels
RECIPES = {"imagenet": ["imagenet"], "ham10000": ["ham10000"], "both": list(SIDES)}


def build(name, options, seed):
    union = [(part, extractor(part, options)) for part in RECIPES[name]]
    classifier = LogisticRegression(C=3e-3, class_weight="balanced", max_iter=500)
    steps = [("features", FeatureUnion(union)), ("scale", StandardScaler())]
    return Pipeline([*steps, ("classifier", classifier)])


def extractor(part, options):
    return BottleneckFeatureExtractor(
        "mobilenetv2",
        weights=getattr(options, part),
        image_size=(SIDES[part], SIDES[part]),
        pooling="avg",
        memory=options.memory,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--imagenet", default="imagenet", help="file of its weights")
    parser.add_argument(
        "--ham10000", required=True, help="file that accuracy_ham10000.py has saved"
    )
    run(parser, RECIPES, build)
