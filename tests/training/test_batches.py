"""Batches: what Keras reads, in which order, and what becomes of errors."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import threading
import time
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from skinest.augmentation import Augmentation

from ..classification.conftest import (
    bits,
    find_marked,
    make_images,
    mark,
    read_marks,
    small,
)

N_IMAGES = 13  # in batches of 4, 4, 4 and 1
NETWORK = {"trainable": "all", "hidden_units": ()}
KINDS = {"images": NETWORK, "features": {}, "half": {"trainable": "Conv_1"}}
Y = np.arange(N_IMAGES) % 2
TURN = Augmentation(rotation=180, vertical_flip=True)


@pytest.fixture(scope="module")
def images():
    """Make images that are told apart by their first pixel."""
    made = make_images(N_IMAGES)
    made[:, 0, 0, 0] = np.arange(N_IMAGES)
    return made


@pytest.fixture
def paths(images, tmp_path):
    names = [str(tmp_path / f"{i}.png") for i in range(N_IMAGES)]
    for name, image in zip(names, images, strict=True):
        cv2.imwrite(name, image[..., ::-1])
    return names


@pytest.fixture
def read(keras_fits):
    """Fit, and return what Keras has read: inputs, targets and weights per epoch."""

    def fit_and_read(X, y=Y, name="train", **settings):
        small(**settings).fit(X, y, sample_weight=mark(len(X)), X_val=X, y_val=y)
        return keras_fits[-1].epochs(name)

    return fit_and_read


def list_orders(epochs):
    """List positions of the images in the order in which each epoch has read them."""
    return [read_marks(weights).tolist() for _, _, weights in epochs]


def put_in_place(epoch):
    """Put the inputs of an epoch in the order of the images."""
    inputs, _, weights = epoch
    return inputs[np.argsort(weights)]


@pytest.mark.parametrize(
    "kind", ["images", "features", pytest.param("half", marks=pytest.mark.slow)]
)
def test_each_image_is_in_each_epoch_once_with_its_target_and_weight(
    kind, images, read, keras_fits
):
    labels = np.arange(N_IMAGES)  # a class of its own for each image
    for _ in range(2):  # by a model that is new, and by one that is used again
        epochs = read(images, labels, **KINDS[kind], epochs=4)
        orders = list_orders(epochs)
        for order, (_, targets, _) in zip(orders, epochs, strict=True):
            np.testing.assert_array_equal(np.sort(order), np.arange(N_IMAGES))
            np.testing.assert_array_equal(targets.argmax(axis=1), order)
        assert len(set(map(tuple, orders))) == 4
        assert list(range(N_IMAGES)) not in orders
        sizes = [len(batch[0]) for batch in keras_fits[-1].batches["train"]]
        assert sizes == 4 * [4, 4, 4, 1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_order_is_that_of_seed_and_epoch_alone(kind, images, read, keras_fits):
    settings = KINDS[kind]
    expected = list_orders(read(images, **settings, epochs=3))
    clf = small(**settings, warm_start=True)
    for n_epochs in (2, 1):
        clf.set_params(epochs=n_epochs, batch_size=3 + n_epochs)
        clf.fit(images, 1 - Y, sample_weight=mark(N_IMAGES))
    in_two = [*keras_fits[-2].epochs(), *keras_fits[-1].epochs()]
    assert list_orders(in_two) == expected
    assert list_orders(read(images, **settings, random_state=1))[0] != expected[0]
    # Validation images keep their order.
    for _, targets, _ in read(images, Y, "validation", **settings):
        np.testing.assert_array_equal(targets[:, 0], Y)


def test_one_copy_of_each_image_is_taken_in_each_epoch(images, read, keras_fits):
    epochs = read(images, augmentation=TURN, n_augmented_copies=2, epochs=30)
    taken = np.stack(list(map(put_in_place, epochs)), axis=1)
    own, *_ = keras_fits[-1].epochs("validation")[0]
    for features, without_change in zip(taken, own, strict=True):
        variants, counts = np.unique(features, axis=0, return_counts=True)
        assert len(variants) == 3
        assert (variants == without_change).all(axis=1).any()
        assert counts.min() >= 3  # of 10 that are expected


def test_held_out_images_are_measured_on_without_their_copies(images, read, keras_fits):
    settings = {"augmentation": TURN, "epochs": 2}
    for kind in (KINDS["images"], KINDS["features"]):
        read(images, **kind, **settings)
        augmented = keras_fits[-1].epochs("validation")
        plain = read(images, Y, "validation", **kind)[0]
        for inputs, *_ in augmented:
            np.testing.assert_array_equal(inputs, plain[0])


def test_images_are_resized_and_not_changed_otherwise(images, read):
    inputs = put_in_place(read(images, **NETWORK, epochs=1)[0])
    assert inputs.dtype == np.uint8
    np.testing.assert_array_equal(inputs, images)
    twice = np.kron(images, np.ones((1, 2, 2, 1), dtype=np.uint8))
    inputs = put_in_place(read(twice, **NETWORK, epochs=1)[0])
    np.testing.assert_array_equal(inputs, images)


def test_augmentation_is_random_anew_in_each_epoch(images, read, keras_fits):
    settings = {**NETWORK, "augmentation": TURN}
    first, second = map(put_in_place, read(images, **settings))
    for image, one, other in zip(images, first, second, strict=True):
        assert not np.array_equal(one, image)
        assert not np.array_equal(one, other)
    again = put_in_place(read(images, **settings, epochs=1, batch_size=5)[0])
    np.testing.assert_array_equal(again, first)
    # An image is changed alike whatever else is trained on.
    clf = small(**settings, epochs=1, validation_fraction=0.5)
    clf.fit(images, Y, sample_weight=mark(N_IMAGES))
    train, held_out = find_marked(keras_fits[-1])
    inputs = put_in_place(keras_fits[-1].epochs()[0])
    np.testing.assert_array_equal(inputs, first[train])
    inputs = put_in_place(keras_fits[-1].epochs("validation")[0])
    np.testing.assert_array_equal(inputs, images[held_out])


def test_each_image_of_each_epoch_is_augmented_by_a_draw_of_its_own(images):
    drawn = []

    def draw(image, generator):
        drawn.append(generator.integers(2**60))
        return image

    small(**NETWORK, augmentation=draw, epochs=3).fit(images, Y)
    assert len(set(drawn)) == len(drawn) == 3 * N_IMAGES


def turn_slowly(image, generator):
    """Take longer for some images, so that threads overtake each other."""
    time.sleep(0.02 * (image[0, 0, 0] % 4))
    return TURN(image, generator)


@pytest.mark.parametrize(
    "kind", [pytest.param("array", marks=pytest.mark.slow), "paths"]
)
def test_threads_do_not_change_batches(kind, images, paths, read):
    X = images if kind == "array" else paths
    settings = {**NETWORK, "batch_size": 2}
    expected = read(images, **settings, augmentation=TURN)
    found = read(X, **settings, augmentation=turn_slowly)
    for epoch, other in zip(found, expected, strict=True):
        for array, values in zip(epoch, other, strict=True):
            np.testing.assert_array_equal(array, values)


@pytest.mark.slow
def test_a_second_stage_goes_on_counting_epochs(images, read, keras_fits):
    orders = list_orders(read(images, epochs=10))
    second = {"fine_tune": "Conv_1", "fine_tune_epochs": 2}
    clf = small(epochs=3, warm_start=True, **second)
    keras_fits.clear()
    for _ in range(2):
        clf.fit(images, Y, sample_weight=mark(N_IMAGES))
    found = [list_orders(keras_fit.epochs()) for keras_fit in keras_fits]
    assert found == [orders[:3], orders[3:5], orders[5:8], orders[8:]]


DECODED_ONCE = {
    "head": {"epochs": 3},
    "head with copies": {
        "epochs": 3,
        "augmentation": TURN,
        "validation_fraction": 0.25,
    },
    "network": {"epochs": 3, **NETWORK},
    "upper part": {"epochs": 3, "trainable": "Conv_1"},
    "network with augmentation": {
        "epochs": 3,
        "augmentation": TURN,
        "validation_fraction": 0.25,
        **NETWORK,
    },
    "two stages": {"fine_tune": "Conv_1", "fine_tune_epochs": 3},
    "two stages of the network": {
        "trainable": "Conv_1",
        "fine_tune": "block_16",
        "fine_tune_epochs": 2,
    },
    "the network, then the head": {
        "trainable": "Conv_1",
        "fine_tune": "head",
        "fine_tune_epochs": 2,
    },
}


@pytest.mark.parametrize("name", DECODED_ONCE)
def test_a_fit_decodes_each_file_once(name, paths, decoded):
    small(**DECODED_ONCE[name]).fit(paths, Y)
    assert decoded.counts(paths) == [1] * N_IMAGES


@pytest.mark.parametrize("name", ["head", "network", "upper part", "two stages"])
def test_a_fit_decodes_validation_files_once(name, paths, decoded):
    clf = small(**DECODED_ONCE[name])
    clf.fit(paths[:8], Y[:8], X_val=paths[8:], y_val=Y[8:])
    assert decoded.counts(paths) == [1] * N_IMAGES


def test_a_prediction_decodes_each_file_once(paths, decoded):
    clf = small(epochs=1).fit(paths, Y)
    for n_times, method in enumerate((clf.predict_proba, clf.predict), start=2):
        method(paths)
        assert decoded.counts(paths) == [n_times] * N_IMAGES
    clf.score(paths, Y)
    assert decoded.counts(paths) == [4] * N_IMAGES


@pytest.mark.parametrize(
    "augmentation", [None, Augmentation()], ids=["plain", "augmented"]
)
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


def list_own_threads():
    return [t for t in threading.enumerate() if t.name.startswith("skinest-")]


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
    assert list_own_threads() == []


def no_luck(image, generator):
    if image[0, 0, 0] == 9:
        raise ArithmeticError("no luck")
    return image


@pytest.mark.usefixtures("own_models", "no_graphs")
def test_the_error_of_an_augmentation_is_the_error_raised(images):
    with pytest.raises(ArithmeticError, match=r"^no luck$"):
        small(**NETWORK, augmentation=no_luck).fit(images, Y)
    assert list_own_threads() == []


class StopWithinEpoch(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = True


@pytest.mark.slow
def test_a_stop_within_an_epoch_leaves_no_threads(images):
    threads = threading.active_count()
    stop = {"keras_callbacks": [StopWithinEpoch()], "batch_size": 1}
    stopped = small(**NETWORK, **stop).fit(images, Y)
    assert stopped.n_iter_ == 1
    assert list_own_threads() == []
    # TensorFlow's own threads that have called Python are counted for a while.
    names = [t.name for t in threading.enumerate() if "Dummy" not in t.name]
    assert len(names) <= threads
