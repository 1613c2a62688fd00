"""Callbacks of Keras: what they see and keep over stages, warm starts and fits."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
from sklearn.base import clone

from ..classification.conftest import apply, bits, make_images, small
from ..segmentation.conftest import make_pairs, make_small

Y = np.array([0, 0, 1] * 4)
TWO_HEADS = {"epochs": 2, "fine_tune": "head", "fine_tune_epochs": 2}


@pytest.fixture(scope="module")
def images():
    return make_images(12)


@pytest.fixture(scope="module")
def pairs():
    images, masks = make_pairs()
    return images, masks * 255


@pytest.fixture(scope="module")
def memory(images, tmp_path_factory):
    """Cache features, so that few fits need a model of the backbone."""
    folder = tmp_path_factory.mktemp("memory")
    small(memory=folder, epochs=1).fit(images, Y)
    return folder


def make_callbacks(folder, events):
    """Make one of each callback of Keras that works on epochs."""
    folder.mkdir()
    callbacks = keras.callbacks
    return [
        callbacks.CSVLogger(folder / "log.csv", append=True),
        callbacks.ModelCheckpoint(
            folder / "{epoch}.weights.h5", save_best_only=True, save_weights_only=True
        ),
        callbacks.ModelCheckpoint(
            folder / "recall-{epoch}.weights.h5",
            monitor="val_recall",
            save_best_only=True,
            save_weights_only=True,
        ),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate / (1 + epoch)),
        callbacks.ReduceLROnPlateau(monitor="loss", patience=1, min_delta=10),
        callbacks.EarlyStopping(monitor="loss", mode="max", patience=2),
        callbacks.TerminateOnNaN(),
        callbacks.LambdaCallback(
            on_train_begin=lambda logs: events.append("begin"),
            on_epoch_begin=lambda epoch, logs: events.append(epoch),
            on_epoch_end=lambda epoch, logs: events.append(logs["learning_rate"]),
            on_train_end=lambda logs: events.append("end"),
        ),
    ]


def replay(callbacks, history, n_epochs_per_fit, rate):
    """Call callbacks as Keras does if one list of them is passed to several `fit`."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    epoch, stops = 0, []
    for n_epochs in n_epochs_per_fit:
        # Keras finds out by its own metrics that more recall is better.
        model.compile("sgd", "mse", metrics=[keras.metrics.Recall(name="recall")])
        model.evaluate(np.zeros((1, 1)), np.zeros(1), verbose=0)
        model.optimizer.learning_rate = rate
        calls = keras.callbacks.CallbackList(callbacks, model=model)
        calls.on_train_begin()
        for _ in range(n_epochs):
            assert not model.stop_training
            calls.on_epoch_begin(epoch)
            logs = {name: history[name][epoch] for name in history}
            logs.pop("learning_rate")
            calls.on_epoch_end(epoch, logs)
            epoch += 1
        calls.on_train_end()
        stops.append(model.stop_training)
    return stops


@pytest.mark.slow
def test_callbacks_keep_what_they_keep_over_fits_of_keras(pairs, tmp_path):
    ours, theirs = [], []
    segmenter = make_small(
        epochs=4,
        learning_rate=0.05,
        validation_fraction=0.3,
        warm_start=True,
        keras_callbacks=make_callbacks(tmp_path / "ours", ours),
    )
    segmenter.fit(*pairs).fit(*pairs)
    n_epochs, history = segmenter.n_iter_per_stage_, segmenter.history_
    callbacks = make_callbacks(tmp_path / "keras", theirs)
    stops = replay(callbacks, history, n_epochs, rate=0.05)
    assert all(n == 4 or stop for n, stop in zip(n_epochs, stops, strict=True))
    assert ours == pytest.approx(theirs)
    names = [
        sorted(path.name for path in (tmp_path / name).iterdir())
        for name in ("ours", "keras")
    ]
    assert names[0] == names[1]
    logs = [(tmp_path / name / "log.csv").read_text() for name in ("ours", "keras")]
    assert logs[0] == logs[1]
    assert logs[0].count("\n") == 1 + segmenter.n_iter_


