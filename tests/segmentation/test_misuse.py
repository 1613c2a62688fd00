"""Wrong input: errors that name it, before training begins."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import re

import cv2
import keras
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skinest import UNetSegmenter
from skinest.augmentation import Augmentation
from skinest.losses import Dice
from tests.callbacks import needs_callbacks

from .conftest import hash_weights, make_small

pytestmark = pytest.mark.usefixtures("never_trained")


@pytest.fixture
def files(images, masks, tmp_path):
    """Write files of images and masks, some of which a test may spoil."""
    X = [tmp_path / f"{i}.jpg.png" for i in range(10)]
    y = [tmp_path / f"{i}_segmentation.png" for i in range(10)]
    for path, array in zip(X + y, [*images, *masks], strict=True):
        cv2.imwrite(str(path), array)
    return X, y


def check_error(X, y, match, error=ValueError, settings=None, **arguments):
    segmenter = make_small(**(settings or {}))
    with pytest.raises(error, match=match):
        segmenter.fit(X, y, **arguments)
    assert not hasattr(segmenter, "classes_")


# Pairs that are none ----------------------------------------------------------------


def test_mask_of_another_size_than_its_image(files, images, masks):
    X, y = files
    says = r"y\[7\].* has shape \(24, 20\), but its image X\[7\] has shape \(20, 24\)"
    turned = [*masks[:7], masks[7].T, *masks[8:]]
    check_error(images, turned, says)
    cv2.imwrite(str(y[7]), masks[7].T)
    check_error(X, y, re.escape(y[7].name) + ".* has shape")
    check_error(
        images, masks, r"y_val\[1\].*X_val\[1\]", **take_validation(images, turned)
    )


def take_validation(images, masks):
    """Return the last four pairs, of which the second is wrong."""
    return {"X_val": list(images[6:]), "y_val": list(masks[6:])}


def test_masks_of_other_images_in_the_wrong_order(ragged):
    X, y = ragged
    check_error(X, y[::-1], "in the same order")


def test_missing_mask_file(files):
    X, y = files
    y[4].unlink()
    y[6].unlink()
    says = r"2 of 10 paths .* y\[4\]: .*4_segmentation\.png.*y\[6\]: .*6_segmentation"
    check_error(X, y, says, FileNotFoundError)
    says = r"y_val\[0\]: .*6_segmentation"
    check_error(X[:4], y[:4], says, FileNotFoundError, X_val=X[6:], y_val=y[6:])


def test_missing_image_file(files):
    X, y = files
    X[3].unlink()
    check_error(X, y, r"X\[3\]: .*3\.jpg\.png", FileNotFoundError)
    says = r"X_val\[3\]: .*3\.jpg\.png"
    check_error(X[:3], y[:3], says, FileNotFoundError, X_val=X, y_val=y)


SPOILED = {
    "text": (b"not an image", "not an image of a format"),
    "truncated": (None, "truncated"),
    "empty": (b"", "is empty"),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_unreadable_files(kind, files):
    content, says = SPOILED[kind]
    X, y = files
    intact = {path: path.read_bytes() for path in (X[8], y[8])}
    for path, name in ((y[8], r"y\[8\]: .*8_segm"), (X[8], r"X\[8\]: .*8\.jpg")):
        path.write_bytes(intact[path][:60] if content is None else content)
        check_error(X, y, f"{name}.*{says}")
        path.write_bytes(intact[path])


WRONG_MASKS = {
    "colour": (
        np.tile(np.uint8([9, 9, 8]), (20, 24, 1)),
        "a colour image of 3 channels",
    ),
    "grey values": (
        np.arange(480, dtype=np.uint16).reshape(20, 24).astype(np.uint8),
        "256 different values from 0 to 255.* JPEG compression or smooth edges",
    ),
}


@pytest.mark.parametrize("kind", WRONG_MASKS)
def test_files_that_are_images_but_no_masks(kind, files, masks):
    content, says = WRONG_MASKS[kind]
    X, y = files
    cv2.imwrite(str(y[5]), content)
    check_error(X, y, rf"y\[5\]: .*5_segmentation\.png.*{says}")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            np.zeros((20, 24, 3), np.uint8),
            r"y\[5\] has shape \(20, 24, 3\).*mask\[\.\.\.",
        ),
        (np.zeros((20, 24)), r"y\[5\] is of dtype float64.*threshold"),
        (np.arange(480).reshape(20, 24), r"y\[5\] has 480 different values"),
        (None, r"y\[5\] is of type NoneType"),
        ("mask.png", r"y\[5\] is of type str"),
        (np.zeros((0, 24), np.uint8), r"y\[5\].*no pixel"),
    ],
    ids=["colour", "floats", "grey values", "None", "path", "empty"],
)
def test_arrays_that_are_no_masks(wrong, says, images, masks):
    check_error(images, [*masks[:5], wrong, *masks[6:]], says)


NO_MASKS = {
    "None": (lambda masks: None, "y is None"),
    "short": (lambda masks: masks[:-1], "X has 10 images, but y has 9 masks"),
    "long": (lambda masks: [*masks, masks[0]], "X has 10 images, but y has 11 masks"),
    "integers": (
        lambda masks: np.arange(10) % 2,
        "one label for each image.* a classifier",
    ),
    "strings": (lambda masks: ["a", "b"] * 5, "10 of 10 paths"),
    "floats": (lambda masks: masks / 255, r"y\[0\] is of dtype float64"),
    "channels": (lambda masks: masks[..., None], r"\(10, 20, 24, 1\).*y\[\.\.\., 0\]"),
    "one mask": (lambda masks: masks[0], r"shape \(20, 24\).*y\[np.newaxis\]"),
    "one path": (lambda masks: "masks/", "single path"),
    "nothing": (lambda masks: [], "y is empty"),
}


@pytest.mark.parametrize("kind", NO_MASKS)
def test_targets_that_are_no_masks(kind, images, masks):
    make, says = NO_MASKS[kind]
    error = FileNotFoundError if kind == "strings" else ValueError
    check_error(images, make(masks), says, error)


def test_images_smaller_than_the_network_can_halve(images, masks):
    settings = {"depth": 3, "image_size": (16, 16)}
    X, y = list(images), list(masks)
    X[2], y[2] = images[2][:7], masks[2][:7]
    says = r"X\[2\] has shape \(7, 24\).*1 / 8: both sides need 8 pixels.*lower depth"
    check_error(X, y, says, settings=settings)
    check_error(
        images,
        masks,
        says.replace("X", "X_val"),
        settings=settings,
        X_val=X,
        y_val=y,
    )


def test_images_smaller_than_the_network_can_halve_are_not_predicted(learned, images):
    small_image = images[0][:1]
    for method in (learned.predict, learned.predict_proba, learned.transform):
        with pytest.raises(ValueError, match=r"X\[1\] has shape \(1, 24\).* 2 pixels"):
            method([images[0], small_image])


# Validation images and weights ------------------------------------------------------


def test_validation_images_and_masks_go_together(images, masks, unread):
    for name, given in (("X_val", images), ("y_val", masks)):
        check_error(*unread, "Pass both X_val and y_val", **{name: given})
    says = "X_val has 10 images, but y_val has 3 masks"
    check_error(*unread, says, X_val=images, y_val=masks[:3])
    floats = images.astype(float)
    check_error(*unread, r"X_val\[0\].*255", X_val=floats, y_val=masks)


@pytest.mark.parametrize("form", ["arrays", "files"])
def test_label_of_validation_masks_that_no_training_mask_has(
    form, files, images, masks
):
    X, y = files if form == "files" else (list(images), list(masks))
    other = np.where(masks[8] == 255, 128, masks[8]).astype(np.uint8)
    says = r"y_val\[2\].* has the label 128, but the training masks have \[0, 255\]"
    if form == "files":
        cv2.imwrite(str(y[8]), other)
        says = says.replace(".* has", ".*8_segmentation.* has")
    else:
        y[8] = other
    check_error(X[:6], y[:6], says, X_val=X[6:], y_val=y[6:])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"sample_weight": [1] * 7}, "sample_weight.*7"),
        ({"sample_weight": [-1] + [1] * 7}, "Negative values .*sample_weight"),
        ({"sample_weight": [np.nan] + [1] * 7}, "sample_weight contains NaN"),
        ({"sample_weight": [0] * 8}, "sample_weight is 0"),
        ({"groups": [1] * 7}, "groups has 7 entries, .* 8 images"),
        ({"groups": ["a", None] * 4}, "groups mixes values of types NoneType, str"),
    ],
    ids=str,
)
def test_wrong_weights_and_groups(arguments, says, unread):
    check_error(*unread, says, **arguments)


@pytest.mark.parametrize(
    ("fraction", "groups", "says"),
    [
        (0.95, None, "validation_fraction=0.95 of the 8 images leaves none"),
        (0.5, [1] * 8, "validation_fraction=0.5 needs two groups, but all 8 images"),
        (0.5, [1, np.nan] * 4, "groups contains NaN, at position 1"),
    ],
)
def test_what_cannot_be_held_out(fraction, groups, says, unread):
    settings = {"validation_fraction": fraction}
    check_error(*unread, says, settings=settings, groups=groups)


# Settings, before any file is read --------------------------------------------------


def ignore_mask(image, random_state):
    return image


def average_alone(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=(1, 2, 3))


WRONG_SETTINGS = [
    ({"depth": 0}, "'depth' parameter"),
    ({"base_filters": 0}, "'base_filters' parameter"),
    ({"image_size": 64}, "'image_size' parameter"),
    ({"image_size": (64,)}, r"image_size=\(64,\) must be"),
    ({"image_size": (16, 17)}, r"image_size=\(16, 17\).* multiples of 2.*\(16, 16\)"),
    ({"pad_to_aspect_ratio": 1}, "'pad_to_aspect_ratio' parameter"),
    ({"loss": "dise"}, "loss='dise' is neither one of .*'dice'"),
    ({"loss": Dice}, "loss=Dice is a class"),
    ({"loss": None}, "'loss' parameter"),
    ({"loss": keras.losses.BinaryCrossentropy(from_logits=True)}, "takes logits"),
    ({"loss": Dice().set_params(smooth=-1)}, "'smooth' parameter"),
    ({"class_weight": "balance"}, "'class_weight' parameter"),
    ({"dropout": 1}, "'dropout' parameter"),
    ({"epochs": 0}, "'epochs' parameter"),
    ({"learning_rate": 0}, "'learning_rate' parameter"),
    ({"learning_rate": keras.layers.Dense(3)}, "learning_rate=<Dense.*schedules"),
    ({"optimizer": "adamm"}, "optimizer='adamm' is not an optimizer"),
    ({"pad_to_aspect_ratio": True, "loss": average_alone}, "averages over all pixels"),
    ({"optimizer": None}, "'optimizer' parameter"),
    ({"batch_size": 0}, "'batch_size' parameter"),
    ({"augmentation": 3}, "'augmentation' parameter"),
    ({"augmentation": Augmentation}, "augmentation=Augmentation is a class"),
    ({"augmentation": Augmentation(rotation=-1)}, "'rotation' parameter"),
    ({"augmentation": ignore_mask}, "masks must be augmented with their images"),
    ({"n_prediction_views": 3}, r"'n_prediction_views' .*\{1, 2, 4, 8\}"),
    ({"threshold": 1.0}, "'threshold' parameter"),
    ({"tile_overlap": 1.0}, "'tile_overlap' parameter"),
    ({"crop_margin": -0.1}, "'crop_margin' parameter"),
    ({"validation_fraction": 1.0}, "'validation_fraction' parameter"),
    ({"early_stopping": True, "monitor": "val_auc"}, "monitor='val_auc': choose one"),
    ({"early_stopping": True, "monitor": "val_val_iou"}, "monitor='val_val_iou'"),
    ({"keras_callbacks": [print]}, "keras_callbacks has .*print"),
    ({"compute_dtype": "float16"}, "'compute_dtype' parameter"),
    ({"random_state": "0"}, "'random_state' parameter"),
]


@pytest.mark.parametrize(
    ("settings", "says"), WRONG_SETTINGS, ids=[next(iter(s)) for s, _ in WRONG_SETTINGS]
)
def test_wrong_settings(settings, says, unread):
    is_of_type = says.endswith(("is a class", "with their images"))
    error = TypeError if is_of_type else ValueError
    check_error(*unread, says, error, settings)


def test_files_are_read_where_all_settings_are_right(unread):
    check_error(*unread, r"[Xy]\[\d\]: .*\.png")


# What is fitted ---------------------------------------------------------------------


def test_nothing_is_there_before_fit(images, masks):
    segmenter = UNetSegmenter()
    for call in (
        lambda: segmenter.predict(images),
        lambda: segmenter.predict_proba(images),
        lambda: segmenter.transform(images),
        lambda: segmenter.score(images, masks),
        lambda: segmenter.model_,
    ):
        with pytest.raises(NotFittedError):
            call()


def test_labels_in_the_score_that_no_training_mask_has(learned, files, masks):
    X, y = files
    other = np.where(masks == 255, 1, 0).astype(np.uint8)
    says = r"has the labels \[1\], but the training masks have \[0, 255\] only"
    with pytest.raises(ValueError, match=rf"^y\[0\] {says}"):
        learned.score(X, other)
    cv2.imwrite(str(y[3]), other[3])
    with pytest.raises(ValueError, match=rf"^y\[3\]: .*3_segmentation\.png' {says}"):
        learned.score(X, y)


def test_score_of_pairs_that_are_none(learned, images, masks):
    with pytest.raises(ValueError, match="X has 10 images, but y has 9 masks"):
        learned.score(images, masks[:9])
    says = r"^y\[2\] .* its image X\[2\] has shape \(20, 24\)"
    turned = [*masks[:2], masks[2].T, *masks[3:]]
    with pytest.raises(ValueError, match=says):
        learned.score(images, turned)


def test_score_stops_at_the_first_pair_that_does_not_fit(learned, images, masks):
    predicted = []
    segmenter = copy.copy(learned).set_params(postprocess=predicted.append)
    turned = [masks[0].T, *masks[1:]]
    with pytest.raises(ValueError, match=r"its image X\[0\]"):
        segmenter.score(images, turned)
    for weights in ([1.0], np.zeros(10)):
        with pytest.raises(ValueError, match="sample_weight"):
            segmenter.score(images, masks, sample_weight=weights)
    assert not predicted


def test_score_is_that_of_the_fitted_network(learned, images, masks):
    expected = learned.score(images, masks)
    # A depth that the encoder does not have, which is an error of the next fit.
    changed = copy.copy(learned).set_params(encoder="vgg16", depth=9)
    assert changed.score(images, masks) == expected


def test_a_fit_that_fails_leaves_what_was_fitted(learned, images, masks):
    before, predicted = hash_weights(learned), learned.predict(images)
    with pytest.raises(ValueError, match="y is None"):
        learned.fit(images, None)
    with pytest.raises(ValueError, match=r"y\[0\] is of dtype float"):
        learned.fit(images, masks / 255)
    assert hash_weights(learned) == before
    np.testing.assert_array_equal(learned.predict(images), predicted)


class Remover:
    """A callback of scikit-learn that removes a file when all settings are checked."""

    max_propagation_depth = None

    def __init__(self, path):
        self.path = path

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.path.unlink(missing_ok=True)

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        pass


@needs_callbacks
def test_a_file_that_is_gone_when_it_is_read_is_named(files):
    X, y = files
    segmenter = make_small().set_callbacks(Remover(y[9]))
    with pytest.raises(FileNotFoundError, match="9_segmentation"):
        segmenter.fit(X, y)
