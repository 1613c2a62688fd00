"""Batches: what is in them, in which order, and what becomes of errors."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import threading
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from skinest._training._batches import FeatureBatches, ImageBatches, as_dataset
from skinest.augmentation import Augmentation
from skinest.classification import _fitting
from skinest.images import check_images

from ..classification.conftest import bits, make_images, small

N_IMAGES = 13  # in batches of 4, 4, 4 and 1
SIZE = (32, 32)


@pytest.fixture(scope="module")
def images():
    """Images that are told apart by their first pixel."""
    made = make_images(N_IMAGES)
    made[:, 0, 0, 0] = np.arange(N_IMAGES)
    return made


@pytest.fixture
def paths(images, tmp_path):
    names = [str(tmp_path / f"{i}.png") for i in range(N_IMAGES)]
    for name, image in zip(names, images, strict=True):
        cv2.imwrite(name, image[..., ::-1])
    return names


def targets():
    numbers = np.arange(N_IMAGES, dtype=np.float32)
    return numbers[:, np.newaxis], 100 + numbers


made = []


@pytest.fixture(autouse=True)
def released():
    """Ends the threads of batches that a test has made."""
    yield
    while made:
        made.pop().release()


def image_batches(X, seed=0, augmentation=None, positions=None, **options):
    y, weights = targets()
    positions = np.arange(N_IMAGES) if positions is None else positions
    y, weights = y[: len(positions)], weights[: len(positions)]
    batches = ImageBatches(
        check_images(X), positions, SIZE, augmentation, y, weights, 4, seed, **options
    )
    made.append(batches)
    return batches


def feature_batches(n_views=3, seed=0):
    """Features that tell the image and the view."""
    features = np.empty((N_IMAGES, n_views, 2), dtype=np.float32)
    features[..., 0] = np.arange(N_IMAGES)[:, np.newaxis]
    features[..., 1] = np.arange(n_views)
    return FeatureBatches(features, *targets(), 4, seed)


def read(batches, epoch=0):
    """The batches of an epoch, each array joined."""
    batches.begin_epoch(epoch)
    parts = [batches[index] for index in range(len(batches))]
    assert [len(part[0]) for part in parts] == [4, 4, 4, 1]
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


@pytest.mark.parametrize("kind", ["images", "features"])
def test_each_image_is_in_each_epoch_once_with_its_target_and_weight(kind, images):
    batches = image_batches(images) if kind == "images" else feature_batches()
    orders = []
    for epoch in range(4):
        inputs, y, weights = read(batches, epoch)
        order = inputs[:, 0, 0, 0] if kind == "images" else inputs[:, 0]
        np.testing.assert_array_equal(np.sort(order), np.arange(N_IMAGES))
        np.testing.assert_array_equal(y[:, 0], order)
        np.testing.assert_array_equal(weights, 100 + order.astype(np.float32))
        orders.append(tuple(order))
    assert len(set(orders)) == 4
    assert tuple(range(N_IMAGES)) not in orders


@pytest.mark.parametrize("kind", ["images", "features"])
def test_order_is_that_of_seed_and_epoch_alone(kind, images):
    def order_of(seed, epoch, before=()):
        make = image_batches if kind == "images" else feature_batches
        batches = make(images, seed) if kind == "images" else make(seed=seed)
        for earlier in before:
            read(batches, earlier)
        return read(batches, epoch)[1][:, 0].tolist()

    expected = order_of(7, 2)
    assert order_of(7, 2, before=(0, 1)) == expected
    assert order_of(7, 2, before=(3, 2, 5)) == expected
    assert order_of(8, 2) != expected
    assert order_of(None, 2) == list(range(N_IMAGES))


def test_one_view_of_each_image_is_drawn_in_each_epoch():
    batches = feature_batches(n_views=3)
    views = np.array([read(batches, epoch)[0] for epoch in range(60)])
    in_place = np.take_along_axis(
        views[..., 1], np.argsort(views[..., 0], axis=1), axis=1
    )
    counts = np.stack([(in_place == view).sum(axis=0) for view in range(3)])
    assert counts.min() >= 8  # of 20 that are expected; chance 1e-3 for any of 39
    held_out = read(feature_batches(n_views=3, seed=None))[0]
    assert not held_out[:, 1].any()


def test_images_are_resized_and_not_changed_otherwise(images):
    inputs = read(image_batches(images, seed=None))[0]
    assert inputs.dtype == np.uint8
    np.testing.assert_array_equal(inputs, images)
    twice = np.kron(images, np.ones((1, 2, 2, 1), dtype=np.uint8))
    np.testing.assert_array_equal(read(image_batches(twice, None))[0], images)


def test_some_positions_are_read(images):
    positions = np.array([9, 2, 11])
    batches = image_batches(images, seed=None, positions=positions)
    assert len(batches) == 1
    np.testing.assert_array_equal(batches[0][0], images[positions])


def test_augmentation_is_drawn_anew_in_each_epoch(images):
    turn = Augmentation(rotation=180, vertical_flip=True)
    batches = image_batches(images, augmentation=turn)

    def in_place(epoch, batches=batches):
        inputs, y, _ = read(batches, epoch)
        return inputs[np.argsort(y[:, 0])]

    first, second = in_place(0), in_place(1)
    for image, one, other in zip(images, first, second, strict=True):
        assert not np.array_equal(one, image)
        assert not np.array_equal(one, other)
    np.testing.assert_array_equal(in_place(0), first)
    # An image is changed alike whatever else is trained on.
    positions = np.array([9, 2, 11])
    some = image_batches(images, augmentation=turn, positions=positions)
    inputs, y, _ = some[0]
    np.testing.assert_array_equal(inputs[np.argsort(y[:, 0])], first[positions])


@pytest.mark.parametrize("kind", ["array", "paths"])
def test_threads_do_not_change_batches(kind, images, paths):
    X = images if kind == "array" else paths
    turn = Augmentation(rotation=180)
    expected = read(image_batches(images, augmentation=turn, n_threads=1), 1)
    for n_threads in (1, 2, 4):
        batches = image_batches(X, augmentation=turn, n_threads=n_threads)
        for array, other in zip(read(batches, 1), expected, strict=True):
            np.testing.assert_array_equal(array, other)


def test_a_batch_may_be_read_out_of_turn(images):
    batches = image_batches(images)
    third = batches[2][1]
    first = batches[0][1]
    in_turn = read(image_batches(images))[1]
    np.testing.assert_array_equal(third, in_turn[8:12])
    np.testing.assert_array_equal(first, in_turn[:4])
    np.testing.assert_array_equal(batches[0][1], first)


def test_keras_reads_what_the_batches_hold(images):
    for make in (lambda: image_batches(images), feature_batches):
        expected = read(make(), 3)
        batches = make()
        batches.begin_epoch(3)
        dataset = as_dataset(batches)
        if keras.backend.backend() != "tensorflow":
            assert dataset is batches
            return
        assert int(dataset.cardinality()) == 4
        parts = list(dataset.as_numpy_iterator())
        joined = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        for array, other in zip(joined, expected, strict=True):
            assert array.dtype == other.dtype
            np.testing.assert_array_equal(array, other)
    assert as_dataset(None) is None


# In a fit.

NETWORK = {"trainable": "Conv_1", "hidden_units": ()}
Y = np.arange(N_IMAGES) % 2


@pytest.fixture
def epochs_read(monkeypatch):
    """Positions of the images that are read for each epoch of a training."""
    recorded = {}

    class Recording(ImageBatches):
        def _read(self, chosen, epoch):
            if self._seed is not None:
                recorded.setdefault(epoch, []).extend(chosen.tolist())
            return super()._read(chosen, epoch)

    monkeypatch.setattr(_fitting, "ImageBatches", Recording)
    return recorded


def test_a_training_reads_each_image_once_in_each_epoch(images, epochs_read):
    for _ in range(2):  # by a model that is new, and by one that is used again
        epochs_read.clear()
        small(**NETWORK, epochs=3).fit(images, Y, X_val=images, y_val=Y)
        assert sorted(epochs_read) == [0, 1, 2]
        for positions in epochs_read.values():
            assert sorted(positions) == list(range(N_IMAGES))


def test_a_second_stage_goes_on_counting_epochs(images, epochs_read):
    second = {"fine_tune": "Conv_1", "fine_tune_epochs": 2}
    clf = small(epochs=3, warm_start=True, **second).fit(images, Y)
    assert sorted(epochs_read) == [3, 4]
    epochs_read.clear()
    clf.fit(images, Y)
    assert sorted(epochs_read) == [8, 9]


@pytest.mark.parametrize("augmentation", [None, Augmentation()], ids=["plain", "drawn"])
def test_training_from_paths_is_training_from_arrays(augmentation, images, paths):
    settings = {
        "augmentation": augmentation,
        "validation_fraction": 0.3,
        "fine_tune": "Conv_1",
        "fine_tune_epochs": 2,
    }
    from_arrays = small(**settings).fit(images, Y)
    from_paths = small(**settings).fit(paths, Y)
    assert bits(from_paths) == bits(from_arrays)
    assert from_paths.history_ == from_arrays.history_
    np.testing.assert_array_equal(
        from_paths.predict_proba(paths), from_arrays.predict_proba(images)
    )


def our_threads():
    return [t for t in threading.enumerate() if t.name.startswith("skinest-images")]


@pytest.mark.parametrize("where", ["training", "validation"])
def test_an_image_that_cannot_be_read_is_named(where, images, paths):
    Path(paths[11]).write_bytes(Path(paths[11]).read_bytes()[:80])
    clf = small(**NETWORK, batch_size=1)
    name = "X" if where == "training" else "X_val"
    with pytest.raises(ValueError, match=rf"^{name}\[11\]: .*11\.png' is truncated"):
        if where == "training":
            clf.fit(paths, Y)
        else:
            clf.fit(images, Y, X_val=paths, y_val=Y)
    assert our_threads() == []


def no_luck(image, generator):
    if image[0, 0, 0] == 9:
        raise ArithmeticError("no luck")
    return image


def test_the_error_of_an_augmentation_is_the_error_raised(images):
    with pytest.raises(ArithmeticError, match=r"^no luck$"):
        small(**NETWORK, augmentation=no_luck).fit(images, Y)
    assert our_threads() == []


class StopWithinEpoch(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = True


def test_a_stop_within_an_epoch_leaves_no_threads(images):
    threads = threading.active_count()
    stop = {"keras_callbacks": [StopWithinEpoch()], "batch_size": 1}
    stopped = small(**NETWORK, **stop).fit(images, Y)
    assert stopped.n_iter_ == 1
    assert our_threads() == []
    # TensorFlow's own threads that have called Python are counted for a while.
    names = [t.name for t in threading.enumerate() if "Dummy" not in t.name]
    assert len(names) <= threads
