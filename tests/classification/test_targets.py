"""Labels, the start of the output, weights of classes, splits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skinest.classification._targets import (
    as_outputs,
    encode_known,
    encode_labels,
    hold_out,
    output_bias,
    weights_by_class,
    weights_by_image,
)

from .conftest import make_images, small

CLASSES = np.array(["benign", "malignant"])


def test_output_starts_at_the_log_odds_of_two_classes():
    codes = np.repeat([0, 1], [727, 173])
    assert_allclose(output_bias(codes, 2, np.ones(900)), [-1.4356], atol=5e-5)


def test_output_starts_at_the_log_shares_of_more_classes():
    # The seven diagnoses of HAM10000: 6705, 1113, 1099, 514, 327, 142, 115 images.
    counts = [6705, 1113, 1099, 514, 327, 142, 115]
    bias = output_bias(np.repeat(np.arange(7), counts), 7, np.ones(sum(counts)))
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
    clf = small(epochs=1, learning_rate=1e-12).fit(make_images(12), y)
    assert_allclose(clf.model_.get_layer("logits").bias.numpy(), bias, atol=1e-6)


@pytest.mark.parametrize(
    "settings, sample_weight, bias",
    [
        ({"class_weight": "balanced"}, None, [0.0]),
        ({"class_weight": {0: 1, 1: 6}}, None, [np.log(6 * 3 / 9)]),
        ({}, [1] * 9 + [2] * 3, [np.log(2 * 3 / 9)]),
        ({"class_weight": "balanced"}, [1] * 9 + [2] * 3, [np.log(2)]),
        ({"class_weight": {0: 0, 1: 1}}, None, [np.log(1e6)]),
    ],
)
def test_fit_starts_at_the_shares_of_the_weights(settings, sample_weight, bias):
    clf = small(epochs=1, learning_rate=1e-12, **settings)
    clf.fit(make_images(12), [0] * 9 + [1] * 3, sample_weight=sample_weight)
    assert_allclose(clf.model_.get_layer("logits").bias.numpy(), bias, atol=1e-5)


def test_bias_is_of_the_images_that_are_trained_on(splits):
    y = np.array([0] * 8 + [1] * 4)
    groups = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3]
    clf = small(epochs=1, learning_rate=1e-12, validation_fraction=0.25)
    clf.fit(make_images(12), y, groups=groups)
    kept = y[splits[0]["train"]]
    bias = clf.model_.get_layer("logits").bias.numpy()
    assert_allclose(bias, [np.log(kept.sum() / (1 - kept).sum())], atol=1e-6)
    assert not np.isclose(bias[0], np.log(4 / 8)), "the split has kept the shares"


@pytest.mark.parametrize(
    "y, classes, codes",
    [
        (["b", "a", "b"], ["a", "b"], [1, 0, 1]),
        ([7, -1, 7], [-1, 7], [1, 0, 1]),
        ([True, False, True], [False, True], [1, 0, 1]),
        (np.array([[1], [0]]), [0, 1], [1, 0]),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
def test_labels_are_encoded_in_sorted_order(y, classes, codes):
    found_classes, found_codes = encode_labels(y)
    assert_array_equal(found_classes, classes)
    assert_array_equal(found_codes, codes)
    assert_array_equal(encode_known(y, found_classes), codes)


def test_targets_are_one_column_for_two_classes_and_one_hot_for_more():
    assert_array_equal(as_outputs(np.array([0, 1]), 2), [[0], [1]])
    assert_array_equal(as_outputs(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])


def test_balanced_weights_give_each_class_the_same_sum():
    codes = np.repeat([0, 1], [727, 173])
    by_class = weights_by_class("balanced", CLASSES, codes)
    assert_allclose(by_class, [900 / (2 * 727), 900 / (2 * 173)])
    sums = np.bincount(codes, weights_by_image(None, by_class, codes))
    assert_allclose(sums, [450, 450], rtol=1e-6)


@pytest.mark.parametrize(
    "classes", [CLASSES, np.array([0, 1]), np.array([False, True])]
)
def test_weights_of_a_dict_are_found_by_the_labels(classes):
    codes = np.array([0, 1])
    class_weight = dict(zip(classes.tolist(), [1, 2.5], strict=True))
    assert_array_equal(weights_by_class(class_weight, classes, codes), [1, 2.5])
    reverse = dict(reversed(class_weight.items()))
    assert_array_equal(weights_by_class(reverse, classes, codes), [1, 2.5])


def test_split_is_stratified():
    codes = np.repeat([0, 1, 2], [80, 15, 5])
    train, held_out = hold_out(codes, 0.2, None, 0, np.arange(3))
    assert_array_equal(np.bincount(codes[held_out]), [16, 3, 1])
    assert_array_equal(np.sort(np.r_[train, held_out]), np.arange(100))


@pytest.mark.parametrize("seed", range(5))
def test_split_by_groups_keeps_each_together_and_is_even(seed):
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(100), generator.integers(1, 4, 100))
    codes = (generator.random(100) < 0.2).astype(int)[groups]
    train, held_out = hold_out(codes, 0.25, groups, seed, CLASSES)
    assert not np.intersect1d(groups[train], groups[held_out]).size
    assert_array_equal(np.sort(np.r_[train, held_out]), np.arange(len(codes)))
    # Of each class about a quarter, as far as a split by whole lesions can be so.
    shares = np.bincount(codes[held_out]) / np.bincount(codes)
    assert_allclose(shares, 0.25, atol=0.05)


@pytest.mark.parametrize("groups", [None, np.repeat(np.arange(20), 2)])
def test_split_depends_on_the_seed_alone(groups):
    codes = np.array([0, 0, 1, 1] * 10)
    first, again, other = (
        hold_out(codes, 0.25, groups, seed, CLASSES)[1].tolist() for seed in (0, 0, 1)
    )
    assert first == again != other


def test_split_leaves_each_class_to_train_on():
    # Nine tenths of two images are two.
    codes = np.repeat([0, 1], [100, 2])
    with pytest.raises(ValueError, match=r"leaves no image of \['malignant'\]"):
        hold_out(codes, 0.9, None, 0, CLASSES)


def test_split_by_groups_leaves_each_class_to_train_on():
    codes, groups = np.repeat([0, 1], [12, 3]), np.repeat(range(5), 3)
    with pytest.raises(ValueError, match=r"every class left to train on"):
        hold_out(codes, 0.1, np.repeat([0, 1], [12, 3]), 0, CLASSES)
    codes[0] = 1
    for seed in range(5):
        train, _ = hold_out(codes, 0.2, groups, seed, CLASSES)
        assert set(codes[train]) == {0, 1}
