"""Labels, the start of the output, weights of classes, splits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GroupShuffleSplit

from .conftest import find_marked, make_images, mark, small


def read_start(y, sample_weight=None, **settings):
    """Return the bias of the output before it is trained."""
    clf = small(epochs=1, learning_rate=1e-12, **settings)
    clf.fit(make_images(len(y)), y, sample_weight=sample_weight)
    return clf.model_.get_layer("logits").bias.numpy()


def test_output_starts_at_the_log_odds_of_two_classes():
    assert_allclose(read_start([0, 1], [727, 173]), [-1.4356], atol=5e-5)


def test_output_starts_at_the_log_shares_of_more_classes():
    # The seven diagnoses of HAM10000: 6705, 1113, 1099, 514, 327, 142, 115 images.
    counts = [6705, 1113, 1099, 514, 327, 142, 115]
    bias = read_start(range(7), counts)
    assert_allclose(
        bias,
        [-0.4012, -2.1970, -2.2097, -2.9696, -3.4219, -4.2560, -4.4669],
        atol=5e-5,
    )
    assert_allclose(np.exp(bias).sum(), 1, rtol=1e-6)


@pytest.mark.parametrize(
    "y, bias",
    [
        ([0] * 9 + [1] * 3, [np.log(3 / 9)]),
        (["a"] * 6 + ["b"] * 4 + ["c"] * 2, np.log([6 / 12, 4 / 12, 2 / 12])),
    ],
)
def test_fit_starts_at_the_bias_of_its_training_images(y, bias):
    assert_allclose(read_start(y), bias, atol=1e-6)


@pytest.mark.parametrize(
    "settings, sample_weight, bias",
    [
        ({"class_weight": "balanced"}, None, [0.0]),
        ({"class_weight": {0: 1, 1: 6}}, None, [np.log(6 * 3 / 9)]),
        ({}, [1] * 9 + [2] * 3, [np.log(2 * 3 / 9)]),
        ({"class_weight": "balanced"}, [1] * 9 + [2] * 3, [0.0]),
        ({"class_weight": {0: 0, 1: 1}}, None, [np.log(1e6)]),
    ],
)
def test_fit_starts_at_the_shares_of_the_weights(settings, sample_weight, bias):
    found = read_start([0] * 9 + [1] * 3, sample_weight, **settings)
    assert_allclose(found, bias, atol=1e-5)


def test_bias_is_of_the_images_that_are_trained_on(keras_fits):
    y = np.array([0] * 8 + [1] * 4)
    groups = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3]
    clf = small(epochs=1, learning_rate=1e-12, validation_fraction=0.25)
    clf.fit(make_images(12), y, groups=groups, sample_weight=mark(12))
    kept, _ = find_marked(keras_fits[0])
    totals = np.bincount(y[kept], mark(12)[kept])
    bias = clf.model_.get_layer("logits").bias.numpy()
    assert_allclose(bias, [np.log(totals[1] / totals[0])], atol=1e-6)
    assert not np.isclose(bias[0], np.log(4 / 8), rtol=0.1), "the shares are the same"


# What Keras gets.


def read_in_order(keras_fit):
    """Return targets and weights of validation images, which keep their order."""
    _, targets, weights = keras_fit.epochs("validation")[0]
    return targets, weights


def fit_and_read(y, keras_fits, **settings):
    """Return classes, and targets and weights of all images in the order of `y`."""
    images = make_images(len(y))
    clf = small(epochs=1, **settings).fit(images, y, X_val=images, y_val=y)
    return clf.classes_, *read_in_order(keras_fits[-1])


@pytest.mark.parametrize(
    "y, classes, class_indices",
    [
        (["b", "a", "b"], ["a", "b"], [1, 0, 1]),
        ([7, -1, 7], [-1, 7], [1, 0, 1]),
        ([True, False, True], [False, True], [1, 0, 1]),
        (np.array([[1], [0]]), [0, 1], [1, 0]),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
def test_labels_are_encoded_in_sorted_order(y, classes, class_indices, keras_fits):
    found, targets, _ = fit_and_read(y, keras_fits)
    assert_array_equal(found, classes)
    assert_array_equal(targets[:, 0], class_indices)


def test_targets_are_one_column_for_two_classes_and_one_hot_for_more(keras_fits):
    _, targets, _ = fit_and_read([0, 1], keras_fits)
    assert_array_equal(targets, [[0], [1]])
    _, targets, _ = fit_and_read([2, 0, 1], keras_fits)
    assert_array_equal(targets, [[0, 0, 1], [1, 0, 0], [0, 1, 0]])


def test_balanced_weights_give_each_class_the_same_sum(keras_fits):
    y = np.repeat([0, 1], [9, 3])
    _, _, weights = fit_and_read(y, keras_fits, class_weight="balanced")
    assert_allclose(weights, np.array([12 / (2 * 9), 12 / (2 * 3)])[y])
    assert_allclose(np.bincount(y, weights), [6, 6], rtol=1e-6)


@pytest.mark.parametrize("classes", [["benign", "malignant"], [0, 1], [False, True]])
def test_weights_of_a_dict_are_found_by_the_labels(classes, keras_fits):
    class_weight = dict(zip(classes, [1, 2.5], strict=True))
    for each in (class_weight, dict(reversed(class_weight.items()))):
        _, _, weights = fit_and_read(classes, keras_fits, class_weight=each)
        assert_allclose(weights, np.array([1, 2.5]) / 1.75, rtol=1e-6)


# Splits.


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    """Cache features of the images, which are the same in all fits of these tests."""
    return tmp_path_factory.mktemp("memory")


@pytest.fixture
def hold_out(memory, keras_fits):
    """Find the images that a fit trains on, and those that it holds out."""

    def fit(y, fraction, groups=None, **settings):
        settings = {"epochs": 1, "batch_size": 64, "memory": memory, **settings}
        clf = small(validation_fraction=fraction, **settings)
        marks = mark(len(y))
        clf.fit(make_images(len(y)), y, groups=groups, sample_weight=marks)
        return find_marked(keras_fits[-1])

    return fit


@pytest.mark.parametrize("seed", range(4))
def test_split_is_stratified(seed, hold_out):
    y = np.repeat([0, 1, 2], [24, 12, 4])
    train, held_out = hold_out(y, 0.25, random_state=seed)
    assert_array_equal(np.bincount(y[held_out]), [6, 3, 1])
    assert_array_equal(np.sort(np.r_[train, held_out]), np.arange(40))


def measure_distance(y, held_out, fraction):
    """Measure how far the held-out share of each class is from what was asked for."""
    shares = np.bincount(y[held_out], minlength=2) / np.bincount(y)
    return np.abs(shares - fraction).sum()


@pytest.mark.parametrize("seed", range(5))
def test_split_by_groups_keeps_each_together_and_is_even(seed, hold_out):
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(60), generator.integers(1, 4, 60))
    y = (generator.random(60) < 0.2).astype(int)[groups]
    train, held_out = hold_out(y, 0.25, groups)
    assert not np.intersect1d(groups[train], groups[held_out]).size
    assert_array_equal(np.sort(np.r_[train, held_out]), np.arange(len(y)))
    # Of each class about a quarter, as far as a split by whole lesions can be so:
    shares = np.bincount(y[held_out]) / np.bincount(y)
    assert_allclose(shares, 0.25, atol=0.08)
    # nearer than all but some in a hundred of random splits are.
    others = GroupShuffleSplit(200, test_size=0.25, random_state=0)
    distances = []
    for _, other in others.split(y, groups=groups):
        distances.append(measure_distance(y, other, 0.25))
    distance = measure_distance(y, held_out, 0.25)
    assert np.mean(np.array(distances) <= distance) < 0.1


@pytest.mark.parametrize("groups", [None, np.repeat(np.arange(20), 2)])
def test_split_depends_on_the_seed_alone(groups, hold_out):
    y = np.array([0, 0, 1, 1] * 10)
    first, again, other = (
        hold_out(y, 0.25, groups, random_state=seed)[1].tolist() for seed in (0, 0, 1)
    )
    assert first == again != other


def test_split_without_groups_has_each_class_on_both_sides(hold_out):
    y = np.repeat(["benign", "malignant"], [100, 2])
    # Nine tenths of two images are two, a tenth is none.
    for fraction, n_held_out in [(0.9, 92), (0.1, 11)]:
        for part in hold_out(y, fraction):
            assert np.count_nonzero(y[part] == "malignant") == 1
        assert len(part) == n_held_out


def test_split_by_groups_has_each_class_on_both_sides_where_it_can(hold_out):
    # Two rare lesions: most random splits hold out none of them, or both.
    groups = np.repeat(np.arange(20), 2)
    y = np.isin(groups, [3, 11]).astype(int)
    for seed in range(4):
        for part in hold_out(y, 0.1, groups, random_state=seed):
            assert set(y[part]) == {0, 1}
        assert len(part) == 4
    y = (groups == 3).astype(int)  # a single lesion is trained on
    with pytest.warns(UserWarning, match=r"no validation images of \[1\]"):
        for seed in range(4):
            train, _ = hold_out(y, 0.9, groups, random_state=seed)
            assert y[train].sum() == 2


def test_split_by_groups_needs_training_images_of_each_class(hold_out):
    y = np.repeat([0, 1], [12, 3])
    with pytest.raises(ValueError, match="training images of every class"):
        hold_out(y, 0.1, y.copy())