class Seeing(keras.callbacks.Callback):
    """Shows its model at the end of each epoch, and counts the epochs it has seen."""

    def __init__(self, see):
        super().__init__()
        self.see = see  # a function, which a copy of the callback shares
        self.n_epochs = 0

    def on_epoch_end(self, epoch, logs=None):
        self.n_epochs += 1
        self.see(self, logs)


@pytest.mark.slow
def test_one_copy_serves_both_stages_and_a_warm_start(images, memory, tmp_path):
    losses, counts = [], []

    def see(callback, logs):
        losses.append(logs["loss"])
        counts.append(callback.n_epochs)

    best, log = tmp_path / "best.weights.h5", tmp_path / "log.csv"
    callbacks = [
        keras.callbacks.ModelCheckpoint(
            best, monitor="loss", save_best_only=True, save_weights_only=True
        ),
        keras.callbacks.CSVLogger(log),
        Seeing(see),
    ]
    clf = small(**TWO_HEADS, memory=memory, warm_start=True, keras_callbacks=callbacks)
    # The second stage is worse.
    clf.set_params(fine_tune_learning_rate=10.0).fit(images, Y)
    assert counts == [1, 2, 3, 4]
    assert min(losses) in losses[:2]
    saved = clf.model_
    saved.load_weights(best)
    found = keras.losses.BinaryCrossentropy()(Y[:, np.newaxis], apply(saved, images))
    last = clf.predict_proba(images)[:, 1:]
    assert float(found) < float(keras.losses.BinaryCrossentropy()(Y[:, None], last))
    assert [line[0] for line in log.read_text().splitlines()] == list("e0123")
    clf.fit(images, Y)
    assert counts == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [line[0] for line in log.read_text().splitlines()] == list("e4567")
    assert callbacks[2].n_epochs == 0
    clf.set_params(warm_start=False).fit(images, Y)
    assert counts[8:] == [1, 2, 3, 4]


def test_callbacks_see_the_whole_network_while_the_backbone_is_frozen(images, memory):
    outputs, shapes = [], []

    def see(callback, logs):
        shapes.append(callback.model.input_shape)
        outputs.append(apply(callback.model, images))

    clf = small(memory=memory, keras_callbacks=[Seeing(see)], dropout=0.3)
    clf.fit(images, Y)
    assert shapes == [(None, 32, 32, 3)] * 2
    np.testing.assert_allclose(
        outputs[-1], clf.predict_proba(images)[:, 1:], rtol=1e-4, atol=1e-6
    )


def test_heads_of_other_backbones_have_networks_of_their_own(images):
    shapes = []

    def see(callback, logs):
        shapes.append(callback.model.input_shape)

    for size in (32, 40, 32):
        clf = small(image_size=(size, size), epochs=1, keras_callbacks=[Seeing(see)])
        clf.fit(images, Y)
    assert shapes == [(None, size, size, 3) for size in (32, 40, 32)]


