"""Images and masks stay pairs from the files to the loss."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import accuracy_score, f1_score, jaccard_score
from sklearn.model_selection import train_test_split

# Its limit of memory is lowered, as no test can fill a GiB.
from skinest._training import _batches
from skinest.augmentation import Augmentation
from skinest.images import resize

from .conftest import (
    N_PAIRS,
    fit_brightness,
    hash_weights,
    make_pairs,
    make_small,
    record_fit,
    write_files,
)

EPOCHS = 3


@pytest.fixture(scope="module")
def telling():
    """Draw masks, and images that hold the number of the pair and the mask."""
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 2, (N_PAIRS, 16, 16), dtype=np.uint8)
    codes[np.arange(N_PAIRS), 0, 0] = np.arange(N_PAIRS) % 2
    numbers = np.broadcast_to(20 * np.arange(N_PAIRS)[:, None, None], codes.shape)
    images = np.stack([numbers, 255 * codes, 0 * codes], axis=-1).astype(np.uint8)
    # Twice as large, so that both are made smaller: exactly, in squares of 2 x 2.
    return tuple(array.repeat(2, axis=1).repeat(2, axis=2) for array in (images, codes))


@pytest.fixture
def as_files(telling, tmp_path):
    images, codes = telling
    return (
        write_files(tmp_path / "images", images),
        write_files(tmp_path / "masks", 255 * codes, "_segmentation"),
    )


def list_numbers(images):
    return (images[:, 0, 0, 0] // 20).tolist()


def check_pairs(images, codes):
    """Raise unless each image has the mask that it holds."""
    assert_array_equal(images[..., 1] == 255, codes == 1)


class Spy:
    """An augmentation that keeps the pairs that it gets, and may turn them over."""

    def __init__(self):
        self.seen = []

    def __call__(self, image, mask, random_state):
        self.seen.append((image.copy(), mask.copy()))
        if random_state.random() < 0.5:
            return image[::-1].copy(), mask[::-1].copy()
        return image, mask


@pytest.mark.parametrize("form", ["arrays", "lists", "files", "shuffled files"])
def test_each_image_has_its_own_mask_in_all_batches_of_all_epochs(
    form, telling, as_files
):
    X, y = as_files if "files" in form else telling
    if form == "lists":
        X, y = list(X), list(y)
    if form == "shuffled files":
        X, _, y, _ = train_test_split(X, y, test_size=2, random_state=1)
    spy = Spy()
    settings = {"augmentation": spy, "validation_fraction": 0.25, "epochs": EPOCHS}
    fit = record_fit(make_small(**settings), X, y)
    check_pairs(*(np.stack(arrays) for arrays in zip(*spy.seen, strict=True)))
    held_out = set(list_numbers(fit.validation[0]))
    check_pairs(*fit.validation[:2])
    orders = []
    for images, masks, _, _ in fit.epochs:
        check_pairs(images, masks)
        orders.append(list_numbers(images))
        assert sorted(orders[-1]) == sorted(orders[0])
        assert not held_out & set(orders[-1])
        assert len(set(orders[-1])) + len(held_out) == len(X)
    assert len(spy.seen) == EPOCHS * len(orders[0])
    assert len(set(map(tuple, orders))) == EPOCHS


def test_files_train_as_arrays_do(telling, as_files):
    images, codes = telling
    settings = {"augmentation": Augmentation(rotation=90), "validation_fraction": 0.25}
    from_arrays = make_small(**settings).fit(images, 255 * codes)
    from_files = make_small(**settings).fit(*as_files)
    assert hash_weights(from_files) == hash_weights(from_arrays)
    assert from_files.history_ == from_arrays.history_


def test_pairs_that_do_not_fit_in_memory_train_as_others_do(telling, monkeypatch):
    expected = make_small().fit(*telling)
    monkeypatch.setattr(_batches, "_MAX_IN_MEMORY", 0)
    assert hash_weights(make_small().fit(*telling)) == hash_weights(expected)


# Reading ---------------------------------------------------------------------------


def read(X, y, **settings):
    """Return a segmenter that is not trained, and the pairs as they are validated on.

    Those stay in their order.
    """
    segmenter = make_small(**settings)
    images, codes, _, _ = record_fit(segmenter, X, y, X_val=X, y_val=y).validation
    return segmenter, images, codes


@pytest.mark.parametrize("pad", [False, True])
def test_pairs_of_any_size_are_read_in_their_order(pad, ragged):
    X, y = (list(items) * 5 for items in ragged)  # more than are read together
    segmenter, images, codes = read(X, y, pad_to_aspect_ratio=pad)
    assert_array_equal(segmenter.classes_, [0, 255])
    assert segmenter.classes_.dtype == np.uint8
    median = np.median([mask.shape for mask in y], axis=0)
    assert_array_equal(segmenter.tile_shape_, median)
    for i, (image, mask) in enumerate(zip(*ragged, strict=True)):
        _, *alone = read([image], [mask], pad_to_aspect_ratio=pad)
        for place in range(i, len(X), 5):
            assert_array_equal(images[place], alone[0][0])
            assert_array_equal(codes[place], alone[1][0])
        if not pad:
            assert_array_equal(images[i], resize(image, (16, 16)))


@pytest.mark.parametrize(
    "labels", [[[9, 3], [7], [3, 7, 9], [3], [200, 9]], [[128], [255], [0]]]
)
def test_codes_are_positions_in_all_labels_whichever_comes_first(labels):
    y = [np.resize(each, (16, 16)).astype(np.uint8) for each in labels]
    X = np.zeros((len(y), 16, 16, 3), np.uint8)
    segmenter, _, codes = read(X, y)
    assert_array_equal(segmenter.classes_, np.unique(np.concatenate(labels)))
    assert_array_equal(segmenter.classes_[codes], y)


@pytest.mark.parametrize("first", [True, False])
def test_masks_of_booleans_may_begin_with_a_full_one(first):
    """NumPy's difference of booleans is never negative."""
    y = np.array([np.full((16, 16), first), np.eye(16, dtype=bool)])
    segmenter, _, codes = read(np.zeros((2, 16, 16, 3), np.uint8), y)
    assert_array_equal(segmenter.classes_, [False, True])
    assert_array_equal(codes, y)


