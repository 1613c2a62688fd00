"""Forms of images and masks: what goes in, and what comes out."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.utils import get_tags

from skinest import UNetSegmenter
from skinest.metrics import dice_score

from .conftest import (
    apply,
    fit_brightness,
    fit_known,
    hash_weights,
    make_nothing,
    make_objects,
    make_pairs,
    make_small,
    write_files,
)

THREE = {"epochs": 30, "learning_rate": 0.03, "loss": "dice_crossentropy"}


@pytest.fixture(scope="module")
def in_forms(images, masks, paths, mask_paths):
    """Make all forms of the same pairs: X, y and whether X is an array of numbers."""
    column = np.array(paths, dtype=object)[:, np.newaxis]
    return {
        "arrays": (images, masks, True),
        "floats": (images / 255, masks, True),
        "lists": (list(images), list(masks), False),
        "object arrays": (make_objects(images), make_objects(masks), False),
        "paths": (paths, mask_paths, False),
        "Path": (list(map(Path, paths)), tuple(map(Path, mask_paths)), False),
        "arrays of paths": (np.array(paths), np.array(mask_paths), False),
        "column of paths": (column, mask_paths, False),
        "arrays and paths": (images, mask_paths, True),
        "paths and arrays": (paths, masks, False),
    }


FORMS = [
    *("arrays", "floats", "lists", "object arrays", "paths", "Path"),
    *("arrays of paths", "column of paths", "arrays and paths", "paths and arrays"),
]
# They are read as others are.
ALIKE = "object arrays", "Path", "arrays of paths", "arrays and paths"


def test_a_form_of_each_kind_is_tested(in_forms):
    assert list(in_forms) == FORMS


@pytest.fixture(scope="module")
def fitted(images, masks):
    return make_small().fit(images, masks)


@pytest.mark.parametrize(
    "form",
    [pytest.param(form, marks=[pytest.mark.slow] * (form in ALIKE)) for form in FORMS],
)
def test_each_form_of_pairs_trains_alike(form, in_forms, fitted):
    X, y, _ = in_forms[form]
    other = make_small().fit(X, y)
    assert hash_weights(other) == hash_weights(fitted)
    assert other.history_ == fitted.history_
    assert_array_equal(other.classes_, [0, 255])


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_images_is_predicted_alike(form, in_forms, images, masks, learned):
    X, y, is_stack = in_forms[form]
    probabilities, predicted = learned.predict_proba(X), learned.predict(X)
    expected = learned.predict_proba(images)
    for found in (probabilities, predicted):
        assert isinstance(found, np.ndarray)
        assert len(found) == len(images)
        assert (found.dtype == object) != is_stack
        assert is_stack or found.ndim == 1
    for i in range(len(images)):
        assert_allclose(probabilities[i], expected[i], atol=1e-6)
        assert_array_equal(predicted[i] == 255, probabilities[i][..., 1] > 0.5)
        assert predicted[i].dtype == masks.dtype
    score = dice_score(masks, learned.predict(images))
    assert learned.score(X, y) == pytest.approx(score, abs=1e-3)


def test_boxes_are_found(learned, images, masks):
    assert learned.score(images, masks) > 0.85
    assert learned.history_["dice"][-1] > 0.85
    assert learned.history_["loss"][-1] < 0.3 * learned.history_["loss"][0]


def test_masks_have_the_size_of_their_images(bright, ragged):
    X, y = ragged
    predicted, probabilities = bright.predict(X), bright.predict_proba(X)
    assert [mask.shape for mask in predicted] == [mask.shape for mask in y]
    assert [p.shape for p in probabilities] == [(*mask.shape, 2) for mask in y]
    for mask, expected, proba in zip(predicted, y, probabilities, strict=True):
        assert dice_score([expected], [mask]) > 0.85
        assert_array_equal(mask == 255, proba[..., 1] > 0.5)


def test_images_of_one_size_may_come_in_a_list(bright, images):
    found = bright.predict(list(images))
    assert (found.shape, found.dtype) == ((len(images),), object)
    assert_array_equal(np.stack(list(found)), bright.predict(images))
    grey = images[..., 0]
    assert bright.predict(grey).shape == grey.shape
    assert bright.predict(images[:1]).shape == (1, *images.shape[1:3])


def test_probabilities_are_those_of_the_network(learned, bright):
    own_size = make_pairs(6, (16, 16), seed=3)[0]
    for segmenter in (learned, bright):
        probabilities = segmenter.predict_proba(own_size)
        assert (probabilities.shape, probabilities.dtype) == (
            (6, 16, 16, 2),
            np.float32,
        )
        assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-6)
        outputs = apply(segmenter, own_size)[..., 0]
        # Predictions fold the normalisation into the convolutions, which rounds
        # otherwise: 1e-6 on some processors.
        assert_allclose(probabilities[..., 1], outputs, atol=1e-5)
    grey = own_size.mean(axis=-1) / 255
    expected = 1 / (1 + np.exp(-20 * (grey - 0.5)))
    assert_allclose(bright.predict_proba(own_size)[..., 1], expected, atol=0.01)


@pytest.mark.parametrize(
    "settings", [{}, {"n_prediction_views": 8, "tile_overlap": 0.3}]
)
@pytest.mark.parametrize(("n_classes", "sign"), [(2, -1), (3, 1)])
def test_probabilities_are_from_0_to_1_in_images_smaller_than_the_network(
    n_classes, sign, settings, no_training
):
    """Show it where the network is sure, and a mean of ones is rounded up."""
    images, masks = make_pairs(n_classes=n_classes, sides=(16, 16))
    segmenter = make_small(image_size=(28, 28), epochs=1, **settings)
    fit_known(lambda *weight: sign * make_nothing(*weight), segmenter, images, masks)
    for X in (images, np.tile(images[:2], (1, 2, 2, 1))):
        probabilities = segmenter.predict_proba(X)
        assert probabilities.min() >= 0
        assert probabilities.max() == 1
        assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-6)


def test_probabilities_are_resized_before_the_threshold(learned, images):
    squeezed = np.stack([cv2.resize(i, (16, 16), interpolation=3) for i in images])
    expected = [
        cv2.resize(output, images.shape[2:0:-1], interpolation=cv2.INTER_LINEAR)
        for output in apply(learned, squeezed)[..., 0]
    ]
    found = learned.predict_proba(images)[..., 1]
    assert_allclose(found, expected, atol=1e-5)
    for threshold in (0.2, 0.8):
        learned.set_params(threshold=threshold)
        assert_array_equal(learned.predict(images) == 255, found > threshold)
    learned.set_params(threshold=0.5)


# Labels -----------------------------------------------------------------------------

TWO_LABELS = {
    "0 and 255": np.array([0, 255], dtype=np.uint8),
    "bool": np.array([False, True]),
    "0 and 1": np.array([0, 1]),
    "1 and 2 of int8": np.array([1, 2], dtype=np.int8),
    "uint16": np.array([0, 65535], dtype=np.uint16),
    "7 and 300": np.array([7, 300], dtype=np.int64),
}
FAST_LABELS = "bool", "1 and 2 of int8", "uint16"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name not in FAST_LABELS))
        for name in TWO_LABELS
    ],
)
def test_labels_come_back_as_they_were(name, images, masks, fitted, bright):
    labels = TWO_LABELS[name]
    y = labels[(masks == 255).astype(int)]
    segmenter = make_small().fit(images, y)
    assert hash_weights(segmenter) == hash_weights(fitted)  # whatever they are called
    assert_array_equal(segmenter.classes_, labels)
    segmenter = fit_brightness(make_small(epochs=1), images, y)
    predicted = segmenter.predict(images)
    assert segmenter.classes_.dtype == predicted.dtype == y.dtype
    assert_array_equal(predicted == labels[1], bright.predict(images) == 255)
    assert set(np.unique(predicted).tolist()) == set(labels.tolist())
    assert segmenter.score(images, y) == bright.score(images, masks)


@pytest.fixture(scope="module")
def three():
    """Make images of three labels, and fit what finds them."""
    images, codes = make_pairs(n_classes=3)
    masks = np.array([3, 7, 9], dtype=np.uint8)[codes]
    return images, masks, make_small(**THREE).fit(images, masks)


def test_three_labels(three, tmp_path):
    images, masks, segmenter = three
    assert_array_equal(segmenter.classes_, [3, 7, 9])
    probabilities = segmenter.predict_proba(images)
    assert probabilities.shape == (*masks.shape, 3)
    assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)
    predicted = segmenter.predict(images)
    assert predicted.dtype == np.uint8
    assert_array_equal(predicted, segmenter.classes_[probabilities.argmax(axis=-1)])
    assert set(np.unique(predicted).tolist()) == {3, 7, 9}
    # The foreground is 7 and 9.
    expected = dice_score(masks, predicted, labels=[7, 9])
    assert segmenter.score(images, masks) == pytest.approx(expected)
    assert expected > 0.5
    one = predicted == 7
    assert dice_score(masks == 7, one) > 0.5
    files = write_files(tmp_path / "masks", masks)
    assert segmenter.score(images, files) == pytest.approx(expected)


def test_labels_that_a_mask_lacks_count_in_the_score_as_in_the_metric(three):
    images, masks, segmenter = three
    without = np.where(masks[:3] == 9, 3, masks[:3]).astype(np.uint8)
    predicted = segmenter.predict(images[:3])
    expected = dice_score(without, predicted, labels=[7, 9])
    assert segmenter.score(images[:3], without) == pytest.approx(expected)


@pytest.mark.parametrize("sides", [(20, 24), (12, 9)], ids=str)
def test_many_labels_in_images_larger_and_smaller_than_the_network(sides, no_training):
    images, masks = make_pairs(n_classes=7, sides=sides)
    segmenter = make_small().fit(images, masks)
    assert_array_equal(segmenter.classes_, np.unique(masks))
    n_classes = len(segmenter.classes_)
    assert n_classes > 4
    probabilities = segmenter.predict_proba(images)
    assert probabilities.shape == (*masks.shape, n_classes)
    assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-4)
    assert segmenter.predict(images).shape == masks.shape


# One label --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "says"), [(0, "empty: their only label is 0"), (255, "full: .* 255")]
)
def test_masks_of_one_label_are_warned_of_and_predicted(label, says, images, masks):
    y = np.full_like(masks, label)
    with pytest.warns(UserWarning, match=f"All masks are {says}"):
        segmenter = make_small(epochs=1).fit(images, y)
    predicted = segmenter.predict(images)
    assert predicted.dtype == masks.dtype
    assert_array_equal(predicted, y)
    assert_array_equal(segmenter.predict_proba(images), np.ones((*masks.shape, 1)))
    assert segmenter.score(images, y) == 1
    whole = segmenter.transform(images)
    assert [image.shape for image in whole] == [image.shape for image in images]


# Cross validation -------------------------------------------------------------------


def test_masks_of_cross_validation_are_those_of_each_fold(
    images, masks, paths, mask_paths
):
    folds = KFold(2)
    expected = np.empty_like(masks)
    for train, test in folds.split(images):
        expected[test] = (
            make_small().fit(images[train], masks[train]).predict(images[test])
        )
    found = cross_val_predict(make_small(), images, masks, cv=2)
    assert (found.shape, found.dtype) == (masks.shape, masks.dtype)
    assert_array_equal(found, expected)
    from_paths = cross_val_predict(make_small(), paths, mask_paths, cv=2)
    assert (from_paths.shape, from_paths.dtype) == ((len(masks),), object)
    assert_array_equal(np.stack(list(from_paths)), expected)


def test_masks_of_different_sizes_are_joined_from_folds(ragged):
    X, y = ragged
    found = cross_val_predict(make_small(epochs=1), X, y, cv=2)
    assert [mask.shape for mask in found] == [mask.shape for mask in y]
    found = cross_val_predict(
        make_small(epochs=1), make_objects(X), make_objects(y), cv=5
    )
    assert [mask.shape for mask in found] == [mask.shape for mask in y]


def test_it_is_no_classifier_to_scikit_learn():
    assert not is_classifier(UNetSegmenter())
    tags = get_tags(UNetSegmenter())
    assert tags.estimator_type is None
    assert tags.input_tags.three_d_array and not tags.input_tags.two_d_array