class Editing(keras.callbacks.Callback):
    """Sets all weights of the whole network to those of a file."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_train_end(self, logs=None):
        self.model.load_weights(self.path)


def test_weights_that_a_callback_loads_are_those_of_the_fit(images, memory, tmp_path):
    other = small(weights=None, random_state=7, epochs=1).fit(images, Y)
    path = tmp_path / "other.weights.h5"
    other.model_.save_weights(path)
    clf = small(memory=memory, keras_callbacks=[Editing(path)]).fit(images, Y)
    np.testing.assert_allclose(
        clf.predict_proba(images), other.predict_proba(images), atol=1e-6
    )
    plain = small(memory=memory).fit(images, Y)
    assert bits(plain) == bits(small(memory=memory).fit(images, Y))


@pytest.mark.usefixtures("no_graphs")
@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("segmenter", "keras"),
        pytest.param("classifier", "keras", marks=pytest.mark.slow),
        pytest.param("segmenter", "h5", marks=pytest.mark.slow),
        pytest.param("classifier", "h5", marks=pytest.mark.slow),
    ],
)
def test_a_checkpoint_needs_no_class_of_ours(
    kind, suffix, images, pairs, memory, tmp_path, monkeypatch
):
    path = tmp_path / f"last.{suffix}"
    if kind == "classifier":
        fitted = small(memory=memory, dropout=0.3, l2=0.02, epochs=1)
        inputs, data = images, (images, Y)
    else:
        fitted = make_small(dropout=0.3, epochs=1)
        inputs, data = pairs[0][:, :16, :16], pairs
    for file in (tmp_path / "first.h5", path):  # Keras forgets the optimizer after .h5
        callback = keras.callbacks.ModelCheckpoint(file)
        fitted.set_params(keras_callbacks=[callback]).fit(*data)
    registered = keras.saving.get_custom_objects()
    for name in list(registered):
        monkeypatch.delitem(registered, name)
    loaded = keras.models.load_model(path)
    np.testing.assert_allclose(
        apply(loaded, inputs), apply(fitted.model_, inputs), atol=1e-6
    )
    (dropout,) = [x for x in loaded.layers if isinstance(x, keras.layers.Dropout)]
    assert dropout.rate == 0.3
    assert isinstance(loaded.optimizer, keras.optimizers.Adam)
    if kind == "classifier":
        penalty = loaded.get_layer("logits").kernel_regularizer
        assert float(penalty.l2) == pytest.approx(0.02)
        assert np.isfinite(loaded.evaluate(images, Y, verbose=0)[0])


LOADS = """
import sys
import keras, numpy as np
folder = sys.argv[1]
images = np.load(f"{folder}/images.npy")
expected = np.load(f"{folder}/outputs.npy")
for name in sys.argv[2:]:
    if name.endswith("exported"):
        import tensorflow as tf
        loaded = tf.saved_model.load(f"{folder}/{name}")
        found = loaded.serve(images.astype("float32"))
    else:
        found = keras.models.load_model(f"{folder}/{name}").predict(images, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
assert "skinest" not in sys.modules
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vgg16", "mobilenetv2", "unet"])
def test_files_load_in_a_new_process(kind, images, pairs, tmp_path):
    paths = [tmp_path / f"checkpoint.{suffix}" for suffix in ("keras", "h5")]
    settings = {"keras_callbacks": list(map(keras.callbacks.ModelCheckpoint, paths))}
    if kind == "unet":
        fitted = make_small(**settings, dropout=0.3).fit(*pairs)
        images = pairs[0][:, :16, :16]
    else:
        fitted = small(kind, **settings, l2="auto").fit(images, Y)
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "outputs.npy", apply(fitted.model_, images))
    fitted.model_.save(tmp_path / "saved.keras")
    fitted.model_.save(tmp_path / "saved.h5")
    names = ["checkpoint.keras", "checkpoint.h5", "saved.keras", "saved.h5"]
    if keras.backend.backend() == "tensorflow":
        fitted.model_.export(tmp_path / "exported", verbose=False)
        names.append("exported")
    subprocess.run([sys.executable, "-c", LOADS, str(tmp_path), *names], check=True)


class Interrupting(keras.callbacks.Callback):
    """Interrupts a fit once."""

    def __init__(self, epoch):
        super().__init__()
        self.epochs = [epoch]

    def __deepcopy__(self, memo):
        return self

    def on_epoch_begin(self, epoch, logs=None):
        if epoch in self.epochs:
            self.epochs.remove(epoch)
            raise KeyboardInterrupt


def fit_interrupted(estimator, data, epoch, folder):
    callbacks = [keras.callbacks.BackupAndRestore(folder), Interrupting(epoch)]
    estimator.set_params(keras_callbacks=callbacks)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(*data)
    return estimator.fit(*data)


@pytest.mark.slow
def test_an_interrupted_fit_goes_on(pairs, tmp_path):
    settings = {"epochs": 4}
    plain = make_small(**settings).fit(*pairs)
    segmenter = make_small(**settings)
    segmenter = fit_interrupted(segmenter, pairs, 2, tmp_path / "backup")
    for one, other in zip(
        plain.model_.get_weights(), segmenter.model_.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert segmenter.n_iter_ == 4
    assert np.isnan(segmenter.history_["loss"][:2]).all()
    assert segmenter.history_["loss"][2:] == plain.history_["loss"][2:]
    assert not (tmp_path / "backup").exists()
    again = make_small(**settings).fit(*pairs)
    assert again.history_ == plain.history_


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 3])
def test_an_interrupted_fit_of_two_stages_goes_on(epoch, images, memory, tmp_path):
    settings = {**TWO_HEADS, "memory": memory, "dropout": 0.0, "optimizer": "sgd"}
    settings["fine_tune_learning_rate"] = 0.01
    plain = small(**settings).fit(images, Y)
    clf = fit_interrupted(small(**settings), (images, Y), epoch, tmp_path / "backup")
    assert clf.n_iter_per_stage_ == [2, 2]
    assert np.isnan(clf.history_["loss"][:epoch]).all()
    assert clf.history_["loss"][epoch:] == plain.history_["loss"][epoch:]
    np.testing.assert_array_equal(
        clf.predict_proba(images), plain.predict_proba(images)
    )


