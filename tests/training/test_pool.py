"""Models that are used again: what they forget, who has them, how many there are."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import gc
import random
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import keras
import numpy as np
import pytest

from skinest._training import _pool
from skinest._training._batches import FeatureBatches
from skinest._training._pool import borrowed, weights_of
from skinest._training._seeds import preserved_random_state
from skinest._training._stages import Stage, run_stage
from skinest.classification._fitting import objective
from skinest.networks._transfer import HeadSpec, build_head, draw_head

from ..classification.conftest import bits, make_images, small

Y = np.arange(12) % 2
SPEC = HeadSpec((4,), 0.5, 0.0, 1)
START = draw_head(6, (4, 1), 0)
FEATURES = np.random.default_rng(0).normal(size=(20, 2, 6)).astype(np.float32)
TARGETS = (FEATURES[:, 0, :1] > 0).astype(np.float32)


@pytest.fixture
def pool(monkeypatch):
    """An empty pool."""
    idle = []
    monkeypatch.setattr(_pool, "_idle", idle)
    return idle


def keys_of(pool):
    return [key for key, _ in pool]


def build():
    return build_head(SPEC, 6)


def train(optimizer="adam", learning_rate=0.05, seed=0, n_images=20):
    """Weights and history of a small head."""
    stage = Stage(
        key=("head", SPEC, 6),
        build=build,
        objective=partial(objective, SPEC.n_outputs),
        epochs=3,
        learning_rate=learning_rate,
        optimizer=optimizer,
        seed=[seed],
    )
    features, y = FEATURES[:n_images], TARGETS[:n_images]
    weights = np.ones(n_images, dtype=np.float32)
    return run_stage(stage, START, FeatureBatches(features, y, weights, 8, seed))


def assert_same(one, other):
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert one[1] == other[1]


def test_a_model_is_the_same_object_after_it_was_given_back(pool):
    with borrowed("key", build) as first:
        assert pool == []
    with borrowed("key", build) as second:
        assert second is first
    with borrowed("other", build) as third:
        assert third is not first
    assert keys_of(pool) == ["key", "other"]


OPTIMIZERS = {
    "adam": ("adam", 0.05),
    "nadam": ("nadam", 0.05),  # holds a product of its own
    "momentum": (keras.optimizers.SGD(0.05, momentum=0.9), None),
    "moving average": (keras.optimizers.Adam(0.05, use_ema=True), None),
    "schedule": (
        "rmsprop",
        keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=2, decay_rate=0.5),
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_model_forgets_its_last_training(name, pool):
    optimizer, learning_rate = OPTIMIZERS[name]
    first = train(optimizer, learning_rate)
    (model,) = pool
    other = train(optimizer, learning_rate, seed=1, n_images=13)
    assert not np.array_equal(first[0][0], other[0][0])
    again = train(optimizer, learning_rate)
    assert pool == [model]
    assert_same(again, first)


def test_learning_rates_share_a_model_and_optimizers_do_not(pool):
    slow = train(learning_rate=0.01)
    (model,) = pool
    fast = train(learning_rate=0.1)
    assert pool == [model]
    assert not np.array_equal(slow[0][0], fast[0][0])
    pool.clear()
    assert_same(train(learning_rate=0.1), fast)
    train(keras.optimizers.Adam(0.1, beta_1=0.5), None)
    train("sgd")
    assert len(pool) == 3


class SlowsDown(keras.callbacks.Callback):
    """Changes what belongs to the model that is being trained."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.learning_rate = 1e-6
        self.model.stop_training = True


def test_what_keras_callbacks_change_is_undone():
    images = make_images(12)
    plain = small(epochs=3).fit(images, Y)
    stopped = small(epochs=3, keras_callbacks=[SlowsDown()]).fit(images, Y)
    assert stopped.n_iter_ == 1
    again = small(epochs=3).fit(images, Y)
    assert again.n_iter_ == 3
    assert bits(again) == bits(plain)


def test_fits_of_other_data_and_settings_leave_no_trace(pool):
    """Head, then network, of fresh models and of those that others have used."""
    images = make_images(12)

    def fit(X=images, y=Y, **settings):
        settings = {"dropout": 0.5, "hidden_units": (4,), **settings}
        stages = {"fine_tune": "Conv_1", "fine_tune_epochs": 2}
        clf = small(**stages, **settings).fit(X, y)
        return bits(clf), clf.history_, clf.predict_proba(images).tobytes()

    first = fit()
    n_models = len(pool)
    fit(make_images(9, seed=5), Y[:9], learning_rate=1.0, batch_size=5, random_state=3)
    assert fit() == first
    assert len(pool) == n_models


