"""Keras' optimizers, schedules and callbacks as arguments."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from .conftest import bits, small


def test_optimizer_is_left_as_it_was_and_serves_again(images, y):
    import keras

    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True)
    config = optimizer.get_config()
    state = [variable.numpy() for variable in optimizer.variables]
    settings = {"optimizer": optimizer, "fine_tune": "head", "fine_tune_epochs": 1}
    first = bits(small(**settings).fit(images, y))
    assert bits(small(**settings).fit(images, y)) == first
    assert optimizer.get_config() == config
    assert not optimizer.built
    assert len(optimizer.variables) == len(state)
    for variable, before in zip(optimizer.variables, state, strict=True):
        assert_array_equal(variable, before)


def test_used_optimizer_starts_anew(images, y):
    import keras

    used = keras.optimizers.Adam(0.01)
    weight = keras.Variable(np.ones(3, dtype=np.float32))
    used.apply([np.ones(3, dtype=np.float32)], [weight])
    fresh = small(optimizer=keras.optimizers.Adam(0.01)).fit(images, y)
    assert bits(small(optimizer=used).fit(images, y)) == bits(fresh)
    assert int(used.iterations.numpy()) == 1


def test_rate_of_an_optimizer_holds_in_the_first_stage_alone(images, y):
    import keras

    second = {
        "fine_tune": "head",
        "fine_tune_epochs": 1,
        "fine_tune_learning_rate": 0.001,
    }
    named = small(optimizer="sgd", learning_rate=0.02, **second).fit(images, y)
    optimizer = keras.optimizers.SGD(0.02)
    given = small(optimizer=optimizer, learning_rate=0.5, **second).fit(images, y)
    assert bits(given) == bits(named)


def test_name_is_an_optimizer_of_keras(images, y):
    import keras

    named = small(optimizer="adam", learning_rate=0.002).fit(images, y)
    optimizer = keras.optimizers.Adam(0.002)
    assert bits(small(optimizer=optimizer).fit(images, y)) == bits(named)


def own_classes():
    """Make a schedule and an optimizer as in a notebook, which Keras cannot find.

    Both double the step.
    """
    import keras

    class Rate(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.02

        def get_config(self):
            return {}

    class Own(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(2 * gradient, variable, learning_rate)

    for kind in (Rate, Own):
        kind.__module__ = "__main__"
    return Rate(), Own(0.01)


def test_classes_of_the_user_need_not_be_registered(images, y):
    expected = bits(small(optimizer="sgd", learning_rate=0.02).fit(images, y))
    rate, optimizer = own_classes()
    fitted = small(optimizer="sgd", learning_rate=rate).fit(images, y)
    assert bits(fitted) == expected
    assert bits(small(optimizer=optimizer).fit(images, y)) == expected


def test_schedules_of_both_stages(images, y):
    import keras

    def for_one_epoch(rate):  # three steps, then nothing
        return keras.optimizers.schedules.PiecewiseConstantDecay([2], [rate, 0.0])

    schedules = for_one_epoch(0.01), for_one_epoch(0.001)
    configs = [schedule.get_config() for schedule in schedules]
    second = {"optimizer": "sgd", "fine_tune": "head"}
    clf = small(
        epochs=3,
        learning_rate=schedules[0],
        fine_tune_epochs=2,
        fine_tune_learning_rate=schedules[1],
        **second,
    ).fit(images, y)
    # The order of images depends on the number of the epoch: 0 here, and 3.
    plain = small(optimizer="sgd", epochs=1, learning_rate=0.01, warm_start=True).fit(
        images, y
    )
    plain.set_params(epochs=2, learning_rate=1e-30).fit(images, y)
    plain.set_params(epochs=1, learning_rate=0.001).fit(images, y)
    assert bits(clf) == bits(plain)
    assert [schedule.get_config() for schedule in schedules] == configs


def make_decaying(*names):
    """Make an optimizer that, at each step, sets all weights but some to 0."""
    import keras

    optimizer = keras.optimizers.AdamW(1.0, weight_decay=1.0, epsilon=1e9)
    if names:
        optimizer.exclude_from_weight_decay(var_names=names)
    return optimizer


@pytest.mark.parametrize("scales_loss", [False, True])
def test_names_are_excluded_from_weight_decay(scales_loss, images, y):
    import keras

    def fit(optimizer, change=lambda clf: clf):
        if scales_loss:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        return change(small(optimizer=optimizer, hidden_units=(3,))).fit(images, y)

    def is_zero(clf):
        weights = clf.model_.get_weights()[-4:]  # kernels and biases of the head
        return [abs(weight).max() < 1e-6 for weight in weights]

    def copy_by_pickle(clf):
        return pickle.loads(pickle.dumps(clf))

    assert all(is_zero(fit(make_decaying())))
    optimizer = make_decaying("kernel", "nothing")
    for change in (lambda clf: clf, clone, copy.deepcopy, copy_by_pickle):
        assert is_zero(fit(optimizer, change)) == [False, True] * 2
    assert all(is_zero(fit(make_decaying())))


def test_variables_cannot_be_excluded_from_weight_decay(images, y):
    import keras

    optimizer = make_decaying()
    optimizer.exclude_from_weight_decay(var_list=[keras.Variable(1.0)])
    clf = small(optimizer=optimizer)
    scaled = small(optimizer=keras.optimizers.LossScaleOptimizer(optimizer))
    for each in (clf, clone(clf), scaled):
        with pytest.raises(ValueError, match=r"optimizer=.* var_names instead of"):
            each.fit(images, y)


def state_of(callback):
    return copy.deepcopy(vars(callback))


def test_callbacks_are_left_as_they_were_and_called_in_both_stages(
    images, y, X_val, y_val
):
    import keras

    class Counter(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.own = 0

        def on_train_begin(self, logs=None):
            events.append("begin")

        def on_epoch_end(self, epoch, logs=None):
            self.own += 1
            events.append(epoch)
            assert "val_loss" in logs

    events = []
    callbacks = [
        Counter(),
        keras.callbacks.ReduceLROnPlateau(patience=1, min_delta=10),
        keras.callbacks.EarlyStopping(patience=100),
    ]
    before = [state_of(callback) for callback in callbacks]
    clf = small(keras_callbacks=callbacks, fine_tune="block_16", fine_tune_epochs=1)
    clf.fit(images, y, X_val=X_val, y_val=y_val)
    assert events == ["begin", 0, 1, "begin", 2]
    first = bits(clf)
    clf.fit(images, y, X_val=X_val, y_val=y_val)
    assert events == 2 * ["begin", 0, 1, "begin", 2]
    assert bits(clf) == first
    assert [state_of(callback) for callback in callbacks] == before
    assert clf.keras_callbacks is callbacks


def test_callback_may_change_the_rate_for_its_fit_alone(images, y):
    import keras

    plain = small().fit(images, y)
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    changed = small(keras_callbacks=[halve]).fit(images, y)
    assert bits(changed) != bits(plain)
    assert bits(small().fit(images, y)) == bits(plain)


def test_callback_may_stop_a_stage(images, y):
    import keras

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    clf = small(
        epochs=5, keras_callbacks=[Stop()], fine_tune="head", fine_tune_epochs=5
    ).fit(images, y)
    assert clf.n_iter_per_stage_ == [1, 1]
    assert small(epochs=3).fit(images, y).n_iter_ == 3


@pytest.mark.slow
def test_optimizer_that_scales_the_loss(images, y):
    """The scale is a power of two, which changes no bits."""
    import keras

    settings = {"fine_tune": "head", "fine_tune_epochs": 1, "l2": 0.1}
    for rate in (0.01, keras.optimizers.schedules.ExponentialDecay(0.01, 1, 0.5)):
        adam = keras.optimizers.Adam(rate)
        scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(rate))
        config = scaled.get_config()
        expected = small(optimizer=adam, **settings).fit(images, y)
        for _ in range(2):
            found = small(optimizer=scaled, **settings).fit(images, y)
            assert_allclose(
                found.predict_proba(images), expected.predict_proba(images), rtol=1e-4
            )
        assert scaled.get_config() == config
        assert not scaled.built


def test_own_optimizer_within_one_that_scales_the_loss(images, y):
    import keras

    class Own(keras.optimizers.SGD):
        pass

    scaled = keras.optimizers.LossScaleOptimizer(Own(0.01))
    found = small(optimizer=scaled).fit(images, y).predict_proba(images)
    plain = small(optimizer=keras.optimizers.SGD(0.01)).fit(images, y)
    assert_allclose(found, plain.predict_proba(images), rtol=1e-4)