@pytest.mark.usefixtures("no_graphs")
def test_terminating_on_nan_ends_a_stage_within_an_epoch(pairs, capfd):
    batches = []
    count = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batches.append(batch)
    )
    callbacks = [keras.callbacks.TerminateOnNaN(), count]
    segmenter = make_small(
        epochs=5, learning_rate=1e30, batch_norm=False, keras_callbacks=callbacks
    )
    with pytest.warns(UserWarning, match="The loss is NaN or infinite"):
        segmenter.fit(*pairs)
    assert segmenter.n_iter_ < 5
    assert "Invalid loss, terminating training" in capfd.readouterr().out
    assert len(batches) < 5 * 3


class Tracker:
    """An object with a method that a callback calls."""

    def __init__(self):
        self.epochs = []

    def track(self, epoch, logs):
        self.epochs.append(epoch)


def test_a_method_that_a_callback_calls_is_that_of_its_object(pairs):
    tracker = Tracker()
    callback = keras.callbacks.LambdaCallback(on_epoch_end=tracker.track)
    make_small(keras_callbacks=[callback]).fit(*pairs)
    assert tracker.epochs == [0, 1]


def test_callbacks_that_share_an_object_share_it_in_a_fit(pairs):
    shared, seen = [], []
    one, other = (
        Seeing(lambda callback, logs: callback.shared.append(1)),
        Seeing(lambda callback, logs: seen.append(len(callback.shared))),
    )
    one.shared = other.shared = shared
    make_small(keras_callbacks=[one, other]).fit(*pairs)
    assert seen == [1, 2]
    assert shared == []


# Callbacks that cannot be copied ------------------------------------------------------


class Locked(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class Shared(Locked):
    def __deepcopy__(self, memo):
        return self


def open_file(tmp_path):
    callback = keras.callbacks.Callback()
    callback.file = open(tmp_path / "log.txt", "w")
    return callback


@pytest.mark.parametrize("kind", ["lock", "file"])
@pytest.mark.parametrize(
    "copy", [lambda x: x.fit(None, None), clone], ids=["fit", "clone"]
)
def test_a_callback_that_cannot_be_copied_is_named(kind, copy, tmp_path):
    callback = Locked() if kind == "lock" else open_file(tmp_path)
    segmenter = make_small(keras_callbacks=[keras.callbacks.History(), callback])
    with pytest.raises(ValueError, match="cannot be copied") as caught:
        copy(segmenter)
    assert repr(callback) in str(caught.value)
    assert "Open files and locks in on_train_begin" in str(caught.value)


def test_a_callback_that_says_so_is_shared(pairs):
    callback = Shared()
    segmenter = make_small(keras_callbacks=(callback,))
    copied = clone(segmenter.fit(*pairs)).keras_callbacks
    assert copied == (callback,)
    assert callback.model is None


def test_callbacks_that_keras_has_used_are_copied(pairs, tmp_path):
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.zeros((1, 1)), np.zeros(1), callbacks=[log], verbose=0)
    segmenter = clone(make_small(keras_callbacks=[log])).fit(*pairs)
    assert (tmp_path / "log.csv").read_text().count("\n") == 1 + 2
    assert segmenter.keras_callbacks[0] is not log


@pytest.mark.parametrize(
    "callbacks", [None, [], (), [object()], "none", 3], ids=range(6)
)
def test_a_clone_is_not_checked(callbacks):
    cloned = clone(make_small(keras_callbacks=callbacks)).keras_callbacks
    assert type(cloned) is type(callbacks)
