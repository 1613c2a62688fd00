"""Models that are used again: what they forget, who has them, how many there are."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import gc
import random
import threading
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

import skinest
from skinest._training import _models
from skinest.networks._adjustable import make_dropout

from ..classification.conftest import bits, make_images, small

Y = np.arange(12) % 2
N_PARAMETERS = 1280 + 1  # of the smallest head


@pytest.fixture(scope="module")
def images():
    return make_images(12)


@pytest.fixture(scope="module")
def memory(images, tmp_path_factory):
    """Cache features, so that no fit of these tests needs a model of the backbone."""
    folder = tmp_path_factory.mktemp("memory")
    small(memory=folder, epochs=1).fit(images, Y)
    return folder


class Show(keras.callbacks.Callback):
    """Shows each model that is trained, at the beginning, and may then do more."""

    def __init__(self, see):
        super().__init__()
        self.see = see  # a function, which a copy of the callback shares

    def on_train_begin(self, logs=None):
        self.see(self.model)


@pytest.fixture
def fit(images, memory):
    """Fit, and keep each model that was trained in `fit.models`."""

    def fit_and_keep(X=images, y=Y, see=None, **settings):
        callbacks = [Show(fit_and_keep.models.append)]
        if see is not None:
            callbacks.append(Show(see))
        settings = {"memory": memory, "keras_callbacks": callbacks, **settings}
        return small(**settings).fit(X, y)

    fit_and_keep.models = []
    return fit_and_keep


def describe(clf):
    return bits(clf), clf.history_


def test_fits_of_one_network_train_the_same_model(fit):
    fit(hidden_units=(3,))
    fit(hidden_units=(3,), epochs=1, random_state=1)
    fit(hidden_units=(4,))
    first, second, third = fit.models
    assert first is second is not third


OPTIMIZERS = {
    "adam": {"learning_rate": 0.05},
    "nadam": {"optimizer": "nadam"},  # holds a product of its own
    "momentum": {"optimizer": keras.optimizers.SGD(0.05, momentum=0.9)},
    "moving average": {"optimizer": keras.optimizers.Adam(0.05, use_ema=True)},
    "schedule": {
        "optimizer": "rmsprop",
        "learning_rate": keras.optimizers.schedules.ExponentialDecay(
            0.1, decay_steps=2, decay_rate=0.5
        ),
    },
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name != "schedule"))
        for name in OPTIMIZERS
    ],
)
def test_a_model_forgets_its_last_training(name, fit, images):
    settings = {**OPTIMIZERS[name], "hidden_units": (4,), "dropout": 0.5, "epochs": 3}
    first = fit(**settings)
    other = fit(images[:9], Y[:9], **settings, random_state=1)
    assert bits(other) != bits(first)
    assert describe(fit(**settings)) == describe(first)
    assert len(set(map(id, fit.models))) == 1


@pytest.mark.slow
def test_learning_rates_share_a_model_and_optimizers_do_not(fit):
    slow, fast = fit(learning_rate=0.01), fit(learning_rate=0.1)
    assert fit.models[0] is fit.models[1]
    assert bits(slow) != bits(fast)
    assert describe(fit(learning_rate=0.1)) == describe(fast)
    fit.models.clear()
    fit(optimizer=keras.optimizers.Adam(0.1, beta_1=0.5))
    fit(optimizer="sgd")
    fit()
    assert len(set(map(id, fit.models))) == 3


FIRST = {"dropout": 0.2, "l2": 0.001}
# Settings that are searched over, of which each changes one.
SEARCHED = {
    "all": [
        FIRST,
        {**FIRST, "dropout": 0.7},
        {**FIRST, "l2": 1.0},
        {**FIRST, "learning_rate": 0.1},
    ],
    "optimizer": [{"optimizer": keras.optimizers.SGD(rate)} for rate in (0.1, 0.01)],
}


@pytest.mark.usefixtures("own_models")
@pytest.mark.parametrize(
    "name", ["all", pytest.param("optimizer", marks=pytest.mark.slow)]
)
def test_values_of_settings_share_a_model(name, fit):
    searched = SEARCHED[name]
    fits = [fit(**settings) for settings in searched]
    assert len(set(map(id, fit.models))) == 1
    assert len(set(map(bits, fits))) == len(searched)
    skinest.clear_models()
    for place in (-1, 0):  # by a model that is made for the last settings
        assert bits(fit(**searched[place])) == bits(fits[place])


def test_dropout_scales_what_it_keeps(fit):
    """Compare with Keras' own layer on many inputs, for each rate of one model."""
    variable = keras.Variable(0.5, trainable=False)
    layer = make_dropout(variable, dtype="float32", name="dropout")
    assert not layer.weights
    inputs = keras.ops.ones((200, 200))
    for rate in (0.1, 0.5, 0.9):
        variable.assign(rate)
        outputs = keras.ops.convert_to_numpy(layer(inputs, training=True))
        plain = keras.layers.Dropout(rate, seed=1)(inputs, training=True)
        expected = np.unique(keras.ops.convert_to_numpy(plain))
        np.testing.assert_allclose(np.unique(outputs), expected, rtol=1e-6)
        assert abs((outputs == 0).mean() - rate) < 0.01
    np.testing.assert_array_equal(layer(inputs), inputs)


