"""Images and masks stay pairs from the files to the loss."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import accuracy_score, f1_score, jaccard_score
from sklearn.model_selection import train_test_split

from skinest._training import _large_arrays
from skinest._training._batches import OUTSIDE
from skinest.augmentation import Augmentation
from skinest.segmentation._frames import Frame
from skinest.segmentation._pairs import PairSource, read_pairs

from .conftest import (
    N_PAIRS,
    bits,
    joined,
    make_pairs,
    of_brightness,
    small,
    write_files,
)

EPOCHS = 3


@pytest.fixture(scope="module")
def telling():
    """Masks, and images that hold the number of the pair and the mask."""
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


def numbers_of(images):
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
    form, telling, as_files, batches
):
    X, y = as_files if "files" in form else telling
    if form == "lists":
        X, y = list(X), list(y)
    if form == "shuffled files":
        X, _, y, _ = train_test_split(X, y, test_size=2, random_state=1)
    spy = Spy()
    settings = {"augmentation": spy, "validation_fraction": 0.25, "epochs": EPOCHS}
    small(**settings).fit(X, y)
    check_pairs(*(np.stack(arrays) for arrays in zip(*spy.seen, strict=True)))
    train, validation = (joined(batches[kind])[:2] for kind in ("train", "validation"))
    check_pairs(*train)
    check_pairs(*validation)
    n_train = len(spy.seen) // EPOCHS
    counts = Counter(numbers_of(train[0]))
    assert set(counts.values()) == {EPOCHS}
    assert len(counts) == n_train
    held_out = set(numbers_of(validation[0]))
    assert not held_out & set(counts)
    assert len(held_out) + n_train == len(X)
    # In another order in each epoch.
    n = len(train[0]) // EPOCHS
    orders = [tuple(numbers_of(train[0][i * n : (i + 1) * n])) for i in range(EPOCHS)]
    assert len(set(orders)) == EPOCHS


def test_files_train_as_arrays_do(telling, as_files):
    images, codes = telling
    settings = {"augmentation": Augmentation(rotation=90), "validation_fraction": 0.25}
    from_arrays = small(**settings).fit(images, 255 * codes)
    from_files = small(**settings).fit(*as_files)
    assert bits(from_files) == bits(from_arrays)
    assert from_files.history_ == from_arrays.history_


def test_pairs_that_do_not_fit_in_memory_train_as_others_do(telling, monkeypatch):
    expected = small().fit(*telling)
    monkeypatch.setattr(_large_arrays, "_MAX_IN_MEMORY", 0)
    assert bits(small().fit(*telling)) == bits(expected)


# Reading ---------------------------------------------------------------------------


def read(X, y, frame):
    with read_pairs(PairSource(X, y, 2), frame, lambda batches, n: batches) as pairs:
        return pairs


@pytest.mark.parametrize("pad", [False, True])
def test_pairs_of_any_size_are_read_in_their_order(pad, ragged):
    frame = Frame((16, 16), pad)
    X, y = (list(items) * 5 for items in ragged)  # more than are read together
    pairs = read(X, y, frame)
    assert_array_equal(pairs.classes, [0, 255])
    assert pairs.classes.dtype == np.uint8
    assert_array_equal(pairs.shapes, [mask.shape for mask in y])
    for i, (image, mask) in enumerate(zip(X, y, strict=True)):
        assert_array_equal(pairs.images[i], frame.fit_image(image))
        codes = frame.fit_mask(mask, np.unique(mask))
        assert_array_equal(pairs.masks[i], codes)


def test_codes_are_positions_in_all_labels_whichever_comes_first():
    labels = [[9, 3], [7], [3, 7, 9], [3], [200, 9]]
    y = [np.resize(each, (16, 16)).astype(np.uint8) for each in labels]
    X = np.zeros((5, 16, 16, 3), np.uint8)
    pairs = read(X, y, Frame((16, 16), False))
    assert_array_equal(pairs.classes, [3, 7, 9, 200])
    assert_array_equal(pairs.classes[pairs.masks], y)


def test_types_of_masks_are_joined():
    X = np.zeros((2, 4, 4, 3), np.uint8)
    y = [np.eye(4, dtype=bool), np.full((4, 4), 300, np.uint16)]
    pairs = read(X, y, Frame((4, 4), False))
    assert_array_equal(pairs.classes, [0, 1, 300])
    assert pairs.classes.dtype == np.uint16
    assert read(X, [y[0]] * 2, Frame((4, 4), False)).classes.dtype == bool
    y = [y[0].astype(np.uint64), -y[1].astype(np.int64)]  # NumPy makes floats of both
    pairs = read(X, y, Frame((4, 4), False))
    assert_array_equal(pairs.classes, [-300, 0, 1])
    assert pairs.classes.dtype == np.int64


def test_masks_of_more_than_32_labels_in_all_are_refused():
    X = np.zeros((2, 16, 16), np.uint8)
    y = np.arange(512).reshape(2, 16, 16) % 20
    y[1] += 20
    with pytest.raises(ValueError, match=r"y\[1\] holds the label 32.* more than 32"):
        read(X, y, Frame((16, 16), False))


# Padding ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wide():
    """Images that are half as high as wide, and of the network's own width."""
    return make_pairs(N_PAIRS, (8, 16))


def test_padding_has_the_code_of_no_label_and_no_weight(wide, batches):
    images, codes = wide
    small(pad_to_aspect_ratio=True, class_weight="balanced").fit(images, codes)
    found = joined(batches["train"])
    is_padding = found[1] == OUTSIDE
    assert is_padding[:, [0, 1, 2, 3, -4, -3, -2, -1]].all()
    assert not is_padding[:, 4:-4].any()
    assert not found[2][is_padding].any()
    # Balanced: half of all weight for each label, over pixels of images alone.
    for label in (0, 1):
        share = found[2][found[1] == label].sum() / (~is_padding).sum()
        assert share == pytest.approx(0.5, rel=1e-4)


def test_metrics_are_of_pixels_of_images_alone(wide):
    images, codes = wide
    segmenter = small(pad_to_aspect_ratio=True, epochs=3, learning_rate=0.1)
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
    segmenter = small(pad_to_aspect_ratio=True, epochs=1)
    segmenter.fit(images, codes, X_val=images, y_val=codes)
    found = segmenter.predict_proba(images)[..., 1]
    both, either = (codes * found).sum((1, 2)), (codes + found).sum((1, 2))
    expected = np.mean(1 - (2 * both + 1) / (either + 1))
    assert_allclose(segmenter.history_["val_loss"], [expected], rtol=1e-4)


def test_predictions_of_padded_images_are_in_their_place(wide, ragged):
    """Where an image is bright, there its mask is, whatever its shape."""
    images, codes = wide
    segmenter = small(pad_to_aspect_ratio=True, epochs=1).fit(images, codes)
    segmenter = of_brightness(segmenter)
    assert_array_equal(segmenter.predict(images), codes)
    for image, mask in zip(*ragged, strict=True):
        assert segmenter.score([image], [mask // 255]) > 0.85
