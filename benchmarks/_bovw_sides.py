"""The side of OpenCV in bench_bovw.py, and functions for both sides.

OpenCVBoVW is code that a user would write without skinest: OpenCV's `BOWKMeansTrainer`
and `BOWImgDescriptorExtractor` with their defaults, in a small transformer of
paths. It has no cache between calls, and OpenCV uses its default number of threads.
Both sides use the same scalers, kernels and scorer.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from time import perf_counter

import cv2
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.metrics import get_scorer, pairwise_distances_argmin
from sklearn.metrics.pairwise import chi2_kernel
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skinest.kernels import histogram_intersection_kernel

# OpenCV 5 moved the classes into xfeatures2d.
_bow = cv2 if hasattr(cv2, "BOWKMeansTrainer") else cv2.xfeatures2d
SCORING = "average_precision"
# (scaler, kernel): intersection and chi-squared need values of 0 or more.
KERNELS = {
    "linear": (StandardScaler(), "linear"),
    "rbf": (StandardScaler(), "rbf"),
    "intersection": ("passthrough", histogram_intersection_kernel),
    "chi2": ("passthrough", chi2_kernel),
}


class OpenCVBoVW(TransformerMixin, BaseEstimator):
    """Convert paths to histograms of visual words, with OpenCV only.

    Parameters
    ----------
    n_words : int, default=300
        Number of visual words.

    random_state : int, default=0
        Seed of OpenCV's k-means.
    """

    def __init__(self, n_words=300, random_state=0):
        self.n_words = n_words
        self.random_state = random_state

    def fit(self, X, y=None):
        descriptors = sift_of_files(X)
        self.vocabulary_ = learn_words(descriptors, self.n_words, self.random_state)
        return self

    def transform(self, X):
        sift = cv2.SIFT_create()
        # As fast here as FLANN, and exact.
        extractor = _bow.BOWImgDescriptorExtractor(sift, cv2.BFMatcher(cv2.NORM_L2))
        extractor.setVocabulary(self.vocabulary_)
        vectors = np.zeros((len(X), self.n_words), dtype=np.float32)
        for vector, path in zip(vectors, X, strict=True):
            image = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
            found = extractor.compute(image, sift.detect(image, None))
            if found is not None:  # None without keypoints
                vector[:] = found[0]
        return vectors


def sift_of_files(paths):
    """Return the SIFT descriptors of each file, or None if it has no keypoints."""
    sift = cv2.SIFT_create()
    return [
        sift.detectAndCompute(cv2.imread(path, cv2.IMREAD_GRAYSCALE), None)[1]
        for path in paths
    ]


def learn_words(descriptors, n_words, seed):
    """Learn visual words from a list of descriptors, with OpenCV's defaults."""
    cv2.setRNGSeed(seed)
    trainer = _bow.BOWKMeansTrainer(n_words)
    for values in descriptors:
        if values is not None:
            trainer.add(values)
    return trainer.cluster()


def histograms(descriptors, vocabulary):
    """Return the histograms of BOWImgDescriptorExtractor, from given descriptors."""
    vectors = np.zeros((len(descriptors), len(vocabulary)), dtype=np.float32)
    for vector, values in zip(vectors, descriptors, strict=True):
        if values is not None:
            words = pairwise_distances_argmin(values, vocabulary)
            vector[:] = np.bincount(words, minlength=len(vocabulary)) / len(words)
    return vectors


def folds(y, n_folds, seed=0):
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    return list(splitter.split(np.zeros(len(y)), y))


def classifier_steps(scaler="passthrough", kernel="rbf"):
    svm = SVC(kernel=kernel, class_weight="balanced")
    return [("scaler", scaler), ("svm", svm)]


def run_search(pipeline, paths, y, words, splits, n_jobs):
    """Return the seconds of a grid search, and the search."""
    grids = [
        {"bovw__n_words": words, "scaler": [scaler], "svm__kernel": [kernel]}
        for scaler, kernel in KERNELS.values()
    ]
    search = GridSearchCV(
        pipeline,
        grids,
        scoring=SCORING,
        cv=splits,
        n_jobs=n_jobs,
        refit=False,
        error_score="raise",
    )
    start = perf_counter()
    search.fit(paths, y)
    return perf_counter() - start, search


def kernel_scores(on_train, y_train, on_test, y_test):
    """Return the average precision of each kernel on the test fold."""
    score = get_scorer(SCORING)
    return {
        name: score(
            Pipeline(classifier_steps(*how)).fit(on_train, y_train), on_test, y_test
        )
        for name, how in KERNELS.items()
    }