def test_types_of_masks_are_joined():
    X = np.zeros((2, 16, 16, 3), np.uint8)
    corner, full = np.eye(16, dtype=bool), np.full((16, 16), 300, np.uint16)
    for y, dtype, classes in (
        ([corner, full], np.uint16, [0, 1, 300]),
        ([corner, corner], bool, [0, 1]),
        # NumPy makes floats of both.
        ([corner.astype(np.uint64), full.astype(np.int64)], np.int64, [0, 1, 300]),
    ):
        segmenter, _, codes = read(X, y)
        assert_array_equal(segmenter.classes_, classes)
        assert segmenter.classes_.dtype == segmenter.predict(X).dtype == dtype
        assert_array_equal(segmenter.classes_[codes], y)


def test_masks_of_more_than_32_labels_in_all_are_refused():
    X = np.zeros((2, 16, 16), np.uint8)
    y = np.arange(512).reshape(2, 16, 16) % 20
    y[1] += 20
    with pytest.raises(ValueError, match=r"y\[1\] has the label 32.* more than 32"):
        make_small().fit(X, y)


# Padding ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wide():
    """Make images half as high as wide, and of the network's own width."""
    return make_pairs(N_PAIRS, (8, 16))


def test_padding_has_no_weight(wide):
    images, codes = wide
    segmenter = make_small(pad_to_aspect_ratio=True, class_weight="balanced")
    fit = record_fit(segmenter, images, codes)
    found, weights = fit.train[1:3]
    assert not weights[:, [0, 1, 2, 3, -4, -3, -2, -1]].any()
    assert weights[:, 4:-4].all()
    # Balanced: half of all weight for each label, over pixels of images alone.
    for label in (0, 1):
        share = weights[found == label].sum() / codes.size
        assert share == pytest.approx(0.5, rel=1e-4)
    # They have no part in what the network starts from either.
    segmenter.set_params(class_weight=None)
    bias = record_fit(segmenter, images, codes).weights[-1]
    assert_allclose(bias, [np.log(codes.mean() / (1 - codes.mean()))], rtol=1e-5)


def test_metrics_are_of_pixels_of_images_alone(wide):
    images, codes = wide
    segmenter = make_small(pad_to_aspect_ratio=True, epochs=3, learning_rate=0.1)
    segmenter.fit(images, codes, X_val=images, y_val=codes)
    # At their own size images are as the network sees them.
    predicted, true = segmenter.predict(images).ravel(), codes.ravel()
    assert 0 < predicted.mean() < 1
    last = {name: values[-1] for name, values in segmenter.history_.items()}
    assert_allclose(last["val_accuracy"], accuracy_score(true, predicted), rtol=1e-5)
    assert_allclose(last["val_dice"], f1_score(true, predicted), rtol=1e-5)
    assert_allclose(last["val_iou"], jaccard_score(true, predicted), rtol=1e-5)


def test_loss_is_of_pixels_of_images_alone(wide):
    images, codes = wide
    segmenter = make_small(pad_to_aspect_ratio=True, epochs=1)
    segmenter.fit(images, codes, X_val=images, y_val=codes)
    found = segmenter.predict_proba(images)[..., 1]
    both, either = (codes * found).sum((1, 2)), (codes + found).sum((1, 2))
    expected = np.mean(1 - (2 * both + 1) / (either + 1))
    assert_allclose(segmenter.history_["val_loss"], [expected], rtol=1e-4)


def test_predictions_of_padded_images_are_in_their_place(wide, ragged):
    """Show that a mask is where its image is bright, whatever its shape."""
    images, codes = wide
    segmenter = make_small(pad_to_aspect_ratio=True, epochs=1)
    fit_brightness(segmenter, images, codes)
    assert_array_equal(segmenter.predict(images), codes)
    for image, mask in zip(*ragged, strict=True):
        assert segmenter.score([image], [mask // 255]) > 0.85
