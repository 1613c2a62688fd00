"""Pixels that are not labelled count nowhere in a fit, and are never predicted."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import re

import cv2
import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from skinest import losses
from skinest.augmentation import Augmentation
from skinest.masks import check_masks
from skinest.metrics import dice_score

from .conftest import (
    apply,
    fit_brightness,
    hash_weights,
    make_pairs,
    make_small,
    record_fit,
    write_files,
)

IGNORED = [255, -1]
OUTSIDE = 255  # class index of pixels that do not count


def blank(codes, ignore_label, labels=None):
    """Return masks of which a fifth, in blocks, is not labelled."""
    generator = np.random.default_rng(3)
    blocks = generator.random((len(codes), *np.array(codes.shape[1:]) // 4)) < 0.2
    is_blank = blocks.repeat(4, axis=1).repeat(4, axis=2)
    masks = codes.astype(np.int16) if labels is None else np.array(labels)[codes]
    return np.where(is_blank, ignore_label, masks).astype(np.int16), is_blank


@pytest.fixture(scope="module")
def pairs():
    """Make pairs of the size of the network: what is trained on is what is given."""
    return make_pairs(sides=(16, 16))


@pytest.fixture(scope="module")
def three():
    return make_pairs(sides=(16, 16), n_classes=3)


# What is trained on


@pytest.mark.parametrize("ignore_label", IGNORED)
def test_pixels_without_a_label_weigh_nothing(ignore_label, three):
    X, codes = three
    y, is_blank = blank(codes, ignore_label, labels=[3, 7, 9])
    segmenter = make_small(ignore_label=ignore_label, validation_fraction=0.4)
    fit = record_fit(segmenter, X, y)
    assert segmenter.classes_.tolist() == [3, 7, 9]
    for images, indices, weights, _ in (fit.train, fit.validation):
        assert_array_equal(weights, indices != OUTSIDE)
        for image, found in zip(images, indices, strict=True):
            (position,) = np.flatnonzero((X == image).all(axis=(1, 2, 3)))
            expected = np.where(is_blank[position], OUTSIDE, codes[position])
            assert_array_equal(found, expected)


def test_class_weights_and_bias_are_of_labelled_pixels(pairs):
    X, codes = pairs
    y, is_blank = blank(codes, 255)
    settings = {"ignore_label": 255, "loss": "binary_crossentropy"}
    fit = record_fit(make_small(**settings, class_weight="balanced"), X, y)
    counts = np.bincount(codes[~is_blank])
    _, indices, weights, _ = fit.train
    for label in (0, 1):
        expected = counts.sum() / (2 * counts[label])
        assert_allclose(weights[indices == label], expected, rtol=1e-6)
    assert (weights[indices == OUTSIDE] == 0).all()
    bias = record_fit(make_small(**settings), X, y).weights[-1]
    assert_allclose(bias, [np.log(counts[1] / counts[0])], rtol=1e-5)


@pytest.mark.parametrize("kind", ["two", pytest.param("three", marks=pytest.mark.slow)])
def test_what_marks_the_pixels_changes_no_bit(kind, pairs, three):
    X, codes = pairs if kind == "two" else three
    X = X.repeat(2, axis=1)[:, ::-1]  # is shrunk
    settings = {
        "class_weight": "balanced",
        "augmentation": Augmentation(rotation=90),
        "validation_fraction": 0.3,
    }
    fits = []
    for ignore_label in (255, -1, 77):
        y, is_blank = blank(codes.repeat(2, axis=1), ignore_label)
        fits.append(make_small(**settings, ignore_label=ignore_label).fit(X, y))
    assert is_blank.any()
    for other in fits[1:]:
        assert hash_weights(other) == hash_weights(fits[0])
        assert other.history_ == fits[0].history_
    plain = make_small(**settings).fit(X, codes.repeat(2, axis=1))
    assert hash_weights(plain) != hash_weights(fits[0])


def test_a_label_that_no_mask_has_changes_no_bit(images, masks):
    expected = make_small().fit(images, masks)
    fitted = make_small(ignore_label=7).fit(images, masks)
    assert hash_weights(fitted) == hash_weights(expected)
    assert fitted.history_ == expected.history_


FUNCTIONS = {
    "dice": losses.dice,
    "jaccard": losses.jaccard,
    "binary_crossentropy": losses.crossentropy,
    "focal": losses.focal,
    "tversky": losses.tversky,
    "dice_crossentropy": losses.dice_crossentropy,
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "dice" else pytest.mark.slow)
        for name in FUNCTIONS
    ],
)
def test_loss_and_metrics_are_those_of_labelled_pixels(name, pairs):
    X, codes = pairs
    y, is_blank = blank(codes, 255)
    segmenter = make_small(loss=name, ignore_label=255, learning_rate=0.1)
    segmenter.fit(X, y, X_val=X, y_val=y)
    last = {key: values[-1] for key, values in segmenter.history_.items()}
    predicted, true = segmenter.predict(X)[~is_blank], codes[~is_blank]
    assert_allclose(last["val_accuracy"], accuracy_score(true, predicted), rtol=1e-5)
    assert_allclose(last["val_dice"], f1_score(true, predicted), rtol=1e-5)
    assert_allclose(last["val_iou"], jaccard_score(true, predicted), rtol=1e-5)
    outputs = apply(segmenter, X)
    expected = [  # of the labelled pixels of each image, as an image of one row
        FUNCTIONS[name](t[~b][None, None, :, None], p[~b][None, None])
        for t, p, b in zip(codes, outputs, is_blank, strict=True)
    ]
    assert_allclose(last["val_loss"], np.mean(expected), rtol=1e-4)


@pytest.mark.slow
def test_losses_of_keras_leave_them_out_too(pairs):
    X, codes = pairs
    y, is_blank = blank(codes, 255)
    settings = {"ignore_label": 255, "loss": keras.losses.BinaryCrossentropy()}
    segmenter = make_small(**settings).fit(X, y, X_val=X, y_val=y)
    outputs = apply(segmenter, X)[..., 0].astype(float)
    values = -np.log(np.where(codes == 1, outputs, 1 - outputs))
    expected = [each[~b].mean() for each, b in zip(values, is_blank, strict=True)]
    assert_allclose(segmenter.history_["val_loss"][-1], np.mean(expected), rtol=1e-4)


def test_losses_that_count_all_pixels_are_refused(pairs, never_trained):
    X, codes = pairs
    y, _ = blank(codes, 255)

    def average_alone(y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_true - y_pred))

    with pytest.raises(ValueError, match=r"averages over all pixels.*ignore_label"):
        make_small(ignore_label=255, loss=average_alone).fit(X, y)


def test_the_loss_has_no_label_of_its_own(pairs):
    X, codes = pairs
    y, _ = blank(codes, 255)
    expected = make_small(ignore_label=255).fit(X, y)
    same = make_small(ignore_label=255, loss=losses.Dice(ignore_label=255)).fit(X, y)
    assert hash_weights(same) == hash_weights(expected)
    with pytest.raises(ValueError, match="has an ignore_label, but that of the segm"):
        make_small(loss=losses.Dice(ignore_label=255)).fit(X, y)


# Scores and predictions


@pytest.mark.parametrize("ignore_label", IGNORED)
def test_score_is_that_of_labelled_pixels(ignore_label, images, masks):
    y = masks.astype(np.int16)
    is_blank = np.zeros(y.shape, dtype=bool)
    is_blank[:, ::2] = True
    y[is_blank] = ignore_label
    if ignore_label == 255:
        y[~is_blank & (masks == 255)] = 1
    segmenter = make_small(ignore_label=ignore_label, epochs=1)
    fit_brightness(segmenter, images, y)
    predicted = segmenter.predict(images)
    assert set(np.unique(predicted)) <= set(segmenter.classes_.tolist())
    expected = [
        f1_score(t[~b] > 0, p[~b] > 0)
        for t, p, b in zip(masks, predicted, is_blank, strict=True)
    ]
    assert segmenter.score(images, y) == pytest.approx(np.mean(expected))


def test_the_label_is_never_predicted(pairs):
    X, codes = pairs
    y = np.full(codes.shape, 255)
    y[:, :2], y[:, 2:4] = 0, 1  # three quarters are not labelled
    fitted = make_small(ignore_label=255, epochs=1).fit(X, y)
    assert fitted.classes_.tolist() == [0, 1]
    assert set(np.unique(fitted.predict(X))) <= {0, 1}
    assert fitted.predict_proba(X).shape == (*X.shape[:3], 2)


# Sizes, files and augmentation


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("ignore_label", IGNORED)
def test_resizing_gives_each_pixel_the_label_that_covers_most_of_it(ignore_label, pad):
    generator = np.random.default_rng(0)
    y = generator.choice([0, 1, ignore_label], (3, 64, 64)).astype(np.int16)
    X = np.zeros((3, 64, 64, 3), np.uint8)
    segmenter = make_small(ignore_label=ignore_label, pad_to_aspect_ratio=pad)
    _, indices, weights, _ = record_fit(segmenter, X, y, X_val=X, y_val=y).validation
    squares = y.reshape(3, 16, 4, 16, 4)
    counts = [(squares == value).sum(axis=(2, 4)) for value in (0, 1, ignore_label)]
    # A label wins where another, or none, covers as much.
    expected = np.array([0, 1, OUTSIDE])[np.argmax(counts, axis=0)]
    assert_array_equal(indices, expected)
    assert set(np.unique(expected)) == {0, 1, OUTSIDE}
    assert_array_equal(weights, expected != OUTSIDE)


def test_files_train_as_arrays_do(images, masks, tmp_path):
    y, _ = blank(masks // 255, 255)
    y = y.astype(np.uint8)
    settings = {"ignore_label": 255}
    expected = make_small(**settings).fit(images, y)
    paths = write_files(tmp_path / "images", images), write_files(tmp_path / "m", y)
    memory = str(tmp_path / "cache")
    for label in (None, 255, 255):  # what is cached depends on the label
        fitted = make_small(ignore_label=label, memory=memory).fit(*paths)
    assert hash_weights(fitted) == hash_weights(expected)
    assert fitted.history_ == expected.history_


def test_augmentation_makes_none_of_the_borders(pairs):
    X, codes = pairs
    y = codes.astype(np.int16)
    y[:, 7:9, 7:9] = -1
    settings = {"augmentation": Augmentation(rotation=180, shift=0.5), "epochs": 3}
    fit = record_fit(make_small(ignore_label=-1, **settings), X, y)
    for _, indices, weights, _ in fit.epochs:
        is_outside = indices == OUTSIDE
        assert_array_equal(weights, ~is_outside)
        assert (is_outside.sum(axis=(1, 2)) <= 9).all()  # 4, and turned somewhat more
        assert is_outside.any()


def test_callables_get_them_as_padding(pairs):
    X, codes = pairs
    y, is_blank = blank(codes, -1)
    seen = []

    def keep(image, mask, random_state):
        seen.append(mask.copy())
        return image, mask

    record_fit(make_small(ignore_label=-1, augmentation=keep, epochs=1), X, y)
    expected = np.where(is_blank, OUTSIDE, codes)
    assert sorted(map(bytes, seen)) == sorted(map(bytes, expected.astype(np.uint8)))


# Masks without any label


@pytest.mark.parametrize(
    "ignore_label", [255, pytest.param(-1, marks=pytest.mark.slow)]
)
def test_images_without_any_label_are_left_out(ignore_label, pairs):
    X, codes = pairs
    y, _ = blank(codes, ignore_label)
    y[[1, 4]] = ignore_label
    settings = {"ignore_label": ignore_label, "class_weight": "balanced"}
    fit = record_fit(make_small(**settings), X, y, X_val=X, y_val=y)
    for images, indices, _, _ in (fit.train, fit.validation):
        assert len(images) == 8
        assert (indices != OUTSIDE).any(axis=(1, 2)).all()
    one = make_small(**settings).fit(X, y)
    checked = check_masks(y, ignore_label=ignore_label)  # knows the label itself
    again = make_small(class_weight="balanced").fit(X, checked)
    assert hash_weights(again) == hash_weights(one)
    assert again.score(X, checked) == one.score(X, y)
    other_images = X.copy()
    other_images[[1, 4]] = 255 - X[[1, 4]]
    two = make_small(**settings).fit(other_images, y)
    assert hash_weights(one) == hash_weights(two)
    assert one.history_ == two.history_
    rest = np.delete(np.arange(10), [1, 4])
    assert one.score(X, y) == pytest.approx(one.score(X[rest], y[rest]))


def test_masks_without_any_label_are_refused(pairs, never_trained):
    X, codes = pairs
    y = np.full(codes.shape, 255)
    segmenter = make_small(ignore_label=255)
    says = r"All pixels of the masks have ignore_label=255.*the first is {}\[0\]"
    with pytest.raises(ValueError, match=says.format("y")):
        segmenter.fit(X, y)
    with pytest.raises(ValueError, match=says.format("y_val")):
        segmenter.fit(X, codes, X_val=X, y_val=y)
    X, y = X.repeat(4, axis=1).repeat(4, axis=2), np.full((10, 64, 64), 255)
    y[:, ::8, ::8] = 1  # a pixel of each four squares
    says = "No training image of a weight above 0 has a labelled pixel.*image_size"
    with pytest.raises(ValueError, match=says):
        clone(segmenter).fit(X, y)


def test_the_label_has_no_class_weight(pairs, never_trained):
    X, codes = pairs
    y, _ = blank(codes, 255)
    segmenter = make_small(ignore_label=255, class_weight={0: 1, 1: 3, 255: 0})
    with pytest.raises(ValueError, match=r"has ignore_label=255.* Remove it"):
        segmenter.fit(X, y)


@pytest.mark.parametrize("wrong", ["255", 0.5, [255]])
def test_other_labels_are_refused(wrong, unread):
    with pytest.raises(ValueError, match="'ignore_label' parameter"):
        make_small(ignore_label=wrong).fit(*unread)


def test_negative_labels_advise_it(pairs, never_trained):
    X, codes = pairs
    y, _ = blank(codes, -1)
    says = re.escape("y[0] has the label -1, but labels are 0 or more.")
    with pytest.raises(ValueError, match=f"{says}.*pass ignore_label=-1"):
        make_small().fit(X, y)
    y_val = codes.astype(np.int16)
    y_val[1, 0, 0] = -1
    with pytest.raises(ValueError, match=r"y_val\[1\] has the label -1.*ignore_label"):
        make_small().fit(X, codes, X_val=X, y_val=y_val)


# Grey masks


@pytest.mark.slow
def test_grey_masks_train_as_their_thresholds(images, masks, tmp_path):
    smooth = np.stack([cv2.GaussianBlur(mask, (0, 0), 3) for mask in masks])
    assert len(np.unique(smooth)) > 32
    binary = (smooth > 127).astype(np.uint8)
    settings = {"validation_fraction": 0.3, "class_weight": {0: 1, 1: 3}}
    expected = make_small(**settings).fit(images, binary)
    paths = (
        write_files(tmp_path / "images", images),
        write_files(tmp_path / "m", smooth),
    )
    memory = str(tmp_path / "cache")
    grey = make_small(**settings, mask_threshold=0.5)
    for pair in ((images, smooth), (images, smooth / 255), paths):
        fitted = clone(grey).set_params(memory=memory).fit(*pair)
        assert hash_weights(fitted) == hash_weights(expected)
    low = clone(grey).set_params(mask_threshold=0.1, memory=memory).fit(*paths)
    assert hash_weights(low) != hash_weights(expected)
    assert fitted.classes_.tolist() == [0, 1]
    score = fitted.score(images, smooth)
    predicted = fitted.predict(images)
    assert score == pytest.approx(dice_score(binary, predicted, zero_division=1.0))
    with pytest.raises(ValueError, match=r"y\[\d\].*pass mask_threshold=0\.5"):
        make_small().fit(images, smooth)
    with pytest.raises(ValueError, match="'mask_threshold' parameter"):
        make_small(mask_threshold=127).fit(images, smooth)
