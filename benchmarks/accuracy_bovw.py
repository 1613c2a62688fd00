"""Measure how well visual words classify malignant and benign images (ISIC 2016).

Parts are cv and test, see _malignant.py.

Usage: python benchmarks/accuracy_bovw.py [cv|test ...] [--recipes NAME ...]
[--repeats N] [--data-home DIR] [--memory DIR]
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse

import numpy as np
from _malignant import run
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import chi2_kernel
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skinest import BoVWSIFTTransformer, ColorPatchDescriptor, SIFTDescriptor


def study():
    """Return the settings of the study: SIFT defaults, 300 words, RBF."""
    descriptor = SIFTDescriptor(contrast_threshold=0.04, root=False)
    return svm(BoVWSIFTTransformer(300, descriptor=descriptor))


def defaults():
    """Return BoVWSIFTTransformer() and SVC()."""
    return svm(BoVWSIFTTransformer())


def svm(bovw):
    svc = SVC(class_weight="balanced")
    return Pipeline([("bovw", bovw), ("scale", StandardScaler()), ("svc", svc)])


def histogram():
    """Return a histogram of 500 words and a chi-squared kernel."""
    bovw = BoVWSIFTTransformer(500, descriptor=dense(), max_descriptors=100_000)
    svc = SVC(C=3, kernel=chi2_kernel, class_weight="balanced")
    return Pipeline([("bovw", bovw), ("svc", svc)])


def three_fishers():
    """Return Fisher vectors of grey and colour keypoints, and of colour patches."""
    union = FeatureUnion(
        [
            ("keypoints", fisher(32, SIFTDescriptor(), 48)),
            ("colours", fisher(32, ColorPatchDescriptor(sigmas=(2, 4, 8)), 18)),
            ("lab", fisher(32, SIFTDescriptor(color="lab", root=False), 80)),
        ]
    )
    svc = SVC(C=0.1, kernel="linear", class_weight="balanced")
    return Pipeline([("bovw", union), ("svc", svc)])


def best():
    """Return Fisher vectors of a colour grid, keypoints and colour patches."""
    union = FeatureUnion(
        [
            ("dense", fisher(64, dense(), 80)),
            ("keypoints", fisher(32, SIFTDescriptor(), 48)),
            ("colours", fisher(32, ColorPatchDescriptor(), 30)),
        ],
        transformer_weights={"dense": np.sqrt(2)},
    )
    classifier = LogisticRegression(C=2.5, class_weight="balanced", max_iter=500)
    return Pipeline([("bovw", union), ("classifier", classifier)])


def fisher(n_words, descriptor, n_components):
    return BoVWSIFTTransformer(
        n_words,
        descriptor=descriptor,
        encoding="fisher",
        n_components=n_components,
        max_descriptors=100_000,
    )


def dense():
    return SIFTDescriptor(detector="grid", color="lab")


RECIPES = {f.__name__: f for f in (study, defaults, histogram, three_fishers, best)}


def build(name, options, seed):
    """Build a recipe, and set cache and seed of all its transformers."""
    pipeline = RECIPES[name]()
    settings = {
        "memory": options.memory,
        "random_state": seed,
        "n_jobs": options.n_jobs,
    }
    bovw = pipeline.named_steps["bovw"]
    parts = bovw.transformer_list if isinstance(bovw, FeatureUnion) else [(0, bovw)]
    for _, transformer in parts:
        transformer.set_params(**settings)
    return pipeline


if __name__ == "__main__":
    run(argparse.ArgumentParser(description=__doc__), RECIPES, build)