def test_nested_and_concurrent_use_have_models_of_their_own(pool):
    with borrowed("key", build) as outer, borrowed("key", build) as inner:
        assert outer is not inner
    assert keys_of(pool) == ["key", "key"]
    barrier = threading.Barrier(3)

    def use():
        with borrowed("key", build) as model:
            barrier.wait(timeout=60)
            return model

    with ThreadPoolExecutor(3) as threads:
        models = [job.result() for job in [threads.submit(use) for _ in range(3)]]
    assert len(set(map(id, models))) == 3
    assert {id(outer), id(inner)} <= set(map(id, models))


def test_concurrent_trainings_are_those_of_one_thread(pool):
    seeds = [0, 1, 2, 3]
    expected = [train(seed=seed) for seed in seeds]
    state = random.getstate()
    with ThreadPoolExecutor(2) as threads:
        trained = list(threads.map(lambda seed: train(seed=seed), seeds))
    for one, other in zip(trained, expected, strict=True):
        assert_same(one, other)
    assert random.getstate() == state


def test_a_model_is_dropped_after_an_error(pool):
    with pytest.raises(RuntimeError, match="no luck"), borrowed("key", build) as first:
        raise RuntimeError("no luck")
    assert pool == []
    with borrowed("key", build) as second:
        assert second is not first


def test_the_number_of_models_is_bounded(pool, monkeypatch):
    monkeypatch.setattr(_pool, "_MAX_IDLE", 3)
    for key in "abcd":
        with borrowed(key, build):
            pass
    assert keys_of(pool) == ["b", "c", "d"]
    with borrowed("b", build):
        pass
    with borrowed("e", build):
        pass
    assert keys_of(pool) == ["d", "b", "e"]  # the one unused for longest is dropped


def test_what_models_hold_is_bounded(pool, monkeypatch):
    n_bytes = 4 * (6 * 4 + 4 + 4 + 1)
    with borrowed("a", build) as model:
        assert model.n_bytes == n_bytes
    monkeypatch.setattr(_pool, "_MAX_BYTES", 2 * n_bytes)
    for key in "bc":
        with borrowed(key, build):
            pass
    assert keys_of(pool) == ["b", "c"]
    monkeypatch.setattr(_pool, "_MAX_BYTES", 1)
    with borrowed("d", build):
        pass
    assert keys_of(pool) == ["d"]


def test_an_optimizer_counts_in_what_a_model_holds(pool):
    train("adam")
    train("sgd")
    adam, sgd = (model.n_bytes for _, model in pool)
    n_trained = 4 * (6 * 4 + 4 + 4 + 1)
    assert adam - sgd == 2 * n_trained


def test_weights_that_are_there_are_not_set_again(pool):
    with borrowed("key", build) as reusable:
        reusable.load(START, "digest")
        kernel = reusable.model.weights[0]
        kernel.assign(np.zeros(kernel.shape))
        reusable.load(START, "digest")
        assert not np.asarray(kernel).any()
        reusable.load(START, "another")
        np.testing.assert_array_equal(np.asarray(kernel), START[0])
        reusable.load(START)
        reusable.load([np.zeros_like(array) for array in START], "another")
        assert not np.asarray(kernel).any()


def test_arrays_of_weights_do_not_change_with_the_model(pool):
    with borrowed("key", build) as reusable:
        kernel = reusable.model.weights[0]
        kernel.assign(np.ones(kernel.shape))
        arrays = weights_of(reusable.model)
        kernel.assign(np.zeros(kernel.shape))
        assert arrays[0].all()


def test_no_data_outlive_a_training(pool):
    """Under TensorFlow all that Keras reads from does."""

    def run(data):
        weights = np.ones(len(data), dtype=np.float32)
        make = (
            FeatureBatches(data, TARGETS, weights, 8, 0),
            FeatureBatches(data, TARGETS, weights, 8, None),
        )
        stage = Stage(
            ("head", SPEC, 6),
            build,
            partial(objective, SPEC.n_outputs),
            2,
            0.05,
            "adam",
            [0],
        )
        run_stage(stage, START, *make)

    data = FEATURES.copy()
    reference = weakref.ref(data)
    run(data)
    del data
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("settings", [{}, {"trainable": "Conv_1"}], ids=str)
def test_no_images_outlive_a_fit(settings):
    images, X_val = make_images(12), make_images(12, seed=1)
    references = [weakref.ref(images), weakref.ref(X_val)]
    clf = small(**settings).fit(images, Y, X_val=X_val, y_val=Y)
    del images, X_val
    gc.collect()
    assert [reference() for reference in references] == [None, None]
    assert clf.n_iter_ == 2


def test_python_random_state_is_put_back_by_the_last_to_leave():
    state = random.getstate()
    first, second = preserved_random_state(), preserved_random_state()
    first.__enter__()
    random.random()
    second.__enter__()
    random.random()
    first.__exit__(None, None, None)
    assert random.getstate() != state
    second.__exit__(None, None, None)
    assert random.getstate() == state
