"""Splits by image and by lesion, and how much a split by image raises the scores."""

import numpy as np
from _script import take
from scipy.stats import t
from sklearn.base import clone
from sklearn.metrics import accuracy_score, f1_score, recall_score
from sklearn.model_selection import train_test_split

from skinest import model_selection

TEST, VALIDATION = 0.20, 0.15
SPLITS = ("by image", "by lesion")


def take_lesions(n_images, y, groups):
    """Return positions of about `n_images` images, with all images of each lesion."""
    names, firsts = np.unique(groups, return_index=True)
    n_lesions = n_images and round(n_images * len(names) / len(y))
    return np.flatnonzero(np.isin(groups, names[take(n_lesions, y[firsts])]))


def split_by_image(y, random_state=0):
    """Split positions 65 / 15 / 20 into training, validation and test, stratified.

    As in the study, images of one lesion can be in several parts.
    """
    rest, test = train_test_split(
        np.arange(len(y)), test_size=TEST, stratify=y, random_state=random_state
    )
    train, validation = train_test_split(
        rest,
        test_size=VALIDATION / (1 - TEST),
        stratify=y[rest],
        random_state=random_state,
    )
    return train, validation, test


def split_by_lesion(y, groups, random_state=0):
    """Split by lesion, with class frequencies as similar as possible."""
    rest, test = model_selection.train_test_split(
        np.arange(len(y)),
        test_size=TEST,
        groups=groups,
        stratify=y,
        random_state=random_state,
    )
    train, validation = model_selection.train_test_split(
        rest,
        test_size=VALIDATION / (1 - TEST),
        groups=groups[rest],
        stratify=y[rest],
        random_state=random_state,
    )
    return train, validation, test


def seen(groups, train, test):
    """Return which test images show a lesion that is also in the training set."""
    return np.isin(groups[test], groups[train])


def twin_training_sets(y, groups, test, rng):
    """Return training sets with and without other images of the tested lesions.

    The two arrays of positions have the same number of images of each class, all
    outside `test`. The first has all images of tested lesions and random others. The
    second has no image of a tested lesion.
    """
    rest = rng.permutation(np.setdiff1d(np.arange(len(y)), test))
    is_seen = seen(groups, test, rest)
    with_them, without = [], []
    for label in np.unique(y):
        of_class = y[rest] == label
        shown, others = rest[of_class & is_seen], rest[of_class & ~is_seen]
        with_them.append(np.concatenate([shown, others])[: len(others)])
        without.append(others)
    return np.concatenate(with_them), np.concatenate(without)


def measure(y, predicted, labels):
    options = {"labels": labels, "average": "macro", "zero_division": 0}
    return {
        "accuracy": accuracy_score(y, predicted),
        "mean recall": recall_score(y, predicted, **options),
        "macro F1": f1_score(y, predicted, **options),
    }


def measure_leak(classifier, features, y, groups, n_repeats=10):
    """Return scores of a classifier by split, as arrays of shape (n_repeats,).

    Returns
    -------
    scores : dict of dict
        Scores of each split. "by image" and "by lesion" are tested on their own test
        sets. "with" and "without" have training sets of the same size, with and without
        other images of the tested lesions; both use the test set of "by image". "seen
        with" and "seen without" are the same two on those test images whose lesion has
        other images outside the test set.
    """
    labels, rows = np.unique(y), []
    for repeat in range(n_repeats):
        rng = np.random.default_rng(repeat)

        def predict(train, test):
            return (
                clone(classifier).fit(features[train], y[train]).predict(features[test])
            )

        row = {}
        train, validation, test = split_by_image(y, repeat)
        train = np.concatenate([train, validation])
        row["by image"] = measure(y[test], predict(train, test), labels)
        is_seen = seen(groups, train, test)
        twins = zip(
            ("with", "without"), twin_training_sets(y, groups, test, rng), strict=True
        )
        for name, twin in twins:
            predicted = predict(twin, test)
            row[name] = measure(y[test], predicted, labels)
            row[f"seen {name}"] = measure(y[test][is_seen], predicted[is_seen], labels)
        train, validation, test = split_by_lesion(y, groups, repeat)
        train = np.concatenate([train, validation])
        row["by lesion"] = measure(y[test], predict(train, test), labels)
        rows.append(row)
    return {
        split: {
            name: np.array([row[split][name] for row in rows])
            for name in rows[0][split]
        }
        for split in rows[0]
    }


def mean_interval(values):
    """Return the mean, and its 95 % interval by Student's t."""
    mean = np.mean(values)
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    width = t.ppf(0.975, len(values) - 1) * error
    return mean, mean - width, mean + width
