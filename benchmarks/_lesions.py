"""Splits and scores of lesion masks of HAM10000."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from functools import partial

import numpy as np
from sklearn.model_selection import GroupShuffleSplit

from skinest.datasets import fetch_ham10000_masks
from skinest.metrics import dice_score, iou_score, segmentation_report
from skinest.model_selection import bootstrap_interval


def keep_lesions(data_home):
    """Return the data, and positions of the images not to test and to test."""
    data = fetch_ham10000_masks(data_home)
    splitter = GroupShuffleSplit(1, test_size=0.1, random_state=0)
    rest, test = next(splitter.split(data.paths, groups=data.groups))
    return data, np.random.default_rng(0).permutation(rest), test


def score_lesions(segmenter, data, part):
    """Print and return the scores of images, with intervals over lesions."""
    paths, truth = data.paths[part], data.mask_paths[part]
    predicted = segmenter.predict(paths)
    scores = score(truth, predicted, data.groups[part])
    show(scores)
    columns = {"extra_columns": "all", "zero_division": 1.0}
    print(segmentation_report(truth, predicted, **columns))
    return scores


def score(truth, predicted, groups=None) -> dict:
    """Return scores of masks with intervals over groups, or over images."""
    scores = {}
    for name, function in {"Dice": dice_score, "IoU": iou_score}.items():
        found = bootstrap_interval(
            partial(function, zero_division=1.0),
            truth,
            predicted,
            groups=groups,
            n_resamples=2000,
            random_state=0,
        )
        scores[name] = list(found)
    each = dice_score(truth, predicted, average=None, zero_division=1.0)
    found = bootstrap_interval(
        lambda y, _: float(np.mean(y)),
        (each < 0.7).astype(float),
        each,
        groups=groups,
        n_resamples=2000,
        random_state=0,
    )
    scores["below .7"] = list(found)
    return scores


def show(scores):
    for name, (mean, low, high) in scores.items():
        print(f"{name}: {mean:.4f} [{low:.4f}, {high:.4f}]", flush=True)
