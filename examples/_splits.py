"""Splits by image and by lesion, and by how much the former flatters."""

import numpy as np
from _script import take
from scipy.stats import t
from sklearn.base import clone
from sklearn.metrics import accuracy_score, f1_score, recall_score
from sklearn.model_selection import GroupShuffleSplit, train_test_split

TEST, VALIDATION = 0.20, 0.15


def take_lesions(n_images, y, groups):
    """Return positions of about so many images, all of each lesion that is taken."""
    names, firsts = np.unique(groups, return_index=True)
    n_lesions = n_images and round(n_images * len(names) / len(y))
    return np.flatnonzero(np.isin(groups, names[take(n_lesions, y[firsts])]))


def split_by_image(y, random_state=0):
    """Split positions 65 / 15 / 20 to train, validate, test, with the classes' shares.

    As in the study: pictures of one lesion may stand on both sides.
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
    """Split by whole lesions, as near to the classes' shares as chance comes."""
    rest, test = _hold_out_lesions(y, groups, TEST, random_state)
    train, validation = _hold_out_lesions(
        y[rest], groups[rest], VALIDATION / (1 - TEST), random_state
    )
    return rest[train], rest[validation], test


def _hold_out_lesions(y, groups, share, random_state, n_tries=50):
    """Return, of many random splits, the one nearest to the share in each class.

    StratifiedGroupKFold warns where a class has fewer images than there are folds.
    """
    counts = np.bincount(y)

    def distance(split):
        held_out = np.bincount(y[split[1]], minlength=len(counts))
        return np.abs(held_out - share * counts)[counts > 0] @ (1 / counts[counts > 0])

    splitter = GroupShuffleSplit(n_tries, test_size=share, random_state=random_state)
    codes = np.unique(groups, return_inverse=True)[1]
    return min(splitter.split(y, groups=codes), key=distance)


def seen(groups, train, test):
    """Tell which test images show a lesion that a training image shows too."""
    return np.isin(groups[test], groups[train])


def twin_training_sets(y, groups, test, rng):
    """Return training images with and without other pictures of tested lesions.

    Two arrays of positions that hold as many images of each class: of those outside
    `test`, first the ones that show a tested lesion, filled up at random, and then
    only ones that show none.
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
    """Measure figures of a classifier by split, each an array of shape (n_repeats,).

    Returns
    -------
    figures : dict of dict
        By split: "by image" and "by lesion", each tested on its own fifth; "with" and
        "without" other pictures of the tested lesions in training, both tested on
        "by image"'s fifth after training on as many images of each class; and "seen
        with", "seen without", which are these two on the test images that have another
        picture of their lesion among the rest.
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
