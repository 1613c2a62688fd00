"""Keras' optimizers and callbacks, and scikit-learn's callbacks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.model_selection import GridSearchCV

from skinest.metrics import dice_score, dice_scorer
from tests.callbacks import ProgressBar, Recorder, ScoringMonitor, needs_callbacks

from .conftest import hash_weights, make_small


@pytest.fixture(scope="module")
def fitted(images, masks):
    return make_small().fit(images, masks)


# Keras' own -------------------------------------------------------------------------


@pytest.mark.slow
def test_optimizer_is_left_as_it_was_and_serves_again(images, masks, fitted):
    optimizer = keras.optimizers.Adam(0.01)
    config = optimizer.get_config()
    for _ in range(2):
        # Its own rate holds.
        given = make_small(optimizer=optimizer, learning_rate=0.7).fit(images, masks)
        assert hash_weights(given) == hash_weights(fitted)
    assert optimizer.get_config() == config
    assert not optimizer.built


def test_schedule_reaches_the_training(images, masks, fitted):
    # Nothing is learned after the first epoch of three batches.
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.01, 0.0])
    config = schedule.get_config()
    scheduled = make_small(learning_rate=schedule).fit(images, masks)
    assert schedule.get_config() == config
    learned, first, both = (
        [keras.ops.convert_to_numpy(w) for w in each.model_.trainable_weights]
        for each in (scheduled, make_small(epochs=1).fit(images, masks), fitted)
    )
    for array, expected in zip(learned, first, strict=True):
        np.testing.assert_array_equal(array, expected)
    assert not np.array_equal(first[0], both[0])


@pytest.mark.usefixtures("own_models", "no_graphs")
def test_what_a_callback_raises_comes_out_as_it_is(images, masks):
    class Failing(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise ArithmeticError("no luck")

    with pytest.raises(ArithmeticError, match="no luck"):
        make_small(keras_callbacks=[Failing()]).fit(images, masks)


@pytest.mark.slow
def test_callbacks_are_left_as_they_were(images, masks):
    class Counter(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.own = 0

        def on_epoch_end(self, epoch, logs=None):
            self.own += 1
            events.append(epoch)
            assert "val_dice" in logs

    events, callbacks = [], [Counter(), keras.callbacks.EarlyStopping(patience=100)]
    before = [copy.deepcopy(vars(callback)) for callback in callbacks]
    segmenter = make_small(keras_callbacks=callbacks, validation_fraction=0.2)
    first = hash_weights(segmenter.fit(images, masks))
    assert hash_weights(segmenter.fit(images, masks)) == first
    assert events == [0, 1, 0, 1]
    assert [vars(callback) for callback in callbacks] == before
    assert segmenter.keras_callbacks is callbacks


def test_callback_may_change_the_rate_for_its_fit_alone(images, masks, fitted):
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    changed = make_small(keras_callbacks=[halve]).fit(images, masks)
    assert hash_weights(changed) != hash_weights(fitted)
    assert hash_weights(make_small().fit(images, masks)) == hash_weights(fitted)


def test_verbose_prints_a_line_for_each_pass(images, masks, capfd):
    segmenter = make_small(verbose=1).fit(images, masks)
    pairs, first, second = capfd.readouterr().out.splitlines()
    assert f"Reading {len(images)} pairs: " in pairs
    assert "Epoch 1 of 2, " in first
    assert f" dice {segmenter.history_['dice'][1]:.4f}" in second
    segmenter.predict(images)
    assert f"Predicting {len(images)} images: " in capfd.readouterr().out
    make_small().fit(images, masks).predict(images)
    assert capfd.readouterr().out == ""


# scikit-learn's ---------------------------------------------------------------------


@needs_callbacks
def test_tasks_are_epochs_and_batches_that_are_read(images, masks):
    recorder = Recorder()
    X, y = (np.repeat(array, 2, axis=0) for array in (images, masks))
    segmenter = make_small(epochs=3).set_callbacks(recorder)
    segmenter.fit(X, y, X_val=images, y_val=masks)
    # 20 pairs are read in two batches, 10 in one.
    expected = {"fit": 1, "epoch": 3, "read-pairs": 2, "read-pairs-of-batch": 3}
    assert recorder.begun == recorder.ended == expected


@needs_callbacks
def test_a_callback_that_asks_to_stop_ends_a_training_as_a_shorter_one(images, masks):
    recorder = Recorder(stop_after=2)
    stopped = make_small(epochs=5).set_callbacks(recorder).fit(images, masks)
    assert stopped.n_iter_ == len(stopped.history_["loss"]) == 2
    assert recorder.ended["fit"] == 1
    assert hash_weights(stopped) == hash_weights(
        make_small(epochs=2).fit(images, masks)
    )


@needs_callbacks
def test_what_callbacks_get_predicts_as_a_shorter_training(images, masks):
    recorder = Recorder()
    make_small(epochs=2).set_callbacks(recorder).fit(images, masks)
    for n_epochs, segmenter in enumerate(recorder.fitted, start=1):
        shorter = make_small(epochs=n_epochs).fit(images, masks)
        assert hash_weights(segmenter) == hash_weights(shorter)
        np.testing.assert_array_equal(
            segmenter.predict(images), shorter.predict(images)
        )


@needs_callbacks
def test_monitored_scores_are_those_of_shorter_fits(images, masks):
    monitor = ScoringMonitor(scoring=dice_scorer)
    settings = {"learning_rate": 0.1}
    make_small(epochs=3, **settings).set_callbacks(monitor).fit(images, masks)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    scores = [row.get("score", row.get("dice_score")) for row in rows]
    expected = [
        dice_score(
            masks, make_small(epochs=n, **settings).fit(images, masks).predict(images)
        )
        for n in (1, 2, 3)
    ]
    assert len(set(expected)) == 3
    assert_allclose(scores, expected, rtol=1e-6)


@needs_callbacks
def test_callbacks_in_a_search_see_each_fit(images, masks, capfd):
    monitor = ScoringMonitor(scoring=dice_scorer)
    search = GridSearchCV(
        make_small().set_callbacks(monitor),
        {"epochs": [1, 2]},
        cv=2,
        scoring=dice_scorer,
    )
    search.set_callbacks(ProgressBar()).fit(images, masks)
    assert "UNetSegmenter" in capfd.readouterr().out
    logs = monitor.get_logs(select="all")
    rows = [row for log in logs for row in log.data if row["task_name"] == "epoch"]
    # Two folds of one and of two epochs, and the best of both.
    assert len(rows) == 2 * (1 + 2) + search.best_params_["epochs"]
