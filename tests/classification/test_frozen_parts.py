"""A part of the backbone that is frozen is computed once, and its outputs are kept."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import cross_val_predict

from skinest._training import _batches
from skinest.augmentation import Augmentation

from .conftest import apply, bits, changed, layers_of, small

SGD = {"optimizer": "sgd", "learning_rate": 0.01, "dropout": 0.3}
FROZEN = {"trainable": "block_16", **SGD}
TURN = {"augmentation": Augmentation(rotation=180), "n_augmented_copies": 2}


@pytest.fixture
def memory(tmp_path):
    return tmp_path / "memory"


@pytest.fixture
def no_space(monkeypatch):
    """Leave no space, neither in memory nor on disk, but for tiny arrays."""

    def limit(free=10_000, in_memory=0):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
        monkeypatch.setattr(_batches, "_MAX_IN_MEMORY", in_memory)

    return limit


# Once for each image and copy.


def test_each_image_and_copy_passes_the_frozen_part_once(images, y, n_computed):
    small(**FROZEN, epochs=3).fit(images, y)
    assert n_computed() == 12
    settings = {**FROZEN, **TURN, "validation_fraction": 0.25}
    small(**settings, epochs=3).fit(images, y)
    assert n_computed() == 3 * 9 + 3


def test_a_stage_has_features_of_its_own_boundary(images, y, n_computed):
    stages = {"fine_tune": "block_16", "fine_tune_epochs": 1, "epochs": 1}
    small(trainable="Conv_1", **stages).fit(images, y)
    assert n_computed() == 2 * 12
    small(trainable="block_16", **stages).fit(images, y)
    assert n_computed() == 12


def test_memory_is_shared_by_fits_and_folds(images, y, memory, n_computed):
    clf = small(**FROZEN, memory=memory, epochs=1)
    cross_val_predict(clf, images, y, cv=3)
    n_of_predictions = 12  # by networks of other weights, so these are not kept
    assert n_computed() == 12 + n_of_predictions
    plain = small(**FROZEN, epochs=1).fit(images, y)
    n_computed()
    again = small(**FROZEN, memory=memory, epochs=1, batch_size=4).fit(images, y)
    assert n_computed() == 0
    assert bits(again) == bits(plain)
    # Another boundary has entries of its own.
    clf.set_params(trainable="Conv_1").fit(images, y)
    assert n_computed() == 12


def test_memory_is_used_below_what_an_earlier_fit_has_trained(
    images, y, memory, n_computed
):
    def fit_twice(**settings):
        clf = small(**FROZEN, **settings, epochs=1, warm_start=True)
        return clf.fit(images, y).fit(images, y)

    kept = fit_twice(memory=memory)
    assert n_computed() == 12
    assert bits(kept) == bits(fit_twice())
    n_computed()
    kept.set_params(trainable="Conv_1").fit(images, y)  # above what was trained
    assert n_computed() == 12
    assert len(list(memory.rglob("*.pkl"))) == 12


def test_features_of_trained_weights_are_not_written(images, y, memory, n_computed):
    stages = {"fine_tune": "Conv_1", "fine_tune_epochs": 1, "epochs": 1}
    for _ in range(2):
        small(trainable="block_16", **stages, memory=memory).fit(images, y)
    assert n_computed() == (12 + 12) + 12
    assert len(list(memory.rglob("*.pkl"))) == 12


# The same results.

# Values of float32 are rounded to 11 bits. Those of bfloat16 are exact, but rounding
# within a network may depend on how its layers are joined.
COMPUTE_DTYPES = {"float32": 5e-3, "bfloat16": 5e-3}


@pytest.mark.parametrize(
    ("compute_dtype", "train_batch_norm"),
    [
        ("float32", "auto"),
        pytest.param("float32", True, marks=pytest.mark.slow),
        pytest.param("bfloat16", "auto", marks=pytest.mark.slow),
    ],
)
def test_results_are_those_of_training_on_whole_images(
    compute_dtype, train_batch_norm, images, y, no_space
):
    settings = {**FROZEN, **TURN, "compute_dtype": compute_dtype, "epochs": 3}
    settings["train_batch_norm"] = train_batch_norm
    kept = small(**settings).fit(images, y)
    start = small(**settings | {"learning_rate": 1e-12}).fit(images, y)
    no_space()
    with pytest.warns(UserWarning, match="no space"):
        whole = small(**settings).fit(images, y)
    tolerance = COMPUTE_DTYPES[compute_dtype]
    probabilities = [clf.predict_proba(images) for clf in (kept, whole, start)]
    assert_allclose(*probabilities[:2], atol=tolerance)
    assert np.abs(probabilities[0] - probabilities[2]).max() > 50 * tolerance
    losses = [clf.history_["loss"] for clf in (kept, whole)]
    assert_allclose(*losses, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"backbone": "mobilenetv2", "trainable": "block_15_depthwise"},
        {"backbone": "vgg16", "trainable": "block5", "compute_dtype": "bfloat16"},
        {"backbone": "vgg16", "trainable": "block5", "compute_dtype": "float32"},
    ],
    ids=["within a residual block", "bfloat16", "float32"],
)
def test_results_of_large_networks_are_the_same(settings, images, y, no_space):
    # A training that diverges makes differences of rounding large.
    rate = 1e-4 if settings["backbone"] == "vgg16" else 1e-3
    settings = {**SGD, "learning_rate": rate, "epochs": 2, **settings}
    kept = small(**settings).fit(images, y)
    no_space()
    with pytest.warns(UserWarning, match="no space"):
        whole = small(**settings).fit(images, y)
    probabilities = [clf.predict_proba(images) for clf in (kept, whole)]
    assert_allclose(*probabilities, atol=5e-3)
    assert np.ptp(probabilities[0]) > 0.05


def test_exactly_the_part_that_trains_changes(images, y):
    clf = small(**FROZEN, epochs=1, warm_start=True).fit(images, y)
    before = layers_of(clf.model_)
    clf.fit(images, y)
    every, _ = changed(before, layers_of(clf.model_))
    assert every == {"block_16_expand", "block_16_depthwise", "Conv_1", "logits"}
    assert clf.n_iter_per_stage_ == [1, 1]


def test_a_warm_start_is_a_second_stage(images, y):
    settings = {**FROZEN, "epochs": 1, "learning_rate": 0.01}
    two = small(
        **settings, fine_tune="Conv_1", fine_tune_epochs=2, fine_tune_learning_rate=1e-3
    ).fit(images, y)
    one = small(**settings, warm_start=True).fit(images, y)
    one.set_params(trainable="Conv_1", epochs=2, learning_rate=1e-3).fit(images, y)
    assert bits(one) == bits(two)
    assert one.history_ == two.history_


# What callbacks see.


class Watching(keras.callbacks.Callback):
    """Keeps outputs of the whole network after each epoch, and may stop."""

    def __init__(self, see):
        super().__init__()
        self.see = see  # a function, which a copy of the callback shares

    def on_epoch_end(self, epoch, logs=None):
        self.see(self.model)


@pytest.mark.slow
def test_callbacks_see_the_whole_network(images, y, tmp_path):
    seen = []

    def see(model):
        seen.append((model.input_shape, apply(model, images)))

    path = tmp_path / "last.keras"
    callbacks = [Watching(see), keras.callbacks.ModelCheckpoint(path)]
    clf = small(**FROZEN, l2=0.01, keras_callbacks=callbacks).fit(images, y)
    assert [shape for shape, _ in seen] == [(None, 32, 32, 3)] * 2
    expected = clf.predict_proba(images)[:, 1:]
    assert_allclose(seen[-1][1], expected, atol=1e-3)
    loaded = keras.models.load_model(path)
    assert_allclose(apply(loaded, images), expected, atol=1e-3)
    (dropout,) = [x for x in loaded.layers if isinstance(x, keras.layers.Dropout)]
    assert dropout.rate == 0.3
    assert bits(clf) == bits(small(**FROZEN, l2=0.01).fit(images, y))


def test_frozen_weights_that_a_callback_changes_are_those_of_the_next_stage(
    images, y, n_computed
):
    def double(model):
        layer = model.get_layer("Conv1")
        layer.set_weights([2 * array for array in layer.get_weights()])

    clf = small(
        **FROZEN,
        epochs=1,
        fine_tune="block_16",
        fine_tune_epochs=1,
        keras_callbacks=[Watching(double)],
    ).fit(images, y)
    assert n_computed() == 2 * 12
    plain = small(**FROZEN, epochs=1).fit(images, y)
    assert_array_equal(
        clf.model_.get_layer("Conv1").get_weights()[0],
        4 * plain.model_.get_layer("Conv1").get_weights()[0],
    )


def test_the_best_epoch_is_restored(images, y, X_val, y_val):
    settings = {**FROZEN, "epochs": 6, "learning_rate": 0.3, "dropout": 0.0}
    clf = small(**settings, early_stopping=True, n_iter_no_change=6)
    clf.fit(images, y, X_val=X_val, y_val=y_val)
    best = int(np.argmin(clf.history_["val_loss"]))
    until = small(**settings | {"epochs": best + 1})
    until.fit(images, y, X_val=X_val, y_val=y_val)
    assert_array_equal(clf.predict_proba(images), until.predict_proba(images))


# Where features are kept.


def test_a_file_and_memory_give_the_same_bits(images, y, monkeypatch):
    settings = {**FROZEN, **TURN, "validation_fraction": 0.25}
    in_memory = small(**settings).fit(images, y)
    monkeypatch.setattr(_batches, "_MAX_IN_MEMORY", 0)
    in_file = small(**settings).fit(images, y)
    assert bits(in_file) == bits(in_memory)
    assert in_file.history_ == in_memory.history_


def test_without_space_training_goes_on_and_says_so_once(
    images, y, no_space, keras_fits, n_computed
):
    no_space()
    settings = {"trainable": "block_16", "epochs": 2, "validation_fraction": 0.25}
    message = (
        r"computed again in each epoch, because there is no space for its outputs: "
        r"\d+\.\d GB are needed .* has \d+\.\d GB left.*TMPDIR.*n_augmented_copies"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        small(**settings, **TURN).fit(images, y)
    assert len([each for each in caught if "no space" in str(each.message)]) == 1
    inputs = keras_fits[0].epochs()[0][0]
    assert inputs.shape == (9, 32, 32, 3)
    assert n_computed() == 0


def test_nothing_is_said_if_there_is_space(images, y, no_space):
    no_space(free=10**12)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        small(**FROZEN, epochs=1).fit(images, y)
