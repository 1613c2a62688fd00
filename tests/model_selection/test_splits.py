"""Splits keep groups whole and classes close, as near as the best of all splits."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score

from skinest.masks import check_masks
from skinest.model_selection import StratifiedGroupShuffleSplit


def split_once(y, groups, **settings):
    settings = {"test_size": 0.25, "random_state": 0, **settings}
    splitter = StratifiedGroupShuffleSplit(1, **settings)
    return next(splitter.split(np.zeros(len(groups)), y, groups))


def one_hot(y):
    return np.transpose([y == label for label in np.unique(y)])


def measure(contents, in_test, fraction):
    """Return the distances of splits, given as rows of `in_test`, from a fraction."""
    columns = np.column_stack([np.ones(len(contents)), contents])
    shares = in_test @ columns / columns.sum(axis=0)
    errors = np.abs(shares - fraction)
    return errors[:, 0] + errors[:, 1:].mean(axis=1)


def list_valid_splits(contents, groups, fraction):
    """List all splits that a user may expect, as rows of which images are tested."""
    n_groups = groups.max() + 1
    chosen = np.arange(1, 2**n_groups - 1)[:, np.newaxis] >> np.arange(n_groups) & 1
    in_test = chosen[:, groups].astype(bool)
    in_test = in_test[has_most_classes(~in_test, contents)]
    error = np.abs(in_test.mean(axis=1) - fraction) * n_groups
    in_test = in_test[error <= max(0.5, error.min()) + 1e-9]
    return in_test[has_most_classes(in_test, contents)]


def has_most_classes(parts, contents):
    n_classes = np.minimum(parts.astype(int) @ contents, 1).sum(axis=1)
    return n_classes == n_classes.max()


def make_problem(seed):
    """Make 12 groups of 1 to 5 images of three classes, of which one is rare."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(12), rng.integers(1, 6, 12))
    y = rng.choice(3, 12, p=[0.6, 0.25, 0.15])
    y[:3] = 0, 1, 2
    y = y[groups]
    if seed % 2:  # groups with several classes
        y = np.where(rng.random(len(y)) < 0.3, rng.permutation(y), y)
    return y, groups


def test_small_splits_are_nearly_the_best_of_all():
    gaps = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class of one group
        for seed in range(40):
            y, groups = make_problem(seed)
            fraction = np.ceil(0.3 * len(y)) / len(y)
            contents = one_hot(y)
            valid = list_valid_splits(contents, groups, fraction)
            _, test = split_once(y, groups, test_size=0.3, random_state=seed)
            in_test = np.isin(np.arange(len(y)), test)
            assert (valid == in_test).all(axis=1).any()
            best = measure(contents, valid, fraction).min()
            gaps.append(measure(contents, in_test[np.newaxis], fraction)[0] - best)
    gaps = np.array(gaps)
    assert gaps.min() > -1e-9
    assert np.mean(gaps < 1e-9) > 0.8
    assert gaps.max() < 0.05


def make_many(n_groups=7000, n_classes=7):
    """Make groups as in HAM10000: one class each, mostly one image."""
    rng = np.random.default_rng(0)
    shares = 0.5 ** np.arange(n_classes)
    y = rng.choice(n_classes, n_groups, p=shares / shares.sum())
    groups = np.repeat(np.arange(n_groups), rng.geometric(0.7, n_groups))
    return y[groups], groups


def test_a_large_split_is_near_in_every_class():
    y, groups = make_many()
    train, test = split_once(y, groups, test_size=0.2)
    assert len(test) == np.ceil(0.2 * len(y))
    assert_allclose(np.bincount(y[test]) / np.bincount(y), 0.2, atol=2 / 50)
    assert np.abs(np.bincount(y[test]) - 0.2 * np.bincount(y)).max() < 1.5
    assert not np.intersect1d(groups[train], groups[test]).size
    assert_array_equal(np.union1d(train, test), np.arange(len(y)))


def test_every_group_is_tested_in_some_splits():
    y, groups = make_problem(1)
    splitter = StratifiedGroupShuffleSplit(50, test_size=0.3, random_state=0)
    y, groups = np.tile(y, 3), np.concatenate([groups + 12 * i for i in range(3)])
    times = np.zeros(36)
    for _, test in splitter.split(y, y, groups):
        times[np.unique(groups[test])] += 1
    assert times.min() >= 4
    assert times.max() <= 30


