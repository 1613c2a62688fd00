"""Measure the size of VGG16 features, and how well they classify ISIC 2016 part 3.

Features of the training images are averaged over the last feature maps. They are from a
file of weights, such as accuracy_ham10000.py saves, and from random weights. Printed
are their standard deviations, and AUC and average precision of a logistic regression on
the standardised features, in 2 x 5 folds.

Usage: python benchmarks/features_vgg16.py FILE [--side 64] [--data-home DIR]
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skinest import BottleneckFeatureExtractor
from skinest.datasets import fetch_isic2016_part3

SCORES = ("roc_auc", "average_precision")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", metavar="FILE")
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument("--data-home", help="folder of the ISIC archives")
    options = parser.parse_args()
    X, y = fetch_isic2016_part3(options.data_home, return_X_y=True)
    for weights in (options.weights, None):
        features = BottleneckFeatureExtractor(
            "vgg16",
            weights=weights,
            image_size=(options.side, options.side),
            pooling="avg",
            random_state=0,
        ).fit_transform(X)
        classifier = LogisticRegression(C=0.01, class_weight="balanced", max_iter=500)
        scores = cross_validate(
            make_pipeline(StandardScaler(), classifier),
            features,
            y,
            scoring=SCORES,
            cv=RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0),
        )
        low, middle, high = np.quantile(features.std(axis=0), [0.05, 0.5, 0.95])
        auc, precision = (scores[f"test_{name}"].mean() for name in SCORES)
        print(
            f"{'random' if weights is None else 'given'}: AUC {auc:.3f}, average "
            f"precision {precision:.3f}; deviation of the features {middle:.4f}, "
            f"5 to 95 % from {low:.4f} to {high:.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