class SlowsDown(keras.callbacks.Callback):
    """Changes what belongs to the model that is being trained."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.learning_rate = 1e-6
        self.model.stop_training = True


def test_what_keras_callbacks_change_is_undone(fit):
    plain = fit(epochs=3)
    stopped = fit(epochs=3, keras_callbacks=[SlowsDown()])
    assert stopped.n_iter_ == 1
    again = fit(epochs=3)
    assert again.n_iter_ == 3
    assert bits(again) == bits(plain)


@pytest.mark.slow
def test_fits_of_other_data_and_settings_leave_no_trace(fit, images):
    """Train head, then network, by new models and by those that others have used."""

    def fit_two_stages(*data, **settings):
        settings = {"dropout": 0.5, "hidden_units": (4,), "memory": None, **settings}
        stages = {"fine_tune": "Conv_1", "fine_tune_epochs": 2}
        clf = fit(*data, **stages, **settings)
        return *describe(clf), clf.predict_proba(images).tobytes()

    first = fit_two_stages()
    others = {"learning_rate": 1.0, "batch_size": 5, "random_state": 3}
    fit_two_stages(make_images(9, seed=5), Y[:9], **others)
    assert fit_two_stages() == first
    assert len(fit.models) == 6
    assert len(set(map(id, fit.models))) == 2


def test_a_fit_within_a_fit_has_a_model_of_its_own(fit):
    state = random.getstate()
    expected = describe(fit())
    outer = fit(see=lambda model: fit())
    first, second, third = fit.models
    assert first is second is not third
    assert describe(outer) == expected
    assert random.getstate() == state


@pytest.mark.slow
def test_concurrent_fits_have_models_of_their_own(fit):
    expected = [bits(fit(random_state=seed)) for seed in range(3)]
    fit.models.clear()
    state, barrier = random.getstate(), threading.Barrier(3)

    def wait(model):
        barrier.wait(timeout=120)

    with ThreadPoolExecutor(3) as threads:
        jobs = [threads.submit(fit, see=wait, random_state=seed) for seed in range(3)]
    assert len(set(map(id, fit.models))) == 3
    assert [bits(job.result()) for job in jobs] == expected
    assert random.getstate() == state  # put back by the last to leave
    again = fit()
    assert again.n_iter_ == 2
    assert any(fit.models[-1] is model for model in fit.models[:-1])


def no_luck(model):
    raise RuntimeError("no luck")


@pytest.mark.slow
def test_a_model_is_dropped_after_an_error(fit):
    first = fit(hidden_units=(5,))
    with pytest.raises(RuntimeError, match="no luck"):
        fit(hidden_units=(5,), see=no_luck)
    again = fit(hidden_units=(5,))
    one, broken, other = fit.models
    assert one is broken is not other
    assert describe(again) == describe(first)
    if keras.backend.backend() == "tensorflow":  # keeps them beyond the model
        assert count_values(broken) == 0


# Limits.


@pytest.mark.slow
@pytest.mark.usefixtures("own_models")
def test_the_number_of_models_is_bounded(fit, monkeypatch):
    # Only a lower limit is reached by a few fits.
    monkeypatch.setattr(_models, "_MAX_IDLE", 3)
    a, b, c, d, e = ({"hidden_units": (number,)} for number in range(7, 12))
    for settings in (a, b, c, d):
        fit(**settings)
    first = fit.models[:]
    fit(**b)
    fit(**e)  # for which c is dropped, the one unused for longest
    fit(**b)
    fit(**d)
    assert fit.models[4] is fit.models[6] is first[1]
    assert fit.models[7] is first[3]
    fit(**c)
    fit(**a)
    assert fit.models[8] is not first[2]
    assert fit.models[9] is not first[0]


@pytest.mark.slow
def test_what_models_hold_is_bounded_with_their_optimizers(
    images, memory, compiled, monkeypatch
):
    # Only a lower limit is reached by small models. Adam keeps two numbers for each
    # that trains, plain gradient descent none.
    monkeypatch.setattr(_models, "_MAX_BYTES", int(5.5 * 4 * N_PARAMETERS))

    def count_models(*fits):
        compiled.clear()
        for l2, optimizer in fits:
            settings = {"l2": l2, "optimizer": optimizer, "dropout": 0.0}
            small(memory=memory, **settings).fit(images, Y)
        return len(compiled)

    assert count_models((0.0, "adam"), ("auto", "adam"), (0.0, "adam")) == 3
    some = (0.1, "adam"), (0.0, "sgd"), ("auto", "sgd")
    assert count_models(*some, *some) == 3
    monkeypatch.setattr(_models, "_MAX_BYTES", 1)
    assert count_models((0.1, "sgd"), (0.1, "sgd"), ("auto", "rmsprop")) == 2
    assert count_models((0.1, "sgd"), ("auto", "rmsprop")) == 2


def count_values(model):
    return sum(np.size(keras.ops.convert_to_numpy(w)) for w in model.weights)


@pytest.mark.slow
@pytest.mark.usefixtures("own_models")
def test_dropped_models_hold_no_values(fit, monkeypatch):
    monkeypatch.setattr(_models, "_MAX_BYTES", 1)  # as above
    fit(hidden_units=(27,))
    fit(hidden_units=(28,))
    dropped, idle = fit.models
    assert count_values(idle) >= N_PARAMETERS
    if keras.backend.backend() == "tensorflow":  # keeps them beyond the model
        assert count_values(dropped) == 0


@pytest.mark.usefixtures("own_models")
def test_cleared_models_are_gone_and_built_again(fit, images):
    references = []
    clf = fit(
        hidden_units=(6,), see=lambda model: references.append(weakref.ref(model))
    )
    fit.models.clear()
    expected = describe(clf), clf.predict_proba(images).tolist()
    skinest.clear_models()
    skinest.clear_models()  # of none
    assert references[0]() is None
    again = fit(hidden_units=(6,))
    assert (describe(again), again.predict_proba(images).tolist()) == expected


@pytest.mark.usefixtures("own_models")
def test_models_in_use_are_not_cleared(fit):
    expected = describe(fit())
    assert describe(fit(see=lambda model: skinest.clear_models())) == expected


# What is not done again, and what is not kept.


@pytest.fixture
def assigned(monkeypatch):
    """Count how often a Keras variable gets another value; read by calling it."""
    counts, assign = [0], keras.Variable.assign

    def count_and_assign(self, value):
        counts[0] += 1
        return assign(self, value)

    def read():
        n_read, counts[0] = counts[0], 0
        return n_read

    monkeypatch.setattr(keras.Variable, "assign", count_and_assign)
    return read


def test_weights_that_are_there_are_not_set_again(images, assigned):
    one = small(epochs=1).fit(images, Y)
    other = small(epochs=1, random_state=1).fit(images, Y)
    expected = one.predict_proba(images)
    assigned()
    np.testing.assert_array_equal(one.predict_proba(images), expected)
    assert assigned() == 0
    assert not np.array_equal(other.predict_proba(images), expected)
    assert assigned() > 0
    np.testing.assert_array_equal(one.predict_proba(images), expected)
    assert assigned() > 0


def test_a_fitted_classifier_does_not_change_with_the_next_fit(fit, images):
    settings = {"fine_tune": "Conv_1", "fine_tune_epochs": 1}
    one = fit(**settings)
    before, expected = bits(one), one.predict_proba(images)
    fit(images[:9], Y[:9], **settings, random_state=1)
    assert bits(one) == before
    np.testing.assert_array_equal(one.predict_proba(images), expected)


def turn(image, generator):
    return np.rot90(image, generator.integers(1, 4)).copy()


turn.version = 1


def test_no_features_outlive_a_fit(images, tmp_path):
    """Check this for features: TensorFlow keeps all that Keras has read from."""
    clf = small(
        augmentation=turn,
        n_augmented_copies=20,
        image_size=(64, 64),
        pooling="flatten",
        epochs=1,
        memory=tmp_path,
    )
    clf.fit(images, Y)
    gc.collect()
    tracemalloc.start()
    clf.fit(images, Y)
    gc.collect()
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    n_bytes = 12 * 21 * 4 * 5120
    assert peak > n_bytes
    assert now < 0.5 * n_bytes


@pytest.mark.parametrize("settings", [{}, {"trainable": "Conv_1"}], ids=str)
def test_no_images_outlive_a_fit(settings):
    images, X_val = make_images(12), make_images(12, seed=1)
    references = [weakref.ref(images), weakref.ref(X_val)]
    clf = small(**settings).fit(images, Y, X_val=X_val, y_val=Y)
    del images, X_val
    gc.collect()
    assert [reference() for reference in references] == [None, None]
    assert clf.n_iter_ == 2