def test_sizes_are_numbers_of_images():
    y, groups = make_many(300, 2)
    train, test = split_once(y, groups, test_size=50, train_size=0.5)
    assert len(test) == 50
    assert len(train) == len(y) // 2
    assert not np.intersect1d(groups[train], groups[test]).size
    assert_allclose(np.bincount(y[train]) / np.bincount(y), 0.5, atol=0.02)
    _, test = split_once(y, groups, test_size=None)
    assert len(test) == np.ceil(0.2 * len(y))
    train, _ = split_once(y, groups, test_size=None, train_size=0.9)
    assert len(train) == np.floor(0.9 * len(y))


def test_rare_classes_are_on_both_sides_if_possible():
    groups = np.repeat(np.arange(20), 2)
    y = np.isin(groups, [3, 11]).astype(int)
    for seed in range(5):
        train, test = split_once(y, groups, test_size=0.1, random_state=seed)
        assert y[train].sum() == y[test].sum() == 2
        assert len(test) == 4
    alone = (groups == 3).astype(int)
    with pytest.warns(UserWarning, match="no test images of 1"):
        train, _ = split_once(alone, groups, test_size=0.9)
    assert alone[train].sum() == 2


@pytest.mark.parametrize("kind", ["indicators", "outputs", "masks", "files"])
def test_several_labels_of_an_image(kind, tmp_path):
    import cv2

    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 2)
    contents = (rng.random((60, 2)) < [0.5, 0.2])[groups]
    y = contents.astype(int)
    if kind == "outputs":
        y = np.array([["no", "yes"], ["absent", "present"]])[[0, 1], y]
    if kind in ("masks", "files"):
        masks = np.zeros((120, 4, 4), dtype=np.uint8)
        masks[:, 0] = contents[:, [0]] * 100
        masks[:, 1] = contents[:, [1]] * 200
        y = masks
    if kind == "files":
        paths = [tmp_path / f"{number}.png" for number in range(120)]
        for path, mask in zip(paths, masks, strict=True):
            cv2.imwrite(str(path), mask)
        y = check_masks(paths)
    _, test = split_once(y, groups, test_size=0.2)
    assert len(test) == 24
    assert_allclose(contents[test].mean(axis=0), contents.mean(axis=0), atol=0.02)


def test_splits_depend_on_the_seed_alone():
    y, groups = make_many(200, 3)
    splitter = StratifiedGroupShuffleSplit(3, random_state=0)
    first = [test.tolist() for _, test in splitter.split(y, y, groups)]
    again = [test.tolist() for _, test in splitter.split(y, y, groups)]
    assert first == again
    assert first[0] != first[1] != first[2]
    names = np.array(["nevus", "melanoma", "keratosis"])[y]
    lesions = [f"lesion {group:03}" for group in groups]
    renamed = splitter.split(names.tolist(), names, lesions)
    assert {len(test) for _, test in renamed} == {len(first[0])}


def test_it_is_a_splitter_of_scikit_learn():
    y, groups = make_many(100, 2)
    splitter = StratifiedGroupShuffleSplit(4, test_size=0.3, random_state=0)
    assert splitter.get_n_splits() == 4
    assert "test_size=0.3" in repr(splitter)
    scores = cross_val_score(
        DummyClassifier(), y[:, np.newaxis], y, groups=groups, cv=splitter
    )
    assert len(scores) == 4
    assert_allclose(scores, np.mean(y == 0), atol=0.02)
    like = StratifiedGroupKFold()
    assert str(splitter.get_metadata_routing()) == str(like.get_metadata_routing())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": None}, "groups is None"),
        ({"groups": [0] * 8}, "groups has one group only"),
        ({"groups": [0, 1]}, r"groups has 2 entries, but X has 8"),
        ({"groups": [0, 1, 2, np.nan] * 2}, "NaN, at position 3"),
        (
            {"groups": np.array([0.0, 1.0, 2.0, np.nan] * 2, dtype=object)},
            "NaN, at position 3",
        ),
        ({"y": [0, 1]}, "y has 2 entries"),
        ({"y": np.linspace(0, 1, 8)}, "y has numbers that are not classes"),
        ({"y": [f"mask{i}.png" for i in range(8)]}, r"check_masks\(y\)"),
        ({"test_size": 8}, "test_size=8"),
        ({"test_size": 1.5}, r"test_size=1\.5"),
        ({"test_size": 4, "train_size": 5}, "train_size"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    given = {"y": [0, 1] * 4, "groups": np.arange(8) // 2, "test_size": 0.3, **change}
    y, groups, sizes = given.pop("y"), given.pop("groups"), given
    with pytest.raises(ValueError, match=message):
        next(StratifiedGroupShuffleSplit(**sizes).split(np.zeros(8), y, groups))
